package admin

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
)

// What the filter of people asks for beside a sub-organization's id.
const (
	inNone    = "none" // who is in the organization itself
	notPlaced = directory.Unplaced
)

// unitRoutes are those about sub-organizations, and who is in them.
func unitRoutes() []Route {
	get, post, right := http.MethodGet, http.MethodPost, mapping.GateUsersEdit
	const one = "/sub-organizations/:unit"
	return []Route{
		{get, "/organizations", get, "/organizations", mapping.GateUsersView, "organizations", (*Console).organizations},
		{get, "/organizations/freeze", get, "/organizations/freeze", mapping.GateUsersLock, "freeze", (*Console).askFreezeAll},
		{post, "/organizations/freeze", post, "/organizations/freeze", mapping.GateUsersLock, "", (*Console).freeze},
		{get, "/organizations/unfreeze", "", "", mapping.GateUsersLock, "freeze", (*Console).askUnfreezeAll},
		{post, "/organizations/unfreeze", post, "/organizations/unfreeze", mapping.GateUsersLock, "", (*Console).unfreeze},
		{post, "/sub-organizations", post, "/sub-organizations", right, "organizations", (*Console).addUnit},
		{post, one + "/rename", post, one + "/rename", right, "organizations", (*Console).renameUnit},
		{post, one + "/move", post, one + "/move", right, "organizations", (*Console).moveUnit},
		{post, one + "/remove", http.MethodDelete, one, right, "organizations", (*Console).removeUnit},
		{get, one + "/freeze", get, one + "/freeze", mapping.GateUsersLock, "freeze", (*Console).askFreeze},
		{post, one + "/freeze", post, one + "/freeze", mapping.GateUsersLock, "", (*Console).freezeUnit},
		{get, one + "/unfreeze", "", "", mapping.GateUsersLock, "freeze", (*Console).askUnfreeze},
		{post, one + "/unfreeze", post, one + "/unfreeze", mapping.GateUsersLock, "", (*Console).unfreezeUnit},
		{get, "/people/:id/place", "", "", right, "place", (*Console).askPlace},
		{post, "/people/:id/place", post, "/people/:id/place", right, "", (*Console).place},
		{post, "/people/all/place", post, "/people/all/place", right, "place", (*Console).placeAll},
	}
}

// unitJSON is a sub-organization.
type unitJSON struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Below  string   `json:"below,omitempty"` // id of the one that it is a part of
	Path   []string `json:"path"`            // names from the top down to it
	People int      `json:"people"`          // in it alone
	Out    bool     `json:"suspended"`       // nobody in it may come in: it is frozen, or one above it
	Frozen *barJSON `json:"frozen,omitempty"`

	MayFreeze bool         `json:"-"`
	MayThaw   bool         `json:"-"`
	MayTake   bool         `json:"-"` // the decision of one of the organization's own managers
	MayChange bool         `json:"-"`
	Targets   []unitChoice `json:"-"` // where it may be moved to
}

// Depth is how far in it stands in a list, from 0.
func (u unitJSON) Depth() int { return len(u.Path) - 1 }

// unitChoice is a sub-organization as one of several to choose from; with no
// id, the organization itself.
type unitChoice struct {
	ID, Label string
	Chosen    bool
}

// organizationJSON is an organization in a list.
type organizationJSON struct {
	Name        string   `json:"name"`
	Frozen      bool     `json:"frozen"`
	Connections []string `json:"connections"`
	People      int      `json:"people"`

	Since  *time.Time `json:"since,omitempty"` // it is frozen
	By     string     `json:"by,omitempty"`
	Reason string     `json:"reason,omitempty"`

	MayFreeze bool `json:"-"` // or unfreeze it
}

// organizationsView is the organizations, and the sub-organizations of one.
type organizationsView struct {
	Organizations []organizationJSON `json:"organizations"`          // of which the visitor may see everybody
	Organization  string             `json:"organization,omitempty"` // whose sub-organizations follow
	Itself        int                `json:"itself"`                 // people who are in none of them
	Unplaced      int                `json:"notPlaced"`              // people of whom nobody can say
	Units         []unitJSON         `json:"subOrganizations"`

	Whole     bool         `json:"-"` // the visitor sees the organization itself
	MayEdit   bool         `json:"-"`
	MayFreeze bool         `json:"-"` // any of those that are shown
	Parents   []unitChoice `json:"-"` // below which one may be made
	MaxName   int          `json:"-"`
	Refused   unitRefusal  `json:"-"`
}

// unitRefusal is an order about a sub-organization that was not taken.
type unitRefusal struct {
	Unit    string // its id; empty for a new one
	Field   string // that the mistake is in: "name", "below", or none
	Name    string // what was typed
	Problem string // empty if nothing was refused
}

func (c *Console) organizations(r *request) (any, error) {
	return c.organizationsOf(r, r.query("organization"))
}

