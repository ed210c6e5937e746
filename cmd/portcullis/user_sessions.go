package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/directory"
	"portcullis/mapping"
	"portcullis/session"
	"portcullis/store"
)

// newSessions gives a manager for the command line: it lists and ends
// sessions; nobody is verified, so no mapping is in force and nothing runs.
func newSessions(cfg *config.Config, db *store.DB) *session.Manager {
	return session.New(session.Config{
		Store: db.Sessions(), Policy: func() *mapping.Policy { return nil }, Idle: cfg.Sessions.Idle, Absolute: cfg.Sessions.Absolute,
	})
}

type sessionJSON struct {
	ID         string     `json:"id"`
	Device     string     `json:"device"`
	Address    string     `json:"address"`
	Created    time.Time  `json:"created"`
	LastSeen   time.Time  `json:"lastSeen"`
	Expires    time.Time  `json:"expires"`
	Connection string     `json:"connection"`
	Provider   string     `json:"provider,omitempty"`
	ACR        string     `json:"acr,omitempty"`
	AuthTime   *time.Time `json:"authTime,omitempty"`
	UserAgent  string     `json:"userAgent"`
}

func sessionsWire(rows []session.Row) []sessionJSON {
	out := make([]sessionJSON, len(rows))
	for i, r := range rows {
		out[i] = sessionJSON{
			ID: r.ID, Device: r.Client.Device(), Address: r.Client.Address, Created: r.Created, LastSeen: r.LastSeen, Expires: r.Expires,
			Connection: r.Connection, Provider: r.Issuer, ACR: r.ACR, AuthTime: optional(r.AuthTime), UserAgent: r.Client.UserAgent,
		}
	}
	return out
}

func (c *cli) userSessions() *cobra.Command {
	var connection string
	cmd := &cobra.Command{
		Use: "sessions USER", Short: "List the sessions of a person", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				p, err := g.find(cmd.Context(), connection, args[0])
				if err != nil {
					return err
				}
				sessions, err := g.sessions(cmd.Context(), p.ID)
				if err != nil {
					return err
				}
				return c.saySessions(sessions)
			}
			return c.withDirectory(cmd.Context(), func(cfg *config.Config, db *store.DB, d *directory.Directory) error {
				p, err := find(cmd.Context(), d, connection, args[0])
				if err != nil {
					return err
				}
				rows, err := newSessions(cfg, db).Of(cmd.Context(), p.ID)
				if err != nil {
					return err
				}
				return c.saySessions(sessionsWire(rows))
			})
		},
	}
	cmd.Flags().StringVar(&connection, "connection", "", "connection that the person belongs to")
	return throughGate(cmd)
}

func (c *cli) saySessions(wire []sessionJSON) error {
	if c.json {
		return c.printJSON(wire)
	}
	table := make([][]string, len(wire))
	for i, w := range wire {
		table[i] = []string{w.ID, w.Device, w.Address, stamp(w.Created), stamp(w.LastSeen), w.Connection, w.ACR}
	}
	return c.printTable("ID DEVICE ADDRESS CREATED LAST-SEEN CONNECTION ACR", table)
}

func (c *cli) userSignOut() *cobra.Command {
	var one string
	cmd := c.userTurn("sign-out", "End every session of a person, or one of them", true,
		func(ctx context.Context, cfg *config.Config, db *store.DB, d *directory.Directory, id, reason string) (int, error) {
			if one == "" {
				return d.SignOut(ctx, operator(), id, reason)
			}
			return 1, newSessions(cfg, db).EndOf(ctx, id, one, operator(), reason)
		})
	cmd.Flags().StringVar(&one, "session", "", "end this one alone, by its id in user sessions")
	return cmd
}
