package login_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/login"
	"portcullis/session"
)

// strict asks for gold within five minutes at /payments, and for nothing
// elsewhere.
func strict(c *login.Config) {
	c.Demand = func(target string) session.Demand {
		if strings.HasPrefix(target, "/payments") {
			return session.Demand{ACR: []string{"gold", "platinum"}, MaxAge: 5 * time.Minute}
		}
		return session.Demand{}
	}
}

func TestAPageAsksForAStrongerSignIn(t *testing.T) {
	for name, tc := range map[string]struct {
		acr   any
		age   time.Duration
		words string // of the refusal
	}{
		"both":          {"gold", time.Minute, ""},
		"nothing":       {nil, -1, "does not say how you signed in"},
		"less":          {"silver", 0, "less than this page asks for"},
		"no time":       {"gold", -1, "does not say when you signed in"},
		"too long ago":  {"gold", 10 * time.Minute, "longer ago than this page allows"},
		"a wrong shape": {[]string{"gold"}, 0, "does not say how you signed in"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			g, b := newGate(t, strict, p), newBrowser(t)
			p.userInfo = map[string]any{"acr": "gold"} // unsigned: it proves nothing
			if answer := b.signIn(g, "/.portcullis/sign-in"); answer.StatusCode != http.StatusSeeOther {
				t.Fatalf("an ordinary sign-in = %d", answer.StatusCode)
			}
			before := b.cookies(g)["portcullis"]
			p.claims = func(c map[string]any) {
				if tc.acr != nil {
					c["acr"] = tc.acr
				}
				if tc.age >= 0 {
					c["auth_time"] = g.now().Add(-tc.age).Unix()
				}
			}
			started := b.get(g.public.String() + "/.portcullis/sign-in/acme?return_to=/payments/1")
			to := started.location(t)
			for _, want := range []string{"acr_values=gold+platinum", "max_age=300"} {
				if !strings.Contains(to, want) {
					t.Errorf("the identity provider is not asked for %s: %s", want, to)
				}
			}
			answer := b.get(b.get(to).location(t))
			after := b.cookies(g)["portcullis"]
			if tc.words == "" {
				if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/payments/1" {
					t.Errorf("answer = %d to %s", answer.StatusCode, answer.Header.Get("Location"))
				}
				if after == before || len(g.sessions.ended) != 1 || g.sessions.ended[0] != before {
					t.Errorf("a step-up must make a new session and end the old one; ended %v", g.sessions.ended)
				}
				return
			}
			if answer.StatusCode != http.StatusForbidden || !strings.Contains(answer.body, tc.words) {
				t.Errorf("answer = %d, want 403 with %q:\n%s", answer.StatusCode, tc.words, answer.body)
			}
			if after != before || len(g.sessions.ended) != 0 || len(g.sessions.tokens()) != 1 {
				t.Errorf("who falls short keeps what they had; ended %v", g.sessions.ended)
			}
			if c, ok := check(g.traces.last(t), "step-up"); !ok || c.OK {
				t.Errorf("the trace does not say so: %+v", g.traces.last(t).Checks)
			}
		})
	}
}

// Whoever is inside and proved themselves too long ago has to do it again,
// also where the identity provider does not heed an age.
func TestWhoIsInsideIsAskedAgain(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, strict, p), newBrowser(t)
	fresh := b.get(g.public.String() + "/.portcullis/sign-in/acme?return_to=/payments").location(t)
	if strings.Contains(fresh, "prompt=") {
		t.Errorf("who comes first is asked with %s", fresh)
	}
	b.signIn(g, "/.portcullis/sign-in")
	again := b.get(g.public.String() + "/.portcullis/sign-in/acme?return_to=/payments").location(t)
	if !strings.Contains(again, "prompt=login") {
		t.Errorf("who is inside is asked with %s", again)
	}
	script := b.get(g.public.String() + "/.portcullis/sign-in/acme?for=/payments/api&return_to=/page").location(t)
	if !strings.Contains(script, "max_age=300") {
		t.Errorf("for a script it is asked with %s", script)
	}
	if other := b.get(g.public.String() + "/.portcullis/sign-in/acme?return_to=/else").location(t); strings.Contains(other, "acr_values") || strings.Contains(other, "max_age") {
		t.Errorf("another page asks for %s", other)
	}
}

