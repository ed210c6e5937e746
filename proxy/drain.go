package proxy

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// Drain ends every stream, and from then on each as it begins. A stream is a
// response without an end of its own: a WebSocket, or server-sent events.
// Other requests go on. A gate that is about to stop calls it, so that nobody
// waits for what never ends; browsers come back by themselves, elsewhere.
func (p *Proxy) Drain() { p.streams.drain() }

// Streams is how many streams are open now.
func (p *Proxy) Streams() int {
	p.streams.mu.Lock()
	defer p.streams.mu.Unlock()
	return len(p.streams.open)
}

// streams are the open streams of a Proxy. The zero value is ready.
type streams struct {
	mu       sync.Mutex
	open     map[io.Closer]struct{}
	draining bool
}

// add notes a stream; closing c ends it.
func (s *streams) add(c io.Closer) {
	s.mu.Lock()
	if s.open == nil {
		s.open = make(map[io.Closer]struct{})
	}
	s.open[c] = struct{}{}
	draining := s.draining
	s.mu.Unlock()
	if draining {
		_ = c.Close() // it breaks the stream; there is nobody to tell
	}
}

// remove forgets a stream that has ended.
func (s *streams) remove(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

func (s *streams) drain() {
	s.mu.Lock()
	s.draining = true
	open := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
}

func (s *streams) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// endless notes an event stream of the portal. When the gate drains, it ends
// as if the portal had ended it.
func (p *Proxy) endless(res *http.Response) {
	if !isEvents(res.Header) {
		return
	}
	e := &eventStream{ReadCloser: res.Body, of: &p.streams}
	p.streams.add(res.Body)
	res.Body = e
}

// isEvents reports whether a header is that of server-sent events.
func isEvents(h http.Header) bool {
	lines := h["Content-Type"]
	return len(lines) > 0 && hasPrefix(lines[0], "text/event-stream") // parameters may follow
}

// eventStream is the body of an event stream.
type eventStream struct {
	io.ReadCloser

	of *streams
}

// Read gives a clean end instead of the error of a body that was closed
// while it was read.
func (e *eventStream) Read(b []byte) (int, error) {
	n, err := e.ReadCloser.Read(b)
	if err != nil && e.of.over() {
		err = io.EOF
	}
	return n, err
}

func (e *eventStream) Close() error {
	e.of.remove(e.ReadCloser)
	return e.ReadCloser.Close()
}
