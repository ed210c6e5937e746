package directory

import (
	"context"
	"maps"
	"slices"
	"time"

	"portcullis/audit"
	"portcullis/count"
	"portcullis/fault"
)

// Unit is a sub-organization: a named part of an organization, or of another
// part of it. Its name is there once in the organization, whatever its case.
type Unit struct {
	ID           string
	Organization string
	Parent       string // id of the unit that it is a part of; empty: of the organization itself
	Name         string
	Created      time.Time
	Frozen       *Bar   // nil while it is not, see [Directory.FreezeUnit]
	Freezer      string // id of the person of the organization who froze it; empty: that is the gate's decision
	Closed       bool   // it is frozen, or one above it: none of its people is inside
}

// The bounds of what is in an organization.
const (
	MaxUnits     = 1000
	MaxUnitDepth = 5
	MaxUnitName  = 100 // characters
)

// Unplaced is where somebody is of whom the gate cannot say in which
// sub-organization they are: their identity provider named none that can be
// made, or the one that they were in is gone. Whoever manages the whole
// organization sees them; a manager who is there sees nobody.
const Unplaced = "-"

// UnitSource says how an identity provider names the sub-organization of its
// people. Who is not covered is placed by hand.
type UnitSource struct {
	Attribute string // of pushed people: an attribute of their SCIM resource or of an extension of it
	Claim     string // of those who only sign in
}

// of says what it reads somebody's sub-organization from; empty if from nothing.
func (s UnitSource) of(p *Person) string {
	if p.Provisioned {
		return s.Attribute
	}
	return s.Claim
}

// Units gives the sub-organizations of an organization; none where there are
// none, or where there is no such organization.
func (d *Directory) Units(ctx context.Context, organization string) (tree Tree, err error) {
	err = d.store.Glance(ctx, func(tx Tx) error {
		units, err := tx.Units(organization)
		tree = newTree(units)
		return err
	})
	return tree, err
}

// Reach says whom somebody has around them, just now: their organization, and
// in it the units that they are in or above of; nil if they are in the
// organization itself, and see all of it. It fails with fault.NotFound.
func (d *Directory) Reach(ctx context.Context, person string) (organization string, units []string, err error) {
	err = d.store.Glance(ctx, func(tx Tx) error {
		organization, units = "", nil
		p, err := tx.Person(person)
		if err != nil {
			return err
		}
		if organization = p.Organization; p.Unit == "" {
			return nil
		}
		all, err := tx.Units(organization)
		units = newTree(all).Below(p.Unit)
		return err
	})
	return organization, units, err
}

// AddUnit makes a sub-organization in an organization, or below another one. It
// fails with fault.NotFound, with fault.Invalid for a name that is none and what
// would be too deep, and with fault.Conflict for a name that is there.
func (d *Directory) AddUnit(ctx context.Context, by audit.Actor, organization, parent, name string) (u Unit, err error) {
	if name, err = unitName(name); err != nil {
		return Unit{}, err
	}
	err = d.grow(ctx, organization, func(tx Tx, tree Tree, now time.Time) error {
		if len(tree) >= MaxUnits {
			return fault.New(fault.Conflict, "there are %d sub-organizations already", MaxUnits)
		}
		if err := tree.fits(parent, 1); err != nil {
			return err
		}
		if tree.named(name) != "" {
			return errUnitTaken
		}
		_, closed := tree.Frozen(parent)
		u = Unit{ID: newID(), Organization: organization, Parent: parent, Name: name, Created: now}
		if err := tx.InsertUnit(u); err != nil {
			return err
		}
		if u.Closed = closed; closed {
			if err := tx.CloseUnits([]string{u.ID}, now); err != nil {
				return err
			}
		}
		return tx.Audit(unitEvent(now, audit.UnitCreated, by, u, tree))
	})
	return u, err
}

var errUnitTaken = fault.New(fault.Conflict, "there is a sub-organization of that name already")

