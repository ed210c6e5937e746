package proxy_test

import (
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"portcullis/proxy"
	"portcullis/session"
)

// A request whose method a rule does not name falls to the next, and through
// what requires something it never falls into the open.
func TestRoutesNameMethods(t *testing.T) {
	open := func(t *testing.T, r ...proxy.Route) *gate {
		return open(t, portal(t, func(http.ResponseWriter, *http.Request) {}), routes(r...))
	}
	admin := []string{"administrator"}
	view := []string{"report.view"}
	for _, tc := range []struct {
		name   string
		routes []proxy.Route
		want   map[string][2]int // the method and path: what a stranger gets, and Ann
	}{
		{"open for reading", []proxy.Route{{Path: "/", Methods: []string{"GET"}, Public: true}}, map[string][2]int{
			"GET /x": {200, 200}, "HEAD /x": {200, 200}, "POST /x": {401, 200}, "OPTIONS /x": {401, 200}, "FOO /x": {401, 200}, "get /x": {401, 200},
		}},
		{"what requires something hides what is open", []proxy.Route{
			{Path: "/", Public: true}, {Path: "/admin/", Methods: []string{"GET", "POST"}, Roles: admin},
		}, map[string][2]int{
			"GET /admin/": {401, 403}, "HEAD /admin/": {401, 403}, "POST /ADMIN/": {401, 403}, "DELETE /admin/": {401, 200}, "OPTIONS /admin/": {401, 200},
			"get /admin/": {401, 403}, "post /admin/": {401, 403}, "FOO /admin/": {401, 403}, "GET /x": {200, 200},
		}},
		{"each method its rule", []proxy.Route{
			{Path: "/r", Methods: []string{"GET"}, Tasks: view}, {Path: "/r/", Methods: []string{"POST"}, Roles: admin}, {Path: "/r/", Methods: []string{"OPTIONS"}, Public: true},
		}, map[string][2]int{
			"GET /r": {401, 200}, "POST /r": {401, 403}, "OPTIONS /r": {200, 200}, "PUT /r": {401, 200}, "FOO /r": {401, 403}, "options /r": {401, 403},
		}},
		{"open for reading beside", []proxy.Route{
			{Path: "/r", Methods: []string{"GET"}, Public: true}, {Path: "/r", Roles: admin},
		}, map[string][2]int{"GET /r": {200, 200}, "HEAD /r": {200, 200}, "POST /r": {401, 403}, "OPTIONS /r": {401, 403}}},
		{"a method of one's own", []proxy.Route{{Path: "/dav/", Methods: []string{"PROPFIND"}, Public: true}, {Path: "/dav/", Methods: []string{"POST"}, Roles: admin}}, map[string][2]int{
			"PROPFIND /dav/": {200, 200}, "propfind /dav/": {401, 403}, "POST /dav/": {401, 403},
		}},
		{"a method named elsewhere", []proxy.Route{{Path: "/", Methods: []string{"GET"}, Roles: admin}, {Path: "/cache/", Methods: []string{"PURGE"}, Tasks: view}}, map[string][2]int{
			"PURGE /": {401, 403}, "PURGE /cache/": {401, 200}, "purge /cache/": {401, 403}, "GET /cache/": {401, 403}, "POST /cache/": {401, 200},
		}},
		{"signed in, of some methods, hides what is open", []proxy.Route{{Path: "/", Public: true}, {Path: "/me/", Methods: []string{"POST"}}}, map[string][2]int{
			"POST /me/": {401, 200}, "GET /me/": {401, 200}, "GET /": {200, 200},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := open(t, tc.routes...)
			for asked, want := range tc.want {
				method, path, _ := strings.Cut(asked, " ")
				if got := [2]int{g.ask(t, method, path).Code, g.ask(t, method, path, "ann").Code}; got != want {
					t.Errorf("%s = %v, want %v", asked, got, want)
				}
			}
		})
	}
}

