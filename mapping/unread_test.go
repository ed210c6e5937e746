package mapping_test

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portcullis/mapping"
)

// stored are claims that count how often they are read.
type stored struct {
	claims map[string]any
	read   int
}

func (s *stored) Claims() map[string]any {
	s.read++
	return maps.Clone(s.claims)
}

// Claims that nobody has read yet count as the same ones that somebody has, in
// every answer, and are read once for all rules.
func TestUnreadClaimsCount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawSpec(t).load(t)
		known, at := drawFacts(t), drawTime(t)
		claims := &stored{claims: known.Claims}
		unread := known
		unread.Claims, unread.Unread = nil, claims
		if diff := cmp.Diff(p.Evaluate(&known, at), p.Evaluate(&unread, at)); diff != "" {
			t.Fatalf("access (-read +unread):\n%s", diff)
		}
		if claims.read > 1 {
			t.Fatalf("claims are read %d times", claims.read)
		}
		if diff := cmp.Diff(p.Explain(&known, at), p.Explain(&unread, at)); diff != "" {
			t.Fatalf("explanation (-read +unread):\n%s", diff)
		}
	})
}

// Where no rule asks for claims nobody reads them; and claims that are there
// come before those that nobody has read.
func TestClaimsAreReadWhereARuleAsks(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		match string
		login bool
		read  int
	}{
		{"groups: [{name: a}]", true, 0},
		{"claims: {level: [3]}", true, 1},
		{"claims: {level: [4]}", false, 1},
		{`when: 'claims.level == 3.0 && claims.level > 1.0'`, true, 1},
		{`when: 'user.userName == ""'`, true, 0},
	} {
		p, err := mapping.Load("m.yaml", []byte("version: 1\nconnections: {alpha: {ceiling: unrestricted}}\nroles: {viewer: {}}\nrules:\n"+
			"  - {id: x, match: {connection: alpha, "+tc.match+"}, grant: {roles: [viewer]}}\n"), mapping.Options{})
		if err != nil {
			t.Fatal(err)
		}
		claims := &stored{claims: map[string]any{"level": 3.0}}
		f := mapping.Facts{Connection: "alpha", Groups: []string{"a"}, Unread: claims}
		if got := p.Evaluate(&f, time.Time{}); got.Login != tc.login || claims.read != tc.read {
			t.Errorf("%s: login %t, claims read %d times, want %t, %d", tc.match, got.Login, claims.read, tc.login, tc.read)
		}
		f.Claims = map[string]any{"level": 5.0}
		if got := f.AllClaims()["level"]; got != 5.0 {
			t.Errorf("level = %v, want that of the claims that are there", got)
		}
	}
}
