package proxy_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"

	"portcullis/proxy"
)

// traversals are targets that have reached what they should not, somewhere.
var traversals = []string{
	"/public/../admin", "/public/./admin", "/..", "/.", "/a/..", "/%2e%2e/admin", "/%2E%2e/admin", "/.%2e/admin", "/public/%2e%2e%2fadmin", "/..%2fadmin",
	"/public/..;/admin", "/public;/x", "/public%3b/x", "/%253b", "/..%5cadmin", "/public\\..\\admin", "/public%5cadmin", "/%255c",
	"/%252e%252e/admin", "/%25252e/x", "/public%252fadmin", "/a%2fb", "/a%2Fb", "//admin", "/public//admin", "/admin//", "///",
	"/%00", "/public%00", "/public/%2500", "/a%0d%0aX-Portcullis-User:%20x", "/a%0a", "/a%09b", "/%7f", "/a#b", "/%23", "/a%2523b",
	"/%ff", "/%c0%ae%c0%ae/admin", "/\xff", "/%25ff", "/%", "/%zz", "/a%2", "/a%u002f",
	"/.portcullis/../admin", "/.portcullis//sign-in", "/.portcullis/%2e%2e/x", "/scim/v2/../x",
	"http://evil.example/", "http://evil.example", "http://user@127.0.0.1/", "https://127.0.0.1/", "ftp://127.0.0.1/", "http:///x", "http://", "HTTP/", "evil.example:443", "*", "admin", "?x",
}

func TestAmbiguousTargetsAreRefusedBeforeRouting(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url, routes(proxy.Route{Path: "/public", Public: true}))
	for _, target := range traversals {
		for _, who := range []string{"X-Nobody: x", "ann"} {
			for _, method := range []string{"GET", "OPTIONS", "POST"} {
				res := g.ask(t, method, target, who, "Content-Length: 0")
				if res.Code != http.StatusBadRequest {
					t.Errorf("%s %q (%s) = %d, want 400", method, target, who, res.Code)
				}
				if head := tp.head(t); head != "" {
					t.Errorf("%s %q (%s) reached the portal: %q", method, target, who, head)
				}
			}
		}
	}
}

func TestRefusalIsAPageForPeople(t *testing.T) {
	g := open(t, record(t).url)
	res := g.get(t, "/a//b", "page")
	if ref := res.Header.Get("X-Portcullis-Reference"); res.Code != 400 || ref == "" || !strings.Contains(res.Text, ref) || !strings.Contains(res.Text, "<h1>") {
		t.Errorf("answer = %d %s", res.Code, res.Text)
	}
}

func TestWhatWasJudgedIsForwardedByteForByte(t *testing.T) {
	tp := record(t)
	for _, base := range []string{"", "/base", "/ba%20se/"} {
		g := open(t, tp.url+base)
		for _, target := range []string{
			"/", "/a", "/a/", "/a?", "/a?b=c", "/a?x=1;y=2", "/a?;", "/a?%zz&%", "/a?b=%2e%2e/%2f//..", "/a??b", "/a?b#c", "/a?q=\xff\xc3\xa9",
			"/caf%C3%A9", "/caf%c3%a9", "/café", "/a%20b", "/%41", "/a|b", "/a\"b<c>^`{}", "/a:b@c!$&'()*+,=~", "/100%25", "/%2541", "/a%2cb", "/[x]",
			"/a?" + strings.Repeat("p&", 12_000),
		} {
			want := "GET " + strings.TrimSuffix(base, "/") + target + " HTTP/1.1\r\n"
			if res := g.get(t, target, "ann"); res.Code != 200 {
				t.Errorf("%q = %d %s", target, res.Code, res.Text)
			}
			if line, _, _ := strings.Cut(tp.head(t), "\r\n"); line+"\r\n" != want {
				t.Errorf("%q was forwarded as %.100q, want %.100q", target, line, want)
			}
		}
	}
}

