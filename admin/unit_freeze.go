package admin

import (
	"net/url"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/web"
)

// freezeView says whom it would put out to freeze an organization or a
// sub-organization, or asks before it is unfrozen.
type freezeView struct {
	People   int `json:"people"`   // in it and below it
	Sessions int `json:"sessions"` // of theirs that would end

	Organization string   `json:"-"`
	Name         string   `json:"-"` // of what is frozen
	Path         []string `json:"-"` // names down to the sub-organization; none for the whole
	Action, Back string   `json:"-"`
	Freezes      bool     `json:"-"`
	Frozen       *barJSON `json:"-"` // who has frozen the sub-organization; nil for nobody
}

// freezes says why a sub-organization is not for a visitor to freeze or
// unfreeze, or nil: whoever manages a part of an organization is below those
// who decide about parts.
func freezes(v *visitor, u directory.Unit) error {
	of, _ := v.reach(mapping.GateUsersLock)
	switch {
	case !of.holds(u.Organization, u.ID):
		return errNoUnit
	case !v.may(mapping.GateUsersLock) || of.units != nil:
		return fault.New(fault.Forbidden, "this is for those to decide who manage the whole organization")
	default:
		return nil
	}
}

// frozenUnit finds the sub-organization that is to be frozen or unfrozen.
func (c *Console) frozenUnit(r *request) (u directory.Unit, tree directory.Tree, err error) {
	if u, tree, err = c.directory.TreeOf(r.ctx, r.param("unit")); err == nil {
		err = freezes(r.visitor, u)
	}
	return u, tree, err
}

func (c *Console) askFreeze(r *request) (any, error)   { return c.freezing(r, true) }
func (c *Console) askUnfreeze(r *request) (any, error) { return c.freezing(r, false) }

func (c *Console) freezing(r *request, freezes bool) (any, error) {
	u, tree, err := c.frozenUnit(r)
	if err != nil {
		return nil, err
	}
	effect, err := c.directory.UnitEffect(r.ctx, u.Organization, u.ID)
	if err != nil {
		return nil, err
	}
	v := askedToFreeze(u.Organization, effect, "/sub-organizations/"+u.ID, freezes)
	v.Name, v.Path, v.Frozen = u.Name, tree.Path(u.ID), barWire(u.Frozen)
	v.Back += "?" + url.Values{"organization": {u.Organization}}.Encode()
	return v, nil
}

// askedToFreeze is the question about what has its verbs at a path.
func askedToFreeze(organization string, e directory.FreezeEffect, at string, freezes bool) *freezeView {
	verb := "/unfreeze"
	if freezes {
		verb = "/freeze"
	}
	return &freezeView{
		People: e.People, Sessions: e.Sessions, Organization: organization, Name: organization, Freezes: freezes,
		Action: web.ConsolePrefix + at + verb, Back: web.ConsolePrefix + "/organizations",
	}
}

func (c *Console) freezeUnit(r *request) (any, error) {
	u, _, err := c.frozenUnit(r)
	if err != nil {
		return nil, err
	}
	why, err := r.reason(true)
	if err != nil {
		return nil, err
	}
	to := r.toTree(u.Organization, "unit-frozen")
	freeze := c.directory.FreezeUnit
	if r.organization != "" {
		freeze = c.directory.FreezeOwnUnit
	}
	to.Ended, err = freeze(r.ctx, r.actor(), u.Organization, u.ID, why)
	return to, err
}

func (c *Console) unfreezeUnit(r *request) (any, error) {
	u, _, err := c.frozenUnit(r)
	if err != nil {
		return nil, err
	}
	why, err := r.reason(false)
	if err != nil {
		return nil, err
	}
	unfreeze := c.directory.UnfreezeUnit
	if r.organization != "" {
		// As with a lock: what the gate's own administrators decided is not a client's to take back.
		unfreeze = c.directory.UnfreezeOwnUnit
	}
	return r.toTree(u.Organization, "unit-unfrozen"), unfreeze(r.ctx, r.actor(), u.Organization, u.ID, why)
}
