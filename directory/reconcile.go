package directory

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"portcullis/fault"
)

// Reconcile brings the stored organizations and connections into line with
// the configuration. Where a connection meets on another attribute than
// before, every pushed person's link value is computed anew. Where a
// connection belongs to another organization than before, its people and API tokens
// move there, the people out of their sub-organizations; where it reads those from another
// attribute than before, everybody is put where that says.
func (d *Directory) Reconcile(ctx context.Context) error {
	return d.reconcileAll(ctx, d.known())
}

// SetConnections puts other connections in the place of those that were. What
// is new or different is reconciled first, see [Directory.Reconcile]; if that
// fails, everything stays as it was. Where a domain belongs to another
// organization than before, everybody's access is computed anew. It is not for
// concurrent use with itself.
func (d *Directory) SetConnections(ctx context.Context, connections []Connection) error {
	next, fresh := newWays(connections), make(map[string]Connection)
	for id, conn := range next.byID {
		if old, ok := d.known()[id]; !ok || old.Organization != conn.Organization || old.Link != conn.Link || old.Units != conn.Units {
			fresh[id] = conn
		}
	}
	if err := d.reconcileAll(ctx, fresh); err != nil {
		return err
	}
	old := d.ways.Swap(next)
	if old.sameOwners(next) {
		return nil
	}
	// After the swap, so that whoever forgets because of it computes with the
	// new owners. Other replicas write theirs as they come to know of them.
	err := d.store.Update(ctx, func(tx Tx) error { return tx.Change(Change{At: d.now()}) })
	if err != nil {
		d.ways.Store(old)
	}
	return err
}

func (d *Directory) reconcileAll(ctx context.Context, connections map[string]Connection) error {
	for _, id := range slices.Sorted(maps.Keys(connections)) {
		conn := connections[id]
		err := d.store.Update(ctx, func(tx Tx) error { return d.reconcile(tx, conn) })
		if err != nil {
			return fmt.Errorf("connection %q: %w", id, err)
		}
	}
	return nil
}

func (d *Directory) reconcile(tx Tx, conn Connection) error {
	_, err := tx.Organization(conn.Organization)
	if fault.Is(err, fault.NotFound) {
		err = tx.PutOrganization(Organization{Name: conn.Organization}, d.now())
	}
	if err != nil {
		return err
	}
	link, err := tx.ConnectionLink(conn.ID)
	relink := err == nil && link != conn.Link
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if relink {
		if err := d.relink(tx, conn); err != nil {
			return err
		}
	}
	attribute, err := tx.ConnectionUnits(conn.ID)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err := tx.PutConnection(conn); err != nil {
		return err
	}
	moved, err := tx.Rehome(conn.ID, conn.Organization, d.now())
	if err != nil {
		return err
	}
	if conn.Units.Attribute != "" && (moved > 0 || attribute != conn.Units.Attribute) {
		if err := d.settleAll(tx, conn, d.now()); err != nil {
			return err
		}
	}
	if moved == 0 {
		return nil
	}
	return tx.Change(Change{At: d.now()})
}

// relink computes the link value of every pushed person of a connection. The
// old values go first, for one person's new value may be another's old one;
// the identities' go for good, for they compare with nothing any more.
func (d *Directory) relink(tx Tx, conn Connection) error {
	if err := tx.ForgetLinks(conn.ID); err != nil {
		return err
	}
	none := func(p Person, _ Record) error { return tx.UpdatePerson(p, "") }
	if err := eachPushed(tx, conn, none); err != nil {
		return err
	}
	return eachPushed(tx, conn, func(p Person, r Record) error { return tx.UpdatePerson(p, linkOf(conn, r)) })
}

// eachPushed calls f with every pushed person of a connection.
func eachPushed(tx Tx, conn Connection, f func(Person, Record) error) error {
	const page = 1000
	for offset := 0; ; offset += page {
		found, err := tx.People(Query{Connection: conn.ID, Pushed: true, Offset: offset, Limit: page})
		if err != nil {
			return err
		}
		for _, p := range found.Items {
			r, err := recordOf(p)
			if err != nil {
				return err
			}
			if err := f(p, r); err != nil {
				return err
			}
		}
		if len(found.Items) < page {
			return nil
		}
	}
}
