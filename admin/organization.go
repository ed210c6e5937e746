package admin

import (
	"portcullis/directory"
	"portcullis/fault"
)

// client is the organization that a call freezes or lets in again. Whoever
// manages one may bar each of its people, and not all of it: [Route.whole].
func (r *request) client() (string, error) {
	name := r.form.Get("organization")
	if name == "" {
		return "", fault.New(fault.Invalid, "organization: want the name of one")
	}
	return name, nil
}

// freeze keeps everybody of an organization out.
func (c *Console) freeze(r *request) (any, error) {
	name, err := r.client()
	if err != nil {
		return nil, err
	}
	why, err := r.reason(true)
	if err != nil {
		return nil, err
	}
	if r.who != nil && name == r.home.organization {
		return nil, fault.New(fault.Conflict, "this is your own organization: you would be out, too, and could not let it in again")
	}
	ended, err := c.directory.Freeze(r.ctx, r.actor(), name, why)
	return done{Done: "freeze", Ended: ended}, err
}

// unfreeze lets the people of an organization in again.
func (c *Console) unfreeze(r *request) (any, error) {
	name, err := r.client()
	if err != nil {
		return nil, err
	}
	why, err := r.reason(false)
	if err != nil {
		return nil, err
	}
	return done{Done: "unfreeze"}, c.directory.Unfreeze(r.ctx, r.actor(), name, why)
}

// thawed says why the people of a connection may not go to another organization,
// or nil: out of one that is frozen they would be let in again by whoever may see
// to connections.
func (c *Console) thawed(r *request, conn Connection, organization string) error {
	if organization == "" {
		organization = conn.ID // as in the configuration
	}
	if organization == conn.Organization {
		return nil
	}
	all, err := c.directory.Organizations(r.ctx)
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Disabled && all[i].Name == conn.Organization {
			return fault.New(fault.Conflict, "%q is frozen: its people go nowhere else before it is let in again", conn.Organization)
		}
	}
	return nil
}

func organizationWire(o *directory.Client) organizationJSON {
	w := organizationJSON{Name: o.Name, Frozen: o.Disabled, Connections: list(o.Connections), People: o.People}
	if b := o.Frozen; b != nil {
		w.Since, w.By, w.Reason = optional(b.At), b.By, b.Reason
	}
	return w
}