// A portal that believes these headers must not be told another method than
// was judged.
func TestNoHeaderNamesAnotherMethod(t *testing.T) {
	tp := record(t)
	lines := []string{"ann", "X-HTTP-Method-Override: DELETE", "X-Http-Method: DELETE", "x-method-override: DELETE"}
	g := open(t, tp.url, trusting("127.0.0.1/32"), routes(proxy.Route{Path: "/", Methods: []string{"DELETE"}, Roles: []string{"administrator"}}))
	if res := g.ask(t, "POST", "/x", append(lines, "Content-Length: 0")...); res.Code != 200 {
		t.Errorf("POST = %d", res.Code)
	}
	if head := tp.head(t); strings.Contains(head, "DELETE") {
		t.Errorf("the portal saw %q", head)
	}
	if res := g.get(t, authURL, append(lines, "X-Original-URI: /x", "X-Original-Method: POST")...); res.Code != 403 {
		t.Errorf("a proxy in front, which hands the header on, is told %d", res.Code)
	}
	g = open(t, tp.url)
	if g.ask(t, "POST", "/x", append(lines, "Content-Length: 0")...); !strings.Contains(tp.head(t), "DELETE") {
		t.Error("without rules of methods the header is the portal's business")
	}
}

func TestRoutesNameHosts(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url, trusting("127.0.0.1/32"), routes(
		proxy.Route{Path: "/", Hosts: []string{"status.example"}, Public: true},
		proxy.Route{Path: "/admin/", Roles: []string{"administrator"}},
		proxy.Route{Path: "/open/", Public: true},
	))
	for _, tc := range []struct {
		host, target string
		lines        []string
		want         int
	}{
		{"status.example", "/x", nil, 200},
		{"STATUS.example:80", "/x", nil, 200},
		{"status.example", "/admin/", nil, 403}, // nobody can be signed in there
		{"status.example", "/Admin/", []string{"page"}, 403},
		{"status.example", "/.portcullis/whoami", []string{"ann"}, 421},
		{"status.example", "/.portcullis/sign-in", nil, 421},
		{"status.example", "/scim/v2/acme/Users", nil, 421},
		{"status.example", "/.portcullis/jwks.json", nil, 200},
		{"other.example", "/.portcullis/jwks.json", nil, 200},
		{"other.example", "/x", nil, 421},
		{"status.example.", "/x", nil, 421},
		{"status.example:81", "/x", nil, 421},
		{"", "/open/", nil, 421},
		{"x", "http://status.example/x", nil, 200},
		{"status.example", "http://other.example/x", nil, 400},
		{"internal:8080", "/x", []string{"X-Forwarded-Host: status.example"}, 200},
		{"internal:8080", "/x", []string{"X-Forwarded-Host: other.example"}, 421},
		{"internal:8080", "/x", []string{"X-Forwarded-Host: status.example", "X-Forwarded-Host: " + g.addr}, 421},
		{"status.example", "/x", []string{"X-Forwarded-Host: " + g.addr}, 421},
		{g.addr, "/x", []string{"X-Forwarded-Host: status.example"}, 421},
		{g.addr, "/x", nil, 401},
		{g.addr, "/open/", nil, 200},
		{g.addr, "/x", []string{"ann"}, 200},
	} {
		request := strings.Replace(g.request("GET", tc.target, tc.lines...), "Host: "+g.addr+"\r\n", "Host: "+tc.host+"\r\n", 1)
		res := raw(t, g.addr, request)
		if res.Code != tc.want {
			t.Errorf("%s %s %q = %d, want %d", tc.host, tc.target, tc.lines, res.Code, tc.want)
		}
		head := tp.head(t)
		if want := strings.ToLower(strings.TrimSuffix(tc.host, ":80")); res.Code == 200 && head != "" && want == "status.example" &&
			(!strings.Contains(head, "\r\nHost: "+want+"\r\n") || header(t, head).Get("X-Forwarded-Host") != want) {
			t.Errorf("%s: the portal saw %q", tc.host, head)
		}
	}
}

// Where no route names a host, the Host header decides nothing.
func TestTheHostIsJudgedWhereRoutesNameHosts(t *testing.T) {
	g := open(t, record(t).url)
	if res := raw(t, g.addr, strings.Replace(g.request("GET", "/x", "ann"), "Host: "+g.addr, "Host: other.example", 1)); res.Code != 200 {
		t.Errorf("answer = %d", res.Code)
	}
}

