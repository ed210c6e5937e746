package login_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/fault"
	"portcullis/trace"
	"portcullis/web"
)

func check(r trace.Record, name string) (trace.Check, bool) {
	i := slices.IndexFunc(r.Checks, func(c trace.Check) bool { return c.Name == name })
	if i < 0 {
		return trace.Check{}, false
	}
	return r.Checks[i], true
}

func TestASignInLeavesATrace(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	started := b.get(g.public.String() + "/.portcullis/sign-in")
	b.get(b.get(started.location(t)).location(t))
	r := g.traces.last(t)
	if r.Outcome != trace.SignedIn || r.Connection != "acme" || r.Protocol != "oidc" || r.Person != "p-alice-1" || r.Address == "" ||
		r.Start != started.Header.Get(web.ReferenceHeader) || r.Reference == r.Start || !r.Measured || r.Skew.Abs() > 10*time.Second ||
		!strings.HasPrefix(r.Key, "key k1, ES256") || r.Reason != "" || r.Cause != "" {
		t.Errorf("trace = %+v", r)
	}
	var names []string
	for _, c := range r.Checks {
		if !c.OK {
			t.Errorf("check %+v of a good sign-in failed", c)
		}
		names = append(names, c.Name)
	}
	want := "state browser connection answer token endpoint signature issuer nonce subject audience time"
	if got := strings.Join(names, " "); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "claims access") {
		t.Errorf("checks = %s, want %s … claims access", got, want)
	}
	groups := slices.IndexFunc(r.Facts, func(f trace.Field) bool { return f.Name == "groups" })
	if groups < 0 || !slices.Equal(r.Facts[groups].Values, []string{"g-1", "g-2"}) {
		t.Errorf("facts = %+v", r.Facts)
	}
}

// Each thing that can go wrong stands in the trace by its name, and the
// reference of the page leads there.
func TestARefusalIsFoundUnderTheReferenceOfItsPage(t *testing.T) {
	for name, tc := range map[string]struct {
		change  func(*idp, *gate)
		path    func(url.Values)
		check   string
		got     string
		outcome trace.Outcome
	}{
		"another audience":  {change: func(p *idp, _ *gate) { p.claims = func(c map[string]any) { c["aud"] = "other" } }, check: "audience", got: "other"},
		"issued to another": {change: func(p *idp, _ *gate) { p.claims = func(c map[string]any) { c["azp"] = "other" } }, check: "audience", got: "portal, issued to other"},
		"another nonce":     {change: func(p *idp, _ *gate) { p.claims = func(c map[string]any) { c["nonce"] = "x" } }, check: "nonce", got: "another one"},
		"expired": {change: func(p *idp, g *gate) {
			p.claims = func(c map[string]any) {
				c["iat"], c["exp"] = g.now().Add(-time.Hour).Unix(), g.now().Add(-10*time.Minute).Unix()
			}
		}, check: "time", got: "expires"},
		"no subject":    {change: func(p *idp, _ *gate) { p.claims = func(c map[string]any) { delete(c, "sub") } }, check: "subject", got: "none"},
		"denied there":  {path: func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }, check: "answer", got: "error access_denied"},
		"another state": {path: func(q url.Values) { q.Set("state", "forged") }, check: "state", got: "of none"},
		"wrong secret":  {change: func(p *idp, _ *gate) { p.client.secret = "changed" }, check: "token endpoint", got: "invalid_client"},
		"barred": {
			change: func(_ *idp, g *gate) { g.people.refuse = fault.New(fault.Forbidden, "your account is locked") },
			check:  "access", got: "your account is locked",
		},
		"provider away": {change: func(p *idp, _ *gate) { p.server.CloseClientConnections(); p.handle("/token", hangUp) }, check: "token endpoint", got: "", outcome: trace.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			g, b := newGate(t, nil, p), newBrowser(t)
			back := b.authorize(g, "/.portcullis/sign-in")
			if tc.change != nil {
				tc.change(p, g)
			}
			if tc.path != nil {
				back = edit(t, back, tc.path)
			}
			answer := b.get(back)
			r := g.traces.last(t)
			if r.Reference == "" || r.Reference != answer.Header.Get(web.ReferenceHeader) || !strings.Contains(answer.body, r.Reference) {
				t.Errorf("the page does not lead to the trace %q", r.Reference)
			}
			if tc.outcome == "" {
				tc.outcome = trace.Refused
			}
			c, ok := check(r, tc.check)
			if r.Outcome != tc.outcome || !ok || c.OK || !strings.Contains(c.Got, tc.got) || r.Reason == "" {
				t.Errorf("outcome %s (%s), check %q = %+v, want it failed with %q", r.Outcome, r.Reason, tc.check, c, tc.got)
			}
			if !strings.Contains(answer.body, "Use another account") {
				t.Errorf("no other way on:\n%s", answer.body)
			}
		})
	}
}

