package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portcullis/count"
	"portcullis/directory"
)

type organizationJSON struct {
	Name        string     `json:"name"`
	State       string     `json:"state"` // open or frozen
	Since       *time.Time `json:"since,omitempty"`
	By          string     `json:"by,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	Connections []string   `json:"connections"`
	People      int        `json:"people"`
}

func organizationWire(o directory.Client) organizationJSON {
	w := organizationJSON{Name: o.Name, State: "open", Connections: append([]string{}, o.Connections...), People: o.People}
	if b := o.Frozen; b != nil {
		w.State, w.Since, w.By, w.Reason = "frozen", optional(b.At), b.By, b.Reason
	}
	return w
}

func (c *cli) organizationCommand() *cobra.Command {
	return group("organization", "Client companies, and keeping a whole one or a part of one out", c.organizationList(),
		c.organizationVerb("freeze", "Keep everybody of an organization, or of a part of it, out and end their sessions, streams and API tokens at once",
			func(ctx context.Context, o organizations, name, part, reason string) (int, error) {
				if part != "" {
					return o.freezeUnit(ctx, name, part, reason)
				}
				return o.freeze(ctx, name, reason)
			}),
		c.organizationVerb("unfreeze", "Let the people of an organization, or of a part of it, in again; sessions do not come back",
			func(ctx context.Context, o organizations, name, part, reason string) (int, error) {
				if part != "" {
					return 0, o.unfreezeUnit(ctx, name, part, reason)
				}
				return 0, o.unfreeze(ctx, name, reason)
			}),
		c.unitList(), c.unitAdd(), c.unitRename(), c.unitMove(), c.unitRemove(),
	)
}

func (c *cli) organizationList() *cobra.Command {
	return throughGate(&cobra.Command{
		Use: "list", Short: "List organizations", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withOrganizations(cmd.Context(), func(o organizations) error {
				list, err := o.Organizations(cmd.Context())
				if err != nil {
					return err
				}
				wire := make([]organizationJSON, len(list))
				rows := make([][]string, len(list))
				for i, o := range list {
					w := organizationWire(o)
					wire[i] = w
					since := ""
					if w.Since != nil {
						since = stamp(*w.Since)
					}
					rows[i] = []string{w.Name, w.State, since, w.Reason, strconv.Itoa(w.People), strings.Join(w.Connections, ", ")}
				}
				if c.json {
					return c.printJSON(wire)
				}
				return c.printTable("NAME STATE SINCE REASON PEOPLE CONNECTIONS", rows)
			})
		},
	})
}

func (c *cli) organizationVerb(use, short string, verb func(ctx context.Context, o organizations, name, part, reason string) (int, error)) *cobra.Command {
	var reason, part string
	cmd := &cobra.Command{
		Use: use + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOrganizations(cmd.Context(), func(o organizations) error {
				unit, err := unitNamed(cmd.Context(), o, args[0], part)
				if err != nil {
					return err
				}
				ended, err := verb(cmd.Context(), o, args[0], unit, reason)
				if err != nil {
					return err
				}
				what := args[0]
				if part != "" {
					what = part + " of " + what
				}
				if c.json {
					told := map[string]any{"name": args[0], "done": use, "sessionsEnded": ended}
					if part != "" {
						told["part"] = part
					}
					return c.printJSON(told)
				}
				_, err = fmt.Fprintf(c.out, "%s: %s, %s ended\n", use, printable(what), count.Sessions(ended))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	cmd.Flags().StringVar(&part, "part", "", "only this sub-organization, with all below it")
	return throughGate(cmd)
}
