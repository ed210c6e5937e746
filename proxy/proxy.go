// Package proxy is the gate itself: every request of the public listener goes
// through it, is judged once, and reaches one of the gate's own pages, the
// SCIM endpoint or the portal behind.
//
// A request passes, in this order: its reference, the guard of its path, the
// removal of headers and cookies that only the gate may set, and then either
// gin's routes of the gate's own paths, or the session, the rules of [Route],
// and the upstream with the signed statement of who it is.
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
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
	"portcullis/session"
	"portcullis/web"
)

const jwksPath = web.Prefix + "/jwks.json"

// SCIMPrefix is the path below which SCIM is served.
const SCIMPrefix = "/scim/v2"

// Sessions says who is behind a cookie. [session.Manager] is one.
type Sessions interface {
	// Verify fails with fault.Unauthenticated, saying why in words for the
	// person, or with fault.Unavailable.
	Verify(ctx context.Context, token string) (*session.Principal, error)
	// VerifyToken is Verify for the secret of an API token.
	VerifyToken(ctx context.Context, secret string) (*session.Principal, error)
	// Watch gives a context that ends soon after the right to be inside does,
	// with session.ErrEnded as its cause. from is where the request comes from.
	Watch(ctx context.Context, p *session.Principal, from string) (context.Context, context.CancelFunc)
	// CutWhere ends what runs under Watch where something holds, and gives how
	// much that is.
	CutWhere(over func(p *session.Principal, from string) bool) (cut int)
}

// Keys signs what the portal is told, and publishes the keys to check it.
type Keys interface {
	Sign(claims any) (string, error)
	JWKS() []byte // nil while nobody knows which are good
}

// Config is what a Proxy needs.
type Config struct {
	PublicURL *url.URL // required: an origin; the issuer of the assertion
	Upstream  Upstream // required: the portal, where no route says otherwise
	Sessions  Sessions // required
	Keys      Keys     // required

	Routes         []Route                   // rules beyond "whoever is signed in"
	TrustedProxies []netip.Prefix            // whose X-Forwarded-* count; none by default
	Askers         []netip.Prefix            // those of them that ask at /.portcullis/auth, none if empty; nil: any may be, see [readable]
	Networks       map[string][]netip.Prefix // by connection: where its people may come from; anywhere if none are named
	Limits         Limits                    // of requests for the portal; none by default
	MaxBody        int64                     // bytes of a request's body for the portal; 0 is no bound
	HSTS           time.Duration             // Strict-Transport-Security of our own pages; 0 is none
	PortalHeaders  bool                      // set the usual security headers, and HSTS, where the portal does not
	Mount          []func(*gin.RouterGroup)  // registers further routes below web.Prefix, by their whole paths: sign-in, the console
	SCIM           http.Handler              // serves everything below SCIMPrefix; nothing does if nil
	BodyWithin     time.Duration             // how long a body may take that is not for the portal; defaults to 2m
	ProbeEvery     time.Duration             // how often [Proxy.Run] asks upstreams for their health; defaults to 5s
	// Observe hears of each answer of a portal how long it took to begin;
	// status 0 says that there was none. Nobody hears by default.
	Observe func(status int, took time.Duration)
	// HandOver lets people be signed in at the other hosts that Routes name, too;
	// nil: those serve public pages alone.
	HandOver *HandOver
	// Language is the tag of the language that a person chose for our pages, empty
	// if they chose none. It is asked when a page is shown, for a moment at most;
	// everybody reads their browser's if it is nil.
	Language func(ctx context.Context, person string) (tag string, err error)
	// Via goes around the way to each upstream; nothing does by default.
	Via func(http.RoundTripper) http.RoundTripper
	Now func() time.Time // defaults to time.Now
	Log *slog.Logger     // defaults to discarding
}

// Proxy is the handler of the public listener. It is safe for concurrent use.
type Proxy struct {
	public   *url.URL
	home     string // the host of public, in canonical form
	origin   string // of public, as browsers write it
	issuer   string
	sessions Sessions
	keys     Keys
	trusted  []netip.Prefix                       // proxies
	askers   []netip.Prefix                       // those that ask; nil: nobody said
	own      http.Handler                         // of the gate's own paths
	cookie   string                               // what the session's is called
	scheme   []string                             // of public, as a header
	observe  func(status int, took time.Duration) // may be nil
	streams  streams
	buffers  buffers
	via      func(http.RoundTripper) http.RoundTripper     // may be nil
	handOver *HandOver                                     // may be nil
	language func(context.Context, string) (string, error) // may be nil

	rules       []rule
	settings    []*rule         // that say how requests are handed on
	hosts       map[string]bool // that requests may be for; nil where that is not judged
	methodAware bool            // some rule names methods
	lenient     bool            // some route lets encoded slashes or semicolons through
	main        *backend
	backends    []*backend // main, and those of routes
	names       *names
	identity    []string // every header that says who is there
	extra       []string // those of them that are not ours by name

	networks      atomic.Pointer[map[string][]netip.Prefix]
	limits        limits
	maxBody       int64
	hsts          string
	portalHeaders bool
	patience      time.Duration // with a body that is not for the portal
	probeEvery    time.Duration
	now           func() time.Time
	log           *slog.Logger
}

