package login_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	crewjam "github.com/crewjam/saml"
	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/login"
	"portcullis/saml"
	"portcullis/store/storetest"
	"portcullis/trace"
)

func encode64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func withoutKeys(s *login.SAML) { s.Keys = nil }

func TestSAMLSignInEndsWhereItBegan(t *testing.T) {
	for name, change := range map[string]func(*login.SAML){
		"encrypted, by redirect": nil,
		"plain, unsigned":        withoutKeys,
		"by POST":                func(s *login.SAML) { s.Binding = saml.BindingPOST },
	} {
		t.Run(name, func(t *testing.T) {
			p := newSAMLIDP(t)
			g, b := newGate(t, p.connection("acme", change)), newBrowser(t)
			const deep = "/foo?next=https://a.b/c&x=1;2"
			action, form := b.samlForm(g, "/.portcullis/sign-in?return_to="+url.QueryEscape(deep))
			answer := b.do(http.MethodPost, action, form)
			if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != deep {
				t.Fatalf("answer %d to %q\n%s", answer.StatusCode, answer.Header.Get("Location"), answer.body)
			}
			got := g.people.last(t)
			want := directory.Assertion{
				Connection: "acme", Issuer: p.entityID(), Subject: "alice-1", Link: "alice-1", UserName: "alice",
				Email: "alice@acme.example", EmailVerified: true, Name: "Alice", Groups: []string{"g-1", "g-2"},
				Claims:   map[string]any{"email": "alice@acme.example", "displayName": "Alice", "uid": "alice", "department": "sales"},
				ACR:      "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
				AuthTime: got.AuthTime, Received: got.Received,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("assertion (-want +got):\n%s", diff)
			}
			if d := time.Since(got.AuthTime); d < -time.Minute || d > time.Minute {
				t.Errorf("authenticated at %v", got.AuthTime)
			}
			ticket := g.sessions.tickets[b.cookies(g)["portcullis"]]
			if ticket.Issuer != p.entityID() || ticket.Subject != "alice-1" || ticket.Session != "index-1" {
				t.Errorf("ticket = %+v", ticket)
			}
			r := g.traces.last(t)
			if r.Protocol != "saml" || r.Outcome != trace.SignedIn || r.Key == "" || !r.Measured || len(r.Claims) != 5 {
				t.Errorf("trace = %+v", r)
			}
			for _, name := range []string{"state", "browser", "envelope", "audience", "used once", "access"} {
				if c, ok := check(r, name); !ok || !c.OK {
					t.Errorf("the trace lacks the check %q", name)
				}
			}
		})
	}
}

func TestSAMLRequestIsSignedAndBound(t *testing.T) {
	p := newSAMLIDP(t)
	g := newGate(t, p.connection("acme", nil))
	b := newBrowser(t)
	started := b.get(g.public.String() + "/.portcullis/sign-in/acme")
	to, _ := url.Parse(started.location(t))
	if q := to.Query(); q.Get("SigAlg") == "" || q.Get("Signature") == "" || len(q.Get("RelayState")) != 26 {
		t.Errorf("request = %v", q)
	}
	if cookies := started.Cookies(); len(cookies) != 1 || cookies[0].Name != login.SAMLCookie || cookies[0].MaxAge != 600 || !cookies[0].HttpOnly {
		t.Errorf("cookies = %v", cookies)
	}
	a := g.store.all()[0]
	if len(a.StateHash) != 32 || !strings.HasPrefix(a.Nonce, "_") || a.Verifier != "" {
		t.Errorf("attempt = %+v", a)
	}
	unsigned := newGate(t, p.connection("acme", func(s *login.SAML) { s.Unsigned = true }))
	if to := newBrowser(t).get(unsigned.public.String() + "/.portcullis/sign-in/acme").location(t); strings.Contains(to, "Signature=") {
		t.Errorf("signed all the same: %s", to)
	}
}

func TestSAMLAnswersThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		setup  func(*samlIDP, *gate)
		form   func(url.Values)
		action func(string) string
		other  bool // browser
		words  string
		check  string // that failed
	}{
		"of another browser": {other: true, words: "not started in this browser", check: "browser"},
		"expired":            {setup: func(_ *samlIDP, g *gate) { g.advance(11 * time.Minute) }, words: "has expired", check: "state"},
		"at the wrong door":  {action: func(s string) string { return strings.Replace(s, "/acme/", "/beta/", 1) }, words: "another connection", check: "connection"},
		"without its state":  {form: func(v url.Values) { v.Del("RelayState") }, words: "has expired or was used", check: "state"},
		"with another state": {form: func(v url.Values) { v.Set("RelayState", strings.Repeat("A", 26)) }, words: "has expired or was used", check: "state"},
		"nothing":            {form: func(v url.Values) { v.Del("SAMLResponse") }, words: "holds no answer"},
		"no XML":             {form: func(v url.Values) { v.Set("SAMLResponse", "AAAA") }, words: "was not accepted", check: "envelope"},
		"too large":          {form: func(v url.Values) { v.Set("SAMLResponse", strings.Repeat("A", 400<<10)) }, words: "was not accepted", check: "envelope"},
		"signed by a stranger": {setup: func(p *samlIDP, _ *gate) {
			k := pairOf(p.t, "stranger")
			p.idp.Key, p.idp.Certificate = k.Private, k.Certificate
		}, words: "was not accepted", check: "response signature"},
		"for somebody else": {
			setup: func(p *samlIDP, _ *gate) {
				p.change = func(a *crewjam.Assertion) {
					a.Conditions.AudienceRestrictions[0].Audience.Value = "https://other.example"
				}
			}, words: "was not accepted", check: "audience",
		},
		"a name without measure": {
			setup: func(p *samlIDP, _ *gate) {
				p.person.CustomAttributes = append(p.person.CustomAttributes, attribute("displayName", strings.Repeat("x", 2000)))
				p.person.CustomAttributes = slices.DeleteFunc(p.person.CustomAttributes, func(a crewjam.Attribute) bool { return a.Name == "displayName" && len(a.Values[0].Value) < 10 })
			}, words: "not a line of text", check: "facts",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newSAMLIDP(t)
			g, b := newGate(t, all(p.connection("acme", nil), p.connection("beta", nil))), newBrowser(t)
			if tc.setup != nil && tc.words != "has expired" {
				tc.setup(p, g)
			}
			action, form := b.samlForm(g, "/.portcullis/sign-in/acme")
			if tc.setup != nil && tc.words == "has expired" {
				tc.setup(p, g)
			}
			if tc.form != nil {
				tc.form(form)
			}
			if tc.action != nil {
				action = tc.action(action)
			}
			if tc.other {
				b = newBrowser(t)
			}
			g.refused(t, b.do(http.MethodPost, action, form), http.StatusBadRequest, tc.words)
			if c, ok := check(g.traces.last(t), tc.check); tc.check != "" && (!ok || c.OK) {
				t.Errorf("check %q = %+v of %+v", tc.check, c, g.traces.last(t).Checks)
			}
		})
	}
}

func TestASAMLAnswerCountsOnceOnAnyReplica(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		file := filepath.Join(t.TempDir(), "gate.key")
		one, two := openRooms(t, databaseURL, file), openRooms(t, databaseURL, file)
		p := newSAMLIDP(t)
		open := func(s *login.SAML) { s.AllowIDPInitiated = true; s.EntityID = "urn:gate" }
		g := newGate(t, all(one.use, p.connection("acme", open)))
		other := newGate(t, all(two.use, func(c *login.Config) { c.PublicURL = g.public }, p.connection("acme", open)))
		p.sps["urn:gate"] = g.public.String() + "/.portcullis/saml/acme/metadata"

		b := newBrowser(t)
		action, form := b.samlForm(g, "/.portcullis/sign-in/acme?return_to=/deep")
		if answer := b.do(http.MethodPost, action, form); answer.StatusCode != http.StatusSeeOther {
			t.Fatalf("answer %d\n%s", answer.StatusCode, answer.body)
		}
		token := b.cookies(g)["portcullis"]
		if who, err := one.sessions.Verify(t.Context(), token); err != nil || who.Subject != "alice-1" || who.Issuer != p.entityID() {
			t.Errorf("principal = %+v, %v", who, err)
		}
		for _, gate := range []*gate{g, other} {
			if answer := b.do(http.MethodPost, gate.base+"/.portcullis/saml/acme/acs", form); answer.StatusCode != http.StatusBadRequest {
				t.Errorf("again: %d", answer.StatusCode)
			}
		}
		// Without a request there is no row to use up: the assertion itself is.
		form = p.unsolicited("urn:gate", "/deep")
		for i, gate := range []*gate{g, other, g} {
			answer := newBrowser(t).do(http.MethodPost, gate.base+"/.portcullis/saml/acme/acs", form)
			if i == 0 && (answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/deep") ||
				i > 0 && (answer.StatusCode != http.StatusBadRequest || !strings.Contains(answer.body, "was used already")) {
				t.Errorf("time %d: %d\n%s", i+1, answer.StatusCode, answer.body)
			}
		}
	})
}

