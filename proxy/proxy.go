// Package proxy is the gate itself: every request of the public listener goes
// through it, is judged once, and reaches one of the gate's own pages, the
// SCIM endpoint or the portal behind.
//
// A request passes, in this order: its reference, the guard of its path, the
// removal of headers and cookies that only the gate may set, gin's routes of
// the gate's own paths, the session, the rules of [Route], and the upstream
// with the signed statement of who it is.
//
// Invariants:
//   - What was judged is what is forwarded, byte for byte.
//   - Nothing below [web.Prefix] and [SCIMPrefix] ever reaches the upstream.
//   - Identity headers are ours or absent; our cookies never reach the
//     upstream, and the upstream never sets one.
//   - A request of a session ends with the session, also when it has become a
//     WebSocket or a stream, and also when the client reads nothing.
//   - In doubt a request is refused: no session store, no entrance.
package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
	"portcullis/session"
	"portcullis/web"
)

// SCIMPrefix is the path below which SCIM is served.
const SCIMPrefix = "/scim/v2"

// Sessions says who is behind a cookie. [session.Manager] is one.
type Sessions interface {
	// Verify fails with fault.Unauthenticated, saying why in words for the
	// person, or with fault.Unavailable.
	Verify(ctx context.Context, token string) (*session.Principal, error)
	// Watch gives a context that ends soon after the right to be inside does,
	// with session.ErrEnded as its cause.
	Watch(ctx context.Context, p *session.Principal) (context.Context, context.CancelFunc)
}

// Keys signs what the portal is told, and publishes the keys to check it.
type Keys interface {
	Sign(claims any) (string, error)
	JWKS() []byte
}

// Config is what a Proxy needs.
type Config struct {
	PublicURL *url.URL // required: an origin; the issuer of the assertion
	Upstream  *url.URL // required: the portal; a path is put in front of every request's
	Sessions  Sessions // required
	Keys      Keys     // required

	Audience       string                   // of the assertion; defaults to the upstream's origin
	UpstreamHost   string                   // the Host that the portal sees; defaults to the public one
	Routes         []Route                  // rules beyond "whoever is signed in"
	TrustedProxies []netip.Prefix           // whose X-Forwarded-* count; none by default
	Mount          []func(*gin.RouterGroup) // registers further routes below web.Prefix, by their whole paths: sign-in, the console
	SCIM           http.Handler             // serves everything below SCIMPrefix; nothing does if nil
	AnswerWithin   time.Duration            // how long the portal may take to begin its answer; defaults to 2m
	BodyWithin     time.Duration            // how long a body may take that is not for the portal; defaults to 2m
	// Observe hears of each answer of the portal how long it took to begin;
	// status 0 says that there was none. Nobody hears by default.
	Observe func(status int, took time.Duration)
	Now     func() time.Time // defaults to time.Now
	Log     *slog.Logger     // defaults to discarding
}

// Proxy is the handler of the public listener. It is safe for concurrent use.
type Proxy struct {
	public    *url.URL
	origin    string // of public, as browsers write it
	issuer    string
	audience  string
	sessions  Sessions
	keys      Keys
	rules     []rule
	upstream  http.Handler
	transport *http.Transport
	streams   streams
	handler   http.Handler
	patience  time.Duration // with a body that is not for the portal
	now       func() time.Time
	log       *slog.Logger
}

