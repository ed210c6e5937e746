package directory

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// foreign reports whether an address lies in a domain that another
// organization has claimed. E-mail links nothing here, but a portal may key
// on it all the same, and may read an address out of what is none: with a
// space behind it, two in one, in other letters. So every domain counts that
// anybody might see.
func (d *Directory) foreign(conn Connection, email string) bool {
	email = strings.NewReplacer("\uff20", "@", "\ufe6b", "@").Replace(email) // its wide and its small form
	_, rest, found := strings.Cut(email, "@")
	for found {
		var part string
		part, rest, found = strings.Cut(rest, "@")
		if owner, taken := d.ways.Load().claimed[visibleDomain(part)]; taken && owner != conn.Organization {
			return true
		}
	}
	return false
}

// visibleDomain is the domain that text begins with, in the form of the
// configuration: ASCII, lower case, without final dots.
func visibleDomain(text string) string {
	text = strings.TrimLeftFunc(text, func(r rune) bool { return !partOfDomain(r) })
	if end := strings.IndexFunc(text, func(r rune) bool { return !partOfDomain(r) }); end >= 0 {
		text = text[:end]
	}
	ascii, _ := idna.New(idna.MapForLookup()).ToASCII(text) // gives what it could make of a wrong one, too
	return canonicalDomain(ascii)
}

// partOfDomain reports whether a rune can stand in a domain, or is invisible
// in one.
func partOfDomain(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.Cf) || strings.ContainsRune("-.\u3002\uff0d\uff0e\uff61", r)
}

func canonicalDomain(domain string) string { return strings.ToLower(strings.TrimRight(domain, ".")) }
