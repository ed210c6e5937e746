package directory

import (
	"context"

	"portcullis/audit"
	"portcullis/fault"
)

// Remove erases somebody by an administrator's decision, with their sign-ins
// and their past; the audit trail stays. It leaves no tombstone: whoever signs
// in again begins anew.
//
// It fails with fault.NotFound; with fault.Conflict for somebody whom their
// identity provider manages over SCIM, since only it can take them back; and
// with fault.Conflict for somebody who is locked or deactivated: the bar would
// go with the account, and they could come in again.
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
		return d.erase(tx, by, p, reason, now)
	})
}

// Removable says why [Directory.Remove] would refuse somebody, or nil.
func (d *Directory) Removable(p Person) error {
	switch _, configured := d.connections[p.Connection]; {
	case p.Provisioned && configured:
		return fault.New(fault.Conflict, "connection %q manages this person over SCIM; they are deleted there", p.Connection)
	case p.State() != Active:
		return fault.New(fault.Conflict,
			"this person is %s, and that would go with the account: they could sign in again and begin anew", p.State())
	default:
		return nil
	}
}
