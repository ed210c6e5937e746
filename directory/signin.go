package directory

import (
	"context"
	"strings"
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
}

// Connection gives one connection by its id.
func (d *Directory) Connection(id string) (Connection, bool) {
	c, ok := d.connections[id]
	return c, ok
}

// SignIn finds or makes the person that a verified assertion speaks of,
// stores what was asserted, and decides whether they may come in. reference
// is the id that stands on the page and in the log.
//
// Whoever may not come in is refused with fault.Forbidden and a sentence for
// them; the refusal is in the audit trail. Nothing is stored of somebody
// whom the directory cannot place; of somebody whom only the mapping
// refuses, the facts are kept, so that "why?" can be answered.
func (d *Directory) SignIn(ctx context.Context, a Assertion, reference string) (SignedIn, error) {
	conn, ok := d.connections[a.Connection]
	if !ok {
		return SignedIn{}, fault.New(fault.NotFound, "no connection %q", a.Connection)
	}
	if a.Subject == "" || a.Issuer == "" {
		return SignedIn{}, fault.New(fault.Invalid, "the identity provider named nobody")
	}
	d.limitEmail(conn, &a)
	now := d.now()
	if a.Received.IsZero() {
		a.Received = now
	}
	var in SignedIn
	var refusal error
	err := d.store.Update(ctx, func(tx Tx) error {
		in, refusal = SignedIn{Assertion: a}, nil
		event := audit.Event{
			At: now, Action: audit.SignIn, Connection: a.Connection, Reference: reference, Subject: a.UserName,
			Actor: audit.Actor{Kind: "person", Name: a.Name},
		}
		var err error
		if in, err = d.place(tx, conn, a, now); err == nil {
			event.Person, event.Actor.ID = in.Person.ID, in.Person.ID
			in.Access, err = d.admit(tx, &in, now)
		}
		switch fault.KindOf(err) {
		case fault.Forbidden, fault.Unavailable:
			if err == nil {
				break
			}
			refusal = err
			event.Action, event.Reason = audit.SignInRefused, fault.Message(err)
		default:
			if err != nil {
				return err
			}
		}
		return tx.Audit(event)
	})
	if err != nil {
		return SignedIn{}, err
	}
	if refusal != nil {
		return SignedIn{}, refusal
	}
	return in, nil
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
	domain, ok := emailDomain(email)
	return ok && d.claimed[domain] == conn.Organization
}

// emailDomain gives the domain in lower case, and false for what is not one
// plain address.
func emailDomain(email string) (string, bool) {
	local, domain, ok := strings.Cut(email, "@")
	if !ok || local == "" || domain == "" || strings.ContainsAny(domain, "@ \t\r\n") {
		return "", false
	}
	return strings.ToLower(domain), true
}

// place finds the person of an assertion, or makes one where the connection
// allows it, and stores the assertion.
func (d *Directory) place(tx Tx, conn Connection, a Assertion, now time.Time) (SignedIn, error) {
	in := SignedIn{Assertion: a}
	if domain, ok := emailDomain(a.Email); ok {
		if owner, taken := d.claimed[domain]; taken && owner != conn.Organization {
			return in, fault.New(fault.Forbidden, "the e-mail address that your identity provider sent belongs to another organization")
		}
	}
	dead, err := tx.Buried(conn.ID, tombstones(conn.ID, a.Issuer, a.Subject, a.Link))
	if err != nil {
		return in, err
	}
	if dead {
		return in, fault.New(fault.Forbidden, "your account was deleted by %s", conn.Organization)
	}
	in.Person, err = d.find(tx, conn, a, now)
	if err != nil {
		return in, err
	}
	if !in.Person.Provisioned {
		if err := d.refresh(tx, &in.Person, a, now); err != nil {
			return in, err
		}
	}
	in.AssertionID, err = tx.InsertAssertion(in.Person.ID, a)
	return in, err
}

