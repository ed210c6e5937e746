package login

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/gin-gonic/gin"
	"golang.org/x/oauth2"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/session"
	"portcullis/web"
)

// maxParameter bounds what an identity provider sends through the browser,
// in bytes.
const maxParameter = 8 << 10

// callback takes the browser's answer back from the identity provider. The
// checks that need no secret come first; the code is redeemed only for the
// browser and connection that asked.
func (l *Login) callback(c *gin.Context) error {
	p, ok := l.byID[c.Param("connection")]
	if !ok {
		return fault.New(fault.NotFound, "there is no such way to sign in")
	}
	if err := l.limit.debt(web.ClientAddress(c.Request)); err != nil {
		return err
	}
	attempt, err := l.finish(c, p)
	l.record(c, p, attempt.Reference, err)
	if err == nil {
		c.Header("Cache-Control", "no-store")
		c.Redirect(http.StatusSeeOther, attempt.ReturnTo)
		return nil
	}
	return &web.Failure{Err: err, Advice: advice(err), Link: again(p, attempt.ReturnTo)}
}

// again is the way on after a sign-in that failed.
func again(p *provider, returnTo string) web.Link {
	target := signInPath + "/" + url.PathEscape(p.conn.ID)
	if returnTo != "" && returnTo != "/" {
		target += "?" + url.Values{"return_to": {returnTo}}.Encode()
	}
	return web.Link{Text: "Sign in again", URL: target}
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

// finish makes a session out of the answer. The attempt it gives is the zero
// value while it is not known to be this browser's.
func (l *Login) finish(c *gin.Context, p *provider) (Attempt, error) {
	ctx := c.Request.Context()
	answer, err := readAnswer(c.Request.URL.RawQuery)
	if err != nil {
		return Attempt{}, err
	}
	attempt, err := l.consume(c.Request, p, answer.state)
	if err != nil {
		return Attempt{}, err
	}
	m, err := p.metadata(ctx)
	if err != nil {
		return attempt, err
	}
	if err := answer.check(m, p.conn.Issuer); err != nil {
		return attempt, err
	}
	assertion, idToken, err := l.redeem(ctx, p, m, attempt, answer.code)
	if err != nil {
		return attempt, err
	}
	in, err := l.directory.SignIn(ctx, assertion, web.Reference(ctx))
	if err != nil {
		return attempt, fmt.Errorf("directory: %w", err)
	}
	return attempt, l.enter(c, in, idToken)
}

// answer is what stands in the query of a callback (RFC 6749, section 4.1.2;
// RFC 9207).
type answer struct {
	state, code, problem string
	issuer               string
	hasIssuer            bool
}

func readAnswer(rawQuery string) (answer, error) {
	var a answer
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return a, refuse(errors.New("malformed query"), "it is malformed")
	}
	for _, f := range []struct {
		name string
		into *string
	}{{"state", &a.state}, {"code", &a.code}, {"error", &a.problem}, {"iss", &a.issuer}} {
		values := query[f.name]
		if len(values) > 1 || len(values) == 1 && len(values[0]) > maxParameter {
			return a, refuse(nil, "it is malformed") // RFC 6749, section 3.1: none stands twice
		}
		*f.into = query.Get(f.name)
	}
	a.hasIssuer = query.Has("iss")
	if a.state == "" {
		return a, refuse(nil, "it belongs to no sign-in")
	}
	return a, nil
}

// consume takes the attempt that belongs to the state, this browser and this
// connection. It is gone afterwards, whatever else is wrong.
func (l *Login) consume(r *http.Request, p *provider, state string) (Attempt, error) {
	a, err := l.store.ConsumeAttempt(r.Context(), digest(state), l.now().UTC())
	if fault.Is(err, fault.NotFound) {
		return Attempt{}, fault.Wrap(fault.Invalid, err, "this sign-in has expired or was used already")
	}
	if err != nil {
		return Attempt{}, fmt.Errorf("attempt: %w", err)
	}
	ours := false
	for _, v := range web.Cookies(r, l.public, BrowserCookie) {
		if subtle.ConstantTimeCompare(digest(v), a.BrowserHash) == 1 {
			ours = true
		}
	}
	switch {
	case !ours:
		return Attempt{}, fault.New(fault.Invalid, "this sign-in was not started in this browser")
	case a.Connection != p.conn.ID:
		return Attempt{}, refuse(nil, "it came back at another connection than the sign-in was started at")
	}
	return a, nil
}

