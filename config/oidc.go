package config

import (
	"slices"
	"strings"
	"time"
)

// oidc reads the OpenID provider; nil where the connection has none.
func (s section) oidc(preset Preset) *OIDC {
	n := s.get("oidc")
	if n == nil {
		return nil
	}
	o := s.sub("oidc", shape{
		keys: s.r.noFiles(append(clientKeys(), "issuer", "private_key_jwt", "public_client", "scopes", "claims", "refresh", "refresh_every",
			"graph", "allow_private_addresses")),
		later: []string{"acr", "acr_values", "max_age"},
		hints: clientHints(),
	})
	c := o.client("the id of our client there")
	out := &OIDC{
		Issuer: c.Issuer, ClientID: c.ID, ClientSecret: c.Secret, NextSecret: c.NextSecret, SecretExpires: c.SecretExpires,
		KeyFile: c.KeyFile, NextKeyFile: c.NextKeyFile,
		KeyJWT:       o.flag("private_key_jwt"),
		Scopes:       o.scopes(),
		Claims:       o.claims(preset.Claims),
		Graph:        o.graph(),
		AllowPrivate: o.flag("allow_private_addresses"),
	}
	out.Refresh = o.flag("refresh") || slices.Contains(out.Scopes, "offline_access")
	out.RefreshEvery = o.refreshEvery(out.Refresh)
	o.authentication(
		way{"private_key_jwt", out.KeyJWT}, way{"private_key_file", o.has("private_key_file")}, way{"public_client", o.flag("public_client")})
	return out
}

// clientKeys are the keys that name a client of ours and how it proves itself.
func clientKeys() []string {
	return []string{
		"client_id", "client_secret_file", "client_secret_env", "client_secret_next_file", "client_secret_next_env", "client_secret_expires",
		"private_key_file", "private_key_next_file",
	}
}

func clientHints() map[string]string {
	const want = "want the secret in a file or an environment variable that %s_file or %s_env names, got it in this file"
	return map[string]string{
		"client_secret":      strings.ReplaceAll(want, "%s", "client_secret"),
		"client_secret_next": strings.ReplaceAll(want, "%s", "client_secret_next"),
	}
}

// client reads a client of ours; what says the id that is wanted.
func (s section) client(what string) Client {
	s.missing("client_id", what)
	c := Client{
		Issuer:     s.issuer(),
		ID:         s.text("client_id", what, "", visible),
		Secret:     s.secret("client_secret_file", "client_secret_env"),
		NextSecret: s.secret("client_secret_next_file", "client_secret_next_env"),
		SecretExpires: scalar(s, "client_secret_expires", "a day such as 2027-03-31", time.Time{}, func(v string) (time.Time, bool) {
			at, err := time.Parse(time.DateOnly, v)
			return at, err == nil
		}),
		KeyFile: s.keyFile("private_key_file"), NextKeyFile: s.keyFile("private_key_next_file"),
	}
	if n := s.get("private_key_next_file"); n != nil && !s.has("private_key_file") {
		s.r.problem(n.line, n.col, "%s: want private_key_file beside it, got it alone", s.key("private_key_next_file"))
	}
	return c
}

// way is how a client may prove itself but by a secret: by a key of the file
// that is set or not.
type way struct {
	key string
	on  bool
}

// authentication wants exactly one way in which our client proves itself.
func (s section) authentication(others ...way) {
	secret := s.has("client_secret_file") || s.has("client_secret_env")
	next := s.has("client_secret_next_file") || s.has("client_secret_next_env")
	names, on, last := []string{"client_secret_file", "client_secret_env"}, 0, ""
	for _, o := range others {
		names = append(names, o.key)
		if o.on {
			on++
			last = o.key
		}
	}
	if n := s.values[last]; n != nil && (secret || next || on > 1) {
		end := len(names) - 1
		s.r.problem(n.line, n.col, "%s: want one of %s and %s, got several", s.key(last), strings.Join(names[:end], ", "), names[end])
	}
	switch {
	case on > 0, s.at.has("client_secret"):
	case !secret:
		s.missing("client_secret_file", "the path of a file (or client_secret_env, an environment variable)")
	}
}

