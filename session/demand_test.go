package session_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"portcullis/session"
)

func TestADemandIsMetByWhatIsKnownAlone(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	both := session.Demand{ACR: []string{"gold"}, MaxAge: 5 * time.Minute}
	for name, tc := range map[string]struct {
		demand session.Demand
		acr    string
		at     time.Time
		met    bool
	}{
		"nothing asked":        {session.Demand{}, "", time.Time{}, true},
		"nothing known":        {both, "", time.Time{}, false},
		"class alone":          {both, "gold", time.Time{}, false},
		"time alone":           {both, "", now, false},
		"both":                 {both, "gold", now, true},
		"at the bound":         {both, "gold", now.Add(-6 * time.Minute), true},
		"beyond it":            {both, "gold", now.Add(-6*time.Minute - time.Second), false},
		"their clock is ahead": {both, "gold", now.Add(50 * time.Second), true},
		"another case":         {both, "Gold", now, false},
		"one of several":       {both, "silver gold", now, true},
		"none of several":      {both, "silver goldfish", now, false},
	} {
		if why := tc.demand.Unmet(tc.acr, tc.at, now); (why == "") != tc.met {
			t.Errorf("%s: unmet = %q, want met %t", name, why, tc.met)
		}
	}
	if got := both.String(); got != "acr gold, signed in at most 5m0s ago" {
		t.Errorf("String = %q", got)
	}
}

// What is met once was met before: time alone takes it away.
func TestADemandThatIsMetWasMetEarlier(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := session.Demand{MaxAge: time.Duration(rapid.Int64Range(1, 1e6).Draw(t, "age")) * time.Second}
		at := time.Unix(rapid.Int64Range(1, 1e9).Draw(t, "at"), 0)
		later := at.Add(time.Duration(rapid.Int64Range(0, 2e6).Draw(t, "later")) * time.Second)
		sooner := at.Add(later.Sub(at) / 2)
		if d.Unmet("", at, later) == "" && d.Unmet("", at, sooner) != "" {
			t.Fatalf("%s is met after %s and not after %s", d, later.Sub(at), sooner.Sub(at))
		}
	})
}
