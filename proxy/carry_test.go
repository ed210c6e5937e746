package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/proxy"
)

// script is a portal that answers each request with the same bytes, less the
// body where none may be, closes, and keeps what it was asked.
func script(tb testing.TB, answer string) *tape {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tp := &tape{url: "http://" + l.Addr().String(), heads: make(chan string, 100)}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				head, err := io.ReadAll(io.MultiReader(until(r), io.LimitReader(r, int64(r.Buffered()))))
				if err != nil {
					return
				}
				tp.heads <- string(head)
				text := answer
				if strings.HasPrefix(string(head), "HEAD ") {
					text = text[:strings.Index(text, "\r\n\r\n")+4]
				}
				_, _ = io.WriteString(conn, text)
			})
		}
	})
	tb.Cleanup(func() { _ = l.Close(); open.Wait() })
	return tp
}

// until gives the head of a request.
func until(r *bufio.Reader) io.Reader {
	var head strings.Builder
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			break
		}
		head.WriteString(line)
	}
	return strings.NewReader(head.String())
}

// plainly runs the reverse proxy of the standard library in front of a portal.
func plainly(tb testing.TB, upstream string) (addr string) {
	tb.Helper()
	to := parse(tb, upstream)
	transport := &http.Transport{DisableCompression: true}
	tb.Cleanup(transport.CloseIdleConnections)
	return strings.TrimPrefix(portal(tb, (&httputil.ReverseProxy{
		Transport: transport, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.SetXForwarded(); r.Out.Host = "portal.example" },
	}).ServeHTTP), "http://")
}

// answers reads all that comes back for a request: informational answers, and
// the last.
func answers(tb testing.TB, addr, request string) (out []string) {
	tb.Helper()
	conn := dial(tb, addr)
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		tb.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	for r := bufio.NewReader(conn); ; {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return append(out, "broken off")
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		res.Header.Del("X-Portcullis-Reference")
		res.Header.Del("Date")
		out = append(out, fmt.Sprintf("%d %v %q whole: %v trailer: %v length: %d %v", res.StatusCode, res.Header, body, err == nil, res.Trailer, res.ContentLength, res.TransferEncoding))
		if res.StatusCode >= 200 {
			return out
		}
	}
}

// Whatever a portal answers, the gate hands it back as the reverse proxy of
// the standard library does.
func TestAnswersAreCarriedAsReverseProxyDoes(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, answer := range map[string]string{
		"a length":                      ok + "Content-Length: 5\r\nX-A: 1\r\nX-A: 2\r\nContent-Type: text/plain\r\n\r\nhello",
		"no body":                       "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
		"an empty body":                 ok + "Content-Length: 0\r\n\r\n",
		"not modified":                  "HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\nContent-Length: 5\r\n\r\n",
		"until the end":                 ok + "Content-Type: text/plain\r\nConnection: close\r\n\r\nhello",
		"HTTP/1.0":                      "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello",
		"chunks":                        ok + "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n, x\r\n0\r\n\r\n",
		"trailers":                      ok + "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
		"trailers that nobody named":    ok + "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
		"trailers without a body":       ok + "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n0\r\nX-Sum: 1\r\n\r\n",
		"headers for the next hop":      ok + "Connection: close, X-Hop, Keep-Alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nTe: x\r\nContent-Length: 2\r\nContent-Type: a/b\r\n\r\nok",
		"cut short, with a length":      ok + "Content-Type: a/b\r\nContent-Length: 50\r\n\r\nhello",
		"cut short, a large one":        ok + "Content-Type: a/b\r\nContent-Length: 500000\r\n\r\n" + strings.Repeat("x", 100_000),
		"cut short, in chunks":          ok + "Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"events":                        ok + "Content-Type: text/event-stream; charset=utf-8\r\nContent-Length: 9\r\n\r\ndata: 1\n\n",
		"two cookies":                   ok + "Content-Type: a/b\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok",
		"a status of its own":           "HTTP/1.1 299 Fine\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok",
		"an error":                      "HTTP/1.1 500 Oops\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nno",
		"no type":                       ok + "Content-Length: 6\r\n\r\n<html>",
		"more than what is sent once":   ok + "Content-Type: a/b\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("0123456789", 10_000),
		"more, in chunks of one sign":   ok + "Content-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", 5000) + "0\r\n\r\n",
		"an encoding that nobody knows": ok + "Content-Type: a/b\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
	} {
		t.Run(name, func(t *testing.T) {
			tp := script(t, answer)
			addr := plainly(t, tp.url)
			g := open(t, tp.url, everywhere)
			for _, method := range []string{"GET", "HEAD"} { // which are sent again when the connection was about to close
				request := method + " /x HTTP/1.1\r\nHost: portal.example\r\nTe: trailers\r\n\r\n"
				if diff := cmp.Diff(answers(t, addr, request), answers(t, g.addr, request)); diff != "" {
					t.Errorf("%s (-ReverseProxy +gate):\n%s", method, diff)
				}
			}
		})
	}
}

