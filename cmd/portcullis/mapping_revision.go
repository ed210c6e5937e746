package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
)

// withLedger runs f on the revisions of the mapping.
func (c *cli) withLedger(ctx context.Context, f func(*config.Config, *revision.Ledger) error) error {
	return c.withStore(ctx, func(cfg *config.Config, db *store.DB) error {
		people := directory.New(directory.Config{Store: db.Directory(), Connections: connections(cfg)})
		return f(cfg, ledger(cfg, db, people, mappingOptions(cfg), c.now))
	})
}

func ledger(cfg *config.Config, db *store.DB, people *directory.Directory, o mapping.Options, now func() time.Time) *revision.Ledger {
	a := cfg.Mapping.Approval
	return revision.NewLedger(revision.LedgerConfig{
		Store: db.Revisions(), File: cfg.Mapping.File, Options: o, Now: now,
		Approval: revision.Approval{Always: a.Always, Privileged: a.Privileged, PeopleOver: a.PeopleOver},
		Reach:    reach(people, now),
	})
}

// mappingText reads a file that is to be a revision, as a whole mapping or as
// the fragment of a connection. One that cannot be read is no fault of its
// text.
func mappingText(file, fragment string) ([]revision.Text, error) {
	texts, err := revision.ReadFragment(file, fragment)
	if fragment == "" {
		texts, err = revision.ReadFile(file)
	}
	cause := errors.Unwrap(err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w; want a FILE, or at least 10 digits of the HASH of a revision: portcullis mapping history", cause)
	case cause != nil:
		return nil, cause
	}
	return texts, err
}

// fragmentFlag makes a command be about the file of one connection alone.
func fragmentFlag(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "fragment", "", "the connection whose fragment it is about; nothing else is touched")
}

// named makes sure that a revision is the fragment that the command line
// names, if it names one.
func named(ctx context.Context, l *revision.Ledger, ref, fragment string) error {
	if fragment == "" {
		return nil
	}
	r, _, err := l.Show(ctx, ref)
	if err == nil && r.Fragment != fragment {
		return noFragment(r.Number, r.Hash, fragment)
	}
	return err
}

func noFragment(number int64, hash, fragment string) error {
	return usagef("revision %d (%.12s) is no fragment of connection %s", number, hash, fragment)
}

type proposalJSON struct {
	Revision   int64       `json:"revision"`
	Hash       string      `json:"hash"`
	Fragment   string      `json:"fragment,omitempty"` // the connection whose fragment alone it is
	ProposedBy string      `json:"proposedBy"`
	ProposedAt time.Time   `json:"proposedAt"`
	Reason     string      `json:"reason"`
	Needs      []string    `json:"needsApproval"` // why; empty if it does not
	Counts     *countsJSON `json:"counts"`
	ApprovedBy string      `json:"approvedBy,omitempty"`
	ApprovedAt *time.Time  `json:"approvedAt"`
}

func proposalWire(p revision.Proposal) proposalJSON {
	return proposalJSON{
		Revision: p.Revision, Hash: p.Hash, Fragment: p.Fragment, ProposedBy: p.Author.Name, ProposedAt: p.At, Reason: p.Reason,
		Needs: append([]string{}, p.Needs...), Counts: countsWire(p.Counts), ApprovedBy: p.Approver.Name, ApprovedAt: optional(p.Approved),
	}
}

// sayNeeds tells people why somebody else is asked.
func (c *cli) sayNeeds(p proposalJSON) {
	for _, why := range p.Needs {
		fmt.Fprintln(c.err, "needs an approval:", printable(why))
	}
	if p.Counts != nil {
		fmt.Fprintln(c.err, p.Counts)
	}
}

