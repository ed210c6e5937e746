package directory

import (
	"context"
	"strconv"

	"portcullis/audit"
)

// Confirm lets somebody in again whom a restore may have revived: their
// identity provider has named them since. It does nothing to anybody else.
func (d *Directory) Confirm(ctx context.Context, id string) error {
	return d.store.Update(ctx, func(tx Tx) error { return tx.ConfirmPerson(id) })
}

// ConfirmConnection takes an administrator's word that nobody of a connection
// was deprovisioned after the backup, or that it has been synchronised, and
// lets all of its people in again who wait. It gives how many they were.
func (d *Directory) ConfirmConnection(ctx context.Context, by audit.Actor, connection, reason string) (confirmed int, err error) {
	now := d.now()
	err = d.store.Update(ctx, func(tx Tx) error {
		if confirmed, err = tx.ConfirmPeople(connection); err != nil || confirmed == 0 {
			return err
		}
		return tx.Audit(audit.Event{
			At: now, Action: audit.PeopleConfirmed, Actor: by, Connection: connection, Subject: connection, Reason: reason,
			Detail: map[string]string{"people": strconv.Itoa(confirmed)},
		})
	})
	return confirmed, err
}

// Unconfirmed counts by connection the people who wait to be confirmed.
func (d *Directory) Unconfirmed(ctx context.Context) (people map[string]int, err error) {
	err = d.store.Glance(ctx, func(tx Tx) error {
		people, err = tx.UnconfirmedPeople()
		return err
	})
	return people, err
}
