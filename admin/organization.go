package admin

import (
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
)

// client is the organization that a call freezes or lets in again. Whoever
// manages one may bar each of its people, and not all of it: [Route.whole].
func (r *request) client() (string, error) { return named(r.form.Get("organization")) }

func named(organization string) (string, error) {
	if organization == "" {
		return "", fault.New(fault.Invalid, "organization: want the name of one")
	}
	return organization, nil
}

// freezesAll says why an organization is not for a visitor to freeze, or nil.
func freezesAll(v *visitor, name string) error {
	_, everybody := v.reach(mapping.GateUsersLock)
	switch {
	case !everybody || !v.may(mapping.GateUsersLock):
		return fault.New(fault.Forbidden, "this is for those to decide who manage the whole gate")
	case v.who != nil && name == v.home.organization:
		return fault.New(fault.Conflict, "this is your own organization: you would be out, too, and could not let it in again")
	default:
		return nil
	}
}

func (c *Console) askFreezeAll(r *request) (any, error)   { return c.freezingAll(r, true) }
func (c *Console) askUnfreezeAll(r *request) (any, error) { return c.freezingAll(r, false) }

// freezingAll asks before an organization is frozen or unfrozen.
func (c *Console) freezingAll(r *request, freezes bool) (any, error) {
	name, err := named(r.query("organization"))
	if err != nil {
		return nil, err
	}
	effect, err := c.directory.FreezeEffect(r.ctx, name)
	if err != nil {
		return nil, err
	}
	if err := freezesAll(r.visitor, name); err != nil && freezes {
		return nil, err
	}
	return askedToFreeze(name, effect, "/organizations", freezes), nil
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
	if err := freezesAll(r.visitor, name); err != nil {
		return nil, err
	}
	ended, err := c.directory.Freeze(r.ctx, r.actor(), name, why)
	return done{to: "/organizations", Done: "organization-frozen", Ended: ended}, err
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
	return done{to: "/organizations", Done: "organization-unfrozen"}, c.directory.Unfreeze(r.ctx, r.actor(), name, why)
}

// thawed says why people may not go out of an organization, or nil: out of one
// that is frozen, or has a part that is, they would be let in again by whoever
// may see to connections.
func (c *Console) thawed(r *request, organization string) error {
	all, err := c.directory.Organizations(r.ctx)
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Disabled && all[i].Name == organization {
			return fault.New(fault.Conflict, "%q is frozen: its people go nowhere else before it is unfrozen", organization)
		}
	}
	parts, err := c.directory.Units(r.ctx, organization)
	for _, u := range parts {
		if u.Closed {
			return fault.New(fault.Conflict, "%q of %q is frozen: its people go nowhere else before it is unfrozen", u.Name, organization)
		}
	}
	return err
}

func organizationWire(o *directory.Client) organizationJSON {
	w := organizationJSON{Name: o.Name, Frozen: o.Disabled, Connections: list(o.Connections), People: o.People}
	if b := o.Frozen; b != nil {
		w.Since, w.By, w.Reason = optional(b.At), b.By, b.Reason
	}
	return w
}
