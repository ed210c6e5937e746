package directory

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"time"

	"portcullis/audit"
	"portcullis/fault"
)

// Lock bars a person by a decision at the gate and ends every session at
// once. It takes the place of a lock by one of their organization's own
// managers, see [Directory.BarWithin], and does nothing if the gate has locked
// them already. It fails with fault.NotFound.
func (d *Directory) Lock(ctx context.Context, by audit.Actor, id, reason string) (ended int, err error) {
	return d.BarWithin(ctx, by, nil, Locked, id, reason)
}

// Unlock takes the lock away; sessions do not come back. It does nothing if
// the person is not locked. It fails with fault.NotFound.
func (d *Directory) Unlock(ctx context.Context, by audit.Actor, id, reason string) error {
	return d.LiftWithin(ctx, by, nil, Locked, id, reason)
}

// Deactivate bars the person by an administrator's decision and ends every
// session at once. It takes the place of what one of their organization's own
// managers decided, as Lock does, and does nothing if the gate has done so
// already; an identity provider cannot undo it. It fails with fault.NotFound.
func (d *Directory) Deactivate(ctx context.Context, by audit.Actor, id, reason string) (ended int, err error) {
	return d.BarWithin(ctx, by, nil, Deactivated, id, reason)
}

// Reactivate takes back what an administrator did; sessions do not come back.
// It fails with fault.NotFound, and with fault.Conflict for somebody whom
// their identity provider deactivated: only it can undo that.
func (d *Directory) Reactivate(ctx context.Context, by audit.Actor, id, reason string) error {
	return d.LiftWithin(ctx, by, nil, Deactivated, id, reason)
}

// SignOut ends every session of a person and leaves their state alone. It
// fails with fault.NotFound.
func (d *Directory) SignOut(ctx context.Context, by audit.Actor, id, reason string) (ended int, err error) {
	now := d.now()
	err = d.store.Update(ctx, func(tx Tx) error {
		p, err := tx.Person(id)
		if err != nil {
			return err
		}
		if ended, err = tx.EndSessions(id, "signed out by an administrator", now); err != nil {
			return err
		}
		event := personEvent(now, audit.SessionEnded, by, p)
		event.Reason, event.Detail = reason, EndedDetail(ended)
		if err := tx.Audit(event); err != nil {
			return err
		}
		return tx.Change(Change{At: now, Person: id, Loss: true})
	})
	return ended, err
}

// turn is one turn of the life cycle: edit changes the person, says whether
// anything changed and adds to the event what there is to say beside that. A
// way out of Active ends every session.
func (d *Directory) turn(ctx context.Context, id string, action audit.Action, by audit.Actor, reason string,
	edit func(Tx, *Person, *audit.Event) (bool, error),
) (ended int, err error) {
	now := d.now()
	err = d.store.Update(ctx, func(tx Tx) error {
		ended = 0
		p, err := tx.Person(id)
		if err != nil {
			return err
		}
		event := personEvent(now, action, by, p)
		changed, err := edit(tx, &p, &event)
		if err != nil || !changed {
			return err
		}
		p.Version++
		p.Modified = now
		link, err := storedLink(tx, p)
		if err != nil {
			return err
		}
		if err := tx.UpdatePerson(p, link); err != nil {
			return err
		}
		if bar, lifted := liftedBy(action); lifted {
			if err := forgetBar(tx, p, bar, link); err != nil {
				return err
			}
		}
		out := p.State() != Active
		if out {
			if ended, err = tx.EndSessions(id, string(p.State()), now); err != nil {
				return err
			}
		}
		event.Reason = reason
		if event.Detail == nil {
			event.Detail = EndedDetail(ended)
		} else {
			noteEnded(&event, ended)
		}
		if err := tx.Audit(event); err != nil {
			return err
		}
		return tx.Change(Change{At: now, Person: id, Loss: out})
	})
	return ended, err
}

// liftedBy is the bar that an administrator's action takes back, if it does.
func liftedBy(action audit.Action) (bar State, lifted bool) {
	switch action {
	case audit.PersonUnlocked:
		return Locked, true
	case audit.PersonReactivated:
		return Deactivated, true
	default:
		return "", false
	}
}

