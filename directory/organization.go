package directory

import (
	"context"

	"portcullis/audit"
	"portcullis/fault"
)

// Client is an organization with what belongs to it, for lists.
type Client struct {
	Organization

	Frozen      *Bar     // nil while it is not
	Connections []string // ids, those that left the configuration included
	People      int
}

// Organizations gives every organization that is known, by name.
func (d *Directory) Organizations(ctx context.Context) (clients []Client, err error) {
	err = d.store.View(ctx, func(tx Tx) error {
		clients, err = tx.Organizations()
		return err
	})
	return clients, err
}

// Freeze keeps everybody of an organization out and ends all of their
// sessions at once, on every replica; their API tokens open nothing while it
// lasts, and SCIM takes nothing from their identity provider but losses. It
// does nothing if the organization is frozen already. It fails with
// fault.NotFound.
func (d *Directory) Freeze(ctx context.Context, by audit.Actor, name, reason string) (ended int, err error) {
	now := d.now()
	err = d.store.Update(ctx, func(tx Tx) error {
		ended = 0
		o, err := organizationOf(tx, name)
		if err != nil || o.Disabled {
			return err
		}
		// First the bar, which a sign-in under way has to wait for, then its sessions.
		if err := tx.FreezeOrganization(name, Bar{At: now, By: by.Name, Reason: reason}); err != nil {
			return err
		}
		if ended, err = tx.EndSessionsOf(name, "access for "+name+" is frozen", now); err != nil {
			return err
		}
		err = tx.Audit(audit.Event{
			At: now, Action: audit.ClientFrozen, Actor: by, Subject: name, Reason: reason, Detail: EndedDetail(ended),
		})
		if err != nil {
			return err
		}
		return tx.Change(Change{At: now, Organization: name, Loss: true})
	})
	return ended, err
}

// FreezeEffect says whom Freeze would put out now. It fails with
// fault.NotFound.
func (d *Directory) FreezeEffect(ctx context.Context, name string) (e FreezeEffect, err error) {
	err = d.store.Glance(ctx, func(tx Tx) error {
		if _, err := organizationOf(tx, name); err != nil {
			return err
		}
		e, err = tx.OrganizationEffect(name, d.now())
		return err
	})
	return e, err
}

// Unfreeze lets the people of an organization in again; sessions do not come
// back. It does nothing if the organization is not frozen. It fails with
// fault.NotFound.
func (d *Directory) Unfreeze(ctx context.Context, by audit.Actor, name, reason string) error {
	now := d.now()
	return d.store.Update(ctx, func(tx Tx) error {
		o, err := organizationOf(tx, name)
		if err != nil || !o.Disabled {
			return err
		}
		if err := tx.PutOrganization(Organization{Name: name}, now); err != nil {
			return err
		}
		if err := tx.Audit(audit.Event{At: now, Action: audit.ClientUnfrozen, Actor: by, Subject: name, Reason: reason}); err != nil {
			return err
		}
		return tx.Change(Change{At: now, Organization: name})
	})
}

// ErrFrozen refuses what would give something to people of an organization
// that is frozen. It is a fault.Forbidden.
var ErrFrozen = fault.New(fault.Forbidden, "this organization is frozen: only what takes rights away is accepted until it is unfrozen")

func organizationOf(tx Tx, name string) (Organization, error) {
	o, err := tx.Organization(name)
	if fault.Is(err, fault.NotFound) {
		return o, fault.New(fault.NotFound, "no organization %q", name)
	}
	return o, err
}

// lossesOf is what an edit takes away, and whether it asks for more.
func lossesOf(tx Tx, g Group, e GroupEdit) (losses GroupEdit, more bool, err error) {
	renamed := g
	if more, err = rename(&renamed, e); err != nil {
		return losses, more, err
	}
	losses.Remove, more = e.Remove, more || len(e.Add) > 0
	if e.Replace == nil {
		return losses, more, nil
	}
	members, err := tx.Members(g.ID)
	if err != nil {
		return losses, more, err
	}
	named := make(map[string]bool, len(*e.Replace))
	for _, id := range *e.Replace {
		named[id] = true
	}
	stay := []string{}
	for _, m := range members {
		if named[m.ID] {
			stay = append(stay, m.ID)
		}
	}
	losses.Replace = &stay
	return losses, more || len(stay) < len(*e.Replace), nil
}
