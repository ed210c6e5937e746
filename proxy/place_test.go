package proxy_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"portcullis/proxy"
)

// audience reads for whom an assertion is.
func audience(tb testing.TB, assertion string) string {
	tb.Helper()
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		tb.Fatalf("no assertion: %q", assertion)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ Aud string }
	if err == nil {
		err = json.Unmarshal(b, &claims)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return claims.Aud
}

func TestRoutesLeadToUpstreams(t *testing.T) {
	first, legacy, write := record(t), record(t), record(t)
	g := open(t, first.url, routes(
		proxy.Route{Path: "/legacy/", Upstream: &proxy.Upstream{URL: parse(t, legacy.url), Audience: "legacy", Host: "legacy.internal"}},
		proxy.Route{Path: "/legacy/admin/", Tasks: []string{"report.view"}},
		proxy.Route{Path: "/legacy/", Methods: []string{"POST"}, Upstream: &proxy.Upstream{URL: parse(t, write.url+"/base")}},
		proxy.Route{Path: "/legacy/assets/", Public: true},
	))
	for _, tc := range []struct {
		method, target string
		at             *tape
		line, audience string
	}{
		{"GET", "/x", first, "/x", first.url},
		{"GET", "/legacy", legacy, "/legacy", "legacy"},
		{"GET", "/legacy/a%20b?c", legacy, "/legacy/a%20b?c", "legacy"},
		{"GET", "/legacy/admin/x", legacy, "/legacy/admin/x", "legacy"},
		{"GET", "/legacy/assets/x", legacy, "/legacy/assets/x", "legacy"},
		{"POST", "/legacy/admin/x", write, "/base/legacy/admin/x", write.url},
		{"GET", "/legacyx", first, "/legacyx", first.url},
		{"GET", "/LEGACY/x", first, "/LEGACY/x", first.url},
		{"GET", "/%256cegacy/x", first, "/%256cegacy/x", first.url},
		{"GET", "/%6cegacy/x", legacy, "/%6cegacy/x", "legacy"},
		{"GET", "/x", first, "/x", first.url},
	} {
		if res := g.ask(t, tc.method, tc.target, "ann", "Content-Length: 0"); res.Code != 200 {
			t.Errorf("%s %s = %d", tc.method, tc.target, res.Code)
			continue
		}
		head := tc.at.head(t)
		if !strings.HasPrefix(head, tc.method+" "+tc.line+" HTTP/1.1\r\n") {
			t.Errorf("%s %s arrived as %q", tc.method, tc.target, head)
			continue
		}
		if aud := audience(t, header(t, head).Get("X-Portcullis-Assertion")); aud != tc.audience {
			t.Errorf("%s %s: for %q, want %q", tc.method, tc.target, aud, tc.audience)
		}
		if tc.audience == "legacy" && !strings.Contains(head, "\r\nHost: legacy.internal\r\n") {
			t.Errorf("%s: host in %q", tc.target, head)
		}
	}
	if n := g.pen.signed.Load(); n != 3 {
		t.Errorf("signed %d assertions for three audiences within a minute", n)
	}
}

func TestEachUpstreamHasItsPatience(t *testing.T) {
	over := make(chan struct{})
	slow := portal(t, func(http.ResponseWriter, *http.Request) { <-over })
	defer close(over)
	g := open(t, record(t).url, routes(proxy.Route{Path: "/slow/", Upstream: &proxy.Upstream{URL: parse(t, slow), AnswerWithin: 20 * time.Millisecond}}))
	if res := g.get(t, "/slow/", "ann"); res.Code != http.StatusGatewayTimeout {
		t.Errorf("answer = %d, want 504", res.Code)
	}
}

