package proxy_test

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"portcullis/proxy"
)

// Where a route lets odd signs through they arrive as they came; everywhere
// else, and wherever they could lead elsewhere, they do not.
func TestOddSignsPassWhereARouteLetsThem(t *testing.T) {
	tp, other := record(t), record(t)
	g := open(t, tp.url, routes(
		proxy.Route{Path: "/git/", EncodedSlash: true},
		proxy.Route{Path: "/git/admin/", Roles: []string{"administrator"}},
		proxy.Route{Path: "/git/other/", Upstream: &proxy.Upstream{URL: parse(t, other.url)}},
		proxy.Route{Path: "/matrix/", Semicolon: true},
		proxy.Route{Path: "/matrix/secret/", Roles: []string{"administrator"}},
		proxy.Route{Path: "/both/", EncodedSlash: true, Semicolon: true},
		proxy.Route{Path: "/both/deep/secret/", Roles: []string{"administrator"}},
		proxy.Route{Path: "/open/", Public: true},
	))
	for target, want := range map[string]int{
		"/git/a%2Fb/c?x=1;2":         200,
		"/git/a%2fb":                 200,
		"/git/%2Fb":                  400, // an empty segment to who decodes it
		"/git%2Fx":                   400, // not below /git/ to who does not
		"/x/git/a%2Fb":               400,
		"/GIT/a%2Fb":                 400,
		"/git/..%2Fadmin":            400,
		"/git/a%2F..%2F..%2Fopen":    400,
		"/git/a%252Fb":               400,
		"/git/a;b":                   400,
		"/git/a%2Fb;c":               400,
		"/git/admin%2Fx":             403,
		"/git/ADMIN%2Fx":             403,
		"/git/other%2Fx":             400, // to two portals
		"/matrix/a;x=1;y=2/b":        200,
		"/matrix/a;x=1%2F2/b":        400,
		"/matrix/a%3Bx=1":            400,
		"/matrix/secret;x/y":         403,
		"/matrix/secret;/y":          403,
		"/matrix;x/secret/y":         400, // "/matrix;x" is a name, too
		"/matrix/..;/open/":          400,
		"/matrix/;x/y":               400,
		"/both/a;b%2Fc/d%2Fe":        200,
		"/both/deep;x%2Fy/secret/z":  403,
		"/both/deep%2Fsecret;v=1":    403,
		"/both/deep;%2F%2e%2e%2Fx/y": 400,
		"/open/a%2Fb":                400,
		"/open/a;b":                  400,
		"/.portcullis%2Fwhoami":      400,
	} {
		res := g.get(t, target, "ann")
		if res.Code != want {
			t.Errorf("%s = %d, want %d", target, res.Code, want)
		}
		if head := tp.head(t); want == 200 && !strings.HasPrefix(head, "GET "+target+" HTTP/1.1\r\n") || want != 200 && head != "" {
			t.Errorf("%s arrived as %q", target, head)
		}
	}
	if head := other.head(t); head != "" {
		t.Errorf("the other portal saw %q", head)
	}
}

// A route for everything that lets everything through lets nothing through to
// our own pages.
func TestOddSignsDoNotLeadToOurPages(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url, routes(proxy.Route{Path: "/", Public: true, EncodedSlash: true, Semicolon: true}))
	for _, target := range []string{
		"/.portcullis%2Fwhoami", "/.portcullis;x/whoami", "/.portcullis/whoami;x", "/.PORTCULLIS%2fwhoami", "/.portcullis;x%2Fy/jwks.json",
		"/scim%2Fv2/acme/Users", "/scim;a/v2;b/acme/Users", "/scim/v2%2Facme",
	} {
		if res := g.get(t, target, "ann"); res.Code != 400 || tp.head(t) != "" {
			t.Errorf("%s = %d", target, res.Code)
		}
	}
}

// readers are portals that read a path in ways of their own.
func readers() []func(string) string {
	decode := func(p string) string {
		if d, err := url.PathUnescape(p); err == nil {
			return d
		}
		return p
	}
	strip := func(p string) string {
		var out []string
		for s := range strings.SplitSeq(p, "/") {
			name, _, _ := strings.Cut(s, ";")
			out = append(out, name)
		}
		return strings.Join(out, "/")
	}
	cut := func(p string) string {
		before, _, _ := strings.Cut(p, ";")
		return before
	}
	clean := func(p string) string { return path.Clean("/" + p) }
	same := func(p string) string { return p }
	var out []func(string) string
	steps := []func(string) string{same, decode, strip, cut, clean, strings.ToLower}
	for _, a := range steps {
		for _, b := range steps {
			for _, c := range steps {
				out = append(out, func(p string) string { return strings.ToLower(clean(c(b(a(p))))) })
			}
		}
	}
	return out
}

// Whatever somebody without the role gets through to the portal is, to no
// reader of paths, a path that needs the role.
func TestOddSignsAreNoWayAroundARoute(t *testing.T) {
	seen := make(chan string, 10)
	up := portal(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r.RequestURI })
	passed := 0
	all := readers()
	p := proxy.New(proxy.Config{
		PublicURL: parse(t, "http://gate.example"), Upstream: proxy.Upstream{URL: parse(t, up)}, Sessions: signedIn, Keys: &pen{},
		Routes: []proxy.Route{
			{Path: "/", Public: true},
			{Path: "/a/", EncodedSlash: true, Semicolon: true},
			{Path: "/a/b/", Roles: []string{"administrator"}},
			{Path: "/c/", Roles: []string{"administrator"}},
		},
	})
	defer p.Close()
	rapid.Check(t, func(r *rapid.T) {
		piece := rapid.SampledFrom([]string{"a", "b", "c", "B", "x", "/", "/", "/", "%2F", "%2f", ";", ";v=1", "..", ".", "%2e", "%3B", "%252F", "%62", "%2562", "é"})
		target := "/a" + strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(r, "path"), "")
		if _, err := url.ParseRequestURI(target); err != nil {
			return
		}
		code := status(p, "GET", target, "Cookie: portcullis="+annToken)
		if code != 200 {
			return
		}
		if got := <-seen; got != target {
			r.Errorf("%q arrived as %q", target, got)
		}
		passed++
		for _, read := range all {
			if got := read(target); got == "/a/b" || strings.HasPrefix(got, "/a/b/") || got == "/c" || strings.HasPrefix(got, "/c/") {
				r.Errorf("%q passes, and somebody reads %q", target, got)
			}
		}
	})
	if passed == 0 {
		t.Error("nothing passed: the law was not tried")
	}
}