// Whatever a client asks, the portal is asked the same through the gate as
// through the reverse proxy of the standard library, but for who asks.
func TestRequestsAreCarriedAsReverseProxyDoes(t *testing.T) {
	tp := script(t, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	addr := plainly(t, tp.url)
	g := open(t, tp.url, everywhere, func(c *proxy.Config) { c.Upstream.Host = "portal.example" })
	for name, request := range map[string]string{
		"plain":                    "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n",
		"an agent":                 "GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: me\r\nAccept: a\r\nAccept: b\r\n\r\n",
		"headers for the next hop": "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, X-Hop , Accept\r\nX-Hop: 1\r\nAccept: a\r\nKeep-Alive: 5\r\nProxy-Connection: close\r\nProxy-Authorization: x\r\nTe: gzip\r\nTrailer: X-A\r\nX-Kept: 1\r\n\r\n",
		"trailers are welcome":     "GET / HTTP/1.1\r\nHost: x\r\nTe: gzip, Trailers\r\nConnection: Te\r\n\r\n",
		"a body":                   "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
		"an empty body":            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"a body in chunks":         "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"a body with a trailer":    "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Portcullis-User\r\n\r\n5\r\nhello\r\n0\r\nX-Portcullis-User: root\r\n\r\n",
		"a body of a GET":          "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.0":                 "GET / HTTP/1.0\r\nHost: x\r\n\r\n",
		"an unknown method":        "BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n",
		"an upgrade to h2c":        "GET / HTTP/1.1\r\nHost: x\r\nAccept: a\r\n\r\n",
		"a cookie":                 "GET / HTTP/1.1\r\nHost: x\r\nCookie: a=b; c=d\r\nCookie: e\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			var heads [2]string
			for i, to := range []string{addr, g.addr} {
				answers(t, to, request)
				heads[i] = head(t, <-tp.heads)
			}
			if heads[0] != heads[1] {
				t.Errorf("(-ReverseProxy +gate):\n%s", cmp.Diff(heads[0], heads[1]))
			}
		})
	}
}

// head is the head of a request as one text, less what differs by design.
func head(t *testing.T, raw string) string {
	t.Helper()
	r := textproto.NewReader(bufio.NewReader(strings.NewReader(raw)))
	line, err := r.ReadLine()
	if err != nil {
		t.Fatal(err)
	}
	h, err := r.ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	h.Del("X-Forwarded-Host")
	return fmt.Sprint(line, "\n", h)
}

// Nobody who did not ask for another protocol gets one.
func TestASwitchThatNobodyAskedForIsAnError(t *testing.T) {
	tp := script(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframes")
	if res := open(t, tp.url).get(t, "/x", "ann"); res.Code != http.StatusBadGateway || strings.Contains(res.Text, "frames") {
		t.Errorf("answer = %d %s", res.Code, res.Text)
	}
}

// What an early answer says is the portal's; what is ours stays on the last.
func TestEarlyAnswersTakeNothingAway(t *testing.T) {
	tp := script(t, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Portcullis-User: root\r\nSet-Cookie: portcullis=x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	g := open(t, tp.url)
	conn := dial(t, g.addr)
	defer conn.Close()
	_, _ = io.WriteString(conn, g.request("GET", "/x", "ann"))
	r := bufio.NewReader(conn)
	early, last := read(t, r, "GET"), read(t, r, "GET")
	if early.Code != http.StatusEarlyHints || early.Header.Get("Link") != "</a>" || len(early.Header) != 1 {
		t.Errorf("early answer = %d %v", early.Code, early.Header)
	}
	if last.Code != http.StatusOK || last.Header.Get("X-Portcullis-Reference") == "" || last.Header.Get("Link") != "" {
		t.Errorf("last answer = %d %v", last.Code, last.Header)
	}
}
