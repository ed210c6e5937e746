package login

import (
	"fmt"

	"github.com/gin-gonic/gin"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/trace"
	"portcullis/web"
)

// Traces takes what happened at an attempt. [trace.Writer] is one.
type Traces interface {
	// Put takes a record without waiting; complete adds to it later.
	Put(r trace.Record, complete func(*trace.Record))
}

// traced begins the trace of a request and puts it into the request's
// context, for whatever is checked on its way. p is nil where there is no such
// connection.
func (l *Login) traced(c *gin.Context, p *provider) *trace.Builder {
	ctx := c.Request.Context()
	r := trace.Record{Reference: web.Reference(ctx), Started: l.now().UTC(), Address: web.ClientAddress(c.Request)}
	if p != nil {
		r.Connection, r.Protocol = p.conn.ID, p.conn.protocolName()
	}
	b := trace.Begin(r)
	c.Request = c.Request.WithContext(trace.With(ctx, b))
	return b
}

func (c *Connection) protocolName() string {
	if c.OIDC != nil {
		return "oidc"
	}
	return "saml"
}

// conclude ends a trace and hands it over. What the mapping made of the facts
// is explained in the background.
func (l *Login) conclude(b *trace.Builder, in directory.SignedIn, err error) {
	if l.traces == nil {
		return
	}
	r := l.ended(b, trace.SignedIn, err)
	l.traces.Put(r, func(r *trace.Record) {
		if in.Standing.Person.ID != "" {
			r.Decision = trace.Decide(l.directory.Explain(in.Standing))
		}
	})
}

// ended completes a trace; well is the outcome without an error.
func (l *Login) ended(b *trace.Builder, well trace.Outcome, err error) trace.Record {
	now := l.now().UTC()
	switch {
	case err == nil:
		return b.End(now, well, "", "")
	case well == trace.Tested: // however it ends, it was a test
		return b.End(now, well, fault.Message(err), err.Error())
	}
	outcome := trace.Failed
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Forbidden, fault.NotFound, fault.Unauthenticated, fault.Conflict:
		outcome = trace.Refused
	default:
	}
	return b.End(now, outcome, fault.Message(err), err.Error())
}

// told notes whom an answer speaks of, as far as it is known.
func told(b *trace.Builder, a directory.Assertion, in directory.SignedIn) {
	s := in.Standing
	if s.Person.ID == "" {
		s = directory.Standing{Assertion: a, Person: directory.Person{
			Connection: a.Connection, UserName: a.UserName, Email: a.Email, Name: a.Name,
		}}
	}
	b.Person(in.Person.ID)
	facts := s.Facts()
	b.Facts(&facts)
	if len(a.Groups) == 0 && !a.GroupsIncomplete && len(a.AppRoles) == 0 && len(s.Pushed) == 0 {
		b.Note(trace.NoGroups)
	}
	if a.GroupsIncomplete {
		b.Note(trace.Overage)
	}
}

// abandoned traces a sign-in that nobody came back from: most identity
// providers tell those whom they do not let through so on a page of their own.
func (l *Login) abandoned(a Attempt) {
	p, ok := l.provider(a.Connection)
	if l.traces == nil || !ok {
		return
	}
	b := trace.Begin(trace.Record{Reference: a.Reference, Connection: a.Connection, Protocol: p.conn.protocolName(), Address: a.Address})
	b.Start("", a.Created, a.Demand.String())
	why := fmt.Sprintf("nobody came back from the identity provider within %s", attemptLife)
	l.traces.Put(b.End(a.Expires, trace.Abandoned, why, ""), nil)
}
