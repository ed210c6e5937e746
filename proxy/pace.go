package proxy

import (
	"io"
	"net/http"
	"time"
)

// slowest is how many bytes a second the body of a stranger has to bring, in
// the long run: what Apache's mod_reqtimeout asks for.
const slowest = 500

// paced is the body of a request for the portal that nobody answers for. It may
// be as long as it likes, and as slow as [slowest]; but it may not stand still: by
// a body that is never finished anybody could hold a connection of the gate, and
// one of the portal.
type paced struct {
	io.ReadCloser

	proxy *Proxy
	w     *writer
	left  time.Duration // that may be waited for bytes; they bring more of it, up to the patience with all others
	end   error         // how it ended
}

// Read waits as long as there is time left. What the portal takes to ask for the
// next bytes, and over its answer, is not the client's: no deadline is left behind,
// by which net/http would take the client for gone, and HTTP/2 the body for broken.
func (b *paced) Read(p []byte) (int, error) {
	if b.end != nil { // the transport asks once more where a length was announced
		return 0, b.end
	}
	began := b.proxy.now()
	b.until(began.Add(b.left))
	n, err := b.ReadCloser.Read(p)
	b.until(time.Time{})
	b.left = min(b.proxy.patience, b.left-b.proxy.now().Sub(began)+time.Duration(n)*time.Second/slowest)
	b.end = err
	return n, err
}

func (b *paced) until(deadline time.Time) {
	b.w.unlessCut(func() { _ = http.NewResponseController(b.w).SetReadDeadline(deadline) })
}
