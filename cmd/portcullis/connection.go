package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portcullis/admin"
	"portcullis/config"
	"portcullis/count"
	"portcullis/fault"
	"portcullis/keys"
	"portcullis/login"
	"portcullis/saml"
	"portcullis/store"
)

func (c *cli) connectionCommand() *cobra.Command {
	return group("connection", "The ways in, what SAML identity providers publish, our keys there, and people after a restore",
		c.connectionList(), c.connectionMetadata(), c.connectionRollover(), c.connectionConfirm())
}

type metadataJSON struct {
	Connection string     `json:"connection"`
	Source     string     `json:"source"`
	EntityID   string     `json:"entity_id"`
	Since      *time.Time `json:"since,omitempty"`
	Waiting    *time.Time `json:"waiting,omitempty"` // since when something waits for approval
	Changes    []string   `json:"changes,omitempty"`
	ValidUntil *time.Time `json:"valid_until,omitempty"`
}

func (c *cli) connectionMetadata() *cobra.Command {
	var connection string
	cmd := &cobra.Command{
		Use: "metadata [approve]", Short: "Show what SAML identity providers publish, and approve what waits",
		Long: `Show which metadata of SAML identity providers is in force, and what waits for
approval. Metadata that is fetched from an address is kept fresh. A certificate
that joins or leaves while another stays is a rollover and needs nobody. Another
name, a new address, or keys of which none was trusted before wait until
somebody approves them: ask the provider's administrator, over another way, if
they did it. Every gate follows within half a minute.`,
		Example: "  portcullis connection metadata\n  portcullis connection metadata approve --connection partner",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && args[0] != "approve" {
				return errors.New("want nothing or approve")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && connection == "" {
				return usagef("--connection: want the id of a connection")
			}
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				if len(args) > 0 {
					return c.sayApproved(g.approveMetadata(cmd.Context(), connection))
				}
				list, err := g.metadata(cmd.Context(), connection)
				if err != nil {
					return err
				}
				return c.sayMetadata(list)
			}
			return c.withStore(cmd.Context(), func(cfg *config.Config, db *store.DB) error {
				if connection != "" {
					if err := samlConnection(cfg, connection); err != nil {
						return err
					}
				}
				if len(args) > 0 {
					return c.sayApproved(login.ApproveMetadata(cmd.Context(), db.Login(), connection, operator(), c.now()))
				}
				return c.showMetadata(cmd.Context(), cfg, db, connection)
			})
		},
	}
	cmd.Flags().StringVar(&connection, "connection", "", "only this connection")
	return throughGate(cmd)
}

func (c *cli) sayApproved(err error) error {
	if err == nil {
		fmt.Fprintln(c.err, "approved; every gate follows within half a minute")
	}
	return err
}

// samlConnection fails unless people sign in over SAML at a connection.
func samlConnection(cfg *config.Config, id string) error {
	if err := known(cfg, id); err != nil {
		return err
	}
	for _, conn := range cfg.Connections {
		if conn.ID == id && conn.SAML != nil {
			return nil
		}
	}
	return noSAML(id)
}

func noSAML(id string) error { return fault.New(fault.Invalid, "%q is no SAML connection", id) }

func (c *cli) showMetadata(ctx context.Context, cfg *config.Config, db *store.DB, only string) error {
	list := []metadataJSON{}
	for _, conn := range cfg.Connections {
		if conn.SAML == nil || only != "" && conn.ID != only {
			continue
		}
		m, err := metadataOf(ctx, cfg, db, conn)
		if err != nil {
			return err
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b metadataJSON) int { return cmp.Compare(a.Connection, b.Connection) })
	return c.sayMetadata(list)
}

func (c *cli) sayMetadata(list []metadataJSON) error {
	if c.json {
		return c.printJSON(list)
	}
	rows := make([][]string, 0, len(list))
	for _, m := range list {
		since, waiting := "", ""
		if m.Since != nil {
			since = stamp(*m.Since)
		}
		if m.Waiting != nil {
			waiting = stamp(*m.Waiting) + ": " + strings.Join(m.Changes, "; ")
		}
		rows = append(rows, []string{m.Connection, m.EntityID, since, m.Source, waiting})
	}
	return c.printTable("CONNECTION ENTITY-ID SINCE SOURCE WAITING", rows)
}

