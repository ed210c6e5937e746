package login_test

import (
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/login"
	"portcullis/session"
	"portcullis/store/storetest"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logoutToken makes a logout token, changed.
func (p *idp) logoutToken(change func(map[string]any)) string {
	now := p.now().Unix()
	claims := map[string]any{
		"iss": p.issuer(), "aud": p.client.id, "iat": now, "exp": now + 120, "jti": "jti-" + p.hide("t"+time.Now().String()),
		"sub": p.person["sub"], "events": map[string]any{logoutEvent: map[string]any{}},
	}
	if change != nil {
		change(claims)
	}
	return p.hide(p.sign(map[jose.HeaderKey]any{"typ": "logout+jwt"}, claims))
}

// push sends a logout token as an identity provider does: without a browser.
func (g *gate) push(t *testing.T, conn, token string) page {
	t.Helper()
	return newBrowser(t).do(http.MethodPost, g.public.String()+"/.portcullis/oidc/"+conn+"/backchannel-logout", url.Values{"logout_token": {token}})
}

// enter signs a browser in and gives its session.
func (g *gate) enter(t *testing.T, sid string) string {
	t.Helper()
	g.idps[0].person["sid"] = sid
	b := newBrowser(t)
	b.mustSignIn(g)
	return b.cookies(g)["portcullis"]
}

func alive(t *testing.T, s *session.Manager, token string) bool {
	t.Helper()
	_, err := s.Verify(t.Context(), token)
	if err != nil && !fault.Is(err, fault.Unauthenticated) {
		t.Error(err)
	}
	return err == nil
}

func TestBackChannelLogoutEndsWhatItNames(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(map[string]any)
		left   []bool // of the sessions s-1, s-2
	}{
		{"a subject", nil, []bool{false, false}},
		{"a session of the subject", func(c map[string]any) { c["sid"] = "s-1" }, []bool{false, true}},
		{"a session", func(c map[string]any) { c["sid"] = "s-2"; delete(c, "sub") }, []bool{true, false}},
		{"a session of somebody else", func(c map[string]any) { c["sid"], c["sub"] = "s-1", "other" }, []bool{true, true}},
		{"nobody who is here", func(c map[string]any) { c["sub"] = "other" }, []bool{true, true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, p := newRooms(t), newIDP(t)
			g := newGate(t, r.use, p)
			tokens := []string{g.enter(t, "s-1"), g.enter(t, "s-2")}
			answer := g.push(t, "acme", p.logoutToken(tc.change))
			if answer.StatusCode != http.StatusOK || answer.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("status %d, %v: %s", answer.StatusCode, answer.Header, answer.body)
			}
			ended := 0
			for i, token := range tokens {
				if got := alive(t, r.sessions, token); got != tc.left[i] {
					t.Errorf("session %d alive = %t, want %t", i+1, got, tc.left[i])
				}
				if !tc.left[i] {
					ended++
				}
			}
			events := 0
			err := r.db.Audit().Walk(t.Context(), func(e audit.Event, _ audit.Seal) error {
				if e.Action == audit.SessionEnded && e.Actor.Kind == "idp" && e.Person != "" {
					events++
				}
				return nil
			})
			if err != nil || events != ended {
				t.Errorf("%d events, %v, want %d", events, err, ended)
			}
		})
	}
}

