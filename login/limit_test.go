package login_test

import (
	"net/http"
	"net/netip"
	"net/url"
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

// Frames and sign-ins of an address count apart: neither keeps the other out.
func TestFrontChannelLogoutsAreBoundedApart(t *testing.T) {
	p := newIDP(t)
	g := newGate(t, func(c *login.Config) { c.Limit = login.Limit{PerSecond: 0.001, Burst: 5} }, p)
	query := url.Values{"iss": {p.issuer()}, "sid": {"s-1"}}
	for i := range 5 {
		if answer := g.frame(t, query); answer.StatusCode != http.StatusOK {
			t.Fatalf("frame %d: %d", i, answer.StatusCode)
		}
	}
	if answer := g.frame(t, query); answer.StatusCode != http.StatusTooManyRequests || !strings.Contains(answer.body, "oo many sign-outs from your network at the moment") {
		t.Errorf("one too many: %d: %s", answer.StatusCode, answer.body)
	}
	for range 5 {
		newBrowser(t).authorize(g, "/.portcullis/sign-in/acme")
	}
	g = newGate(t, func(c *login.Config) { c.Limit = login.Limit{PerSecond: 0.001, Burst: 5} }, p)
	for range 5 {
		newBrowser(t).authorize(g, "/.portcullis/sign-in/acme")
	}
	if answer := g.frame(t, query); answer.StatusCode != http.StatusOK {
		t.Errorf("after all sign-ins: %d", answer.StatusCode)
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

// Failures of a network keep nobody out who comes back from a sign-in that was
// begun in time, in the browser that began it.
func TestFailuresOfOthersKeepNobodyOutWhoComesBack(t *testing.T) {
	p, q := newIDP(t), newSAMLIDP(t)
	g := newGate(t, all(q.connection("saml", nil), func(c *login.Config) { c.Limit = login.Limit{PerSecond: 0.001, Burst: 30} }), p)
	worker, federated := newBrowser(t), newBrowser(t)
	back := worker.authorize(g, "/.portcullis/sign-in/acme")
	action, form := federated.samlForm(g, "/.portcullis/sign-in/saml")
	guess := func(cookie string) int {
		return newBrowser(t).do(http.MethodGet, g.callback("acme")+"?state=guess&code=x", nil, "Cookie", cookie).StatusCode
	}
	const planted = login.BrowserCookie + "=AAAAAAAAAAAAAAAAAAAAAAAAAA"
	for range 4 {
		guess(planted)
	}
	for _, cookie := range []string{"", planted} {
		if status := guess(cookie); status != http.StatusTooManyRequests {
			t.Errorf("a guess in debt with the cookie %q: %d", cookie, status)
		}
	}
	if answer := newBrowser(t).get(back); answer.StatusCode != http.StatusTooManyRequests {
		t.Errorf("in another browser: %d", answer.StatusCode)
	}
	if answer := worker.get(back); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("who comes back: %d\n%s", answer.StatusCode, answer.body)
	}
	if answer := federated.do(http.MethodPost, action, form); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("who comes back over SAML: %d\n%s", answer.StatusCode, answer.body)
	}
	if answer := worker.get(back); answer.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the same answer again: %d", answer.StatusCode)
	}
}

// Somebody who sends answers that nobody asked for has none of them verified
// while their network fails too often.
func TestUnaskedAnswersWaitWhileTheirNetworkFails(t *testing.T) {
	q := newSAMLIDP(t)
	idpInitiated := func(s *login.SAML) { s.AllowIDPInitiated = true }
	g := newGate(t, all(q.connection("acme", idpInitiated), func(c *login.Config) { c.Limit = login.Limit{PerSecond: 0.001, Burst: 30} }))
	b := newBrowser(t)
	send := func() int {
		return b.do(http.MethodPost, g.public.String()+"/.portcullis/saml/acme/acs", url.Values{"SAMLResponse": {"x"}}).StatusCode
	}
	b.samlForm(g, "/.portcullis/sign-in/acme") // brings a cookie
	for status, tries := 0, 0; status != http.StatusTooManyRequests; tries++ {
		if status = send(); tries > 10 {
			t.Fatalf("after %d answers: %d", tries, status)
		}
	}
}

