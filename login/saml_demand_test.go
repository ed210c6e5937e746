package login_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	crewjam "github.com/crewjam/saml"

	"portcullis/login"
)

// Anybody can begin at any page: one that demands less than the connection,
// or something else, is no way around what the connection demands.
func TestAPageDoesNotLowerWhatAConnectionDemands(t *testing.T) {
	p := newSAMLIDP(t)
	g := newGate(t, all(strict, p.connection("acme", func(s *login.SAML) { s.AuthnContexts = []string{"mfa", "platinum"} })))
	answer := func(class string) int {
		p.change = func(a *crewjam.Assertion) { a.AuthnStatements[0].AuthnContext.AuthnContextClassRef.Value = class }
		return newBrowser(t).samlSignIn(g, "/.portcullis/sign-in/acme?return_to=/payments/1").StatusCode
	}
	for class, want := range map[string]int{
		"gold": http.StatusBadRequest, "mfa": http.StatusForbidden, "platinum": http.StatusSeeOther, "other": http.StatusBadRequest,
	} {
		if got := answer(class); got != want {
			t.Errorf("an answer of class %s at a page that takes gold and platinum = %d, want %d", class, got, want)
		}
	}
	if got := p.asked.RequestedAuthnContext.AuthnContextClassRef; got != "platinum" {
		t.Errorf("the last class asked for is %q, want the one that both take", got)
	}
}

// A connection that demands a fresh proof demands it of whoever begins at the
// provider, too.
func TestWhoBeginsAtTheProviderProvesThemselvesAnew(t *testing.T) {
	p := newSAMLIDP(t)
	g := newGate(t, p.connection("acme", func(s *login.SAML) { s.AllowIDPInitiated, s.ForceAuthn = true, true }))
	base := g.public.String() + "/.portcullis/saml/acme/"
	for age, want := range map[time.Duration]int{time.Minute: http.StatusSeeOther, time.Hour: http.StatusBadRequest} {
		p.change = func(a *crewjam.Assertion) { a.AuthnStatements[0].AuthnInstant = time.Now().Add(-age) }
		answer := newBrowser(t).do(http.MethodPost, base+"acs", p.unsolicited(base+"metadata", "/"))
		if answer.StatusCode != want {
			t.Errorf("authenticated %v ago = %d, want %d", age, answer.StatusCode, want)
		}
	}
}

// What one replica forgets, another whose clock is behind would take again.
func TestAReplicaThatIsAheadForgetsNoAssertion(t *testing.T) {
	r, p := newRooms(t), newSAMLIDP(t)
	open := p.connection("acme", func(s *login.SAML) { s.AllowIDPInitiated = true })
	g := newGate(t, all(r.use, open))
	ahead := newGate(t, all(r.use, open, func(c *login.Config) { c.Now = func() time.Time { return time.Now().Add(5 * time.Minute) } }))
	base := g.public.String() + "/.portcullis/saml/acme/"
	form := p.unsolicited(base+"metadata", "/")
	if answer := newBrowser(t).do(http.MethodPost, base+"acs", form); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("answer %d\n%s", answer.StatusCode, answer.body)
	}
	if err := ahead.login.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if answer := newBrowser(t).do(http.MethodPost, base+"acs", form); answer.StatusCode != http.StatusBadRequest || !strings.Contains(answer.body, "was used already") {
		t.Errorf("again: %d\n%s", answer.StatusCode, answer.body)
	}
}

// Whoever could add a value to their own record would choose who they are, if
// the NameID took the place of an attribute that is there twice.
func TestAPersonHasOneIdentifier(t *testing.T) {
	p := newSAMLIDP(t)
	g := newGate(t, p.connection("acme", func(s *login.SAML) { s.Attributes.Subject = []string{"missing", "uid"} }))
	if answer := newBrowser(t).samlSignIn(g, "/.portcullis/sign-in"); answer.StatusCode != http.StatusSeeOther || g.people.last(t).Subject != "alice" {
		t.Fatalf("one value: %d, subject %q", answer.StatusCode, g.people.last(t).Subject)
	}
	p.add(attribute("uid", "bob"))
	if answer := newBrowser(t).samlSignIn(g, "/.portcullis/sign-in"); answer.StatusCode != http.StatusBadRequest || !strings.Contains(answer.body, "does not say who you are") {
		t.Errorf("two values: %d\n%s", answer.StatusCode, answer.body)
	}
}
