package directory

import (
	"context"
	"errors"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/mapping"
)

// SignedIn is somebody who may come in.
type SignedIn struct {
	Person      Person
	AssertionID string
	Assertion   Assertion
	Access      mapping.Access
	Standing    Standing // what Access was computed from; the zero value where it did not come to that
}

// Connection gives one connection by its id.
func (d *Directory) Connection(id string) (Connection, bool) {
	c, ok := d.known()[id]
	return c, ok
}

// SignIn finds or makes the person that a verified assertion speaks of,
// stores what was asserted, and decides whether they may come in. reference
// is the id that stands on the page and in the log.
//
// Whoever may not come in is refused with fault.Forbidden and a sentence for
// them; the refusal is in the audit trail. Nothing is stored of somebody
// whom the directory cannot place; of somebody whom only the mapping
// refuses, the facts are kept, so that "why?" can be answered; what is known
// of them comes with the refusal, for the trace alone.
func (d *Directory) SignIn(ctx context.Context, a Assertion, reference string) (SignedIn, error) {
	conn, err := d.prepare(&a)
	if err != nil {
		return SignedIn{}, err
	}
	now := d.now()
	for try := 1; ; try++ {
		in, err := d.signIn(ctx, conn, a, reference, now)
		// Two first sign-ins of one person at once clash; whoever comes second
		// finds the person made.
		if try < 3 && fault.Is(err, fault.Conflict) {
			continue
		}
		return in, err
	}
}

func (d *Directory) signIn(ctx context.Context, conn Connection, a Assertion, reference string, now time.Time) (SignedIn, error) {
	var in SignedIn
	var refusal error
	err := d.store.Update(ctx, func(tx Tx) (err error) {
		if in, refusal, err = d.decide(tx, conn, a, now); err != nil {
			return err
		}
		event := audit.Event{
			At: now, Action: audit.SignIn, Connection: a.Connection, Reference: reference, Subject: a.UserName, Person: in.Person.ID,
			Actor: audit.Actor{Kind: "person", ID: in.Person.ID, Name: a.Name},
		}
		if refusal != nil {
			event.Action, event.Reason = audit.SignInRefused, fault.ToOthers(refusal)
		}
		return tx.Audit(event)
	})
	if err != nil {
		return SignedIn{}, err
	}
	return in, refusal
}

// errRehearsed undoes a transaction that did all that was wanted of it.
var errRehearsed = errors.New("rehearsed")

// Rehearse decides like [Directory.SignIn] and leaves nothing behind: no
// person, no fact, no event. It fails as that does, and like that gives what
// is known with a refusal.
func (d *Directory) Rehearse(ctx context.Context, a Assertion) (SignedIn, error) {
	conn, err := d.prepare(&a)
	if err != nil {
		return SignedIn{}, err
	}
	var in SignedIn
	var refusal error
	err = d.store.Update(ctx, func(tx Tx) (err error) {
		if in, refusal, err = d.decide(tx, conn, a, d.now()); err != nil {
			return err
		}
		return errRehearsed
	})
	if !errors.Is(err, errRehearsed) {
		return SignedIn{}, err
	}
	return in, refusal
}

// Explain says what the mapping in force makes of a standing, and why; nil
// while none is in force.
func (d *Directory) Explain(s Standing) *mapping.Explanation {
	policy := d.policy()
	if policy == nil {
		return nil
	}
	facts := s.Facts()
	e := policy.Explain(&facts, d.now())
	return &e
}

// prepare completes an assertion before it is judged.
func (d *Directory) prepare(a *Assertion) (Connection, error) {
	conn, ok := d.known()[a.Connection]
	if !ok {
		return conn, fault.New(fault.NotFound, "no connection %q", a.Connection)
	}
	if a.Subject == "" || a.Issuer == "" {
		return conn, fault.New(fault.Invalid, "the identity provider named nobody")
	}
	d.limitEmail(conn, a)
	if a.Received.IsZero() {
		a.Received = d.now()
	}
	return conn, nil
}

// decide places somebody and evaluates the sign-in. A refusal is an answer,
// to be written down with the facts; err is a transaction that must not be
// committed, whatever its kind.
func (d *Directory) decide(tx Tx, conn Connection, a Assertion, now time.Time) (in SignedIn, refusal, err error) {
	in, err = d.place(tx, conn, a, now)
	if fault.Is(err, fault.Forbidden) {
		return in, err, nil
	}
	if err != nil {
		return in, nil, err
	}
	s, err := d.standing(tx, in)
	if err != nil {
		return in, nil, err
	}
	in.Standing = s
	in.Access, refusal = s.Admit(d.policy(), now)
	return in, refusal, nil
}