func (c *Console) organizationsOf(r *request, organization string) (*organizationsView, error) {
	v := &organizationsView{
		Organizations: []organizationJSON{}, Units: []unitJSON{}, Organization: organization, Whole: r.units == nil, MaxName: directory.MaxUnitName,
	}
	if r.organization != "" {
		v.Organization = r.organization
	}
	if r.units == nil {
		all, err := c.directory.Organizations(r.ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			if r.holds(o.Name, "") {
				w := organizationWire(&o)
				w.MayFreeze = freezesAll(r.visitor, o.Name) == nil
				v.MayFreeze = v.MayFreeze || w.MayFreeze && organization == ""
				v.Organizations = append(v.Organizations, w)
			}
		}
		known := func(o organizationJSON) bool { return o.Name == v.Organization }
		if v.Organization != "" && !slices.ContainsFunc(v.Organizations, known) {
			return nil, fault.New(fault.NotFound, "there is no such organization")
		}
	}
	if v.Organization == "" {
		return v, nil
	}
	return v, c.grown(r, v)
}

// grown fills in the tree of one organization, as far as the visitor sees it.
func (c *Console) grown(r *request, v *organizationsView) error {
	tree, err := c.directory.Units(r.ctx, v.Organization)
	if err != nil {
		return err
	}
	counts, err := c.directory.UnitCounts(r.ctx, v.Organization)
	if err != nil {
		return err
	}
	of, everybody := r.reach(mapping.GateUsersEdit)
	v.MayEdit = r.may(mapping.GateUsersEdit) && (everybody || of.organization == v.Organization)
	if r.units == nil {
		v.Itself, v.Unplaced = counts[""], counts[directory.Unplaced]
	}
	v.Parents = choices(of, tree, "")
	for _, u := range tree {
		if !r.holds(v.Organization, u.ID) {
			continue
		}
		w := unitJSON{
			ID: u.ID, Name: u.Name, Below: u.Parent, Path: tree.Path(u.ID), People: counts[u.ID], MayChange: v.MayEdit && c.changes(of, u) == nil,
			Out: u.Closed, Frozen: barWire(u.Frozen),
		}
		if freezes(r.visitor, u) == nil {
			w.MayFreeze, w.MayThaw = u.Frozen == nil, u.Frozen != nil
			_, gate := r.reach(mapping.GateUsersLock)
			w.MayTake = gate && u.Frozen != nil && u.Freezer != ""
			v.MayFreeze = true
		}
		if w.MayChange {
			inside := tree.Below(u.ID)
			for _, t := range v.Parents {
				if t.Chosen = t.ID == u.Parent; !slices.Contains(inside, t.ID) {
					w.Targets = append(w.Targets, t)
				}
			}
		}
		v.Units = append(v.Units, w)
	}
	return nil
}

// choices are the places in a tree that a scope reaches.
func choices(of scope, tree directory.Tree, chosen string) (out []unitChoice) {
	if of.units == nil {
		out = append(out, unitChoice{"", "", chosen == ""})
	}
	for _, u := range tree {
		if of.units == nil || slices.Contains(of.units, u.ID) {
			out = append(out, unitChoice{u.ID, strings.Join(tree.Path(u.ID), " / "), chosen == u.ID})
		}
	}
	return out
}

// changes says why a sub-organization is not for a scope to change, or nil: the
// one that a manager stands in is for those above.
func (*Console) changes(of scope, u directory.Unit) error {
	switch {
	case !of.holds(u.Organization, u.ID):
		return errNoUnit
	case len(of.units) > 0 && of.units[0] == u.ID:
		return fault.New(fault.Forbidden, "this one is for those to change who manage what is above it")
	default:
		return nil
	}
}

var errNoUnit = fault.New(fault.NotFound, "there is no such sub-organization")

// unit finds the sub-organization that a call changes.
func (c *Console) unit(r *request) (u directory.Unit, err error) {
	if u, _, err = c.directory.TreeOf(r.ctx, r.param("unit")); err == nil {
		err = c.changes(r.scope, u)
	}
	return u, err
}

// names says why a name is not the visitor's to give to a sub-organization of an
// organization, or nil. Where identity providers name them, whoever gives one a
// name says whose people come there.
func (c *Console) names(r *request, organization string) error {
	if r.units == nil {
		return nil
	}
	if conn := c.directory.NamesUnits(organization); conn != "" {
		return fault.New(fault.Forbidden,
			"the identity provider of connection %q says by name who is where: names are for those to give who manage the whole organization", conn)
	}
	return nil
}

// target reads where something is to be put: a sub-organization within the
// visitor's reach, or the organization itself.
func (c *Console) target(r *request, field string) (string, error) {
	id := r.form.Get(field)
	if r.units != nil && !slices.Contains(r.units, id) {
		return "", errNoUnit
	}
	return id, nil // whether it is of the same organization, the directory asks
}

