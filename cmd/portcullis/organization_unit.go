package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
)

type unitJSON struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Path   []string `json:"path"`
	People int      `json:"people"` // in it alone
	State  string   `json:"state"`  // open or frozen, which it also is below one that is
}

func (c *cli) unitList() *cobra.Command {
	return throughGate(&cobra.Command{
		Use: "tree NAME", Short: "List the sub-organizations of an organization", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOrganizations(cmd.Context(), func(o organizations) error {
				tree, err := o.Units(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				counts, err := o.UnitCounts(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				wire, rows := make([]unitJSON, len(tree)), make([][]string, len(tree))
				for i, u := range tree {
					wire[i] = unitJSON{u.ID, u.Name, tree.Path(u.ID), counts[u.ID], "open"}
					if u.Closed {
						wire[i].State = "frozen"
					}
					rows[i] = []string{strings.Join(wire[i].Path, " / "), strconv.Itoa(wire[i].People), wire[i].State, u.ID}
				}
				if c.json {
					return c.printJSON(wire)
				}
				return c.printTable("NAME PEOPLE STATE ID", rows)
			})
		},
	})
}

// unitNamed finds a sub-organization by its name, whatever its case; no name is
// the organization itself.
func unitNamed(ctx context.Context, t trees, organization, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	tree, err := t.Units(ctx, organization)
	if err != nil {
		return "", err
	}
	for _, u := range tree {
		if directory.UnitKey(u.Name) == directory.UnitKey(name) {
			return u.ID, nil
		}
	}
	return "", fault.New(fault.NotFound, "%s has no sub-organization %q", organization, name)
}

// unitCommand is a command about one sub-organization, or for a new one.
func (c *cli) unitCommand(use, short string, args, named int, f func(ctx context.Context, o organizations, args []string, unit string) error) *cobra.Command {
	return throughGate(&cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(args),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOrganizations(cmd.Context(), func(o organizations) error {
				unit := ""
				if named > 0 {
					var err error
					if unit, err = unitNamed(cmd.Context(), o, args[0], args[named]); err != nil {
						return err
					}
				}
				if err := f(cmd.Context(), o, args, unit); err != nil {
					return err
				}
				if c.json {
					return c.printJSON(map[string]any{"organization": args[0], "name": args[1], "done": cmd.Name()})
				}
				_, err := fmt.Fprintf(c.out, "%s: %s of %s\n", cmd.Name(), printable(args[1]), printable(args[0]))
				return err
			})
		},
	})
}

func (c *cli) unitAdd() *cobra.Command {
	var below string
	cmd := c.unitCommand("add NAME PART", "Make a sub-organization", 2, 0, func(ctx context.Context, o organizations, args []string, _ string) error {
		parent, err := unitNamed(ctx, o, args[0], below)
		if err != nil {
			return err
		}
		return o.addUnit(ctx, args[0], parent, args[1])
	})
	cmd.Flags().StringVar(&below, "below", "", "the sub-organization that it is a part of; the organization itself if empty")
	return cmd
}

func (c *cli) unitRename() *cobra.Command {
	return c.unitCommand("rename NAME PART NEW", "Call a sub-organization otherwise", 3, 1, func(ctx context.Context, o organizations, args []string, unit string) error {
		return o.renameUnit(ctx, args[0], unit, args[2])
	})
}

func (c *cli) unitMove() *cobra.Command {
	var below string
	cmd := c.unitCommand("move NAME PART", "Put a sub-organization, with all below it, somewhere else in its organization", 2, 1,
		func(ctx context.Context, o organizations, args []string, unit string) error {
			parent, err := unitNamed(ctx, o, args[0], below)
			if err != nil {
				return err
			}
			return o.moveUnit(ctx, args[0], unit, parent)
		})
	cmd.Flags().StringVar(&below, "below", "", "the sub-organization that it becomes a part of; the organization itself if empty")
	return cmd
}

func (c *cli) unitRemove() *cobra.Command {
	return c.unitCommand("remove NAME PART", "Remove a sub-organization that nobody is in, and that has none below it", 2, 1,
		func(ctx context.Context, o organizations, args []string, unit string) error {
			return o.removeUnit(ctx, args[0], unit)
		})
}

// userMove puts a person in a sub-organization.
func (c *cli) userMove() *cobra.Command {
	var to string
	cmd := c.userTurn("move", "Put a person in a sub-organization of their organization", false,
		func(ctx context.Context, _ *config.Config, _ *store.DB, d *directory.Directory, id, reason string) (int, error) {
			s, err := d.Look(ctx, id)
			if err != nil {
				return 0, err
			}
			unit, err := unitNamed(ctx, d, s.Person.Organization, to)
			if err != nil {
				return 0, err
			}
			return 0, d.Place(ctx, operator(), id, unit, reason)
		})
	cmd.Flags().StringVar(&to, "to", "", "the sub-organization; the organization itself if empty")
	return cmd
}