func (c *cli) mappingPropose() *cobra.Command {
	var reason, fragment string
	cmd := &cobra.Command{
		Use: "propose FILE|HASH --reason TEXT", Short: "Record a mapping that is to be applied", Args: cobra.ExactArgs(1),
		Long: `Record a mapping that is to be applied, from a file or, by its hash, one that is
known. Whether somebody else must approve it is said at once.

--fragment takes the file of one connection alone. It is checked, approved and
applied by itself: other connections are not touched, and what they do
meanwhile does not overtake it.

The author is the user of the operating system, whom nobody chooses. A file
that is called like a hash is named with ./ before it.`,
		Example: `  portcullis mapping propose mapping.yaml --reason "year-end helpers"
  portcullis mapping propose --fragment acme clients/acme.yaml --reason "their list of 3 March"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usagef("want --reason TEXT: whoever approves it reads it")
			}
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				p, err := g.propose(cmd.Context(), args[0], fragment, reason)
				if err != nil {
					return err
				}
				return c.sayProposed(p)
			}
			return c.withLedger(cmd.Context(), func(_ *config.Config, l *revision.Ledger) error {
				p, err := c.propose(cmd.Context(), l, args[0], fragment, reason)
				if err != nil {
					return err
				}
				return c.sayProposed(proposalWire(p))
			})
		},
	}
	fragmentFlag(cmd, &fragment)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever approves it and for the audit trail")
	return throughGate(cmd)
}

func (c *cli) sayProposed(p proposalJSON) error {
	if c.json {
		return c.printJSON(p)
	}
	c.sayNeeds(p)
	next := "apply"
	if len(p.Needs) > 0 {
		next = "approve"
	}
	fmt.Fprintf(c.err, "next: portcullis mapping %s %.12s\n", next, p.Hash)
	_, err := fmt.Fprintf(c.out, "proposed revision %d, %s%s\n", p.Revision, p.Hash, ofFragment(p.Fragment))
	return err
}

// ofFragment says in an answer that it is about a fragment.
func ofFragment(connection string) string {
	if connection == "" {
		return ""
	}
	return ", fragment of " + printable(connection)
}

func (c *cli) propose(ctx context.Context, l *revision.Ledger, what, fragment, reason string) (revision.Proposal, error) {
	if err := l.Owned(); err != nil {
		return revision.Proposal{}, err
	}
	if revision.IsHash(what) {
		if err := named(ctx, l, what, fragment); err != nil {
			return revision.Proposal{}, err
		}
		return l.ProposeAgain(ctx, c.signer(), what, reason)
	}
	texts, err := mappingText(what, fragment)
	if err != nil {
		return revision.Proposal{}, err
	}
	return l.Propose(ctx, c.signer(), texts, reason)
}

func (c *cli) mappingApprove() *cobra.Command {
	return throughGate(&cobra.Command{
		Use: "approve HASH", Short: "Give the second person's word for a proposal", Args: cobra.ExactArgs(1),
		Long: `Give the second person's word for a proposal. It is for that hash, over the
revision in force; when another one comes into force first, it is worth nothing.

Author and approver are users of the operating system and must differ, also in
the account that they logged in with before sudo or su.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			say := func(p proposalJSON) error {
				if c.json {
					return c.printJSON(p)
				}
				c.sayNeeds(p)
				fmt.Fprintf(c.err, "next: portcullis mapping apply %.12s\n", p.Hash)
				_, err := fmt.Fprintf(c.out, "approved revision %d, %s%s, proposed by %s: %s\n", p.Revision, p.Hash, ofFragment(p.Fragment), printable(p.ProposedBy), printable(p.Reason))
				return err
			}
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				p, err := g.approve(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return say(p)
			}
			return c.withLedger(cmd.Context(), func(_ *config.Config, l *revision.Ledger) error {
				p, err := l.Approve(cmd.Context(), c.signer(), args[0])
				if err != nil {
					return err
				}
				return say(proposalWire(p))
			})
		},
	})
}

