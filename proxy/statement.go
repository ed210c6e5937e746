package proxy

import (
	"crypto/rand"
	"strings"
	"time"

	"portcullis/mapping"
	"portcullis/session"
)

// Life of the assertion: signed once a minute at most, so that whoever gets
// one has at least four minutes to use it, unless the session ends before.
const (
	assertionLife  = 5 * time.Minute
	assertionReuse = time.Minute
)

// claims is the assertion on the wire (RFC 7519).
type claims struct {
	Issuer       string          `json:"iss"`
	Audience     string          `json:"aud"`
	Subject      string          `json:"sub"`
	Session      string          `json:"sid"`
	ID           string          `json:"jti"`
	Issued       int64           `json:"iat"`
	Expires      int64           `json:"exp"`
	Connection   string          `json:"connection"`
	Organization string          `json:"organization"`
	Email        string          `json:"email"`
	Name         string          `json:"name"`
	Roles        []string        `json:"roles"`
	Tasks        []string        `json:"tasks"`
	Permissions  permissionsJSON `json:"permissions"`
}

// permissionsJSON is [mapping.Permissions] on the wire: ORs of ANDs, as they
// are evaluated. No list is null.
type permissionsJSON struct {
	Unrestricted bool             `json:"unrestricted"`
	AnyOf        []map[string]any `json:"anyOf"`
	AllOf        []map[string]any `json:"allOf"`
}

func permissionsOf(p mapping.Permissions) permissionsJSON {
	return permissionsJSON{Unrestricted: p.Unrestricted, AnyOf: wheres(p.AnyOf), AllOf: wheres(p.AllOf)}
}

func wheres(list []mapping.Where) []map[string]any {
	out := make([]map[string]any, 0, len(list))
	for _, w := range list {
		m := make(map[string]any, len(w))
		for attr, c := range w {
			m[attr] = constraint(c)
		}
		out = append(out, m)
	}
	return out
}

// constraint is one of "*", {"prefix": …}, {"not": […]} and […].
func constraint(c mapping.Constraint) any {
	switch {
	case c.Any:
		return "*"
	case c.Prefix != "":
		return map[string]string{"prefix": c.Prefix}
	case c.Not != nil:
		return map[string][]string{"not": c.Not}
	default:
		return list(c.In)
	}
}

// list is s, and an empty list instead of none.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// statement gives the signed assertion of a session for an audience: one a
// minute, however many requests there are.
func (p *Proxy) statement(who *session.Principal, audience string, now time.Time) (string, error) {
	return who.Statement(now, audience, func() (string, time.Time, error) {
		text, err := p.keys.Sign(claims{
			Issuer: p.issuer, Audience: audience, Subject: who.Subject, Session: who.SessionID, ID: rand.Text(),
			Issued: now.Unix(), Expires: earlier(now.Add(assertionLife), who.Expires).Unix(),
			Connection: who.Connection, Organization: who.Organization, Email: who.Email, Name: who.Name,
			Roles: list(who.Access.Roles), Tasks: list(who.Access.Tasks), Permissions: permissionsOf(who.Access.Permissions),
		})
		return text, earlier(now.Add(assertionReuse), who.Expires), err
	})
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// roles joins role names with commas; a comma in a name is encoded.
func roles(names []string) string {
	if len(names) == 1 {
		return plain(names[0], ',')
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = plain(n, ',')
	}
	return strings.Join(out, ",")
}

// plain percent-encodes what must not stand in a header, spaces at the ends
// (which readers strip) and the byte also; "%" is one that must not.
func plain(s string, also byte) string {
	const hex = "0123456789ABCDEF"
	odd := func(i int) bool {
		c := s[i]
		return c < ' ' || c > '~' || c == '%' || c == also || c == ' ' && (i == 0 || i == len(s)-1)
	}
	i := 0
	for i < len(s) && !odd(i) {
		i++
	}
	if i == len(s) {
		return s
	}
	var b strings.Builder
	b.WriteString(s[:i])
	for ; i < len(s); i++ {
		if odd(i) {
			b.Write([]byte{'%', hex[s[i]>>4], hex[s[i]&15]})
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