func TestForgedLogoutTokensEndNothing(t *testing.T) {
	put := func(name string, v any) func(p *idp) string {
		return func(p *idp) string { return p.logoutToken(func(c map[string]any) { c[name] = v }) }
	}
	drop := func(names ...string) func(p *idp) string {
		return func(p *idp) string {
			return p.logoutToken(func(c map[string]any) {
				for _, name := range names {
					delete(c, name)
				}
			})
		}
	}
	typed := func(typ string) func(p *idp) string {
		return func(p *idp) string {
			parts := map[string]any{}
			p.logoutToken(func(c map[string]any) { maps.Copy(parts, c) })
			return p.sign(map[jose.HeaderKey]any{"typ": typ}, parts)
		}
	}
	cases := []struct {
		name  string
		token func(*idp) string
	}{
		{"nothing", func(*idp) string { return "" }},
		{"not a token", func(*idp) string { return "x.y.z" }},
		{"an ID token", func(p *idp) string {
			now := p.now().Unix()
			return p.sign(nil, map[string]any{"iss": p.issuer(), "aud": p.client.id, "sub": "alice-1", "iat": now, "exp": now + 300, "nonce": "n", "jti": "j"})
		}},
		{"an access token", typed("at+jwt")},
		{"a security event", typed("secevent+jwt")},
		{"no signature", func(p *idp) string {
			parts := strings.Split(p.logoutToken(nil), ".")
			return b64(`{"alg":"none","typ":"logout+jwt"}`) + "." + parts[1] + "."
		}},
		{"the public key as a secret", func(p *idp) string {
			claims := map[string]any{}
			p.logoutToken(func(c map[string]any) { maps.Copy(claims, c) })
			return mac(p, []byte(strings.Repeat(p.client.secret, 3)), claims)
		}},
		{"a nonce", put("nonce", "n")},
		{"a nonce that is null", put("nonce", nil)},
		{"another issuer", put("iss", "https://evil.example")},
		{"another audience", put("aud", "other")},
		{"no events", drop("events")},
		{"another event", put("events", map[string]any{"http://schemas.openid.net/event/other": map[string]any{}})},
		{"an event in another case", put("events", map[string]any{strings.ToUpper(logoutEvent): map[string]any{}})},
		{"an event that is no object", put("events", map[string]any{logoutEvent: true})},
		{"events that are a list", put("events", []any{logoutEvent})},
		{"no id", drop("jti")},
		{"an empty id", put("jti", "")},
		{"an id that is a number", put("jti", 7)},
		{"a huge id", put("jti", strings.Repeat("x", 300))},
		{"nobody", drop("sub")},
		{"a subject that is a list", put("sub", []any{"alice-1"})},
		{"a session that is null", put("sid", nil)},
		{"no time", drop("iat")},
		{"no end", drop("exp")},
		{"expired", put("exp", time.Now().Add(-2*time.Minute).Unix())},
		{"of the future", put("iat", time.Now().Add(2*time.Minute).Unix())},
		{"valid for days", put("exp", time.Now().Add(48*time.Hour).Unix())},
		{"members twice", func(p *idp) string {
			claims := map[string]any{}
			p.logoutToken(func(c map[string]any) { maps.Copy(claims, c) })
			return raw(p, withMember(claims, `"sub":"alice-1"`))
		}},
	}
	r, p := newRooms(t), newIDP(t)
	g := newGate(t, r.use, p)
	token := g.enter(t, "s-1")
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			answer := g.push(t, "acme", tc.token(p))
			if answer.StatusCode != http.StatusBadRequest || answer.Header.Get("Cache-Control") != "no-store" || !strings.Contains(answer.body, `"error":"invalid_request"`) {
				t.Errorf("status %d, %v: %s", answer.StatusCode, answer.Header, answer.body)
			}
			if !alive(t, r.sessions, token) {
				t.Error("the session was ended")
			}
		})
	}
}

func TestLogoutTokenCountsOnceOnEveryReplicaAndAtItsConnection(t *testing.T) {
	databaseURL, keyFile := storetest.SQLiteURL(t), filepath.Join(t.TempDir(), "gate.key")
	r, replica := openRooms(t, databaseURL, keyFile), openRooms(t, databaseURL, keyFile)
	p, beta := newIDP(t), newIDP(t)
	a, b := newGate(t, r.use, p, beta), newGate(t, replica.use, p, beta)
	a.enter(t, "s-1")
	token := p.logoutToken(nil)
	if answer := a.push(t, "beta", token); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("at another connection: %d", answer.StatusCode)
	}
	if answer := a.push(t, "nobody", token); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("at no connection: %d", answer.StatusCode)
	}
	if answer := a.push(t, "acme", token); answer.StatusCode != http.StatusOK {
		t.Errorf("the first time: %d: %s", answer.StatusCode, answer.body)
	}
	again := b.enter(t, "s-2")
	for _, g := range []*gate{a, b} {
		if answer := g.push(t, "acme", token); answer.StatusCode != http.StatusBadRequest {
			t.Errorf("a second time: %d", answer.StatusCode)
		}
	}
	if !alive(t, r.sessions, again) {
		t.Error("a replayed token ended a later session")
	}
}