// storedLink is the link value of a person as stored: empty for whoever was
// not pushed.
func storedLink(tx Tx, p Person) (string, error) {
	if !p.Provisioned {
		return "", nil
	}
	// The attribute is the one that the stored links were made of: the
	// connection may be gone from the configuration, or not reconciled yet.
	attribute, err := tx.ConnectionLink(p.Connection)
	if err != nil {
		return "", err
	}
	r, err := recordOf(p)
	return linkOf(Connection{Link: attribute}, r), err
}

// Person gives what SCIM shows of a pushed person of a connection: of the
// record ID, Connection, Provisioned, IDPActive, Attributes, Unconfirmed,
// Version, Created and Modified alone, see [Directory.Look]. It fails with
// fault.NotFound for anybody else.
func (d *Directory) Person(ctx context.Context, connection, id string) (p Shown, err error) {
	err = d.store.Glance(ctx, func(tx Tx) error {
		p, err = shownPerson(tx, connection, id)
		return err
	})
	return p, err
}

// People gives a page of people.
func (d *Directory) People(ctx context.Context, q Query) (page Page[Person], err error) {
	err = d.store.Glance(ctx, func(tx Tx) error {
		page, err = tx.People(q)
		return err
	})
	return page, err
}

// Look gives anybody by id with all that is known of them: what the last
// sign-in asserted and what was pushed. It fails with fault.NotFound. A
// person who never signed in has a zero Assertion.
func (d *Directory) Look(ctx context.Context, id string) (s Standing, err error) {
	err = d.store.View(ctx, func(tx Tx) error {
		s = Standing{}
		if s.Person, err = tx.Person(id); err != nil {
			return err
		}
		s.Unit = s.Person.Unit
		if s.PartFrozen, err = closedUnit(tx, s.Unit); err != nil {
			return err
		}
		if s.Organization, err = tx.Organization(s.Person.Organization); err != nil {
			return err
		}
		if s.Pushed, err = tx.GroupsOf(id); err != nil {
			return err
		}
		excepted, err := tx.Exceptions(id)
		if err != nil {
			return err
		}
		s.Exceptions = InForce(excepted)
		if s.Assertion, err = tx.LastAssertion(id, false); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		complete, err := tx.LastAssertion(id, true)
		switch {
		case err == nil:
			s.LastComplete = &complete
		case !fault.Is(err, fault.NotFound):
			return err
		}
		return nil
	})
	return s, err
}

// pushedPerson gives a person whom the connection pushed. People of another
// connection, and people who only signed in, are not there.
func pushedPerson(tx Tx, connection, id string) (Person, error) {
	p, err := tx.Person(id)
	if err == nil && (p.Connection != connection || !p.Provisioned) {
		return Person{}, fault.New(fault.NotFound, "no such user")
	}
	return p, err
}

// shownPerson is pushedPerson with their groups.
func shownPerson(tx Tx, connection, id string) (Shown, error) {
	p, err := tx.PersonInGroups(id)
	if err == nil && (p.Connection != connection || !p.Provisioned) {
		return Shown{}, fault.New(fault.NotFound, "no such user")
	}
	return p, err
}

// recordOf gives the record of a pushed person.
func recordOf(p Person) (Record, error) {
	r := Record{UserName: p.UserName, ExternalID: p.ExternalID, Name: p.Name, Email: p.Email, Active: p.IDPActive}
	if len(p.Attributes) == 0 {
		return r, nil
	}
	if err := json.Unmarshal(p.Attributes, &r.Attributes); err != nil {
		return r, fault.Wrap(fault.Internal, err, "stored resource of person %s", p.ID)
	}
	return r, nil
}

// samePerson reports whether a push changed nothing.
func samePerson(a, b Person) bool {
	return a.UserName == b.UserName && a.ExternalID == b.ExternalID && a.Name == b.Name && a.Email == b.Email &&
		a.EmailVerified == b.EmailVerified && a.Unit == b.Unit && a.IDPActive == b.IDPActive && bytes.Equal(a.Attributes, b.Attributes)
}

func personEvent(now time.Time, action audit.Action, by audit.Actor, p Person) audit.Event {
	return audit.Event{At: now, Action: action, Actor: by, Person: p.ID, Subject: p.UserName, Connection: p.Connection}
}

// EndedKey names, in the detail of an audit event, the number of sessions that
// came to an end.
const EndedKey = "sessions_ended"

// EndedDetail is the detail of an event that ended so many sessions; none for
// none.
func EndedDetail(ended int) map[string]string {
	if ended == 0 {
		return nil
	}
	return map[string]string{EndedKey: strconv.Itoa(ended)}
}
