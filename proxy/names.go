package proxy

import (
	"cmp"
	"net/http"
	"net/textproto"
	"slices"
)

// The headers that tell the portal who is there, unless a route calls them
// otherwise.
const (
	headerAssertion = "X-Portcullis-Assertion"
	headerUser      = "X-Portcullis-User"
	headerEmail     = "X-Portcullis-Email"
	headerName      = "X-Portcullis-Name"
	headerRoles     = "X-Portcullis-Roles"
)

// Headers names the headers that tell the portal who is there. What is empty
// keeps its usual name, X-Portcullis-User for User. Whatever a route names is
// dropped from every inbound request, on every path.
type Headers struct {
	User, Email, Name, Roles, Assertion string
}

// names is a complete Headers, in canonical form.
type names Headers

func (h Headers) names() *names {
	name := func(given, usual string) string { return textproto.CanonicalMIMEHeaderKey(cmp.Or(given, usual)) }
	return &names{
		User: name(h.User, headerUser), Email: name(h.Email, headerEmail), Name: name(h.Name, headerName),
		Roles: name(h.Roles, headerRoles), Assertion: name(h.Assertion, headerAssertion),
	}
}

// identities is every header that says who is there, on any route.
func identities(usual *names, rules []rule) []string {
	out := usual.list()
	for i := range rules {
		if n := rules[i].names; n != nil {
			out = append(out, n.list()...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (n *names) list() []string { return []string{n.Assertion, n.User, n.Email, n.Name, n.Roles} }

// identify sets the identity headers. Headers hold printable ASCII only: any
// other byte, and the percent sign, stands as %XX of its UTF-8 (RFC 3986,
// section 2.1), so that "Zoë" arrives as "Zo%C3%AB" and nothing that a person
// or an identity provider writes into a name can add a header. Plain values,
// the assertion among them, arrive as they are. What is empty is left out.
func (n *names) identify(h http.Header, j *journey) {
	for _, v := range [...]struct{ name, value string }{
		{n.Assertion, j.assertion},
		{n.User, plain(j.who.Subject, '%')},
		{n.Email, plain(j.who.Email, '%')},
		{n.Name, plain(j.who.Name, '%')},
		{n.Roles, roles(j.who.Access.Roles)},
	} {
		if v.value != "" {
			h[v.name] = j.line(v.value)
		}
	}
}
