package session_test

import (
	"errors"
	"testing"
	"time"

	"portcullis/session"
)

func TestAStatementIsSignedOnceUntilItIsStale(t *testing.T) {
	p := &session.Principal{}
	at, signed := time.Unix(1000, 0), 0
	sign := func() (string, time.Time, error) {
		signed++
		return string(rune('a' + signed)), at.Add(time.Minute), nil
	}
	for _, tc := range []struct {
		forward time.Duration
		want    int
	}{{0, 1}, {59 * time.Second, 1}, {time.Second, 2}, {time.Hour, 3}} {
		at = at.Add(tc.forward)
		if text, err := p.Statement(at, "portal", sign); err != nil || text != string(rune('a'+tc.want)) || signed != tc.want {
			t.Errorf("after %v: %q, signed %d times, %v, want %d", tc.forward, text, signed, err, tc.want)
		}
	}
	boom := errors.New("boom")
	if _, err := p.Statement(at.Add(time.Hour), "portal", func() (string, time.Time, error) { return "", time.Time{}, boom }); !errors.Is(err, boom) {
		t.Errorf("Statement = %v, want boom", err)
	}
}

func TestEachAudienceHasAStatementOfItsOwn(t *testing.T) {
	p, at := &session.Principal{}, time.Unix(1000, 0)
	for range 2 {
		for _, audience := range []string{"portal", "legacy", "reports"} {
			text, err := p.Statement(at, audience, func() (string, time.Time, error) { return "for " + audience, at.Add(time.Minute), nil })
			if err != nil || text != "for "+audience {
				t.Errorf("Statement(%s) = %q, %v", audience, text, err)
			}
		}
	}
}
