package login

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"github.com/gin-gonic/gin"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/outbound"
	"portcullis/session"
	"portcullis/trace"
	"portcullis/web"
)

var (
	errNoSuchWay = fault.New(fault.NotFound, "there is no such way to sign in")
	errNotOurs   = fault.New(fault.Invalid, "this sign-in was not started in this browser")
	errSignIns   = fault.New(fault.Unavailable, "too many sign-ins from your network at the moment")
	errFrames    = fault.New(fault.Unavailable, "too many sign-outs from your network at the moment")
	errSignOuts  = fault.New(fault.Unavailable, "too many sign-outs from your network fail at the moment")
	errPart      = fault.New(fault.Invalid, "a sign-in is a page of its own, and not a part of one")
)

// arrival is who came back from an identity provider, verified.
type arrival struct {
	assertion directory.Assertion
	ticket    session.Ticket
}

// arrive lets somebody in, or tells them why not. answer takes the attempt
// that the request belongs to and verifies what the identity provider says;
// the attempt it gives is the zero value while it is not known to be this
// browser's.
//
// Who shares an address with others cannot help what those send: failures of
// the address keep nobody out who comes back from a sign-in of this browser.
func (l *Login) arrive(c *gin.Context, answer func(*provider) (Attempt, arrival, error)) error {
	if !web.Navigates(c.Request) { // a page of any site can have its visitors send these, and count for them
		return errPart
	}
	debt := l.limit.debt(web.ClientAddress(c.Request))
	p, ok := l.provider(c.Param("connection"))
	stranger := !ok || l.browser(c.Request, p.protocol.cookie()) == ""
	if stranger && framed(c.Request) && (!ok || !p.unasked()) { // likewise, and nobody comes in without the cookie
		return errNotOurs
	}
	if stranger && debt != nil {
		return debt
	}
	if !ok {
		return l.lost(c)
	}
	b := l.traced(c, p)
	attempt, who, err := answer(p)
	if debt != nil && err != nil && attempt.Created.IsZero() {
		return debt
	}
	if err == nil {
		err = l.inForce(b, p)
	}
	b.Start(attempt.Reference, attempt.Created, attempt.Demand.String())
	if attempt.Test != "" {
		return l.finishTest(c, p, b, attempt, who, err)
	}
	var in directory.SignedIn
	if err == nil {
		in, err = l.admit(c, p, b, attempt, who)
	}
	l.conclude(b, in, err)
	l.record(c, p, attempt.Reference, err)
	if err == nil {
		l.remember(c, p)
		c.Header("Cache-Control", "no-store")
		c.Redirect(http.StatusSeeOther, attempt.ReturnTo)
		return nil
	}
	return l.failure(p, attempt.ReturnTo, err)
}

// framed reports whether a page loads the request as a frame of its own (W3C
// Fetch Metadata, section 2.1), as one of any site can.
func framed(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "iframe", "frame", "fencedframe", "embed", "object":
		return true
	}
	return false
}

// ofOurs reports whether the page that makes the request is of this site (W3C
// Fetch Metadata, section 2.3). The portal's own frames may sign in anew; in
// those of another site no session cookie of ours would come along, and our
// pages are not shown.
func ofOurs(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "same-site":
		return true
	}
	return false
}

// lost ends a request that comes back to a connection that does not exist: one
// that was renamed, or a provider that was told another address. It is traced
// as a stranger's, all of them together, since anybody may send it.
func (l *Login) lost(c *gin.Context) error {
	b := l.traced(c, nil)
	b.Check("connection", false, "one of the configuration", c.Param("connection"))
	l.conclude(b, directory.SignedIn{}, errNoSuchWay)
	l.limit.failed(web.ClientAddress(c.Request))
	return errNoSuchWay
}

// failure is the page of a sign-in that failed.
func (l *Login) failure(p *provider, returnTo string, err error) error {
	return &web.Failure{Err: err, Advice: advice(err), Link: again(p, returnTo), Other: another(returnTo)}
}

// admit makes a session of whoever may enter.
func (l *Login) admit(c *gin.Context, p *provider, b *trace.Builder, a Attempt, who arrival) (in directory.SignedIn, err error) {
	ctx := c.Request.Context()
	defer func() { told(b, who.assertion, in) }()
	if err := l.meets(b, a, who); err != nil {
		return in, err
	}
	if err := fromWhere(p, web.ClientAddress(c.Request)); err != nil {
		b.Check("network", false, "one that the connection lets in", "another")
		return in, err
	}
	in, err = l.directory.SignIn(ctx, who.assertion, web.Reference(ctx))
	b.Check("access", err == nil, "a person who may enter", outcomeOf(err))
	if err != nil {
		return in, fmt.Errorf("directory: %w", err)
	}
	if len(a.Replaces) > 0 { // the cookie may not have come along
		by := audit.Actor{Kind: "person", ID: in.Person.ID, Name: in.Person.Name, Address: web.ClientAddress(c.Request)}
		if _, _, err := l.sessions.EndHashed(ctx, a.Replaces, by); err != nil {
			return in, fmt.Errorf("previous session: %w", err)
		}
	}
	if !a.Created.IsZero() {
		who.ticket.Begun = a.Created
	}
	if err := l.enter(c, b, p, in, who.ticket); err != nil {
		b.Check("session", false, "one that may begin", outcomeOf(err))
		return in, err
	}
	return in, nil
}

