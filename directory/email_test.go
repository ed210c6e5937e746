package directory

import (
	"strings"
	"testing"
)

// FuzzEMailDomain: what counts as the domain of an address is what comes
// after its only @, whatever else the text holds; and an address of a domain
// is never seen as one of another.
func FuzzEMailDomain(f *testing.F) {
	for _, seed := range []string{
		"a@b.example", "a@evil@b.example", "@b.example", "a@", "a@b.example.", "a@B.EXAMPLE", `"a@b"@c.example`, "a@b.example\n", "a b@c", "\xff@\xff",
		"a@..", "a@.",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, email string) {
		domain, ok := emailDomain(email)
		if !ok {
			if domain != "" {
				t.Errorf("emailDomain(%q) = %q with false", email, domain)
			}
			return
		}
		if strings.Count(email, "@") != 1 || strings.ContainsAny(domain, "@ \t\r\n") || domain == "" {
			t.Errorf("emailDomain(%q) = %q: not the domain of one plain address", email, domain)
		}
		if again, ok := emailDomain("x@" + domain); !ok && !strings.HasSuffix(domain, ".") || ok && !strings.HasPrefix(domain, again) {
			t.Errorf("emailDomain of its own answer %q = %q, %v", domain, again, ok)
		}
		if strings.ToLower(email) == email && !strings.HasSuffix(email, domain) && !strings.HasSuffix(email, domain+".") {
			t.Errorf("emailDomain(%q) = %q: not its end", email, domain)
		}
	})
}
