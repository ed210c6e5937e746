package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portcullis/admin"
	"portcullis/config"
	"portcullis/count"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/store"
)

// whoJSON is somebody who has what was asked for.
type whoJSON struct {
	ID           string     `json:"id"`
	UserName     string     `json:"userName"`
	Name         string     `json:"name"`
	Organization string     `json:"organization"`
	Connection   string     `json:"connection"`
	Roles        []string   `json:"roles"`
	Tasks        []string   `json:"tasks"`
	Rules        []string   `json:"rules"`            // that gave it
	Only         []string   `json:"onlyIf,omitempty"` // of --row: what else the row must meet, one alternative each
	Data         []dataJSON `json:"data,omitempty"`   // of --row: each permission group that shows it, and by which rules
	SignedIn     *time.Time `json:"signedIn"`         // when the facts of the sign-in were received; null if never
}

// dataJSON is one way in which somebody may see a row.
type dataJSON struct {
	PermissionGroup string   `json:"permissionGroup"`
	Parameters      string   `json:"parameters,omitempty"`
	Rules           []string `json:"rules"`
	Only            string   `json:"onlyIf,omitempty"` // what else the row must meet
}

func (c *cli) mappingWho() *cobra.Command {
	var w admin.Wanted
	var at moment
	var o mapping.Options
	cmd := &cobra.Command{
		Use: "who [FILE] (--task TASK | --role ROLE | --row ATTRIBUTE=VALUE,…) [--at TIME]", Args: cobra.MaximumNArgs(1),
		Short: "List who may do or see something, or could at a time, and by which rules",
		Long: `List who may do or see something, or could at a time, and by which rules. With
several flags, who has all of it. Whoever is locked, deactivated or of a
frozen organization is left out.

--row means every row with these values: whoever may see one of them is listed,
and beside them what else such a row must meet.

The answer is by FILE; without one by the mapping in force, or with --at by the
revision that was in force then. The facts are those of then: groups that were
pushed, state, and the newest sign-in until then. People who were deleted since
are not in the answer: their past went with them.

Through a gate (--gate) the answer is about those whom the owner of the token may
see; FILE is sent whole, with what it includes.`,
		Example: `  portcullis mapping who --row account=ABC0001,country=US --at 2026-03-31T17:00:00+02:00
  portcullis mapping who --role admin --json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if w.Empty() {
				return usagef("want one of --task, --role and --row")
			}
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				found, src, asOf, err := g.who(cmd.Context(), w, at, args, o.Environment)
				if err != nil {
					return err
				}
				return c.sayWho(found, src, asOf)
			}
			return c.withDirectory(cmd.Context(), func(cfg *config.Config, db *store.DB, d *directory.Directory) error {
				cfg.Environment = cmp.Or(o.Environment, cfg.Environment)
				src, err := c.mappingOf(cmd.Context(), cfg, db, args, at.Time)
				if err != nil {
					return err
				}
				if err := w.Known(src.policy); err != nil {
					return usagef("%s", fault.Message(err))
				}
				found, err := who(cmd.Context(), d, src.policy, w, at.Time, at.or(c.now()))
				if err != nil {
					return err
				}
				return c.sayWho(found, src, at.or(c.now()))
			})
		},
	}
	cmd.Flags().StringVar(&w.Task, "task", "", "who may do this")
	cmd.Flags().StringVar(&w.Role, "role", "", "who has this role, granted or inherited")
	cmd.Flags().StringToStringVar(&w.Row, "row", nil, "who may see rows with these values")
	cmd.Flags().Var(&at, "at", "answer as of then: a time like 2026-01-31T15:04:05Z, or a day, which begins at 00:00 UTC")
	environmentFlag(cmd, &o)
	return throughGate(cmd)
}

// who reads everybody and keeps those who have what is wanted. facts is the
// time of the facts, zero for now; at is the time of the evaluation.
func who(ctx context.Context, d *directory.Directory, p *mapping.Policy, w admin.Wanted, facts, at time.Time) ([]whoJSON, error) {
	found := []whoJSON{}
	err := admin.Who(ctx, d.Standings, p, w, facts, at, func(h admin.Holder) error {
		p := &h.Standing.Person
		wire := whoJSON{
			ID: p.ID, UserName: p.UserName, Name: p.Name, Organization: p.Organization, Connection: p.Connection,
			Roles: list(h.Access.Roles), Tasks: list(h.Access.Tasks), Rules: h.Rules, Only: h.Only,
			SignedIn: optional(h.Standing.Assertion.Received),
		}
		for _, d := range h.Data {
			wire.Data = append(wire.Data, dataJSON(d))
		}
		found = append(found, wire)
		return nil
	})
	return found, err
}

func list(names []string) []string { return append([]string{}, names...) }

func (c *cli) sayWho(found []whoJSON, src *source, at time.Time) error {
	if c.json {
		return c.printJSON(map[string]any{"at": at.UTC(), "mapping": src.wire(), "people": found})
	}
	rows := make([][]string, len(found))
	for i, p := range found {
		signedIn := time.Time{}
		if p.SignedIn != nil {
			signedIn = *p.SignedIn
		}
		rows[i] = []string{
			p.UserName, p.Name, p.Organization, p.Connection, strings.Join(p.Roles, ", "), strings.Join(p.Rules, ", "),
			strings.Join(p.Only, " or "), stamp(signedIn), p.ID,
		}
	}
	if err := c.printTable("USERNAME NAME ORGANIZATION CONNECTION ROLES RULES ONLY-IF SIGNED-IN ID", rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.out, "%s at %s, by %s\n", count.People(len(found)), stamp(at), src)
	return err
}
