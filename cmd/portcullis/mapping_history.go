package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/count"
	"portcullis/fault"
	"portcullis/revision"
	"portcullis/store"
)

type countsJSON struct {
	People  int `json:"people"`
	Changed int `json:"changed"`
	Gained  int `json:"gained"`
	Lost    int `json:"lost"`
	LetIn   int `json:"letIn"`
	ShutOut int `json:"shutOut"`
}

func countsWire(c *revision.Counts) *countsJSON {
	if c == nil {
		return nil
	}
	w := countsJSON(*c)
	return &w
}

// String is for people.
func (c *countsJSON) String() string {
	return fmt.Sprintf("of %s %d change: %d gain, %d lose, %d may come in now, %d no more",
		count.People(c.People), c.Changed, c.Gained, c.Lost, c.LetIn, c.ShutOut)
}

// historyJSON is one thing that happened, or waits to.
type historyJSON struct {
	At         time.Time   `json:"at"`
	What       string      `json:"what"`  // "file", "apply", "rollback", "proposal"
	State      string      `json:"state"` // "in force", "past"; of a proposal "open", "approved", "overtaken"
	Revision   int64       `json:"revision"`
	Hash       string      `json:"hash"`               // empty where a fragment was taken away
	Fragment   string      `json:"fragment,omitempty"` // the connection whose fragment alone was brought
	By         string      `json:"by"`
	Reason     string      `json:"reason"`
	TestsRan   int         `json:"testsRan"`
	Needs      []string    `json:"needsApproval,omitempty"`
	Counts     *countsJSON `json:"counts"`
	ApprovedBy string      `json:"approvedBy,omitempty"`
}

func applicationWire(a revision.Application, r revision.Revision, head int64) historyJSON {
	w := historyJSON{
		At: a.At, What: string(a.Way), State: "past", Revision: a.Revision, Hash: a.Hash, Fragment: a.Fragment, By: a.By.Name, Reason: a.Reason,
		TestsRan: r.Tests.Ran, Counts: countsWire(a.Counts),
	}
	if a.Seq == head {
		w.State = "in force"
	}
	return w
}

func waitingWire(p revision.Proposal, r revision.Revision, overtaken bool) historyJSON {
	w := historyJSON{
		At: p.At, What: "proposal", State: "open", Revision: p.Revision, Hash: p.Hash, Fragment: p.Fragment, By: p.Author.Name, Reason: p.Reason,
		TestsRan: r.Tests.Ran, Needs: p.Needs, Counts: countsWire(p.Counts), ApprovedBy: p.Approver.Name,
	}
	switch {
	case overtaken:
		w.State = "overtaken"
	case !p.Approved.IsZero():
		w.State = "approved"
	}
	return w
}

func (c *cli) mappingHistory() *cobra.Command {
	var replicas bool
	var limit int
	var fragment string
	cmd := &cobra.Command{
		Use: "history", Short: "List what was in force when, and what waits", Args: cobra.NoArgs,
		Long: "List what was in force when, newest first, after the proposals that wait.\n\n" +
			"--fragment lists what the fragment of one connection was, however it came; hashes\nare those of its text then.\n\n--replicas lists the gates that run on the database, and the revision of each.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return usagef("--limit: want a number above 0")
			}
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				return c.historyFar(cmd.Context(), g, fragment, limit, replicas)
			}
			return c.withLedger(cmd.Context(), func(_ *config.Config, l *revision.Ledger) error {
				h, err := history(cmd.Context(), l, fragment, limit)
				if err != nil {
					return err
				}
				if replicas {
					return c.listReplicas(cmd.Context(), l, h.Head)
				}
				list := []historyJSON{}
				for _, p := range h.Proposals {
					list = append(list, waitingWire(p, h.Revisions[p.Revision], h.Overtaken[p.Seq]))
				}
				for _, a := range h.Applications {
					list = append(list, applicationWire(a, h.Revisions[a.Revision], h.Head.Seq))
				}
				return c.sayHistory(list)
			})
		},
	}
	fragmentFlag(cmd, &fragment)
	cmd.Flags().BoolVar(&replicas, "replicas", false, "list the gates and the revision that each runs")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	cmd.MarkFlagsMutuallyExclusive("fragment", "replicas")
	return throughGate(cmd)
}

// historyFar is history through a gate.
func (c *cli) historyFar(ctx context.Context, g *remote, fragment string, limit int, replicas bool) error {
	if replicas {
		list, err := g.replicas(ctx)
		if err != nil {
			return err
		}
		return c.sayReplicas(list)
	}
	if limit > maxFar {
		return usagef("--limit: a gate elsewhere gives at most %d", maxFar)
	}
	list, err := g.history(ctx, fragment, limit)
	if err != nil {
		return err
	}
	return c.sayHistory(list)
}

func (c *cli) sayHistory(list []historyJSON) error {
	if c.json {
		return c.printJSON(list)
	}
	rows := make([][]string, len(list))
	for i, w := range list {
		people := "-"
		if w.Counts != nil {
			people = fmt.Sprintf("%d/%d", w.Counts.Changed, w.Counts.People)
		}
		rows[i] = []string{
			stamp(w.At), w.What, w.State, strconv.FormatInt(w.Revision, 10), fmt.Sprintf("%.12s", w.Hash), w.Fragment, w.By,
			strconv.Itoa(w.TestsRan), people, w.Reason,
		}
	}
	return c.printTable("AT WHAT STATE REVISION HASH FRAGMENT BY TESTS PEOPLE REASON", rows)
}

