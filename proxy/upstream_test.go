package proxy_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/internal/freeport"
	"portcullis/proxy"
)

func everywhere(c *proxy.Config) { c.Routes = []proxy.Route{{Path: "/", Public: true}} }

func TestBodiesPassBothWays(t *testing.T) {
	upstream := portal(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Length", strconv.FormatInt(r.ContentLength, 10))
		w.Header().Set("X-Encoding", r.Header.Get("Accept-Encoding"))
		body, _ := io.ReadAll(r.Body) // before the answer: an HTTP/1 server may drop the rest of a body once it answers
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(body)
	})
	g := open(t, upstream)
	body := strings.Repeat("0123456789abcdef", 100_000)
	res := g.ask(t, "PUT", "/x", "ann", "Content-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"+body)
	if res.Code != http.StatusTeapot || res.Text != body || res.Header.Get("X-Length") != strconv.Itoa(len(body)) || res.Header.Get("X-Encoding") != "" {
		t.Errorf("answer = %d %v, %d bytes", res.Code, res.Header, len(res.Text))
	}
	res = g.ask(t, "POST", "/x", "ann", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n")
	if res.Code != http.StatusContinue && res.Text != "hello" {
		t.Errorf("answer = %d %s", res.Code, res.Text)
	}
}

// An upstream that dies within a body must not look like one that is done:
// gin's own recovery would make a complete answer of it.
func TestADeathMidBodyCutsTheConnection(t *testing.T) {
	for name, head := range map[string]string{"chunked": "", "with a length": "1000000"} {
		t.Run(name, func(t *testing.T) {
			upstream := portal(t, func(w http.ResponseWriter, _ *http.Request) {
				if head != "" {
					w.Header().Set("Content-Length", head)
				}
				_, _ = io.WriteString(w, strings.Repeat("x", 50_000))
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})
			res := open(t, upstream).get(t, "/x", "ann")
			if res.Code != 200 || res.Err == nil {
				t.Errorf("answer = %d with %d bytes and %v, want it cut short", res.Code, len(res.Text), res.Err)
			}
		})
	}
}

// Behind gin's writer ReverseProxy would ask for CloseNotify, which panics
// when the writer below has none.
func TestNoCloseNotifyBelow(t *testing.T) {
	upstream := portal(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	g := open(t, upstream, everywhere)
	r := httptest.NewRequest(http.MethodGet, "/x", nil).WithContext(context.Background())
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	if w.Code != 200 || w.Body.String() != "hello" {
		t.Errorf("answer = %d %s", w.Code, w.Body)
	}
}

// gin presets 404 for what it has no route for, and fills an empty 404 with a
// text of its own.
func TestThePortalsStatusIsKept(t *testing.T) {
	upstream := portal(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		}
	})
	g := open(t, upstream)
	for target, want := range map[string]int{"/missing": 404, "/none": 204, "/empty": 200, "/a/": 200} {
		for _, method := range []string{"GET", "HEAD", "DELETE"} {
			if res := g.ask(t, method, target, "ann"); res.Code != want || res.Text != "" || res.Header.Get("Location")+res.Header.Get("Content-Type") != "" {
				t.Errorf("%s %s = %d %v %q, want %d and nothing else", method, target, res.Code, res.Header, res.Text, want)
			}
		}
	}
}

// gin would lead from /own/ to /own, and trust anybody's X-Forwarded-For.
func TestGinDoesNotThinkForItself(t *testing.T) {
	g := open(t, record(t).url, trusting("127.0.0.0/8"), func(c *proxy.Config) {
		c.Mount = append(c.Mount, func(own *gin.RouterGroup) {
			own.GET("/.portcullis/own", func(c *gin.Context) { c.String(200, c.ClientIP()) })
		})
	})
	if res := g.get(t, "/.portcullis/own", "X-Forwarded-For: 1.2.3.4", "X-Real-IP: 1.2.3.4"); res.Code != 200 || res.Text != "127.0.0.1" {
		t.Errorf("answer = %d %s", res.Code, res.Text)
	}
	if res := g.get(t, "/.portcullis/own/"); res.Code != 404 || res.Header.Get("Location") != "" {
		t.Errorf("a slash too many = %d %v", res.Code, res.Header)
	}
}

func TestAnUpstreamThatIsDown(t *testing.T) {
	g := open(t, "http://"+freeport.Address(t))
	for _, as := range []string{"page", "Accept: */*"} {
		res := g.get(t, "/x", "ann", as)
		ref := res.Header.Get("X-Portcullis-Reference")
		if res.Code != http.StatusBadGateway || ref == "" || !strings.Contains(res.Text, ref) || strings.Contains(res.Text, "connection refused") {
			t.Errorf("%s: %d %s", as, res.Code, res.Text)
		}
		if n := strings.Count(g.log.String(), ref); n != 1 {
			t.Errorf("the log names the reference %d times, want once: %s", n, g.log)
		}
	}
}

func TestAnUpstreamThatIsSlow(t *testing.T) {
	over := make(chan struct{})
	upstream := portal(t, func(http.ResponseWriter, *http.Request) { <-over })
	defer close(over)
	g := open(t, upstream, func(c *proxy.Config) { c.Upstream.AnswerWithin = 20 * time.Millisecond })
	if res := g.get(t, "/x", "ann"); res.Code != http.StatusGatewayTimeout {
		t.Errorf("answer = %d %s, want 504", res.Code, res.Text)
	}
}

func TestAnUpstreamThatTalksNonsense(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH\r\n")
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	if res := open(t, "http://"+l.Addr().String()).get(t, "/x", "ann"); res.Code != http.StatusBadGateway {
		t.Errorf("answer = %d, want 502", res.Code)
	}
}

func TestConnectionsToTheUpstreamAreKept(t *testing.T) {
	var dialed atomic.Int64
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				dialed.Add(1)
			}
		},
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	g := open(t, "http://"+l.Addr().String())
	conn := dial(t, g.addr)
	defer conn.Close()
	r := bufio.NewReader(conn)
	for range 50 {
		_, _ = io.WriteString(conn, g.request("GET", "/x", "ann"))
		if res := read(t, r, "GET"); res.Code != 200 {
			t.Fatalf("answer = %d", res.Code)
		}
	}
	if n := dialed.Load(); n != 1 {
		t.Errorf("dialed %d times for 50 requests in a row", n)
	}
}

func TestAClientThatLeavesEndsTheRequest(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	upstream := portal(t, func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(ended)
	})
	g := open(t, upstream)
	conn := dial(t, g.addr)
	_, _ = io.WriteString(conn, g.request("GET", "/x", "ann"))
	<-began
	_ = conn.Close()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the portal still works for nobody")
	}
}

func TestOversizedHeadersAreRefused(t *testing.T) {
	tp := record(t)
	g := open(t, tp.url)
	if res := g.get(t, "/x", "ann", "X-Big: "+strings.Repeat("x", 600<<10)); res.Code != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answer = %d, want 431", res.Code)
	}
	if head := tp.head(t); head != "" {
		t.Error("it reached the portal")
	}
}
