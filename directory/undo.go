package directory

import (
	"context"
	"math"
	"strconv"
	"time"

	"portcullis/audit"
	"portcullis/fault"
)

// undoBatch is how many losses are undone in one transaction.
const undoBatch = 200

// Why a loss is not undone, beside [Restored].
const (
	gone       = "is not there any more"
	erased     = "the data are erased"
	back       = "is active already"
	memberYet  = "is a member already"
	overruled  = "the identity provider has said so again since"
	madeAgain  = "was made again since"
	nameTaken  = "the name, the identifier or the sign-in belongs to somebody else now"
	groupTaken = "there is another group of that name now"
)

// UndoMassLoss gives back what a mass loss took: active, memberships, deleted
// people and groups. Sessions do not come back. Nothing comes back that
// something else took away as well: locks and deactivations by an administrator
// stay, and so does whatever the identity provider has said since, outside of
// this mass loss. Each loss that is left alone says why ([Directory.Losses]).
//
// It goes in steps of one transaction each, with their audit events and change
// records. Called again after it was interrupted it goes on; after the end it
// does nothing. progress, if not nil, is told after each step how many of how
// many losses are done. It fails with fault.NotFound; with fault.Conflict when
// it is too late; and with fault.Forbidden for an identity provider: what it
// took away is not its to give back this way.
func (d *Directory) UndoMassLoss(ctx context.Context, by audit.Actor, id int64, progress func(done, total int)) (MassLoss, error) {
	if by.Kind == "scim" {
		return MassLoss{}, fault.New(fault.Forbidden, "an identity provider undoes no mass loss")
	}
	if _, err := d.ExamineLosses(ctx); err != nil { // what belongs to it is in it from here on
		return MassLoss{}, err
	}
	m, err := d.beginUndo(ctx, by, id)
	if err != nil || !m.Undone.IsZero() {
		return m, err
	}
	total := m.Deactivated + m.Deleted + m.Removed
	for _, groups := range []bool{true, false} { // members need their group
		for before, tries := int64(math.MaxInt64), 0; before > 0; {
			last, err := d.undoStep(ctx, by, &m, before, groups)
			if fault.Is(err, fault.Conflict) && tries < 5 { // a push came between the look and the write
				tries++
				continue
			}
			if err != nil {
				return m, err
			}
			before, tries = last, 0
			if progress != nil && last > 0 {
				progress(m.Restored+m.Skipped, total)
			}
		}
	}
	return m, d.endUndo(ctx, by, &m)
}

// beginUndo closes the mass loss: what is lost from now on is another one.
func (d *Directory) beginUndo(ctx context.Context, by audit.Actor, id int64) (m MassLoss, err error) {
	now := d.now()
	err = d.store.Update(ctx, func(tx Tx) error {
		if err := tx.LockLedger(); err != nil {
			return err
		}
		if m, err = tx.MassLoss(id); err != nil || !m.Undone.IsZero() {
			return err
		}
		if _, ok := d.known()[m.Connection]; !ok {
			return fault.New(fault.Conflict, "connection %q is not configured any more", m.Connection)
		}
		if !m.Undoable(now) {
			return fault.New(fault.Conflict, "it is too late: what was lost is kept for %d days", UndoLife/(24*time.Hour))
		}
		if m.UndoBegan.IsZero() {
			m.UndoBegan, m.UndoneBy, m.Closed = now, by.Name, true
			return tx.UpdateMassLoss(m)
		}
		return nil
	})
	return m, err
}

// undoStep undoes some losses older than before and gives the number of the
// last one, 0 if there are no more.
func (d *Directory) undoStep(ctx context.Context, by audit.Actor, m *MassLoss, before int64, groups bool) (last int64, err error) {
	u := undo{d: d, by: by, now: d.now()}
	err = d.store.Update(ctx, func(tx Tx) error {
		u.tx, u.outcomes, last = tx, make(map[string][]int64), 0
		if u.m, err = tx.MassLoss(m.ID); err != nil {
			return err
		}
		losses, err := tx.LossesToUndo(m.ID, before, groups, undoBatch)
		if err != nil || len(losses) == 0 {
			return err
		}
		last = losses[len(losses)-1].Seq
		if u.m.Group != "" && !groups {
			err = u.members(losses)
		} else {
			err = u.each(losses)
		}
		if err != nil {
			return err
		}
		for outcome, seqs := range u.outcomes {
			if err := tx.SetOutcome(seqs, outcome); err != nil {
				return err
			}
			if outcome == Restored {
				u.m.Restored += len(seqs)
			} else {
				u.m.Skipped += len(seqs)
			}
		}
		return tx.UpdateMassLoss(u.m)
	})
	if err == nil {
		*m = u.m
	}
	return last, err
}

func (d *Directory) endUndo(ctx context.Context, by audit.Actor, m *MassLoss) error {
	now := d.now()
	return d.store.Update(ctx, func(tx Tx) (err error) {
		if *m, err = tx.MassLoss(m.ID); err != nil || !m.Undone.IsZero() {
			return err
		}
		if err := tx.SettleRestatements(m.ID); err != nil {
			return err
		}
		m.Undone = now
		if err := tx.UpdateMassLoss(*m); err != nil {
			return err
		}
		event := audit.Event{
			At: now, Action: audit.MassLossUndone, Actor: by, Subject: m.subject(), Connection: m.Connection, Detail: m.detail(),
		}
		event.Detail["restored"], event.Detail["skipped"] = strconv.Itoa(m.Restored), strconv.Itoa(m.Skipped)
		return tx.Audit(event)
	})
}

