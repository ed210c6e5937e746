package main

import (
	"context"
	"slices"

	"portcullis/config"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
)

// trees knows organizations and what is below them: a directory, or a gate
// elsewhere.
type trees interface {
	Organizations(ctx context.Context) ([]directory.Client, error)
	Units(ctx context.Context, organization string) (directory.Tree, error)
	UnitCounts(ctx context.Context, organization string) (map[string]int, error)
}

// organizations changes them, too.
type organizations interface {
	trees

	freeze(ctx context.Context, organization, reason string) (ended int, err error)
	unfreeze(ctx context.Context, organization, reason string) error
	freezeUnit(ctx context.Context, organization, unit, reason string) (ended int, err error)
	unfreezeUnit(ctx context.Context, organization, unit, reason string) error
	addUnit(ctx context.Context, organization, parent, name string) error
	renameUnit(ctx context.Context, organization, unit, name string) error
	moveUnit(ctx context.Context, organization, unit, parent string) error
	removeUnit(ctx context.Context, organization, unit string) error
}

// kept is the organizations of the database, as the operator changes them.
type kept struct{ *directory.Directory }

// Units fails with fault.NotFound for an organization that nobody knows.
func (k kept) Units(ctx context.Context, organization string) (directory.Tree, error) {
	tree, err := k.Directory.Units(ctx, organization)
	if err != nil || len(tree) > 0 {
		return tree, err
	}
	all, err := k.Organizations(ctx)
	if err == nil && !slices.ContainsFunc(all, func(o directory.Client) bool { return o.Name == organization }) {
		err = fault.New(fault.NotFound, "no organization %q", organization)
	}
	return tree, err
}

func (k kept) freezeUnit(ctx context.Context, organization, unit, reason string) (int, error) {
	return k.FreezeUnit(ctx, operator(), organization, unit, reason)
}

func (k kept) unfreezeUnit(ctx context.Context, organization, unit, reason string) error {
	return k.UnfreezeUnit(ctx, operator(), organization, unit, reason)
}

func (k kept) freeze(ctx context.Context, organization, reason string) (int, error) {
	return k.Freeze(ctx, operator(), organization, reason)
}

func (k kept) unfreeze(ctx context.Context, organization, reason string) error {
	return k.Unfreeze(ctx, operator(), organization, reason)
}

func (k kept) addUnit(ctx context.Context, organization, parent, name string) error {
	_, err := k.AddUnit(ctx, operator(), organization, parent, name)
	return err
}

func (k kept) renameUnit(ctx context.Context, organization, unit, name string) error {
	return k.RenameUnit(ctx, operator(), organization, unit, name)
}

func (k kept) moveUnit(ctx context.Context, organization, unit, parent string) error {
	return k.MoveUnit(ctx, operator(), organization, unit, parent)
}

func (k kept) removeUnit(ctx context.Context, organization, unit string) error {
	return k.RemoveUnit(ctx, operator(), organization, unit)
}

// withOrganizations runs f on those of the gate that is named, or of the
// database.
func (c *cli) withOrganizations(ctx context.Context, f func(organizations) error) error {
	g, err := c.remote()
	if err != nil {
		return err
	}
	if g != nil {
		return f(g)
	}
	return c.withDirectory(ctx, func(_ *config.Config, _ *store.DB, d *directory.Directory) error { return f(kept{d}) })
}