// fromWhere fails with fault.Forbidden for somebody whose connection does not
// let them in from where they are: nobody gets a session there.
func fromWhere(p *provider, address string) error {
	from := p.conn.Addresses
	if len(from) == 0 {
		return nil
	}
	at, err := netip.ParseAddr(address)
	if err != nil || !slices.ContainsFunc(from, func(n netip.Prefix) bool { return n.Contains(at) }) {
		return fault.New(fault.Forbidden, "your organization does not let you in from your network")
	}
	return nil
}

// outcomeOf says in a trace how a check ended.
func outcomeOf(err error) string {
	if err == nil {
		return "as wanted"
	}
	return fault.Message(err)
}

// again is the way on after a sign-in that failed.
func again(p *provider, returnTo string) web.Link {
	return web.Link{Text: "Sign in again", URL: signInURL(p.conn.ID, returnTo, false)}
}

func advice(err error) string {
	if fault.Is(err, fault.Invalid) {
		return "Sign in again; if that does not help, tell your administrator and quote the reference below."
	}
	return "" // that of the kind
}

// record logs how an attempt ended and counts failures that the client can
// bring about.
func (l *Login) record(c *gin.Context, p *provider, started string, err error) {
	ctx, outcome := c.Request.Context(), "signed in"
	if err != nil {
		outcome = fault.KindOf(err).String()
		if k := fault.KindOf(err); k == fault.Invalid || k == fault.Forbidden || k == fault.NotFound {
			l.limit.failed(web.ClientAddress(c.Request))
		}
	}
	l.log.InfoContext(ctx, "sign-in finished", "reference", web.Reference(ctx), "started", started,
		"connection", p.conn.ID, "outcome", outcome)
}

// consume takes the attempt that belongs to the state, this browser and this
// connection. It is gone afterwards, whatever else is wrong.
func (l *Login) consume(r *http.Request, p *provider, state string) (Attempt, error) {
	a, err := l.store.ConsumeAttempt(r.Context(), digest(state), l.now().UTC())
	b := trace.Of(r.Context())
	if fault.Is(err, fault.NotFound) {
		b.Check("state", false, "of a sign-in that is under way", "of none, or of one that came back already or expired")
		return Attempt{}, fault.Wrap(fault.Invalid, err, "this sign-in has expired or was used already")
	}
	if err != nil {
		return Attempt{}, fmt.Errorf("attempt: %w", err)
	}
	ours := false
	for _, v := range web.Cookies(r, l.public, p.protocol.cookie()) {
		if subtle.ConstantTimeCompare(digest(v), a.BrowserHash) == 1 {
			ours = true
		}
	}
	l.follow(r.Context(), state)
	b.Check("state", true, "of a sign-in that is under way", "as wanted")
	b.Secret("browser", ours)
	b.Check("connection", a.Connection == p.conn.ID, a.Connection, p.conn.ID)
	switch {
	case !ours:
		return Attempt{}, errNotOurs
	case a.Connection != p.conn.ID:
		return Attempt{}, outbound.Refuse(nil, "it came back at another connection than the sign-in was started at")
	}
	return a, nil
}

// enter begins a session: always a new one, and what this browser held before
// ends. A provider that is replaced meanwhile begins none: whoever replaces it
// ends every session that there is once the new one is in force, so that a
// session is either among those or found out here.
func (l *Login) enter(c *gin.Context, b *trace.Builder, p *provider, in directory.SignedIn, ticket session.Ticket) error {
	if err := l.inForce(b, p); err != nil {
		return err
	}
	ctx, address := c.Request.Context(), web.ClientAddress(c.Request)
	for _, old := range web.Cookies(c.Request, l.public, web.SessionCookie) {
		if _, _, err := l.sessions.End(ctx, old, l.actor(ctx, old, address)); err != nil {
			return fmt.Errorf("previous session: %w", err)
		}
	}
	client := session.Client{Address: address, UserAgent: c.Request.UserAgent()}
	token, principal, err := l.sessions.Issue(ctx, in, client, ticket)
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	if err := l.inForce(b, p); err != nil {
		if _, _, failed := l.sessions.End(context.WithoutCancel(ctx), token, audit.Gate()); failed != nil {
			return fmt.Errorf("session of a provider that was replaced: %w", failed)
		}
		return err
	}
	// As long as the session can live at most: it outlives the browser.
	web.SetCookie(c.Writer, l.public, web.SessionCookie, token, principal.Expires.Sub(l.now()))
	return nil
}

// actor is the person behind a session cookie, as far as the gate can tell.
func (l *Login) actor(ctx context.Context, token, address string) audit.Actor {
	by := audit.Actor{Kind: "person", Address: address}
	if p, err := l.sessions.Verify(ctx, token); err == nil {
		by.ID, by.Name = p.PersonID, p.Name
	}
	return by
}