var errLocked = fault.New(fault.Forbidden, "your account is locked")

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestAStartThatFailsIsTraced(t *testing.T) {
	p := newIDP(t)
	p.handle("/.well-known/openid-configuration", hangUp)
	g, b := newGate(t, nil, p), newBrowser(t)
	answer := b.get(g.public.String() + "/.portcullis/sign-in?return_to=/deep")
	r := g.traces.last(t)
	if answer.StatusCode != http.StatusServiceUnavailable || r.Outcome != trace.Failed || r.Reference != answer.Header.Get(web.ReferenceHeader) {
		t.Errorf("answer %d, trace %+v", answer.StatusCode, r)
	}
	if !strings.Contains(answer.body, `href="/.portcullis/sign-in/acme?return_to=%2Fdeep"`) {
		t.Errorf("no way to try again:\n%s", answer.body)
	}
}

func TestClocksApartAreMeasured(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	p.now = func() time.Time { return g.now().Add(-40 * time.Second) }
	if answer := b.signIn(g, "/.portcullis/sign-in"); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("a clock that is 40 s behind: %d", answer.StatusCode)
	}
	if r := g.traces.last(t); r.Skew < 38*time.Second || r.Skew > 60*time.Second {
		t.Errorf("skew = %s, want about 40s", r.Skew)
	}
}

func TestAnOverageIsNoted(t *testing.T) {
	p := newIDP(t)
	p.claims = func(c map[string]any) { delete(c, "groups"); c["hasgroups"] = true }
	g, b := newGate(t, nil, p), newBrowser(t)
	b.signIn(g, "/.portcullis/sign-in")
	if r := g.traces.last(t); !slices.Equal(r.Notes, []trace.Note{trace.Overage}) {
		t.Errorf("notes = %v", r.Notes)
	}
	p.claims = func(c map[string]any) { delete(c, "groups") }
	newBrowser(t).signIn(g, "/.portcullis/sign-in")
	if r := g.traces.last(t); !slices.Equal(r.Notes, []trace.Note{trace.NoGroups}) {
		t.Errorf("notes = %v", r.Notes)
	}
}

// TestACallbackOfNoConnectionIsTraced: somebody renamed a connection, and its
// provider did not hear of it.
func TestACallbackOfNoConnectionIsTraced(t *testing.T) {
	g := newGate(t, nil, newIDP(t))
	for _, tc := range []struct {
		method, path string
		form         url.Values
	}{
		{http.MethodGet, "/.portcullis/oidc/renamed/callback?state=x&code=y", nil},
		{http.MethodPost, "/.portcullis/saml/renamed/acs", url.Values{"SAMLResponse": {"x"}}},
		{http.MethodGet, "/.portcullis/oidc/" + strings.Repeat("x", 5000) + "/callback", nil},
	} {
		answer := newBrowser(t).do(tc.method, g.public.String()+tc.path, tc.form)
		g.refused(t, answer, http.StatusNotFound, "no such way to sign in")
		r := g.traces.last(t)
		c, ok := check(r, "connection")
		if !ok || c.OK || r.Class() != trace.Stranger || r.Outcome != trace.Refused || r.Connection != "" || r.Reference != answer.Header.Get(web.ReferenceHeader) {
			t.Errorf("trace = %+v", r)
		}
		if len(c.Got) > 600 || !strings.HasPrefix(c.Got, "renamed") && !strings.HasPrefix(c.Got, "xxx") {
			t.Errorf("check = %+v", c)
		}
	}
}
