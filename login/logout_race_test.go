package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"portcullis/saml"
	"portcullis/store/storetest"
)

// TestALogoutBetweenTheAnswerAndTheSessionCounts: the identity provider ends its
// session when it has answered and ours is not there yet, and tells another
// replica. Nothing may be left of the sign-in.
func TestALogoutBetweenTheAnswerAndTheSessionCounts(t *testing.T) {
	cases := map[string]struct {
		change func(map[string]any)
		status int
	}{
		"the session":       {func(c map[string]any) { delete(c, "sub"); c["sid"] = "sid-1" }, http.StatusBadRequest},
		"the person":        {nil, http.StatusBadRequest},
		"both":              {func(c map[string]any) { c["sid"] = "sid-1" }, http.StatusBadRequest},
		"another session":   {func(c map[string]any) { delete(c, "sub"); c["sid"] = "sid-2" }, http.StatusSeeOther},
		"another person":    {func(c map[string]any) { c["sub"] = "bob" }, http.StatusSeeOther},
		"an invalid logout": {func(c map[string]any) { c["nonce"] = "n" }, http.StatusSeeOther},
	}
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		file, p := t.TempDir()+"/gate.key", newIDP(t)
		p.person["sid"] = "sid-1"
		one := openRooms(t, databaseURL, file)
		here, there := newGate(t, one.use, p), newGate(t, openRooms(t, databaseURL, file).use, p)
		for name, tc := range cases {
			p.answer = func(map[string]any) { there.push(t, "acme", p.logoutToken(tc.change)) }
			b := newBrowser(t)
			answer := b.signIn(here, "/.portcullis/sign-in/acme")
			if answer.StatusCode != tc.status {
				t.Fatalf("%s: answer %d, want %d\n%s", name, answer.StatusCode, tc.status, answer.body)
			}
			if tc.status == http.StatusBadRequest {
				if c, ok := check(here.traces.last(t), "session"); !ok || c.OK || !strings.Contains(answer.body, "ended your session while you were signing in") {
					t.Errorf("%s: checks = %v\n%s", name, here.traces.last(t).Checks, answer.body)
				}
				if b.cookies(here)["portcullis"] != "" {
					t.Errorf("%s: a session cookie was set", name)
				}
			}
			// Whoever begins afterwards comes in, and stays.
			p.answer = nil
			b.mustSignIn(here)
			if !alive(t, one.sessions, b.cookies(here)["portcullis"]) {
				t.Errorf("%s: a sign-in that was begun after the logout is dead", name)
			}
		}
	})
}

// TestAFrontChannelLogoutBetweenTheAnswerAndTheSessionCounts holds the same for
// the frames of a page of the provider.
func TestAFrontChannelLogoutBetweenTheAnswerAndTheSessionCounts(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		file, p := t.TempDir()+"/gate.key", newIDP(t)
		p.person["sid"] = "sid-1"
		one := openRooms(t, databaseURL, file)
		here, there := newGate(t, one.use, p), newGate(t, openRooms(t, databaseURL, file).use, p)
		for name, tc := range map[string]struct {
			query  url.Values
			status int
		}{
			"the session":     {url.Values{"iss": {p.issuer()}, "sid": {"sid-1"}}, http.StatusBadRequest},
			"another session": {url.Values{"iss": {p.issuer()}, "sid": {"sid-2"}}, http.StatusSeeOther},
			"another issuer":  {url.Values{"iss": {"https://evil.example"}, "sid": {"sid-1"}}, http.StatusSeeOther},
			"nobody's":        {url.Values{"iss": {p.issuer()}}, http.StatusSeeOther},
		} {
			p.answer = func(map[string]any) { there.frame(t, tc.query) }
			b := newBrowser(t)
			answer := b.signIn(here, "/.portcullis/sign-in/acme")
			refused := strings.Contains(answer.body, "ended your session while you were signing in") && b.cookies(here)["portcullis"] == ""
			if answer.StatusCode != tc.status || refused != (tc.status == http.StatusBadRequest) {
				t.Fatalf("%s: answer %d, want %d\n%s", name, answer.StatusCode, tc.status, answer.body)
			}
			p.answer = nil
			b.mustSignIn(here) // whoever begins afterwards comes in, and stays
			if !alive(t, one.sessions, b.cookies(here)["portcullis"]) {
				t.Errorf("%s: a sign-in that was begun after the logout is dead", name)
			}
		}
	})
}

// frame loads the address for front-channel sign-outs, as a page of the provider does.
func (g *gate) frame(t *testing.T, query url.Values) page {
	t.Helper()
	return newBrowser(t).get(g.public.String() + "/.portcullis/oidc/acme/frontchannel-logout?" + query.Encode())
}

// TestASAMLLogoutBetweenTheAnswerAndTheSessionCounts holds the same for SAML,
// where the browser carries the answer and may take its time.
func TestASAMLLogoutBetweenTheAnswerAndTheSessionCounts(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		file := t.TempDir() + "/gate.key"
		p, one := newSAMLIDP(t), openRooms(t, databaseURL, file)
		here := newGate(t, all(one.use, p.connection("acme", nil)))
		there := newGate(t, all(openRooms(t, databaseURL, file).use, p.connection("acme", nil)))
		b := newBrowser(t)
		action, form := b.samlForm(here, "/.portcullis/sign-in/acme")
		out, err := p.mirror(there, "acme").MakeLogoutRequest(saml.LogoutRequest{NameID: p.person.NameID, SessionIndexes: []string{p.person.Index}})
		if err != nil {
			t.Fatal(err)
		}
		newBrowser(t).deliver(out)
		here.refused(t, b.do(http.MethodPost, action, form), http.StatusBadRequest, "ended your session while you were signing in")
		if answer := b.samlSignIn(here, "/.portcullis/sign-in/acme"); answer.StatusCode != http.StatusSeeOther {
			t.Fatalf("a sign-in that was begun afterwards: %d\n%s", answer.StatusCode, answer.body)
		}
		if !alive(t, one.sessions, b.cookies(here)["portcullis"]) {
			t.Error("a sign-in that was begun after the logout is dead")
		}
	})
}
