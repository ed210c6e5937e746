package login

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
	"portcullis/outbound"
	"portcullis/saml"
	"portcullis/session"
	"portcullis/trace"
	"portcullis/web"
)

// maxAnswer bounds the form of a SAML message, in bytes: one of 256 kB in
// base64 and in the encoding of a form.
const maxAnswer = 512 << 10

// federated gives the connection of a path if it is one over SAML.
func (l *Login) federated(c *gin.Context) (*federated, error) {
	p, ok := l.provider(c.Param("connection"))
	if !ok {
		return nil, errNoSuchWay
	}
	f, ok := p.protocol.(*federated)
	if !ok {
		return nil, errNoSuchWay
	}
	return f, nil
}

// samlMetadata publishes what we are at an identity provider. It needs nothing
// of the other side, whose administrator reads it first.
func (l *Login) samlMetadata(c *gin.Context) error {
	f, err := l.federated(c)
	if err != nil {
		return err
	}
	doc, err := f.metadata(c.Request.Context())
	if err != nil {
		return err
	}
	c.Header("Content-Disposition", `inline; filename="portcullis-`+f.conn.ID+`.xml"`)
	c.Data(http.StatusOK, "application/samlmetadata+xml", doc)
	return nil
}

// samlForm reads the form that an identity provider has the browser post.
func samlForm(c *gin.Context) (url.Values, error) {
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, maxAnswer)
	err := c.Request.ParseForm()
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, fault.Wrap(fault.TooLarge, err, "the answer of the identity provider is too large")
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the form cannot be read")
	}
	return c.Request.PostForm, nil
}

// samlAnswer takes a browser back from a SAML identity provider.
func (l *Login) samlAnswer(c *gin.Context) error {
	return l.arrive(c, func(p *provider) (Attempt, arrival, error) {
		f, ok := p.protocol.(*federated)
		if !ok {
			return Attempt{}, arrival{}, errNoSuchWay
		}
		form, err := samlForm(c)
		if err != nil {
			return Attempt{}, arrival{}, err
		}
		if len(form["SAMLResponse"]) != 1 || len(form["RelayState"]) > 1 {
			return Attempt{}, arrival{}, fault.New(fault.Invalid, "the form holds no answer of an identity provider")
		}
		attempt, expect, err := l.expected(c.Request, p, f, form.Get("RelayState"))
		if err != nil {
			return attempt, arrival{}, err
		}
		who, err := l.believe(c.Request.Context(), f, form.Get("SAMLResponse"), expect)
		return attempt, who, err
	})
}

// expected gives what an answer must be an answer to: the sign-in that its
// RelayState names, or none where people may begin at the provider. Such a
// RelayState says at most which of our own pages they want.
func (l *Login) expected(r *http.Request, p *provider, f *federated, relayState string) (Attempt, saml.Expect, error) {
	if f.c.AllowIDPInitiated && !isState(relayState) {
		if err := l.limit.debt(web.ClientAddress(r)); err != nil {
			return Attempt{}, saml.Expect{}, err
		}
		trace.Of(r.Context()).Check("state", true, "of a sign-in that is under way, or none", "none: begun at the identity provider")
		// There is no request to be younger than: one that we might have made
		// takes its place.
		return Attempt{Connection: p.conn.ID, ReturnTo: web.SafeReturn(l.public, relayState)}, saml.Expect{
			IDPInitiated: true, RequestedAt: l.now().Add(-attemptLife), ForceAuthn: f.c.ForceAuthn, AuthnContexts: f.c.AuthnContexts,
		}, nil
	}
	attempt, err := l.consume(r, p, relayState)
	if err != nil {
		return attempt, saml.Expect{}, err
	}
	return attempt, saml.Expect{
		RequestID: attempt.Nonce, RequestedAt: attempt.Created, ForceAuthn: f.c.ForceAuthn, AuthnContexts: f.c.AuthnContexts,
	}, nil
}

// believe makes an assertion out of an answer, once.
func (l *Login) believe(ctx context.Context, f *federated, response string, expect saml.Expect) (arrival, error) {
	b := trace.Of(ctx)
	sp, _, err := f.provider(ctx)
	b.Check("identity provider", err == nil, "metadata that can be used", outcomeOf(err))
	if err != nil {
		return arrival{}, err
	}
	st, checks, err := sp.Response(response, expect)
	for _, c := range checks {
		b.Check(c.Name, c.OK, c.Want, c.Got)
	}
	if err != nil {
		return arrival{}, err
	}
	now := l.now().UTC()
	b.Key("certificate " + st.Certificate)
	b.Clock(now, now.Add(st.Skew))
	if st.SHA1 {
		b.Note(trace.SHA1)
	}
	b.Claims(attributeClaims(st.Attributes))
	err = l.store.UseAssertion(ctx, f.conn.ID, digest(st.ID), st.Expires)
	b.Check("used once", err == nil, "an assertion that did not come before", outcomeOf(err))
	if fault.Is(err, fault.Conflict) {
		return arrival{}, fault.Wrap(fault.Invalid, err, "this sign-in was used already")
	}
	if err != nil {
		return arrival{}, err
	}
	assertion, err := f.assertion(ctx, st, now)
	b.Check("facts", err == nil, "attributes that can be read", outcomeOf(err))
	if err != nil {
		return arrival{}, err
	}
	f.complete(ctx, st, &assertion)
	ticket, err := f.ticket(st, now)
	return arrival{assertion, ticket}, err
}

// ticket is what the provider's sign-out requests, and ours there, go by.
func (f *federated) ticket(st *saml.Statement, now time.Time) (session.Ticket, error) {
	id, err := json.Marshal(nameID{st.NameID, st.NameIDFormat, st.NameQualifier, st.SPNameQualifier})
	if err != nil {
		return session.Ticket{}, err
	}
	ends := st.SessionNotOnOrAfter
	if !ends.IsZero() && !ends.After(now) { // within the skew that was tolerated
		return session.Ticket{}, outbound.Refuse(nil, "its session there is over")
	}
	return session.Ticket{
		Issuer: st.Issuer, Subject: st.NameID, Session: st.SessionIndex, IDToken: string(id), Ends: ends,
		Begun: now.Add(min(st.Skew, 0)), // of an answer that nobody asked for
	}, nil
}
