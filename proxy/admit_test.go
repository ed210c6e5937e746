package proxy_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"portcullis/mapping"
	"portcullis/proxy"
	"portcullis/web"
)

func TestWhoeverIsNotSignedIn(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url)
	for _, tc := range []struct {
		name, method, target string
		lines                []string
		code                 int
		location             string
	}{
		{"a browser", "GET", "/", []string{"page"}, 302, "/"},
		{"a deep link", "GET", "/foo?next=https://a.b/c&d=%2F", []string{"page"}, 302, "/foo?next=https://a.b/c&d=%2F"},
		{"an old browser", "GET", "/caf%C3%A9?a;b", []string{"Accept: text/html"}, 302, "/caf%C3%A9?a;b"},
		{"a look first", "HEAD", "/a", []string{"page"}, 302, "/a"},
		{"a form", "POST", "/a", []string{"page", "Content-Length: 0"}, 401, ""},
		{"fetch", "GET", "/a", []string{"Accept: text/html", "Sec-Fetch-Mode: cors"}, 401, ""},
		{"XHR", "GET", "/a", []string{"Accept: application/json"}, 401, ""},
		{"curl", "GET", "/a", []string{"Accept: */*"}, 401, ""},
		{"health", "GET", "/healthz", nil, 401, ""},
		{"metrics", "GET", "/metrics", nil, 401, ""},
		{"debug", "GET", "/debug/pprof/", nil, 401, ""},
		{"WebSocket", "GET", "/ws", []string{"page", "Connection: Upgrade", "Upgrade: websocket", "Origin: " + g.url}, 401, ""},
		{"a crawler", "GET", "/", []string{"User-Agent: Googlebot"}, 401, ""},
		{"a balancer that looks", "GET", "/", []string{"User-Agent: GoogleHC/1.0"}, 401, ""},
		{"a probe", "GET", "/healthz", []string{"User-Agent: kube-probe/1.31"}, 401, ""},
		{"a checker", "HEAD", "/", []string{"User-Agent: ELB-HealthChecker/2.0"}, 401, ""},
		{"a query that looks public", "GET", "/admin?x=/.portcullis/", nil, 401, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res := g.ask(t, tc.method, tc.target, tc.lines...)
			if res.Code != tc.code {
				t.Fatalf("answer = %d %s, want %d", res.Code, res.Text, tc.code)
			}
			if tc.code == http.StatusFound {
				location := res.Header.Get("Location")
				if want := "/.portcullis/sign-in?return_to=" + url.QueryEscape(tc.location); location != want {
					t.Errorf("Location = %q, want %q", location, want)
				}
				if back := parse(t, location).Query().Get("return_to"); web.SafeReturn(parse(t, g.url), back) != tc.location {
					t.Errorf("the way back from %q is lost", location)
				}
			}
			if got := res.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control = %q", got)
			}
		})
	}
	if head := tp.head(t); head != "" {
		t.Errorf("the portal saw %q", head)
	}
}

func TestScriptsLearnWhereToSignIn(t *testing.T) {
	g := open(t, record(t).url)
	res := g.get(t, "/a", "Sec-Fetch-Mode: cors", "Cookie: portcullis=dead; portcullis=gone")
	var doc map[string]any
	if err := json.Unmarshal([]byte(res.Text), &doc); err != nil {
		t.Fatal(err)
	}
	if res.Code != 401 || doc["sign_in"] != g.url+"/.portcullis/sign-in" || doc["detail"] != "Your session has expired." || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("answer = %d %v %s", res.Code, res.Header, res.Text)
	}
	if got := res.Header.Get("Set-Cookie"); got != "portcullis=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax" {
		t.Errorf("Set-Cookie = %q, want the dead cookie cleared", got)
	}
	if res = g.get(t, "/a", "page", "Cookie: portcullis=dead"); res.Code != 302 || res.Header.Get("Set-Cookie") == "" {
		t.Errorf("a browser's dead cookie: %d %v", res.Code, res.Header)
	}
	if res = g.get(t, "/a", "page"); res.Header.Get("Set-Cookie") != "" {
		t.Errorf("a cookie was cleared that nobody sent")
	}
}

