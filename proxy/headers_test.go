package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/google/go-cmp/cmp"

	"portcullis/proxy"
)

// spoofs are the headers that only the gate may set, as a client may write
// them.
func spoofs() []string {
	var out []string
	for _, name := range []string{
		"X-Portcullis-User", "X-Portcullis-Email", "X-Portcullis-Name", "X-Portcullis-Roles", "X-Portcullis-Assertion", "X-Portcullis-Anything",
		"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token",
		"X-Forwarded-Client-Cert",
		"X-Auth-Request-User", "X-Auth-Request-Email", "X-Remote-User", "X-Remote-Group", "Remote-User", "Remote-Groups", "Remote-Email", "X-WebAuth-User", "X-WEBAUTH-ROLE",
	} {
		out = append(out, name, strings.ToUpper(name), strings.ToLower(name), strings.ReplaceAll(name, "-", "_"),
			strings.Replace(name, "-", "_", 1), strings.ToLower(strings.ReplaceAll(name, "-", "_")),
			strings.ReplaceAll(name, "-", "."), strings.Replace(name, "-", "!", 1), strings.ReplaceAll(name, "-", "~"))
	}
	return append(out, "a_b", "_")
}

// proxied are what a proxy says of the original request.
var proxied = []string{
	"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Forwarded-Method",
	"Forwarded", "X-Real-IP", "X-Original-URL", "X-Original-Host", "X-Rewrite-URL", "x-forwarded-for", "FORWARDED", "x-real-ip",
	"X.Forwarded.For", "X-Forwarded+Host", "x*real*ip", "X-Original.URL",
	"X-Forwarded-Ssl", "X-Forwarded-Scheme", "X-Forwarded-Protocol", "X-Forwarded-Server", "X-Forwarded-Path", "X-Forwarded-By", "X-Forwarded-Anything",
	"X-Forwarded-Roles", "X-Forwarded-Name", "X-Forwarded-Userid", "X-Forwarded", "Forwarded-For",
	"X-Client-IP", "True-Client-IP", "Client-IP", "X-Cluster-Client-IP", "CF-Connecting-IP", "Fastly-Client-IP", "x-client.ip", "true~client~ip", "cf.connecting.ip",
	"X-Scheme", "X-Url-Scheme", "Front-End-Https", "front.end.https",
	"Client-Cert", "Client-Cert-Chain", "X-Client-Cert", "X-SSL", "X-SSL-Client-S-Dn", "X-SSL-Cert", "ssl-client-subject-dn", "SSL.Client.Verify",
}

// plain are headers of clients that begin like one that a proxy writes.
var plain = []string{
	"X-Requested-With", "X-Request-Id", "X-Client-Version", "X-Csrf-Token", "X-Schemes", "X-Forwarder", "X-Form", "Client-Id", "Clear", "Cfg", "C", "S", "T",
	"Trace", "Traceparent", "Tru", "Ssl", "Sso", "From", "Forward", "Front", "Referer", "Remote",
}

func TestLookAlikesNeverArrive(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url, routes(proxy.Route{Path: "/public", Public: true}))
	mine := map[string]string{
		"X-Portcullis-User": "ann-1", "X-Portcullis-Email": "ann@acme.example", "X-Portcullis-Name": "Ann", "X-Portcullis-Roles": "clerk,reader",
	}
	for _, tc := range []struct {
		name, method, target string
		lines                []string
		known                bool
	}{
		{"portal", "GET", "/x", []string{"ann"}, true},
		{"portal, preflight", "OPTIONS", "/x", []string{"ann"}, true},
		{"public", "GET", "/public/x", nil, false},
		{"public, preflight", "OPTIONS", "/public/x", nil, false},
		{"public, signed in", "GET", "/public/x", []string{"ann"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines := tc.lines
			for _, name := range append(spoofs(), proxied...) {
				lines = append(lines, name+": spoof", name+": spoof")
			}
			if res := g.ask(t, tc.method, tc.target, lines...); res.Code != 200 {
				t.Fatalf("answer = %d %s", res.Code, res.Text)
			}
			head := tp.head(t)
			if strings.Contains(head, "spoof") || strings.Contains(head, "_") && !tc.known {
				t.Errorf("a look-alike arrived: %s", head)
			}
			h := header(t, head)
			for name, want := range mine {
				if !tc.known {
					want = ""
				}
				if got := strings.Join(h[name], "|"); got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
			if got := len(h["X-Portcullis-Assertion"]); got != 1 && tc.known || got != 0 && !tc.known {
				t.Errorf("%d assertions", got)
			}
			for name, want := range map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": g.addr, "Host": ""} {
				if got := strings.Join(h[name], "|"); got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestLookAlikesDoNotReachOwnPaths(t *testing.T) {
	var got http.Header
	echo := func(own *gin.RouterGroup) {
		own.Any("/.portcullis/echo", func(c *gin.Context) { got = c.Request.Header.Clone(); c.Status(http.StatusNoContent) })
	}
	g := open(t, record(t).url, func(c *proxy.Config) {
		c.Mount = append(c.Mount, echo)
		c.SCIM = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = r.Header.Clone()
			w.WriteHeader(http.StatusNoContent)
		})
	})
	lines := []string{"X-Plain: yes", "ann"}
	for _, name := range append(spoofs(), proxied...) {
		lines = append(lines, name+": spoof")
	}
	for _, target := range []string{"/.portcullis/echo", "/scim/v2/acme/Users"} {
		for _, method := range []string{"GET", "OPTIONS"} {
			got = nil
			if res := g.ask(t, method, target, lines...); res.Code != http.StatusNoContent {
				t.Fatalf("%s %s = %d", method, target, res.Code)
			}
			if diff := cmp.Diff(http.Header{"X-Plain": {"yes"}, "Cookie": {"portcullis=" + annToken}}, got); diff != "" {
				t.Errorf("%s %s (-want +got):\n%s", method, target, diff)
			}
		}
	}
}

// What merely begins like a header that a proxy writes is the client's own.
func TestHeadersOfClientsArrive(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url)
	lines := []string{"ann"}
	for _, name := range plain {
		lines = append(lines, name+": mine")
	}
	g.get(t, "/x", lines...)
	h := header(t, tp.head(t))
	for _, name := range plain {
		if got := h.Get(name); got != "mine" {
			t.Errorf("%s = %q, want it to arrive", name, got)
		}
	}
}

func TestConnectionHeaderCannotTakeIdentityAway(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url)
	g.get(t, "/x", "ann", "Connection: close, X-Portcullis-User, X-Portcullis-Assertion, X-Forwarded-For, Cookie")
	h := header(t, tp.head(t))
	if h.Get("X-Portcullis-User") != "ann-1" || h.Get("X-Portcullis-Assertion") == "" || h.Get("X-Forwarded-For") != "127.0.0.1" {
		t.Errorf("the portal saw %v", h)
	}
}

