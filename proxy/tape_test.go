package proxy_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// tape is a portal that records the bytes of each request up to its body, and
// answers 200.
type tape struct {
	url       string
	heads     chan string
	listener  net.Listener
	listening sync.WaitGroup
	conns     sync.WaitGroup
}

func record(tb testing.TB) *tape {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tp := &tape{url: "http://" + l.Addr().String(), heads: make(chan string, 100), listener: l}
	tp.listening.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			tp.conns.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				tp.take(conn)
			})
		}
	})
	tb.Cleanup(tp.end)
	return tp
}

func (tp *tape) end() {
	_ = tp.listener.Close()
	tp.listening.Wait()
	tp.conns.Wait()
}

// take records one request. What follows its head is read until the other side
// is done: to close with something unread would reset the connection, and the
// answer could be lost.
func (tp *tape) take(conn net.Conn) {
	r := bufio.NewReader(conn)
	var head strings.Builder
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			return
		}
		head.WriteString(line)
	}
	if head.Len() == len("\r\n") {
		return // see all
	}
	tp.heads <- head.String()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
	_, _ = io.Copy(io.Discard, r)
}

// head gives the one request that the portal has seen, and "" for none. Only
// where the gate passed the portal's answer on has the portal certainly seen it.
func (tp *tape) head(tb testing.TB) string {
	tb.Helper()
	select {
	case h := <-tp.heads:
		return h
	default:
		return ""
	}
}

// all ends the portal once it has read every connection that the gate made to
// it, and gives the requests that nobody asked for yet.
func (tp *tape) all(tb testing.TB) (heads []string) {
	tb.Helper()
	// Connections are accepted in the order in which they were made.
	last := dial(tb, tp.listener.Addr().String())
	defer last.Close()
	if _, err := io.WriteString(last, "\r\n"); err != nil {
		tb.Fatal(err)
	}
	if _, err := last.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		tb.Fatalf("the portal did not close: %v", err)
	}
	tp.end()
	for h := tp.head(tb); h != ""; h = tp.head(tb) {
		heads = append(heads, h)
	}
	return heads
}

// header reads the header of a recorded request.
func header(tb testing.TB, head string) http.Header {
	tb.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	if err != nil {
		tb.Fatalf("%v in %q", err, head)
	}
	return r.Header
}
