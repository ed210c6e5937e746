package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"portcullis/config"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/revision"
	"portcullis/store"
)

// withLedger runs f on the revisions of the mapping.
func (c *cli) withLedger(ctx context.Context, f func(*config.Config, *revision.Ledger) error) error {
	return c.withStore(ctx, func(cfg *config.Config, db *store.DB) error {
		a := cfg.Mapping.Approval
		people := directory.New(directory.Config{Store: db.Directory(), Connections: connections(cfg)})
		return f(cfg, revision.NewLedger(revision.LedgerConfig{
			Store: db.Revisions(), File: cfg.Mapping.File, Options: mappingOptions(cfg), Now: c.now,
			Approval: revision.Approval{Always: a.Always, Privileged: a.Privileged, PeopleOver: a.PeopleOver},
			Reach:    reach(people, c.now),
		}))
	})
}

// mappingText reads a file that is to be a revision. One that cannot be read
// is no fault of its text.
func mappingText(file string) ([]revision.Text, error) {
	texts, err := revision.ReadFile(file)
	if cause := errors.Unwrap(err); cause != nil {
		return nil, cause
	}
	return texts, err
}

type proposalJSON struct {
	Revision   int64       `json:"revision"`
	Hash       string      `json:"hash"`
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
		Revision: p.Revision, Hash: p.Hash, ProposedBy: p.Author.Name, ProposedAt: p.At, Reason: p.Reason,
		Needs: append([]string{}, p.Needs...), Counts: countsWire(p.Counts), ApprovedBy: p.Approver.Name, ApprovedAt: optional(p.Approved),
	}
}

// sayNeeds tells people why somebody else is asked.
func (c *cli) sayNeeds(p revision.Proposal) {
	for _, why := range p.Needs {
		fmt.Fprintln(c.err, "needs an approval:", printable(why))
	}
	if p.Counts != nil {
		fmt.Fprintln(c.err, countsInWords(p.Counts))
	}
}

func (c *cli) mappingPropose() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "propose FILE|HASH --reason TEXT", Short: "Record a mapping that is to be applied", Args: cobra.ExactArgs(1),
		Long: `Record a mapping that is to be applied, from a file or, by its hash, one that is
known. Whether somebody else must approve it is said at once.

The author is the user of the operating system, whom nobody chooses. A file
that is called like a hash is named with ./ before it.`,
		Example: `  portcullis mapping propose mapping.yaml --reason "year-end helpers"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usagef("want --reason TEXT: whoever approves it reads it")
			}
			return c.withLedger(cmd.Context(), func(_ *config.Config, l *revision.Ledger) error {
				p, err := c.propose(cmd.Context(), l, args[0], reason)
				if err != nil {
					return err
				}
				if c.json {
					return c.printJSON(proposalWire(p))
				}
				c.sayNeeds(p)
				next := "apply"
				if len(p.Needs) > 0 {
					next = "approve"
				}
				fmt.Fprintf(c.err, "next: portcullis mapping %s %.12s\n", next, p.Hash)
				_, err = fmt.Fprintf(c.out, "proposed revision %d, %s\n", p.Revision, p.Hash)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever approves it and for the audit trail")
	return cmd
}

func (c *cli) propose(ctx context.Context, l *revision.Ledger, what, reason string) (revision.Proposal, error) {
	if revision.IsHash(what) {
		return l.ProposeAgain(ctx, c.signer(), what, reason)
	}
	texts, err := mappingText(what)
	if err != nil {
		return revision.Proposal{}, err
	}
	return l.Propose(ctx, c.signer(), texts, reason)
}

func (c *cli) mappingApprove() *cobra.Command {
	return &cobra.Command{
		Use: "approve HASH", Short: "Give the second person's word for a proposal", Args: cobra.ExactArgs(1),
		Long: `Give the second person's word for a proposal. It is for that hash, over the
revision in force; when another one comes into force first, it is worth nothing.

Author and approver are users of the operating system and must differ, also in
the account that they logged in with before sudo or su.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withLedger(cmd.Context(), func(_ *config.Config, l *revision.Ledger) error {
				p, err := l.Approve(cmd.Context(), c.signer(), args[0])
				if err != nil {
					return err
				}
				if c.json {
					return c.printJSON(proposalWire(p))
				}
				c.sayNeeds(p)
				fmt.Fprintf(c.err, "next: portcullis mapping apply %.12s\n", p.Hash)
				_, err = fmt.Fprintf(c.out, "approved revision %d, %s, proposed by %s: %s\n", p.Revision, p.Hash, printable(p.Author.Name), printable(p.Reason))
				return err
			})
		},
	}
}

func (c *cli) mappingApply() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "apply HASH|FILE", Short: "Put a mapping in force, in every gate within a second", Args: cobra.ExactArgs(1),
		Long: `Put a mapping in force, in every gate within a second: a proposal by its hash,
or a file. Exit code 1 when it is broken, needs an approval that it does not
have, or when another one came into force meanwhile.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withLedger(cmd.Context(), func(_ *config.Config, l *revision.Ledger) error {
				a, fresh, err := c.apply(cmd.Context(), l, args[0], reason)
				if err != nil {
					return err
				}
				if !fresh {
					fmt.Fprintln(c.err, "it is in force already; nothing was done")
				}
				return c.sayInForce(a)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit trail; a proposal has its own")
	return cmd
}

func (c *cli) apply(ctx context.Context, l *revision.Ledger, what, reason string) (revision.Application, bool, error) {
	if revision.IsHash(what) {
		return l.ApplyKnown(ctx, c.signer(), what, reason)
	}
	texts, err := mappingText(what)
	if err != nil {
		return revision.Application{}, false, err
	}
	return l.Apply(ctx, c.signer(), texts, reason)
}

func (c *cli) mappingRollback() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "rollback HASH|NUMBER", Short: "Go back to a mapping that was in force before", Args: cobra.ExactArgs(1),
		Long: `Go back to a mapping that was in force before. What needs an approval needs
one here too: propose HASH, have it approved, and roll back or apply.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withLedger(cmd.Context(), func(_ *config.Config, l *revision.Ledger) error {
				a, err := l.Rollback(cmd.Context(), c.signer(), args[0], reason)
				if fault.Is(err, fault.Forbidden) {
					err = fmt.Errorf("cannot roll back: %w", err)
				}
				if err != nil {
					return err
				}
				return c.sayInForce(a)
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit trail")
	return cmd
}

func (c *cli) sayInForce(a revision.Application) error {
	if c.json {
		return c.printJSON(applicationWire(a, revision.Revision{}, a.Seq))
	}
	if a.Counts != nil {
		fmt.Fprintln(c.err, countsInWords(a.Counts))
	}
	_, err := fmt.Fprintf(c.out, "in force: revision %d, %s\n", a.Revision, a.Hash)
	return err
}