// check judges the answer before the code is redeemed.
func (a answer) check(m *metadata, issuer string) error {
	switch {
	case a.hasIssuer && a.issuer != issuer, !a.hasIssuer && m.answersIssuer:
		return refuse(nil, "it does not come from the identity provider that was asked") // RFC 9207, section 2.4
	case a.problem == "access_denied":
		return fault.New(fault.Forbidden, "the identity provider did not let you in, or the sign-in was cancelled there")
	case a.problem != "":
		return fault.Wrap(fault.Invalid, fmt.Errorf("error %s", codeOf(a.problem)), "the identity provider reported an error")
	case a.code == "":
		return refuse(nil, "it holds no code")
	}
	return nil
}

// codeOf gives an error code of RFC 6749 for the log. Anything else that
// stands in its place might be a secret or a forged line.
func codeOf(s string) string {
	if s == "" || len(s) > 64 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "unknown"
	}
	return s
}

// redeem exchanges the code and verifies what comes back.
func (l *Login) redeem(ctx context.Context, p *provider, m *metadata, a Attempt, code string) (directory.Assertion, string, error) {
	none := directory.Assertion{}
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := p.oauth(m, l.callbackURL(p.conn.ID)).Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		// Its text holds the body of the answer: no log should.
		status := 0
		if e.Response != nil {
			status = e.Response.StatusCode
		}
		return none, "", fault.Wrap(fault.Invalid, fmt.Errorf("token endpoint: status %d, error %s", status, codeOf(e.ErrorCode)),
			"the identity provider did not accept this sign-in")
	}
	if err != nil {
		return none, "", classify(err, "token endpoint")
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok || raw == "" {
		return none, "", refuse(nil, "it holds no ID token")
	}
	claims, err := p.verify(ctx, m, raw, a.Nonce, token.AccessToken)
	if err != nil {
		return none, "", err
	}
	if m.userInfoURL != "" && p.conn.lacks(claims) {
		info, err := p.userInfo(ctx, m, token.AccessToken)
		if err != nil {
			return none, "", err
		}
		if info["sub"] != claims["sub"] { // OpenID Connect Core 1.0, section 5.3.2
			return none, "", refuse(nil, "its user information is about somebody else")
		}
		claims = p.conn.merge(claims, info)
	}
	assertion, err := p.conn.assertion(claims, l.now().UTC())
	return assertion, raw, err
}

// userInfo asks for what the ID token leaves open.
func (p *provider) userInfo(ctx context.Context, m *metadata, accessToken string) (map[string]any, error) {
	data, header, err := get(ctx, p.client, m.userInfoURL, http.Header{"Authorization": {"Bearer " + accessToken}})
	if err != nil {
		return nil, classify(err, "userinfo")
	}
	if strings.HasPrefix(strings.ToLower(header.Get("Content-Type")), "application/jwt") {
		return nil, refuse(nil, "its user information is signed, which this connection did not ask for")
	}
	info, err := decodeObject(data)
	if err != nil {
		return nil, refuse(err, "its user information is malformed")
	}
	return info, nil
}

// enter begins a session: always a new one, and what this browser held before
// ends.
func (l *Login) enter(c *gin.Context, in directory.SignedIn, idToken string) error {
	ctx, address := c.Request.Context(), web.ClientAddress(c.Request)
	for _, old := range web.Cookies(c.Request, l.public, web.SessionCookie) {
		if _, _, err := l.sessions.End(ctx, old, l.actor(ctx, old, address)); err != nil {
			return fmt.Errorf("previous session: %w", err)
		}
	}
	client := session.Client{Address: address, UserAgent: c.Request.UserAgent()}
	token, principal, err := l.sessions.Issue(ctx, in, client, idToken)
	if err != nil {
		return fmt.Errorf("session: %w", err)
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
