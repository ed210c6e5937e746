package directory

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"portcullis/audit"
	"portcullis/fault"
)

// ExamineLosses counts the losses that were not counted yet, gathers what is a
// mass loss into one, and erases what was kept long enough. It gives the mass
// losses that it found new. It is called once in a while by every replica; one
// at a time does the work. Which losses belong together depends on when they
// happened and not on when they are counted: a minute's losses are counted at
// once, with the hour before the first of them.
func (d *Directory) ExamineLosses(ctx context.Context) (begun []MassLoss, err error) {
	pending := false
	err = d.store.Glance(ctx, func(tx Tx) error {
		pending, err = tx.LossesPending()
		return err
	})
	if err != nil || !pending {
		return nil, err
	}
	err = d.store.Update(ctx, func(tx Tx) error {
		begun = nil
		if err := tx.LockLedger(); err != nil {
			return err
		}
		slices, err := tx.TakePending()
		if err != nil {
			return err
		}
		for _, s := range slices {
			m, isNew, err := d.examine(tx, s)
			if err != nil {
				return err
			}
			if isNew {
				begun = append(begun, m)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return begun, nil
}

// examine looks at the losses of one minute, and the hour before.
func (d *Directory) examine(tx Tx, s LossSlice) (m MassLoss, isNew bool, err error) {
	guard := d.known()[s.Connection].Guard.filled()
	m, err = tx.OpenMassLoss(s.Connection, s.Group)
	open := err == nil
	if err != nil && !fault.Is(err, fault.NotFound) {
		return m, false, err
	}
	from := s.From.Add(-LossWindow)
	if open && !m.Last.After(from) { // an hour without any
		m.Closed, open = true, false
		if err := tx.UpdateMassLoss(m); err != nil {
			return m, false, err
		}
	}
	lost, err := tx.CountLosses(s.Connection, s.Group, from, s.To)
	if err != nil {
		return m, false, err
	}
	of := m.Population
	if lost > guard.People && !open {
		// Of more than this it is no mass loss, however many more there are.
		rest, err := tx.Remaining(s.Connection, s.Group, lost*100/guard.Percent+1)
		if err != nil {
			return m, false, err
		}
		of = lost + rest
	}
	above := guard.trips(lost, of)
	switch {
	case open && !above:
		m.Closed = true
		return m, false, tx.UpdateMassLoss(m)
	case !above:
		return m, false, nil
	case !open:
		m = MassLoss{Connection: s.Connection, Group: s.Group, Population: of, Began: s.To, Last: s.From}
		if m.ID, err = tx.InsertMassLoss(m); err != nil {
			return m, false, err
		}
	}
	s.From = from
	if err := d.attach(tx, &m, s); err != nil {
		return m, false, err
	}
	if open {
		return m, false, nil
	}
	return m, true, tx.Audit(audit.Event{
		At: d.now(), Action: audit.MassLossFound, Actor: audit.Gate(), Subject: m.subject(), Connection: m.Connection, Detail: m.detail(),
	})
}

// attach makes the losses of a time part of a mass loss.
func (d *Directory) attach(tx Tx, m *MassLoss, s LossSlice) error {
	losses, err := tx.AttachLosses(m.ID, s)
	if err != nil {
		return err
	}
	for _, l := range losses {
		switch l.Kind {
		case Deactivation:
			m.Deactivated++
		case Deletion:
			m.Deleted++
		case GroupDeletion:
			m.Deleted++
			m.GroupName = l.Subject
		case Removal:
			m.Removed++
		default:
			continue
		}
		if l.At.Before(m.Began) {
			m.Began = l.At
		}
		if l.At.After(m.Last) {
			m.Last = l.At
		}
	}
	if m.Group != "" && m.GroupName == "" {
		g, err := tx.Group(m.Connection, m.Group)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		m.GroupName = g.Name
	}
	return tx.UpdateMassLoss(*m)
}

// EraseLosses erases what the ledger kept long enough: an ordinary loss once
// the hour is over that it is counted in, and a mass loss when it can no
// longer be undone.
func (d *Directory) EraseLosses(ctx context.Context) error {
	now := d.now()
	return d.store.Update(ctx, func(tx Tx) error {
		return tx.EraseLosses(now.Add(-LossWindow-lossGrace), now.Add(-UndoLife))
	})
}

// MassLosses gives a page of mass losses, the newest first.
func (d *Directory) MassLosses(ctx context.Context, q MassLossQuery) (page Page[MassLoss], err error) {
	asked := q.Limit
	q.Limit++
	err = d.store.Glance(ctx, func(tx Tx) error {
		page.Items, err = tx.MassLosses(q, d.now())
		return err
	})
	if len(page.Items) > asked {
		page.Items = page.Items[:asked]
		page.Next = &Cursor{Seq: page.Items[asked-1].ID}
	}
	return page, err
}

// LatestMassLosses gives up to limit mass losses of each connection in turn, the
// newest first; where connections is nil, of all of them together.
func (d *Directory) LatestMassLosses(ctx context.Context, connections []string, undoable bool, limit int) (found []MassLoss, err error) {
	if connections == nil {
		page, err := d.MassLosses(ctx, MassLossQuery{Undoable: undoable, Limit: limit})
		return page.Items, err
	}
	err = d.store.Glance(ctx, func(tx Tx) error {
		found, err = tx.LatestMassLosses(connections, undoable, limit, d.now())
		return err
	})
	slices.SortStableFunc(found, func(a, b MassLoss) int {
		return cmp.Compare(slices.Index(connections, a.Connection), slices.Index(connections, b.Connection))
	})
	return found, err
}

// MassLoss gives one mass loss. It fails with fault.NotFound.
func (d *Directory) MassLoss(ctx context.Context, id int64) (m MassLoss, err error) {
	err = d.store.Glance(ctx, func(tx Tx) error {
		m, err = tx.MassLoss(id)
		return err
	})
	return m, err
}

// Losses gives a page of what a mass loss is made of, in the order in which it
// happened. After [UndoLife] there are none.
func (d *Directory) Losses(ctx context.Context, id int64, after *Cursor, limit int) (page Page[Loss], err error) {
	begin := int64(0)
	if after != nil {
		begin = after.Seq
	}
	err = d.store.Glance(ctx, func(tx Tx) error {
		page.Items, err = tx.Losses(id, begin, limit+1)
		return err
	})
	if len(page.Items) > limit {
		page.Items = page.Items[:limit]
		page.Next = &Cursor{Seq: page.Items[limit-1].Seq}
	}
	return page, err
}

// subject says in words what the mass loss happened to.
func (m *MassLoss) subject() string {
	if m.Group == "" {
		return "people of " + m.Connection
	}
	return m.GroupName
}

// detail is what the trail holds of the mass loss.
func (m *MassLoss) detail() map[string]string {
	out := map[string]string{"change": strconv.FormatInt(m.ID, 10), "population": strconv.Itoa(m.Population)}
	if m.Group != "" {
		out["group"] = m.Group
	}
	for name, n := range map[string]int{"deactivated": m.Deactivated, "deleted": m.Deleted, "removed": m.Removed} {
		if n > 0 {
			out[name] = strconv.Itoa(n)
		}
	}
	return out
}
