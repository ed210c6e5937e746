package main

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/count"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
)

type massLossJSON struct {
	Change      int64      `json:"change"`
	Connection  string     `json:"connection"`
	Group       string     `json:"group,omitempty"`
	GroupName   string     `json:"groupName,omitempty"`
	Began       time.Time  `json:"began"`
	Last        time.Time  `json:"last"`
	Population  int        `json:"population"`
	Deactivated int        `json:"deactivated"`
	Deleted     int        `json:"deleted"`
	Removed     int        `json:"removed"`
	State       string     `json:"state"`
	Until       time.Time  `json:"undoableUntil"`
	Undone      *time.Time `json:"undone"`
	UndoneBy    string     `json:"undoneBy,omitempty"`
	Restored    int        `json:"restored"`
	Skipped     int        `json:"skipped"`
}

func massLossWire(m directory.MassLoss, now time.Time) massLossJSON {
	w := massLossJSON{
		Change: m.ID, Connection: m.Connection, Group: m.Group, GroupName: m.GroupName, Began: m.Began, Last: m.Last,
		Population: m.Population, Deactivated: m.Deactivated, Deleted: m.Deleted, Removed: m.Removed, State: "open",
		Until: m.Last.Add(directory.UndoLife), Undone: optional(m.Undone), UndoneBy: m.UndoneBy, Restored: m.Restored, Skipped: m.Skipped,
	}
	switch {
	case !m.Undone.IsZero():
		w.State = "undone"
	case !m.Undoable(now):
		w.State = "final"
	case !m.UndoBegan.IsZero():
		w.State = "undo interrupted"
	}
	return w
}

// lost says in words what and of whom.
func (w *massLossJSON) lost() (what, of string) {
	if w.Group == "" {
		return fmt.Sprintf("%d deactivated, %d deleted", w.Deactivated, w.Deleted), count.People(w.Population)
	}
	what = fmt.Sprintf("%d removed", w.Removed)
	if w.Deleted > 0 {
		what += ", the group deleted"
	}
	return what, fmt.Sprintf("%s of %s", count.Of(w.Population, "member", "members"), cmp.Or(w.GroupName, w.Group))
}

type lossJSON struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Member  string    `json:"member"`
	Subject string    `json:"subject"`
	Outcome string    `json:"outcome,omitempty"`
}

func (c *cli) scimChanges() *cobra.Command {
	q := directory.MassLossQuery{}
	cmd := &cobra.Command{
		Use: "changes [CHANGE]", Short: "Show what was lost at once over SCIM, or what one such change took", Args: cobra.MaximumNArgs(1),
		Long: `Show what identity providers took away at once, the newest first: more than the
connection's guard allows of its people, or of a group's members, within an
hour. With the number of a CHANGE, show each loss of it, and what became of it.`,
		Example: "  portcullis scim changes --connection acme-entra",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && q.Limit < 1 {
				return usagef("--limit: want 1 or more, got %d", q.Limit)
			}
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				return c.changesThere(cmd.Context(), g, q, args)
			}
			return c.withDirectory(cmd.Context(), func(cfg *config.Config, _ *store.DB, d *directory.Directory) error {
				if len(args) == 1 {
					return c.showChange(cmd.Context(), d, args[0])
				}
				if err := known(cfg, q.Connection); err != nil {
					return err
				}
				if _, err := d.ExamineLosses(cmd.Context()); err != nil { // also where no gate runs
					return err
				}
				page, err := d.MassLosses(cmd.Context(), q)
				if err != nil {
					return err
				}
				wire := make([]massLossJSON, len(page.Items))
				for i, m := range page.Items {
					wire[i] = massLossWire(m, c.now())
				}
				return c.sayChanges(wire)
			})
		},
	}
	cmd.Flags().StringVar(&q.Connection, "connection", "", "only this connection's changes")
	cmd.Flags().BoolVar(&q.Undoable, "open", false, "only those that can still be undone")
	cmd.Flags().IntVar(&q.Limit, "limit", 100, "how many")
	return throughGate(cmd)
}

// changesThere is scim changes through a gate.
func (c *cli) changesThere(ctx context.Context, g *remote, q directory.MassLossQuery, args []string) error {
	if len(args) == 0 {
		wire, err := g.massLosses(ctx, q)
		if err != nil {
			return err
		}
		return c.sayChanges(wire)
	}
	id, err := changeNumber(args[0])
	if err != nil {
		return err
	}
	m, losses, err := g.massLoss(ctx, id)
	if err != nil {
		return err
	}
	return c.sayChange(m, losses)
}

