package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

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
	return group("organization", "Client companies, and keeping a whole one out", c.organizationList(),
		c.organizationVerb("freeze", "Keep everybody of an organization out and end their sessions, streams and API tokens at once",
			func(ctx context.Context, o organizations, name, reason string) (int, error) {
				return o.freeze(ctx, name, reason)
			}),
		c.organizationVerb("unfreeze", "Let the people of an organization in again; sessions do not come back",
			func(ctx context.Context, o organizations, name, reason string) (int, error) {
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

func (c *cli) organizationVerb(use, short string, verb func(context.Context, organizations, string, string) (int, error)) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: use + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withOrganizations(cmd.Context(), func(o organizations) error {
				ended, err := verb(cmd.Context(), o, args[0], reason)
				if err != nil {
					return err
				}
				if c.json {
					return c.printJSON(map[string]any{"name": args[0], "done": use, "sessionsEnded": ended})
				}
				_, err = fmt.Fprintf(c.out, "%s: %s, %d sessions ended\n", use, printable(args[0]), ended)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	return throughGate(cmd)
}
