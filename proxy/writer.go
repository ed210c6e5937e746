package proxy

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"portcullis/web"
)

// writer is what answers are written to.
//
// It can be cut from outside, by the end of the right to be inside: a client
// that reads nothing would otherwise keep a stream open for as long as it
// likes, with the handler stuck in a write.
type writer struct {
	http.ResponseWriter
	reference []string // of the request, as a header
	streams   *streams // where a WebSocket is noted

	stop    func() bool // calls the cut off; nil while nothing would cut
	cutting sync.WaitGroup

	mu     sync.Mutex
	begun  bool     // the status is on its way
	cut    bool     // the context has ended
	gone   bool     // the portal has been answered for
	hijack net.Conn // of a WebSocket
}

// Unwrap lets [http.ResponseController] reach the writer below.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what has been written.
func (w *writer) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// WriteHeader begins the response. Informational responses go to the client
// without what the portal may not set: ReverseProxy asks nobody about theirs.
func (w *writer) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		cleanResponse(w.Header())
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.Header()[web.ReferenceHeader] = w.reference // an informational response has taken it away
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun = true
	if w.cut {
		w.expire()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Hijack hands over the connection of a WebSocket, and remembers it.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock() // until hijack is known: a deadline would stay on the connection
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.begun, w.hijack = true, conn
	if w.cut {
		w.expire()
	}
	w.streams.add(conn)
	return conn, rw, nil
}

// left forgets the WebSocket that this was, if it was one. The connection is not
// the request's any more.
func (w *writer) left() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone = true
	if w.hijack != nil {
		w.streams.remove(w.hijack)
	}
}

// Written reports whether the response has begun.
func (w *writer) Written() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.begun
}

// unlessCut calls f, which moves a deadline, unless the response was cut, or the
// connection has become another's.
func (w *writer) unlessCut(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.cut && !w.gone && w.hijack == nil {
		f()
	}
}

// cutWhenDone cuts the response when ctx ends, until [writer.keep]. It does
// nothing the second time.
func (w *writer) cutWhenDone(ctx context.Context) {
	if w.stop != nil {
		return
	}
	w.cutting.Add(1)
	w.stop = context.AfterFunc(ctx, func() {
		defer w.cutting.Done()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.cut = true
		w.expire()
	})
}

// keep calls the cut off, or waits until it is made: nothing may touch the
// connection after the handler has returned.
func (w *writer) keep() {
	if w.stop != nil && !w.stop() {
		w.cutting.Wait()
	}
}

// expire makes every read from the client fail at once, and every write once
// the response has begun: before that the client is still told why.
func (w *writer) expire() {
	past := time.Unix(1, 0)
	if w.hijack != nil {
		_ = w.hijack.Close()
		return
	}
	rc := http.NewResponseController(w.ResponseWriter)
	_ = rc.SetReadDeadline(past)
	if w.begun {
		_ = rc.SetWriteDeadline(past)
	}
}
