package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"
)

// told is what the portal was told of a request.
func told(t *testing.T, s screen) (path string, header http.Header) {
	t.Helper()
	var seen struct {
		Path   string
		Header http.Header
	}
	if err := json.Unmarshal([]byte(s.body), &seen); err != nil {
		t.Fatalf("the portal's answer (%d at %s): %v\n%s", s.status, s.url, err, s.body)
	}
	return seen.Path, seen.Header
}

// verified checks an assertion as a portal does, against the published keys.
func verified(t *testing.T, w *world, raw string) (std jwt.Claims, own map[string]any) {
	t.Helper()
	_, body := fetch(w.public + "/.portcullis/jwks.json")
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(body), &keys); err != nil {
		t.Fatal(err)
	}
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	if err := token.Claims(keys, &std, &own); err != nil {
		t.Fatalf("the assertion does not verify: %v", err)
	}
	return std, own
}

func TestSignInReachesThePortal(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database})
			w.start(t)
			b := w.browser(t)
			const deep = "/foo?next=https://a.b/c&x=%2Fy;z"
			s := b.signIn(t, "ada", deep)
			path, header := told(t, s)
			if path != deep {
				t.Errorf("the portal saw %q after sign-in, want the deep link %q", path, deep)
			}
			if got := header.Get("Cookie"); strings.Contains(got, "portcullis") {
				t.Errorf("the portal saw the cookies %q, want none of the gate's", got)
			}
			plain := map[string]string{}
			for _, k := range []string{"User", "Email", "Name", "Roles"} {
				plain[k] = header.Get("X-Portcullis-" + k)
			}
			want := map[string]string{"User": "alpha-ada", "Email": "ada@alpha.example", "Name": "Ada Alder", "Roles": "manager,viewer"}
			if diff := cmp.Diff(want, plain); diff != "" {
				t.Errorf("plain headers (-want +got):\n%s", diff)
			}
			std, own := verified(t, w, header.Get("X-Portcullis-Assertion"))
			if std.Issuer != w.public || !std.Audience.Contains(w.portal.URL) || std.Subject != "alpha-ada" || std.ID == "" {
				t.Errorf("registered claims = %+v", std)
			}
			if life := std.Expiry.Time().Sub(std.IssuedAt.Time()); life <= 0 || life > 5*time.Minute {
				t.Errorf("the assertion lives %s, want at most five minutes", life)
			}
			permissions := map[string]any{
				"unrestricted": false, "anyOf": []any{map[string]any{"account": "*"}},
				"allOf": []any{map[string]any{"account": map[string]any{"prefix": "ALP"}}},
			}
			if diff := cmp.Diff(permissions, own["permissions"]); diff != "" {
				t.Errorf("permissions (-want +got):\n%s", diff)
			}
			status, who := b.whoami(t)
			if status != http.StatusOK || who.Subject != "alpha-ada" || who.Connection != "alpha" || who.Organization != "Alpha" ||
				who.Email != "ada@alpha.example" || !cmp.Equal(who.Roles, []string{"manager", "viewer"}) ||
				!cmp.Equal(who.Tasks, []string{"account.view", "report.view"}) || time.Until(who.Expires) < time.Hour {
				t.Errorf("whoami = %d %+v", status, who)
			}
		})
	}
}

func TestSignOutEndsHereAndAtTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.start(t)
	b := w.browser(t)
	b.mustSignIn(t, "ada")
	asked := b.open(t, "/.portcullis/sign-out")
	if !strings.Contains(asked.body, "Ada Alder") {
		t.Errorf("the page before sign-out does not say who is signed in:\n%s", asked.body)
	}
	if status, _ := b.whoami(t); status != http.StatusOK {
		t.Fatalf("a GET of the sign-out page has ended the session: whoami = %d", status)
	}
	here, err := url.Parse(w.public)
	if err != nil {
		t.Fatal(err)
	}
	before := b.http.Jar.Cookies(here)
	done := b.press(t, asked, nil)
	if done.url.Path != "/.portcullis/sign-out" || !strings.Contains(done.body, "You are signed out") {
		t.Errorf("sign-out ended at %s:\n%s", done.url, done.body)
	}
	b.http.Jar.SetCookies(here, before) // as a thief of the cookie would
	if status, _ := b.whoami(t); status != http.StatusUnauthorized {
		t.Errorf("whoami with the old cookie = %d, want 401", status)
	}
}