// undo is one step.
type undo struct {
	d        *Directory
	tx       Tx
	by       audit.Actor
	now      time.Time
	m        MassLoss
	outcomes map[string][]int64
}

func (u *undo) done(outcome string, losses ...Loss) {
	for _, l := range losses {
		u.outcomes[outcome] = append(u.outcomes[outcome], l.Seq)
	}
}

// each undoes losses one by one.
func (u *undo) each(losses []Loss) error {
	for _, l := range losses {
		var outcome string
		var err error
		switch l.Kind {
		case Deactivation:
			outcome, err = u.activate(l)
		case Deletion:
			outcome, err = u.revive(l)
		case GroupDeletion:
			outcome, err = u.remake(l)
		default:
			err = fault.New(fault.Internal, "loss %d of kind %q cannot be undone", l.Seq, l.Kind)
		}
		if err != nil {
			return err
		}
		u.done(outcome, l)
	}
	return nil
}

// activate takes back that the identity provider turned somebody off. Their
// other bars stay.
func (u *undo) activate(l Loss) (string, error) {
	p, err := u.tx.Person(l.Member)
	switch {
	case fault.Is(err, fault.NotFound):
		return gone, nil
	case err != nil:
		return "", err
	case p.IDPActive:
		return back, nil
	}
	if again, err := u.tx.Overruled(l, "", p.ID); err != nil || again {
		return overruled, err
	}
	link, err := storedLink(u.tx, p)
	if err != nil {
		return "", err
	}
	p.IDPActive = true
	p.Version++
	p.Modified = u.now
	if err := u.tx.UpdatePerson(p, link); err != nil {
		return "", err
	}
	return Restored, u.follow(audit.PersonReactivated, p)
}

// revive brings back somebody who was deleted, unless the identity provider
// made them again or somebody else has what they are known by. Their sign-in
// works again: the tombstone goes.
func (u *undo) revive(l Loss) (string, error) {
	kept, err := u.tx.KeptPerson(l.Seq)
	if fault.Is(err, fault.NotFound) {
		return erased, nil
	}
	if err != nil {
		return "", err
	}
	taken, err := u.tx.Taken(kept)
	if err != nil {
		return "", err
	}
	if taken {
		return nameTaken, nil
	}
	// Whoever was pushed again has no tombstone of then, be they deleted since.
	exhumed, err := u.tx.Exhume(l.Burial)
	if err != nil {
		return "", err
	}
	if !exhumed {
		return madeAgain, nil
	}
	p := kept.Person
	p.Organization = u.d.known()[p.Connection].Organization
	if err := u.resettle(&p); err != nil {
		return "", err
	}
	p.Version++
	p.Modified = u.now
	link, err := storedLink(u.tx, p)
	if err != nil {
		return "", err
	}
	if err := u.tx.InsertPerson(p, link); err != nil {
		return "", err
	}
	for _, i := range kept.Identities {
		if link != kept.Link {
			i.Link = "" // it is a value of another attribute
		}
		if err := u.tx.InsertIdentity(i); err != nil {
			return "", err
		}
	}
	hashes, err := graves(u.tx, p, kept.Link)
	if err != nil {
		return "", err
	}
	if err := u.tx.Unbury(p.Connection, placed(p.Connection, hashes)); err != nil {
		return "", err
	}
	if err := u.tx.ReviveHistory(l.Seq, u.now); err != nil {
		return "", err
	}
	if err := u.rejoin(l, p, kept.Groups); err != nil {
		return "", err
	}
	return Restored, u.follow(audit.PersonRestored, p)
}

// rejoin puts somebody who is back into the groups that they were in, but for
// those whose members the identity provider has named since.
func (u *undo) rejoin(l Loss, p Person, groups []string) error {
	known, err := u.tx.KnownGroups(p.Connection, groups)
	if err != nil {
		return err
	}
	for _, g := range known {
		again, err := u.tx.Overruled(l, g, p.ID)
		if err != nil {
			return err
		}
		if !again {
			if _, err := u.tx.AddMembers(g, []string{p.ID}, u.now); err != nil {
				return err
			}
		}
	}
	for _, g := range without(groups, known) {
		if _, err := u.tx.KeepRemoval(g, p.ID); err != nil {
			return err
		}
	}
	return u.d.attachParked(u.tx, p, u.now)
}

// follow writes what somebody's return brings along.
func (u *undo) follow(action audit.Action, p Person) error {
	event := personEvent(u.now, action, u.by, p)
	event.Reason = "a mass loss was undone"
	event.Detail = map[string]string{"change": strconv.FormatInt(u.m.ID, 10)}
	if err := u.tx.Audit(event); err != nil {
		return err
	}
	return u.tx.Change(Change{At: u.now, Person: p.ID})
}
