package config

import (
	"strings"
	"unicode"
)

// SAML is a connection's SAML 2.0 identity provider, and what we are there.
type SAML struct {
	MetadataFile     string // absolute; empty where MetadataURL says where to ask
	MetadataURL      string // https, or http on loopback; empty where MetadataFile names it
	Metadata         string // the document itself; only of a [Stored] connection
	MetadataSigner   string // absolute path of PEM certificates, one of which must have signed the metadata; empty for none
	ProviderEntityID string // which provider of the metadata is meant; empty where there is one
	EntityID         string // what we are called there; empty for the address of our metadata
	Binding          string // ByRedirect or ByPOST; empty for what the provider has

	AllowIDPInitiated bool     // people may begin at the provider, which no request of ours vouches for
	AllowSHA1         bool     // signatures may rest on SHA-1
	SignRequests      bool     // defaults to true
	ForceAuthn        bool     // people prove themselves anew at each sign-in
	AuthnContext      []string // one of these classes must be answered, whatever a route demands besides; empty for any
	AllowPrivate      bool     // the provider's names may resolve into private networks

	Subject    string     // the attribute that says who they are for good; empty for the preset's, or the NameID
	Attributes Attributes // the preset's where the file does not say
	Graph      *Graph     // nil: groups that an assertion leaves out stay unknown
}

// The bindings by which a request is sent.
const (
	ByRedirect = "redirect"
	ByPOST     = "post"
)

// saml reads the SAML identity provider; nil where the connection has none.
func (s section) saml(preset Preset) *SAML {
	if s.get("saml") == nil {
		return nil
	}
	sh := shape{
		keys: s.r.noFiles([]string{
			"metadata_file", "metadata_url", "metadata_signer_file", "provider_entity_id", "entity_id", "binding", "allow_idp_initiated",
			"allow_sha1", "sign_requests", "force_authn", "authn_context", "allow_private_addresses", "subject", "attributes", "graph",
		}),
		hints: map[string]string{
			"name_id":     "want the attribute that says who somebody is in subject, got name_id",
			"metadata":    "want metadata_file or metadata_url, got metadata",
			"certificate": "want the provider's certificates in its metadata (metadata_file or metadata_url), got one by itself",
		},
	}
	if s.r.stored {
		delete(sh.hints, "metadata")
		sh.keys = append(sh.keys, "metadata")
	}
	p := s.sub("saml", sh)
	const uri = "a name of at most 1024 characters without spaces, such as a URL"
	out := &SAML{
		MetadataFile:      p.filePath("metadata_file"),
		MetadataURL:       p.metadataURL(),
		Metadata:          p.document("metadata"),
		MetadataSigner:    p.filePath("metadata_signer_file"),
		ProviderEntityID:  p.text("provider_entity_id", uri, "", entityID),
		EntityID:          p.text("entity_id", uri, "", entityID),
		AllowIDPInitiated: p.flag("allow_idp_initiated"),
		AllowSHA1:         p.flag("allow_sha1"),
		SignRequests:      !p.has("sign_requests") || p.flag("sign_requests"),
		ForceAuthn:        p.flag("force_authn"),
		AuthnContext:      p.texts("authn_context", "a list of authentication context classes", "an authentication context class", oneWord),
		AllowPrivate:      p.flag("allow_private_addresses"),
		Subject:           p.text("subject", "the name of an attribute", "", visible),
		Attributes:        p.attributes(preset.Attributes),
		Graph:             p.graphApart(),
	}
	if p.has("binding") {
		out.Binding = p.choice("binding", ByRedirect, ByPOST)
	}
	p.oneMetadata()
	if n := p.get("allow_sha1"); out.AllowSHA1 {
		p.r.warn(n, "%s: SHA-1 signatures can be forged with effort: have the provider sign with SHA-256", p.key("allow_sha1"))
	}
	return out
}

// oneMetadata wants exactly one place that the provider's metadata is at.
func (s section) oneMetadata() {
	file, address := s.has("metadata_file") || s.has("metadata"), s.has("metadata_url")
	switch n := s.values["metadata_url"]; {
	case s.absent, !s.r.stored && s.at.has("metadata"):
	case file && address:
		s.r.problem(n.line, n.col, "%s: want one of metadata_file and metadata_url, got both", s.key("metadata_url"))
	case !file && !address:
		s.missing("metadata_file", "the path of the provider's metadata (or metadata_url, its address)")
	}
}

// filePath reads the path of a file; empty where there is none.
func (s section) filePath(k string) string {
	v := s.text(k, "the path of a file", "", fileName)
	if v == "" {
		return ""
	}
	return s.r.resolve(v)
}

// metadataURL reads where metadata is fetched; it may have a query, as that of
// Entra ID has.
func (s section) metadataURL() string {
	v := s.text("metadata_url", "an https URL (http on loopback only)", "", func(v string) bool {
		plain, query, _ := strings.Cut(v, "?")
		u, got := webURL(plain)
		return got == "" && (u.Scheme == "https" || loopback(strings.ToLower(u.Hostname()))) && s.r.reachable(plain) &&
			!strings.ContainsAny(query, "#") && !strings.ContainsFunc(query, unicode.IsSpace)
	})
	if ofManyTenants(v) {
		s.r.wrong(s.get("metadata_url"), s.key("metadata_url"), "the address of one tenant's metadata, with its Directory (tenant) ID")
	}
	return v
}

// entityID reports whether v can name a party (SAML metadata, section 2.2.1).
func entityID(v string) bool {
	return v != "" && len(v) <= 1024 && !strings.ContainsFunc(v, func(c rune) bool { return unicode.IsSpace(c) || unprintable(c) })
}

// attributes reads which attributes facts are read from: a name, or several of
// which the first that is there counts.
func (s section) attributes(preset Attributes) Attributes {
	a := s.sub("attributes", shape{
		keys:  []string{"groups", "email", "name", "roles", "user_name"},
		hints: map[string]string{"subject": "want subject beside attributes, got it inside"},
	})
	names := func(k string, def []string) []string {
		const want = "the name of an attribute"
		switch n := a.get(k); {
		case n == nil:
			return def
		case n.kind == list:
			return a.texts(k, want+" or a list of them", want, func(v string) (string, bool) { return v, visible(v) })
		default:
			if v := a.text(k, want+" or a list of them", "", visible); v != "" {
				return []string{v}
			}
			return def
		}
	}
	return Attributes{
		Subject: preset.Subject, Groups: names("groups", preset.Groups), Email: names("email", preset.Email),
		Name: names("name", preset.Name), Roles: names("roles", preset.Roles), UserName: names("user_name", preset.UserName),
	}
}
