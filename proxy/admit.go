package proxy

import (
	"iter"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"portcullis/fault"
	"portcullis/session"
	"portcullis/web"
)

const signInPath = web.Prefix + "/sign-in"

// portal serves whatever is not the gate's own: it admits the request, or
// says why not, and hands it to the upstream.
func (p *Proxy) portal(j *journey) error {
	r := j.in
	v := p.decide(j, &target{passage: &j.passage, method: r.Method, upgrade: len(r.Header["Upgrade"]) > 0})
	if v.err == nil {
		j.who = v.who
		return p.forward(j)
	}
	if v.stale {
		web.ClearCookie(j.ResponseWriter, p.public, web.SessionCookie)
	}
	if v.signIn != "" && navigates(r) {
		web.SetHeaders(j.Header())
		http.Redirect(&j.writer, r, v.signIn, http.StatusFound)
		return nil
	}
	return v.err
}

// errNoPage is the refusal of a path of our own where nothing is.
func errNoPage() error { return fault.New(fault.NotFound, "there is no such page") }

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
func (p *Proxy) decide(j *journey, t *target) verdict {
	if t.own() {
		return verdict{err: errNoPage()}
	}
	r, client, now := j.in, j.Client(), p.now()
	j.now = now
	if err := p.limits.ofAddress(client, now); err != nil {
		j.hasty = true
		return verdict{err: err}
	}
	rules := p.accessTo(t)
	if t.unknown {
		rules = p.strictest()
	}
	if err := rules.refuseAddress(client); err != nil {
		return verdict{err: err}
	}
	who, err := p.whose(j, t.host)
	switch {
	case err == nil:
		if err := p.limits.ofPerson(who, now); err != nil {
			j.hasty = true
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
			stale: p.hasToken(r, t.host),
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

// whose gives the principal of a request for a host. It fails like
// [Sessions.Verify], and with fault.Forbidden for somebody whose connection does
// not let them in from where they are.
func (p *Proxy) whose(j *journey, host string) (*session.Principal, error) {
	who, err := p.recognize(j, host)
	if err != nil {
		return nil, err
	}
	if p.keepsOut(who, j.Client()) {
		return nil, errElsewhere()
	}
	return who, nil
}

// recognize gives the principal of an API token, or of the first session
// cookie that is valid. A store that is away makes nobody a stranger.
func (p *Proxy) recognize(j *journey, host string) (who *session.Principal, err error) {
	if secret, ours := ownBearer(j.in.Header); ours {
		return p.bearer(j, secret)
	}
	for token := range p.tokens(j.in, host) {
		if who, err = p.sessions.Verify(j.ctx, token); err == nil {
			return who, nil
		}
		if !fault.Is(err, fault.Unauthenticated) {
			break
		}
	}
	web.ReadByNobody(j.ctx)
	if err == nil {
		err = fault.New(fault.Unauthenticated, "you are not signed in")
	}
	return nil, err
}

// tokens gives what stands in session cookies of a host, in order.
func (p *Proxy) tokens(r *http.Request, host string) iter.Seq[string] {
	values := web.CookieSeq(r.Header, p.cookie)
	if host != p.home {
		return p.opened(host, values)
	}
	return values
}

// hasToken reports whether there is any of [Proxy.tokens].
func (p *Proxy) hasToken(r *http.Request, host string) bool {
	for range p.tokens(r, host) {
		return true
	}
	return false
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

// SetNetworks puts in force where the people of connections may come from: for
// every request that begins from now on, and for what is open, which ends at
// once where it comes from elsewhere. It gives how much that is. The caller
// changes nothing of networks afterwards, and calls it for one state after the
// other.
func (p *Proxy) SetNetworks(networks map[string][]netip.Prefix) (cut int) {
	before := *p.networks.Swap(&networks)
	changed := make(map[string]bool)
	for id, from := range networks {
		if len(from) > 0 && !slices.Equal(from, before[id]) {
			changed[id] = true
		}
	}
	if len(changed) == 0 {
		return 0
	}
	return p.sessions.CutWhere(func(who *session.Principal, from string) bool {
		return changed[who.Connection] && p.keepsOut(who, from)
	})
}

// keepsOut reports whether somebody may not come from an address.
func (p *Proxy) keepsOut(who *session.Principal, from string) bool {
	networks := (*p.networks.Load())[who.Connection]
	return len(networks) > 0 && !within(networks, from)
}

// errElsewhere refuses whom their connection does not let in from where they are.
func errElsewhere() error {
	return fault.New(fault.Forbidden, "your organization does not let you in from your network")
}
