package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/login"
)

// edit changes the query of a URL.
func edit(t *testing.T, target string, change func(url.Values)) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	change(q)
	u.RawQuery = q.Encode()
	return u.String()
}

func TestStateCountsOnce(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	back := b.authorize(g, "/.portcullis/sign-in")
	if answer := b.get(back); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d: %s", answer.StatusCode, answer.body)
	}
	again := b.get(back)
	if again.StatusCode != http.StatusBadRequest || !strings.Contains(again.body, "has expired or was used already") {
		t.Errorf("second time: %d\n%s", again.StatusCode, again.body)
	}
	if n := p.count("/token"); n != 1 || len(g.sessions.tokens()) != 1 {
		t.Errorf("code redeemed %d times, %d sessions", n, len(g.sessions.tokens()))
	}
}

func TestOneOfManyAtOnceGetsIn(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	back := b.authorize(g, "/.portcullis/sign-in")
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() { b.get(back) })
	}
	wg.Wait()
	if n := p.count("/token"); n != 1 || len(g.sessions.tokens()) != 1 {
		t.Errorf("code redeemed %d times, %d sessions", n, len(g.sessions.tokens()))
	}
}

func TestAnswersThatAreNotOursAreRefusedBeforeTheCodeIsRedeemed(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(url.Values)
		words  string
	}{
		{"another state", func(q url.Values) { q.Set("state", "forged") }, "expired or was used already"},
		{"no state", func(q url.Values) { q.Del("state") }, "belongs to no sign-in"},
		{"two states", func(q url.Values) { q.Add("state", "x") }, "malformed"},
		{"two codes", func(q url.Values) { q.Add("code", "x") }, "malformed"},
		{"two issuers", func(q url.Values) { q["iss"] = []string{"a", "b"} }, "malformed"},
		{"a long code", func(q url.Values) { q.Set("code", strings.Repeat("x", 9<<10)) }, "malformed"},
		{"no code", func(q url.Values) { q.Del("code") }, "holds no code"},
		{"another issuer", func(q url.Values) { q.Set("iss", "https://evil.example") }, "does not come from the identity provider"},
		{"empty issuer", func(q url.Values) { q.Set("iss", "") }, "does not come from the identity provider"},
		{"an error", func(q url.Values) { q.Del("code"); q.Set("error", "server_error") }, "reported an error"},
		{"an error with markup", func(q url.Values) {
			q.Set("error", "<script>x</script>\nlevel=ERROR")
			q.Set("error_description", "<script>")
		}, "reported an error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newIDP(t)
			g, b := newGate(t, nil, p), newBrowser(t)
			answer := b.get(edit(t, b.authorize(g, "/.portcullis/sign-in?return_to=/deep"), tc.change))
			g.refused(t, answer, http.StatusBadRequest, tc.words)
			if strings.Contains(answer.body, "<script") || strings.Contains(g.log.String(), "<script") {
				t.Errorf("markup of the answer is shown or logged")
			}
			if n := p.count("/token"); n != 0 {
				t.Errorf("the code was redeemed")
			}
			if !strings.Contains(answer.body, `href="/.portcullis/sign-in/acme`) {
				t.Errorf("no way on:\n%s", answer.body)
			}
		})
	}
}

func TestDeniedAtTheProviderIsForbidden(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	p.redirect = func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }
	g.refused(t, b.signIn(g, "/.portcullis/sign-in?return_to=/deep"), http.StatusForbidden, "did not let you in")
}

func TestStateOfAnotherBrowserIsRefused(t *testing.T) {
	p := newIDP(t)
	g := newGate(t, nil, p)
	attacker, victim, naive := newBrowser(t), newBrowser(t), newBrowser(t)
	victim.authorize(g, "/.portcullis/sign-in") // has a sign-in cookie of its own
	g.refused(t, victim.get(attacker.authorize(g, "/.portcullis/sign-in")), http.StatusBadRequest, "not started in this browser")
	g.refused(t, naive.get(attacker.authorize(g, "/.portcullis/sign-in")), http.StatusBadRequest, "not started in this browser")
	if n := p.count("/token"); n != 0 {
		t.Errorf("the code was redeemed")
	}
}

