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
		keys: s.r.noFiles([]string{
			"issuer", "client_id", "client_secret_file", "client_secret_env", "client_secret_next_file", "client_secret_next_env",
			"client_secret_expires", "private_key_jwt", "public_client", "scopes", "claims", "refresh", "refresh_every", "graph", "allow_private_addresses",
		}),
		later: []string{"private_key_file", "acr", "acr_values", "max_age"},
		hints: map[string]string{
			"client_secret":      "want the secret in a file or an environment variable that client_secret_file or client_secret_env names, got it in this file",
			"client_secret_next": "want the secret in a file or an environment variable that client_secret_next_file or client_secret_next_env names, got it in this file",
		},
	})
	o.missing("client_id", "the id of our client there")
	out := &OIDC{
		Issuer:       o.issuer(),
		ClientID:     o.text("client_id", "the id of our client there", "", visible),
		ClientSecret: o.secret("client_secret_file", "client_secret_env"),
		NextSecret:   o.secret("client_secret_next_file", "client_secret_next_env"),
		SecretExpires: scalar(o, "client_secret_expires", "a day such as 2027-03-31", time.Time{}, func(v string) (time.Time, bool) {
			at, err := time.Parse(time.DateOnly, v)
			return at, err == nil
		}),
		KeyJWT:       o.flag("private_key_jwt"),
		Scopes:       o.scopes(),
		Claims:       o.claims(preset.Claims),
		Graph:        o.graph(),
		AllowPrivate: o.flag("allow_private_addresses"),
	}
	out.Refresh = o.flag("refresh") || slices.Contains(out.Scopes, "offline_access")
	out.RefreshEvery = o.refreshEvery(out.Refresh)
	o.authentication(out.KeyJWT, o.flag("public_client"))
	return out
}

// authentication wants exactly one way in which our client proves itself.
func (s section) authentication(key, public bool) {
	secret := s.has("client_secret_file") || s.has("client_secret_env")
	next := s.has("client_secret_next_file") || s.has("client_secret_next_env")
	other := ""
	switch {
	case key && public:
		other = "public_client"
	case key:
		other = "private_key_jwt"
	case public:
		other = "public_client"
	}
	if n := s.values[other]; n != nil && (secret || next || key && public) {
		s.r.problem(n.line, n.col, "%s: want one of client_secret_file, client_secret_env, private_key_jwt and public_client, got several", s.key(other))
	}
	switch {
	case other != "", s.at.has("client_secret"):
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
	const want = "the https URL of the service's version, such as " + publicGraph
	at := scalar(g, "url", want, publicGraph, func(v string) (string, bool) {
		u, got := webURL(v)
		return strings.TrimSuffix(v, "/"), got == "" && (u.Scheme == "https" || loopback(strings.ToLower(u.Hostname()))) && s.r.reachable(v)
	})
	if !g.flag("enabled") {
		return nil
	}
	return &Graph{URL: at}
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