// What a route calls an identity header is ours on every path: the route's
// portal gets one value, every other portal gets none.
func TestRoutesRenameTheHeaders(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url, routes(
		proxy.Route{Path: "/grafana/", Headers: proxy.Headers{User: "X-Grafana-Login", Email: "remote-email", Assertion: "X-JWT-Assertion"}},
		proxy.Route{Path: "/grafana/public/", Public: true},
		proxy.Route{Path: "/open/", Public: true},
	))
	sent := []string{
		"X-Grafana-Login: root", "x-grafana-LOGIN: root", "X_Grafana_Login: root", "X.Grafana!Login: root", "X-JWT-Assertion: root", "X-Jwt_Assertion: root", "Remote-Email: root",
		"X-Portcullis-User: root", "Connection: X-Grafana-Login, X-JWT-Assertion", "Trailer: X-Grafana-Login", "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Grafana-Login: root",
	}
	for target, want := range map[string]map[string]string{
		"/grafana/x":        {"X-Grafana-Login": "ann-1", "Remote-Email": "ann@acme.example", "X-Portcullis-Roles": "clerk,reader", "X-Jwt-Assertion": "*"},
		"/grafana/public/x": {"X-Grafana-Login": "ann-1", "Remote-Email": "ann@acme.example", "X-Portcullis-Roles": "clerk,reader", "X-Jwt-Assertion": "*"},
		"/open/x":           {"X-Portcullis-User": "ann-1", "X-Portcullis-Email": "ann@acme.example", "X-Portcullis-Roles": "clerk,reader", "X-Portcullis-Assertion": "*"},
		"/x":                {"X-Portcullis-User": "ann-1", "X-Portcullis-Email": "ann@acme.example", "X-Portcullis-Roles": "clerk,reader", "X-Portcullis-Assertion": "*"},
	} {
		for _, cookie := range []string{"ann", "X-Nobody: x"} {
			if cookie != "ann" && !strings.Contains(target, "/public/") && !strings.Contains(target, "/open/") {
				continue
			}
			if res := g.ask(t, "POST", target, append([]string{cookie}, sent...)...); res.Code != 200 {
				t.Fatalf("%s = %d", target, res.Code)
			}
			head := tp.head(t)
			if strings.Contains(head, "root") {
				t.Errorf("%s: the portal saw %q", target, head)
			}
			h := header(t, head)
			for _, name := range []string{
				"X-Grafana-Login", "Remote-Email", "X-Jwt-Assertion", "X-Portcullis-User", "X-Portcullis-Email", "X-Portcullis-Roles", "X-Portcullis-Assertion",
			} {
				expected := want[name]
				if cookie != "ann" {
					expected = ""
				}
				if got := strings.Join(h[name], "|"); got != expected && (expected != "*" || got == "") {
					t.Errorf("%s, %s: %s = %q, want %q", target, cookie, name, got, expected)
				}
			}
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	up := portal(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			w.Header().Set("X-Error", err.Error())
		}
		_, _ = io.WriteString(w, strconv.FormatInt(n, 10))
	})
	whole := make(chan bool, 10)
	watched := portal(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		whole <- err == nil
	})
	g := open(t, up, func(c *proxy.Config) { c.MaxBody = 100 }, routes(
		proxy.Route{Path: "/large/", MaxBody: 1000},
		proxy.Route{Path: "/small/", MaxBody: 10},
		proxy.Route{Path: "/watched/", Upstream: &proxy.Upstream{URL: parse(t, watched)}},
	))
	sized := func(n int) string {
		return "Content-Length: " + strconv.Itoa(n) + "\r\n\r\n" + strings.Repeat("x", n)
	}
	chunked := func(n int) string {
		return "Transfer-Encoding: chunked\r\n\r\n" + strconv.FormatInt(int64(n), 16) + "\r\n" + strings.Repeat("x", n) + "\r\n0\r\n"
	}
	for _, tc := range []struct {
		target string
		size   int
		want   int
	}{
		{"/x", 100, 200},
		{"/x", 101, 413},
		{"/large/", 1000, 200},
		{"/large/", 1001, 413},
		{"/small/", 10, 200},
		{"/small/", 11, 413},
		{"/SMALL/", 11, 413},
		{"/LARGE/", 101, 413},
	} {
		for name, body := range map[string]string{"sized": sized(tc.size), "chunked": chunked(tc.size)} {
			res := g.ask(t, "POST", tc.target, "ann", body)
			if res.Code != tc.want || tc.want == 200 && res.Text != strconv.Itoa(tc.size) {
				t.Errorf("%d bytes, %s, to %s = %d %q, want %d", tc.size, name, tc.target, res.Code, res.Text, tc.want)
			}
		}
	}
	g.ask(t, "POST", "/watched/", "ann", sized(1000))
	g.ask(t, "POST", "/watched/", "ann", chunked(100_000))
	g.Close()
	select {
	case ok := <-whole: // of the second alone, if it began at all
		if ok {
			t.Error("the portal took a body that is too large for a whole one")
		}
	default:
	}
}

func TestTheUsualSecurityHeaders(t *testing.T) {
	up := portal(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/own" {
			w.Header().Set("Strict-Transport-Security", "max-age=1")
			w.Header().Set("X-Frame-Options", "DENY")
		}
	})
	https := func(c *proxy.Config) {
		c.PublicURL, c.HSTS = parse(t, "https://portal.example"), time.Hour
	}
	const hsts = "Strict-Transport-Security"
	ann := "Cookie: __Host-portcullis=" + annToken
	g := open(t, up, https)
	for target, want := range map[string]string{"/.portcullis/jwks.json": "max-age=3600", "//": "max-age=3600", "/nobody": "max-age=3600"} {
		if res := g.get(t, target); res.Header.Get(hsts) != want {
			t.Errorf("%s: %v", target, res.Header)
		}
	}
	for target, want := range map[string][]string{"/x": nil, "/own": {"max-age=1"}} {
		if res := g.get(t, target, ann); len(res.Header[hsts]) != len(want) || res.Header.Get("X-Content-Type-Options") != "" {
			t.Errorf("%s: %v", target, res.Header)
		}
	}
	g = open(t, up, https, func(c *proxy.Config) { c.PortalHeaders = true })
	for target, want := range map[string][2]string{"/x": {"max-age=3600", "SAMEORIGIN"}, "/own": {"max-age=1", "DENY"}} {
		h := g.get(t, target, ann).Header
		if strings.Join(h[hsts], "|") != want[0] || strings.Join(h["X-Frame-Options"], "|") != want[1] || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", target, h)
		}
	}
	if h := open(t, up, func(c *proxy.Config) { c.HSTS = time.Hour }).get(t, "/.portcullis/jwks.json").Header; h.Get(hsts) != "" {
		t.Errorf("over http: %v", h)
	}
}
