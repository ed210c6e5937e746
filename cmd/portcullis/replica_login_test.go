package main

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// answerOf goes through the identity provider and gives what it sends the
// browser back with, without following it.
func (b *browser) answerOf(t testing.TB, person string) *url.URL {
	t.Helper()
	s := b.open(t, "/.portcullis/sign-in/alpha")
	follow := b.http.CheckRedirect
	b.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	defer func() { b.http.CheckRedirect = follow }()
	action, hidden, ok := form(s.body)
	if !ok {
		t.Fatalf("no form at %s", s.url)
	}
	hidden.Set("person", person)
	to, err := s.url.Parse(action)
	if err != nil {
		t.Fatal(err)
	}
	res, err := b.http.PostForm(to.String(), hidden)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	back, err := res.Location()
	if err != nil {
		t.Fatalf("the identity provider answers %d", res.StatusCode)
	}
	return back
}

// at is the answer delivered to another gate, or to another connection there.
func at(w *world, answer *url.URL, connection string) string {
	return w.public + "/.portcullis/oidc/" + connection + "/callback?" + answer.RawQuery
}

// Two gates on one database are one gate for whoever would play them off
// against each other.
func TestAttacksOnASignInAreRefusedOnEveryReplica(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{database: "postgres"})
	w.configure(t, "connections:\n", "connections:\n  - {id: beta, organization: Beta, oidc: {issuer: \"http://"+w.idpAddress+
		"\", client_id: portcullis, client_secret_file: idp.secret}}\n")
	w.start(t)
	second := w.replicate(t)
	second.start(t)
	refused := func(t *testing.T, b *browser, target, words string) {
		t.Helper()
		if s := b.open(t, target); s.status != http.StatusBadRequest || !strings.Contains(s.body, words) {
			t.Errorf("answer = %d at %s, want 400 with %q:\n%s", s.status, s.url, words, s.body)
		}
		if status, _ := b.whoami(t); status != http.StatusUnauthorized {
			t.Errorf("whoami = %d, want nobody signed in", status)
		}
	}
	t.Run("what began here may end there, once", func(t *testing.T) {
		b := w.browser(t)
		answer := b.answerOf(t, "ada")
		var in atomic.Int32
		var wg sync.WaitGroup
		b.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for i := range 10 {
			gate := []*world{w, second}[i%2]
			wg.Go(func() {
				if b.open(t, at(gate, answer, "alpha")).status == http.StatusSeeOther {
					in.Add(1)
				}
			})
		}
		wg.Wait()
		if in.Load() != 1 {
			t.Errorf("%d of ten got in, want one", in.Load())
		}
	})
	t.Run("replay on another replica", func(t *testing.T) {
		b := w.browser(t)
		answer := b.answerOf(t, "ada")
		if s := b.open(t, answer.String()); s.status != http.StatusOK {
			t.Fatalf("the sign-in itself = %d", s.status)
		}
		if s := b.open(t, at(second, answer, "alpha")); s.status != http.StatusBadRequest || !strings.Contains(s.body, "used already") {
			t.Errorf("replayed = %d:\n%s", s.status, s.body)
		}
	})
	t.Run("sign-in forced upon somebody", func(t *testing.T) {
		attacker, victim := w.browser(t), w.browser(t)
		victim.open(t, "/.portcullis/sign-in/alpha") // has a sign-in of their own under way
		refused(t, victim, at(second, attacker.answerOf(t, "ben"), "alpha"), "not started in this browser")
	})
	t.Run("mix-up of connections", func(t *testing.T) {
		b := w.browser(t)
		refused(t, b, at(second, b.answerOf(t, "ada"), "beta"), "another connection")
	})
	t.Run("mix-up of providers", func(t *testing.T) {
		b := w.browser(t)
		answer := b.answerOf(t, "ada")
		q := answer.Query()
		q.Set("iss", "https://evil.example")
		answer.RawQuery = q.Encode()
		refused(t, b, at(second, answer, "alpha"), "does not come from the identity provider")
	})
	t.Run("a code of another sign-in", func(t *testing.T) {
		attacker, victim := w.browser(t), w.browser(t)
		stolen, own := attacker.answerOf(t, "ben"), victim.answerOf(t, "ada")
		q := own.Query()
		q.Set("code", stolen.Query().Get("code"))
		own.RawQuery = q.Encode()
		refused(t, victim, at(second, own, "alpha"), "did not accept this sign-in")
	})
	t.Run("a session planted before", func(t *testing.T) {
		attacker, victim := w.browser(t), w.browser(t)
		if s := attacker.open(t, attacker.answerOf(t, "ben").String()); s.status != http.StatusOK {
			t.Fatalf("the attacker's own sign-in = %d", s.status)
		}
		here, err := url.Parse(w.public)
		if err != nil {
			t.Fatal(err)
		}
		planted := attacker.http.Jar.Cookies(here)
		answer := victim.answerOf(t, "ada")
		for _, c := range planted {
			if c.Name == "portcullis" {
				victim.http.Jar.SetCookies(here, []*http.Cookie{c})
			}
		}
		victim.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if s := victim.open(t, at(second, answer, "alpha")); s.status != http.StatusSeeOther {
			t.Fatalf("the victim's sign-in = %d", s.status)
		}
		if _, who := victim.whoami(t); who.Subject != "alpha-ada" {
			t.Errorf("the victim is %q", who.Subject)
		}
		// The other gate hears of it within a second.
		eventually(t, "what the attacker planted is dead", patience, func() bool {
			status, _ := attacker.whoami(t)
			return status == http.StatusUnauthorized
		})
	})
}
