package proxy

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"time"
)

// carry hands a request to the portal and its answer back, as the reverse
// proxy of the standard library does, at less cost: most requests of a gate
// are these.
//
// It panics with http.ErrAbortHandler when the answer breaks off.
func (p *Proxy) carry(ctx context.Context, j *journey) {
	to := j.place.backend
	res, err := to.round.RoundTrip(p.outgoing(ctx, j))
	j.early.end()
	if err == nil && res.StatusCode == http.StatusSwitchingProtocols {
		_ = res.Body.Close()
		err = fmt.Errorf("it switches to the protocol %q, and nobody asked it to", res.Header.Get("Upgrade"))
	}
	if err != nil {
		p.failed(ctx, j, err)
		return
	}
	forHere(res.Header)
	p.received(res)
	h := j.Header()
	for name, lines := range res.Header {
		if had, ok := h[name]; ok {
			lines = append(slices.Clip(had), lines...)
		}
		h[name] = lines
	}
	announced := announce(h, res.Trailer)
	if j.who != nil && (res.ContentLength < 0 || res.ContentLength > unblocked || isEvents(res.Header)) {
		j.cutWhenDone(ctx)
	}
	j.WriteHeader(res.StatusCode)
	if err := p.buffers.copy(&j.writer, res); err != nil {
		_ = res.Body.Close()
		p.log.DebugContext(ctx, "the answer broke off", "reference", j.Reference(), "error", err)
		panic(http.ErrAbortHandler)
	}
	_ = res.Body.Close() // only now is the trailer whole
	cleanResponse(res.Trailer)
	j.trail(res.Trailer, announced)
}

// unblocked bounds the answers with which no handler can get stuck in a write to
// the client: net/http gathers so many bytes, and writes them when the handler
// is over.
const unblocked = 2048

// outgoing is a request as it goes to the portal.
func (p *Proxy) outgoing(ctx context.Context, j *journey) *http.Request {
	r := j.in
	h := make(http.Header, len(r.Header)+9) // with room for what is added: a map that grows costs twice
	maps.Copy(h, r.Header)
	forHere(h)
	if takesTrailers(r.Header) {
		h["Te"] = j.line("trailers")
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nothing[:] // else net/http sends its own
	}
	j.trace.Got1xxResponse = j.inform
	ctx = httptrace.WithClientTrace(ctx, &j.trace)
	out := http.Request{
		Method: r.Method, URL: j.place.backend.address(j), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h,
		ContentLength: r.ContentLength, TransferEncoding: r.TransferEncoding, Host: p.introduce(h, j, r.Header["Forwarded"]),
	}
	if r.ContentLength != 0 { // without a body the transport may try again
		out.Body = r.Body
	}
	if r.Trailer != nil {
		out.Trailer = r.Trailer.Clone() // announced, and never filled: what comes there was not judged
	}
	return out.WithContext(ctx)
}

// forHere removes the headers that are for the next hop alone (RFC 9110,
// section 7.6.1): those that Connection names, and those that always are.
func forHere(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.TrimString(name); name != "" {
				h.Del(name)
			}
		}
	}
	for name := range h {
		switch name {
		case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
			delete(h, name)
		}
	}
}

// takesTrailers reports whether a client says that it reads trailers.
func takesTrailers(h http.Header) bool {
	for _, line := range h["Te"] {
		for entry := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(textproto.TrimString(entry), "trailers") {
				return true
			}
		}
	}
	return false
}

// inform passes an informational response on, in front of the answer.
func (j *journey) inform(status int, header textproto.MIMEHeader) error {
	j.early.mu.Lock()
	defer j.early.mu.Unlock()
	if j.early.over {
		return nil
	}
	h := j.Header()
	own := maps.Clone(h)
	clear(h)
	maps.Copy(h, http.Header(header))
	j.WriteHeader(status)
	clear(h)
	maps.Copy(h, own)
	return nil
}

func (e *early) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
}

// announce names in a header the trailers that a portal announced.
func announce(h http.Header, trailer http.Header) (announced int) {
	if len(trailer) == 0 {
		return 0
	}
	names := make([]string, 0, len(trailer))
	for name := range trailer {
		names = append(names, name)
	}
	h.Add("Trailer", strings.Join(names, ", "))
	return len(trailer)
}

// trail passes the trailers on: under their names if they were announced, all
// of them.
func (j *journey) trail(trailer http.Header, announced int) {
	if len(trailer) == 0 {
		return
	}
	j.Flush() // so that a short body is chunked all the same, and may have trailers
	h := j.Header()
	for name, lines := range trailer {
		if len(trailer) != announced {
			name = http.TrailerPrefix + name
		}
		h[name] = append(h[name], lines...)
	}
}

// Sizes of the buffers that bodies are copied through. A body that does not
// fit into the small one is worth fewer calls of the system; events are small, and
// there may be many streams of them.
const (
	small = 16 << 10
	large = 128 << 10
)

// buffers keeps the buffers that bodies are copied through. The zero value is
// ready.
type buffers struct{ small, large sync.Pool }

// copy passes a body on. What has no length may be a stream: each piece of it
// goes at once, and the head before the first.
func (b *buffers) copy(w *writer, res *http.Response) error {
	if res.Body == http.NoBody {
		return nil
	}
	events := isEvents(res.Header)
	buf, done := b.take(events || res.ContentLength >= 0 && res.ContentLength <= small)
	defer done()
	if res.ContentLength >= 0 && !events {
		return pump(w.ResponseWriter, res.Body, buf, held)
	}
	f := flusher{w: w}
	defer f.stop(time.AfterFunc(0, f.now))
	return pump(&f, res.Body, buf, 0)
}

// take gives a buffer until done is called.
func (b *buffers) take(isSmall bool) (buf []byte, done func()) {
	if isSmall {
		little, ok := b.small.Get().(*[small]byte)
		if !ok {
			little = new([small]byte)
		}
		return little[:], func() { b.small.Put(little) }
	}
	big, ok := b.large.Get().(*[large]byte)
	if !ok {
		big = new([large]byte)
	}
	return big[:], func() { b.large.Put(big) }
}

// held is how much of the beginning of a body waits for more: what the transport
// has read along with the head, and less than net/http gathers anyway. Sent by
// itself it would be one more call of the system.
const held = 4 << 10

// pump copies until the end of src. The first piece is of so many bytes at least,
// unless there are no more.
func pump(dst io.Writer, src io.Reader, buf []byte, first int) error {
	have := 0
	for {
		n, err := src.Read(buf[have:])
		if have += n; have > 0 && (have >= first || err != nil) {
			if _, err := dst.Write(buf[:have]); err != nil {
				return err
			}
			have, first = 0, 0
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// flusher sends each piece at once.
type flusher struct {
	w *writer

	mu   sync.Mutex
	over bool
}

func (f *flusher) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.w.Write(b)
	f.over = true // the head is sent along
	f.w.Flush()
	return n, err
}

// now sends the head, unless something is under way already.
func (f *flusher) now() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.over {
		f.over = true
		f.w.Flush()
	}
}

// stop waits for [flusher.now]: nothing may touch the response after its
// handler.
func (f *flusher) stop(timer *time.Timer) {
	timer.Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
}
