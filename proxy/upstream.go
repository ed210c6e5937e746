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
	"os"
	"strings"
	"sync/atomic"
	"time"

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
	url       *url.URL
	prefix    string // of every path, percent-encoded
	host      string // that the portal sees; empty for the one that a request is for
	transport *http.Transport
	round     http.RoundTripper // by transport, observed
	upgrade   http.Handler      // of requests to become something else than HTTP
	sick      atomic.Bool
}

func (p *Proxy) newBackend(u Upstream) *backend {
	if u.AnswerWithin == 0 {
		u.AnswerWithin = 2 * time.Minute
	}
	b := &backend{
		origin: u.URL.Scheme + "://" + u.URL.Host, audience: u.Audience, url: u.URL, prefix: strings.TrimSuffix(u.URL.EscapedPath(), "/"),
		host: u.Host, transport: newTransport(u.AnswerWithin, u.TLS),
	}
	if b.audience == "" {
		b.audience = b.origin
	}
	if u.Health != "" {
		b.health = b.origin + b.prefix + u.Health
	}
	b.round = watched(b.transport, p.observe, p.via)
	b.upgrade = p.reverse(b)
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
func (p *Proxy) forward(j *journey) error {
	r, w, to := j.in, &j.writer, j.place.backend
	if to.sick.Load() {
		return p.unwell()
	}
	defer w.left()
	if most := j.place.maxBody; most > 0 {
		if r.ContentLength > most {
			w.Header().Set("Connection", "close")
			return tooLarge(most)
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
	}
	if r.ContentLength != 0 {
		if j.who == nil {
			r.Body = &paced{ReadCloser: r.Body, proxy: p, w: w, left: p.patience}
		} else {
			unhurry(w)
		}
		j.body.ReadCloser = r.Body
		defer j.body.over.Store(true)
		r.Body = &j.body
	}
	ctx := j.ctx
	if j.who != nil {
		var err error
		if j.assertion, err = p.statement(j.who, to.audience, j.now); err != nil {
			return err
		}
		var cancel context.CancelFunc
		ctx, cancel = p.sessions.Watch(ctx, j.who, j.Client())
		defer cancel()
		if p.keepsOut(j.who, j.Client()) { // since it was admitted: nobody cuts it any more
			return errElsewhere()
		}
	}
	delete(w.Header(), headerHSTS) // the portal says so itself, or dress does
	upgrade := len(r.Header["Upgrade"]) > 0
	defer w.keep() // before cancel, which would look like an end
	if j.who != nil && (upgrade || r.ContentLength != 0) {
		w.cutWhenDone(ctx)
	}
	if upgrade {
		to.upgrade.ServeHTTP(w, r.WithContext(ctx))
		cleanResponse(w.Header()) // the trailer, which is written after this
	} else {
		p.carry(ctx, j)
	}
	w.unlessCut(func() { p.hurry(w, r) }) // what of the body the portal did not want
	return nil
}

// tooLarge is the refusal of a body of more than most bytes.
func tooLarge(most int64) error {
	return fault.New(fault.TooLarge, "what you sent is larger than the %d bytes that may be sent here", most)
}

// address says where on the upstream a request goes. The request line is written
// from Opaque and RawQuery as they stand: net/url would re-encode some paths.
func (b *backend) address(j *journey) *url.URL {
	j.out = url.URL{Scheme: b.url.Scheme, Host: b.url.Host, Opaque: b.prefix + j.path}
	if j.query != "" {
		j.out.RawQuery, j.out.ForceQuery = j.query[1:], true
	}
	return &j.out
}

// introduce sets the headers that tell the portal of a request, in h, which the
// client's Connection header can take nothing from any more; and gives the
// Host. What a trusted proxy put into Forwarded stays.
func (p *Proxy) introduce(h http.Header, j *journey, forwarded []string) (host string) {
	public := p.public.Host
	if j.host != p.home {
		public = j.host
	}
	if host = j.place.backend.host; host == "" {
		host = public
	}
	if from := j.Client(); from != "" {
		h["X-Forwarded-For"] = j.line(from)
	} else {
		delete(h, "X-Forwarded-For")
	}
	h["X-Forwarded-Proto"] = p.scheme
	h["X-Forwarded-Host"] = j.line(public)
	if forwarded != nil {
		h["Forwarded"] = forwarded
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
	if j.who != nil {
		j.place.names.identify(h, j)
	}
	return host
}

// received takes from an answer of the portal what only the gate may set.
func (p *Proxy) received(res *http.Response) {
	cleanResponse(res.Header)
	p.dress(res.Header)
	p.endless(res)
}

// reverse makes the reverse proxy to a portal for requests that may become
// something else than HTTP; all others are carried, see [Proxy.carry].
func (p *Proxy) reverse(b *backend) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Transport: b.round,
		ErrorLog:  slog.NewLogLogger(p.log.Handler(), slog.LevelDebug), // what matters comes to failed
		Rewrite: func(pr *httputil.ProxyRequest) {
			j := journeyOf(pr.In.Context())
			pr.Out.URL = b.address(j) // whole: ReverseProxy drops what of a query has a ";" in it
			pr.Out.Host = p.introduce(pr.Out.Header, j, pr.In.Header["Forwarded"])
		},
		ModifyResponse: func(res *http.Response) error {
			p.received(res)
			return nil
		},
		ErrorHandler: func(_ http.ResponseWriter, out *http.Request, err error) {
			p.failed(out.Context(), journeyOf(out.Context()), err)
		},
	}
}

// failed answers for an upstream that did not.
func (p *Proxy) failed(ctx context.Context, j *journey, err error) {
	w, r := &j.writer, j.request()
	if w.Written() { // a WebSocket whose opening could not be written
		p.log.DebugContext(ctx, "client went away", "reference", j.Reference(), "error", err)
		return
	}
	if p.hsts != "" { // the answer is ours
		w.Header().Set(headerHSTS, p.hsts)
	}
	f := &web.Failure{Err: fault.Wrap(fault.Unavailable, err, "the portal behind this gate does not answer"), Status: http.StatusBadGateway}
	var slow net.Error
	var large *http.MaxBytesError
	broken := j.body.broken.Load()
	switch {
	case errors.Is(context.Cause(ctx), session.ErrEnded):
		w.Header().Set("Connection", "close") // a body may still be on its way
		// Past the writer, which is about to be cut: this answer is ours.
		web.Fail(w.ResponseWriter, r, p.log, p.signInFirst(fault.New(fault.Unauthenticated, "your session has ended"), j.host))
		return
	case broken != nil && errors.As(*broken, &large):
		w.Header().Set("Connection", "close")
		web.Fail(w, r, p.log, tooLarge(large.Limit))
		return
	case broken != nil:
		w.Header().Set("Connection", "close")
		f = &web.Failure{Err: fault.Wrap(fault.Invalid, *broken, "what you sent did not arrive whole")}
		if errors.Is(*broken, os.ErrDeadlineExceeded) {
			f.Status = http.StatusRequestTimeout
		}
	case errors.As(err, &slow) && slow.Timeout():
		f.Status = http.StatusGatewayTimeout
		f.Err = fault.Wrap(fault.Unavailable, err, "the portal behind this gate took too long to answer")
	}
	web.Fail(w, r, p.log, f)
}

// inbound is the body of a request, whose faults are the client's and not the
// portal's. The transport may neither close it, which waits for what the client
// has not sent, nor read it once the handler is over, which is not allowed.
type inbound struct {
	io.ReadCloser

	over   atomic.Bool
	broken atomic.Pointer[error] // why it did not arrive whole; the transport may say that the request was canceled, as net/http does then
}

func (b *inbound) Read(p []byte) (int, error) {
	if b.over.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		cause := err // what is pointed at costs an allocation
		b.broken.Store(&cause)
	}
	return n, err
}

// Close keeps the transport from reading on. The server closes what is below.
func (b *inbound) Close() error {
	b.over.Store(true)
	return nil
}
