package demo_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"portcullis/demo"
)

const audience = "http://portal.example"

// gate signs what a gate would sign, and serves the keys.
type gate struct {
	*httptest.Server

	key     jose.JSONWebKey
	fetches atomic.Int64
	mu      sync.Mutex
	now     time.Time
}

func newGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{key: newKey(t, "k1"), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.portcullis/jwks.json" {
			http.NotFound(w, r)
			return
		}
		g.fetches.Add(1)
		g.mu.Lock()
		defer g.mu.Unlock()
		if err := json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{g.key.Public()}}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *gate) clock() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

func (g *gate) pass(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now = g.now.Add(d)
}

func newKey(t *testing.T, id string) jose.JSONWebKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return jose.JSONWebKey{Key: k, KeyID: id, Algorithm: "ES256", Use: "sig"}
}

// portal makes a portal behind the gate.
func (g *gate) portal(t *testing.T, tick func(context.Context) <-chan time.Time) *demo.Portal {
	t.Helper()
	return demo.NewPortal(demo.PortalConfig{PublicURL: g.URL, Audience: audience, HTTP: g.Client(), Now: g.clock, Tick: tick})
}

// claims are those of somebody of Alpha; changes override them, nil removes.
func (g *gate) claims(changes map[string]any) map[string]any {
	now := g.clock()
	c := map[string]any{
		"iss": g.URL, "aud": audience, "iat": now.Unix(), "exp": now.Add(4 * time.Minute).Unix(), "sub": "alpha-ada", "sid": "s1",
		"connection": "alpha", "organization": "Alpha", "email": "ada@alpha.example", "name": "Ada Alder",
		"roles": []string{"viewer"}, "tasks": []string{"account.view"}, "permissions": json.RawMessage(`{"anyOf":[{"account":["ALP0001"]}]}`),
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func sign(t *testing.T, alg jose.SignatureAlgorithm, key any, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// as asks the portal for a page as somebody.
func (g *gate) as(t *testing.T, p http.Handler, method, path string, changes map[string]any) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.Header.Set("X-Portcullis-Assertion", sign(t, jose.ES256, g.key, g.claims(changes)))
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func TestPortalRefusesWhateverTheGateDidNotSign(t *testing.T) {
	g := newGate(t)
	p := g.portal(t, nil)
	good := sign(t, jose.ES256, g.key, g.claims(nil))
	now := g.clock()
	head, body, _ := strings.Cut(good, ".")
	payload, _, _ := strings.Cut(body, ".")
	with := func(changes map[string]any) []string { return []string{sign(t, jose.ES256, g.key, g.claims(changes))} }
	impostor := newKey(t, "k1")
	stranger := newKey(t, "k9")
	for _, tc := range []struct {
		name   string
		header []string
		want   int
	}{
		{"good", []string{good}, 200},
		{"none at all", nil, 401},
		{"two", []string{good, good}, 401},
		{"empty", []string{""}, 401},
		{"garbage", []string{"a.b.c"}, 401},
		{"no signature", []string{head + "." + payload + "."}, 401},
		{"alg none", []string{"eyJhbGciOiJub25lIiwia2lkIjoiazEifQ." + payload + "."}, 401},
		{"alg HS256 with a shared text", []string{sign(t, jose.HS256, jose.JSONWebKey{Key: []byte(strings.Repeat("k", 32)), KeyID: "k1"}, g.claims(nil))}, 401},
		{"another key of the same id", []string{sign(t, jose.ES256, impostor, g.claims(nil))}, 401},
		{"a key of an unknown id", []string{sign(t, jose.ES256, stranger, g.claims(nil))}, 401},
		{"no key id", []string{sign(t, jose.ES256, g.key.Key, g.claims(nil))}, 401},
		{"another issuer", with(map[string]any{"iss": "http://other.example"}), 401},
		{"another audience", with(map[string]any{"aud": "http://other.example"}), 401},
		{"no audience", with(map[string]any{"aud": nil}), 401},
		{"our audience among others", with(map[string]any{"aud": []string{"x", audience}}), 200},
		{"nobody", with(map[string]any{"sub": nil}), 401},
		{"expired", with(map[string]any{"iat": now.Add(-5 * time.Minute).Unix(), "exp": now.Add(-10 * time.Second).Unix()}), 401},
		{"not yet issued", with(map[string]any{"iat": now.Add(time.Minute).Unix()}), 401},
		{"not yet valid", with(map[string]any{"nbf": now.Add(time.Minute).Unix()}), 401},
		{"no expiry", with(map[string]any{"exp": nil}), 401},
		{"no issue time", with(map[string]any{"iat": nil}), 401},
		{"lives too long", with(map[string]any{"exp": now.Add(6 * time.Minute).Unix()}), 401},
		{"permissions with an unknown member", with(map[string]any{"permissions": json.RawMessage(`{"unrestricted":true,"noneOf":[]}`)}), 401},
		{"permissions with an unknown constraint", with(map[string]any{"permissions": json.RawMessage(`{"anyOf":[{"account":{"suffix":"1"}}]}`)}), 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, path := range []string{"/", "/accounts", "/live", "/live/events", "/nowhere"} {
				if tc.want == 200 && path != "/" {
					continue
				}
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
				for _, v := range tc.header {
					r.Header.Add("X-Portcullis-Assertion", v)
				}
				w := httptest.NewRecorder()
				p.ServeHTTP(w, r)
				if w.Code != tc.want {
					t.Errorf("GET %s: status = %d, want %d", path, w.Code, tc.want)
				}
				if tc.want == 401 && strings.Contains(w.Body.String(), "ALP") {
					t.Errorf("GET %s: the refusal shows data", path)
				}
			}
			g.pass(time.Second) // so that an unknown key id is not the next case's business
		})
	}
}

func TestUnknownKeyIDsDoNotFloodTheGate(t *testing.T) {
	g := newGate(t)
	p := g.portal(t, nil)
	if w := g.as(t, p, "GET", "/", nil); w.Code != 200 {
		t.Fatalf("status = %d, want 200", w.Code)
	}
	for range 20 {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("X-Portcullis-Assertion", sign(t, jose.ES256, newKey(t, "unknown"), g.claims(nil)))
		p.ServeHTTP(httptest.NewRecorder(), r)
	}
	if n := g.fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times, want once", n)
	}
	g.pass(4 * time.Second)
	g.mu.Lock()
	g.key = newKey(t, "k2")
	g.mu.Unlock()
	if w := g.as(t, p, "GET", "/", nil); w.Code != 200 {
		t.Errorf("with a rotated key: status = %d, want 200", w.Code)
	}
}

func TestWithdrawnKeyIsForgotten(t *testing.T) {
	g := newGate(t)
	p := g.portal(t, nil)
	old := g.key
	if w := g.as(t, p, "GET", "/", nil); w.Code != 200 {
		t.Fatalf("status = %d, want 200", w.Code)
	}
	g.mu.Lock()
	g.key = newKey(t, "k2")
	g.mu.Unlock()
	g.pass(11 * time.Minute)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("X-Portcullis-Assertion", sign(t, jose.ES256, old, g.claims(nil)))
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Code != 401 {
		t.Errorf("status = %d, want 401", w.Code)
	}
}

var rowPattern = regexp.MustCompile(`<tr id="[^"]+" data-row="[^"]+" data-account="([^"]+)"`)

func accounts(body string) []string {
	out := []string{}
	for _, m := range rowPattern.FindAllStringSubmatch(body, -1) {
		out = append(out, m[1])
	}
	return slices.Compact(out)
}

func TestRowsFollowThePermissions(t *testing.T) {
	g := newGate(t)
	p := g.portal(t, nil)
	alpha := []string{"ALP0001", "ALP0002", "ALP0003"}
	beta := []string{"BET0001", "BET0002", "BET0003"}
	gamma := []string{"GAM0001", "GAM0002"}
	for _, tc := range []struct {
		name, permissions string
		want              []string
	}{
		{"nothing said", `{}`, []string{}},
		{"unrestricted", `{"unrestricted":true}`, slices.Concat(alpha, beta, gamma)},
		{"unrestricted below a ceiling", `{"unrestricted":true,"allOf":[{"account":{"prefix":"ALP"}}]}`, alpha},
		{"one of", `{"anyOf":[{"account":["ALP0002","BET0003"]}]}`, []string{"ALP0002", "BET0003"}},
		{"empty one of", `{"anyOf":[{"account":[]}]}`, []string{}},
		{"anything", `{"anyOf":[{"account":"*"}]}`, slices.Concat(alpha, beta, gamma)},
		{"nothing mentioned is free", `{"anyOf":[{}]}`, slices.Concat(alpha, beta, gamma)},
		{"prefix", `{"anyOf":[{"account":{"prefix":"BET"}}]}`, beta},
		{"not", `{"anyOf":[{"account":{"not":["ALP0001","BET0001"]}}]}`, slices.Concat([]string{"ALP0002", "ALP0003", "BET0002", "BET0003"}, gamma)},
		{"anyOf adds", `{"anyOf":[{"account":["ALP0001"]},{"account":["ALP0003"]}]}`, []string{"ALP0001", "ALP0003"}},
		{"allOf takes away", `{"anyOf":[{"account":["BET0001"]}],"allOf":[{"account":{"prefix":"ALP"}}]}`, []string{}},
		{"and inside one entry", `{"anyOf":[{"account":{"prefix":"ALP"},"country":["JP"]}]}`, []string{"ALP0003"}},
		{"entries never multiply", `{"anyOf":[{"country":["JP"],"product":{"prefix":"EQ-"}},{"country":["BR"],"product":{"prefix":"FI-"}}]}`, []string{"BET0002"}},
		{"an attribute that no row has", `{"anyOf":[{"vehicle":["X"]}]}`, []string{}},
		{"not of an attribute that no row has", `{"anyOf":[{"vehicle":{"not":["X"]}}]}`, []string{}},
		{"anything of an attribute that no row has", `{"anyOf":[{"vehicle":"*","account":["ALP0001"]}]}`, []string{"ALP0001"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			who := map[string]any{"permissions": json.RawMessage(tc.permissions)}
			w := g.as(t, p, "GET", "/accounts", who)
			if diff := cmp.Diff(tc.want, accounts(w.Body.String())); diff != "" {
				t.Errorf("accounts (-want +got):\n%s", diff)
			}
			for _, path := range []string{"/products", "/recipients", "/live", "/"} {
				body := g.as(t, p, "GET", path, who).Body.String()
				for _, a := range slices.Concat(alpha, beta, gamma) {
					if path != "/" && !slices.Contains(tc.want, a) && strings.Contains(body, a) {
						t.Errorf("GET %s shows %s", path, a)
					}
				}
			}
		})
	}
}

func TestTasksDecideWhatIsOffered(t *testing.T) {
	g := newGate(t)
	p := g.portal(t, nil)
	viewer := map[string]any{}
	manager := map[string]any{"tasks": []string{"account.view", "report.view"}}
	approver := map[string]any{"tasks": []string{"account.view", "payment.approve"}, "name": "Cleo Cedar"}
	body := func(path string, who map[string]any) string { return g.as(t, p, "GET", path, who).Body.String() }
	if !strings.Contains(body("/", viewer), `href="/.portcullis/admin/account"`) {
		t.Error("no way to My account")
	}
	if strings.Contains(body("/", viewer), `href="/reports"`) || !strings.Contains(body("/", manager), `href="/reports"`) {
		t.Error("the link to reports does not follow the task report.view")
	}
	if strings.Contains(body("/accounts", viewer), "Approve") || !strings.Contains(body("/accounts", approver), `action="/accounts/h101/approve"`) {
		t.Error("the button to approve does not follow the task payment.approve")
	}
	for _, tc := range []struct {
		method, path string
		who          map[string]any
		want         int
	}{
		{"GET", "/reports", viewer, 403},
		{"GET", "/reports", manager, 200},
		{"POST", "/accounts/h101/approve", viewer, 403},
		{"POST", "/accounts/h101/approve", manager, 403},
		{"POST", "/accounts/h113/approve", approver, 404}, // Beta's row
		{"POST", "/accounts/h102/approve", approver, 404}, // no payment waits
		{"POST", "/accounts/h999/approve", approver, 404},
		{"POST", "/accounts/h101/approve", approver, 303},
		{"POST", "/accounts/h101/approve", approver, 303},
		{"GET", "/accounts/h101/approve", approver, 404},
	} {
		if w := g.as(t, p, tc.method, tc.path, tc.who); w.Code != tc.want {
			t.Errorf("%s %s with %v: status = %d, want %d", tc.method, tc.path, tc.who["tasks"], w.Code, tc.want)
		}
	}
	if !strings.Contains(body("/accounts", viewer), "approved by Cleo Cedar") {
		t.Error("the approval does not show")
	}
}

func TestApproveRefusesAnotherSite(t *testing.T) {
	g := newGate(t)
	p := g.portal(t, nil)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/accounts/h101/approve", nil)
	r.Header.Set("X-Portcullis-Assertion", sign(t, jose.ES256, g.key, g.claims(map[string]any{"tasks": []string{"payment.approve"}})))
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Code != 403 {
		t.Errorf("status = %d, want 403", w.Code)
	}
}

// inline finds a style or event attribute in a tag.
var inline = regexp.MustCompile(`(?i)<[a-z]+(\s+[a-z-]+(="[^"]*")?)*\s+(style|on[a-z]+)=`)

func TestPagesAreStrictAndAssetsPublic(t *testing.T) {
	g := newGate(t)
	p := g.portal(t, nil)
	for path, kind := range map[string]string{"/assets/demo.css": "text/css", "/assets/portal.js": "text/javascript", "/assets/icon.svg": "image/svg+xml"} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("GET %s: %d %s, want 200 %s", path, w.Code, w.Header().Get("Content-Type"), kind)
		}
	}
	for _, path := range []string{"/assets/", "/assets/nothing", "/assets/..%2ftemplates%2fidp.html", "/assets/%2e%2e"} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code == 200 {
			t.Errorf("GET %s: status = 200", path)
		}
	}
	hostile := `<script>alert("x")</script>'"`
	for _, path := range []string{"/", "/accounts", "/products", "/recipients", "/live", "/reports", "/nowhere"} {
		w := g.as(t, p, "GET", path, map[string]any{
			"name": hostile, "organization": hostile, "email": hostile, "connection": `x" onload="y`, "roles": []string{hostile},
			"tasks": []string{hostile, "report.view"}, "permissions": json.RawMessage(`{"unrestricted":true,"allOf":[{"<b>":{"not":["</pre><script>"]}}],"anyOf":[{}]}`),
		})
		body := w.Body.String()
		if strings.Contains(body, "<script>") || strings.Contains(body, `" onload=`) || strings.Contains(body, "<b>") {
			t.Errorf("GET %s does not escape", path)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("GET %s: Content-Security-Policy = %q", path, csp)
		}
		if inline.MatchString(body) || strings.Contains(body, "<style") {
			t.Errorf("GET %s has inline style or script", path)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("GET %s: Cache-Control = %q, want no-store", path, got)
		}
	}
}

func TestSignOutIsAPostToTheGate(t *testing.T) {
	g := newGate(t)
	body := g.as(t, g.portal(t, nil), "GET", "/", nil).Body.String()
	if !strings.Contains(body, `<form method="post" action="/.portcullis/sign-out">`) {
		t.Error("there is no form to sign out")
	}
}
