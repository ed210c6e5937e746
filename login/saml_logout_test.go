package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	crewjam "github.com/crewjam/saml"

	"portcullis/login"
	"portcullis/saml"
)

// enterAs signs a browser in at the SAML provider.
func (p *samlIDP) enterAs(t *testing.T, g *gate, name, index string) (*browser, string) {
	t.Helper()
	p.person.NameID, p.person.Index = name, index
	b := newBrowser(t)
	if answer := b.samlSignIn(g, "/.portcullis/sign-in/acme"); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("sign-in %d\n%s", answer.StatusCode, answer.body)
	}
	return b, b.cookies(g)["portcullis"]
}

// deliver takes a message of the provider to the gate, in a browser.
func (b *browser) deliver(out *saml.Outgoing) page {
	b.t.Helper()
	if len(out.Fields) == 0 {
		return b.get(out.URL)
	}
	form := url.Values{}
	for _, f := range out.Fields {
		form.Set(f.Name, f.Value)
	}
	return b.do(http.MethodPost, out.URL, form)
}

func TestTheProviderEndsSessionsByName(t *testing.T) {
	for _, tc := range []struct {
		name    string
		request saml.LogoutRequest
		left    []bool // alice 1, alice 2, bob
	}{
		{"a person", saml.LogoutRequest{NameID: "alice-1"}, []bool{false, false, true}},
		{"a session", saml.LogoutRequest{NameID: "alice-1", SessionIndexes: []string{"i-1"}}, []bool{false, true, true}},
		{"sessions", saml.LogoutRequest{NameID: "alice-1", SessionIndexes: []string{"i-1", "i-2"}}, []bool{false, false, true}},
		{"a session of somebody else", saml.LogoutRequest{NameID: "bob-1", SessionIndexes: []string{"i-1"}}, []bool{true, true, true}},
		{"by POST", saml.LogoutRequest{NameID: "alice-1", Binding: saml.BindingPOST}, []bool{false, false, true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, p := newRooms(t), newSAMLIDP(t)
			g := newGate(t, all(r.use, p.connection("acme", nil)))
			_, one := p.enterAs(t, g, "alice-1", "i-1")
			_, two := p.enterAs(t, g, "alice-1", "i-2")
			_, bob := p.enterAs(t, g, "bob-1", "i-3")
			idp := p.mirror(g, "acme")
			tc.request.RelayState = "theirs"
			out, err := idp.MakeLogoutRequest(tc.request)
			if err != nil {
				t.Fatal(err)
			}
			answer := newBrowser(t).deliver(out)
			for i, token := range []string{one, two, bob} {
				if got := alive(t, r.sessions, token); got != tc.left[i] {
					t.Errorf("session %d is alive: %v", i, got)
				}
			}
			l := p.read(t, idp, answer)
			if l.Answer == nil || l.Answer.InResponseTo != out.ID || l.Answer.Status != saml.StatusSuccess || l.Answer.RelayState != "theirs" {
				t.Errorf("answer = %+v", l.Answer)
			}
			if again := newBrowser(t).deliver(out); again.StatusCode != http.StatusBadRequest {
				t.Errorf("the same request again: %d", again.StatusCode)
			}
		})
	}
}

// Messages of others from the same network silence no good one, in either
// binding, and keep nobody from signing in.
func TestLogoutMessagesThatAreRefusedSilenceNoGoodOne(t *testing.T) {
	for _, binding := range []string{saml.BindingRedirect, saml.BindingPOST} {
		r, p := newRooms(t), newSAMLIDP(t)
		g := newGate(t, all(r.use, p.connection("acme", nil), func(c *login.Config) { c.Limit = login.Limit{PerSecond: 0.001, Burst: 20} }))
		_, token := p.enterAs(t, g, "alice-1", "i-1")
		for i := range 6 {
			answer := newBrowser(t).get(g.public.String() + "/.portcullis/saml/acme/slo?SAMLRequest=x&SigAlg=y&Signature=z")
			if want := i > 2; (answer.StatusCode == http.StatusTooManyRequests) != want || answer.StatusCode < 400 || answer.StatusCode > 499 {
				t.Errorf("message %d: %d\n%s", i, answer.StatusCode, answer.body)
			}
		}
		out, err := p.mirror(g, "acme").MakeLogoutRequest(saml.LogoutRequest{NameID: "alice-1", Binding: binding})
		if err != nil {
			t.Fatal(err)
		}
		if answer := newBrowser(t).deliver(out); answer.StatusCode >= 400 || alive(t, r.sessions, token) {
			t.Errorf("a good one: %d; the session lives: %t\n%s", answer.StatusCode, alive(t, r.sessions, token), answer.body)
		}
		p.enterAs(t, g, "alice-1", "i-2")
	}
}

