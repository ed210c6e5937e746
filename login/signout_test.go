package login_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestSignOutEndsTheSessionHereAndAtTheProvider(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	b.mustSignIn(g)
	token := b.cookies(g)["portcullis"]
	path := g.public.String() + "/.portcullis/sign-out"

	ask := b.get(path + "?return_to=/bye")
	if ask.StatusCode != http.StatusOK || !strings.Contains(ask.body, `method="post"`) || !strings.Contains(ask.body, `value="/bye"`) {
		t.Fatalf("confirmation: %d\n%s", ask.StatusCode, ask.body)
	}
	if strings.Contains(ask.Header.Get("Content-Security-Policy"), "form-action") {
		t.Errorf("form-action would keep Chromium from following the form to the identity provider")
	}
	if len(g.sessions.ended) != 0 {
		t.Fatal("a GET ended the session")
	}

	answer := b.do(http.MethodPost, path, url.Values{"return_to": {"/bye"}}, "Origin", g.public.String())
	if answer.StatusCode != http.StatusSeeOther || len(g.sessions.ended) != 1 || g.sessions.ended[0] != token {
		t.Fatalf("sign-out: %d, ended %v", answer.StatusCode, g.sessions.ended)
	}
	if g.sessions.by.ID == "" || g.sessions.by.Address != "127.0.0.1" {
		t.Errorf("ended by %+v", g.sessions.by)
	}
	if b.cookies(g)["portcullis"] != "" {
		t.Errorf("the cookie is still there")
	}
	back := b.get(answer.location(t)).location(t)
	q := p.ended[0]
	if q.Get("x") != "1" || q.Get("client_id") != "portal" || q.Get("id_token_hint") == "" || q.Get("post_logout_redirect_uri") != path {
		t.Errorf("end session request = %v", q)
	}
	done := b.get(back)
	if done.StatusCode != http.StatusOK || !strings.Contains(done.body, "You are signed out") || !strings.Contains(done.body, `href="/bye"`) {
		t.Errorf("afterwards: %d\n%s", done.StatusCode, done.body)
	}
}

func TestSignOutFromAnotherSiteIsRefused(t *testing.T) {
	p := newIDP(t)
	g, b := newGate(t, nil, p), newBrowser(t)
	b.mustSignIn(g)
	for _, header := range [][]string{
		{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
	} {
		answer := b.do(http.MethodPost, g.public.String()+"/.portcullis/sign-out", url.Values{}, header...)
		if answer.StatusCode != http.StatusForbidden || len(g.sessions.ended) != 0 {
			t.Errorf("%v: %d, ended %v", header, answer.StatusCode, g.sessions.ended)
		}
	}
	answer := b.do(http.MethodPost, g.public.String()+"/.portcullis/sign-out", url.Values{}, "Sec-Fetch-Site", "same-origin", "Origin", "null")
	if answer.StatusCode != http.StatusSeeOther || len(g.sessions.ended) != 1 {
		t.Errorf("our own form: %d", answer.StatusCode)
	}
}

func TestSignOutWithoutAnEndAtTheProviderStaysHere(t *testing.T) {
	p := newIDP(t)
	p.metadata = func(m map[string]any) { delete(m, "end_session_endpoint") }
	g, b := newGate(t, nil, p), newBrowser(t)
	b.mustSignIn(g)
	answer := b.do(http.MethodPost, g.public.String()+"/.portcullis/sign-out", url.Values{"return_to": {"/bye"}})
	if got := answer.Header.Get("Location"); got != "/.portcullis/sign-out?return_to=%2Fbye" {
		t.Errorf("sign-out leads to %q", got)
	}
	if done := b.get(answer.location(t)); !strings.Contains(done.body, "You are signed out") {
		t.Errorf("afterwards: %d\n%s", done.StatusCode, done.body)
	}
	// Once more, without a session.
	if again := b.do(http.MethodPost, g.public.String()+"/.portcullis/sign-out", url.Values{}); again.Header.Get("Location") != "/.portcullis/sign-out" {
		t.Errorf("without a session: %d to %q", again.StatusCode, again.Header.Get("Location"))
	}
}

func TestSignOutEndsEverySessionTheBrowserHolds(t *testing.T) {
	p := newIDP(t)
	g := newGate(t, nil, p)
	one, two := newBrowser(t), newBrowser(t)
	one.mustSignIn(g)
	two.mustSignIn(g)
	cookie := "portcullis=bogus; portcullis=" + one.cookies(g)["portcullis"] + "; portcullis=" + two.cookies(g)["portcullis"]
	plain := newBrowser(t)
	answer := plain.do(http.MethodPost, g.public.String()+"/.portcullis/sign-out", url.Values{}, "Cookie", cookie)
	if answer.StatusCode != http.StatusSeeOther || len(g.sessions.ended) != 2 {
		t.Errorf("%d, ended %v", answer.StatusCode, g.sessions.ended)
	}
}

func TestSignOutNeverLeadsAway(t *testing.T) {
	g := newGate(t, nil, newIDP(t))
	b := newBrowser(t)
	for _, target := range []string{"https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"} {
		page := b.get(g.public.String() + "/.portcullis/sign-out?return_to=" + url.QueryEscape(target))
		state := b.get(g.public.String() + "/.portcullis/sign-out?state=" + b64(target))
		post := b.do(http.MethodPost, g.public.String()+"/.portcullis/sign-out", url.Values{"return_to": {target}})
		if strings.Contains(page.body+state.body, "evil") || strings.Contains(page.body+state.body, "alert") || post.Header.Get("Location") != "/.portcullis/sign-out" {
			t.Errorf("%q: leads to %q\n%s", target, post.Header.Get("Location"), page.body)
		}
	}
}