func TestRoutesAreForClientsAndNetworks(t *testing.T) {
	far, near := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	g := open(t, record(t).url, trusting("127.0.0.1/32"), routes(
		proxy.Route{Path: "/acme/", Connections: []string{"other", "acme"}},
		proxy.Route{Path: "/other/", Connections: []string{"other"}},
		proxy.Route{Path: "/Acme-Inc/", Organizations: []string{"Acme"}},
		proxy.Route{Path: "/others/", Organizations: []string{"acme", "Other"}},
		proxy.Route{Path: "/far/", Addresses: far},
		proxy.Route{Path: "/near/", Addresses: slices.Concat(far, near)},
	))
	const from = "X-Forwarded-For: 192.0.2.7"
	for _, tc := range []struct {
		target string
		lines  []string
		want   int
	}{
		{"/acme/", []string{"ann"}, 200},
		{"/other/", []string{"ann"}, 403},
		{"/OTHER/", []string{"ann"}, 403},
		{"/acme-inc/", []string{"ann"}, 200},
		{"/others/", []string{"ann"}, 403},
		{"/acme/", nil, 401},
		{"/far/", []string{"ann", from}, 403},
		{"/far/", []string{from, "page"}, 403}, // signing in would not help
		{"/near/", []string{"ann", from}, 200},
		{"/near/", []string{"ann", "X-Forwarded-For: 10.1.2.3, 192.0.2.7"}, 200},
		{"/far/", []string{"ann", "X-Forwarded-For: 10.1.2.3, 192.0.2.7"}, 403},
		{"/near/", []string{"ann", "X-Forwarded-For: 2001:db8::1"}, 200},
		{"/near/", []string{"ann", "X-Forwarded-For: ::ffff:10.0.0.1"}, 200},
		{"/near/", []string{"ann"}, 403},
		{"/near/", []string{from}, 401},
	} {
		if res := g.get(t, tc.target, tc.lines...); res.Code != tc.want {
			t.Errorf("%s %q = %d, want %d", tc.target, tc.lines, res.Code, tc.want)
		}
	}
}

// What a client's own list of networks keeps out is out everywhere that is
// not public.
func TestAConnectionIsBoundToItsNetworks(t *testing.T) {
	g := open(t, record(t).url, trusting("127.0.0.1/32"), routes(proxy.Route{Path: "/open/", Public: true}), func(c *proxy.Config) {
		c.Networks = map[string][]netip.Prefix{"acme": {netip.MustParsePrefix("192.0.2.0/24")}}
	})
	for _, target := range []string{"/x", "/.portcullis/whoami"} {
		for from, want := range map[string]int{"192.0.2.7": 200, "198.51.100.1": 403, "192.0.2.7, 198.51.100.1": 403} {
			if res := g.get(t, target, "ann", "X-Forwarded-For: "+from); res.Code != want {
				t.Errorf("%s from %s = %d, want %d", target, from, res.Code, want)
			}
		}
	}
	program := session.TokenPrefix + "x"
	g.people.enter(program, ann())
	for from, want := range map[string]int{"192.0.2.7": 200, "198.51.100.1": 403} {
		if res := g.get(t, "/x", "Authorization: Bearer "+program, "X-Forwarded-For: "+from); res.Code != want {
			t.Errorf("a program from %s = %d, want %d", from, res.Code, want)
		}
	}
	if res := g.get(t, "/open/", "ann", "X-Forwarded-For: 198.51.100.1"); res.Code != 200 {
		t.Errorf("a public page = %d", res.Code)
	}
	if res := g.get(t, authURL, "ann", "X-Forwarded-For: 198.51.100.1", "X-Original-URI: /x"); res.Code != 403 || res.Header.Get("X-Portcullis-User") != "" {
		t.Errorf("forward-auth = %d %v", res.Code, res.Header)
	}
}