// RenameUnit calls a sub-organization otherwise. It fails like
// [Directory.AddUnit]; and with fault.Conflict where an identity provider names
// it: that would bring the old name back.
func (d *Directory) RenameUnit(ctx context.Context, by audit.Actor, organization, id, name string) error {
	name, err := unitName(name)
	if err != nil {
		return err
	}
	return d.grow(ctx, organization, func(tx Tx, tree Tree, now time.Time) error {
		u, ok := tree.Find(id)
		if !ok {
			return errNoUnit
		}
		if u.Name == name {
			return nil
		}
		if taken := tree.named(name); taken != "" && taken != id {
			return errUnitTaken
		}
		if conn, err := d.namer(tx, id); err != nil || conn != "" {
			if err == nil {
				err = fault.New(fault.Conflict, "the identity provider of connection %q calls it so; it would come back under that name", conn)
			}
			return err
		}
		event := unitEvent(now, audit.UnitRenamed, by, u, tree)
		event.Detail["name"] = name
		u.Name = name
		if err := tx.UpdateUnit(u); err != nil {
			return err
		}
		return tx.Audit(event)
	})
}

// NamesUnits gives a connection of an organization whose identity provider says
// in which sub-organization its people are; empty if there is none.
func (d *Directory) NamesUnits(organization string) string {
	all := d.known()
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if conn := all[id]; conn.Organization == organization && conn.Units != (UnitSource{}) {
			return id
		}
	}
	return ""
}

// namer gives a connection whose identity provider has put people into a unit;
// empty if none has.
func (d *Directory) namer(tx Tx, unit string) (string, error) {
	for _, kind := range []bool{true, false} {
		found, err := tx.ConnectionsIn(unit, kind)
		if err != nil {
			return "", err
		}
		for _, id := range found {
			if d.known()[id].Units.of(&Person{Provisioned: kind}) != "" {
				return id, nil
			}
		}
	}
	return "", nil
}

// MoveUnit puts a sub-organization with all below it somewhere else in its
// organization; the empty parent is the organization itself. It fails with
// fault.NotFound, with fault.Invalid for what would be too deep or below
// itself, and with fault.Conflict for what would come out from below a frozen
// one.
func (d *Directory) MoveUnit(ctx context.Context, by audit.Actor, organization, id, parent string) error {
	return d.grow(ctx, organization, func(tx Tx, tree Tree, now time.Time) error {
		u, ok := tree.Find(id)
		switch {
		case !ok:
			return errNoUnit
		case u.Parent == parent:
			return nil
		case slices.Contains(tree.Below(id), parent):
			return fault.New(fault.Invalid, "that would be below itself")
		}
		if err := tree.fits(parent, tree.height(id)); err != nil {
			return err
		}
		_, frozen := tree.Frozen(u.Parent)
		if _, still := tree.Frozen(parent); frozen && !still {
			return errStaysFrozen
		}
		event := unitEvent(now, audit.UnitMoved, by, u, tree)
		event.Detail["to"] = tree.inWords(parent)
		u.Parent = parent
		ended, err := d.reshape(tx, tree, u, now)
		if err != nil {
			return err
		}
		noteEnded(&event, ended)
		return tx.Audit(event)
	})
}

// RemoveUnit removes a sub-organization that nobody is in, and that has none
// below it. It fails with fault.NotFound, and with fault.Conflict while it is
// in use, or frozen: whoever was deleted there would come back above it.
func (d *Directory) RemoveUnit(ctx context.Context, by audit.Actor, organization, id string) error {
	return d.grow(ctx, organization, func(tx Tx, tree Tree, now time.Time) error {
		u, ok := tree.Find(id)
		if !ok {
			return errNoUnit
		}
		if len(tree.Below(id)) > 1 {
			return fault.New(fault.Conflict, "there are others below it: move or remove them first")
		}
		if u.Closed {
			return errStaysFrozen
		}
		// First the unit, which somebody who is being placed there holds.
		if err := tx.DeleteUnit(id); err != nil {
			return err
		}
		counts, err := tx.UnitCounts(organization)
		if err != nil {
			return err
		}
		if n := counts[id]; n > 0 {
			return fault.New(fault.Conflict, "%s in it: move them first", count.Of(n, "person is", "people are"))
		}
		return tx.Audit(unitEvent(now, audit.UnitRemoved, by, u, tree))
	})
}

// UnitCounts says how many people are in each unit of an organization, and
// under the empty id how many are in none.
func (d *Directory) UnitCounts(ctx context.Context, organization string) (counts map[string]int, err error) {
	err = d.store.Glance(ctx, func(tx Tx) error {
		counts, err = tx.UnitCounts(organization)
		return err
	})
	return counts, err
}