func TestSignOutEverywhereEndsEverySessionOfOnesOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.start(t)
	b, phone, other := w.browser(t), w.browser(t), w.browser(t)
	b.mustSignIn(t, "ada")
	phone.mustSignIn(t, "ada")
	other.mustSignIn(t, "ben")
	events, socket := phone.stream(t)
	others, _ := other.stream(t)
	began := time.Now()
	done := b.press(t, b.open(t, "/.portcullis/sign-out"), url.Values{"everywhere": {"yes"}})
	if !strings.Contains(done.body, "You are signed out") {
		t.Errorf("sign-out everywhere ended at %s:\n%s", done.url, done.body)
	}
	t.Logf("streams elsewhere ended after %s", endWithin(t, began, patience, events, socket))
	for name, gone := range map[string]*browser{"here": b, "elsewhere": phone} {
		if status, _ := gone.whoami(t); status != http.StatusUnauthorized {
			t.Errorf("whoami %s = %d, want 401", name, status)
		}
	}
	w.open(t, "of somebody else", others)
	if status, _ := other.whoami(t); status != http.StatusOK {
		t.Errorf("whoami of somebody else = %d, want 200", status)
	}
	if trail := w.cli(t, exitFine, "audit", "export"); strings.Count(trail, `"signed out everywhere"`) != 1 {
		t.Error("the trail does not tell of the other session")
	}
}

func TestRefusalIsAPageWithAReference(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database})
			w.start(t)
			b := w.browser(t)
			s := b.signIn(t, "dan", "/")
			if s.status != http.StatusForbidden || s.url.Path != "/.portcullis/oidc/alpha/callback" {
				t.Fatalf("signing in without any group ended at %s with %d, want a 403 at the callback", s.url, s.status)
			}
			if s.reference == "" || !strings.Contains(s.body, s.reference) {
				t.Errorf("the page does not show its reference %q:\n%s", s.reference, s.body)
			}
			if !strings.Contains(w.cli(t, exitFine, "audit", "export"), s.reference) {
				t.Errorf("the reference %q is not in the audit trail", s.reference)
			}
			if status, _ := b.whoami(t); status != http.StatusUnauthorized {
				t.Errorf("whoami = %d after a refusal, want 401", status)
			}
		})
	}
}

func TestPushedRecordAndSignInMeetOnExternalID(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database, connection: "provisioning: scim,"})
			w.start(t)
			p := w.pusher(t)
			b := w.browser(t)
			if s := b.signIn(t, "ada", "/"); s.status != http.StatusForbidden || !strings.Contains(s.body, s.reference) {
				t.Fatalf("sign-in of somebody unknown = %d at %s, want 403 with a reference\n%s", s.status, s.url, s.body)
			}
			id := p.user(t, "ada")
			b.mustSignIn(t, "ada")
			var people []userJSON
			if err := json.Unmarshal([]byte(w.cli(t, exitFine, "user", "list", "--json")), &people); err != nil {
				t.Fatal(err)
			}
			if len(people) != 1 || people[0].ID != id || people[0].Source != "scim" {
				t.Errorf("people = %+v, want the pushed record alone", people)
			}
			if _, who := b.whoami(t); who.Name != "Pushed ada@alpha.example" {
				t.Errorf("name = %q, want the pushed one: SCIM manages it", who.Name)
			}
		})
	}
}

func TestPushedGroupCountsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.start(t)
	p := w.pusher(t)
	id := p.user(t, "ben")
	b := w.browser(t)
	b.mustSignIn(t, "ben")
	if s := b.open(t, "/reports/q1"); s.status != http.StatusForbidden || !strings.Contains(s.body, "report.view") {
		t.Errorf("a route that needs a task = %d, want a 403 that names it\n%s", s.status, s.body)
	}
	events := b.events(t)
	began := time.Now()
	p.must(t, http.StatusCreated, http.MethodPost, "/Groups",
		`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Pushed-Managers","members":[{"value":"`+id+`"}]}`)
	eventually(t, "the pushed group counts", 10*time.Second, func() bool {
		_, who := b.whoami(t)
		return cmp.Equal(who.Roles, []string{"manager", "viewer"})
	})
	t.Logf("an open stream ended %s after more rights were pushed, to come back with them", endWithin(t, began, 10*time.Second, events))
	if s := b.open(t, "/reports/q1"); s.status != http.StatusOK {
		t.Errorf("the route with the task = %d, want 200", s.status)
	}
}

func TestStrangersAreNotLetThrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.start(t)
	b := w.browser(t)
	if s := b.script(t, "/data"); s.status != http.StatusUnauthorized || !strings.Contains(s.body, w.public+"/.portcullis/sign-in") {
		t.Errorf("a script without a session = %d %s, want 401 and where to sign in", s.status, s.body)
	}
	if s := b.open(t, "/public/x"); s.status != http.StatusOK {
		t.Errorf("a public path = %d, want 200", s.status)
	} else if _, header := told(t, s); header.Get("X-Portcullis-Assertion") != "" {
		t.Errorf("the portal was told %v of nobody", header)
	}
	for _, cookie := range []string{"x", strings.Repeat("A", 52), strings.Repeat("é", 900), `"; portcullis=`, strings.Repeat("a=b; portcullis=zz; ", 900)} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.public+"/.portcullis/whoami", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", "portcullis="+cookie)
		req.Header.Set("X-Portcullis-User", "alpha-ada")
		if s := b.do(t, req); s.status != http.StatusUnauthorized {
			t.Errorf("whoami with a malformed cookie (%.20q) = %d, want 401", cookie, s.status)
		}
	}
	for _, target := range []string{"/healthz", "/readyz", "/metrics", "/debug/pprof/", "/.portcullis/healthz", "/.portcullis/metrics", "/.portcullis/debug/pprof/"} {
		if s := b.script(t, target); s.status != http.StatusUnauthorized && s.status != http.StatusNotFound {
			t.Errorf("%s on the public listener = %d %.60s", target, s.status, s.body)
		}
	}
	for _, target := range []string{
		"/.portcullis/oidc/alpha/callback", "/.portcullis/oidc/alpha/callback?state=x&code=y",
		"/.portcullis/oidc/alpha/callback?state=" + strings.Repeat("s", 9000) + "&code=y", "/.portcullis/oidc/alpha/callback?state=a&state=b&code=%ff",
	} {
		if s := b.open(t, target); s.status != http.StatusBadRequest || !strings.Contains(s.body, s.reference) {
			t.Errorf("a made-up answer of the provider (%.60s) = %d, want a 400 page with a reference", target, s.status)
		}
	}
	for _, target := range []string{"/a/../b", "/a/%2e%2e/b", "//a", "/a%2fb", "/a;b", `/a\b`, "/a%00"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.public, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.Opaque = target
		if strings.HasPrefix(target, "//") {
			req.URL.Opaque = "//" + req.URL.Host + target
		}
		if s := b.do(t, req); s.status != http.StatusBadRequest {
			t.Errorf("GET %s = %d, want 400", target, s.status)
		}
	}
}

// A browser that is closed and opened again is still signed in: it keeps what
// has a time to live, and forgets the rest.
func TestASessionOutlivesTheBrowserWithinItsIdleTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.start(t)
	b := w.browser(t)
	kept := &keepingJar{CookieJar: b.http.Jar, kept: map[string]*http.Cookie{}}
	b.http.Jar = kept
	b.mustSignIn(t, "ada")
	again := w.browser(t)
	at, err := url.Parse(w.public)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range kept.kept {
		if c.MaxAge > 0 {
			again.http.Jar.SetCookies(at, []*http.Cookie{c})
		}
	}
	if c := kept.kept["portcullis"]; c == nil || c.MaxAge < 12*3600-60 || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("session cookie = %+v, want one of this host that lasts as long as the session may", c)
	}
	if status, who := again.whoami(t); status != http.StatusOK || who.Subject != "alpha-ada" {
		t.Errorf("whoami after a restart of the browser = %d %+v, want signed in", status, who)
	}
}

// keepingJar remembers cookies with their attributes, as a browser's disk does.
type keepingJar struct {
	http.CookieJar

	kept map[string]*http.Cookie
}

func (j *keepingJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	for _, c := range cookies {
		j.kept[c.Name] = c
	}
	j.CookieJar.SetCookies(u, cookies)
}
