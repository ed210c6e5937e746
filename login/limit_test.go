package login_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"portcullis/login"
)

func TestStartedSignInsAreBoundedPerAddress(t *testing.T) {
	p := newIDP(t)
	g := newGate(t, func(c *login.Config) { c.Limit = login.Limit{PerSecond: 1, Burst: 5} }, p)
	b := newBrowser(t)
	target := g.public.String() + "/.portcullis/sign-in"
	for i := range 5 {
		if answer := b.get(target); answer.StatusCode != http.StatusSeeOther {
			t.Fatalf("sign-in %d: %d", i, answer.StatusCode)
		}
	}
	answer := b.get(target)
	if answer.StatusCode != http.StatusTooManyRequests || answer.Header.Get("Retry-After") != "1" {
		t.Errorf("one too many: %d, Retry-After %q", answer.StatusCode, answer.Header.Get("Retry-After"))
	}
	g.advance(time.Second)
	if answer := b.get(target); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("a second later: %d", answer.StatusCode)
	}
}

func TestFailedSignInsCountTenTimes(t *testing.T) {
	p := newIDP(t)
	g := newGate(t, func(c *login.Config) { c.Limit = login.Limit{PerSecond: 1, Burst: 30} }, p)
	b := newBrowser(t)
	p.forge = func(map[string]any) string { return "garbage" }
	for range 3 {
		if answer := b.signIn(g, "/.portcullis/sign-in"); answer.StatusCode != http.StatusBadRequest {
			t.Fatalf("status %d", answer.StatusCode)
		}
	}
	if answer := b.get(g.public.String() + "/.portcullis/sign-in"); answer.StatusCode != http.StatusTooManyRequests {
		t.Errorf("after three failures of a burst of thirty: %d", answer.StatusCode)
	}
	for range 2 { // guessing states costs, too
		b.get(g.callback("acme") + "?state=guess&code=x")
	}
	if answer := b.get(g.callback("acme") + "?state=guess&code=x"); answer.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a guessed state in debt: %d", answer.StatusCode)
	}
}

func TestSignInThatWasStartedInTimeMayComeBack(t *testing.T) {
	p := newIDP(t)
	g := newGate(t, func(c *login.Config) { c.Limit = login.Limit{PerSecond: 0.001, Burst: 3} }, p)
	b := newBrowser(t)
	for range 3 {
		defer func(back string) {
			if answer := b.get(back); answer.StatusCode != http.StatusSeeOther {
				t.Errorf("status %d", answer.StatusCode)
			}
		}(b.authorize(g, "/.portcullis/sign-in/acme"))
	}
}

// Whom their connection lets in from some networks alone gets no session from
// another, whatever their provider says.
func TestNobodySignsInFromANetworkThatIsNotTheirs(t *testing.T) {
	for network, want := range map[string]int{"192.0.2.0/24": http.StatusForbidden, "127.0.0.0/8": http.StatusSeeOther} {
		p := newIDP(t)
		g := newGate(t, func(c *login.Config) { c.Connections[0].Addresses = []netip.Prefix{netip.MustParsePrefix(network)} }, p)
		b := newBrowser(t)
		answer := b.get(b.authorize(g, "/.portcullis/sign-in"))
		if answer.StatusCode != want || (len(g.sessions.tokens()) > 0) != (want == http.StatusSeeOther) {
			t.Errorf("from outside of %s: %d, %d sessions", network, answer.StatusCode, len(g.sessions.tokens()))
		}
		if want == http.StatusForbidden && !strings.Contains(answer.body, "organization does not let you in from your network") {
			t.Errorf("the page says %s", answer.body)
		}
	}
}
