package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"portcullis/admin"
	"portcullis/store"
)

// connectionJSON is a way in.
type connectionJSON struct {
	ID           string   `json:"id"`
	Organization string   `json:"organization"`
	Domains      []string `json:"domains"`
	Protocol     string   `json:"protocol"` // "oidc", "saml", or "" where nobody signs in
	SCIM         bool     `json:"scim"`
	Source       string   `json:"source"`  // "file", or "console"
	InForce      bool     `json:"inForce"` // false of one that has a mistake, or stands in the file, too
}

func connectionWire(conn admin.Connection) connectionJSON {
	w := connectionJSON{
		ID: conn.ID, Organization: conn.Organization, Domains: list(conn.Domains), Protocol: conn.Protocol, SCIM: conn.SCIM, Source: "file",
		InForce: conn.Problem == "" && !conn.Shadowed,
	}
	if conn.Made {
		w.Source = "console"
	}
	return w
}

// sortConnections puts them into alphabetical order; of two with one id the
// file's comes first.
func sortConnections(wire []connectionJSON) []connectionJSON {
	slices.SortStableFunc(wire, func(a, b connectionJSON) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), -cmp.Compare(a.Source, b.Source))
	})
	return wire
}

func (c *cli) connectionList() *cobra.Command {
	return throughGate(&cobra.Command{
		Use: "list", Short: "List the connections, of the configuration and of the console", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				wire, err := g.connections(cmd.Context())
				if err != nil {
					return err
				}
				return c.sayConnections(wire)
			}
			return c.withRoster(cmd.Context(), func(r *roster, _ *store.DB) error {
				wire := []connectionJSON{}
				for _, conn := range r.Connections() {
					wire = append(wire, connectionWire(conn))
				}
				return c.sayConnections(sortConnections(wire))
			})
		},
	})
}

func (c *cli) sayConnections(wire []connectionJSON) error {
	if c.json {
		return c.printJSON(wire)
	}
	rows := make([][]string, len(wire))
	for i, w := range wire {
		rows[i] = []string{w.ID, w.Organization, w.Protocol, strconv.FormatBool(w.SCIM), w.Source, strconv.FormatBool(w.InForce), strings.Join(w.Domains, ", ")}
	}
	return c.printTable("ID ORGANIZATION PROTOCOL SCIM SOURCE IN-FORCE DOMAINS", rows)
}
