package proxy_test

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"portcullis/proxy"
	"portcullis/session"
)

const authURL = "/.portcullis/auth"

// fronts are the ways in which proxies say which request they ask about.
func fronts() map[string]func(method, target string) (asked string, lines []string) {
	return map[string]func(method, target string) (string, []string){
		"nginx": func(m, t string) (string, []string) {
			return authURL, []string{"X-Original-URI: " + t, "X-Original-Method: " + m}
		},
		"nginx with a whole URL": func(m, t string) (string, []string) {
			return authURL, []string{"X-Original-URL: https://portal.example" + t, "X-Original-Method: " + m}
		},
		"Traefik and Caddy": func(m, t string) (string, []string) {
			return authURL, []string{"X-Forwarded-Uri: " + t, "X-Forwarded-Method: " + m, "X-Forwarded-Proto: https", "X-Forwarded-Host: portal.example"}
		},
		"Envoy": func(_, t string) (string, []string) { return authURL + t, nil },
	}
}

func guarded(c *proxy.Config) {
	trusting("127.0.0.1/32")(c)
	c.Routes = []proxy.Route{
		{Path: "/public/", Public: true},
		{Path: "/reports/", Tasks: []string{"report.view"}},
		{Path: "/admin/", Roles: []string{"administrator"}},
		{Path: "/vault/", Demand: session.Demand{MaxAge: time.Minute}},
		{Path: "/methods/", Methods: []string{"GET"}, Public: true},
		{Path: "/methods/x", Methods: []string{"POST", "DELETE"}, Roles: []string{"administrator"}},
		{Path: "/odd/", EncodedSlash: true, Semicolon: true},
		{Path: "/odd/admin/", Roles: []string{"administrator"}},
		{Path: "/odd/public/", Public: true},
		{Path: "/other/", Upstream: &proxy.Upstream{URL: c.Upstream.URL, Audience: "other"}, Headers: proxy.Headers{User: "Remote-User", Roles: "X-Groups"}},
		{Path: "/far/", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
		{Path: "/theirs/", Connections: []string{"theirs"}},
	}
}

// What the gate would do with a request of its own is what it tells a proxy
// in front that asks about that request.
func TestForwardAuthDecidesLikeTheProxy(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url, guarded)
	rapid.Check(t, func(r *rapid.T) {
		piece := rapid.SampledFrom([]string{
			"public", "reports", "ADMIN", "admin", "vault", "x", "methods", "odd", "odd/x%2Fy", "odd/admin%2f", "odd/a;b", "other", "far", "theirs", "%61dmin", "%2561dmin", "..", "%2e%2e", "a;b", "", ".portcullis", "scim", "v2", "%00", "é", "a b", "%2F", "%zz",
		})
		target := "/" + strings.ReplaceAll(strings.Join(rapid.SliceOfN(piece, 0, 4).Draw(r, "path"), "/"), " ", "%20") +
			rapid.SampledFrom([]string{"", "?a=/public/", "?x;y"}).Draw(r, "query")
		method := rapid.SampledFrom([]string{"GET", "POST", "DELETE", "TRACE", "FOO", "get"}).Draw(r, "method")
		lines := rapid.SampledFrom([][]string{{}, {"ann"}, {"Cookie: portcullis=WRONG"}, {"Cookie: portcullis=AWAY"}, {"ann", "Origin: http://evil.example", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: x"}}).Draw(r, "lines")
		front := rapid.SampledFrom([]string{"nginx", "nginx with a whole URL", "Traefik and Caddy", "Envoy"}).Draw(r, "front")
		if method == "TRACE" && front == "Envoy" {
			return // refused on the way in
		}

		asked, extra := fronts()[front](method, target)
		own := "GET"
		if front == "Envoy" {
			own = method
		}
		direct := g.ask(t, method, target, append([]string{"Content-Length: 0"}, lines...)...)
		for tp.head(t) != "" { // the portal has seen it
		}
		res := g.ask(t, own, asked, append(append([]string{"Content-Length: 0"}, lines...), extra...)...)
		want := direct.Code
		switch {
		case want == 400 && front == "Envoy": // refused on the way in
		case want >= 400 && want < 500 && want != 401:
			want = 403
		}
		if strings.HasPrefix(target, "/.portcullis") { // our own pages, which no proxy in front asks about
			if res.Code == 200 {
				r.Errorf("%s: %s %s passes, and is the gate's own", front, method, target)
			}
			return
		}
		if res.Code != want {
			r.Errorf("%s: %s %s %q = %d, and the proxy answers %d", front, method, target, lines, res.Code, direct.Code)
		}
		if tp.head(t) != "" {
			r.Errorf("%s: the portal was asked", front)
		}
	})
}

func TestForwardAuthTellsWhoItIs(t *testing.T) {
	g := open(t, record(t).url, guarded)
	for front, ask := range fronts() {
		target, lines := ask("GET", "/reports/1")
		res := g.get(t, target, append(lines, "ann")...)
		if res.Code != 200 || res.Header.Get("X-Portcullis-User") != "ann-1" || res.Header.Get("X-Portcullis-Roles") != "clerk,reader" ||
			strings.Count(res.Header.Get("X-Portcullis-Assertion"), ".") != 2 || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", front, res.Code, res.Header)
		}
		target, lines = ask("GET", "/public/x")
		res = g.get(t, target, lines...)
		if v, there := res.Header["X-Portcullis-User"]; res.Code != 200 || !there || v[0] != "" || res.Header.Get("X-Portcullis-Assertion") != "" {
			t.Errorf("%s: a public page for nobody = %d %v", front, res.Code, res.Header)
		}
	}
}

// A route's own names for the headers, and its upstream's audience, hold for
// a proxy in front, too. Every name of any route is there, so that a proxy
// that hands on them all hands on nothing of the client's.
func TestForwardAuthUsesTheNamesOfTheRoute(t *testing.T) {
	g := open(t, record(t).url, guarded)
	for front, ask := range fronts() {
		target, lines := ask("GET", "/other/1")
		h := g.get(t, target, append(lines, "ann", "X-Groups: root", "Remote-User: root")...).Header
		if h.Get("Remote-User") != "ann-1" || h.Get("X-Groups") != "clerk,reader" || h.Get("X-Portcullis-User") != "" || len(h["X-Portcullis-User"]) != 1 {
			t.Errorf("%s: %v", front, h)
		}
		if aud := audience(t, h.Get("X-Portcullis-Assertion")); aud != "other" {
			t.Errorf("%s: the assertion is for %q", front, aud)
		}
		target, lines = ask("GET", "/x")
		h = g.get(t, target, append(lines, "ann", "X-Groups: root", "Remote-User: root")...).Header
		if v := h["X-Groups"]; len(v) != 1 || v[0] != "" || h.Get("Remote-User") != "" || h.Get("X-Portcullis-User") != "ann-1" {
			t.Errorf("%s: elsewhere: %v", front, h)
		}
	}
}

// A proxy in front that does not say the method is told the strictest.
func TestForwardAuthWithoutAMethodIsStrict(t *testing.T) {
	g := open(t, record(t).url, guarded)
	for target, want := range map[string]int{"/methods/x": 403, "/methods/y": 200, "/x": 200} {
		if res := g.get(t, authURL, "ann", "X-Original-URI: "+target); res.Code != want {
			t.Errorf("%s = %d, want %d", target, res.Code, want)
		}
	}
	if res := g.get(t, authURL, "X-Original-URI: /methods/y"); res.Code != 401 {
		t.Errorf("public for GET = %d to a stranger", res.Code)
	}
}

func TestForwardAuthJudgesTheHost(t *testing.T) {
	g := open(t, record(t).url, trusting("127.0.0.1/32"), routes(proxy.Route{Path: "/", Hosts: []string{"status.example"}, Public: true}))
	for name, tc := range map[string]struct {
		lines []string
		want  int
	}{
		"nginx":                   {[]string{"Host: status.example", "X-Original-URI: /x"}, 200},
		"nginx with a whole URL":  {[]string{"Host: internal", "X-Original-URL: http://status.example/x"}, 200},
		"Traefik":                 {[]string{"Host: internal", "X-Forwarded-Host: status.example", "X-Forwarded-Uri: /x"}, 200},
		"the portal":              {[]string{"Host: " + g.addr, "X-Original-URI: /x"}, 401},
		"no host of ours":         {[]string{"Host: internal", "X-Original-URI: /x"}, 403},
		"two hosts":               {[]string{"Host: " + g.addr, "X-Forwarded-Host: status.example", "X-Original-URI: /x"}, 403},
		"two hosts, in a URL":     {[]string{"Host: " + g.addr, "X-Original-URL: http://status.example/x"}, 403},
		"a client's host besides": {[]string{"Host: internal", "X-Forwarded-Host: evil.example", "X-Original-URL: http://status.example/x"}, 403},
	} {
		request := strings.Replace(g.request("GET", authURL, tc.lines...), "Host: "+g.addr+"\r\n", "", 1)
		if res := raw(t, g.addr, request); res.Code != tc.want {
			t.Errorf("%s = %d, want %d", name, res.Code, tc.want)
		}
	}
}

func TestForwardAuthSaysWhereToSignIn(t *testing.T) {
	g := open(t, record(t).url, guarded)
	const way = "/.portcullis/sign-in?return_to=%2Ffoo%3Fnext%3Dhttps%3A%2F%2Fa.b%2Fc"
	const deep = "/foo?next=https://a.b/c"
	for name, tc := range map[string]struct {
		target string
		lines  []string
		code   int
		in     string // the header that names the way
	}{
		"nginx":                  {authURL, []string{"page", "X-Original-URI: " + deep, "X-Original-Method: GET"}, 401, "X-Portcullis-Sign-In"},
		"Caddy, with a redirect": {authURL + "?redirect", []string{"page", "X-Forwarded-Uri: " + deep, "X-Forwarded-Method: GET"}, 302, "Location"},
		"a form":                 {authURL + "?redirect", []string{"page", "X-Forwarded-Uri: " + deep, "X-Forwarded-Method: POST"}, 401, ""},
		"a script":               {authURL + "?redirect", []string{"Sec-Fetch-Mode: cors", "X-Forwarded-Uri: " + deep, "X-Forwarded-Method: GET"}, 401, ""},
	} {
		res := g.get(t, tc.target, tc.lines...)
		if res.Code != tc.code || res.Header.Get(tc.in) != way && tc.in != "" {
			t.Errorf("%s = %d %v", name, res.Code, res.Header)
		}
		if tc.in == "" && (res.Header.Get("X-Portcullis-Sign-In") != "" || res.Header.Get("Location") != "") {
			t.Errorf("%s is led away: %v", name, res.Header)
		}
	}
}

// The proxy in front hands on the cookies that it is given, so that ours end
// here.
func TestForwardAuthGivesTheCookiesThatAreNotOurs(t *testing.T) {
	g := open(t, record(t).url, guarded)
	for sent, want := range map[string]string{
		"portcullis=" + annToken + "; theme=dark; __Host-portcullis=x; lang=en": "theme=dark; lang=en",
		"portcullis=" + annToken: "",
	} {
		res := g.get(t, authURL, "Cookie: "+sent, "X-Original-URI: /x")
		if res.Code != 200 || res.Header.Get("Cookie") != want {
			t.Errorf("%q = %d, %q", sent, res.Code, res.Header.Get("Cookie"))
		}
	}
}

// Only a trusted proxy says what is asked for. Anybody else learns whether
// they would get in everywhere, and holds no assertion afterwards.
func TestForwardAuthBelievesTrustedProxiesOnly(t *testing.T) {
	for name, tc := range map[string]struct {
		routes []proxy.Route
		lines  []string
		code   int
	}{
		"signed in, no rules":     {nil, []string{"ann"}, 200},
		"nobody, a public path":   {[]proxy.Route{{Path: "/public/", Public: true}}, []string{"X-Original-URI: /public/"}, 401},
		"a rule that she misses":  {[]proxy.Route{{Path: "/admin/", Roles: []string{"administrator"}}}, []string{"ann", "X-Forwarded-Uri: /x"}, 403},
		"a rule that she has":     {[]proxy.Route{{Path: "/reports/", Tasks: []string{"report.view"}}}, []string{"ann"}, 200},
		"a sign-in too long ago":  {[]proxy.Route{{Path: "/vault/", Demand: session.Demand{MaxAge: time.Minute}}}, []string{"ann"}, 401},
		"headers that are ours":   {nil, []string{"X-Portcullis-User: boss"}, 401},
		"Envoy's path, untrusted": {[]proxy.Route{{Path: "/admin/", Roles: []string{"administrator"}}}, []string{"ann", "envoy"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			g := open(t, record(t).url, routes(tc.routes...))
			target := authURL
			if last := len(tc.lines) - 1; tc.lines[last] == "envoy" {
				target, tc.lines = authURL+"/x", tc.lines[:last]
			}
			res := g.get(t, target, tc.lines...)
			if res.Code != tc.code || res.Header.Get("X-Portcullis-Assertion") != "" {
				t.Errorf("answer = %d %v, want %d and no assertion", res.Code, res.Header, tc.code)
			}
			if who := res.Header.Get("X-Portcullis-User"); (who == "ann-1") != (tc.code == 200) {
				t.Errorf("user = %q", who)
			}
		})
	}
}

// What a proxy says unclearly is refused: one of two words may be the
// client's.
func TestForwardAuthFailsClosed(t *testing.T) {
	g := open(t, record(t).url, guarded)
	for name, lines := range map[string][]string{
		"no address":              {},
		"an empty address":        {"X-Original-URI: "},
		"two addresses":           {"X-Original-URI: /admin/", "X-Original-URI: /x"},
		"two words":               {"X-Original-URI: /x", "X-Forwarded-Uri: /public/"},
		"a URL besides":           {"X-Original-URI: /x", "X-Original-URL: https://portal.example/y"},
		"a URL without a path":    {"X-Original-URL: https://portal.example"},
		"no path":                 {"X-Original-URI: public"},
		"a dot segment":           {"X-Original-URI: /public/../admin"},
		"an encoded dot segment":  {"X-Original-URI: /public/%2e%2e/admin"},
		"a semicolon":             {"X-Original-URI: /public/..;/admin"},
		"two methods":             {"X-Original-URI: /x", "X-Original-Method: GET", "X-Forwarded-Method: POST"},
		"a method nobody serves":  {"X-Original-URI: /x", "X-Original-Method: TRACE"},
		"another origin":          {"X-Original-URI: /ws", "Sec-WebSocket-Key: x", "Origin: http://evil.example"},
		"our own pages":           {"X-Original-URI: /.portcullis/whoami"},
		"our own pages, encoded":  {"X-Original-URI: /%2eportcullis/whoami"},
		"SCIM":                    {"X-Original-URI: /scim/v2/acme/Users"},
		"a number sign":           {"X-Original-URI: /x#/public"},
		"another scheme's target": {"X-Original-URI: http://evil.example/public/"},
	} {
		if res := g.get(t, authURL, append(lines, "ann")...); res.Code != http.StatusForbidden || res.Header.Get("X-Portcullis-User") != "" {
			t.Errorf("%s = %d %v", name, res.Code, res.Header)
		}
	}
	g.people.away.Store(true)
	if res := g.get(t, authURL, "ann", "X-Original-URI: /x"); res.Code != http.StatusServiceUnavailable {
		t.Errorf("with the sessions away = %d", res.Code)
	}
}

func TestForwardAuthEndsWithTheSession(t *testing.T) {
	g := open(t, record(t).url, guarded)
	g.people.leave(annToken)
	if res := g.get(t, authURL, "ann", "X-Original-URI: /x"); res.Code != http.StatusUnauthorized || res.Header.Get("X-Portcullis-Assertion") != "" {
		t.Errorf("after the session = %d %v", res.Code, res.Header)
	}
}

// Where the peer is a balancer, a page's script asks through it as if the
// balancer did. It gets nothing that is not for it, whether others are named as
// the proxies that ask or nobody said who does.
func TestForwardAuthGivesAPagesScriptNothing(t *testing.T) {
	for name, askers := range map[string][]netip.Prefix{
		"nobody said who asks": nil, "nobody asks": {}, "another asks": {netip.MustParsePrefix("127.0.0.9/32")},
	} {
		g := open(t, record(t).url, guarded, func(c *proxy.Config) { c.Askers = askers })
		for front, ask := range fronts() {
			for _, path := range []string{"/x", "/public/x", "/other/1"} {
				target, lines := ask("GET", path)
				res := g.get(t, target, append(lines, "Cookie: portcullis="+annToken+"; theirs=secret", "Authorization: Basic secret",
					"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty")...)
				if res.Code != http.StatusForbidden || res.Header.Get("X-Portcullis-User") != "" { // she may not get in everywhere
					t.Errorf("%s, as %s: %s = %d", name, front, path, res.Code)
				}
				if h := res.Header; h.Get("X-Portcullis-Assertion")+h.Get("Cookie")+h.Get("Authorization") != "" {
					t.Errorf("%s, as %s: a script reads %v", name, front, h)
				}
			}
		}
	}
}

// A balancer that is not among the proxies that ask is heard like anybody
// else, whoever made the request: also a program of somebody who is signed in.
func TestForwardAuthHearsTheProxiesThatAsk(t *testing.T) {
	for _, tc := range []struct {
		askers string
		heard  bool
	}{{"127.0.0.1/32", true}, {"127.0.0.9/32", false}} {
		g := open(t, record(t).url, trusting("127.0.0.0/8"), func(c *proxy.Config) { c.Askers = []netip.Prefix{netip.MustParsePrefix(tc.askers)} })
		for front, ask := range fronts() {
			for _, lines := range [][]string{nil, {"Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}} {
				target, more := ask("GET", "/x")
				res := g.get(t, target, append(append(lines, more...), "ann")...)
				if got := res.Header.Get("X-Portcullis-Assertion") != ""; res.Code != http.StatusOK || got != tc.heard {
					t.Errorf("%s asks, %s hears %s %q: %d, an assertion: %v", tc.askers, front, target, lines, res.Code, got)
				}
			}
		}
	}
}

// What stands behind the path is a question of a proxy that asks alone: from
// others it is the request's own address, and judged as that.
func TestForwardAuthReadsThePathOfProxiesThatAsk(t *testing.T) {
	for askers, want := range map[string]int{"127.0.0.1/32": 200, "127.0.0.9/32": 400} {
		g := open(t, record(t).url, guarded, func(c *proxy.Config) { c.Askers = []netip.Prefix{netip.MustParsePrefix(askers)} })
		if res := g.get(t, authURL+"/odd/a;b", "ann"); res.Code != want {
			t.Errorf("%s asks: %d, want %d", askers, res.Code, want)
		}
	}
}

// As long as nobody says who asks, a proxy gets its answer about programs, and
// about what a browser asks for of itself.
func TestForwardAuthAnswersWhatNoScriptCanRead(t *testing.T) {
	var log syncBuffer
	g := open(t, record(t).url, guarded, func(c *proxy.Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	for name, tc := range map[string]struct {
		lines []string
		code  int
	}{
		"a program":            {nil, 200},
		"a page":               {[]string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"}, 200},
		"a frame":              {[]string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, 200},
		"a page of a worker":   {[]string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: empty"}, 403},
		"a picture":            {[]string{"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, 200},
		"a WebSocket":          {[]string{"Sec-Fetch-Mode: websocket", "Sec-Fetch-Dest: empty"}, 200},
		"fetch":                {[]string{"Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty"}, 403},
		"fetch without CORS":   {[]string{"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: empty"}, 403},
		"fetch of this origin": {[]string{"Sec-Fetch-Mode: same-origin", "Sec-Fetch-Dest: empty"}, 403},
		"fetch for nothing":    {[]string{"Sec-Fetch-Mode: cors"}, 403},
	} {
		for front, ask := range fronts() {
			target, lines := ask("GET", "/x")
			res := g.get(t, target, append(append(lines, tc.lines...), "ann")...)
			if got := res.Header.Get("X-Portcullis-Assertion") != ""; res.Code != tc.code || got != (tc.code == 200) {
				t.Errorf("%s, as %s: %d, an assertion: %v", name, front, res.Code, got)
			}
		}
	}
	if !strings.Contains(log.String(), "if the proxy at 127.0.0.1 asks here, forward_auth has to name it") {
		t.Error("the log does not say what to configure")
	}
}
