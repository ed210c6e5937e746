package login

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/session"
	"portcullis/web"
)

// confirmSignOut asks before it ends anything, since a GET must not. Whoever
// holds no session sees that they are signed out: the identity provider sends
// browsers back here, too.
func (l *Login) confirmSignOut(c *gin.Context) error {
	returnTo := l.afterSignOut(c.Request.URL.Query())
	for _, token := range web.Cookies(c.Request, l.public, web.SessionCookie) {
		p, err := l.sessions.Verify(c.Request.Context(), token)
		switch {
		case err == nil:
			name := p.Name
			if name == "" {
				name = p.Email
			}
			return web.Page(c, http.StatusOK, "sign-out", web.SignOut{Action: signOutPath, ReturnTo: returnTo, Name: name, Cancel: returnTo})
		case !fault.Is(err, fault.Unauthenticated):
			return fmt.Errorf("session: %w", err)
		}
	}
	web.ReadByNobody(c.Request.Context())
	return signedOutPage(c, returnTo)
}

func signedOutPage(c *gin.Context, returnTo string) error {
	return web.Page(c, http.StatusOK, "message", web.Message{
		Title: "You are signed out",
		Text:  "Your session here has ended. On a shared computer, close the browser too: your identity provider may still know you.",
		Link:  web.Link{Text: "Sign in again", URL: returnTo},
	})
}

// afterSignOut reads where to go on: return_to, or the state that came back
// from the identity provider, which is the same in another coat. Either is
// judged, whoever wrote it.
func (l *Login) afterSignOut(query url.Values) string {
	target := query.Get("return_to")
	if state := query.Get("state"); target == "" && state != "" {
		if b, err := base64.RawURLEncoding.DecodeString(state); err == nil {
			target = string(b)
		}
	}
	return web.SafeReturn(l.public, target)
}

// signOut ends the session here and then at the identity provider; on every
// device, if the form says everywhere.
func (l *Login) signOut(c *gin.Context) error {
	if err := l.forgery.Check(c.Request); err != nil {
		return fault.Wrap(fault.Forbidden, err, "this sign-out came from another site")
	}
	ctx, address := c.Request.Context(), web.ClientAddress(c.Request)
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxForm)
	if err := c.Request.ParseForm(); err != nil {
		return fault.Wrap(fault.Invalid, err, "the form cannot be read")
	}
	returnTo := web.SafeReturn(l.public, c.Request.Form.Get("return_to"))
	if c.Request.PostForm.Get("everywhere") != "" {
		if err := l.signOutElsewhere(c); err != nil {
			return err
		}
	}
	var ticket session.Ticket
	var connection string
	for _, token := range web.Cookies(c.Request, l.public, web.SessionCookie) {
		t, conn, err := l.sessions.End(ctx, token, l.actor(ctx, token, address))
		if err != nil {
			return fmt.Errorf("session: %w", err)
		}
		if connection == "" {
			ticket, connection = t, conn
		}
	}
	web.ClearCookie(c.Writer, l.public, web.SessionCookie)
	c.Header("Cache-Control", "no-store")
	if connection != "" {
		l.log.InfoContext(ctx, "signed out", "reference", web.Reference(ctx), "connection", connection)
	}
	to := l.signOutTarget(ctx, connection, ticket, returnTo)
	if to.ID != "" {
		web.SetForeignCookie(c.Writer, l.public, signOutCookie, to.ID+"."+encodeReturn(returnTo), signOutLife)
	}
	return to.send(c, "Signing out at your identity provider")
}

// signOutElsewhere ends every other session of whoever asks.
func (l *Login) signOutElsewhere(c *gin.Context) error {
	ctx := c.Request.Context()
	for _, token := range web.Cookies(c.Request, l.public, web.SessionCookie) {
		who, err := l.sessions.Verify(ctx, token)
		switch {
		case fault.Is(err, fault.Unauthenticated):
			continue // over already
		case err != nil:
			return fmt.Errorf("session: %w", err)
		}
		by := audit.Actor{Kind: "person", ID: who.PersonID, Name: who.Name, Address: web.ClientAddress(c.Request)}
		ended, err := l.sessions.EndOthers(ctx, who, by)
		if err != nil {
			return fmt.Errorf("other sessions: %w", err)
		}
		l.log.InfoContext(ctx, "signed out everywhere", "reference", web.Reference(ctx), "connection", who.Connection, "others", ended)
	}
	return nil
}

// signOutTarget is where the identity provider ends its own session, or our
// own page when it offers nothing of the kind.
func (l *Login) signOutTarget(ctx context.Context, connection string, ticket session.Ticket, returnTo string) departure {
	here := signOutPath
	if returnTo != "/" {
		here += "?" + url.Values{"return_to": {returnTo}}.Encode()
	}
	if p, ok := l.provider(connection); ok {
		if to := p.protocol.signOut(ctx, ticket, l.absolute(signOutPath), encodeReturn(returnTo)); to.URL != "" {
			return to
		}
	}
	return departure{URL: here}
}

// encodeReturn is a local target as the state of a sign-out; empty for the
// first page.
func encodeReturn(returnTo string) string {
	if returnTo == "/" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(returnTo))
}
