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
	if web.Reserved(g.decoded) || web.Below(g.decoded, SCIMPrefix) {
		return fault.New(fault.NotFound, "there is no such page")
	}
	rules := p.accessTo(r.URL.Path, g.decoded)
	upgrade := r.Header.Get("Upgrade") != ""
	who, err := p.who(r)
	switch {
	case err == nil:
		if err := rules.refuse(who.Access); err != nil {
			return err
		}
		if why := rules.unmet(who, p.now()); why != "" {
			return p.stepUp(c.Writer, r, who, rules.demand(), why)
		}
	case rules.public:
		who = nil // a public path is open to whoever cannot be recognized, too
	case fault.Is(err, fault.Unauthenticated):
		if len(p.tokens(r)) > 0 {
			web.ClearCookie(c.Writer, p.public, web.SessionCookie)
		}
		if navigates(r) {
			web.SetHeaders(c.Writer.Header())
			c.Redirect(http.StatusFound, signInPath+"?return_to="+url.QueryEscape(g.path+g.query))
			return nil
		}
		return p.signInFirst(err)
	default:
		return err
	}
	// Browsers send cookies with a WebSocket to whoever asks for it: the
	// origin is the only sign of who did (RFC 6455, section 10.2). A browser
	// always names one; what names none is a program that was given the cookie.
	if origin, named := r.Header["Origin"]; upgrade && named && (len(origin) != 1 || origin[0] != p.origin) {
		return fault.New(fault.Forbidden, "a WebSocket must be opened from a page of this site")
	}
	return p.forward(c, who)
}

// who gives the principal of the first session cookie that is valid. It fails
// like [Sessions.Verify]; a store that is away makes nobody a stranger.
func (p *Proxy) who(r *http.Request) (*session.Principal, error) {
	err := fault.New(fault.Unauthenticated, "you are not signed in")
	for _, token := range p.tokens(r) {
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

// tokens gives what stands in session cookies, in order.
func (p *Proxy) tokens(r *http.Request) []string {
	return web.Cookies(r, p.public, web.SessionCookie)
}

// signInFirst is the refusal of whoever has no session: a script reads in it
// where a person can sign in.
func (p *Proxy) signInFirst(err error) error {
	return &web.Failure{
		Err:     err,
		Link:    web.Link{Text: "Sign in", URL: signInPath},
		Members: map[string]any{"sign_in": p.issuer + signInPath},
	}
}
