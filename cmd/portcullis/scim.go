package main

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/scim"
	"portcullis/store"
)

func (c *cli) scimCommand() *cobra.Command {
	return group("scim", "What identity providers pushed", c.scimLog(), c.scimChanges(), c.scimUndo())
}

type entryJSON struct {
	Seq        int64     `json:"seq"`
	At         time.Time `json:"at"`
	Connection string    `json:"connection"`
	Token      string    `json:"token"`
	Address    string    `json:"address"`
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	Status     int       `json:"status"`
	Cause      string    `json:"cause"`
	Body       string    `json:"body"`
	Micros     int64     `json:"microseconds"`
}

func (c *cli) scimLog() *cobra.Command {
	q, connection := scim.JournalQuery{}, ""
	cmd := &cobra.Command{
		Use: "log", Short: "Show what identity providers asked and were told in the last 30 days, the newest first", Args: cobra.NoArgs,
		Example: "  portcullis scim log --connection acme-entra --refused",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.Limit < 1 {
				return usagef("--limit: want 1 or more, got %d", q.Limit)
			}
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				entries, err := g.journal(cmd.Context(), connection, q)
				if err != nil {
					return err
				}
				return c.sayEntries(entries)
			}
			return c.withStore(cmd.Context(), func(cfg *config.Config, db *store.DB) error {
				if connection != "" {
					if err := scimConnection(cfg, connection); err != nil {
						return err
					}
					q.Connections = []string{connection}
				}
				entries, err := db.Journal().Journal(cmd.Context(), q)
				if err != nil {
					return err
				}
				wire := make([]entryJSON, len(entries))
				for i, e := range entries {
					wire[i] = entryJSON{
						Seq: e.Seq, At: e.At, Connection: e.Connection, Token: e.Token, Address: e.Address, Method: e.Method,
						Path: e.Path, Status: e.Status, Cause: e.Cause, Body: e.Body, Micros: e.Took.Microseconds(),
					}
				}
				return c.sayEntries(wire)
			})
		},
	}
	cmd.Flags().StringVar(&connection, "connection", "", "only this connection's requests")
	cmd.Flags().BoolVar(&q.Refused, "refused", false, "only what was refused")
	cmd.Flags().Int64Var(&q.Before, "before", 0, "only requests older than the one with this number (seq of --json)")
	cmd.Flags().IntVar(&q.Limit, "limit", 100, "how many")
	return throughGate(cmd)
}

func (c *cli) sayEntries(wire []entryJSON) error {
	if c.json {
		return c.printJSON(wire)
	}
	rows := make([][]string, len(wire))
	for i, e := range wire {
		rows[i] = []string{stamp(e.At), e.Connection, strconv.Itoa(e.Status), e.Method, e.Path, e.Cause}
	}
	return c.printTable("AT CONNECTION STATUS METHOD PATH CAUSE", rows)
}
