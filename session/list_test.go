package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/session"
	"portcullis/store"
	"portcullis/store/storetest"
)

func TestDeviceSaysWhatIsClaimedAndGuessesNothing(t *testing.T) {
	for claim, want := range map[string]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36":                            "Chrome on Windows",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":              "Edge on Windows",
		"Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0":                                                                     "Firefox on Linux",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15":                      "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0.0.0 Mobile/15E148 Safari/604.1": "Chrome on iOS",
		"Mozilla/5.0 (Linux; Android 15; SM-S931B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36": "Samsung Internet on Android",
		"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1":             "Safari on iPadOS",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36":                             "Chrome on ChromeOS",
		"curl/8.5.0": "curl/8.5.0", "": "unknown", "  ": "unknown", "Something Windows": "a browser on Windows", "Firefox/1": "Firefox",
	} {
		if got := (session.Client{UserAgent: claim}).Device(); got != want {
			t.Errorf("Device of %q = %q, want %q", claim, got, want)
		}
	}
}

func TestSessionsAreListedAndEndedOneByOne(t *testing.T) {
	both(t, func(t *testing.T, a, b *replica) {
		one, p := a.enter("ada")
		two, _ := a.enter("ada")
		bens, ben := a.enter("ben")
		stream, stays := b.watch(one), b.watch(two)
		rows, err := b.Of(t.Context(), p.PersonID)
		if err != nil || len(rows) != 2 || rows[0].ID == p.SessionID || rows[1].ID != p.SessionID || rows[1].Client.UserAgent != "UA" {
			t.Fatalf("Of = %+v, %v, want both, the newest first", rows, err)
		}
		if err := a.EndOf(t.Context(), p.PersonID, ben.SessionID, operator, ""); !fault.Is(err, fault.NotFound) {
			t.Errorf("EndOf with somebody else's session = %v, want not found", err)
		}
		must(t, a.EndOf(t.Context(), p.PersonID, p.SessionID, operator, "lost laptop"))
		a.refused(one, fault.Unauthenticated, "you were signed out: signed out by an administrator")
		cut(t, "EndOf", stream)
		if stays.Err() != nil {
			t.Error("another session ended, too")
		}
		for _, token := range []string{two, bens} {
			_, err := b.Verify(t.Context(), token)
			must(t, err)
		}
		var last audit.Event
		must(t, a.db.Audit().Walk(t.Context(), func(e audit.Event, _ audit.Seal) error { last = e; return nil }))
		if last.Action != audit.SessionEnded || last.Reason != "lost laptop" || last.Detail["session"] != p.SessionID {
			t.Errorf("event = %+v", last)
		}
		if rows, err := a.Of(t.Context(), p.PersonID); err != nil || len(rows) != 1 {
			t.Errorf("Of = %v, %v, want one", rows, err)
		}
	})
}

// Sessions that nobody uses any more do not count: their place is free.
func TestTheOldestSessionEndsAtOneTooMany(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		c := &clock{at: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
		r := newReplica(t, open(), c.now, nil)
		m := session.New(session.Config{
			Store: r.db.Sessions(), Sealer: plain{}, Policy: func() *mapping.Policy { return policyOf(t, rules) }, Foreign: r.dir.Foreign, Max: 2, Now: c.now,
		})
		enter := func(subject string) string {
			t.Helper()
			c.forward(time.Second)
			in, err := r.dir.SignIn(t.Context(), says(subject), "ref")
			must(t, err)
			token, _, err := m.Issue(context.Background(), in, session.Client{}, session.Ticket{})
			must(t, err)
			return token
		}
		alive := func(want bool, tokens ...string) {
			t.Helper()
			for i, token := range tokens {
				if _, err := m.Verify(t.Context(), token); (err == nil) != want {
					t.Errorf("token %d: %v, want alive %v", i, err, want)
				}
			}
		}
		bens, one, two := enter("ben"), enter("ada"), enter("ada")
		alive(true, bens, one, two)
		three := enter("ada")
		alive(false, one)
		alive(true, bens, two, three)
		c.forward(16 * time.Minute) // two and three are idle
		four, five := enter("ada"), enter("ada")
		alive(true, four, five)
	})
}

// govern puts another mapping in force.
func (r *replica) govern(t *testing.T, text string) {
	t.Helper()
	p := policyOf(t, text)
	r.mu.Lock()
	r.policy = p
	r.mu.Unlock()
	r.PolicyChanged(t.Context())
}

// Whatever ends a session, the trail says how many it ended.
func TestEveryEndSaysHowManySessions(t *testing.T) {
	both(t, func(t *testing.T, a, _ *replica) {
		idp := audit.Actor{Kind: "idp", Name: "alpha"}
		for _, tc := range []struct {
			what string
			end  func(token string, p *session.Principal) error
		}{
			{"sign-out", func(token string, _ *session.Principal) error {
				_, _, err := a.End(t.Context(), token, operator)
				return err
			}},
			{"one of the list", func(_ string, p *session.Principal) error {
				return a.EndOf(t.Context(), p.PersonID, p.SessionID, operator, "")
			}},
			{"back-channel logout", func(string, *session.Principal) error {
				_, err := a.EndNamed(t.Context(), session.Named{Connection: "alpha", Issuer: "https://idp.example", Session: "sid"}, session.Request{Hash: []byte("request")}, idp, "ref")
				return err
			}},
			{"failed refresh", func(string, *session.Principal) error {
				due, err := a.TakeDue(t.Context())
				must(t, err)
				return a.Expel(t.Context(), due[0], fault.New(fault.Forbidden, "it is over there"))
			}},
			{"another mapping", func(token string, _ *session.Principal) error {
				a.govern(t, strings.Replace(rules, "[{id: staff}]", "[{id: nobody}]", 1))
				defer a.govern(t, rules)
				if _, err := a.Verify(t.Context(), token); !fault.Is(err, fault.Unauthenticated) {
					return fmt.Errorf("verified without a role: %w", err)
				}
				return nil
			}},
			{"an administrator", func(_ string, p *session.Principal) error {
				_, err := a.dir.SignOut(t.Context(), operator, p.PersonID, "")
				return err
			}},
			{"a lock", func(_ string, p *session.Principal) error {
				_, err := a.dir.Lock(t.Context(), operator, p.PersonID, "")
				return err
			}},
			{"a freeze", func(string, *session.Principal) error {
				_, err := a.dir.Freeze(t.Context(), operator, "Alpha", "")
				return err
			}},
		} {
			token := a.ticketed("of "+tc.what, session.Ticket{Subject: "s", Session: "sid", Refresh: "r", RefreshEvery: time.Nanosecond})
			who, err := a.Verify(t.Context(), token)
			must(t, err)
			must(t, tc.end(token, who))
			var last audit.Event
			must(t, a.db.Audit().Walk(t.Context(), func(e audit.Event, _ audit.Seal) error { last = e; return nil }))
			if last.Detail[directory.EndedKey] != "1" {
				t.Errorf("%s: %s says %v, want one session ended", tc.what, last.Action, last.Detail)
			}
		}
	})
}
