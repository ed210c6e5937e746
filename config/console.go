package config

import (
	"net/netip"
	"net/url"
	"strings"
)

// Stored is a connection that was made in the console and is kept in the
// database.
type Stored struct {
	// Document is the connection as it would stand in a file, in YAML or JSON:
	// one item of connections. It names no file; the secrets that it names as
	// environment variables are looked up in Secrets, and the metadata of a
	// SAML provider may stand under saml.metadata.
	Document []byte
	Secrets  map[string]string
	// Private lets it name identity providers by loopback and private
	// addresses: where the gate itself is on loopback.
	Private bool
}

// ParseConnection reads a stored connection with the code that reads those of
// a file. others are those that it must agree with, on e-mail domains. The
// error is [Problems], whose positions are in the document.
func ParseConnection(s Stored, others []Connection) (Connection, error) {
	r := &reader{file: "connection", stored: true, private: s.Private, env: func(name string) (string, bool) {
		v, ok := s.Secrets[name]
		return v, ok
	}}
	root := r.tree(s.Document)
	if root == nil {
		return Connection{}, sorted(r.problems)
	}
	at := r.section(root, "", shape{
		keys:  []string{"id", "organization", "domains", "addresses", "provisioning", "link", "sub_organization", "preset", "oidc", "saml", "scim"},
		later: []string{"guard", "title", "ceiling"},
	})
	c := at.connection()
	owners := make(map[string]claim)
	for _, o := range others {
		for _, d := range o.Domains {
			owners[d] = claim{o.Organization, "connection " + o.ID}
		}
	}
	at.domains(&c, owners)
	if len(r.problems) > 0 {
		return Connection{}, sorted(r.problems)
	}
	return c, nil
}

// reachable reports whether an address may be one of an identity provider. A
// file may name what it wants; the console may not reach into the network that
// the gate stands in.
func (r *reader) reachable(address string) bool {
	if !r.stored || r.private {
		return true
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if loopback(host) || host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return false
	}
	ip, err := netip.ParseAddr(host)
	ip = ip.Unmap()
	return err != nil || ip.IsGlobalUnicast() && !ip.IsPrivate() && !inside(ip)
}

// inside reports whether an address is of a sort that the gate's guard takes
// for private, and the standard library does not: who names one address of that
// sort may lead the gate to all of them.
func inside(ip netip.Addr) bool {
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10)    // RFC 6598
	site := netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfe, 0xc0}), 10) // RFC 3879
	return shared.Contains(ip) || site.Contains(ip)
}

// noFiles takes the keys that name files away, and those that open the gate's
// own network, from what a stored connection may hold.
func (r *reader) noFiles(keys []string) []string {
	if !r.stored {
		return keys
	}
	var out []string
	for _, k := range keys {
		if !strings.HasSuffix(k, "_file") && k != "allow_private_addresses" {
			out = append(out, k)
		}
	}
	return out
}

// maxMetadata bounds the metadata of a stored connection, in bytes.
const maxMetadata = 512 << 10

// document reads metadata that stands in a stored connection.
func (s section) document(k string) string {
	n := s.get(k)
	if n == nil {
		return ""
	}
	if n.kind != text || strings.TrimSpace(n.text) == "" || len(n.text) > maxMetadata {
		s.r.problem(n.line, n.col, "%s: want the text of the provider's metadata, of at most %d bytes", s.key(k), maxMetadata)
		return ""
	}
	return n.text
}
