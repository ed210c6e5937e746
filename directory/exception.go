package directory

import (
	"context"
	"slices"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/mapping"
)

// Exception is a [mapping.Exception], and what became of it.
type Exception struct {
	mapping.Exception

	Person    string    // id
	Giver     string    // id of whoever granted it
	Revoked   time.Time // zero: nobody has
	RevokedBy string
}

// The bounds of exceptions: how long one lasts, and how many somebody has at a
// time.
const (
	MaxExceptionLife = 366 * 24 * time.Hour
	MaxExceptions    = 20
)

// InForce drops the exceptions that somebody has taken back.
func InForce(all []Exception) (kept []mapping.Exception) {
	for i := range all {
		if all[i].Revoked.IsZero() {
			kept = append(kept, all[i].Exception)
		}
	}
	return kept
}

// Except grants a role to one person until a time, beside what the mapping
// grants. Whether the giver may, is for the caller to know.
//
// It fails with fault.NotFound; with fault.Invalid where the reason is missing
// or the end is not within [MaxExceptionLife]; and with fault.Conflict, in
// words, where it would not come to anything or cost the person something:
// where the mapping takes the role away again, where they have it already,
// where it clashes with one that they have, or where they have too many.
func (d *Directory) Except(ctx context.Context, by audit.Actor, id, role string, until time.Time, reason string) (x Exception, err error) {
	now := d.now()
	until = until.UTC().Truncate(time.Microsecond)
	switch {
	case reason == "":
		return x, fault.New(fault.Invalid, "a reason is wanted")
	case !until.After(now):
		return x, fault.New(fault.Invalid, "the end is not after now")
	case until.Sub(now) > MaxExceptionLife:
		return x, fault.New(fault.Invalid, "the end is more than %d days away", int(MaxExceptionLife.Hours()/24))
	}
	x = Exception{Exception: mapping.Exception{ID: newID(), Role: role, By: by.Name, Reason: reason, From: now, Until: until}, Person: id, Giver: by.ID}
	err = d.store.Update(ctx, func(tx Tx) error {
		if _, err := tx.Person(id); err != nil { // which is locked from here on
			return err
		}
		s, err := tx.StandingAt(id, time.Time{})
		if err != nil {
			return err
		}
		if err := d.worthwhile(s, x.Exception, now); err != nil {
			return err
		}
		if err := tx.InsertException(x); err != nil {
			return err
		}
		event := personEvent(now, audit.ExceptionGranted, by, s.Person)
		event.Reason, event.Detail = reason, map[string]string{"exception": x.ID, "role": role, "until": until.Format(time.RFC3339)}
		if err := tx.Audit(event); err != nil {
			return err
		}
		return tx.Change(Change{At: now, Person: id})
	})
	return x, err
}

// worthwhile says why an exception would be of no use, or nil.
func (d *Directory) worthwhile(s Standing, x mapping.Exception, now time.Time) error {
	policy := d.policy()
	if policy == nil {
		return fault.New(fault.Unavailable, "no mapping is in force")
	}
	running := 0
	for _, other := range s.Exceptions {
		if now.Before(other.Until) {
			running++
		}
	}
	if running >= MaxExceptions {
		return fault.New(fault.Conflict, "they have %d exceptions already", running)
	}
	facts := s.Facts()
	before := policy.Evaluate(&facts, now)
	facts.Exceptions = append(slices.Clone(facts.Exceptions), x)
	after := policy.Explain(&facts, now)
	trace := after.Exceptions[len(after.Exceptions)-1]
	missing := slices.ContainsFunc(before.Roles, func(r string) bool { return !slices.Contains(after.Access.Roles, r) })
	switch {
	case slices.Contains(before.Roles, x.Role):
		return fault.New(fault.Conflict, "they have role %q already", x.Role)
	case len(after.Access.Violations) > len(before.Violations) || missing || before.Login && !after.Access.Login:
		return fault.New(fault.Conflict, "role %q clashes with what they have: nobody may hold both", x.Role)
	case trace.Holds:
		return nil
	}
	for _, r := range after.Removed {
		if r.Kind == "role" && r.Name == x.Role {
			return fault.New(fault.Conflict, "role %q would be taken away again: %s", x.Role, r.By)
		}
	}
	return fault.New(fault.Conflict, "role %q would come to nothing: %s", x.Role, trace.Why)
}

// Exceptions gives all exceptions of somebody, the oldest first, those that are
// over included.
func (d *Directory) Exceptions(ctx context.Context, id string) (all []Exception, err error) {
	err = d.store.View(ctx, func(tx Tx) error {
		all, err = tx.Exceptions(id)
		return err
	})
	return all, err
}

// Unexcept takes an exception back at once. It fails with fault.NotFound, and
// with fault.Conflict where somebody has done so already or it is over.
func (d *Directory) Unexcept(ctx context.Context, by audit.Actor, id, exception, reason string) error {
	now := d.now()
	return d.store.Update(ctx, func(tx Tx) error {
		p, err := tx.Person(id)
		if err != nil {
			return err
		}
		x, err := tx.RevokeException(id, exception, now, by.Name)
		if err != nil {
			return err
		}
		if !now.Before(x.Until) {
			return fault.New(fault.Conflict, "the exception is over already")
		}
		event := personEvent(now, audit.ExceptionRevoked, by, p)
		event.Reason, event.Detail = reason, map[string]string{"exception": x.ID, "role": x.Role}
		if err := tx.Audit(event); err != nil {
			return err
		}
		return tx.Change(Change{At: now, Person: id})
	})
}
