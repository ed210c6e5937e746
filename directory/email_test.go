package directory

import (
	"net/mail"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

// FuzzEMailDomain: what is passed on of an address is one that everybody reads
// alike, in the domain that it was judged by; anything else is nothing.
func FuzzEMailDomain(f *testing.F) {
	for _, seed := range []string{
		"a@b.example", "a@evil@b.example", "@b.example", "a@", "a@b.example.", "a@B.EXAMPLE", `"a@b"@c.example`, "a@b.example\n", "a b@c", "\xff@\xff",
		"a@..", "a@.", "a@(x)b.example", "a@b. example", "a@b\u2024example", "a@b\ufe52example", "a\uff20b.example", "a@stra\u00dfe.example", "a@xn--b.example",
		"a@b\u3002example", "a.@b.example", "a@-b.example", "jos\u00e9@b.example", "a@[192.0.2.1]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, email string) {
		plain, domain := plainAddress(email)
		if plain == "" || domain == "" {
			if plain != domain {
				t.Errorf("plainAddress(%q) = %q, %q: half of an answer", email, plain, domain)
			}
			return
		}
		if !norm.NFKC.IsNormalString(plain) || strings.Count(plain, "@") != 1 {
			t.Errorf("plainAddress(%q) = %q: not one address in normal form", email, plain)
		}
		if again, same := plainAddress(plain); again != plain || same != domain {
			t.Errorf("plainAddress of its own answer %q = %q, %q", plain, again, same)
		}
		if parsed, err := mail.ParseAddress(plain); err != nil || parsed.Address != plain {
			t.Errorf("plainAddress(%q) = %q, which another reader reads as %v, %v", email, plain, parsed, err)
		}
		for _, r := range domain {
			if r > 'z' || !partOfLabel(r) && r != '.' {
				t.Errorf("plainAddress(%q): the domain %q is not one in ASCII", email, domain)
			}
		}
		w := &ways{claimed: map[string]string{domain: "Beta"}}
		if !w.foreign("Alpha", email) || !w.foreign("Alpha", plain) || w.foreign("Beta", email) {
			t.Errorf("%q is not taken for Beta's alone, who claimed %q", email, domain)
		}
	})
}
