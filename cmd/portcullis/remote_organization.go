package main

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"portcullis/directory"
	"portcullis/fault"
)

// farOrganization is an organization of a gate elsewhere.
type farOrganization struct {
	Name        string
	Frozen      bool
	Since       *time.Time
	By, Reason  string
	Connections []string
	People      int
}

// farTree is what a gate elsewhere says of organizations, and of the parts of
// one.
type farTree struct {
	Organizations    []farOrganization
	SubOrganizations []struct {
		ID, Name, Below string
		People          int
		Suspended       bool
	}
}

func (g *remote) clients(ctx context.Context, query url.Values) (t farTree, err error) {
	err = g.get(ctx, "/organizations", query, &t)
	return t, err
}

func (g *remote) Organizations(ctx context.Context) ([]directory.Client, error) {
	t, err := g.clients(ctx, nil)
	out := make([]directory.Client, len(t.Organizations))
	for i, o := range t.Organizations {
		out[i] = directory.Client{Organization: directory.Organization{Name: o.Name, Disabled: o.Frozen}, Connections: o.Connections, People: o.People}
		if o.Frozen {
			out[i].Frozen = &directory.Bar{By: o.By, Reason: o.Reason}
			if o.Since != nil {
				out[i].Frozen.At = *o.Since
			}
		}
	}
	return out, err
}

func (g *remote) Units(ctx context.Context, organization string) (directory.Tree, error) {
	tree, _, err := g.branches(ctx, organization)
	return tree, err
}

func (g *remote) UnitCounts(ctx context.Context, organization string) (map[string]int, error) {
	_, counts, err := g.branches(ctx, organization)
	return counts, err
}

func (g *remote) branches(ctx context.Context, organization string) (directory.Tree, map[string]int, error) {
	if organization == "" {
		return nil, nil, fault.New(fault.NotFound, "no organization %q", organization)
	}
	t, err := g.clients(ctx, url.Values{"organization": {organization}})
	tree, counts := make(directory.Tree, len(t.SubOrganizations)), make(map[string]int)
	for i, u := range t.SubOrganizations {
		tree[i] = directory.Unit{ID: u.ID, Organization: organization, Parent: u.Below, Name: u.Name, Closed: u.Suspended}
		counts[u.ID] = u.People
	}
	return tree, counts, err
}

// farUnit is what is to become of a sub-organization.
type farUnit struct {
	Organization string `json:"organization,omitempty"`
	Below        string `json:"below,omitempty"`
	Name         string `json:"name,omitempty"`
}

func (g *remote) addUnit(ctx context.Context, organization, parent, name string) error {
	return g.call(ctx, http.MethodPost, "/sub-organizations", farUnit{organization, parent, name}, nil)
}

func (g *remote) renameUnit(ctx context.Context, _, unit, name string) error {
	return g.call(ctx, http.MethodPost, place("sub-organizations", unit, "rename"), farUnit{Name: name}, nil)
}

func (g *remote) moveUnit(ctx context.Context, _, unit, parent string) error {
	return g.call(ctx, http.MethodPost, place("sub-organizations", unit, "move"), farUnit{Below: parent}, nil)
}

func (g *remote) removeUnit(ctx context.Context, _, unit string) error {
	return g.call(ctx, http.MethodDelete, place("sub-organizations", unit), nil, nil)
}

// bar freezes an organization, or unfreezes it.
func (g *remote) bar(ctx context.Context, verb, organization, reason string) (ended int, err error) {
	var done doneJSON
	body := map[string]string{"organization": organization, "reason": reason}
	err = g.call(ctx, http.MethodPost, place("organizations", verb), body, &done)
	return done.Ended, err
}

func (g *remote) freeze(ctx context.Context, organization, reason string) (int, error) {
	return g.bar(ctx, "freeze", organization, reason)
}

func (g *remote) unfreeze(ctx context.Context, organization, reason string) error {
	_, err := g.bar(ctx, "unfreeze", organization, reason)
	return err
}

func (g *remote) freezeUnit(ctx context.Context, _, unit, reason string) (int, error) {
	var done doneJSON
	err := g.call(ctx, http.MethodPost, place("sub-organizations", unit, "freeze"), map[string]string{"reason": reason}, &done)
	return done.Ended, err
}

func (g *remote) unfreezeUnit(ctx context.Context, _, unit, reason string) error {
	return g.call(ctx, http.MethodPost, place("sub-organizations", unit, "unfreeze"), map[string]string{"reason": reason}, nil)
}

// moved puts a person in a sub-organization of their organization.
func (g *remote) moved(ctx context.Context, connection, word, to, reason string) (userJSON, error) {
	p, err := g.find(ctx, connection, word)
	if err != nil {
		return p, err
	}
	unit := ""
	if to != "" { // whoever moves nobody into one need not see which there are
		if unit, err = unitNamed(ctx, g, p.Organization, to); err != nil {
			return p, err
		}
	}
	return p, g.call(ctx, http.MethodPost, place("people", p.ID, "place"), map[string]string{"subOrganization": unit, "reason": reason}, nil)
}