func TestTrustedProxiesAreHeard(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url, trusting("127.0.0.0/8"))
	g.get(t, "/x", "ann", "X-Forwarded-For: 1.1.1.1, 203.0.113.9", "X-Forwarded-Proto: gopher", "X-Forwarded-Host: evil.example",
		"X-Forwarded-Prefix: /p", "Forwarded: for=203.0.113.9", "X-Real-IP: 203.0.113.9", "X-Original-URL: /o", "X-Forwarded-User: root", "X-Portcullis-User: root",
		"X-Forwarded-Ssl: on", "X-Forwarded-Client-Cert: Subject=root", "X-Client-IP: 203.0.113.9", "True-Client-IP: 203.0.113.9", "X-Scheme: https", "Client-Cert: :cm9vdA==:")
	h := header(t, tp.head(t))
	for name, want := range map[string]string{
		"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http", "X-Forwarded-Host": g.addr, "X-Forwarded-Prefix": "/p",
		"Forwarded": "for=203.0.113.9", "X-Real-Ip": "203.0.113.9", "X-Original-Url": "/o", "X-Forwarded-User": "", "X-Portcullis-User": "ann-1",
		"X-Forwarded-Ssl": "on", "X-Forwarded-Client-Cert": "", "X-Client-Ip": "203.0.113.9", "True-Client-Ip": "203.0.113.9", "X-Scheme": "https", "Client-Cert": ":cm9vdA==:",
	} {
		if got := strings.Join(h[name], "|"); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestTheClientDoesNotChooseTheHost(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url)
	raw(t, g.addr, "GET /x HTTP/1.1\r\nHost: evil.example\r\nCookie: portcullis=ANNSTOKEN\r\n\r\n")
	if head := tp.head(t); !strings.Contains(head, "\r\nHost: "+g.addr+"\r\n") || strings.Contains(head, "evil") {
		t.Errorf("the portal saw %q", head)
	}
	g = open(t, tp.url, func(c *proxy.Config) { c.Upstream.Host = "portal.internal" })
	g.get(t, "/x", "ann")
	if head := tp.head(t); !strings.Contains(head, "\r\nHost: portal.internal\r\n") || !strings.Contains(head, "X-Forwarded-Host: "+g.addr) {
		t.Errorf("the portal saw %q", head)
	}
}

