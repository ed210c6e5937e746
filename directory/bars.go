package directory

import (
	"context"
	"slices"

	"portcullis/audit"
	"portcullis/fault"
)

// Bounds are whose people somebody manages: those of one organization and of
// that, unless Units is nil, only who is in these. A nil pointer has no bounds:
// it is the gate that decides.
type Bounds struct {
	Organization string
	Units        []string // the one that they stand in, then all below it, see [Directory.Reach]
}

func (b *Bounds) holds(p *Person) bool {
	return b == nil || p.Organization == b.Organization && (b.Units == nil || slices.Contains(b.Units, p.Unit))
}

// above reports whether somebody stands below the one who manages b, so that
// they could not take back what that one decides.
func (b *Bounds) above(p *Person) bool {
	top := ""
	if b != nil && len(b.Units) > 0 {
		top = b.Units[0]
	}
	return b == nil || b.holds(p) && p.Unit != top
}

// gateKey marks, in the detail of an event, what somebody decided for the gate
// who may be of an organization of their own.
const gateKey = "decided_for"

// BarWithin is [Directory.Lock] or [Directory.Deactivate], as what says, which
// is Locked or Deactivated, for somebody who manages those within bounds. It
// takes the place of what somebody decided who stands lower, and could undo it:
// of one of the organization's own managers where it is the gate that decides.
// Anything else that stands is left alone.
func (d *Directory) BarWithin(ctx context.Context, by audit.Actor, in *Bounds, what State, id, reason string) (ended int, err error) {
	return d.turn(ctx, id, barring(what), by, reason, func(tx Tx, p *Person, event *audit.Event) (bool, error) {
		detail := map[string]string{}
		bar := p.bar(what)
		if *bar != nil {
			hold, err := holdOn(tx, in, p, what)
			if err != nil || !hold.Over {
				return false, err
			}
			detail[string(what)+"_before_by"] = (*bar).By
		}
		if in == nil && by.Kind == "person" {
			detail[gateKey] = "gate"
		}
		if len(detail) > 0 {
			event.Detail = detail
		}
		*bar = &Bar{At: event.At, By: by.Name, Reason: reason}
		return true, nil
	})
}

// LiftWithin is [Directory.Unlock] or [Directory.Reactivate] of what BarWithin
// set. It fails with fault.Forbidden, too, for what nobody within the bounds
// decided.
func (d *Directory) LiftWithin(ctx context.Context, by audit.Actor, in *Bounds, what State, id, reason string) error {
	_, err := d.turn(ctx, id, lifting(what), by, reason, func(tx Tx, p *Person, _ *audit.Event) (bool, error) {
		if what == Deactivated && !p.IDPActive {
			return false, fault.New(fault.Conflict,
				"the identity provider of connection %q deactivated this person; only it can reactivate them", p.Connection)
		}
		bar := p.bar(what)
		if *bar == nil {
			return false, nil
		}
		hold, err := holdOn(tx, in, p, what)
		if err == nil {
			err = hold.Kept
		}
		if err != nil {
			return false, err
		}
		*bar = nil
		return true, nil
	})
	return err
}

// Hold is what somebody may do about a bar that stands.
type Hold struct {
	Bar  *Bar  // nil: none stands
	Over bool  // BarWithin takes its place
	Kept error // why LiftWithin refuses, or nil
}

// HoldOn says what somebody who manages those within bounds may do about a bar
// of a person, Locked or Deactivated; the zero Hold where there is none.
func (d *Directory) HoldOn(ctx context.Context, in *Bounds, p Person, what State) (h Hold, err error) {
	if *p.bar(what) == nil {
		return Hold{}, nil
	}
	err = d.store.Glance(ctx, func(tx Tx) error {
		h, err = holdOn(tx, in, &p, what)
		return err
	})
	return h, err
}

func holdOn(tx Tx, in *Bounds, p *Person, what State) (Hold, error) {
	decider, theirs, err := deciderOf(tx, p, what)
	if err != nil {
		return Hold{}, err
	}
	h := Hold{Bar: *p.bar(what), Over: theirs && in.above(&decider)}
	if in != nil && (!theirs || !in.holds(&decider)) {
		h.Kept = errNotTheirs
	}
	return h, nil
}

// deciderOf gives who of a person's organization decided a bar that stands;
// not theirs is what the gate decided. Somebody who is gone may have been
// anybody: the person is zero then.
func deciderOf(tx Tx, p *Person, what State) (decider Person, theirs bool, err error) {
	bar := *p.bar(what)
	// That very decision: a bar that somebody brought with them when they came
	// back, or that another account had, is not what was decided here once.
	event, err := tx.Decision(p.ID, barring(what), bar.At)
	if fault.Is(err, fault.NotFound) {
		return Person{}, false, nil
	}
	if err != nil || event.Actor.Kind != "person" || event.Actor.Name != bar.By || event.Detail[gateKey] != "" {
		return Person{}, false, err
	}
	decider, err = tx.Person(event.Actor.ID)
	if fault.Is(err, fault.NotFound) {
		return Person{}, true, nil
	}
	return decider, decider.Organization == p.Organization, err
}

// bar is where what an administrator decided stands.
func (p *Person) bar(what State) **Bar {
	if what == Deactivated {
		return &p.Deactivated
	}
	return &p.Locked
}

func barring(what State) audit.Action {
	if what == Deactivated {
		return audit.PersonDeactivated
	}
	return audit.PersonLocked
}

func lifting(what State) audit.Action {
	if what == Deactivated {
		return audit.PersonReactivated
	}
	return audit.PersonUnlocked
}