func (c *cli) mappingApply() *cobra.Command {
	var reason, fragment string
	cmd := &cobra.Command{
		Use: "apply HASH|FILE", Short: "Put a mapping in force, in every gate within a second", Args: cobra.ExactArgs(1),
		Long: `Put a mapping in force, in every gate within a second: a proposal by its hash,
or a file. Exit code 1 when it is broken, needs an approval that it does not
have, or when another one came into force meanwhile. --fragment takes the file
of one connection, and touches no other.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			say := func(w historyJSON, fresh bool) error {
				if !fresh {
					fmt.Fprintln(c.err, "it is in force already; nothing was done")
				}
				return c.sayInForce(w)
			}
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				w, fresh, err := g.apply(cmd.Context(), args[0], fragment, reason)
				if err != nil {
					return err
				}
				return say(w, fresh)
			}
			return c.withLedger(cmd.Context(), func(_ *config.Config, l *revision.Ledger) error {
				a, fresh, err := c.apply(cmd.Context(), l, args[0], fragment, reason)
				if err != nil {
					return err
				}
				w, err := inForce(cmd.Context(), l, a)
				if err != nil {
					return err
				}
				return say(w, fresh)
			})
		},
	}
	fragmentFlag(cmd, &fragment)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit trail; a proposal has its own")
	return throughGate(cmd)
}

func (c *cli) apply(ctx context.Context, l *revision.Ledger, what, fragment, reason string) (revision.Application, bool, error) {
	if err := l.Owned(); err != nil {
		return revision.Application{}, false, err
	}
	if revision.IsHash(what) {
		if err := named(ctx, l, what, fragment); err != nil {
			return revision.Application{}, false, err
		}
		return l.ApplyKnown(ctx, c.signer(), what, reason)
	}
	texts, err := mappingText(what, fragment)
	if err != nil {
		return revision.Application{}, false, err
	}
	return l.Apply(ctx, c.signer(), texts, reason)
}

func (c *cli) mappingRollback() *cobra.Command {
	var reason, fragment string
	cmd := &cobra.Command{
		Use: "rollback [HASH|NUMBER]", Short: "Go back to a mapping that was in force before", Args: cobra.MaximumNArgs(1),
		Long: `Go back to a mapping that was in force before: the one before this one, unless
another is named. What needs an approval needs one here too: propose HASH, have
it approved, and roll back or apply.

--fragment goes back with the fragment of one connection, and leaves everything
else as it is.`,
		Example: `  portcullis mapping rollback --fragment acme --reason "wrong list"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			g, err := c.remote()
			if err != nil {
				return err
			}
			if g != nil {
				w, err := g.rollback(cmd.Context(), args, fragment, reason)
				if err != nil {
					return err
				}
				return c.sayInForce(w)
			}
			return c.withLedger(cmd.Context(), func(_ *config.Config, l *revision.Ledger) error {
				ref, err := backTo(cmd.Context(), l, args, fragment)
				if err != nil {
					return err
				}
				a, err := l.Rollback(cmd.Context(), c.signer(), ref, reason)
				if fault.Is(err, fault.Forbidden) {
					err = fmt.Errorf("cannot roll back: %w", err)
				}
				if err != nil {
					return err
				}
				w, err := inForce(cmd.Context(), l, a)
				if err != nil {
					return err
				}
				return c.sayInForce(w)
			})
		},
	}
	fragmentFlag(cmd, &fragment)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	return throughGate(cmd)
}

// backTo names the revision to go back to.
func backTo(ctx context.Context, l *revision.Ledger, args []string, fragment string) (string, error) {
	if err := l.Owned(); err != nil {
		return "", err
	}
	if len(args) > 0 {
		return args[0], named(ctx, l, args[0], fragment)
	}
	return l.Previous(ctx, fragment)
}

// inForce is an application that was made just now.
func inForce(ctx context.Context, l *revision.Ledger, a revision.Application) (historyJSON, error) {
	r, _, err := l.Show(ctx, a.Hash)
	return applicationWire(a, r, a.Seq), err
}

func (c *cli) sayInForce(w historyJSON) error {
	if c.json {
		return c.printJSON(w)
	}
	if w.Counts != nil {
		fmt.Fprintln(c.err, w.Counts)
	}
	_, err := fmt.Fprintf(c.out, "in force: revision %d, %s%s\n", w.Revision, w.Hash, ofFragment(w.Fragment))
	return err
}
