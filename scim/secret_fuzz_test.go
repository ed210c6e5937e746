package scim

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// FuzzLoggedQuery: whatever a query is, what stands in the log holds no secret,
// as it stands or decoded, and says the same when it is taken for a query again.
func FuzzLoggedQuery(f *testing.F) {
	for _, seed := range []string{
		"filter=userName+eq+%22ada%22&count=1", "access_token=pcs_abc", "filter=pcs_a;pcc_b", "sortBy=%70cs%5Fa&Count=%zz",
		"pct_2", "cursor", "filter=pcs_pca_x", "filter=%70%63s_%61&&&=pcs_a", "attributes=PCS_A,b",
	} {
		f.Add(seed)
	}
	secret := regexp.MustCompile(`(?i)pc[scat]_[0-9a-z]`)
	f.Fuzz(func(t *testing.T, raw string) {
		logged := withoutSecrets(loggedQuery(raw))
		if secret.MatchString(logged) {
			t.Errorf("loggedQuery(%q) = %q, which holds a secret", raw, logged)
		}
		if len(logged) > journalPath {
			return // it is cut there
		}
		for pair := range strings.SplitSeq(logged, "&") {
			if text, err := url.QueryUnescape(pair); err != nil || secret.MatchString(text) {
				t.Errorf("loggedQuery(%q) has %q, which holds a secret, or cannot be read: %v", raw, pair, err)
			}
		}
		if again := loggedQuery(logged); again != logged {
			t.Errorf("loggedQuery(%q) = %q, and of that %q", raw, logged, again)
		}
	})
}
