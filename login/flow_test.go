package login_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/login"
	"portcullis/web"
)

func TestSignInEndsWhereItBegan(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	const deep = "/foo?next=https://a.b/c&x=1;2"
	answer := b.signIn(g, "/.portcullis/sign-in?return_to="+url.QueryEscape(deep))
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != deep {
		t.Fatalf("callback = %d to %q, want 303 to %q\n%s", answer.StatusCode, answer.Header.Get("Location"), deep, answer.body)
	}
	var session *http.Cookie
	for _, c := range answer.Cookies() {
		if c.Name == "portcullis" {
			session = c
		}
	}
	if session == nil || !session.HttpOnly || session.SameSite != http.SameSiteLaxMode || session.Path != "/" || session.Domain != "" {
		t.Fatalf("session cookie = %v", session)
	}
	if life := time.Duration(session.MaxAge) * time.Second; life < 11*time.Hour || life > 12*time.Hour {
		t.Errorf("session cookie lives %s, want the absolute life of the session", life)
	}
	got := g.people.last(t)
	want := directory.Assertion{
		Connection: "acme", Issuer: p.issuer(), Subject: "alice-1", Link: "alice-1", UserName: "alice",
		Email: "alice@acme.example", EmailVerified: true, Name: "Alice", Groups: []string{"g-1", "g-2"},
		Claims: map[string]any{
			"sub": "alice-1", "email": "alice@acme.example", "email_verified": true, "name": "Alice", "preferred_username": "alice",
		},
		Received: got.Received,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("assertion (-want +got):\n%s", diff)
	}
	if got.Received.IsZero() || got.Received.Location() != time.UTC {
		t.Errorf("received %v", got.Received)
	}
	if g.sessions.client.UserAgent != "test browser" || g.sessions.client.Address != "127.0.0.1" {
		t.Errorf("client = %+v", g.sessions.client)
	}
	if n := p.count("/userinfo"); n != 0 {
		t.Errorf("userinfo was asked %d times for nothing", n)
	}
	if len(g.store.all()) != 0 {
		t.Errorf("the attempt is still there")
	}
	for _, words := range []string{"sign-in started", "outcome=\"signed in\"", "connection=acme", "reference="} {
		if !strings.Contains(g.log.String(), words) {
			t.Errorf("the log lacks %q", words)
		}
	}
}

func TestStoredAttemptStartsNothing(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	to, _ := url.Parse(b.get(g.public.String() + "/.portcullis/sign-in/acme").location(t))
	rows := g.store.all()
	if len(rows) != 1 {
		t.Fatalf("%d attempts", len(rows))
	}
	a := rows[0]
	if len(a.StateHash) != 32 || len(a.BrowserHash) != 32 || string(a.StateHash) == to.Query().Get("state") {
		t.Errorf("state or browser stands in the row: %+v", a)
	}
	if a.Reference == "" || a.Expires.Sub(a.Created) != 10*time.Minute {
		t.Errorf("attempt = %+v", a)
	}
	if q := to.Query(); q.Get("scope") != "openid profile email" || q.Get("redirect_uri") != g.callback("acme") || q.Has("login_hint") {
		t.Errorf("authorization request = %v", q)
	}
}

func TestScopesAlwaysHoldOpenID(t *testing.T) {
	p := newIDP(t)
	g := newGate(t, func(c *login.Config) { c.Connections[0].OIDC.Provider.Scopes = []string{"email", "groups"} }, p)
	to, _ := url.Parse(newBrowser(t).get(g.public.String() + "/.portcullis/sign-in").location(t))
	if got := to.Query().Get("scope"); got != "openid email groups" {
		t.Errorf("scope = %q", got)
	}
}

func TestEverySignInGetsANewSessionAndEndsTheOld(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	b.signIn(g, "/.portcullis/sign-in/acme")
	first := b.cookies(g)["portcullis"]
	b.signIn(g, "/.portcullis/sign-in/acme")
	second := b.cookies(g)["portcullis"]
	if first == "" || second == "" || first == second {
		t.Errorf("sessions %q and %q, want two", first, second)
	}
	if diff := cmp.Diff([]string{first}, g.sessions.ended); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
	if g.sessions.by.Kind != "person" || g.sessions.by.ID == "" {
		t.Errorf("ended by %+v", g.sessions.by)
	}
}