func TestTheFirstValidCookieCounts(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url)
	bob := ann()
	bob.Subject = "bob-1"
	g.people.enter("BOB", bob)
	for sent, want := range map[string]string{
		"portcullis=dead; portcullis=ANNSTOKEN": "ann-1", "portcullis=ANNSTOKEN; portcullis=dead": "ann-1", "portcullis=BOB; portcullis=ANNSTOKEN": "bob-1",
		"portcullis=; portcullis=ANNSTOKEN": "ann-1",
	} {
		res := g.get(t, "/", "Cookie: "+sent)
		if got := header(t, tp.head(t)).Get("X-Portcullis-User"); res.Code != 200 || got != want {
			t.Errorf("%s: %d, user %q, want %q", sent, res.Code, got, want)
		}
	}
	before := g.people.verified.Load()
	g.get(t, "/", "Cookie: "+strings.Repeat("portcullis=dead; ", 1000))
	if n := g.people.verified.Load() - before; n > 8 {
		t.Errorf("%d look-ups for one request", n)
	}
	for _, odd := range []string{"portcullis", "portcullis=ANNSTOKE", "portcullis=ANNSTOKENX", "portcullis=annstoken", "Portcullis=ANNSTOKEN", "__Host-portcullis=ANNSTOKEN", "portcullis =ANNSTOKEN", "portcullis=ANNSTOKEN,x"} {
		if res := g.get(t, "/", "Cookie: "+odd); res.Code != 401 {
			t.Errorf("%q = %d, want 401", odd, res.Code)
		}
	}
}

func TestNoStoreNoEntrance(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url, routes(proxy.Route{Path: "/public", Public: true}))
	g.people.away.Store(true)
	for _, target := range []string{"/", "/.portcullis/whoami"} {
		if res := g.get(t, target, "ann", "page"); res.Code != 503 || res.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s = %d %v, want 503 and the cookie kept", target, res.Code, res.Header)
		}
	}
	g.people.away.Store(false)
	if res := g.get(t, "/", "Cookie: portcullis=AWAY; portcullis=dead"); res.Code != 503 || res.Header.Get("Set-Cookie") != "" {
		t.Errorf("one cookie of two that could be judged = %d %v, want 503 and both kept", res.Code, res.Header)
	}
	g.people.away.Store(true)
	if head := tp.head(t); head != "" {
		t.Errorf("the portal saw %q", head)
	}
	if res := g.get(t, "/public/x", "ann"); res.Code != 200 || header(t, tp.head(t)).Get("X-Portcullis-User") != "" {
		t.Errorf("a public path = %d", res.Code)
	}
}

func TestRoutes(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url, routes(
		proxy.Route{Path: "/assets/", Public: true},
		proxy.Route{Path: "/assets/private"},
		proxy.Route{Path: "/admin", Roles: []string{"admin"}},
		proxy.Route{Path: "/admin/help", Public: true},
		proxy.Route{Path: "/reports/", Tasks: []string{"report.view"}},
		proxy.Route{Path: "/reports/all/", Tasks: []string{"report.view", "report.all"}, Roles: []string{"boss"}},
		proxy.Route{Path: "/a b", Public: true},
	))
	for target, want := range map[string][2]int{ // a stranger, Ann
		"/": {401, 200}, "/x": {401, 200},
		"/assets": {200, 200}, "/assets/": {200, 200}, "/assets/x?y": {200, 200}, "/assetsx": {401, 200}, "/ASSETS/x": {401, 200},
		"/%61ssets/x": {200, 200}, "/%2561ssets/x": {401, 200}, "/x/assets/": {401, 200}, "/x?/assets/": {401, 200},
		"/assets/private": {401, 200}, "/assets/private/x": {401, 200}, "/assets/privatex": {200, 200},
		"/assets/PRIVATE": {401, 200}, "/assets/Private/x": {401, 200}, "/assets/%2550rivate": {401, 200}, "/assets/privateX/y": {200, 200},
		"/admin": {401, 403}, "/admin/": {401, 403}, "/Admin/x": {401, 403}, "/%61dmin": {401, 403}, "/%2561dmin": {401, 403}, "/administer": {401, 200},
		"/admin?x=/assets/": {401, 403}, "/admin/help": {200, 200}, "/ADMIN/help": {401, 403}, "/admin/HELP": {401, 403},
		"/reports/x": {401, 200}, "/reports": {401, 200}, "/reports/all": {401, 403}, "/REPORTS/ALL/x": {401, 403},
		"/report%C5%BF/all": {401, 403}, "/report\u017f/all/x": {401, 403}, // ſ, which many take for an s
		"/a%20b/c": {200, 200},
	} {
		for i, who := range []string{"X-Nobody: x", "ann"} {
			if res := g.get(t, target, who); res.Code != want[i] {
				t.Errorf("%s (%s) = %d, want %d", target, who, res.Code, want[i])
			}
			if passed := tp.head(t) != ""; passed != (want[i] == 200) {
				t.Errorf("%s (%s) reached the portal: %v", target, who, passed)
			}
		}
	}
	res := g.get(t, "/reports/all", "ann", "page")
	ref := res.Header.Get("X-Portcullis-Reference")
	if !strings.Contains(res.Text, "You may not open this page: you lack the role “boss” and the task “report.all”.") ||
		strings.Contains(res.Text, "report.view") || !strings.Contains(res.Text, ref) {
		t.Errorf("the page = %s", res.Text)
	}
}