func TestWhoBeginsAtTheProviderComesInWhereThatIsAllowed(t *testing.T) {
	p := newSAMLIDP(t)
	g := newGate(t, all(p.connection("acme", nil), p.connection("beta", func(s *login.SAML) { s.AllowIDPInitiated = true })))
	base := g.public.String() + "/.portcullis/saml/"
	g.refused(t, newBrowser(t).do(http.MethodPost, base+"acme/acs", p.unsolicited(base+"acme/metadata", "/x")), http.StatusBadRequest, "has expired")
	// One that answers a request is not unsolicited.
	_, form := newBrowser(t).samlForm(g, "/.portcullis/sign-in/beta")
	form.Set("RelayState", "/x")
	g.refused(t, newBrowser(t).do(http.MethodPost, base+"beta/acs", form), http.StatusBadRequest, "was not accepted")
	for relay, want := range map[string]string{
		"/reports?x=1": "/reports?x=1", "": "/", "https://evil.example/": "/", "//evil.example": "/", `/\evil.example`: "/",
		"javascript:alert(1)": "/", "/.portcullis/sign-out": "/", g.public.String() + "/ok": "/ok",
	} {
		b := newBrowser(t)
		answer := b.do(http.MethodPost, base+"beta/acs", p.unsolicited(base+"beta/metadata", relay))
		if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != want {
			t.Errorf("%q leads to %d %q, want %q", relay, answer.StatusCode, answer.Header.Get("Location"), want)
		}
	}
}

func TestSAMLStepUp(t *testing.T) {
	p := newSAMLIDP(t)
	g, b := newGate(t, all(strict, p.connection("acme", nil))), newBrowser(t)
	b.samlSignIn(g, "/.portcullis/sign-in/acme")
	if p.asked.ForceAuthn != nil || p.asked.RequestedAuthnContext != nil {
		t.Errorf("an ordinary sign-in asks for %+v", p.asked)
	}
	before := b.cookies(g)["portcullis"]
	answer := b.samlSignIn(g, "/.portcullis/sign-in/acme?return_to=/payments/1")
	if answer.StatusCode != http.StatusForbidden || !strings.Contains(answer.body, "less than this page asks for") || b.cookies(g)["portcullis"] != before {
		t.Errorf("too little: %d\n%s", answer.StatusCode, answer.body)
	}
	if p.asked.ForceAuthn == nil || !*p.asked.ForceAuthn || p.asked.RequestedAuthnContext == nil || p.asked.RequestedAuthnContext.AuthnContextClassRef != "platinum" {
		t.Errorf("asked = %+v", p.asked.RequestedAuthnContext) // the library's type keeps the last class alone
	}
	p.change = func(a *crewjam.Assertion) {
		a.AuthnStatements[0].AuthnContext.AuthnContextClassRef.Value = "gold"
		a.AuthnStatements[0].AuthnInstant = time.Now().Add(-10 * time.Minute)
	}
	answer = b.samlSignIn(g, "/.portcullis/sign-in/acme?return_to=/payments/1")
	if answer.StatusCode != http.StatusForbidden || !strings.Contains(answer.body, "longer ago") {
		t.Errorf("too long ago: %d\n%s", answer.StatusCode, answer.body)
	}
	p.change = func(a *crewjam.Assertion) { a.AuthnStatements[0].AuthnContext.AuthnContextClassRef.Value = "gold" }
	// Another site's form brings no session along: the row of the attempt does.
	action, form := b.samlForm(g, "/.portcullis/sign-in/acme?return_to=/payments/1")
	cookies := b.cookies(g)
	fresh := newBrowser(t)
	fresh.http.Jar.SetCookies(g.public, []*http.Cookie{{Name: login.SAMLCookie, Value: cookies[login.SAMLCookie], Path: "/"}})
	if answer = fresh.do(http.MethodPost, action, form); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("enough: %d\n%s", answer.StatusCode, answer.body)
	}
	if !slices.Equal(g.sessions.ended, []string{before}) {
		t.Errorf("ended %v, want what the browser held before", g.sessions.ended)
	}
}