// At Microsoft Entra ID a page asks for an authentication context, which its
// administrator defines. It is a claim there, and not a class.
func TestAPageAsksForAnAuthenticationContextOfEntra(t *testing.T) {
	for name, tc := range map[string]struct {
		demand []string
		asked  url.Values
		acrs   any
		acr    string // what the person has afterwards; empty if they fall short
		plain  bool   // another provider
	}{
		"one":            {demand: []string{"c1"}, asked: url.Values{"claims": {`{"id_token":{"acrs":{"essential":true,"value":"c1"}}}`}}, acrs: []string{"c1"}, acr: "c1"},
		"one of several": {demand: []string{"c1", "c25"}, asked: url.Values{"claims": {`{"id_token":{"acrs":{"essential":true,"values":["c1","c25"]}}}`}}, acrs: []string{"c25"}, acr: "c25"},
		"more than asked": {
			demand: []string{"c2"}, asked: url.Values{"claims": {`{"id_token":{"acrs":{"essential":true,"value":"c2"}}}`}},
			acrs: []string{"c1", "p1", "c2", "c2", "c100", "c02", "gold"}, acr: "c1 c2",
		},
		"by itself":         {demand: []string{"c99"}, acrs: "c99", acr: "c99"},
		"another":           {demand: []string{"c1"}, acrs: []string{"c2", "c11"}},
		"none":              {demand: []string{"c1"}},
		"a wrong shape":     {demand: []string{"c1"}, acrs: []any{"c1", 1}},
		"one string of two": {demand: []string{"c1"}, acrs: []string{"c1 c2"}},
		"beside a class": {
			demand: []string{"gold", "c1"}, asked: url.Values{"claims": {`{"id_token":{"acrs":{"essential":true,"value":"c1"}}}`}, "acr_values": {"gold"}},
			acrs: []string{"c1"}, acr: "c1",
		},
		"at another provider": {demand: []string{"c1"}, asked: url.Values{"acr_values": {"c1"}}, acrs: []string{"c1"}, plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			g, b := newGate(t, func(c *login.Config) {
				c.Connections[0].OIDC.Contexts = !tc.plain
				c.Demand = func(string) session.Demand { return session.Demand{ACR: tc.demand} }
			}, p), newBrowser(t)
			p.userInfo = map[string]any{"acrs": tc.demand} // unsigned: it proves nothing
			p.claims = func(c map[string]any) { c["acrs"] = tc.acrs }
			to := b.get(g.public.String() + "/.portcullis/sign-in/acme").location(t)
			u, err := url.Parse(to)
			if err != nil {
				t.Fatal(err)
			}
			for _, parameter := range []string{"claims", "acr_values"} {
				if got := u.Query()[parameter]; tc.asked != nil && !slices.Equal(got, tc.asked[parameter]) {
					t.Errorf("%s = %q, want %q", parameter, got, tc.asked[parameter])
				}
			}
			answer := b.get(b.get(to).location(t))
			if tc.acr == "" {
				g.refused(t, answer, http.StatusForbidden, "")
				return
			}
			if answer.StatusCode != http.StatusSeeOther || g.people.last(t).ACR != tc.acr {
				t.Errorf("answer = %d, acr = %q, want %q", answer.StatusCode, g.people.last(t).ACR, tc.acr)
			}
		})
	}
}

// A class never counts as several: a provider that lets people choose theirs
// could otherwise be led to vouch for more.
func TestOneClassIsNotSeveral(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, strict, p), newBrowser(t)
	p.claims = func(c map[string]any) { c["acr"], c["auth_time"] = "silver gold", g.now().Unix() }
	answer := b.signIn(g, "/.portcullis/sign-in/acme?return_to=/payments/1")
	g.refused(t, answer, http.StatusForbidden, "does not say how you signed in")
}
