package login_test

import (
	"crypto/rand"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func (b *browser) mustSignIn(g *gate) {
	b.t.Helper()
	if answer := b.signIn(g, "/.portcullis/sign-in/acme"); answer.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("status %d: %s", answer.StatusCode, answer.body)
	}
}

func TestNewKeyIsFetchedWhenATokenNamesIt(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	b.mustSignIn(g)
	p.rotate("k2")
	b.mustSignIn(g)
	b.mustSignIn(g)
	if n := p.count("/jwks"); n != 2 {
		t.Errorf("%d fetches of the key set, want 2", n)
	}
}

func TestRandomKeysCostOneFetchAnInterval(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	b.mustSignIn(g)
	p.forge = func(c map[string]any) string {
		return signed(p.t, p.alg, jose.JSONWebKey{Key: p.key, KeyID: rand.Text()}, nil, []byte(`{"sub":"x"}`))
	}
	for range 50 {
		b.signIn(g, "/.portcullis/sign-in/acme")
	}
	if n := p.count("/jwks"); n != 2 {
		t.Errorf("%d fetches of the key set, want 2", n)
	}
	g.advance(11 * time.Second)
	for range 50 {
		b.signIn(g, "/.portcullis/sign-in/acme")
	}
	if n := p.count("/jwks"); n != 3 {
		t.Errorf("%d fetches of the key set after the interval, want 3", n)
	}
}

func TestRemovedKeyIsForgottenInAQuarterOfAnHour(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	b.mustSignIn(g)
	old, oldID := p.key, p.keyID
	p.rotate("k2")
	p.forge = func(c map[string]any) string { // somebody stole the old key
		p.key, p.keyID = old, oldID
		return p.sign(nil, c)
	}
	current := keySetOf(t, jose.JSONWebKey{Key: p.key.Public(), KeyID: "k2"})
	p.keySet = func() []byte { return current }
	g.advance(16 * time.Minute)
	answer := b.signIn(g, "/.portcullis/sign-in/acme")
	if answer.StatusCode != http.StatusBadRequest {
		t.Errorf("a removed key: %d", answer.StatusCode)
	}
}

func TestLastGoodKeysAreKeptWhileNoNewOnesCome(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	b.mustSignIn(g)
	p.handle("/jwks", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	g.advance(time.Hour)
	b.mustSignIn(g)
	b.mustSignIn(g)
	if n := p.count("/jwks"); n != 2 {
		t.Errorf("%d fetches, want 2: a failure is not repeated at once", n)
	}
	g.advance(24 * time.Hour)
	if answer := b.signIn(g, "/.portcullis/sign-in/acme"); answer.StatusCode != http.StatusBadRequest || !strings.Contains(answer.body, "not usable") {
		t.Errorf("after a day without keys: %d\n%s", answer.StatusCode, answer.body)
	}
}