func TestPlantedSessionCookieIsNeverTaken(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	b.http.Jar.SetCookies(g.public, []*http.Cookie{{Name: "portcullis", Value: "session-planted", Path: "/"}})
	b.signIn(g, "/.portcullis/sign-in/acme")
	if got := b.cookies(g)["portcullis"]; got == "session-planted" || got == "" {
		t.Errorf("session = %q", got)
	}
}

func TestWhoMayNotEnterGetsAPageAtTheEndOfTheCallback(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	g.people.refuse = fault.New(fault.Forbidden, "no rule lets you in")
	answer := b.signIn(g, "/.portcullis/sign-in")
	g.refused(t, answer, http.StatusForbidden, "No rule lets you in")
	g.people.refuse = fault.New(fault.Unavailable, "the database is away")
	g.refused(t, b.signIn(g, "/.portcullis/sign-in"), http.StatusServiceUnavailable, "The database is away")
}

func TestTabsShareOneCookieAndAbandonedOnesDoNotPileUp(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	var back []string
	for range 20 {
		back = append(back, b.authorize(g, "/.portcullis/sign-in/acme?return_to=/tab"))
	}
	if got := b.cookies(g); len(got) != 1 || got["portcullis-signin"] == "" {
		t.Fatalf("cookies = %v, want one", got)
	}
	for _, i := range []int{7, 19, 0} {
		if answer := b.get(back[i]); answer.StatusCode != http.StatusSeeOther {
			t.Errorf("tab %d: status %d: %s", i, answer.StatusCode, answer.body)
		}
	}
	g.advance(11 * time.Minute)
	if answer := b.get(back[3]); answer.StatusCode != http.StatusBadRequest || !strings.Contains(answer.body, "has expired") {
		t.Errorf("an old tab: status %d: %s", answer.StatusCode, answer.body)
	}
}

func TestAttemptCookieIsShortLivedAndBound(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	cookies := b.get(g.public.String() + "/.portcullis/sign-in").Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies = %v", cookies)
	}
	if c := cookies[0]; c.Name != web.CookieName(g.public, login.BrowserCookie) || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.MaxAge != 600 {
		t.Errorf("cookie = %v", c)
	}
	https, _ := url.Parse("https://gate.example")
	if name := web.CookieName(https, login.BrowserCookie); name != "__Host-portcullis-signin" {
		t.Errorf("cookie on https = %q", name)
	}
}

func TestReturnToStaysAtOurOrigin(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	for _, target := range []string{
		"https://evil.example/", "//evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "javascript:alert(1)",
		"http:evil.example", "/%2f/evil.example", "/%5cevil.example", g.public.String() + ".evil.example/", g.public.String() + "@evil.example/",
		"/.portcullis/sign-out", "", "evil",
	} {
		answer := b.signIn(g, "/.portcullis/sign-in/acme?return_to="+url.QueryEscape(target))
		if got := answer.Header.Get("Location"); got != "/" {
			t.Errorf("return_to %q leads to %q", target, got)
		}
	}
	answer := b.signIn(g, "/.portcullis/sign-in/acme?return_to="+url.QueryEscape(g.public.String()+"/ok?x=//y"))
	if got := answer.Header.Get("Location"); got != "/ok?x=//y" {
		t.Errorf("own absolute URL leads to %q", got)
	}
}