func TestOwnCookiesStayHere(t *testing.T) {
	pairs := make([]string, 10_000)
	for i := range pairs {
		pairs[i] = fmt.Sprintf("c%d=v%d", i, i)
	}
	many := strings.Join(pairs, "; ")
	tp := record(t)
	g := open(t, tp.url)
	for _, tc := range []struct {
		name string
		sent []string
		want []string
	}{
		{"alone", []string{"portcullis=ANNSTOKEN"}, nil},
		{"first", []string{"portcullis=ANNSTOKEN; a=b"}, []string{"a=b"}},
		{"between", []string{"a=b; portcullis=ANNSTOKEN;  c=\"d\" ;e"}, []string{"a=b;  c=\"d\" ;e"}},
		{"last", []string{"=x; a==b; portcullis=ANNSTOKEN"}, []string{"=x; a==b"}},
		{"every kind", []string{"portcullis=ANNSTOKEN; __Host-portcullis=t; __host-PORTCULLIS=t; portcullis-oidc.acme=t; portcullis_x=t; a=b; Portcullis=t;portcullis"}, []string{"a=b"}},
		{"look alike", []string{"portcullis=ANNSTOKEN; myportcullis=1; portcullisx=2; p=portcullis"}, []string{"myportcullis=1; portcullisx=2; p=portcullis"}},
		{"several lines", []string{"a=b", "portcullis=ANNSTOKEN", "c=d"}, []string{"a=b", "c=d"}},
		{"thousands", []string{many + "; portcullis=ANNSTOKEN"}, []string{many}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var lines []string
			for _, c := range tc.sent {
				lines = append(lines, "Cookie: "+c)
			}
			if res := g.get(t, "/x", lines...); res.Code != 200 {
				t.Fatalf("answer = %d %.300s", res.Code, res.Text)
			}
			if diff := cmp.Diff(tc.want, header(t, tp.head(t))["Cookie"]); diff != "" {
				t.Errorf("Cookie (-want +got):\n%s", diff)
			}
		})
	}
}

func TestThePortalSetsNothingOfOurs(t *testing.T) {
	upstream := portal(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for _, c := range []string{
			"portcullis=x", "__Host-portcullis=x; Path=/; Secure", " portcullis = x", "PORTCULLIS-state=x", "=portcullis=x", "portcullis; Path=/", "app=1; Path=/portcullis",
		} {
			h.Add("Set-Cookie", c)
		}
		h.Set("X-Portcullis-User", "root")
		h.Set("X-Portcullis-Reference", "theirs")
		h.Set("X-Powered-By", "portal")
		h.Set("Trailer", "X-Portcullis-Trail, X-Trail")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = w.Write([]byte("body"))
		h.Set("X-Portcullis-Trail", "root")
		h.Set("X-Trail", "ok")
		h.Set(http.TrailerPrefix+"X-Portcullis-Late", "root")
	})
	g := open(t, upstream)
	conn := dial(t, g.addr)
	defer conn.Close()
	_, _ = conn.Write([]byte(g.request("GET", "/x", "ann", "Te: trailers", "Connection: close, te")))
	var b strings.Builder
	buf := make([]byte, 1<<16)
	for {
		n, err := conn.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			break
		}
	}
	text := b.String()
	if !strings.HasPrefix(text, "HTTP/1.1 103 ") || !strings.Contains(text, "HTTP/1.1 200 OK") || !strings.Contains(text, "X-Trail: ok") || strings.Count(text, "app=1; Path=/portcullis") != 2 {
		t.Errorf("answer = %s", text)
	}
	for _, bad := range []string{"root", "theirs", "portcullis=x", "portcullis = x", "-state", "portcullis; Path"} {
		if strings.Contains(strings.ToLower(text), bad) {
			t.Errorf("%q came back: %s", bad, text)
		}
	}
	if n := strings.Count(text, "X-Portcullis-Reference: "); n != 1 && n != 2 {
		t.Errorf("%d references: %s", n, text)
	}
}

func TestNamesCannotBecomeHeaders(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url)
	who := ann()
	who.Name, who.Email, who.Subject = "Zoë\r\nX-Admin: 1", "100% \x00", " a\tb "
	who.Access.Roles = []string{"a,b", "c d", "é"}
	g.people.enter("T2", who)
	g.get(t, "/x", "Cookie: portcullis=T2")
	h := header(t, tp.head(t))
	for name, want := range map[string]string{
		"X-Portcullis-Name": "Zo%C3%AB%0D%0AX-Admin: 1", "X-Portcullis-Email": "100%25 %00", "X-Portcullis-User": "%20a%09b%20",
		"X-Portcullis-Roles": "a%2Cb,c d,%C3%A9", "X-Admin": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
}

func TestOnlyWebSocketsMayUpgrade(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url)
	for _, tc := range []struct{ method, line string }{
		{"GET", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__"},
		{"GET", "Connection: Upgrade\r\nUpgrade: h2c, websocket"},
		{"GET", "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c"},
		{"POST", "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0"},
		{"GET", "Connection: Upgrade\r\nUpgrade: TLS/1.0"},
	} {
		res := g.ask(t, tc.method, "/x", "ann", tc.line)
		h := header(t, tp.head(t))
		if res.Code != 200 || h.Get("Upgrade") != "" || h.Get("Http2-Settings") != "" {
			t.Errorf("%q = %d, the portal saw %v", tc.line, res.Code, h)
		}
	}
	raw(t, g.addr, "GET /x HTTP/1.0\r\nCookie: portcullis=ANNSTOKEN\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: "+g.url+"\r\n\r\n")
	if h := header(t, tp.head(t)); h.Get("Upgrade") != "" {
		t.Errorf("HTTP/1.0 may upgrade: %v", h)
	}
}