// New makes a Proxy. Whoever is done with it calls [Proxy.Close].
func New(c Config) *Proxy {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.BodyWithin == 0 {
		c.BodyWithin = 2 * time.Minute
	}
	if c.ProbeEvery == 0 {
		c.ProbeEvery = 5 * time.Second
	}
	p := &Proxy{
		public: c.PublicURL, home: canonicalHost(c.PublicURL.Scheme, c.PublicURL.Host), origin: originOf(c.PublicURL),
		issuer:   strings.TrimSuffix(c.PublicURL.String(), "/"),
		trusted:  c.TrustedProxies,
		askers:   c.Askers,
		sessions: c.Sessions, keys: c.Keys, observe: c.Observe, via: c.Via, handOver: c.HandOver, language: c.Language, limits: newLimits(c.Limits), maxBody: c.MaxBody,
		portalHeaders: c.PortalHeaders, patience: c.BodyWithin, probeEvery: c.ProbeEvery, now: func() time.Time { return c.Now().UTC() }, log: c.Log,
	}
	p.networks.Store(&c.Networks)
	if c.HSTS > 0 && c.PublicURL.Scheme == "https" { // on http browsers must ignore it (RFC 6797, section 7.2)
		p.hsts = "max-age=" + strconv.Itoa(int(c.HSTS.Seconds()))
	}
	p.cookie, p.scheme = web.CookieName(c.PublicURL, web.SessionCookie), []string{c.PublicURL.Scheme}
	p.arrange(c)
	p.own = p.engine(c)
	web.Warm()
	return p
}

// arrange makes the rules and the ways to the upstreams.
func (p *Proxy) arrange(c Config) {
	p.main = p.newBackend(c.Upstream)
	p.backends = []*backend{p.main}
	p.names = Headers{}.names()
	p.rules = compile(c.Routes)
	p.hosts = p.hostsOf(c.Routes)
	p.methodAware = slices.ContainsFunc(c.Routes, func(r Route) bool { return len(r.Methods) > 0 })
	for i := range p.rules {
		r := &p.rules[i]
		p.lenient = p.lenient || r.EncodedSlash || r.Semicolon
		if r.Upstream != nil {
			r.backend = p.newBackend(*r.Upstream)
			p.backends = append(p.backends, r.backend)
		}
		if r.Headers != (Headers{}) {
			r.names = r.Headers.names()
		}
		if r.backend != nil || r.names != nil || r.MaxBody > 0 {
			p.settings = append(p.settings, r)
		}
	}
	p.identity = identities(p.names, p.rules)
	for _, name := range p.identity {
		if !identityHeader(name) {
			p.extra = append(p.extra, name)
		}
	}
}

// Close drops idle connections to the upstreams. Requests under way go on.
func (p *Proxy) Close() {
	for _, b := range p.backends {
		b.transport.CloseIdleConnections()
	}
}

// engine routes the gate's own paths, but for [authPath]: what is asked for
// each request of the portal takes no detour. Own paths are matched exactly, so
// that a wrong method, case or slash is refused here and never falls through.
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
	own.Match(read, jwksPath, web.Handle(p.log, p.jwks))
	own.Match(read, web.Prefix+"/whoami", web.Handle(p.log, p.whoami))
	own.Match(read, handOverPath, web.Handle(p.log, p.handOff))
	for _, mount := range c.Mount {
		mount(own)
	}
	if c.SCIM != nil {
		e.Any(SCIMPrefix+"/*path", gin.WrapH(c.SCIM))
	}
	e.NoMethod(web.Handle(p.log, func(*gin.Context) error {
		return &web.Failure{Err: fault.New(fault.Invalid, "this address does not take that method"), Status: http.StatusMethodNotAllowed}
	}))
	e.NoRoute(web.Handle(p.log, func(*gin.Context) error { return errNoPage() }))
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

// originAt is the origin of our pages on a host.
func (p *Proxy) originAt(host string) string {
	if host == p.home {
		return p.origin
	}
	return strings.ToLower(p.public.Scheme) + "://" + host
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