// toTree is the page that a change of a tree leads back to.
func (r *request) toTree(organization, what string) done {
	to := done{to: "/organizations", Done: what}
	if r.organization == "" {
		to.with = organization
	}
	return to
}

// refuse gives the page back that an order came from, with what is wrong with
// it and what was typed.
func (c *Console) refuse(r *request, organization, unit, field string, err error) (any, error) {
	if r.inAPI || !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Conflict) {
		return nil, err
	}
	v, failed := c.organizationsOf(r, organization)
	if failed != nil {
		return nil, failed
	}
	v.Refused = unitRefusal{Unit: unit, Field: field, Name: r.form.Get("name"), Problem: fault.Message(err)}
	for i := range v.Parents { // of a new one
		v.Parents[i].Chosen = unit == "" && v.Parents[i].ID == r.form.Get("below")
	}
	return refused{v, err}, nil
}

func (c *Console) addUnit(r *request) (any, error) {
	organization := r.organization
	if organization == "" {
		organization = r.form.Get("organization")
	}
	below, err := c.target(r, "below")
	if err == nil {
		err = c.names(r, organization)
	}
	if err != nil {
		return nil, err
	}
	u, err := c.directory.AddUnit(r.ctx, r.actor(), organization, below, r.form.Get("name"))
	if err != nil {
		return c.refuse(r, organization, "", "name", err)
	}
	to := r.toTree(organization, "unit-added")
	to.ID = u.ID
	return to, nil
}

func (c *Console) renameUnit(r *request) (any, error) {
	u, err := c.unit(r)
	if err == nil {
		err = c.names(r, u.Organization)
	}
	if err != nil {
		return nil, err
	}
	if err := c.directory.RenameUnit(r.ctx, r.actor(), u.Organization, u.ID, r.form.Get("name")); err != nil {
		return c.refuse(r, u.Organization, u.ID, "name", err)
	}
	return r.toTree(u.Organization, "unit-renamed"), nil
}

func (c *Console) moveUnit(r *request) (any, error) {
	u, err := c.unit(r)
	if err != nil {
		return nil, err
	}
	below, err := c.target(r, "below")
	if err != nil {
		return nil, err
	}
	if err := c.directory.MoveUnit(r.ctx, r.actor(), u.Organization, u.ID, below); err != nil {
		return c.refuse(r, u.Organization, u.ID, "below", err)
	}
	return r.toTree(u.Organization, "unit-moved"), nil
}

func (c *Console) removeUnit(r *request) (any, error) {
	u, err := c.unit(r)
	if err != nil {
		return nil, err
	}
	if err := c.directory.RemoveUnit(r.ctx, r.actor(), u.Organization, u.ID); err != nil {
		return c.refuse(r, u.Organization, u.ID, "", err)
	}
	return r.toTree(u.Organization, "unit-removed"), nil
}

// nameUnits says of people how their sub-organization is called.
func (c *Console) nameUnits(r *request, people []personJSON) error {
	var ids []string
	for i := range people {
		if people[i].Unit != "" && !slices.Contains(ids, people[i].Unit) {
			ids = append(ids, people[i].Unit)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	names, err := c.directory.UnitNames(r.ctx, ids)
	for i := range people {
		people[i].UnitName = names[people[i].Unit]
	}
	return err
}

// tellPlaces says of people how their sub-organization is called, and what is
// frozen that they are in.
func (c *Console) tellPlaces(r *request, people []personJSON) error {
	if err := c.nameUnits(r, people); err != nil {
		return err
	}
	spots := make([]directory.Spot, len(people))
	for i := range people {
		spots[i] = people[i].spot()
	}
	frozen, err := c.directory.Frozen(r.ctx, spots...)
	for i := range people {
		people[i].Frozen = frozen[spots[i]]
	}
	return err
}

func (p *personJSON) spot() directory.Spot {
	return directory.Spot{Organization: p.Organization, Unit: p.Unit}
}

// narrow finds out which sub-organizations a filter is about, within those that
// the visitor sees; the tree is that of the filter's organization.
func (c *Console) narrow(r *request, f *filter) (tree directory.Tree, err error) {
	f.units = r.units
	switch f.Unit {
	case "":
	case inNone, notPlaced:
		if f.units = []string{strings.TrimPrefix(f.Unit, inNone)}; r.units != nil {
			f.units = []string{}
		}
	default:
		_, tree, err = c.directory.TreeOf(r.ctx, f.Unit)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		f.units = tree.Below(f.Unit)
		if r.units != nil {
			f.units = slices.DeleteFunc(f.units, func(id string) bool { return !slices.Contains(r.units, id) })
		}
	}
	organization := r.organization
	if organization == "" {
		organization = f.Organization
	}
	if organization == "" {
		return nil, nil
	}
	return c.directory.Units(r.ctx, organization)
}
