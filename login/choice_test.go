package login_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/login"
	"portcullis/trace"
)

// A page for a browser whose cookies are nobody's costs the store no more than
// finding that out did.
func TestCookiesOfNobodyAreLookedUpOnce(t *testing.T) {
	g := newGate(t, nil, newIDP(t), newIDP(t))
	for target, asks := range map[string]int64{
		"/.portcullis/sign-in": 0, "/.portcullis/sign-out": 0, // their cookies were looked up for the page itself
		"/.portcullis/oidc/acme/callback": 1,
	} {
		before := g.readers.Load()
		newBrowser(t).do(http.MethodGet, g.public.String()+target, nil, "Cookie", strings.Repeat("portcullis=junk; ", 7))
		if n := g.readers.Load() - before; n != asks {
			t.Errorf("%s: its reader is asked for %d times, want %d", target, n, asks)
		}
	}
}

func TestTheBrowserRemembersItsConnectionUntilAnotherIsWanted(t *testing.T) {
	one, two := newIDP(t), newIDP(t)
	g, b := newGate(t, nil, one, two), newBrowser(t)
	start := g.public.String() + "/.portcullis/sign-in"
	if p := b.get(start); p.StatusCode != http.StatusOK || strings.Contains(p.body, "another=") {
		t.Fatalf("the first time: %d, want the choice", p.StatusCode)
	}
	b.signIn(g, "/.portcullis/sign-in/beta")
	if got := b.cookies(g)[login.ChoiceCookie]; got != "beta" {
		t.Fatalf("remembered %q, want beta", got)
	}
	b.do(http.MethodPost, g.public.String()+"/.portcullis/sign-out", url.Values{}, "Origin", g.public.String(), "Sec-Fetch-Site", "same-origin")
	if to := b.get(start + "?return_to=/x").location(t); !strings.HasPrefix(to, two.issuer()) {
		t.Errorf("the next time leads to %s, want beta's %s", to, two.issuer())
	}
	p := b.get(start + "?another=1&return_to=/x")
	if p.StatusCode != http.StatusOK || !strings.Contains(p.body, `href="/.portcullis/sign-in/acme?another=1&amp;return_to=%2Fx"`) {
		t.Errorf("another account: %d\n%s", p.StatusCode, p.body)
	}
	if got := b.cookies(g)[login.ChoiceCookie]; got != "" {
		t.Errorf("the choice is still remembered: %q", got)
	}
	if to := b.get(start + "/acme?another=1").location(t); !strings.HasPrefix(to, one.issuer()) || !strings.Contains(to, "prompt=login") {
		t.Errorf("another account at acme leads to %s", to)
	}
	if p := b.get(start); p.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %d, want the choice", p.StatusCode)
	}
}

func TestAChoiceThatIsGoneOrForgedIsNone(t *testing.T) {
	g := newGate(t, nil, newIDP(t), newIDP(t))
	for _, v := range []string{"gone", "ACME", "../acme", strings.Repeat("x", 5000), "acme%00"} {
		b := newBrowser(t)
		if p := b.do(http.MethodGet, g.public.String()+"/.portcullis/sign-in", nil, "Cookie", login.ChoiceCookie+"="+v); p.StatusCode != http.StatusOK {
			t.Errorf("remembered %.20q: %d, want the choice", v, p.StatusCode)
		}
	}
}

func TestOneConnectionNeedsNoChoice(t *testing.T) {
	p := newIDP(t)
	p.metadata = func(m map[string]any) { m["prompt_values_supported"] = []string{"none", "login", "select_account"} }
	g, b := newGate(t, nil, p), newBrowser(t)
	b.signIn(g, "/.portcullis/sign-in")
	if _, ok := b.cookies(g)[login.ChoiceCookie]; ok {
		t.Error("a choice is remembered where there is none")
	}
	if to := b.get(g.public.String() + "/.portcullis/sign-in?another=1").location(t); !strings.Contains(to, "prompt=select_account") {
		t.Errorf("another account leads to %s", to)
	}
}

