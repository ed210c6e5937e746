package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// connections reads the identity providers.
func (s section) connections() []Connection {
	const k, want = "connections", "a list of at least one connection"
	s.missing(k, want)
	if n := s.get(k); n != nil && n.kind == list && len(n.items) == 0 {
		s.r.problem(n.line, n.col, "%s: want at least one connection, got an empty list", s.key(k))
	}
	var out []Connection
	lines := map[string]int{}
	owners := map[string]claim{}
	for _, it := range s.items(k, want) {
		cs := s.r.section(it.node, it.key, shape{
			keys:  []string{"id", "organization", "domains", "addresses", "provisioning", "link", "sub_organization", "preset", "oidc", "saml", "scim"},
			later: []string{"guard", "title", "ceiling"},
		})
		c := cs.connection()
		if n := cs.get("id"); n != nil && c.ID != "" {
			if line, twice := lines[c.ID]; twice {
				s.r.problem(n.line, n.col, "%s: want each id once, got %s again (first at line %d)", cs.key("id"), show(c.ID), line)
			}
			lines[c.ID] = n.line
		}
		cs.domains(&c, owners)
		out = append(out, c)
	}
	return out
}

// connection reads one identity provider, but for its domains.
func (s section) connection() Connection {
	const id = "lower-case letters, digits and -, at most 63, starting with a letter or digit"
	s.missing("id", id)
	c := Connection{
		ID:           s.text("id", id, "", idShape.MatchString),
		Provisioning: s.choice("provisioning", JIT, BySCIM),
		Preset:       s.preset(),
		SCIM:         s.scim(),
		Addresses:    s.some("addresses"),
	}
	c.OIDC, c.SAML = s.oidc(PresetOf(c.Preset)), s.saml(PresetOf(c.Preset))
	if c.OIDC != nil {
		c.OIDC.Contexts = c.Preset == entra || ofEntra(c.OIDC.Issuer)
	}
	if n := s.get("saml"); n != nil && s.has("oidc") {
		s.r.problem(n.line, n.col, "%s: want one of oidc and saml in a connection, got both", s.key("saml"))
	}
	c.Organization = s.text("organization", "a name", c.ID, visible)
	c.Link = s.link(c.SCIM)
	c.SubOrganization = s.subOrganization(c.SCIM)
	if n := s.get("provisioning"); c.Provisioning == BySCIM && !c.SCIM.Enabled && n != nil {
		s.r.problem(n.line, n.col, `%s: want scim: {enabled: true} in the connection with "scim", got SCIM turned off`, s.key("provisioning"))
	}
	switch {
	case s.absent, s.has("oidc"), s.has("saml"):
	case c.SCIM.Enabled:
		s.r.warn(s.at, "%s: nobody can sign in here: it has neither oidc nor saml and only receives SCIM", s.path)
	default:
		s.missing("oidc", "the identity provider, {issuer: …, client_id: …, client_secret_file: …} (or saml, {metadata_file: …})")
	}
	return c
}

// has reports whether a mapping has a key.
func (n *node) has(key string) bool {
	return slices.ContainsFunc(n.pairs, func(p pair) bool { return p.key.text == key })
}

// claim is who claimed an e-mail domain first.
type claim struct{ organization, connection string }

// domains reads the e-mail domains of c. An address must lead to one
// organization alone, whoever wrote the file.
func (s section) domains(c *Connection, owners map[string]claim) {
	const want, each = "a list of e-mail domains", "an e-mail domain such as example.com (xn--… for letters beyond ASCII)"
	c.Domains = s.texts("domains", want, each, emailDomain)
	n := s.get("domains")
	if n == nil {
		return
	}
	for i, it := range n.items {
		d, ok := emailDomain(it.text)
		if !ok || it.kind != text {
			continue
		}
		owner, claimed := owners[d]
		if !claimed {
			owners[d] = claim{c.Organization, s.path}
		} else if owner.organization != c.Organization {
			s.r.problem(it.line, it.col, "%s[%d]: want a domain of one organization, got %s, which is of %s (%s)",
				s.key("domains"), i, show(d), show(owner.organization), owner.connection)
		}
	}
}

// link reads the attribute on which a SCIM record and a sign-in meet. It must
// tell people apart and must not be an e-mail address, which is never identity.
func (s section) link(sc SCIM) string {
	names := []string{"externalId", "userName", "employeeNumber"}
	for _, name := range slices.Sorted(maps.Keys(sc.Attributes)) {
		if sc.Attributes[name] == "string" {
			names = append(names, name)
		}
	}
	return scalar(s, "link", "externalId, userName, employeeNumber or a string of scim.attributes", names[0], func(v string) (string, bool) {
		for _, name := range names {
			if strings.EqualFold(v, name) { // RFC 7643, section 2.1: attribute names are case insensitive
				return name, true
			}
		}
		return "", false
	})
}

// subOrganization reads how the identity provider names people's part of the
// organization.
func (s section) subOrganization(sc SCIM) SubOrganization {
	sub := s.sub("sub_organization", shape{keys: []string{"attribute", "claim"}})
	out := SubOrganization{
		Attribute: sub.text("attribute", "the name of a SCIM attribute, such as division or department", "", attributeShape.MatchString),
		Claim:     sub.text("claim", "the name of a claim, or of a SAML attribute", "", visible),
	}
	if n := s.get("sub_organization"); n != nil && !sub.has("attribute") && !sub.has("claim") && n.kind == mapping {
		s.r.problem(n.line, n.col, "%s: want attribute, claim, or both, got neither", s.key("sub_organization"))
	}
	if n := sub.get("attribute"); n != nil && !sc.Enabled {
		s.r.problem(n.line, n.col, "%s: want scim: {enabled: true} in the connection, got SCIM turned off", sub.key("attribute"))
	}
	return out
}

func (s section) scim() SCIM {
	sc := s.sub("scim", shape{keys: []string{"enabled", "attributes", "guard"}, later: []string{"oauth"}})
	guard := sc.sub("guard", shape{keys: []string{"percent", "people"}})
	out := SCIM{
		Enabled: sc.flag("enabled"), Attributes: map[string]string{},
		Guard: Guard{Percent: guard.whole("percent", 20, 100), People: guard.whole("people", 10, 1_000_000)},
	}
	n := sc.get("attributes")
	if n == nil {
		return out
	}
	key := sc.key("attributes")
	if n.kind != mapping {
		s.r.wrong(n, key, "a mapping of names to types")
		return out
	}
	types := []string{"string", "boolean", "integer", "decimal", "dateTime"}
	lines := map[string]int{}
	for _, p := range n.pairs {
		name, folded := p.key.text, strings.ToLower(p.key.text)
		at := fmt.Sprintf("%s.%s", key, printable(name))
		line, twice := lines[folded]
		lines[folded] = p.key.line
		switch {
		case !attributeShape.MatchString(name):
			s.r.problem(p.key.line, p.key.col, "%s: want a name of letters, digits, - and _ that starts with a letter, got another", at)
		case slices.Contains([]string{"id", "schemas", "meta", "externalid", "username", "employeenumber"}, folded):
			s.r.problem(p.key.line, p.key.col, "%s: want a name of your own, got one of SCIM's", at)
		case twice:
			s.r.problem(p.key.line, p.key.col, "%s: want each name once, whatever its case, got it again (first at line %d)", at, line)
		case p.value.kind != text || !slices.Contains(types, p.value.text):
			s.r.wrong(p.value, at, strings.Join(types[:4], ", ")+" or "+types[4])
		default:
			out.Attributes[name] = p.value.text
		}
	}
	return out
}