func TestAnswerAtAnotherConnectionIsRefused(t *testing.T) {
	honest, evil := newIDP(t), newIDP(t)
	g, b := newGate(t, nil, honest, evil), newBrowser(t)
	back := strings.Replace(b.authorize(g, "/.portcullis/sign-in/acme"), "/oidc/acme/", "/oidc/beta/", 1)
	g.refused(t, b.get(back), http.StatusBadRequest, "another connection")
	if evil.count("/token") != 0 || honest.count("/token") != 0 {
		t.Errorf("the code was given away")
	}
	if answer := b.get(g.callback("nope") + "?state=x&code=y"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("unknown connection = %d", answer.StatusCode)
	}
}

func TestTokenOfOneProviderIsNoneOfAnother(t *testing.T) {
	acme, beta := newIDP(t), newIDP(t)
	g, b := newGate(t, nil, acme, beta), newBrowser(t)
	beta.forge = func(c map[string]any) string { // signed by acme, for acme's people
		c["iss"] = acme.issuer()
		return acme.sign(nil, c)
	}
	g.refused(t, b.signIn(g, "/.portcullis/sign-in/beta"), http.StatusBadRequest, "not valid")
}

func TestAnnouncedIssuerParameterIsRequired(t *testing.T) {
	p := newIDP(t)
	p.metadata = func(m map[string]any) { m["authorization_response_iss_parameter_supported"] = true }
	g, b := newGate(t, nil, p), newBrowser(t)
	g.refused(t, b.signIn(g, "/.portcullis/sign-in"), http.StatusBadRequest, "does not come from the identity provider")
	p.redirect = func(q url.Values) { q.Set("iss", p.issuer()) }
	if answer := b.signIn(g, "/.portcullis/sign-in"); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("with iss: %d\n%s", answer.StatusCode, answer.body)
	}
}

func TestCodeOfAnotherSignInIsRefused(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	stolen, err := url.Parse(newBrowser(t).authorize(g, "/.portcullis/sign-in"))
	if err != nil {
		t.Fatal(err)
	}
	back := edit(t, b.authorize(g, "/.portcullis/sign-in"), func(q url.Values) { q.Set("code", stolen.Query().Get("code")) })
	g.refused(t, b.get(back), http.StatusBadRequest, "did not accept this sign-in")
}

func TestAttemptsAreNotTakenWithoutTheDatabase(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	g.store.down = true
	answer := b.get(g.public.String() + "/.portcullis/sign-in")
	g.refused(t, answer, http.StatusServiceUnavailable, "Database is away")
	if len(answer.Cookies()) != 0 {
		t.Errorf("cookies = %v", answer.Cookies())
	}
}

func TestWrongAnswersOfTheProviderAreNeverOurError(t *testing.T) {
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}
	}
	huge := status(http.StatusOK, `{"access_token":"`+strings.Repeat("x", 2<<20)+`"}`)
	away := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, strings.Replace("http://"+r.Host, "127.0.0.1", "localhost", 1)+r.URL.Path+"2", http.StatusTemporaryRedirect)
	}
	aside := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path+"2", http.StatusTemporaryRedirect)
	}
	cut := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte(`{"access_token":`))
	}
	for _, path := range []string{"/token", "/userinfo", "/jwks"} {
		for name, h := range map[string]http.HandlerFunc{
			"500": status(http.StatusInternalServerError, "boom"), "400": status(http.StatusBadRequest, `{"error":"invalid_request","error_description":"x"}`),
			"204": status(http.StatusNoContent, ""), "empty": status(http.StatusOK, ""), "HTML": status(http.StatusOK, "<html>"),
			"array": status(http.StatusOK, "[]"), "null": status(http.StatusOK, "null"), "huge": huge, "another host": away, "another path": aside, "cut short": cut,
		} {
			t.Run(path+" "+name, func(t *testing.T) {
				p := newIDP(t)
				delete(p.person, "name") // so that userinfo is asked
				g := newGate(t, nil, p)
				p.handle(path, h)
				answer := newBrowser(t).signIn(g, "/.portcullis/sign-in")
				g.refused(t, answer, http.StatusBadRequest, "dentity provider")
				if n := p.count(path + "2"); n != 0 && (path == "/token" || name != "another path") {
					t.Errorf("a redirect was followed")
				}
			})
		}
	}
}

