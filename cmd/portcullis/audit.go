package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"portcullis/audit"
	"portcullis/config"
	"portcullis/count"
	"portcullis/store"
)

type actorJSON struct {
	Kind    string `json:"kind"`
	ID      string `json:"id,omitempty"`
	Name    string `json:"name,omitempty"`
	Address string `json:"address,omitempty"`
}

type eventJSON struct {
	Seq        int64             `json:"seq"`
	At         time.Time         `json:"at"`
	Action     string            `json:"action"`
	Actor      actorJSON         `json:"actor"`
	Person     string            `json:"person,omitempty"`
	Subject    string            `json:"subject,omitempty"`
	Connection string            `json:"connection,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	Reference  string            `json:"reference,omitempty"`
	Detail     map[string]string `json:"detail,omitempty"`
	Position   int64             `json:"position,omitempty"` // in the chain; none if not sealed yet
	Hash       string            `json:"hash,omitempty"`
}

func eventWire(e audit.Event, s audit.Seal) eventJSON {
	w := eventJSON{
		Seq: e.Seq, At: e.At, Action: string(e.Action), Person: e.Person, Subject: e.Subject, Connection: e.Connection,
		Actor:  actorJSON{Kind: e.Actor.Kind, ID: e.Actor.ID, Name: e.Actor.Name, Address: e.Actor.Address},
		Reason: e.Reason, Reference: e.Reference, Detail: e.Detail, Position: s.Position,
	}
	if s.Position > 0 {
		w.Hash = hex.EncodeToString(s.Hash[:])
	}
	return w
}

func (c *cli) auditCommand() *cobra.Command {
	return group("audit", "The audit trail", c.auditVerify(), c.auditExport())
}

func (c *cli) auditVerify() *cobra.Command {
	return throughGate(&cobra.Command{
		Use: "verify", Short: "Check that no event was altered or removed", Args: cobra.NoArgs,
		Long: `Check that no event was altered or removed. Exit code 1 when one was.

Through a gate it is the gate that checks, part by part, and is believed: who
can change its database and its program can have it say anything. Where that is
the question, check where the database is, or a copy of it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				r, err := g.verify(cmd.Context())
				if err != nil {
					return err
				}
				return c.sayChain(r)
			}
			return c.withStore(cmd.Context(), func(_ *config.Config, db *store.DB) error {
				r, err := audit.Verify(cmd.Context(), db.Audit())
				if err != nil {
					return err
				}
				return c.sayChain(chainJSON{r.Sealed, r.Unsealed, hex.EncodeToString(r.Head[:]), append([]string{}, r.Broken...)})
			})
		},
	})
}

// chainJSON is what was found of the trail.
type chainJSON struct {
	Sealed   int64    `json:"sealed"`
	Unsealed int64    `json:"unsealed"`
	Head     string   `json:"head"`
	Broken   []string `json:"broken"`
}

func (c *cli) sayChain(r chainJSON) (err error) {
	if c.json {
		err = c.printJSON(r)
	} else {
		for _, b := range r.Broken {
			fmt.Fprintln(c.out, b)
		}
		_, err = fmt.Fprintf(c.out, "%s sealed, %d not yet, %s; head %s\n", count.Of(r.Sealed, "event", "events"), r.Unsealed, count.Of(len(r.Broken), "break", "breaks"), r.Head)
	}
	if err == nil && len(r.Broken) > 0 {
		return errFound
	}
	return err
}

func (c *cli) auditExport() *cobra.Command {
	return throughGate(&cobra.Command{
		Use: "export", Short: "Print every event as a line of JSON, in the order of the chain", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			enc := json.NewEncoder(c.out)
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				events, err := g.events(cmd.Context())
				for i := 0; err == nil && i < len(events); i++ {
					err = enc.Encode(events[i])
				}
				return err
			}
			return c.withStore(cmd.Context(), func(_ *config.Config, db *store.DB) error {
				return db.Audit().Walk(cmd.Context(), func(e audit.Event, s audit.Seal) error {
					return enc.Encode(eventWire(e, s))
				})
			})
		},
	})
}
