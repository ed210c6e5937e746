package directory

import (
	"context"

	"portcullis/audit"
	"portcullis/fault"
)

// Remove erases somebody by an administrator's decision, with their sign-ins
// and their past; the audit trail stays. It leaves no tombstone: whoever signs
// in again begins anew, but what barred them bars them again, and they are in
// the sub-organization that they were in.
//
// It fails with fault.NotFound, and with fault.Conflict for somebody whom
// their identity provider manages over SCIM, since only it can take them back.
func (d *Directory) Remove(ctx context.Context, by audit.Actor, id, reason string) error {
	now := d.now()
	return d.store.Update(ctx, func(tx Tx) error {
		p, err := tx.Person(id)
		if err != nil {
			return err
		}
		if err := d.Removable(p); err != nil {
			return err
		}
		hashes, err := returns(tx, p)
		if err != nil {
			return err
		}
		if err := remember(tx, p, hashes, now); err != nil {
			return err
		}
		return d.erase(tx, by, p, reason, now)
	})
}

// Removable says why [Directory.Remove] would refuse somebody, or nil.
func (d *Directory) Removable(p Person) error {
	if _, configured := d.known()[p.Connection]; p.Provisioned && configured {
		return fault.New(fault.Conflict, "connection %q manages this person over SCIM: they are deleted there", p.Connection)
	}
	return nil
}