func history(ctx context.Context, l *revision.Ledger, fragment string, limit int) (revision.History, error) {
	if fragment != "" {
		return l.FragmentHistory(ctx, fragment, limit)
	}
	return l.History(ctx, limit)
}

type replicaJSON struct {
	ID      string     `json:"id"`
	State   string     `json:"state"` // "current", "behind" or "gone"
	Hash    string     `json:"hash"`
	Since   *time.Time `json:"since"`
	Seen    time.Time  `json:"seen"`
	Problem string     `json:"problem,omitempty"`
}

func replicaWire(r revision.Replica, head revision.Application, now time.Time) replicaJSON {
	return replicaJSON{ID: r.ID, State: r.State(head, now), Hash: r.Hash, Since: optional(r.Since), Seen: r.Seen, Problem: r.Problem}
}

func (c *cli) listReplicas(ctx context.Context, l *revision.Ledger, head revision.Application) error {
	list, err := l.Replicas(ctx)
	if err != nil {
		return err
	}
	wire := make([]replicaJSON, len(list))
	for i, r := range list {
		wire[i] = replicaWire(r, head, c.now())
	}
	return c.sayReplicas(wire)
}

func (c *cli) sayReplicas(wire []replicaJSON) error {
	if c.json {
		return c.printJSON(wire)
	}
	rows := make([][]string, len(wire))
	for i, w := range wire {
		hash, since := "-", time.Time{}
		if w.Hash != "" {
			hash = fmt.Sprintf("%.12s", w.Hash)
		}
		if w.Since != nil {
			since = *w.Since
		}
		rows[i] = []string{w.ID, w.State, hash, stamp(since), stamp(w.Seen), w.Problem}
	}
	return c.printTable("REPLICA STATE HASH SINCE SEEN PROBLEM", rows)
}

type textJSON struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// revisionLook is a revision as it is shown.
type revisionLook struct {
	number         int64
	hash, fragment string
	by, reason     string
	created        time.Time
	tests          int
	texts          []textJSON
	applications   []historyJSON
}

func (c *cli) mappingShow() *cobra.Command {
	return throughGate(&cobra.Command{
		Use: "show HASH|NUMBER", Short: "Print the text of a revision", Args: cobra.ExactArgs(1),
		Long: "Print the text of a revision, as it was applied, on standard output; who brought\nit and when it was in force, beside it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				r, err := g.revision(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return c.sayRevision(r.show())
			}
			return c.withLedger(cmd.Context(), func(_ *config.Config, l *revision.Ledger) error {
				r, applied, err := l.Show(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				look := &revisionLook{
					number: r.Number, hash: r.Hash, fragment: r.Fragment, by: r.Author.Name, reason: r.Reason, created: r.Created, tests: r.Tests.Ran,
					texts: make([]textJSON, len(r.Texts)), applications: make([]historyJSON, len(applied)),
				}
				for i, t := range r.Texts {
					look.texts[i] = textJSON{t.Name, string(t.Body)}
				}
				for i, a := range applied {
					look.applications[i] = applicationWire(a, r, 0)
				}
				return c.sayRevision(look)
			})
		},
	})
}

func (c *cli) sayRevision(r *revisionLook) error {
	if c.json {
		return c.printJSON(map[string]any{
			"revision": r.number, "hash": r.hash, "fragment": r.fragment, "by": r.by, "reason": r.reason, "created": r.created,
			"testsRan": r.tests, "texts": r.texts, "applications": r.applications,
		})
	}
	fmt.Fprintf(c.err, "revision %d, %s%s\nby %s, %s: %s\n", r.number, r.hash, ofFragment(r.fragment), printable(r.by), stamp(r.created), printable(r.reason))
	for _, a := range r.applications {
		fmt.Fprintf(c.err, "%s by %s, %s: %s\n", a.What, printable(a.By), stamp(a.At), printable(a.Reason))
	}
	for _, t := range r.texts {
		if len(r.texts) > 1 {
			fmt.Fprintf(c.out, "-- %s --\n", printable(t.Name))
		}
		if _, err := io.WriteString(c.out, t.Text); err != nil {
			return err
		}
	}
	return nil
}

// examineRevisions looks at the mapping in the database and at the gates that
// run it.
func examineRevisions(ctx context.Context, cfg *config.Config, db *store.DB, now time.Time) (found []diagnosis) {
	l := revision.NewLedger(revision.LedgerConfig{Store: db.Revisions()})
	h, err := l.History(ctx, 1)
	if err != nil {
		return []diagnosis{{"mapping", "broken", fault.Message(err)}}
	}
	if cfg.Mapping.Managed {
		policy, err := revision.Peek(ctx, revision.Config{Store: db.Revisions(), Options: mappingOptions(cfg)})
		if err != nil {
			found = append(found, diagnosis{"mapping", "broken", err.Error()})
		} else {
			found = append(found, diagnosis{
				"mapping", "fine",
				fmt.Sprintf("in the database, %s, revision %.12s, number %d", count.Tests(policy.Test().Ran), h.Head.Hash, h.Head.Revision),
			})
		}
	}
	replicas, err := l.Replicas(ctx)
	if err != nil {
		return append(found, diagnosis{"mapping", "broken", fault.Message(err)})
	}
	for _, r := range replicas {
		w := replicaWire(r, h.Head, now)
		if w.State == "behind" {
			runs := fmt.Sprintf("runs revision %.12s", w.Hash)
			if w.Hash == "" {
				runs = "runs no mapping"
			}
			found = append(found, diagnosis{"gate " + w.ID, "broken", runs + ": " + w.Problem})
		}
	}
	return found
}
