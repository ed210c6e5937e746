package login

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/saml"
	"portcullis/session"
	"portcullis/web"
)

// signOutCookie holds which logout request of ours is under way in a browser,
// and where to go on after it.
const (
	signOutCookie = "portcullis-signout"
	signOutLife   = 5 * time.Minute
)

// samlLogout takes logout messages of a SAML identity provider: its requests,
// which end our sessions, and its answers to ours.
func (l *Login) samlLogout(c *gin.Context) error {
	f, err := l.federated(c)
	if err != nil {
		return err
	}
	c.Header("Cache-Control", "no-store")
	if err = l.obeyLogout(c, f); err != nil && web.Status(err) < http.StatusInternalServerError {
		return l.signOutFailed(web.ClientAddress(c.Request), err)
	}
	return err
}

func (l *Login) obeyLogout(c *gin.Context, f *federated) error {
	ctx, address := c.Request.Context(), web.ClientAddress(c.Request)
	sp, _, err := f.provider(ctx)
	if err != nil {
		return err
	}
	var form url.Values
	if c.Request.Method == http.MethodPost {
		if form, err = samlForm(c); err != nil {
			return err
		}
	}
	var message *saml.Logout
	err = l.inLine(ctx, address, func() (err error) {
		if c.Request.Method == http.MethodPost {
			message, err = sp.ReadLogoutPOST(form)
		} else {
			message, err = sp.ReadLogoutRedirect(c.Request.URL.RawQuery)
		}
		return err
	})
	if err != nil {
		return refused(err)
	}
	if message.Answer != nil {
		return l.loggedOut(c, message.Answer)
	}
	status, err := l.endNamed(ctx, f, message, address)
	if err != nil {
		return err
	}
	out, err := sp.MakeLogoutResponse(saml.LogoutAnswer{
		InResponseTo: message.ID, Status: status, RelayState: message.Request.RelayState, Binding: f.answerBinding(message.Request.Binding),
	})
	if err != nil { // it wants no answer: it has no address for one
		f.log.WarnContext(ctx, "logout not answered", "reference", web.Reference(ctx), "error", err.Error())
		return signedOutPage(c, "/")
	}
	return leave(out).send(c, "Going back to your identity provider")
}

// answerBinding is the one that a request came by, if its sender takes answers
// there.
func (f *federated) answerBinding(came string) string {
	if md := f.source.current.Load(); md != nil {
		for _, e := range md.IDP.SLO {
			if e.Binding == came {
				return came
			}
		}
	}
	return ""
}

// refused makes the fault of a message that is not accepted one of the
// request: whoever sent it is not asked to sign in.
func refused(err error) error {
	if fault.Is(err, fault.Unauthenticated) {
		return fault.Wrap(fault.Invalid, err, "%s", fault.Message(err))
	}
	return err
}

// endNamed ends the sessions that a request names: one by one, each once, so
// that a request that could be obeyed in part may be sent again.
func (l *Login) endNamed(ctx context.Context, f *federated, m *saml.Logout, address string) (status string, err error) {
	r := m.Request
	_, idp, err := f.provider(ctx)
	if err != nil {
		return "", err
	}
	by := audit.Actor{Kind: "idp", Name: f.conn.ID, Address: address}
	indexes := r.SessionIndexes
	if len(indexes) == 0 {
		indexes = []string{""} // all of the person's
	}
	ended, repeated := 0, 0
	for _, index := range indexes {
		request := session.Request{Hash: digest(m.ID + "\n" + index), Expires: m.Expires}
		n, err := l.sessions.EndNamed(ctx, session.Named{
			Connection: f.conn.ID, Issuer: idp.EntityID, Subject: r.NameID, Session: index,
		}, request, by, web.Reference(ctx))
		switch {
		case fault.Is(err, fault.Conflict):
			repeated++
		case err != nil:
			return "", fmt.Errorf("sessions: %w", err)
		}
		ended += n
	}
	if repeated == len(indexes) {
		return "", fault.Wrap(fault.Invalid, errors.New("replay"), "this sign-out was used already")
	}
	l.log.InfoContext(ctx, "identity provider signed somebody out", "reference", web.Reference(ctx),
		"connection", f.conn.ID, "channel", "saml", "ended", ended)
	return saml.StatusSuccess, nil
}

// loggedOut ends a sign-out that began here. The session is over already, so
// that the answer changes nothing but what the person reads.
func (l *Login) loggedOut(c *gin.Context, a *saml.LogoutAnswer) error {
	for _, v := range web.Cookies(c.Request, l.public, signOutCookie) {
		id, state, _ := strings.Cut(v, ".")
		if subtle.ConstantTimeCompare([]byte(id), []byte(a.InResponseTo)) != 1 {
			continue
		}
		web.ClearCookie(c.Writer, l.public, signOutCookie)
		returnTo := l.afterSignOut(url.Values{"state": {state}})
		if a.Status != saml.StatusSuccess || a.SubStatus != "" {
			ctx := c.Request.Context()
			l.log.WarnContext(ctx, "identity provider did not sign out everywhere", "reference", web.Reference(ctx),
				"connection", c.Param("connection"), "status", a.Status, "sub_status", a.SubStatus)
			return web.Page(c, http.StatusOK, "message", web.Message{
				Title: "You are signed out here",
				Text:  "Your identity provider did not end all of its own sessions. Close the browser, above all on a shared computer.",
				Link:  web.Link{Text: "Sign in again", URL: returnTo},
			})
		}
		return signedOutPage(c, returnTo)
	}
	return fault.New(fault.Invalid, "this sign-out has ended already, or was not started in this browser")
}