func TestUserInfoFillsInWhatIsMissing(t *testing.T) {
	p := newIDP(t)
	for _, name := range []string{"name", "groups", "email", "email_verified", "preferred_username"} {
		delete(p.person, name)
	}
	p.userInfo = map[string]any{
		"name": "Alice I.", "groups": []string{"u-1"}, "email": "a@acme.example", "email_verified": "true",
		"roles": "editor", "department": "sales", "oid": "o", "tid": "t", "nonce": "n",
	}
	g, b := newGate(t, nil, p), newBrowser(t)
	if answer := b.signIn(g, "/.portcullis/sign-in"); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d: %s", answer.StatusCode, answer.body)
	}
	a := g.people.last(t)
	if a.Name != "Alice I." || len(a.Groups) != 1 || a.Email != "a@acme.example" || !a.EmailVerified || len(a.AppRoles) != 1 || a.Subject != "alice-1" {
		t.Errorf("assertion = %+v", a)
	}
	if a.Claims["department"] != "sales" || a.Claims["oid"] != nil || a.Claims["nonce"] != nil {
		t.Errorf("claims = %v", a.Claims)
	}
	p.userInfo["sub"] = "somebody else"
	fresh := newGate(t, nil, p)
	fresh.refused(t, newBrowser(t).signIn(fresh, "/.portcullis/sign-in"), http.StatusBadRequest, "about somebody else")
}

func TestTokenDoesNotVouchForTheEmailOfUserInfo(t *testing.T) {
	for _, email := range []any{nil, ""} {
		p := newIDP(t)
		p.person["email"] = email
		p.userInfo = map[string]any{"email": "other@acme.example"}
		g := newGate(t, nil, p)
		newBrowser(t).signIn(g, "/.portcullis/sign-in")
		if a := g.people.last(t); a.Email != "other@acme.example" || a.EmailVerified {
			t.Errorf("e-mail %q, verified %v", a.Email, a.EmailVerified)
		}
	}
}

func TestUserInfoVouchesOnlyForItsOwnEmail(t *testing.T) {
	p := newIDP(t)
	delete(p.person, "name")
	delete(p.person, "email_verified")
	p.userInfo = map[string]any{"email": "other@acme.example", "email_verified": true, "name": "A"}
	g := newGate(t, nil, p)
	newBrowser(t).signIn(g, "/.portcullis/sign-in")
	if a := g.people.last(t); a.Email != "alice@acme.example" || a.EmailVerified {
		t.Errorf("e-mail %q, verified %v", a.Email, a.EmailVerified)
	}
}

func TestSlowProviderIsBounded(t *testing.T) {
	p := newIDP(t)
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	hang := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}
	g := newGate(t, func(c *login.Config) { c.HTTP = &http.Client{Timeout: 100 * time.Millisecond} }, p)
	p.handle("/token", hang)
	b := newBrowser(t)
	g.refused(t, b.signIn(g, "/.portcullis/sign-in"), http.StatusServiceUnavailable, "cannot be reached")
	p.handle("/token", nil)
	p.handle("/jwks", hang)
	g.refused(t, b.signIn(g, "/.portcullis/sign-in"), http.StatusServiceUnavailable, "cannot be reached")
}

// Two lists cannot be compared: the comparison of what the token and userinfo
// say of an e-mail must not become an error of ours.
func TestClaimsOfAnyShapeAreTheProvidersFault(t *testing.T) {
	for _, shape := range []any{[]any{"a@b"}, map[string]any{"a": "b"}, 7, true, [][]any{{}}} {
		for _, name := range []string{"email", "name", "preferred_username", "groups", "roles"} {
			p := newIDP(t)
			delete(p.person, "name")
			p.person[name] = shape
			p.userInfo = map[string]any{name: shape, "groups": shape}
			g := newGate(t, nil, p)
			answer := newBrowser(t).signIn(g, "/.portcullis/sign-in")
			// A handler that panics cuts the connection, and the client asks again.
			again := strings.Contains(answer.body, "was used already")
			if code := answer.StatusCode; code != http.StatusBadRequest && code != http.StatusSeeOther || again {
				t.Errorf("%s as %v in both = %d\n%s", name, shape, code, answer.body)
			}
		}
	}
}