// Fewer networks end what is open from elsewhere, and nothing else.
func TestFewerNetworksCutWhatIsOpenFromElsewhere(t *testing.T) {
	near, far := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	upstream, stuck := chatty(t)
	g := open(t, upstream, trusting("127.0.0.1/32"))
	bob := ann()
	bob.SessionID, bob.PersonID, bob.Connection = "s2", "p2", "beta"
	g.people.enter("BOBSTOKEN", bob)
	const in, out = "X-Forwarded-For: 192.0.2.7", "X-Forwarded-For: 198.51.100.1"
	socket := append([]string{"ann", "Origin: " + g.url}, upgrade...)
	_, inside, _ := g.begin(t, "/ws", append(socket, in)...)                   //nolint:bodyclose // begin closes it
	outside, _, _ := g.begin(t, "/ws", append(socket, out)...)                 //nolint:bodyclose // begin closes it
	events, _, _ := g.begin(t, "/events", "ann", out)                          //nolint:bodyclose // begin closes it
	_, others, _ := g.begin(t, "/events", "Cookie: portcullis=BOBSTOKEN", out) //nolint:bodyclose // begin closes it
	flood, _, _ := g.begin(t, "/flood", append(socket, out)...)                //nolint:bodyclose // begin closes it
	<-stuck
	if cut := g.SetNetworks(map[string][]netip.Prefix{"acme": append(near, far...)}); cut != 0 {
		t.Errorf("%d requests cut by networks that they come from", cut)
	}
	if cut := g.SetNetworks(map[string][]netip.Prefix{"acme": near, "beta": nil}); cut != 3 {
		t.Errorf("%d requests cut, want 3", cut)
	}
	for _, conn := range []io.Reader{outside, events, flood} {
		mustEnd(t, conn)
	}
	if line, err := others.ReadString('\n'); err != nil {
		t.Errorf("another client's stream: %q, %v", line, err)
	}
	_ = inside
	if cut := g.SetNetworks(map[string][]netip.Prefix{"acme": near}); cut != 0 {
		t.Errorf("%d requests cut, and nothing was changed", cut)
	}
	if cut := g.SetNetworks(map[string][]netip.Prefix{"acme": far, "beta": near}); cut != 2 {
		t.Errorf("%d requests were open, want one of each client", cut)
	}
}

// late changes where people may come from once a request is admitted.
type late struct {
	pen
	change func()
}

func (l *late) Sign(claims any) (string, error) {
	l.change()
	return l.pen.Sign(claims)
}

// What is admitted by the networks of before, and runs by those of now, ends
// like what was open.
func TestNetworksOfAMomentAgoLetNothingThrough(t *testing.T) {
	up := record(t)
	keys := &late{}
	g := open(t, up.url, func(c *proxy.Config) { c.Keys = keys })
	keys.change = func() { g.SetNetworks(map[string][]netip.Prefix{"acme": {netip.MustParsePrefix("192.0.2.0/24")}}) }
	if res := g.get(t, "/x", "ann"); res.Code != http.StatusForbidden {
		t.Errorf("a request that was admitted before = %d, want 403", res.Code)
	}
}

// Adding a rule that requires something lets nobody further in than before,
// whatever the other rules, hosts and methods are.
func TestARequirementOnlyCloses(t *testing.T) {
	up := portal(t, func(http.ResponseWriter, *http.Request) {})
	rapid.Check(t, func(r *rapid.T) {
		prefixes := rapid.SampledFrom([]string{"/", "/a", "/a/b/", "/A"})
		methods := rapid.SampledFrom([][]string{nil, nil, {"GET"}, {"POST"}, {"GET", "PURGE"}})
		var list []proxy.Route
		for range rapid.IntRange(0, 4).Draw(r, "rules") {
			route := proxy.Route{Path: prefixes.Draw(r, "path"), Methods: methods.Draw(r, "methods"), Public: rapid.Bool().Draw(r, "public")}
			if !route.Public && rapid.Bool().Draw(r, "requires") {
				route.Roles = []string{"administrator"}
			}
			list = append(list, route)
		}
		strict := proxy.Route{Path: prefixes.Draw(r, "strict"), Methods: methods.Draw(r, "of"), Roles: []string{"administrator"}}
		target := rapid.SampledFrom([]string{"/", "/a", "/A/b", "/a/b/c", "/a/B", "/%61/b", "/%2561"}).Draw(r, "target")
		method := rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PURGE", "FOO", "post"}).Draw(r, "method")

		ask := func(c proxy.Config, lines ...string) int {
			c.PublicURL, c.Upstream, c.Sessions, c.Keys = parse(t, "http://gate.example"), proxy.Upstream{URL: parse(t, up)}, signedIn, &pen{}
			p := proxy.New(c)
			defer p.Close()
			return status(p, method, target, lines...)
		}
		for who, lines := range map[string][]string{"a stranger": nil, "Ann": {"Cookie: portcullis=" + annToken}} {
			before := ask(proxy.Config{Routes: list}, lines...)
			after := ask(proxy.Config{Routes: append(slices.Clone(list), strict)}, lines...)
			if before != 200 && after == 200 {
				r.Errorf("%s gets %d for %s %s, and with %+v %d", who, before, method, target, strict, after)
			}
		}
	})
}
