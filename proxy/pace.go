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
}

// Read waits as long as there is time left. What the portal takes to ask for the
// next bytes is not the client's.
func (b *paced) Read(p []byte) (int, error) {
	began := b.proxy.now()
	b.w.unlessCut(func() { _ = http.NewResponseController(b.w).SetReadDeadline(began.Add(b.left)) })
	n, err := b.ReadCloser.Read(p)
	b.left = min(b.proxy.patience, b.left-b.proxy.now().Sub(began)+time.Duration(n)*time.Second/slowest)
	return n, err
}
