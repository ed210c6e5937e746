package proxy

import (
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
	"portcullis/session"
	"portcullis/web"
)

const signInPath = web.Prefix + "/sign-in"

// portal serves whatever is not the gate's own: it admits the request, or
// says why not, and hands it to the upstream.
func (p *Proxy) portal(c *gin.Context) error {
	r := c.Request
	g := passageOf(r.Context())
	v := p.decide(r, &target{passage: g, method: r.Method, upgrade: r.Header.Get("Upgrade") != ""})
	if v.stale {
		web.ClearCookie(c.Writer, p.public, web.SessionCookie)
	}
	switch {
	case v.err == nil:
		return p.forward(c, v.who)
	case v.signIn != "" && navigates(r):
		web.SetHeaders(c.Writer.Header())
		c.Redirect(http.StatusFound, v.signIn)
		return nil
	default:
		return v.err
	}
}

// target is what a request asks of the portal: its own, or the one that a
// proxy in front asks about.
type target struct {
	*passage

	method  string // empty if nobody knows it: the strictest rules of the path hold
	upgrade bool   // it opens a WebSocket
	unknown bool   // nobody who is trusted says what is asked for: the strictest rules of all hold
}

// verdict is what is decided about a request.
type verdict struct {
	who    *session.Principal // nil on a public path, for nobody in particular
	err    error              // why the request is refused, for a script; nil if it is admitted
	signIn string             // a local address where a person gets what is missing; empty where signing in changes nothing
	stale  bool               // the session cookies that came with it are worth nothing
}

// decide is the one judgement behind every request for the portal, whether
// the gate forwards it or a proxy in front asks.
func (p *Proxy) decide(r *http.Request, t *target) verdict {
	if t.own() {
		return verdict{err: fault.New(fault.NotFound, "there is no such page")}
	}
	client, now := web.ClientAddress(r), p.now()
	if err := p.limits.ofAddress(client, now); err != nil {
		return verdict{err: err}
	}
	rules := p.accessTo(t)
	if t.unknown {
		rules = p.strictest()
	}
	if err := rules.refuseAddress(client); err != nil {
		return verdict{err: err}
	}
	who, err := p.who(r, t.host)
	switch {
	case err == nil:
		if err := p.limits.ofPerson(who, now); err != nil {
			return verdict{err: err}
		}
		if err := rules.refuse(who); err != nil {
			return verdict{err: err}
		}
		if why := rules.unmet(who, now); why != "" && who.Token {
			return verdict{err: fault.New(fault.Forbidden, "a program cannot come here: %s", why)}
		} else if why != "" {
			return p.stepUp(t, who, rules.demand(), why)
		}
	case rules.public:
		who = nil // a public path is open to whoever cannot be recognized, too
	case isBearer(r):
		return verdict{err: err}
	case t.host != p.home && p.handOver == nil && fault.Is(err, fault.Unauthenticated):
		// Our cookies are bound to the public host.
		return verdict{err: fault.New(fault.Forbidden, "only public pages are served at this address")}
	case fault.Is(err, fault.Unauthenticated):
		return verdict{
			err: p.signInFirst(err, t.host), signIn: signInPath + "?return_to=" + url.QueryEscape(t.path+t.query),
			stale: len(p.tokens(r, t.host)) > 0,
		}
	default:
		return verdict{err: err}
	}
	// Browsers send cookies with a WebSocket to whoever asks for it: the
	// origin is the only sign of who did (RFC 6455, section 10.2). A browser
	// always names one; what names none is a program that was given the cookie.
	if origin, named := r.Header["Origin"]; t.upgrade && named && (len(origin) != 1 || origin[0] != p.originAt(t.host)) {
		return verdict{err: fault.New(fault.Forbidden, "a WebSocket must be opened from a page of this site")}
	}
	return verdict{who: who}
}

// who gives the principal of a request for a host. It fails like [Sessions.Verify], and
// with fault.Forbidden for somebody whose connection does not let them in from
// where they are.
func (p *Proxy) who(r *http.Request, host string) (*session.Principal, error) {
	who, err := p.recognize(r, host)
	if err != nil {
		return nil, err
	}
	if from := p.networks[who.Connection]; len(from) > 0 && !within(from, web.ClientAddress(r)) {
		return nil, fault.New(fault.Forbidden, "your organization does not let you in from your network")
	}
	return who, nil
}

// recognize gives the principal of an API token, or of the first session
// cookie that is valid. A store that is away makes nobody a stranger.
func (p *Proxy) recognize(r *http.Request, host string) (*session.Principal, error) {
	if secret, ours := ownBearer(r.Header); ours {
		return p.bearer(r, secret)
	}
	err := fault.New(fault.Unauthenticated, "you are not signed in")
	for _, token := range p.tokens(r, host) {
		who, failed := p.sessions.Verify(r.Context(), token)
		if failed == nil {
			return who, nil
		}
		if err = failed; !fault.Is(err, fault.Unauthenticated) {
			return nil, err
		}
	}
	return nil, err
}

// tokens gives what stands in session cookies of a host, in order.
func (p *Proxy) tokens(r *http.Request, host string) []string {
	values := web.Cookies(r, p.public, web.SessionCookie)
	if host != p.home {
		return p.opened(host, values)
	}
	return values
}

// signInFirst is the refusal of whoever has no session: a script reads in it
// where a person can sign in.
func (p *Proxy) signInFirst(err error, host string) error {
	return &web.Failure{
		Err:     err,
		Link:    web.Link{Text: "Sign in", URL: signInPath},
		Members: map[string]any{"sign_in": p.originAt(host) + signInPath},
	}
}