// limitEmail holds an asserted address against the domains that connections
// have claimed: one that belongs to another organization is never passed on
// as verified, nor one outside the connection's own domains.
func (d *Directory) limitEmail(conn Connection, a *Assertion) {
	if !d.ownDomain(conn, a.Email) {
		a.EmailVerified = false
	}
}

// ownDomain reports whether email lies in a domain of the connection. A
// connection that names no domains has none.
func (d *Directory) ownDomain(conn Connection, email string) bool {
	_, domain := plainAddress(email)
	return domain != "" && d.ways.Load().claimed[domain] == conn.Organization
}

var errForeign = fault.Personal(fault.Forbidden, "the e-mail address that your identity provider sent belongs to another organization",
	"the e-mail address that their identity provider sent belongs to another organization")

// place finds the person of an assertion, or makes one where the connection
// allows it, and stores the assertion. It writes nothing when it refuses.
func (d *Directory) place(tx Tx, conn Connection, a Assertion, now time.Time) (SignedIn, error) {
	in := SignedIn{Assertion: a}
	if d.ways.Load().foreign(conn.Organization, a.Email) {
		return in, errForeign
	}
	found, err := find(tx, conn, a)
	if err != nil {
		return in, err
	}
	// Asked after the look-ups, which wait for a deletion under way: by now
	// it has either taken the person and left the tombstone, or must wait.
	dead, err := buried(tx, conn, a, found)
	if err != nil {
		return in, err
	}
	if dead {
		return in, fault.Personal(fault.Forbidden, "your account was deleted by %s", "this account was deleted by %s", conn.Organization)
	}
	if in.Person, err = d.person(tx, conn, a, found, now); err != nil {
		return in, err
	}
	if !in.Person.Provisioned {
		if err := d.refresh(tx, conn, &in.Person, a, now); err != nil {
			return in, err
		}
	}
	in.AssertionID, err = tx.InsertAssertion(in.Person.ID, a)
	return in, err
}

// buried reports whether an assertion speaks of somebody who was deleted. A
// pushed record that lives is stronger than the tombstone of another one with
// the same identifier.
func buried(tx Tx, conn Connection, a Assertion, f found) (bool, error) {
	link := a.Link
	switch {
	case f.subject != nil && f.subject.Provisioned:
		return false, nil
	case f.link != nil || f.ambiguous:
		link = ""
	}
	return tx.Buried(conn.ID, tombstones(conn.ID, a.Issuer, a.Subject, link))
}

// found is whom an assertion may speak of; nil where there is nobody.
type found struct {
	subject   *Person // of (connection, issuer, subject)
	link      *Person // the pushed person whom the link value meets
	ambiguous bool    // the link value meets several, so it says nothing
}

// find looks by link first: a push takes its locks in the same order.
func find(tx Tx, conn Connection, a Assertion) (f found, err error) {
	if a.Link != "" {
		f.link, err = maybe(tx.PersonByLink(conn.ID, a.Link))
		switch {
		case fault.Is(err, fault.Conflict):
			f.link, f.ambiguous = nil, true
		case err != nil:
			return f, err
		}
	}
	f.subject, err = maybe(tx.PersonBySubject(conn.ID, a.Issuer, a.Subject))
	return f, err
}

func maybe(p Person, err error) (*Person, error) {
	if fault.Is(err, fault.NotFound) {
		return nil, nil //nolint:nilnil // nobody is an answer here
	}
	return &p, err
}

// person gives the person of an assertion: the one of its subject; failing
// that the pushed one whom the link value meets; failing that a new one.
func (d *Directory) person(tx Tx, conn Connection, a Assertion, f found, now time.Time) (Person, error) {
	identity := Identity{Connection: conn.ID, Issuer: a.Issuer, Subject: a.Subject, Link: a.Link, Created: now}
	switch {
	case f.ambiguous && (f.subject == nil || !f.subject.Provisioned):
		return Person{}, fault.Personal(fault.Forbidden, "%s has set up several accounts here with your identifier",
			"%s has set up several accounts here with their identifier", conn.Organization)
	case conn.Provisioning == SCIM && f.link == nil && (f.subject == nil || !f.subject.Provisioned):
		return Person{}, fault.Personal(fault.Forbidden, "%s has not set you up here yet", "%s has not set them up here yet", conn.Organization)
	case f.subject != nil && (f.subject.Provisioned || f.link == nil):
		if f.subject.Provisioned && d.Foreign(f.subject) {
			return *f.subject, errForeign
		}
		// A push that comes later meets them on what is asserted today.
		return *f.subject, tx.Relink(identity)
	case f.link != nil:
		if d.Foreign(f.link) {
			return *f.link, errForeign
		}
		return d.meet(tx, conn, f, identity, now)
	}
	p := Person{
		ID: newID(), Connection: conn.ID, Organization: conn.Organization, IDPActive: true,
		UserName: a.UserName, Name: a.Name, Email: a.Email, EmailVerified: a.EmailVerified,
		Version: 1, Created: now, Modified: now,
	}
	if err := d.settleClaim(tx, conn, &p, a, now); err != nil {
		return p, err
	}
	if err := tx.InsertPerson(p, ""); err != nil {
		return p, err
	}
	identity.Person = p.ID
	if err := tx.InsertIdentity(identity); err != nil {
		return p, err
	}
	err := tx.Audit(audit.Event{
		At: now, Action: audit.PersonCreated, Actor: audit.Gate(), Person: p.ID, Subject: p.UserName,
		Connection: conn.ID, Reason: "first sign-in",
	})
	if err != nil {
		return p, err
	}
	// Whoever was deleted by an administrator is as barred as they were, and where they were.
	err = d.recall(tx, &p, "", tombstones(conn.ID, identity.Issuer, identity.Subject, identity.Link), now)
	return p, err
}