func TestChooserListsConnectionsAndFindsThemByDomain(t *testing.T) {
	acme, beta := newIDP(t), newIDP(t)
	g := newGate(t, nil, acme, beta)
	b := newBrowser(t)
	home := g.public.String()
	chooser := b.get(home + "/.portcullis/sign-in?return_to=/x%3Fy=1")
	if chooser.StatusCode != http.StatusOK {
		t.Fatalf("chooser = %d", chooser.StatusCode)
	}
	links := regexp.MustCompile(`href="(/\.portcullis/sign-in/[^"]+)"`).FindAllStringSubmatch(chooser.body, -1)
	if len(links) != 2 || !strings.Contains(chooser.body, "ACME") || !strings.Contains(chooser.body, `name="email"`) {
		t.Fatalf("chooser:\n%s", chooser.body)
	}
	if strings.Contains(chooser.Header.Get("Content-Security-Policy"), "form-action") {
		t.Errorf("form-action would keep Chromium from following the form to the identity provider")
	}
	if len(chooser.Cookies()) != 0 || len(g.store.all()) != 0 {
		t.Errorf("looking at the chooser started something")
	}
	if answer := b.signIn(g, html.UnescapeString(links[1][1])); answer.Header.Get("Location") != "/x?y=1" || g.people.last(t).Connection != "beta" {
		t.Errorf("second link: %d to %q at %q", answer.StatusCode, answer.Header.Get("Location"), g.people.last(t).Connection)
	}

	for email, want := range map[string]*idp{
		"bob@acme.example": acme, "Bob@BETA.example": beta, " bob@beta.example ": beta,
		"bob@gamma.example": nil, "bob@evil@acme.example": nil, "bob@acme.example.": nil, "acme.example": nil, "Bob <bob@acme.example>": nil,
	} {
		fresh := newBrowser(t)
		for _, answer := range []page{
			fresh.get(home + "/.portcullis/sign-in?email=" + url.QueryEscape(email)),
			fresh.do(http.MethodPost, home+"/.portcullis/sign-in", url.Values{"email": {email}}),
		} {
			if want == nil {
				if answer.StatusCode != http.StatusOK || !strings.Contains(answer.body, "No organization is known for this e-mail") {
					t.Errorf("email %q: %d\n%s", email, answer.StatusCode, answer.body)
				}
				continue
			}
			to, _ := url.Parse(answer.location(t))
			if !strings.HasPrefix(to.String(), want.issuer()+"/") || to.Query().Get("login_hint") != strings.TrimSpace(email) {
				t.Errorf("email %q leads to %s, want %s", email, to, want.issuer())
			}
		}
	}
	if to := newBrowser(t).get(home + "/.portcullis/sign-in?connection=beta").location(t); !strings.HasPrefix(to, beta.issuer()) {
		t.Errorf("connection=beta leads to %s", to)
	}
	if answer := newBrowser(t).get(home + "/.portcullis/sign-in/nope"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("unknown connection = %d", answer.StatusCode)
	}
}

// A connection that the mapping does not name yet lets nobody in: nobody is
// offered it, and it takes nobody the way straight to the only other one.
func TestChooserOffersWhatTheMappingNames(t *testing.T) {
	named := map[string]bool{"acme": true, "gamma": true}
	acme, beta := newIDP(t), newIDP(t)
	g := newGate(t, func(c *login.Config) { c.Named = func(id string) bool { return named[id] } }, acme, beta, newIDP(t))
	signIn := g.public.String() + "/.portcullis/sign-in"
	if page := newBrowser(t).get(signIn); !strings.Contains(page.body, "ACME") || strings.Contains(page.body, "sign-in/beta") || !strings.Contains(page.body, "sign-in/gamma") {
		t.Errorf("chooser:\n%s", page.body)
	}
	if to := newBrowser(t).get(signIn + "/beta").location(t); !strings.HasPrefix(to, beta.issuer()) {
		t.Errorf("its own address leads to %s", to)
	}
	delete(named, "gamma")
	if to := newBrowser(t).get(signIn).location(t); !strings.HasPrefix(to, acme.issuer()) && !strings.HasSuffix(to, "/sign-in/acme") {
		t.Errorf("the only one that is named: led to %s", to)
	}
	clear(named)
	if page := newBrowser(t).get(signIn); !strings.Contains(page.body, "sign-in/acme") || !strings.Contains(page.body, "sign-in/beta") {
		t.Errorf("none is named: chooser:\n%s", page.body)
	}
}

func TestChooserIsInertHTML(t *testing.T) {
	g := newGate(t, nil, newIDP(t), newIDP(t))
	evil := `"><script>alert(1)</script>@x.example`
	answer := newBrowser(t).get(g.public.String() + "/.portcullis/sign-in?email=" + url.QueryEscape(evil))
	if strings.Contains(answer.body, "<script") {
		t.Errorf("the page echoes markup:\n%s", answer.body)
	}
}

func TestSignedInBrowserGoesOnUnlessItNamesAConnection(t *testing.T) {
	p, q := newIDP(t), newIDP(t)
	g, b := newGate(t, nil, p, q), newBrowser(t)
	b.signIn(g, "/.portcullis/sign-in/acme")
	if got := b.get(g.public.String() + "/.portcullis/sign-in?return_to=/deep").Header.Get("Location"); got != "/deep" {
		t.Errorf("signed in, sign-in leads to %q", got)
	}
	if to := b.get(g.public.String() + "/.portcullis/sign-in/beta").location(t); !strings.HasPrefix(to, q.issuer()) {
		t.Errorf("an explicit connection leads to %s", to)
	}
}
