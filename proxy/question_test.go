package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portcullis/proxy"
)

// asked is a gate whose server has [proxy.Questions].
type asked struct {
	*gate
	server    *http.Server
	questions *proxy.Questions
	addr      string
	came      chan http.ResponseWriter // what requests were answered through
	served    chan struct{}            // the server takes no connection any more
}

func (g *gate) withQuestions(tb testing.TB, around func(http.Handler) http.Handler) *asked {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	a := &asked{gate: g, addr: l.Addr().String(), came: make(chan http.ResponseWriter, 1000), served: make(chan struct{})}
	h := around(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case a.came <- w:
		default:
		}
		g.ServeHTTP(w, r)
	}))
	a.server = proxy.Server(a.addr, h, slog.New(slog.DiscardHandler))
	a.questions = g.Questions(a.server)
	go func() {
		defer close(a.served)
		_ = a.server.Serve(l)
	}()
	tb.Cleanup(func() {
		_ = a.server.Close()
		<-a.served
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = a.questions.Wait(ctx)
	})
	return a
}

func asItIs(h http.Handler) http.Handler { return h }

// byServer reports whether net/http answered the next request that came.
func (a *asked) byServer() bool {
	w := <-a.came
	_, flushes := w.(http.Flusher)
	return flushes
}

// Over one connection, whatever comes gets the answers that the server gives by
// itself, in that order, up to the same end.
func TestQuestionsAreAnsweredAsTheServerDoes(t *testing.T) {
	g := open(t, record(t).url, guarded)
	a := g.withQuestions(t, asItIs)
	pieces := []string{
		g.request("GET", authURL, "X-Original-URI: /reports/1", "X-Original-Method: GET", "ann"),
		g.request("GET", authURL, "X-Original-URI: /reports/1", "Content-Length: 0", "ann"),
		g.request("GET", authURL, "X-Original-URI: /admin/", "X-Original-Method: POST", "ann", "Accept: text/html"),
		g.request("GET", authURL, "X-Original-URI: /public/", "X-Original-Method: GET"),
		g.request("GET", authURL, "X-Original-URI: /reports/1", "X-Original-URI: /public/"),
		g.request("GET", authURL+"?redirect", "X-Forwarded-Uri: /reports/1", "X-Forwarded-Method: GET", "Sec-Fetch-Mode: navigate", "Accept: text/html"),
		g.request("GET", authURL+"/public/x"), g.request("GET", authURL+"/%zz"), g.request("GET", authURL+"/odd/a%2Fb;c", "ann"),
		g.request("GET", authURL+"/reports/1", "Origin: http://evil.example", "Sec-WebSocket-Key: x", "ann"),
		g.request("POST", authURL+"/public/x", "Content-Length: 0"),
		g.request("POST", authURL, "Content-Length: 3") + "abc",
		g.request("POST", authURL, "Transfer-Encoding: chunked") + "1\r\na\r\n0\r\n\r\n",
		g.request("GET", authURL, "X-Original-URI: /public/", "Content-Length: 5") + "GET /",
		g.request("GET", authURL, "X-Original-URI: /public/", "Cookie: theirs="+strings.Repeat("x", 9000), "ann"),
		g.request("GET", authURL, "X-Original-URI: /public/", "Connection: keep-alive"), g.request("GET", authURL, "X-Original-URI: /public/", "Connection: close"),
		g.request("GET", authURL, "X-Original-URI: /public/", "X_Portcullis_User: eve", "Authorization: Bearer theirs"), g.request("GET", authURL, "bad name: x"),
		g.request("GET", "/.portcullis/whoami", "ann"), g.request("GET", "/.portcullis/jwks.json"),
		"GET " + authURL + " HTTP/1.1\r\n\r\n", "GET " + authURL + " HTTP/1.0\r\n\r\n", "GET " + authURL + " HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET " + authURL + " HTTP/1.1\nHost: a\n\n",
	}
	rapid.Check(t, func(r *rapid.T) {
		sent := rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 5).Draw(r, "requests")
		text := strings.Join(sent, "")
		cuts := []int{0, len(text)} // where the bytes are sent in parts
		if rapid.Bool().Draw(r, "one by one") {
			cuts = []int{0}
			for _, s := range sent {
				cuts = append(cuts, cuts[len(cuts)-1]+len(s))
			}
		} else if rapid.Bool().Draw(r, "in parts") {
			cuts = []int{0, rapid.IntRange(0, len(text)).Draw(r, "cut"), len(text)}
		}
		want, got := exchange(t, g.addr, text, cuts), exchange(t, a.addr, text, cuts)
		if diff := cmp.Diff(want, got); diff != "" {
			r.Errorf("%q is answered otherwise: %s", text, diff)
		}
	})
}

