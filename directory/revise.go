package directory

import (
	"context"
	"time"

	"portcullis/audit"
	"portcullis/fault"
)

// Revise changes a pushed person. edit gets the person and their record and
// gives the record as it should be; it may be called again, so it only
// computes, and its faults are returned as they are. A record that comes back
// unchanged writes nothing: an identity provider may push the same change
// twice. A record that is no longer active ends every session at once.
func (d *Directory) Revise(ctx context.Context, by audit.Actor, connection, id string, edit func(Person, Record) (Record, error)) (Shown, error) {
	conn, ok := d.known()[connection]
	if !ok {
		return Shown{}, fault.New(fault.NotFound, "no connection %q", connection)
	}
	now := d.now()
	var out Shown
	err := d.store.UpdateOne(ctx, func(tx Tx) (err error) {
		out, err = d.revise(tx, by, conn, id, now, edit)
		return err
	})
	if err != nil {
		return Shown{}, err
	}
	return out, nil
}

// Dismiss is Revise for an edit that leaves of the record everything but
// Active, which becomes false, and insists on it, whoever the person is. The
// store does that at once where it is so plain; edit is called where it is not.
func (d *Directory) Dismiss(ctx context.Context, by audit.Actor, connection, id string, edit func(Person, Record) (Record, error)) (Shown, error) {
	conn, ok := d.known()[connection]
	if !ok {
		return Shown{}, fault.New(fault.NotFound, "no connection %q", connection)
	}
	now := d.now()
	var out Shown
	var gone bool
	err := d.store.UpdateOne(ctx, func(tx Tx) (err error) {
		event := personEvent(now, audit.PersonDeactivated, by, Person{ID: id, Connection: connection})
		if out, gone, err = tx.Dismiss(Departure{Event: event, Reason: string(Deactivated)}); err != nil || gone {
			return err
		}
		out, err = d.revise(tx, by, conn, id, now, edit)
		return err
	})
	if err != nil {
		return Shown{}, err
	}
	if gone && out.EmailVerified != d.ownDomain(conn, out.Email) { // the domains of the connection are others since
		return d.Revise(ctx, by, connection, id, func(_ Person, r Record) (Record, error) { return r, nil })
	}
	return out, nil
}

// revise is Revise within a transaction.
func (d *Directory) revise(tx Tx, by audit.Actor, conn Connection, id string, now time.Time, edit func(Person, Record) (Record, error)) (out Shown, err error) {
	if out, err = shownPerson(tx, conn.ID, id); err != nil {
		return out, err
	}
	old := out.Person
	before, err := recordOf(old)
	if err != nil {
		return out, err
	}
	after, err := edit(old, before)
	if err != nil {
		return out, err
	}
	next := old
	if err := d.apply(&next, after); err != nil {
		return out, err
	}
	if err := d.settleRecord(tx, by, conn, &next, after, now); err != nil {
		return out, err
	}
	if after.Insists && !old.IDPActive && !next.IDPActive {
		if err := insistOnInactive(tx, old, now); err != nil {
			return out, err
		}
	}
	if old.Unconfirmed { // whatever is said of them, they are known there
		if err := tx.ConfirmPerson(old.ID); err != nil {
			return out, err
		}
		old.Unconfirmed, next.Unconfirmed = false, false
	}
	if samePerson(old, next) {
		return out, nil
	}
	next.Version++
	next.Modified = now
	out.Person = next
	link := linkOf(conn, after)
	if err := tx.UpdatePerson(next, link); err != nil {
		return out, err
	}
	if err := d.follow(tx, by, old, next, now); err != nil {
		return out, err
	}
	if link != linkOf(conn, before) {
		err = d.relinked(tx, by, &out.Person, link, now)
	}
	return out, err
}

// relinked handles a link value that changed under a person: their identity
// stays theirs, and an earlier sign-in with the new value becomes theirs only
// if they have none.
func (d *Directory) relinked(tx Tx, by audit.Actor, p *Person, link string, now time.Time) error {
	have, err := tx.Identities(p.ID)
	if err != nil || len(have) > 0 {
		return err
	}
	// Whoever was deleted under that value is this person now; a name alone
	// says so only when a person is made.
	revived := tombstones(p.Connection, "", "", link)
	if err := d.recall(tx, p, link, revived, now); err != nil {
		return err
	}
	if err := tx.Unbury(p.Connection, revived); err != nil {
		return err
	}
	return d.absorb(tx, by, p, link, now)
}

// follow writes what a changed record brings along: audit, ended sessions,
// the change record.
func (d *Directory) follow(tx Tx, by audit.Actor, old, next Person, now time.Time) error {
	event := personEvent(now, audit.PersonUpdated, by, next)
	why := ""
	switch {
	case old.IDPActive && !next.IDPActive:
		event.Action, why = audit.PersonDeactivated, string(Deactivated)
	case d.Foreign(&next) && !d.Foreign(&old):
		why = "the e-mail address belongs to another organization"
	case !old.IDPActive && next.IDPActive:
		event.Action = audit.PersonReactivated
	}
	if next.Unit != old.Unit && why == "" {
		closed, err := closedUnit(tx, next.Unit)
		if err != nil {
			return err
		}
		if closed {
			why = fault.Message(errPartFrozen(next.Organization))
		}
	}
	loss := why != ""
	if event.Action == audit.PersonDeactivated {
		if err := noteDeactivation(tx, next, now); err != nil {
			return err
		}
	}
	var err error
	if loss {
		err = tx.AuditEnding(event, why)
	} else {
		err = tx.Audit(event)
	}
	if err != nil {
		return err
	}
	if next.Unit != old.Unit {
		if err := d.moved(tx, by, next, old.Unit, "", 0, now); err != nil {
			return err
		}
	}
	return tx.Change(Change{At: now, Person: next.ID, Loss: loss})
}