// refreshEvery reads how often the provider is asked about its session.
func (s section) refreshEvery(refresh bool) time.Duration {
	const k, def = "refresh_every", 10 * time.Minute
	every := scalar(s, k, "1m to 12h", def, func(v string) (time.Duration, bool) {
		d, ok := duration(v)
		return d, ok && d >= time.Minute && d <= 12*time.Hour
	})
	if n := s.get(k); n != nil && !refresh {
		s.r.problem(n.line, n.col, `%s: want refresh: true beside it, got refresh turned off`, s.key(k))
	}
	return every
}

// graph reads where the groups of somebody with too many for a token are asked
// for; nil where nobody is asked.
func (s section) graph() *Graph {
	if s.get("graph") == nil {
		return nil
	}
	g := s.sub("graph", shape{keys: []string{"enabled", "url"}})
	at := g.graphURL()
	if !g.flag("enabled") {
		return nil
	}
	return &Graph{URL: at}
}

// graphApart is graph for a connection whose people sign in over another
// protocol than the one by which access is granted.
func (s section) graphApart() *Graph {
	if s.get("graph") == nil {
		return nil
	}
	g := s.sub("graph", shape{keys: s.r.noFiles(append(clientKeys(), "enabled", "url", "issuer")), hints: clientHints()})
	client := g.client("the id of an application of the tenant that may read groups")
	out := &Graph{URL: g.graphURL(), Client: &client}
	g.authentication(way{"private_key_file", g.has("private_key_file")})
	if !g.flag("enabled") {
		return nil
	}
	return out
}

func (s section) graphURL() string {
	const want = "the https URL of the service's version, such as " + publicGraph
	return scalar(s, "url", want, publicGraph, func(v string) (string, bool) {
		u, got := webURL(v)
		return strings.TrimSuffix(v, "/"), got == "" && (u.Scheme == "https" || loopback(strings.ToLower(u.Hostname()))) && s.r.reachable(v)
	})
}

const publicGraph = "https://graph.microsoft.com/v1.0"

// issuer reads the issuer, which stays as it was written: it is compared with
// iss character by character (OpenID Connect Discovery 1.0, section 4.3).
func (s section) issuer() string {
	const k, want = "issuer", "an https URL without a query (http on loopback only)"
	s.missing(k, want)
	n := s.get(k)
	if n == nil {
		return ""
	}
	if n.kind != text {
		s.r.wrong(n, s.key(k), want)
		return ""
	}
	u, got := webURL(n.text)
	if got == "" && u.Scheme == "http" && !loopback(strings.ToLower(u.Hostname())) {
		got = show(n.text)
	}
	if got == "" && !s.r.reachable(n.text) {
		got = "an address of the gate's own network"
	}
	if got != "" {
		s.r.problem(n.line, n.col, "%s: want %s, got %s", s.key(k), want, got)
		return ""
	}
	if ofNoTenant(n.text) {
		const own = "the tenant's own issuer, such as https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0 with its Directory (tenant) ID"
		s.r.wrong(n, s.key(k), own)
		return ""
	}
	return n.text
}

// scopes reads what is asked for. Without openid it would not be OpenID
// Connect (OpenID Connect Core 1.0, section 3.1.2.1), so it is always there.
func (s section) scopes() []string {
	const openID = "openid"
	if !s.has("scopes") {
		return []string{openID, "profile", "email"}
	}
	out := s.texts("scopes", "a list of scopes", "a scope (RFC 6749, section 3.3)", func(v string) (string, bool) {
		return v, v != "" && len(v) <= 255 && !strings.ContainsFunc(v, func(c rune) bool {
			return c <= ' ' || c > '~' || c == '"' || c == '\\'
		})
	})
	if !slices.Contains(out, openID) {
		out = slices.Insert(out, 0, openID)
	}
	return out
}

func (s section) claims(preset Claims) Claims {
	const want = "the name of a claim"
	c := s.sub("claims", shape{keys: []string{"groups", "email", "name", "roles", "user_name"}})
	return Claims{
		Groups:   c.text("groups", want, preset.Groups, visible),
		Email:    c.text("email", want, preset.Email, visible),
		Name:     c.text("name", want, preset.Name, visible),
		Roles:    c.text("roles", want, preset.Roles, visible),
		UserName: c.text("user_name", want, preset.UserName, visible),
	}
}