// read is what the provider makes of our logout message, in either binding.
func (p *samlIDP) read(t *testing.T, idp *saml.ServiceProvider, answer page) *saml.Logout {
	t.Helper()
	var l *saml.Logout
	var err error
	if answer.StatusCode == http.StatusOK {
		if strings.Contains(answer.Header.Get("Content-Security-Policy"), "form-action") || !strings.Contains(answer.Header.Get("Content-Security-Policy"), "script-src 'self'") {
			t.Errorf("policy %q does not let the form go", answer.Header.Get("Content-Security-Policy"))
		}
		_, form := formOf(t, answer.body)
		l, err = idp.ReadLogoutPOST(form)
	} else {
		to, _ := url.Parse(answer.location(t))
		l, err = idp.ReadLogoutRedirect(to.RawQuery)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLogoutMessagesThatAreRefused(t *testing.T) {
	r, p := newRooms(t), newSAMLIDP(t)
	g := newGate(t, all(r.use, p.connection("acme", nil), p.connection("beta", nil)))
	_, token := p.enterAs(t, g, "alice-1", "i-1")
	out, err := p.mirror(g, "acme").MakeLogoutRequest(saml.LogoutRequest{NameID: "alice-1"})
	if err != nil {
		t.Fatal(err)
	}
	unsigned, _, _ := strings.Cut(out.URL, "&SigAlg=")
	g.advance(-time.Hour)
	stale, err := p.mirror(g, "acme").MakeLogoutRequest(saml.LogoutRequest{NameID: "alice-1"})
	if err != nil {
		t.Fatal(err)
	}
	g.advance(time.Hour)
	slo := g.public.String() + "/.portcullis/saml/acme/slo"
	for name, target := range map[string]string{
		"unsigned": unsigned, "altered": strings.Replace(out.URL, "SAMLRequest=", "SAMLRequest=A", 1), "of yesterday": stale.URL,
		"at another door": strings.Replace(out.URL, "/acme/", "/beta/", 1), "empty": slo, "no message": slo + "?SAMLRequest=x&SigAlg=y&Signature=z",
	} {
		if answer := newBrowser(t).get(target); answer.StatusCode < 400 || answer.StatusCode > 499 {
			t.Errorf("%s: %d\n%s", name, answer.StatusCode, answer.body)
		}
	}
	if answer := newBrowser(t).do(http.MethodPost, slo, url.Values{"SAMLResponse": {"x"}}); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("a form that is none: %d", answer.StatusCode)
	}
	if !alive(t, r.sessions, token) {
		t.Error("a refused message ended the session")
	}
	if answer := newBrowser(t).get(g.public.String() + "/.portcullis/saml/nope/slo"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown door: %d", answer.StatusCode)
	}
}

func TestSignOutGoesOnToTheSAMLProvider(t *testing.T) {
	for _, answerBy := range []string{saml.BindingRedirect, saml.BindingPOST} {
		r, p := newRooms(t), newSAMLIDP(t)
		g := newGate(t, all(r.use, p.connection("acme", nil)))
		p.person.NameIDFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
		p.change = func(a *crewjam.Assertion) {
			a.Subject.NameID.NameQualifier, a.Subject.NameID.SPNameQualifier = "theirs", "ours"
		}
		b, token := p.enterAs(t, g, "alice-1", "i-1")
		idp := p.mirror(g, "acme")
		gone := b.do(http.MethodPost, g.public.String()+"/.portcullis/sign-out", url.Values{"return_to": {"/home"}})
		if alive(t, r.sessions, token) {
			t.Error("the session lives on here")
		}
		l := p.read(t, idp, gone)
		want := saml.LogoutRequest{
			NameID: "alice-1", NameIDFormat: p.person.NameIDFormat, NameQualifier: "theirs", SPNameQualifier: "ours", SessionIndexes: []string{"i-1"},
		}
		if got := l.Request; got == nil || got.NameID != want.NameID || got.NameIDFormat != want.NameIDFormat || got.NameQualifier != want.NameQualifier ||
			got.SPNameQualifier != want.SPNameQualifier || len(got.SessionIndexes) != 1 || got.SessionIndexes[0] != "i-1" {
			t.Fatalf("request = %+v", got)
		}
		out, err := idp.MakeLogoutResponse(saml.LogoutAnswer{InResponseTo: l.ID, Binding: answerBy})
		if err != nil {
			t.Fatal(err)
		}
		if other := newBrowser(t).deliver(out); other.StatusCode != http.StatusBadRequest {
			t.Errorf("in another browser: %d", other.StatusCode)
		}
		done := b.deliver(out)
		if done.StatusCode != http.StatusOK || !strings.Contains(done.body, "You are signed out") || !strings.Contains(done.body, `href="/home"`) {
			t.Errorf("answer %d\n%s", done.StatusCode, done.body)
		}
		if left := b.cookies(g); left["portcullis"] != "" || left["portcullis-signout"] != "" {
			t.Errorf("cookies left: %v", left)
		}
		if again := b.deliver(out); again.StatusCode != http.StatusBadRequest {
			t.Errorf("the same answer again: %d", again.StatusCode)
		}
	}
}

func TestAProviderThatIsNotDoneSaysSo(t *testing.T) {
	p := newSAMLIDP(t)
	g := newGate(t, p.connection("acme", nil))
	b, _ := p.enterAs(t, g, "alice-1", "i-1")
	idp := p.mirror(g, "acme")
	l := p.read(t, idp, b.do(http.MethodPost, g.public.String()+"/.portcullis/sign-out", url.Values{}))
	out, err := idp.MakeLogoutResponse(saml.LogoutAnswer{InResponseTo: l.ID, Status: saml.StatusResponder, SubStatus: saml.StatusPartialLogout})
	if err != nil {
		t.Fatal(err)
	}
	if done := b.deliver(out); done.StatusCode != http.StatusOK || !strings.Contains(done.body, "did not end all of its own sessions") {
		t.Errorf("answer %d\n%s", done.StatusCode, done.body)
	}
}

func TestSignOutWithoutALogoutServiceEndsHere(t *testing.T) {
	p := newSAMLIDP(t)
	g := newGate(t, p.connection("acme", func(s *login.SAML) { s.Keys = nil })) // nothing to sign with
	b, _ := p.enterAs(t, g, "alice-1", "i-1")
	if gone := b.do(http.MethodPost, g.public.String()+"/.portcullis/sign-out", url.Values{}); gone.Header.Get("Location") != "/.portcullis/sign-out" {
		t.Errorf("sign-out leads to %d %q", gone.StatusCode, gone.Header.Get("Location"))
	}
}