// New makes a Proxy. Whoever is done with it calls [Proxy.Close].
func New(c Config) *Proxy {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.AnswerWithin == 0 {
		c.AnswerWithin = 2 * time.Minute
	}
	if c.BodyWithin == 0 {
		c.BodyWithin = 2 * time.Minute
	}
	if c.Audience == "" {
		c.Audience = c.Upstream.Scheme + "://" + c.Upstream.Host
	}
	if c.UpstreamHost == "" {
		c.UpstreamHost = c.PublicURL.Host
	}
	p := &Proxy{
		public: c.PublicURL, origin: originOf(c.PublicURL), issuer: strings.TrimSuffix(c.PublicURL.String(), "/"), audience: c.Audience,
		sessions: c.Sessions, keys: c.Keys, rules: compile(c.Routes), patience: c.BodyWithin, now: func() time.Time { return c.Now().UTC() }, log: c.Log,
	}
	p.transport = newTransport(c.AnswerWithin)
	p.upstream = p.reverse(watched(p.transport, c.Observe), c.Upstream, c.UpstreamHost)
	p.handler = web.References(p.guard(p.engine(c)), c.TrustedProxies...)
	return p
}

// ServeHTTP answers one request.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// Close drops idle connections to the upstream. Requests under way go on.
func (p *Proxy) Close() { p.transport.CloseIdleConnections() }

// engine routes: the gate's own paths are gin's, everything else that is not
// reserved is the portal's. Own paths are matched exactly, so that a wrong
// method, case or slash is refused here and never falls through.
func (p *Proxy) engine(c Config) *gin.Engine {
	gin.SetMode(gin.ReleaseMode) // else gin writes to the standard output
	e := gin.New()
	e.RedirectTrailingSlash = false
	e.HandleMethodNotAllowed = true
	_ = e.SetTrustedProxies(nil) // web.ClientAddress knows better; nil cannot fail
	e.Use(web.Recover(p.log))

	own := e.Group("/", web.Secure, p.sameOrigin())
	read := []string{http.MethodGet, http.MethodHead}
	own.Match(read, web.AssetPrefix+"*name", web.Handle(p.log, func(c *gin.Context) error { return web.Asset(c.Writer, c.Request) }))
	own.Match(read, web.Prefix+"/jwks.json", web.Handle(p.log, p.jwks))
	own.Match(read, web.Prefix+"/whoami", web.Handle(p.log, p.whoami))
	for _, mount := range c.Mount {
		mount(own)
	}
	// Whatever method the request in question has, and whoever sent it: the
	// answer changes nothing.
	e.Any(authPath, web.Secure, web.Handle(p.log, p.forwardAuth))
	e.Any(authPath+"/*target", web.Secure, web.Handle(p.log, p.forwardAuth))
	if c.SCIM != nil {
		e.Any(SCIMPrefix+"/*path", gin.WrapH(c.SCIM))
	}
	e.NoMethod(web.Handle(p.log, func(*gin.Context) error {
		return &web.Failure{Err: fault.New(fault.Invalid, "this address does not take that method"), Status: http.StatusMethodNotAllowed}
	}))
	e.NoRoute(web.Handle(p.log, p.portal))
	return e
}

// sameOrigin refuses forged requests to our own paths: a browser's request
// that changes something must come from our own pages. Identity providers
// send browsers back with a POST from elsewhere; those answers are bound to
// the browser by other means.
func (p *Proxy) sameOrigin() gin.HandlerFunc {
	check := http.NewCrossOriginProtection()
	_ = check.AddTrustedOrigin(p.origin) // an origin of a valid public URL cannot fail
	check.AddInsecureBypassPattern(web.Prefix + "/oidc/{connection}/callback")
	check.AddInsecureBypassPattern(web.Prefix + "/saml/{connection}/{endpoint}")
	return web.Handle(p.log, func(c *gin.Context) error {
		return fault.Wrap(fault.Forbidden, check.Check(c.Request), "this request was sent from another site")
	})
}

// originOf is the origin of a URL as browsers write it: without the port
// that is the scheme's own.
func originOf(u *url.URL) string {
	return strings.ToLower(u.Scheme) + "://" + canonicalHost(u.Scheme, u.Host)
}

func canonicalHost(scheme, host string) string {
	host = strings.ToLower(host)
	switch strings.ToLower(scheme) {
	case "https":
		return strings.TrimSuffix(host, ":443")
	case "http":
		return strings.TrimSuffix(host, ":80")
	default:
		return host
	}
}