func TestAbsoluteFormIsOurAuthorityOnly(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url)
	for target, want := range map[string]string{
		g.url + "/a?b": "/a?b", g.url: "/", g.url + "/": "/", "HTTP" + g.url[4:] + "/a": "/a",
	} {
		if res := g.get(t, target, "ann"); res.Code != 200 {
			t.Errorf("%q = %d", target, res.Code)
		}
		if line, _, _ := strings.Cut(tp.head(t), "\r\n"); line != "GET "+want+" HTTP/1.1" {
			t.Errorf("%q was forwarded as %q", target, line)
		}
	}
	if res := g.get(t, g.url+"/../x", "ann"); res.Code != 400 {
		t.Errorf("a traversal in absolute-form = %d, want 400", res.Code)
	}
}

func TestMethodsThatTunnelAreRefused(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url, routes(proxy.Route{Path: "/", Public: true}))
	for _, method := range []string{"TRACE", "TRACK", "CONNECT"} {
		if res := g.ask(t, method, "/x", "ann"); res.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s = %d, want 405", method, res.Code)
		}
	}
	if head := tp.head(t); head != "" {
		t.Errorf("the portal saw %q", head)
	}
}

// Ambiguous framing must not pass: a request is refused, or one request
// arrives.
func TestSmuggledRequestsDoNotArrive(t *testing.T) {
	for name, request := range map[string]string{
		"both lengths":    "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\nCookie: portcullis=ANNSTOKEN\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
		"two lengths":     "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nContent-Length: 0\r\nCookie: portcullis=ANNSTOKEN\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
		"odd coding":      "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\nCookie: portcullis=ANNSTOKEN\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
		"two codings":     "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nCookie: portcullis=ANNSTOKEN\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
		"space in a name": "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\nCookie: portcullis=ANNSTOKEN\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
		"folded line":     "GET /a HTTP/1.1\r\nHost: x\r\nX-A: b\r\n X-Portcullis-User: root\r\nCookie: portcullis=ANNSTOKEN\r\n\r\n",
		"bare CR":         "GET /a HTTP/1.1\r\nHost: x\r\nX-A: b\rX-Portcullis-User: root\r\nCookie: portcullis=ANNSTOKEN\r\n\r\n",
		"h2c preface":     "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			tp := record(t)
			g := open(t, tp.url)
			res := raw(t, g.addr, request)
			head := tp.head(t)
			if strings.Contains(head, "smuggled") || strings.Contains(head, "root") && header(t, head).Get("X-Portcullis-User") != "ann-1" {
				t.Errorf("the portal saw %q", head)
			}
			if res.Code == 200 && head == "" {
				t.Errorf("answer = %d without the portal", res.Code)
			}
		})
	}
}

// The law of the guard: whatever reaches the portal is what the client sent,
// is the same place for everybody who decodes and cleans it, and is not ours.
func FuzzGuard(f *testing.F) {
	for _, target := range traversals {
		f.Add(target)
	}
	f.Add("/.portcullis/x")
	f.Add("/%2eportcullis/x")
	f.Add("/%252EPORTCULLIS/x")
	f.Add("/SCIM/v2/x")
	f.Add("/a|b?c;d")
	seen := make(chan string, 1)
	upstream := portal(f, func(_ http.ResponseWriter, r *http.Request) { seen <- r.RequestURI })
	g := open(f, upstream, routes(proxy.Route{Path: "/", Public: true}))
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || strings.ContainsAny(target, " \r\n") {
			return // net/http refuses it
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RequestURI, r.URL = target, u
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		var got string
		select {
		case got = <-seen:
		default:
			if w.Code != 400 && w.Code != 404 && w.Code != 200 && w.Code != 405 {
				t.Fatalf("%q = %d %s", target, w.Code, w.Body)
			}
			return
		}
		if want := strings.TrimPrefix(target, g.url); got != want && want != "" {
			t.Fatalf("%q arrived as %q", target, got)
		}
		p, _, _ := strings.Cut(got, "?")
		for range 10 {
			if clean := path.Clean(p); clean != p && clean+"/" != p {
				t.Fatalf("%q cleans to %q", p, clean)
			}
			first := strings.Split(strings.ToLower(p), "/")
			if first[1] == ".portcullis" || first[1] == "scim" && len(first) > 2 && first[2] == "v2" {
				t.Fatalf("%q is ours and arrived as %q", p, got)
			}
			next, err := url.PathUnescape(p)
			if err != nil {
				break
			}
			p = next
		}
	})
}