func TestTheWholePrefixIsReserved(t *testing.T) {
	tp := record(t)
	post := 0
	g := open(t, tp.url, routes(proxy.Route{Path: "/", Public: true}), func(c *proxy.Config) {
		c.Mount = append(c.Mount, func(own *gin.RouterGroup) {
			own.GET("/.portcullis/form", func(c *gin.Context) { c.String(200, "form") })
			own.POST("/.portcullis/form", func(*gin.Context) { post++ })
		})
	})
	for target, codes := range map[string]map[string]int{
		"/.portcullis": {"GET": 404, "POST": 404}, "/.portcullis/": {"GET": 404}, "/.portcullis/nothing": {"GET": 404, "POST": 404, "OPTIONS": 404, "BREW": 404},
		"/.PORTCULLIS/whoami": {"GET": 404}, "/.PORTCULLIS/x": {"GET": 404}, "/%2eportcullis/x": {"GET": 404}, "/%252eportcullis/whoami": {"GET": 404}, "/.portcullis/whoami/": {"GET": 404},
		"/.portcullis/whoami": {"GET": 401, "POST": 405, "DELETE": 405, "BREW": 405}, "/.portcullis/jwks.json": {"GET": 200, "HEAD": 200, "POST": 405},
		"/.portcullis/form":         {"GET": 200, "PUT": 405},
		"/.portcullis/assets/x.css": {"GET": 404},
		"/scim/v2":                  {"GET": 404}, "/scim/v2/acme/Users": {"GET": 404, "POST": 404}, "/SCIM/V2/acme": {"GET": 404}, "/scim/%76%32/x": {"GET": 404},
		"/scim/v20": {"GET": 200}, "/scim": {"GET": 200}, "/.portcullisx": {"GET": 200}, "/healthz": {"GET": 200},
	} {
		for method, want := range codes {
			res := g.ask(t, method, target, "Content-Length: 0")
			if res.Code != want {
				t.Errorf("%s %s = %d, want %d", method, target, res.Code, want)
			}
			if passed := tp.head(t) != ""; passed != (want == 200 && !strings.Contains(target, "/.portcullis/")) {
				t.Errorf("%s %s reached the portal: %v", method, target, passed)
			}
			if want >= 400 && res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s %s lacks our headers", method, target)
			}
			if want == 405 && res.Header.Get("Allow") == "" {
				t.Errorf("%s %s names no method that would do", method, target)
			}
		}
	}
	for line, want := range map[string]int{"Origin: https://evil.example": 0, "Sec-Fetch-Site: cross-site": 0, "Sec-Fetch-Site: same-origin": 1, "Origin: " + g.url: 1, "X: y": 1} {
		post = 0
		if g.ask(t, "POST", "/.portcullis/form", line, "Content-Length: 0"); post != want {
			t.Errorf("a POST with %q came through %d times, want %d", line, post, want)
		}
	}
}

