package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
	"portcullis/session"
	"portcullis/web"
)

// newTransport makes the connections to the portal. What costs a proxy most
// is dialing anew, and the default keeps two idle connections.
func newTransport(answerWithin time.Duration) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // WebSockets need it
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  nil, // the portal is where the configuration says, not where the environment does
		DialContext:            dialer.DialContext,
		Protocols:              protocols,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  answerWithin,
		ExpectContinueTimeout:  time.Second,
		MaxIdleConns:           0,
		MaxIdleConnsPerHost:    512,
		IdleConnTimeout:        4 * time.Second, // below the 5s after which Node closes: a POST on a closing connection fails
		MaxResponseHeaderBytes: 1 << 20,
		DisableCompression:     true, // what the browser asked for is what it gets
	}
}

// forward hands an admitted request to the upstream. With a session it lasts
// as long as the right to be inside, not a second longer.
func (p *Proxy) forward(c *gin.Context, who *session.Principal) error {
	r, ctx := c.Request, c.Request.Context()
	w := &writer{ResponseWriter: c.Writer, gin: c.Writer, reference: web.Reference(ctx), streams: &p.streams}
	defer w.left()
	unhurry(w, r)
	if who != nil {
		g := passageOf(ctx)
		var err error
		if g.assertion, err = p.statement(who); err != nil {
			return err
		}
		g.who = who
		watched, cancel := p.sessions.Watch(ctx, who)
		defer cancel()
		defer w.cutWhenDone(watched)() // before cancel, which would look like an end
		r = r.WithContext(watched)
	}
	p.upstream.ServeHTTP(w, r)
	w.unlessCut(func() { p.hurry(w, r) }) // what of the body the portal did not want
	cleanResponse(w.Header())             // the trailer, which is written after this
	return nil
}

// reverse makes the reverse proxy to the portal at base.
func (p *Proxy) reverse(transport http.RoundTripper, base *url.URL, host string) *httputil.ReverseProxy {
	prefix := strings.TrimSuffix(base.EscapedPath(), "/")
	scheme := p.public.Scheme
	return &httputil.ReverseProxy{
		Transport:  transport,
		BufferPool: &buffers{},
		ErrorLog:   slog.NewLogLogger(p.log.Handler(), slog.LevelDebug), // what matters comes to failed
		Rewrite: func(pr *httputil.ProxyRequest) {
			g := passageOf(pr.In.Context())
			out := pr.Out
			// The request line is written from Opaque and RawQuery as they
			// stand: net/url would re-encode some paths, and ReverseProxy
			// drops what of a query has a ";" in it.
			out.URL.Scheme, out.URL.Host = base.Scheme, base.Host
			out.URL.Opaque = prefix + g.path
			out.URL.RawQuery, out.URL.ForceQuery = "", false
			if g.query != "" {
				out.URL.RawQuery, out.URL.ForceQuery = g.query[1:], true
			}
			out.Host = host
			h := out.Header
			// ReverseProxy has removed what the client's Connection header
			// names; only from here on do headers stay.
			if from := web.ClientAddress(pr.In); from != "" {
				h["X-Forwarded-For"] = []string{from}
			}
			h["X-Forwarded-Proto"] = []string{scheme}
			h["X-Forwarded-Host"] = []string{p.public.Host}
			if f, ok := pr.In.Header["Forwarded"]; ok { // it came from a trusted proxy, or it would be gone
				h["Forwarded"] = f
			}
			if lines, ok := h["Cookie"]; ok {
				if lines = foreignCookies(lines); len(lines) == 0 {
					delete(h, "Cookie")
				} else {
					h["Cookie"] = lines
				}
			}
			if g.who != nil {
				identify(h, g.who, g.assertion)
			}
		},
		ModifyResponse: func(res *http.Response) error {
			cleanResponse(res.Header)
			p.endless(res)
			return nil
		},
		ErrorHandler: p.failed,
	}
}

// failed answers for an upstream that did not. Its errors never reach gin:
// ReverseProxy has no way to return one.
func (p *Proxy) failed(w http.ResponseWriter, out *http.Request, err error) {
	tw, ok := w.(*writer)
	if ok && tw.began() { // a WebSocket whose opening could not be written
		p.log.DebugContext(out.Context(), "client went away", "reference", web.Reference(out.Context()), "error", err)
		return
	}
	f := &web.Failure{Err: fault.Wrap(fault.Unavailable, err, "the portal behind this gate does not answer"), Status: http.StatusBadGateway}
	var slow net.Error
	switch {
	case ok && errors.Is(context.Cause(out.Context()), session.ErrEnded):
		w.Header().Set("Connection", "close") // a body may still be on its way
		// Past the writer, which is about to be cut: this answer is ours.
		web.Fail(tw.ResponseWriter, out, p.log, p.signInFirst(fault.New(fault.Unauthenticated, "your session has ended")))
		return
	case errors.As(err, &slow) && slow.Timeout():
		f.Status = http.StatusGatewayTimeout
		f.Err = fault.Wrap(fault.Unavailable, err, "the portal behind this gate took too long to answer")
	}
	web.Fail(w, out, p.log, f)
}

// buffers keeps the buffers that bodies are copied through.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[]byte); ok {
		return *buf
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(buf []byte) { b.pool.Put(&buf) }
