package session_test

import (
	"errors"
	"fmt"
	"strings"
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

// A bound in bytes holds whatever the statements' size; the oldest go first,
// and come again when they are asked for.
func TestStatementsAreBounded(t *testing.T) {
	b, stop := newBubble(t)
	defer stop()
	at, signed := time.Unix(1000, 0), 0
	large := strings.Repeat("x", 1<<20)
	sign := func() (string, time.Time, error) { signed++; return large, at.Add(time.Minute), nil }
	var people []*session.Principal
	for i := range 40 {
		p, err := b.Verify(t.Context(), b.enter(fmt.Sprint("ada", i)))
		must(t, err)
		people = append(people, p)
		if _, err := p.Statement(at, "portal", sign); err != nil {
			t.Fatal(err)
		}
	}
	if size := b.Stats().Statements; size > 16<<20 || size < 8<<20 {
		t.Errorf("%d bytes are remembered, want up to 16 MiB", size)
	}
	signed = 0
	for _, i := range []int{39, 38, 0} {
		if text, err := people[i].Statement(at, "portal", sign); err != nil || text != large {
			t.Errorf("statement %d = %d bytes, %v", i, len(text), err)
		}
	}
	if signed != 1 {
		t.Errorf("%d were signed again, want the oldest alone", signed)
	}
}
