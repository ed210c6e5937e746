package directory

import (
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Address is the e-mail address of somebody as a portal may see it and as the
// mapping compares it: one plain address that is read alike everywhere. It is
// empty where Email is anything else: one may find another address in it than
// the next.
func (p *Person) Address() string {
	plain, _ := plainAddress(p.Email)
	return plain
}

// Foreign reports whether the address of somebody lies in a domain that another
// organization has claimed, by the connections of now.
func (d *Directory) Foreign(p *Person) bool {
	w, organization := d.ways.Load(), p.Organization
	if conn, ok := w.byID[p.Connection]; ok {
		organization = conn.Organization // where both are about to change, one without the other says nothing
	}
	return w.foreign(organization, p.Email)
}

// hold completes a standing with what the store does not know.
func (d *Directory) hold(s *Standing) { s.Foreign = d.Foreign(&s.Person) }

// foreign reports whether an address lies in a domain that another
// organization has claimed. E-mail links nothing here, but a portal may key
// on it all the same, and may read an address out of what is none: with a
// space behind it, two in one, in other letters. So every domain counts that
// anybody might see.
func (w *ways) foreign(organization, email string) bool {
	taken := func(domain string) bool {
		owner, claimed := w.claimed[domain]
		return claimed && owner != organization
	}
	if _, domain := plainAddress(email); domain != "" && isASCII(email) {
		return taken(domain)
	}
	_, rest, found := strings.Cut(norm.NFKC.String(email), "@")
	for found {
		var part string
		part, rest, found = strings.Cut(rest, "@")
		// IDNA2003 reads some letters in another way, such as ß, and so may a portal.
		if part = visibleDomain(part); taken(inASCII(part, false)) || taken(inASCII(part, true)) {
			return true
		}
	}
	return false
}

// sameOwners reports whether nobody's address became foreign, or stopped being
// so, between two moments.
func (w *ways) sameOwners(next *ways) bool {
	if len(w.claimed) != len(next.claimed) || len(w.byID) != len(next.byID) {
		return false
	}
	for domain, owner := range w.claimed {
		if next.claimed[domain] != owner {
			return false
		}
	}
	for id, conn := range w.byID {
		if other, ok := next.byID[id]; !ok || other.Organization != conn.Organization {
			return false
		}
	}
	return true
}

// plainAddress gives an address in normal form (NFKC) and its domain in the
// form of the configuration: ASCII and lower case. Both are empty for what is
// not one dot-atom on each side of an @ (RFC 5322, section 3.4.1, with the
// letters of RFC 6531), and where the domain is none by RFC 5891.
func plainAddress(email string) (plain, domain string) {
	plain = norm.NFKC.String(email)
	local, host, found := strings.Cut(plain, "@")
	if !found || !isDotted(local, partOfLocal) || !isDotted(host, partOfLabel) {
		return "", ""
	}
	ascii := strings.ToLower(host)
	if !isPlainHost(ascii) {
		var err error
		profile := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true))
		if ascii, err = profile.ToASCII(host); err != nil {
			return "", ""
		}
	}
	return plain, ascii
}

// isDotted reports whether text is words with single dots between.
func isDotted(text string, part func(rune) bool) bool {
	after := '.'
	for _, r := range text {
		if r == '.' && after == '.' || r != '.' && !part(r) {
			return false
		}
		after = r
	}
	return after != '.'
}

// partOfLocal reports whether a rune may stand in front of the @ (RFC 5322,
// section 3.2.3: atext).
func partOfLocal(r rune) bool {
	return partOfLabel(r) || r < unicode.MaxASCII && strings.ContainsRune("!#$%&'*+/=?^_`{|}~", r)
}

// partOfLabel reports whether a rune may stand in a label of a domain, as it is
// written by people.
func partOfLabel(r rune) bool {
	if r <= unicode.MaxASCII {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-'
	}
	return r != unicode.ReplacementChar && unicode.In(r, unicode.L, unicode.M, unicode.N)
}

// isPlainHost reports whether a domain of good runes is one by RFC 1034 that
// needs no look at other letters.
func isPlainHost(domain string) bool {
	const most, label = 253, 63 // octets: RFC 1035, section 2.3.4
	if len(domain) > most || !isASCII(domain) {
		return false
	}
	for part := range strings.SplitSeq(domain, ".") {
		if len(part) > label || strings.HasPrefix(part, "-") || strings.HasSuffix(part, "-") || strings.HasPrefix(part, "xn--") {
			return false
		}
	}
	return true
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] > unicode.MaxASCII {
			return false
		}
	}
	return true
}

// visibleDomain is the domain that text begins with.
func visibleDomain(text string) string {
	text = strings.TrimLeftFunc(text, func(r rune) bool { return !partOfDomain(r) })
	if end := strings.IndexFunc(text, func(r rune) bool { return !partOfDomain(r) }); end >= 0 {
		text = text[:end]
	}
	return text
}

// inASCII is a domain in the form of the configuration: ASCII, lower case,
// without final dots.
func inASCII(domain string, transitional bool) string {
	// It gives what it could make of a wrong one, too.
	ascii, _ := idna.New(idna.MapForLookup(), idna.Transitional(transitional)).ToASCII(domain)
	return canonicalDomain(ascii)
}

// partOfDomain reports whether a rune can stand in a domain, or is invisible
// in one.
func partOfDomain(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.Cf) || strings.ContainsRune("-.\u3002\uff0d\uff0e\uff61", r)
}

func canonicalDomain(domain string) string { return strings.ToLower(strings.TrimRight(domain, ".")) }