// meet ties a sign-in to the pushed person that it met; whoever it was until
// now is absorbed. A person has one identity per connection: a second subject
// that claims the same link value is refused until an administrator decides.
func (d *Directory) meet(tx Tx, conn Connection, f found, identity Identity, now time.Time) (Person, error) {
	p := *f.link
	have, err := tx.Identities(p.ID)
	if err != nil {
		return p, err
	}
	for _, i := range have {
		if i.Issuer == identity.Issuer && i.Subject == identity.Subject {
			return p, nil // a push tied them together a moment ago
		}
	}
	if len(have) > 0 {
		return p, fault.Personal(fault.Forbidden, "your account is linked to another sign-in of %s",
			"this account is linked to another sign-in of %s", p.Organization)
	}
	// The record may be another one than the one that was deleted with a bar.
	if err := d.recall(tx, &p, identity.Link, tombstones(conn.ID, identity.Issuer, identity.Subject, identity.Link), now); err != nil {
		return p, err
	}
	if f.subject != nil {
		if err := tx.Relink(identity); err != nil {
			return p, err
		}
		return p, d.merge(tx, audit.Gate(), f.subject.ID, &p, identity.Link, now)
	}
	identity.Person = p.ID
	if err := tx.InsertIdentity(identity); err != nil {
		return p, err
	}
	return p, tx.Audit(audit.Event{
		At: now, Action: audit.PersonLinked, Actor: audit.Gate(), Person: p.ID, Subject: p.UserName,
		Connection: conn.ID, Reason: "sign-in met the pushed record",
	})
}

// refresh takes over what the identity provider says now of somebody whom
// SCIM does not manage.
func (d *Directory) refresh(tx Tx, conn Connection, p *Person, a Assertion, now time.Time) error {
	next := *p
	next.UserName, next.Name, next.Email, next.EmailVerified = a.UserName, a.Name, a.Email, a.EmailVerified
	if err := d.settleClaim(tx, conn, &next, a, now); err != nil {
		return err
	}
	old := p.Unit
	if next.Unit == old && next.UserName == p.UserName && next.Name == p.Name && next.Email == p.Email && next.EmailVerified == p.EmailVerified {
		return nil
	}
	next.Version++
	next.Modified = now
	*p = next
	if err := tx.UpdatePerson(next, ""); err != nil {
		return err
	}
	if next.Unit != old {
		if err := d.moved(tx, audit.Gate(), next, old, "", 0, now); err != nil {
			return err
		}
	}
	return tx.Change(Change{At: now, Person: p.ID})
}

// standing gathers what a fresh sign-in is judged by.
func (d *Directory) standing(tx Tx, in SignedIn) (s Standing, err error) {
	s = Standing{Person: in.Person, Assertion: in.Assertion}
	d.hold(&s)
	if s.Organization, err = tx.Organization(in.Person.Organization); err != nil {
		return s, err
	}
	if s.PartFrozen, err = closedUnit(tx, in.Person.Unit); err != nil {
		return s, err
	}
	excepted, err := tx.Exceptions(in.Person.ID)
	if err != nil {
		return s, err
	}
	s.Exceptions = InForce(excepted)
	if s.Pushed, err = tx.GroupsOf(in.Person.ID); err != nil || !in.Assertion.GroupsIncomplete {
		return s, err
	}
	last, err := tx.LastAssertion(in.Person.ID, true)
	if fault.Is(err, fault.NotFound) {
		return s, nil
	}
	s.LastComplete = &last
	return s, err
}
