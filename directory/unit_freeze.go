package directory

import (
	"context"
	"maps"
	"slices"
	"time"

	"portcullis/audit"
	"portcullis/fault"
)

// FreezeEffect is whom the freezing of an organization, or of a part of one,
// would put out.
type FreezeEffect struct {
	People   int // in it and below it
	Sessions int // of theirs that would end
}

// FreezeUnit keeps everybody of a sub-organization, and of all below it, out
// and ends all of their sessions at once, on every replica; their API tokens
// open nothing while it lasts. What an identity provider pushes of them is
// taken all the same, for the connection is that of the whole organization. It
// is the gate's decision: it takes the place of one of the organization's own
// managers, see [Directory.FreezeOwnUnit], and does nothing if the gate has
// frozen the sub-organization already. It fails with fault.NotFound.
func (d *Directory) FreezeUnit(ctx context.Context, by audit.Actor, organization, id, reason string) (ended int, err error) {
	return d.freezeUnit(ctx, by, organization, id, reason, false)
}

// FreezeOwnUnit is [Directory.FreezeUnit] for somebody who manages that
// organization alone: it does nothing if the sub-organization is frozen already,
// whoever decided that.
func (d *Directory) FreezeOwnUnit(ctx context.Context, by audit.Actor, organization, id, reason string) (ended int, err error) {
	return d.freezeUnit(ctx, by, organization, id, reason, true)
}

func (d *Directory) freezeUnit(ctx context.Context, by audit.Actor, organization, id, reason string, own bool) (ended int, err error) {
	err = d.grow(ctx, organization, func(tx Tx, tree Tree, now time.Time) error {
		ended = 0
		u, ok := tree.Find(id)
		if !ok {
			return errNoUnit
		}
		if u.Frozen != nil && (own || u.Freezer == "") {
			return nil
		}
		event := unitEvent(now, audit.UnitFrozen, by, u, tree)
		if u.Frozen != nil {
			event.Detail["frozen_before_by"] = u.Frozen.By
		}
		u.Frozen, u.Freezer = &Bar{At: now, By: by.Name, Reason: reason}, ""
		if own && by.Kind == "person" {
			u.Freezer = by.ID
		}
		if ended, err = d.reshape(tx, tree, u, now); err != nil {
			return err
		}
		event.Reason = reason
		noteEnded(&event, ended)
		return tx.Audit(event)
	})
	return ended, err
}

// UnfreezeUnit lets the people of a sub-organization in again, but for those
// who are in one that is frozen itself, or below such a one; sessions do not
// come back. It does nothing if the sub-organization is not frozen. It fails
// with fault.NotFound.
func (d *Directory) UnfreezeUnit(ctx context.Context, by audit.Actor, organization, id, reason string) error {
	return d.unfreezeUnit(ctx, by, organization, id, reason, false)
}

// UnfreezeOwnUnit is [Directory.UnfreezeUnit] for somebody who manages that
// organization alone. It fails with fault.Forbidden where somebody else than a
// person of that organization decided that the sub-organization is frozen.
func (d *Directory) UnfreezeOwnUnit(ctx context.Context, by audit.Actor, organization, id, reason string) error {
	return d.unfreezeUnit(ctx, by, organization, id, reason, true)
}

func (d *Directory) unfreezeUnit(ctx context.Context, by audit.Actor, organization, id, reason string, own bool) error {
	return d.grow(ctx, organization, func(tx Tx, tree Tree, now time.Time) error {
		u, ok := tree.Find(id)
		if !ok {
			return errNoUnit
		}
		if u.Frozen == nil {
			return nil
		}
		if own {
			if err := frozenByTheirs(tx, u); err != nil {
				return err
			}
		}
		u.Frozen, u.Freezer = nil, ""
		if _, err := d.reshape(tx, tree, u, now); err != nil {
			return err
		}
		event := unitEvent(now, audit.UnitUnfrozen, by, u, tree)
		event.Reason = reason
		return tx.Audit(event)
	})
}

// errNotTheirs refuses to take back what the gate decided.
var errNotTheirs = fault.New(fault.Forbidden, "this was decided by somebody outside of those whom you manage, who has to take it back")

// frozenByTheirs refuses for a frozen unit that nobody of its organization
// froze. Somebody who is gone may have been anybody.
func frozenByTheirs(tx Tx, u Unit) error {
	if u.Freezer == "" {
		return errNotTheirs
	}
	p, err := tx.Person(u.Freezer)
	if fault.Is(err, fault.NotFound) || err == nil && p.Organization != u.Organization {
		return errNotTheirs
	}
	return err
}

// UnitEffect says whom FreezeUnit would put out now.
func (d *Directory) UnitEffect(ctx context.Context, organization, id string) (e FreezeEffect, err error) {
	err = d.store.Glance(ctx, func(tx Tx) error {
		units, err := tx.Units(organization)
		if err != nil {
			return err
		}
		e, err = tx.UnitEffect(newTree(units).Below(id), d.now())
		return err
	})
	return e, err
}

// reshape stores a unit that stands elsewhere in its tree, or is frozen or not
// any more, and closes and opens what follows from it. It gives how many
// sessions ended.
func (d *Directory) reshape(tx Tx, tree Tree, changed Unit, now time.Time) (ended int, err error) {
	if err := tx.UpdateUnit(changed); err != nil {
		return 0, err
	}
	next := slices.Clone(tree)
	for i := range next {
		if next[i].ID == changed.ID {
			next[i] = changed
		}
	}
	next = newTree(next)
	var closes, opens []string
	for _, u := range next {
		switch _, closed := next.Frozen(u.ID); {
		case closed && !u.Closed:
			closes = append(closes, u.ID)
		case !closed && u.Closed:
			opens = append(opens, u.ID)
		}
	}
	// First the bar, which a sign-in under way has to wait for, then its sessions.
	if err := tx.OpenUnits(opens, now); err != nil {
		return 0, err
	}
	if err := tx.CloseUnits(closes, now); err != nil || len(closes) == 0 {
		return 0, err
	}
	return tx.EndSessionsIn(closes, fault.Message(errPartFrozen(changed.Organization)), now)
}

// Frozen gives the one that keeps the people of a unit out: itself, or the
// nearest above it that is frozen.
func (t Tree) Frozen(id string) (u Unit, frozen bool) {
	for u, ok := t.Find(id); ok; u, ok = t.Find(u.Parent) {
		if u.Frozen != nil {
			return u, true
		}
	}
	return Unit{}, false
}

// errStaysFrozen refuses what would take somebody out of a part that is frozen.
var errStaysFrozen = fault.New(fault.Conflict, "this sub-organization is frozen: unfreeze it first")

// closedUnit reports whether a unit is closed; one that is not there is not.
func closedUnit(tx Tx, id string) (bool, error) {
	if id == "" || id == Unplaced {
		return false, nil
	}
	u, err := tx.Unit(id)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	return u.Closed, err
}

// noteEnded adds to an event how many sessions ended, if any did.
func noteEnded(event *audit.Event, ended int) {
	maps.Copy(event.Detail, EndedDetail(ended))
}