// metadataOf is what is known of a connection's provider, without asking it.
func metadataOf(ctx context.Context, cfg *config.Config, db *store.DB, conn config.Connection) (metadataJSON, error) {
	out := metadataJSON{Connection: conn.ID, Source: conn.SAML.MetadataFile}
	c, err := loginSAML(conn.ID, cfg.PublicURL, conn.SAML, nil)
	if err != nil {
		return out, err
	}
	if out.Source != "" {
		text, err := os.ReadFile(out.Source)
		if errors.Is(err, fs.ErrNotExist) {
			return out, nil
		}
		if err != nil {
			return out, fault.Wrap(fault.Invalid, err, "%s cannot be read", out.Source)
		}
		md, err := saml.ReadMetadata(text, saml.MetadataOptions{EntityID: c.Provider, Signers: c.Signers})
		if err != nil {
			return out, fmt.Errorf("%s: %w", out.Source, err)
		}
		out.EntityID = md.IDP.EntityID
		return out, nil
	}
	if conn.SAML.Metadata != "" {
		md, err := saml.ReadMetadata([]byte(conn.SAML.Metadata), saml.MetadataOptions{EntityID: c.Provider, Signers: c.Signers})
		if err != nil {
			return out, err
		}
		out.Source, out.EntityID = admin.Uploaded, md.IDP.EntityID
		return out, nil
	}
	out.Source = conn.SAML.MetadataURL
	m, err := db.Login().Metadata(ctx, conn.ID)
	if fault.Is(err, fault.NotFound) {
		return out, nil // no gate has fetched it yet
	}
	if err != nil {
		return out, err
	}
	now, changes, err := login.ReviewMetadata(m, c)
	if err != nil {
		return out, err
	}
	out.EntityID, out.Since = now.IDP.EntityID, &m.AcceptedAt
	if !now.ValidUntil.IsZero() {
		out.ValidUntil = &now.ValidUntil
	}
	for _, ch := range changes {
		out.Waiting = &m.PendingAt
		out.Changes = append(out.Changes, fmt.Sprintf("%s from %q to %q", ch.What, ch.Old, ch.New))
	}
	return out, nil
}

// examineMetadata looks for fetched metadata that waits for approval, and for
// metadata in force that has expired.
func examineMetadata(ctx context.Context, cfg *config.Config, db *store.DB, conn config.Connection, now time.Time) (found []diagnosis) {
	if db == nil || conn.SAML == nil || conn.SAML.MetadataURL == "" {
		return nil
	}
	what := "sign-in " + conn.ID
	m, err := metadataOf(ctx, cfg, db, conn)
	if err != nil {
		return []diagnosis{{what, "broken", "stored metadata: " + fault.Message(err)}}
	}
	if m.ValidUntil != nil {
		if r, ok := login.MetadataExpired(*m.ValidUntil, now); ok {
			status := "warning"
			if r.Err != nil {
				status = "broken"
			}
			found = append(found, diagnosis{what, status, "metadata in force: " + r.Detail})
		}
	}
	if m.Waiting != nil {
		found = append(found, diagnosis{what, "warning", fmt.Sprintf("since %s other metadata waits for approval (portcullis connection metadata): %s",
			stamp(*m.Waiting), strings.Join(m.Changes, "; "))})
	}
	return found
}

func (c *cli) connectionRollover() *cobra.Command {
	var connection string
	cmd := &cobra.Command{
		Use: "rollover --connection ID", Short: "Make the next key and certificate of ours at a SAML identity provider", Args: cobra.NoArgs,
		Long: fmt.Sprintf(`Make the next key and certificate of ours at a SAML identity provider, before
their time. Both certificates stand in our metadata at once; the new one signs
after %s, and what is encrypted for either is read. While one waits to sign
no other is made. Without this command the next pair is made %s before the end of the one in use.`, count.Days(int(keys.PairNotice/day)), count.Days(int(keys.PairAhead/day))),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if connection == "" {
				return usagef("--connection: want the id of a connection")
			}
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				metadata, err := g.rollover(cmd.Context(), connection)
				return c.sayRollover(metadata, err)
			}
			return c.withStore(cmd.Context(), func(cfg *config.Config, db *store.DB) error {
				if err := samlConnection(cfg, connection); err != nil {
					return err
				}
				ring, err := keys.Open(cmd.Context(), keys.Config{Store: db.Keys(), File: cfg.Keys.File, Now: c.now})
				if err != nil {
					return err
				}
				err = rollover(cmd.Context(), ring, operator(), connection, cfg.PublicURL, c.now())
				return c.sayRollover(fmt.Sprintf("%s/.portcullis/saml/%s/metadata", cfg.PublicURL, connection), err)
			})
		},
	}
	cmd.Flags().StringVar(&connection, "connection", "", "the connection")
	return throughGate(cmd)
}

func (c *cli) sayRollover(metadata string, err error) error {
	if err == nil {
		fmt.Fprintf(c.err, "made; give the provider our metadata anew: %s\n", metadata)
	}
	return err
}