// Tenants of one provider share its address: what one of them sends does not
// silence the sign-outs of another, and keeps nobody from signing in.
func TestForgedLogoutTokensSilenceNoGoodOne(t *testing.T) {
	r, p := newRooms(t), newIDP(t)
	g := newGate(t, all(r.use, func(c *login.Config) { c.Limit = login.Limit{PerSecond: 0.001, Burst: 20} }), p)
	token := g.enter(t, "s-1")
	for range 5 {
		if answer := g.push(t, "acme", "x.y.z"); answer.StatusCode != http.StatusBadRequest {
			t.Fatalf("a forged one: %d", answer.StatusCode)
		}
	}
	logged := strings.Count(g.log.String(), "logout token refused")
	for _, forged := range []string{"x.y.z", p.logoutToken(nil)[1:], p.logoutToken(func(c map[string]any) { c["aud"] = "another tenant" })} {
		if answer := g.push(t, "acme", forged); answer.StatusCode != http.StatusBadRequest || !strings.Contains(answer.body, "too many sign-outs") {
			t.Errorf("another forged one: %d: %s", answer.StatusCode, answer.body)
		}
	}
	if n := strings.Count(g.log.String(), "logout token refused"); n != logged {
		t.Errorf("%d more lines in the log", n-logged)
	}
	if answer := g.push(t, "acme", p.logoutToken(nil)); answer.StatusCode != http.StatusOK || alive(t, r.sessions, token) {
		t.Errorf("a good one: %d: %s; the session lives: %t", answer.StatusCode, answer.body, alive(t, r.sessions, token))
	}
	newBrowser(t).mustSignIn(g)
}

// Forged tokens have the keys fetched at most once in ten seconds, whatever
// they cost their sender.
func TestForgedLogoutTokensHaveTheKeysFetchedSeldom(t *testing.T) {
	p, forger := newIDP(t), newIDP(t)
	g := newGate(t, func(c *login.Config) { c.Limit = login.Limit{PerSecond: 0.001, Burst: 20} }, p)
	g.push(t, "acme", p.logoutToken(nil))
	fetched := p.count("/jwks")
	for range 10 {
		g.push(t, "acme", forger.logoutToken(func(c map[string]any) { c["iss"] = p.issuer() }))
	}
	if n := p.count("/jwks") - fetched; n > 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestFrontChannelLogoutEndsTheSessionItKnows(t *testing.T) {
	r, p := newRooms(t), newIDP(t)
	g := newGate(t, r.use, p)
	token, other := g.enter(t, "s-1"), g.enter(t, "s-2")
	for _, query := range []url.Values{
		{},
		{"iss": {p.issuer()}},
		{"sid": {"s-1"}},
		{"iss": {"https://evil.example"}, "sid": {"s-1"}},
		{"iss": {p.issuer()}, "sid": {""}},
		{"iss": {p.issuer(), p.issuer()}, "sid": {"s-1"}},
		{"iss": {p.issuer()}, "sid": {"s-1", "s-2"}},
	} {
		if answer := g.frame(t, query); answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: %d", query, answer.StatusCode)
		}
	}
	if answer := g.frame(t, url.Values{"iss": {p.issuer()}, "sid": {"guess"}}); answer.StatusCode != http.StatusOK {
		t.Errorf("an unknown session: %d", answer.StatusCode) // says nothing of who is here
	}
	if !alive(t, r.sessions, token) || !alive(t, r.sessions, other) {
		t.Fatal("a session was ended by a request that does not name it")
	}
	answer := g.frame(t, url.Values{"iss": {p.issuer()}, "sid": {"s-1"}})
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("status %d, %v", answer.StatusCode, answer.Header)
	}
	if alive(t, r.sessions, token) || !alive(t, r.sessions, other) {
		t.Error("want the named session ended and the other one not")
	}
}
