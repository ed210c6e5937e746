package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
	"portcullis/session"
	"portcullis/web"
)

// Upstream is a portal behind the gate.
type Upstream struct {
	URL *url.URL // required; a path is put in front of every request's

	Audience     string        // of the assertion; defaults to the origin of URL
	Host         string        // the Host that the portal sees; defaults to the one that the request is for
	AnswerWithin time.Duration // how long it may take to begin its answer; defaults to 2m
	TLS          *tls.Config   // for https; defaults to the system's certificates
	Health       string        // a path that answers 2xx or 3xx while it is well, asked by [Proxy.Run]; not asked if empty
}

// backend is an Upstream that requests go to.
type backend struct {
	origin    string
	audience  string
	health    string // a URL; empty if nobody asks
	transport *http.Transport
	handler   http.Handler
	sick      atomic.Bool
}

func (p *Proxy) newBackend(u Upstream) *backend {
	if u.AnswerWithin == 0 {
		u.AnswerWithin = 2 * time.Minute
	}
	b := &backend{origin: u.URL.Scheme + "://" + u.URL.Host, audience: u.Audience, transport: newTransport(u.AnswerWithin, u.TLS)}
	if b.audience == "" {
		b.audience = b.origin
	}
	if u.Health != "" {
		b.health = b.origin + strings.TrimSuffix(u.URL.EscapedPath(), "/") + u.Health
	}
	b.handler = p.reverse(b, u)
	return b
}

// newTransport makes the connections to the portal. What costs a proxy most
// is dialing anew, and the default keeps two idle connections.
func newTransport(answerWithin time.Duration, tlsConfig *tls.Config) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // WebSockets need it
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  nil, // the portal is where the configuration says, not where the environment does
		DialContext:            dialer.DialContext,
		Protocols:              protocols,
		TLSClientConfig:        tlsConfig,
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
	g := passageOf(ctx)
	to := g.place.backend
	if to.sick.Load() {
		return p.unwell()
	}
	w := &writer{ResponseWriter: c.Writer, gin: c.Writer, reference: web.Reference(ctx), streams: &p.streams}
	defer w.left()
	if most := g.place.maxBody; most > 0 {
		if r.ContentLength > most {
			c.Header("Connection", "close")
			return tooLarge(most)
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
	}
	if r.ContentLength != 0 {
		r.Body = inbound{r.Body}
	}
	unhurry(w, r)
	if who != nil {
		var err error
		if g.assertion, err = p.statement(who, to.audience); err != nil {
			return err
		}
		g.who = who
		watched, cancel := p.sessions.Watch(ctx, who)
		defer cancel()
		defer w.cutWhenDone(watched)() // before cancel, which would look like an end
		r = r.WithContext(watched)
	}
	w.Header().Del(headerHSTS) // the portal says so itself, or dress does
	to.handler.ServeHTTP(w, r)
	w.unlessCut(func() { p.hurry(w, r) }) // what of the body the portal did not want
	cleanResponse(w.Header())             // the trailer, which is written after this
	return nil
}

// tooLarge is the refusal of a body of more than most bytes.
func tooLarge(most int64) error {
	return fault.New(fault.TooLarge, "what you sent is larger than the %d bytes that may be sent here", most)
}

// reverse makes the reverse proxy to a portal.
func (p *Proxy) reverse(b *backend, u Upstream) *httputil.ReverseProxy {
	base, prefix := u.URL, strings.TrimSuffix(u.URL.EscapedPath(), "/")
	scheme := p.public.Scheme
	return &httputil.ReverseProxy{
		Transport:  watched(b.transport, p.observe, p.via),
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
			public := p.public.Host
			if g.host != p.home {
				public = g.host
			}
			if out.Host = u.Host; u.Host == "" {
				out.Host = public
			}
			h := out.Header
			// ReverseProxy has removed what the client's Connection header
			// names; only from here on do headers stay.
			if from := web.ClientAddress(pr.In); from != "" {
				h["X-Forwarded-For"] = []string{from}
			}
			h["X-Forwarded-Proto"] = []string{scheme}
			h["X-Forwarded-Host"] = []string{public}
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
			if _, ours := ownBearer(h); ours {
				delete(h, "Authorization")
			}
			if g.who != nil {
				g.place.names.identify(h, g.who, g.assertion)
			}
		},
		ModifyResponse: func(res *http.Response) error {
			cleanResponse(res.Header)
			p.dress(res.Header)
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
	if p.hsts != "" { // the answer is ours
		w.Header().Set(headerHSTS, p.hsts)
	}
	f := &web.Failure{Err: fault.Wrap(fault.Unavailable, err, "the portal behind this gate does not answer"), Status: http.StatusBadGateway}
	var slow net.Error
	var large *http.MaxBytesError
	var broken *brokenBody
	switch {
	case ok && errors.Is(context.Cause(out.Context()), session.ErrEnded):
		w.Header().Set("Connection", "close") // a body may still be on its way
		// Past the writer, which is about to be cut: this answer is ours.
		web.Fail(tw.ResponseWriter, out, p.log, p.signInFirst(fault.New(fault.Unauthenticated, "your session has ended"), passageOf(out.Context()).host))
		return
	case errors.As(err, &large):
		w.Header().Set("Connection", "close")
		web.Fail(w, out, p.log, tooLarge(large.Limit))
		return
	case errors.As(err, &broken):
		w.Header().Set("Connection", "close")
		web.Fail(w, out, p.log, fault.Wrap(fault.Invalid, err, "what you sent did not arrive whole"))
		return
	case errors.As(err, &slow) && slow.Timeout():
		f.Status = http.StatusGatewayTimeout
		f.Err = fault.Wrap(fault.Unavailable, err, "the portal behind this gate took too long to answer")
	}
	web.Fail(w, out, p.log, f)
}

// inbound is the body of a request, whose faults are the client's and not the
// portal's.
type inbound struct{ io.ReadCloser }

func (b inbound) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = &brokenBody{err}
	}
	return n, err
}

// brokenBody is a body that could not be read.
type brokenBody struct{ error }

func (b *brokenBody) Unwrap() error { return b.error }

// buffers keeps the buffers that bodies are copied through.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[]byte); ok {
		return *buf
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(buf []byte) { b.pool.Put(&buf) }