func TestWhoami(t *testing.T) {
	g := open(t, record(t).url)
	who := ann()
	who.Access.Permissions = mapping.Permissions{
		AnyOf: []mapping.Where{{"country": {In: []string{"US", "GB"}}, "desk": {Any: true}}, {"account": {Prefix: "FI-"}}, {"x": {}}},
		AllOf: []mapping.Where{{"account": {Not: []string{"PRV-1"}}}},
	}
	who.Expires = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	g.people.enter("T2", who)
	res := g.get(t, "/.portcullis/whoami", "Cookie: portcullis=T2")
	want := `{"subject":"ann-1","connection":"acme","organization":"Acme","email":"ann@acme.example","name":"Ann","roles":["clerk","reader"],"tasks":["report.view"],` +
		`"permissions":{"unrestricted":false,"anyOf":[{"country":["US","GB"],"desk":"*"},{"account":{"prefix":"FI-"}},{"x":[]}],"allOf":[{"account":{"not":["PRV-1"]}}]},"expires":"2030-01-02T03:04:05Z"}`
	if res.Code != 200 || res.Text != want || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("whoami = %d %v %s", res.Code, res.Header, res.Text)
	}
	if res := g.get(t, "/.portcullis/whoami", "page"); res.Code != 401 {
		t.Errorf("nobody = %d, want 401", res.Code)
	}
}

func TestAssertion(t *testing.T) {
	tp := record(t)
	var clock time.Time
	g := open(t, tp.url, func(c *proxy.Config) { c.Now = func() time.Time { return clock } })
	start := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	who := ann()
	who.Expires = start.Add(7 * time.Minute)
	who.Access.Roles, who.Access.Permissions = nil, mapping.Permissions{Unrestricted: true}
	g.people.enter("T2", who)
	claims := func(at time.Duration) map[string]any {
		t.Helper()
		clock = start.Add(at)
		g.get(t, "/", "Cookie: portcullis=T2")
		parts := strings.Split(header(t, tp.head(t)).Get("X-Portcullis-Assertion"), ".")
		b, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil {
			t.Fatal(err)
		}
		var out map[string]any
		if err := json.Unmarshal(b, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	first := claims(0)
	want := map[string]any{
		"iss": g.url, "aud": tp.url, "sub": "ann-1", "sid": "s1", "jti": first["jti"], "iat": float64(start.Unix()), "exp": float64(start.Add(5 * time.Minute).Unix()),
		"connection": "acme", "organization": "Acme", "email": "ann@acme.example", "name": "Ann", "roles": []any{}, "tasks": []any{"report.view"},
		"permissions": map[string]any{"unrestricted": true, "anyOf": []any{}, "allOf": []any{}},
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if again := claims(59 * time.Second); again["jti"] != first["jti"] {
		t.Error("signed twice within a minute")
	}
	second := claims(61 * time.Second)
	if second["jti"] == first["jti"] || g.pen.signed.Load() != 2 {
		t.Errorf("signed %d times after a minute, want 2", g.pen.signed.Load())
	}
	if late := claims(5 * time.Minute); late["exp"] != float64(who.Expires.Unix()) {
		t.Errorf("exp = %v, beyond the session's %v", late["exp"], who.Expires.Unix())
	}
}

// Behind a proxy that ends TLS, the public address is https though the gate
// hears http.
func TestOverHTTPSTheCookieIsBoundToTheHost(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url, func(c *proxy.Config) { c.PublicURL = parse(t, "https://gate.example") })
	if res := g.get(t, "/", "Cookie: portcullis="+annToken); res.Code != http.StatusUnauthorized {
		t.Errorf("a cookie that any host could set = %d, want 401", res.Code)
	}
	if res := g.get(t, "https://Gate.example:443/x", "Cookie: __Host-portcullis="+annToken); res.Code != http.StatusOK {
		t.Fatalf("answer = %d %s", res.Code, res.Text)
	}
	h := header(t, tp.head(t))
	if h.Get("X-Forwarded-Proto") != "https" || h.Get("X-Forwarded-Host") != "gate.example" || h.Get("Cookie") != "" {
		t.Errorf("the portal saw %v", h)
	}
	res := g.get(t, "/", "Cookie: __Host-portcullis=dead")
	if got := res.Header.Get("Set-Cookie"); got != "__Host-portcullis=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax" {
		t.Errorf("Set-Cookie = %q", got)
	}
}