// find gives the person of (connection, issuer, subject); failing that the
// pushed person whom the link value meets; failing that a new one.
func (d *Directory) find(tx Tx, conn Connection, a Assertion, now time.Time) (Person, error) {
	p, err := tx.PersonBySubject(conn.ID, a.Issuer, a.Subject)
	if err == nil || !fault.Is(err, fault.NotFound) {
		return p, err
	}
	identity := Identity{Connection: conn.ID, Issuer: a.Issuer, Subject: a.Subject, Link: a.Link, Created: now}
	if a.Link != "" {
		p, err = tx.PersonByLink(conn.ID, a.Link)
		if err == nil {
			return p, d.meet(tx, p, identity, now)
		}
		if !fault.Is(err, fault.NotFound) {
			return p, err
		}
	}
	if conn.Provisioning == SCIM {
		return p, fault.New(fault.Forbidden, "%s has not set you up here yet", conn.Organization)
	}
	p = Person{
		ID: newID(), Connection: conn.ID, Organization: conn.Organization, IDPActive: true,
		UserName: a.UserName, Name: a.Name, Email: a.Email, EmailVerified: a.EmailVerified,
		Version: 1, Created: now, Modified: now,
	}
	if err := tx.InsertPerson(p, ""); err != nil {
		return p, err
	}
	identity.Person = p.ID
	if err := tx.InsertIdentity(identity); err != nil {
		return p, err
	}
	return p, tx.Audit(audit.Event{
		At: now, Action: audit.PersonCreated, Actor: audit.Gate(), Person: p.ID, Subject: p.UserName,
		Connection: conn.ID, Reason: "first sign-in",
	})
}

// meet ties a sign-in to the pushed person that it met. A person has one
// identity per connection: a second subject that claims the same link value
// is refused until an administrator decides.
func (d *Directory) meet(tx Tx, p Person, identity Identity, now time.Time) error {
	have, err := tx.Identities(p.ID)
	if err != nil {
		return err
	}
	if len(have) > 0 {
		return fault.New(fault.Forbidden, "your account is linked to another sign-in of %s", p.Organization)
	}
	identity.Person = p.ID
	if err := tx.InsertIdentity(identity); err != nil {
		return err
	}
	return tx.Audit(audit.Event{
		At: now, Action: audit.PersonLinked, Actor: audit.Gate(), Person: p.ID, Subject: p.UserName,
		Connection: p.Connection, Reason: "sign-in met the pushed record",
	})
}

// refresh takes over what the identity provider says now of somebody whom
// SCIM does not manage.
func (d *Directory) refresh(tx Tx, p *Person, a Assertion, now time.Time) error {
	next := *p
	next.UserName, next.Name, next.Email, next.EmailVerified = a.UserName, a.Name, a.Email, a.EmailVerified
	if next.UserName == p.UserName && next.Name == p.Name && next.Email == p.Email && next.EmailVerified == p.EmailVerified {
		return nil
	}
	next.Version++
	next.Modified = now
	*p = next
	if err := tx.UpdatePerson(next, ""); err != nil {
		return err
	}
	return tx.Change(Change{At: now, Person: p.ID})
}

// admit evaluates a fresh sign-in.
func (d *Directory) admit(tx Tx, in *SignedIn, now time.Time) (mapping.Access, error) {
	s := Standing{Person: in.Person, Assertion: in.Assertion}
	var err error
	if s.Organization, err = tx.Organization(in.Person.Organization); err != nil {
		return mapping.Access{}, err
	}
	if s.Pushed, err = tx.GroupsOf(in.Person.ID); err != nil {
		return mapping.Access{}, err
	}
	if in.Assertion.GroupsIncomplete {
		last, err := tx.LastAssertion(in.Person.ID, true)
		switch {
		case err == nil:
			s.LastComplete = &last
		case !fault.Is(err, fault.NotFound):
			return mapping.Access{}, err
		}
	}
	return s.Admit(d.policy(), now)
}