func TestAbandonedSignInsLeaveOneCookieAndATrace(t *testing.T) {
	g, b := newGate(t, nil, newIDP(t), newIDP(t)), newBrowser(t)
	for i := range 30 {
		p := b.get(fmt.Sprintf("%s/.portcullis/sign-in/%s?return_to=/%d", g.public, []string{"acme", "beta"}[i%2], i))
		for _, c := range p.Cookies() {
			if c.MaxAge <= 0 || c.MaxAge > 600 {
				t.Errorf("cookie %s lives %d s", c.Name, c.MaxAge)
			}
		}
	}
	if n := len(b.cookies(g)); n != 1 {
		t.Errorf("%d cookies, want 1", n)
	}
	g.advance(11 * time.Minute)
	if err := g.login.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(g.store.all()); n != 0 {
		t.Errorf("%d attempts are left", n)
	}
	r := g.traces.last(t)
	if r.Outcome != trace.Abandoned || r.Address == "" || r.Reference == "" || r.Reason == "" {
		t.Errorf("trace = %+v", r)
	}
}

func TestADryRunShowsEverythingAndChangesNothing(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	test, path := login.NewTest("acme", audit.Actor{Kind: "operator", ID: "1", Name: "ops"}, g.now())
	g.store.tests = append(g.store.tests, test)
	link := login.TestURL(g.public, path)
	if preview := b.do(http.MethodGet, link, nil, "Accept", "*/*"); preview.StatusCode != http.StatusNotFound {
		t.Errorf("a preview of the link = %d", preview.StatusCode)
	}
	answer := b.get(b.get(b.get(link).location(t)).location(t))
	if answer.StatusCode != http.StatusOK || !strings.Contains(answer.body, "This sign-in would succeed") || !strings.Contains(answer.body, "alice@acme.example") {
		t.Errorf("answer = %d:\n%s", answer.StatusCode, answer.body)
	}
	if len(g.sessions.tokens()) != 0 || len(g.people.seen) != 0 || g.people.rehearsed != 1 || b.cookies(g)["portcullis"] != "" {
		t.Errorf("a dry run signed somebody in")
	}
	r, ok := g.store.reports[test.ID]
	if !ok || r.Outcome != trace.Tested || r.Reason != "" || r.Decision == nil || r.Decision.Roles[0] != "viewer" {
		t.Errorf("report = %+v", r)
	}
	if again := b.get(link); again.StatusCode != http.StatusNotFound || !strings.Contains(again.body, "opened already") {
		t.Errorf("the second time = %d", again.StatusCode)
	}
}

func TestADryRunReportsWhateverGoesWrong(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*idp, *gate)
		words  string
	}{
		"a wrong token": {func(p *idp, _ *gate) { p.claims = func(c map[string]any) { c["nonce"] = "x" } }, "another sign-in"},
		"denied there": {func(p *idp, _ *gate) {
			p.redirect = func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }
		}, "did not let you in"},
		"provider away": {func(p *idp, _ *gate) { p.handle("/.well-known/openid-configuration", hangUp) }, ""},
		"link too old":  {func(_ *idp, g *gate) { g.advance(login.TestLife + time.Second) }, "-"},
		"not let in":    {func(_ *idp, g *gate) { g.people.refuse = errLocked }, "your account is locked"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			g, b := newGate(t, nil, p), newBrowser(t)
			test, path := login.NewTest("acme", audit.Actor{Kind: "operator", ID: "1", Name: "ops"}, g.now())
			g.store.tests = append(g.store.tests, test)
			tc.change(p, g)
			answer := b.get(login.TestURL(g.public, path))
			for range 2 {
				if answer.Header.Get("Location") != "" {
					answer = b.get(answer.location(t))
				}
			}
			r, ok := g.store.reports[test.ID]
			if tc.words == "-" {
				if ok || answer.StatusCode != http.StatusNotFound {
					t.Errorf("answer = %d, report %t", answer.StatusCode, ok)
				}
				return
			}
			if !ok || r.Outcome != trace.Tested || r.Reason == "" || !strings.Contains(r.Reason, tc.words) {
				t.Errorf("report = %t %+v", ok, r)
			}
			if len(g.sessions.tokens()) != 0 {
				t.Error("a session was issued")
			}
		})
	}
}
