package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/web"
)

// Questions serves the connections over which proxies in front ask whether
// requests may pass: thousands a second, one much like the other. Once a
// trusted proxy has asked, its connection is taken from net/http, which spends
// more on such a request than the decision costs.
//
// It knows one form of request, see [parseQuestion]. Whatever else comes over the
// connection, or does not come in one piece, goes back to the server as it came,
// with the connection. So what a request means is net/http's to say as before, and
// what is asked gets the answer that the server's handler gives.
//
// It is made by [Proxy.Questions], and safe for concurrent use.
type Questions struct {
	proxy  *Proxy
	server *http.Server
	next   http.Handler // of the server
	idle   time.Duration

	leaving atomic.Bool
	open    sync.WaitGroup
	mu      sync.Mutex
	lines   map[*line]struct{}
}

// Questions goes around the handler of a server, which must not run yet.
// Whoever shuts the server down calls [Questions.Wait] afterwards.
func (p *Proxy) Questions(s *http.Server) *Questions {
	q := &Questions{proxy: p, server: s, next: s.Handler, idle: s.IdleTimeout, lines: make(map[*line]struct{})}
	s.Handler = q
	s.RegisterOnShutdown(q.leave)
	return q
}

// ServeHTTP serves a request, and all that are asked over its connection if
// it is a question.
func (q *Questions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l := q.take(w, r)
	if l == nil {
		q.next.ServeHTTP(w, r)
		return
	}
	defer q.forget(l)
	l.serve(r)
}

// take takes the connection of a question from the server; it gives nil if
// the request is none.
func (q *Questions) take(w http.ResponseWriter, r *http.Request) *line {
	if r.ProtoMajor != 1 || !hasAuthPath(r.RequestURI) || r.TLS != nil || !isQuestion(r) || q.leaving.Load() {
		return nil
	}
	var v web.Visit
	if v.Begin(r, q.proxy.trusted); !q.proxy.hears(r, v.Trusted()) {
		return nil
	}
	l := &line{of: q, ctx: r.Context(), remote: r.RemoteAddr, at: r.URL, header: make(http.Header), answer: answer{header: make(http.Header)}}
	q.mu.Lock()
	if q.leaving.Load() { // whoever waits may not see this one any more
		q.mu.Unlock()
		return nil
	}
	q.open.Add(1)
	q.lines[l] = struct{}{}
	q.mu.Unlock()
	conn, early, err := http.NewResponseController(w).Hijack()
	if err != nil {
		q.forget(l)
		return nil
	}
	l.have, _ = early.Peek(early.Reader.Buffered()) // no more than is there: it cannot fail
	l.have = slices.Clone(l.have)
	if again, ok := conn.(*replayed); ok && len(again.head) == 0 {
		conn = again.Conn
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	l.conn = conn
	return l
}

func (q *Questions) forget(l *line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.lines, l)
	q.open.Done()
}

// leave ends connections on which nothing is asked; the others end with their
// answers.
func (q *Questions) leave() {
	q.leaving.Store(true)
	q.mu.Lock()
	defer q.mu.Unlock()
	for l := range q.lines {
		if l.conn != nil {
			_ = l.conn.SetReadDeadline(time.Unix(1, 0))
		}
	}
}

// Wait waits until nothing is asked any more, once the server is shut down.
// When ctx ends first it breaks off what is left, and gives the cause.
func (q *Questions) Wait(ctx context.Context) error {
	q.leave()
	done := make(chan struct{})
	go func() {
		q.open.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	for l := range q.lines {
		if l.conn != nil {
			_ = l.conn.Close()
		}
	}
	q.mu.Unlock()
	return context.Cause(ctx)
}

// line is a connection over which questions come, one after the other.
type line struct {
	of     *Questions
	conn   net.Conn
	ctx    context.Context // of the first request: it ends with the server
	remote string
	have   []byte // what came and is not answered yet
	buf    [8 << 10]byte
	until  time.Time   // the read deadline
	at     *url.URL    // where was asked last
	header http.Header // of what is asked; like every request it ends with its answer
	answer answer
}

// renewEvery is how often a read deadline is moved: it costs as much as many a
// part of the answer.
const renewEvery = 10 * time.Second

// serve answers a first question, and then what comes.
func (l *line) serve(first *http.Request) {
	kept := false
	defer func() {
		if !kept {
			_ = l.conn.Close()
		}
	}()
	if !l.reply(first) {
		return
	}
	for {
		if len(l.have) == 0 {
			n, err := l.read()
			if err != nil {
				return
			}
			l.have = l.buf[:n]
		}
		r, ok := l.question()
		if !ok {
			kept = l.handBack()
			return
		}
		l.have = nil
		if !l.reply(r) {
			return
		}
	}
}

// read waits for what comes next.
func (l *line) read() (int, error) {
	if now := time.Now(); l.of.idle > 0 && l.until.Sub(now) < l.of.idle-renewEvery { //nolint:forbidigo // a deadline of the network's
		l.until = now.Add(l.of.idle)
		_ = l.conn.SetReadDeadline(l.until) // else the read fails
	}
	if l.of.leaving.Load() { // looked at last: whoever leaves moves the deadline after saying so
		return 0, net.ErrClosed
	}
	return l.conn.Read(l.buf[:])
}

// question is the request that came, if it is one that is answered here.
func (l *line) question() (*http.Request, bool) {
	clear(l.header)
	r := http.Request{RemoteAddr: l.remote, URL: l.at, Header: l.header}
	if !parseQuestion(string(l.have), &r) {
		return nil, false
	}
	l.at = r.URL
	return r.WithContext(l.ctx), true
}

// reply answers a question, and reports whether another may follow.
func (l *line) reply(r *http.Request) bool {
	a := &l.answer
	a.begin()
	l.of.next.ServeHTTP(a, r)
	if _, err := l.conn.Write(a.end()); err != nil {
		return false
	}
	return !a.last && !l.of.leaving.Load()
}

// handBack gives the connection back to the server, with what came over it.
func (l *line) handBack() bool {
	once := &once{conn: &replayed{Conn: l.conn, head: slices.Clone(l.have)}}
	_ = l.conn.SetReadDeadline(time.Time{})
	_ = l.of.server.Serve(once) // it serves in the background, and has no second connection to wait for
	return once.conn == nil
}

// once is a listener that has one connection to give.
type once struct{ conn net.Conn }

func (o *once) Accept() (net.Conn, error) {
	if o.conn == nil {
		return nil, io.EOF
	}
	conn := o.conn
	o.conn = nil
	return conn, nil
}

func (o *once) Close() error   { return nil }
func (o *once) Addr() net.Addr { return &net.TCPAddr{} }

// replayed is a connection of which something was read already.
type replayed struct {
	net.Conn

	head []byte
}

func (c *replayed) Read(b []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.head)
	c.head = c.head[n:]
	return n, nil
}
