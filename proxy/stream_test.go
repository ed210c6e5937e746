package proxy_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// chatty is a portal with a stream of events, a download without end, a
// WebSocket that echoes, one that floods, and a page that never comes. The
// channel is closed when the download or the flood fills every buffer.
func chatty(t *testing.T) (url string, stuck chan struct{}) {
	t.Helper()
	stuck = make(chan struct{})
	url = portal(t, func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		switch r.URL.Path {
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: one\n\n")
			_ = rc.Flush()
			<-r.Context().Done()
		case "/download":
			fill(w, rc.SetWriteDeadline)
			close(stuck)
			<-r.Context().Done()
		case "/never":
			<-r.Context().Done()
		case "/ws", "/public/ws":
			conn, rw, err := rc.Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSet-Cookie: portcullis=x\r\nX-Portcullis-User: root\r\nX-User: "+r.Header.Get("X-Portcullis-User")+"\r\n\r\n")
			_, _ = io.Copy(conn, rw)
		case "/flood":
			conn, _, err := rc.Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			fill(conn, conn.SetWriteDeadline)
			close(stuck)
			_, _ = io.Copy(io.Discard, conn)
		}
	})
	return url, stuck
}

// fill writes until nobody takes any more.
func fill(w io.Writer, deadline func(time.Time) error) {
	for {
		_ = deadline(time.Now().Add(200 * time.Millisecond))
		if _, err := w.Write(make([]byte, 1<<16)); err != nil {
			return
		}
	}
}

var upgrade = []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"}

// begin sends a request and gives the connection once the answer has begun.
func (g *gate) begin(t *testing.T, target string, lines ...string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	conn := dial(t, g.addr)
	t.Cleanup(func() { _ = conn.Close() })
	_, _ = io.WriteString(conn, g.request("GET", target, lines...))
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); _ = res.Body.Close() })
	return conn, r, res
}

// mustEnd reads until the connection is cut, within seconds.
func mustEnd(t *testing.T, r io.Reader) {
	t.Helper()
	began := time.Now()
	_, err := io.Copy(io.Discard, r)
	if errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) > 10*time.Second {
		t.Errorf("it still runs: %v", err)
	}
}

func TestEventsPassAtOnceAndEndWithTheSession(t *testing.T) {
	upstream, _ := chatty(t)
	g := open(t, upstream)
	conn, _, res := g.begin(t, "/events", "ann") //nolint:bodyclose // begin closes it
	body := bufio.NewReader(res.Body)
	if line, err := body.ReadString('\n'); err != nil || line != "data: one\n" {
		t.Fatalf("the first event = %q, %v", line, err)
	}
	g.people.leave(annToken)
	_, err := io.ReadAll(body)
	if err == nil {
		t.Error("the stream ended as if it were complete")
	}
	mustEnd(t, conn)
}

func TestADownloadEndsWithTheSessionThoughNobodyReads(t *testing.T) {
	upstream, stuck := chatty(t)
	g := open(t, upstream)
	g.begin(t, "/download", "ann") //nolint:bodyclose // begin closes it
	g.mustCut(t, stuck)
}

func TestAFloodingWebSocketEndsThoughNobodyReads(t *testing.T) {
	upstream, stuck := chatty(t)
	g := open(t, upstream)
	_, _, res := g.begin(t, "/flood", append(upgrade, "ann", "Origin: "+g.url)...) //nolint:bodyclose // begin closes it
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answer = %d", res.StatusCode)
	}
	g.mustCut(t, stuck)
}

// mustCut ends Ann's session while the gate is stuck in a write to a client
// that reads nothing, and waits until the request is over all the same.
func (g *gate) mustCut(t *testing.T, stuck <-chan struct{}) {
	t.Helper()
	<-stuck
	g.people.leave(annToken)
	select {
	case <-g.over:
	case <-time.After(10 * time.Second):
		t.Error("the request goes on")
	}
}

func TestAPendingRequestIsToldThatTheSessionEnded(t *testing.T) {
	upstream, _ := chatty(t)
	g := open(t, upstream)
	conn := dial(t, g.addr)
	defer conn.Close()
	_, _ = io.WriteString(conn, g.request("GET", "/never", "ann"))
	<-g.people.watched
	g.people.leave(annToken)
	res := read(t, bufio.NewReader(conn), "GET")
	if res.Code != http.StatusUnauthorized || !strings.Contains(res.Text, "our session has ended") {
		t.Errorf("answer = %d %s", res.Code, res.Text)
	}
	mustEnd(t, conn)
}

func TestAnUploadEndsWithTheSession(t *testing.T) {
	g := open(t, portal(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	conn := dial(t, g.addr)
	defer conn.Close()
	_, _ = io.WriteString(conn, g.request("POST", "/never", "ann", "Transfer-Encoding: chunked")+"5\r\nhello\r\n")
	<-g.people.watched
	g.people.leave(annToken)
	if res := read(t, bufio.NewReader(conn), "POST"); res.Code != http.StatusUnauthorized {
		t.Errorf("answer = %d %s", res.Code, res.Text)
	}
	mustEnd(t, conn)
}

func TestWebSocketPassesAndEndsWithTheSession(t *testing.T) {
	upstream, _ := chatty(t)
	g := open(t, upstream)
	conn, r, res := g.begin(t, "/ws", append(upgrade, "ann", "Origin: "+g.url)...) //nolint:bodyclose // begin closes it
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("X-User") != "ann-1" {
		t.Fatalf("answer = %d %v", res.StatusCode, res.Header)
	}
	if res.Header.Get("Set-Cookie") != "" || res.Header.Get("X-Portcullis-User") != "" {
		t.Errorf("the portal set what is ours: %v", res.Header)
	}
	_, _ = io.WriteString(conn, "ping")
	echo := make([]byte, 4)
	if _, err := io.ReadFull(r, echo); err != nil || string(echo) != "ping" {
		t.Fatalf("echo = %q, %v", echo, err)
	}
	g.people.leave(annToken)
	mustEnd(t, r)
}

func TestWebSocketsOpenFromOurPagesOnly(t *testing.T) {
	upstream, _ := chatty(t)
	g := open(t, upstream, everywhere)
	for origin, want := range map[string]int{
		"Origin: " + g.url: 101, "Origin: https://evil.example": 403, "Origin: null": 403, "Origin: " + g.url + ".evil.example": 403, "Origin:": 403, "X: no origin": 101,
		"Origin: " + g.url + "\r\nOrigin: https://evil.example": 403,
	} {
		for _, target := range []string{"/ws", "/public/ws"} {
			_, _, res := g.begin(t, target, append(upgrade, "ann", origin)...) //nolint:bodyclose // begin closes it
			if res.StatusCode != want {
				t.Errorf("%s with %q = %d, want %d", target, origin, res.StatusCode, want)
			}
		}
	}
}