func TestAConnectionDemandsAContext(t *testing.T) {
	p := newSAMLIDP(t)
	g := newGate(t, p.connection("acme", func(s *login.SAML) { s.AuthnContexts = []string{"mfa"}; s.ForceAuthn = true }))
	g.refused(t, newBrowser(t).samlSignIn(g, "/.portcullis/sign-in/acme"), http.StatusBadRequest, "was not accepted")
	p.change = func(a *crewjam.Assertion) { a.AuthnStatements[0].AuthnContext.AuthnContextClassRef.Value = "mfa" }
	if answer := newBrowser(t).samlSignIn(g, "/.portcullis/sign-in/acme"); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("mfa: %d\n%s", answer.StatusCode, answer.body)
	}
	p.change = func(a *crewjam.Assertion) {
		a.AuthnStatements[0].AuthnContext.AuthnContextClassRef.Value = "mfa"
		a.AuthnStatements[0].AuthnInstant = time.Now().Add(-time.Hour)
	}
	if answer := newBrowser(t).samlSignIn(g, "/.portcullis/sign-in/acme"); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("not anew: %d", answer.StatusCode)
	}
}

func TestWhoAPersonIs(t *testing.T) {
	const (
		tenant = "http://schemas.microsoft.com/identity/claims/tenantid"
		object = "http://schemas.microsoft.com/identity/claims/objectidentifier"
		more   = "http://schemas.microsoft.com/claims/groups.link"
		email  = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	)
	for name, tc := range map[string]struct {
		change     func(*login.SAML)
		person     func(*samlIDP)
		subject    string
		notes      []trace.Note
		incomplete bool
		status     int
		words      string
	}{
		"an attribute":                   {change: func(s *login.SAML) { s.Subject = "uid" }, subject: "alice"},
		"an attribute that is not there": {change: func(s *login.SAML) { s.Subject = "employeeNumber" }, status: http.StatusBadRequest, words: "does not say who you are"},
		"the object of the tenant": {person: func(p *samlIDP) {
			p.idp.MetadataURL.Path = "/metadata"
			p.idp.MetadataURL.RawPath = ""
			p.add(attribute(tenant, "metadata"), attribute(object, "oid-1"))
		}, subject: "oid-1"},
		"an object of another tenant": {person: func(p *samlIDP) { p.add(attribute(tenant, "elsewhere"), attribute(object, "oid-1")) }, subject: "alice-1"},
		"transient":                   {person: func(p *samlIDP) { p.person.NameIDFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient" }, subject: "alice-1", notes: []trace.Note{trace.TransientNameID}},
		"transient, beside an attribute": {
			change:  func(s *login.SAML) { s.Subject = "uid" },
			person:  func(p *samlIDP) { p.person.NameIDFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient" },
			subject: "alice",
		},
		"an e-mail address": {person: func(p *samlIDP) { p.person.NameID, p.person.NameIDFormat = "alice@acme.example", email }, subject: "alice@acme.example", notes: []trace.Note{trace.EmailAsKey}},
		"more groups than fit": {person: func(p *samlIDP) {
			p.person.CustomAttributes = p.person.CustomAttributes[1:]
			p.add(attribute(more, "https://graph.example/x"))
		}, subject: "alice-1", incomplete: true, notes: []trace.Note{trace.Overage}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newSAMLIDP(t)
			if tc.person != nil {
				tc.person(p)
			}
			g := newGate(t, p.connection("acme", tc.change))
			answer := newBrowser(t).samlSignIn(g, "/.portcullis/sign-in")
			if tc.status != 0 {
				g.refused(t, answer, tc.status, tc.words)
				if r := g.traces.last(t); !slices.Equal(r.Notes, tc.notes) {
					t.Errorf("notes %v, want %v", r.Notes, tc.notes)
				}
				return
			}
			if answer.StatusCode != http.StatusSeeOther {
				t.Fatalf("answer %d\n%s", answer.StatusCode, answer.body)
			}
			a, r := g.people.last(t), g.traces.last(t)
			if a.Subject != tc.subject || a.GroupsIncomplete != tc.incomplete || !slices.Equal(r.Notes, tc.notes) {
				t.Errorf("subject %q, incomplete %v, notes %v", a.Subject, a.GroupsIncomplete, r.Notes)
			}
		})
	}
}

func (p *samlIDP) drop(name string) {
	p.person.CustomAttributes = slices.DeleteFunc(p.person.CustomAttributes, func(a crewjam.Attribute) bool { return a.Name == name })
}

func (p *samlIDP) add(a ...crewjam.Attribute) {
	p.person.CustomAttributes = append(p.person.CustomAttributes, a...)
}

func TestTheProvidersSessionBoundsOurs(t *testing.T) {
	r, p := newRooms(t), newSAMLIDP(t)
	g := newGate(t, all(r.use, p.connection("acme", nil)))
	end := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	p.change = func(a *crewjam.Assertion) { a.AuthnStatements[0].SessionNotOnOrAfter = &end }
	b := newBrowser(t)
	b.samlSignIn(g, "/.portcullis/sign-in/acme")
	if who, err := r.sessions.Verify(t.Context(), b.cookies(g)["portcullis"]); err != nil || !who.Expires.Equal(end) {
		t.Errorf("session = %+v, %v, want its end at %v", who, err, end)
	}
}

func TestWhoIsRefusedByTheDirectoryGetsAPage(t *testing.T) {
	p := newSAMLIDP(t)
	g := newGate(t, p.connection("acme", nil))
	g.people.refuse = fault.New(fault.Forbidden, "your account is deactivated")
	g.refused(t, newBrowser(t).samlSignIn(g, "/.portcullis/sign-in"), http.StatusForbidden, "Your account is deactivated")
}

func TestTwoConnectionsOfOneProviderAreTwo(t *testing.T) {
	p := newSAMLIDP(t)
	g := newGate(t, all(p.connection("acme", nil), p.connection("beta", nil)))
	for _, id := range []string{"acme", "beta"} {
		newBrowser(t).samlSignIn(g, "/.portcullis/sign-in/"+id)
		if got := g.people.last(t).Connection; got != id {
			t.Errorf("signed in at %q, want %q", got, id)
		}
	}
	// What was said at one door is worth nothing at the other, even with a
	// sign-in under way there.
	b := newBrowser(t)
	_, first := b.samlForm(g, "/.portcullis/sign-in/acme")
	action, second := b.samlForm(g, "/.portcullis/sign-in/beta")
	first.Set("RelayState", second.Get("RelayState"))
	if answer := b.do(http.MethodPost, action, first); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("answer %d", answer.StatusCode)
	}
}

func TestSAMLDryRunMakesNoSession(t *testing.T) {
	p := newSAMLIDP(t)
	g, b := newGate(t, p.connection("acme", nil)), newBrowser(t)
	test, path := login.NewTest("acme", audit.Actor{Kind: "operator", ID: "1", Name: "ops"}, g.now())
	g.store.tests = append(g.store.tests, test)
	answer := b.samlSignIn(g, path)
	if answer.StatusCode != http.StatusOK || !strings.Contains(answer.body, "This sign-in would succeed") || len(g.sessions.tokens()) != 0 {
		t.Errorf("answer %d\n%s", answer.StatusCode, answer.body)
	}
}

func TestSomebodyWhoIsLockedStaysOut(t *testing.T) {
	r, p := newRooms(t), newSAMLIDP(t)
	g := newGate(t, all(r.use, p.connection("acme", nil)))
	b, token := p.enterAs(t, g, "alice-1", "i-1")
	who, err := r.sessions.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.people.Lock(t.Context(), audit.Gate(), who.PersonID, "a test"); err != nil {
		t.Fatal(err)
	}
	if answer := b.samlSignIn(g, "/.portcullis/sign-in/acme"); answer.StatusCode != http.StatusForbidden {
		t.Errorf("answer %d\n%s", answer.StatusCode, answer.body)
	}
	if alive(t, r.sessions, token) {
		t.Error("the session lives on")
	}
}