// grow changes a tree, one at a time in each organization.
func (d *Directory) grow(ctx context.Context, organization string, f func(tx Tx, tree Tree, now time.Time) error) error {
	now := d.now()
	return d.store.Update(ctx, func(tx Tx) error {
		if err := tx.LockUnits(organization); err != nil {
			if fault.Is(err, fault.NotFound) {
				return fault.New(fault.NotFound, "no organization %q", organization)
			}
			return err
		}
		units, err := tx.Units(organization)
		if err != nil {
			return err
		}
		return f(tx, newTree(units), now)
	})
}

// unitEvent is about a unit as it is in a tree.
func unitEvent(now time.Time, action audit.Action, by audit.Actor, u Unit, tree Tree) audit.Event {
	return audit.Event{
		At: now, Action: action, Actor: by, Subject: u.Name,
		Detail: map[string]string{"organization": u.Organization, "unit": u.ID, "below": tree.inWords(u.Parent)},
	}
}

// Place puts a person in a sub-organization of their organization; the empty id
// is the organization itself. It does nothing if they are there. It fails with
// fault.NotFound, and with fault.Conflict where their identity provider says in
// which one they are, and for whoever would come out of a frozen one.
func (d *Directory) Place(ctx context.Context, by audit.Actor, id, unit, reason string) error {
	now := d.now()
	return d.store.Update(ctx, func(tx Tx) error {
		p, err := tx.Person(id)
		if err != nil {
			return err
		}
		if err := d.Placeable(p); err != nil {
			return err
		}
		if unit != "" {
			u, err := tx.Unit(unit)
			if fault.Is(err, fault.NotFound) || err == nil && u.Organization != p.Organization {
				return errNoUnit
			}
			if err != nil {
				return err
			}
		}
		if p.Unit == unit {
			return nil
		}
		return d.put(tx, by, p, unit, reason, now)
	})
}

// put is Place for somebody who may be put there.
func (d *Directory) put(tx Tx, by audit.Actor, p Person, unit, reason string, now time.Time) error {
	was, err := closedUnit(tx, p.Unit)
	if err != nil {
		return err
	}
	closed, err := closedUnit(tx, unit)
	if err != nil {
		return err
	}
	if was && !closed {
		return errStaysFrozen
	}
	link, err := storedLink(tx, p)
	if err != nil {
		return err
	}
	old := p.Unit
	p.Unit = unit
	p.Version++
	p.Modified = now
	if err := tx.UpdatePerson(p, link); err != nil {
		return err
	}
	ended := 0
	if closed {
		if ended, err = tx.EndSessions(p.ID, fault.Message(errPartFrozen(p.Organization)), now); err != nil {
			return err
		}
	}
	if err := d.moved(tx, by, p, old, reason, ended, now); err != nil {
		return err
	}
	return tx.Change(Change{At: now, Person: p.ID, Loss: closed})
}

// Placeable says why somebody's sub-organization is not for people to choose, or
// nil. The fault is Conflict.
func (d *Directory) Placeable(p Person) error {
	if from := d.known()[p.Connection].Units.of(&p); from != "" {
		return fault.New(fault.Conflict,
			"the identity provider of connection %q says in which sub-organization this person is (%s); it has to be changed there", p.Connection, from)
	}
	return nil
}

// moved writes down that somebody is elsewhere now.
func (d *Directory) moved(tx Tx, by audit.Actor, p Person, old, reason string, ended int, now time.Time) error {
	units, err := tx.Units(p.Organization)
	if err != nil {
		return err
	}
	tree := newTree(units)
	event := personEvent(now, audit.PersonMoved, by, p)
	event.Reason = reason
	event.Detail = map[string]string{"from": tree.inWords(old), "to": tree.inWords(p.Unit)}
	noteEnded(&event, ended)
	return tx.Audit(event)
}

// TreeOf gives the tree that a unit is in. It fails with fault.NotFound.
func (d *Directory) TreeOf(ctx context.Context, unit string) (u Unit, tree Tree, err error) {
	err = d.store.Glance(ctx, func(tx Tx) error {
		if u, err = tx.Unit(unit); err != nil {
			if fault.Is(err, fault.NotFound) {
				return errNoUnit
			}
			return err
		}
		units, err := tx.Units(u.Organization)
		tree = newTree(units)
		return err
	})
	return u, tree, err
}

// UnitNames gives the names of units by id; those that are not there are left
// out.
func (d *Directory) UnitNames(ctx context.Context, ids []string) (names map[string]string, err error) {
	err = d.store.Glance(ctx, func(tx Tx) error {
		names, err = tx.UnitNames(ids)
		return err
	})
	return names, err
}