func (c *cli) sayChanges(wire []massLossJSON) error {
	if c.json {
		return c.printJSON(wire)
	}
	rows := make([][]string, len(wire))
	for i, w := range wire {
		what, of := w.lost()
		rows[i] = []string{strconv.FormatInt(w.Change, 10), stamp(w.Began), w.Connection, what, of, w.State}
	}
	return c.printTable("CHANGE BEGAN CONNECTION LOST OF STATE", rows)
}

func changeNumber(word string) (int64, error) {
	id, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return 0, usagef("want the number of a change, as portcullis scim changes shows it, got %q", word)
	}
	return id, nil
}

func (c *cli) showChange(ctx context.Context, d *directory.Directory, word string) error {
	id, err := changeNumber(word)
	if err != nil {
		return err
	}
	m, err := d.MassLoss(ctx, id)
	if err != nil {
		return err
	}
	losses := []lossJSON{}
	for after := (*directory.Cursor)(nil); ; {
		page, err := d.Losses(ctx, id, after, 1000)
		if err != nil {
			return err
		}
		for _, l := range page.Items {
			losses = append(losses, lossJSON{At: l.At, Kind: string(l.Kind), Member: l.Member, Subject: l.Subject, Outcome: l.Outcome})
		}
		if after = page.Next; after == nil {
			break
		}
	}
	return c.sayChange(massLossWire(m, c.now()), losses)
}

func (c *cli) sayChange(m massLossJSON, losses []lossJSON) error {
	if c.json {
		return c.printJSON(map[string]any{"change": m, "losses": losses})
	}
	rows := make([][]string, len(losses))
	for i, l := range losses {
		rows[i] = []string{stamp(l.At), l.Kind, cmp.Or(l.Subject, l.Member), l.Outcome}
	}
	return c.printTable("AT LOSS WHO OUTCOME", rows)
}

func (c *cli) scimUndo() *cobra.Command {
	return throughGate(&cobra.Command{
		Use: "undo CHANGE", Short: "Give back what was lost at once over SCIM", Args: cobra.ExactArgs(1),
		Long: `Give back what one change took: active, memberships, deleted people and groups.
Sessions do not come back. What was locked or deactivated here stays so, and so
does whatever the identity provider has said again since. An undo that was
interrupted goes on where it was; one that is done does nothing.

Mend the identity provider first: what it pushes next is in force at once.`,
		Example: "  portcullis scim changes\n  portcullis scim undo 7",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := changeNumber(args[0])
			if err != nil {
				return err
			}
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				m, err := g.undo(cmd.Context(), id)
				if err != nil {
					return err
				}
				return c.sayUndone(m)
			}
			return c.withDirectory(cmd.Context(), func(_ *config.Config, _ *store.DB, d *directory.Directory) error {
				m, err := d.UndoMassLoss(cmd.Context(), operator(), id, func(done, total int) {
					fmt.Fprintf(c.err, "%d of %d\n", done, total)
				})
				if err != nil {
					return err
				}
				return c.sayUndone(massLossWire(m, c.now()))
			})
		},
	})
}

func (c *cli) sayUndone(m massLossJSON) error {
	if c.json {
		return c.printJSON(m)
	}
	if _, err := fmt.Fprintf(c.out, "undone: %d restored, %d left alone\n", m.Restored, m.Skipped); err != nil {
		return err
	}
	if m.Skipped > 0 {
		fmt.Fprintf(c.err, "why some were left alone: portcullis scim changes %d\n", m.Change)
	}
	return nil
}

// examineMassLosses reports what can still be undone.
func examineMassLosses(ctx context.Context, cfg *config.Config, db *store.DB) (found []diagnosis) {
	d := directory.New(directory.Config{Store: db.Directory(), Connections: connections(cfg)})
	page, err := d.MassLosses(ctx, directory.MassLossQuery{Undoable: true, Limit: 20})
	if err != nil {
		return []diagnosis{{"scim changes", "broken", fault.Message(err)}}
	}
	for _, m := range page.Items {
		w := massLossWire(m, m.Last)
		what, of := w.lost()
		found = append(found, diagnosis{
			"scim " + m.Connection, "warning",
			fmt.Sprintf("change %d: %s of %s, began %s; until %s: portcullis scim undo %d", m.ID, what, of, stamp(m.Began), stamp(w.Until), m.ID),
		})
	}
	return found
}