// A page that has its visitors load answers as parts of it neither makes their
// network wait nor uses a sign-in up.
func TestWhatIsPartOfAPageIsNoAnswer(t *testing.T) {
	p, q := newIDP(t), newSAMLIDP(t)
	g := newGate(t, all(q.connection("saml", nil), func(c *login.Config) { c.Limit = login.Limit{PerSecond: 0.001, Burst: 30} }), p)
	worker, federated := newBrowser(t), newBrowser(t)
	back := worker.authorize(g, "/.portcullis/sign-in/acme")
	action, form := federated.samlForm(g, "/.portcullis/sign-in/saml")
	for _, mode := range []string{"no-cors", "cors", "same-origin", "websocket", ""} {
		for _, target := range []string{back, g.callback("acme") + "?state=x", g.callback("nope") + "?state=x"} {
			if answer := worker.do(http.MethodGet, target, nil, "Sec-Fetch-Mode", mode); answer.StatusCode != http.StatusBadRequest {
				t.Errorf("%s in mode %q: %d", target, mode, answer.StatusCode)
			}
		}
		if answer := federated.do(http.MethodPost, action, form, "Sec-Fetch-Mode", mode); answer.StatusCode != http.StatusBadRequest {
			t.Errorf("over SAML in mode %q: %d", mode, answer.StatusCode)
		}
	}
	if answer := worker.do(http.MethodGet, back, nil, "Sec-Fetch-Mode", "navigate"); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("who comes back: %d\n%s", answer.StatusCode, answer.body)
	}
	if answer := federated.do(http.MethodPost, action, form, "Sec-Fetch-Mode", "navigate"); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("who comes back over SAML: %d\n%s", answer.StatusCode, answer.body)
	}
	newBrowser(t).mustSignIn(g)
}

// Nor does it keep them from beginning a sign-in, or load answers in frames,
// where no cookie of ours comes along.
func TestWhatAPageLoadsKeepsNobodyFromBeginning(t *testing.T) {
	p := newIDP(t)
	g := newGate(t, func(c *login.Config) { c.Limit = login.Limit{PerSecond: 0.001, Burst: 5} }, p)
	worker := newBrowser(t)
	back := worker.authorize(g, "/.portcullis/sign-in/acme")
	for range 10 {
		for _, path := range []string{"/sign-in", "/sign-in/acme", "/sign-in/nope"} {
			if answer := newBrowser(t).do(http.MethodGet, g.public.String()+"/.portcullis"+path, nil, "Sec-Fetch-Mode", "no-cors"); answer.StatusCode != http.StatusBadRequest {
				t.Errorf("%s as an image: %d", path, answer.StatusCode)
			}
		}
		for _, dest := range []string{"iframe", "frame", "fencedframe", "embed", "object"} {
			answer := newBrowser(t).do(http.MethodGet, g.public.String()+"/.portcullis/sign-in/acme", nil,
				"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", dest, "Sec-Fetch-Site", "cross-site")
			if answer.StatusCode != http.StatusBadRequest || len(answer.Cookies()) > 0 {
				t.Errorf("a sign-in begun in the %s of another site: %d, %v", dest, answer.StatusCode, answer.Cookies())
			}
		}
		for _, target := range []string{back, g.callback("acme") + "?state=x", g.callback("nope") + "?state=x"} {
			answer := newBrowser(t).do(http.MethodGet, target, nil, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe")
			if answer.StatusCode != http.StatusBadRequest {
				t.Errorf("%s in a frame: %d", target, answer.StatusCode)
			}
		}
	}
	answer := worker.do(http.MethodGet, back, nil, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe")
	if answer.StatusCode != http.StatusSeeOther {
		t.Errorf("who comes back in a frame, with their cookie: %d\n%s", answer.StatusCode, answer.body)
	}
	for _, site := range []string{"same-origin", "same-site"} { // the portal's own frame, whose session is over
		answer := newBrowser(t).do(http.MethodGet, g.public.String()+"/.portcullis/sign-in/acme", nil,
			"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe", "Sec-Fetch-Site", site)
		if answer.StatusCode != http.StatusSeeOther {
			t.Errorf("a sign-in begun in a frame of the portal (%s): %d", site, answer.StatusCode)
		}
	}
	newBrowser(t).mustSignIn(g)
}