// exchange sends bytes in parts and reads all answers that come of them.
func exchange(tb testing.TB, addr, text string, cuts []int) (out []answer) {
	tb.Helper()
	conn := dial(tb, addr)
	defer conn.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range cuts[1:] {
			if _, err := io.WriteString(conn, text[cuts[i]:cuts[i+1]]); err != nil {
				return // it was closed by an answer
			}
		}
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	defer func() { <-sent }()
	for from := bufio.NewReader(conn); ; {
		res, err := http.ReadResponse(from, nil)
		if err != nil {
			return out
		}
		b, _ := io.ReadAll(res.Body) // an answer that ends a connection may be followed by a reset
		_ = res.Body.Close()
		text := string(b)
		if reference := res.Header.Get("X-Portcullis-Reference"); reference != "" {
			text = strings.ReplaceAll(text, reference, "REFERENCE")
			res.Header.Set("X-Portcullis-Reference", "REFERENCE")
		}
		res.Header.Del("Date")
		if a := res.Header.Get("X-Portcullis-Assertion"); a != "" {
			res.Header.Set("X-Portcullis-Assertion", a[:4]) // it is signed anew for each session, and minute
		}
		out = append(out, answer{Code: res.StatusCode, Header: res.Header, Text: text})
		if res.Close {
			return out
		}
	}
}

// A trusted proxy's connection is taken over, and given back for what is no
// question. What one question said is forgotten at the next.
func TestQuestionsTakeAConnectionAndGiveItBack(t *testing.T) {
	g := open(t, record(t).url, guarded)
	a := g.withQuestions(t, asItIs)
	conn := dial(t, a.addr)
	defer conn.Close()
	from := bufio.NewReader(conn)
	question := func(lines ...string) string {
		return g.request("GET", authURL, append(lines, "X-Original-URI: /reports/1", "X-Original-Method: GET")...)
	}
	for i, tc := range []struct {
		request  string
		code     int
		byServer bool
	}{
		{question("ann"), 200, false},
		{question(), 401, false},
		{question("ann", "Authorization: Bearer theirs"), 200, false},
		{question(), 401, false},
		{g.request("POST", authURL+"/public/x", "Content-Length: 3") + "abc", 200, true},
		{question("ann"), 200, false},
		{question("ann", "Cookie: theirs="+strings.Repeat("x", 9000)), 200, false}, // in pieces: the server reads it, and the next is not taken from it
		{question("ann"), 200, false},
	} {
		if _, err := io.WriteString(conn, tc.request); err != nil {
			t.Fatal(err)
		}
		res := read(t, from, "GET")
		if byServer := a.byServer(); res.Code != tc.code || byServer != tc.byServer {
			t.Errorf("request %d = %d, by the server: %v; want %d and %v", i, res.Code, byServer, tc.code, tc.byServer)
		}
		if theirs := res.Header.Get("Authorization"); (theirs != "") != strings.Contains(tc.request, "theirs\r\n") {
			t.Errorf("request %d: Authorization = %q", i, theirs)
		}
	}
}

// Strangers stay with the server.
func TestQuestionsOfStrangersAreTheServers(t *testing.T) {
	for name, options := range map[string][]func(*proxy.Config){
		"a client": nil, "a balancer": {trusting("127.0.0.1/32"), func(c *proxy.Config) { c.Askers = []netip.Prefix{} }},
	} {
		g := open(t, record(t).url, options...)
		a := g.withQuestions(t, asItIs)
		if res := raw(t, a.addr, g.request("GET", authURL, "ann")); res.Code != 200 || !a.byServer() {
			t.Errorf("%s: answer = %d, not by the server", name, res.Code)
		}
	}
}

// A server that is shut down ends connections on which nothing is asked, and
// answers what was asked.
func TestQuestionsUnderWayAreAnsweredAtTheEnd(t *testing.T) {
	g := open(t, record(t).url, guarded)
	entered, leave := make(chan struct{}), make(chan struct{})
	a := g.withQuestions(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Slow") != "" {
				close(entered)
				<-leave
			}
			h.ServeHTTP(w, r)
		})
	})
	idle, busy := dial(t, a.addr), dial(t, a.addr)
	defer idle.Close()
	defer busy.Close()
	question := g.request("GET", authURL, "X-Original-URI: /public/", "X-Original-Method: GET")
	for _, conn := range []net.Conn{idle, busy} {
		if _, err := io.WriteString(conn, question); err != nil {
			t.Fatal(err)
		}
		read(t, bufio.NewReader(conn), "GET")
	}
	if _, err := io.WriteString(busy, strings.Replace(question, "\r\n\r\n", "\r\nX-Slow: 1\r\n\r\n", 1)); err != nil {
		t.Fatal(err)
	}
	<-entered
	if err := a.server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the idle connection gives %d, %v, want its end", n, err)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.questions.Wait(t.Context()) }()
	<-short.Done()
	select {
	case err := <-done:
		t.Errorf("nothing is waited for: %v", err)
	default:
	}
	close(leave)
	if res := read(t, bufio.NewReader(busy), "GET"); res.Code != 200 {
		t.Errorf("the question under way = %d", res.Code)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := busy.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection goes on: %v", err)
	}
}

// Whoever waits no longer breaks off what is left.
func TestQuestionsAreBrokenOffAtTheLimit(t *testing.T) {
	g := open(t, record(t).url, guarded)
	entered := make(chan struct{})
	leave := make(chan struct{})
	a := g.withQuestions(t, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			close(entered)
			<-leave
		})
	})
	conn := dial(t, a.addr)
	defer conn.Close()
	if _, err := io.WriteString(conn, g.request("GET", authURL)); err != nil {
		t.Fatal(err)
	}
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.questions.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait = %v", err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("it was answered")
	}
	close(leave)
	if err := a.questions.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}
