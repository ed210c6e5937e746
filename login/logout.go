package login

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"

	"github.com/gin-gonic/gin"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/oidc"
	"portcullis/session"
	"portcullis/web"
)

// openID gives the connection of a path if it is one over OpenID Connect.
func (l *Login) openID(c *gin.Context) (*openID, error) {
	p, ok := l.provider(c.Param("connection"))
	if !ok {
		return nil, errNoSuchWay
	}
	o, ok := p.protocol.(*openID)
	if !ok {
		return nil, errNoSuchWay
	}
	return o, nil
}

// backChannelLogout obeys a logout token that an OpenID provider sends from
// its server to ours (OpenID Connect Back-Channel Logout 1.0). Every failure
// is a 400, as section 2.8 asks, and the provider may send another token.
func (l *Login) backChannelLogout(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	ctx, address := c.Request.Context(), web.ClientAddress(c.Request)
	err := l.obeyLogoutToken(c, address)
	if err == nil {
		c.Status(http.StatusOK)
		return
	}
	refusal := err
	if fault.Is(err, fault.Invalid) || fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		refusal = l.signOutFailed(address, err)
	}
	if refusal == err { //nolint:errorlint // the same, not one of its kind
		l.log.WarnContext(ctx, "logout token refused", "reference", web.Reference(ctx), "connection", c.Param("connection"), "error", err.Error())
	} // and nothing more of an address that would fill the log
	c.JSON(http.StatusBadRequest, logoutProblem{Error: "invalid_request", Description: fault.Message(refusal)})
}

// logoutProblem is the answer to a request that failed (section 2.8).
type logoutProblem struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func (l *Login) obeyLogoutToken(c *gin.Context, address string) error {
	o, err := l.openID(c)
	if err != nil {
		return err
	}
	raw, err := logoutToken(c)
	if err != nil {
		return err
	}
	ctx := c.Request.Context()
	var token oidc.Logout
	err = l.inLine(ctx, address, func() (err error) {
		token, err = o.client.VerifyLogout(ctx, raw)
		return err
	})
	if err != nil {
		return err
	}
	return l.obey(ctx, o, session.Named{Subject: token.Subject, Session: token.Session},
		session.Request{Hash: digest(token.ID), Expires: token.Expires}, "back-channel", address)
}

// inLine verifies a message that is to sign somebody out, which was received
// whole. A good one is always obeyed: its sender may have the address of others,
// who send bad ones. While those of an address fail too often they wait for each
// other, so that no more than one at a time is verified of all such addresses.
func (l *Login) inLine(ctx context.Context, address string, verify func() error) error {
	if l.signOuts.debt(address) == nil {
		return verify()
	}
	select {
	case l.line <- struct{}{}:
		defer func() { <-l.line }()
		return verify()
	case <-ctx.Done():
		return fmt.Errorf("waiting in line: %w", ctx.Err())
	}
}

// signOutFailed counts a message that was to sign somebody out and is not good,
// and gives what its sender is told: err, or that there were too many of them.
func (l *Login) signOutFailed(address string, err error) error {
	if debt := l.signOuts.debt(address); debt != nil {
		return debt
	}
	l.signOuts.failed(address)
	return err
}

// logoutToken reads the one parameter of the request, which is a form (section
// 2.5).
func logoutToken(c *gin.Context) (string, error) {
	kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return "", fault.New(fault.Invalid, "the request is not a form")
	}
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxForm)
	if err := c.Request.ParseForm(); err != nil {
		return "", fault.Wrap(fault.Invalid, err, "the form cannot be read")
	}
	values := c.Request.PostForm["logout_token"]
	if len(values) != 1 || values[0] == "" {
		return "", fault.New(fault.Invalid, "the form holds no logout token")
	}
	return values[0], nil
}

// obey ends the sessions that an OpenID provider names.
func (l *Login) obey(ctx context.Context, o *openID, n session.Named, r session.Request, channel, address string) error {
	n.Connection, n.Issuer = o.conn.ID, o.issuer
	by := audit.Actor{Kind: "idp", Name: o.conn.ID, Address: address}
	ended, err := l.sessions.EndNamed(ctx, n, r, by, web.Reference(ctx))
	if err != nil {
		return fmt.Errorf("sessions: %w", err)
	}
	l.log.InfoContext(ctx, "identity provider signed somebody out", "reference", web.Reference(ctx),
		"connection", o.conn.ID, "channel", channel, "ended", ended)
	return nil
}

// frontChannelLogout ends the session that an OpenID provider names through
// the browser (OpenID Connect Front-Channel Logout 1.0, section 2). Our cookie
// does not come along, since the provider loads this in a frame and the cookie
// is bound to our own site; so the sid decides, which the provider chose at
// random. Whoever forges the request ends at most the session whose sid they
// know, be it one that a sign-in is about to make. Both parameters must be there
// and right.
func (l *Login) frontChannelLogout(c *gin.Context) error {
	address := web.ClientAddress(c.Request)
	o, err := l.openID(c)
	if err != nil {
		return err
	}
	if err := l.frames.start(address); err != nil {
		return err
	}
	c.Header("Cache-Control", "no-store")
	query := c.Request.URL.Query()
	issuers, ids := query["iss"], query["sid"]
	if len(issuers) != 1 || issuers[0] != o.issuer || len(ids) != 1 {
		return fault.New(fault.Invalid, "the request to sign out does not say whose session it means")
	}
	sid, err := oidc.Subject(ids[0])
	if err != nil {
		return fault.Wrap(fault.Invalid, errors.New("sid"), "the request to sign out does not say whose session it means")
	}
	r := session.Request{Hash: place(sid), Expires: l.now().UTC().Add(attemptLife), Again: true}
	if err := l.obey(c.Request.Context(), o, session.Named{Session: sid}, r, "front-channel", address); err != nil {
		return err
	}
	c.Status(http.StatusOK)
	return nil
}

// place is where the front-channel request for a session is remembered: one of
// 4,096 of its connection, so that strangers can neither fill the table nor make
// sign-ins look through much of it. To have one forgotten that they do not know the
// place of, they need thousands within the moments of somebody's sign-in.
func place(sid string) []byte {
	hash := digest(sid)
	return []byte{hash[0] % 16, hash[1]}
}

// clientKeys publishes the keys with which the gate proves itself to an OpenID
// provider (private_key_jwt).
func (l *Login) clientKeys(c *gin.Context) error {
	o, err := l.openID(c)
	if err != nil {
		return err
	}
	if o.jwks == nil {
		return fault.New(fault.NotFound, "this connection has no key of its own")
	}
	c.Header("Cache-Control", "public, max-age=300")
	c.Data(http.StatusOK, "application/jwk-set+json", o.jwks())
	return nil
}
