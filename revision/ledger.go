package revision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/mapping"
)

// LedgerConfig is what a Ledger needs.
type LedgerConfig struct {
	Store    Store           // required
	File     string          // the mapping file that owns the mapping; empty where the database does
	Options  mapping.Options // what a mapping is checked against
	Approval Approval
	Reach    Reach
	Patience time.Duration    // how long Reach may take where no approval hangs on it; defaults to 5s
	Now      func() time.Time // defaults to time.Now
}

// Ledger is where operators bring revisions into force and look back. It is
// safe for concurrent use.
//
// Where a mapping file owns the mapping, everything that would change it fails
// with fault.Forbidden: the file is changed where it is kept.
type Ledger struct {
	store    Store
	file     string
	options  mapping.Options
	approval Approval
	reach    Reach
	patience time.Duration
	now      func() time.Time
}

// NewLedger makes a Ledger.
func NewLedger(c LedgerConfig) *Ledger {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Patience == 0 {
		c.Patience = 5 * time.Second
	}
	return &Ledger{
		patience: c.Patience, store: c.Store, file: c.File, options: c.Options,
		approval: c.Approval, reach: c.Reach, now: func() time.Time { return c.Now().UTC() },
	}
}

// Propose records texts as a revision that waits to be applied: a whole
// mapping, or the one text of a fragment ([ReadFragment]), which changes
// nothing for other connections and is not overtaken by what they do. It fails with
// [mapping.Problems] when they are broken and with fault.Conflict when they
// are in force, or proposed over the same revision by somebody else, already.
// What was proposed in a visit by a one-time link can be proposed again by
// somebody who is known: then it is theirs, and needs yet another to approve.
func (l *Ledger) Propose(ctx context.Context, by Signer, texts []Text, reason string) (Proposal, error) {
	c, err := l.candidate(ctx, by, texts, reason)
	if err != nil {
		return Proposal{}, err
	}
	return l.propose(ctx, by, c, reason)
}

// ProposeAgain is Propose of a revision that is known: one to go back to, or
// one whose proposal was overtaken by another revision.
func (l *Ledger) ProposeAgain(ctx context.Context, by Signer, ref, reason string) (Proposal, error) {
	r, err := l.find(ctx, ref)
	if err != nil {
		return Proposal{}, err
	}
	return l.Propose(ctx, by, r.Texts, reason)
}

func (l *Ledger) propose(ctx context.Context, by Signer, c candidate, reason string) (p Proposal, err error) {
	err = l.store.Update(ctx, func(tx Tx) error {
		if err := c.onTop(tx); err != nil {
			return err
		}
		if c.same() {
			return inForceAlready(c)
		}
		r, err := tx.InsertRevision(c.revision)
		if err != nil {
			return err
		}
		var from Signer
		open, err := tx.OpenProposal(r.Number)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err == nil {
			ok, err := still(tx, open, c.base.Seq)
			switch {
			case err != nil:
				return err
			case ok && open.Author.Kind == by.Kind && open.Author.ID == by.ID: // from wherever they ask
				p = open
				return nil
			case ok && open.Author.Anonymous() && !by.Anonymous(): // somebody stands up for it
				from = open.Author
			case ok:
				return fault.New(fault.Conflict, "revision %d (%.12s) was proposed by %s already", r.Number, r.Hash, open.Author.Name)
			}
		}
		p, err = tx.InsertProposal(Proposal{
			At: l.now(), Revision: r.Number, Hash: r.Hash, Base: c.base.Seq, Author: by, Reason: reason, Needs: c.needs, Counts: c.counts,
			Fragment: r.Fragment,
		})
		if err != nil {
			return err
		}
		e := l.event(audit.MappingProposed, by.Actor, r, reason, c.needs)
		if from.ID != "" {
			e.Detail["adopted_from"] = from.Name + " (" + from.ID + ")"
		}
		return tx.Audit(e)
	})
	return p, err
}

// Approve is the second person's word for a proposal: for its hash, over the
// revision that was in force when it was proposed. It fails with
// fault.Forbidden for the author, for somebody of whom the operating system
// knows no id, and for what was proposed through a one-time link; and with
// fault.Conflict when another revision came into force since.
func (l *Ledger) Approve(ctx context.Context, by Signer, ref string) (p Proposal, err error) {
	if err := l.Owned(); err != nil {
		return Proposal{}, err
	}
	if _, ok := number(ref); ok {
		return Proposal{}, fault.New(fault.Invalid, "an approval is for a hash; a number does not say what is approved")
	}
	r, err := l.find(ctx, ref)
	if err != nil {
		return Proposal{}, err
	}
	err = l.store.Update(ctx, func(tx Tx) error {
		if p, err = tx.OpenProposal(r.Number); err != nil {
			return fault.Wrap(fault.NotFound, err, "revision %d (%.12s) is not proposed", r.Number, r.Hash)
		}
		head, err := tx.Head()
		if err != nil {
			return err
		}
		ok, err := still(tx, p, head.Seq)
		switch {
		case err != nil:
			return err
		case !ok:
			return overtaken(head, r)
		case p.Author.Anonymous():
			return byNobody(r, p)
		case by.ID == "" || by.Anonymous():
			return fault.New(fault.Forbidden, "who you are is not known, so you cannot approve")
		case by.Same(p.Author):
			return fault.New(fault.Forbidden, "revision %d (%.12s) was proposed by %s: somebody else must approve it", r.Number, r.Hash, p.Author.Name)
		case !p.Approved.IsZero():
			return fault.New(fault.Conflict, "revision %d (%.12s) was approved by %s already", r.Number, r.Hash, p.Approver.Name)
		}
		p.Approved, p.Approver = l.now(), by
		if err := tx.Approve(p.Seq, by, p.Approved); err != nil {
			return err
		}
		return tx.Audit(l.event(audit.MappingApproved, by.Actor, r, p.Reason, p.Needs))
	})
	return p, err
}

// Apply brings texts into force. It fails with [mapping.Problems] when they
// are broken, with fault.Forbidden when they need an approval that they do not
// have, and with fault.Conflict when another revision came into force while
// it was at work. What is in force already stays, and fresh is false.
func (l *Ledger) Apply(ctx context.Context, by Signer, texts []Text, reason string) (a Application, fresh bool, err error) {
	return l.bring(ctx, by, texts, ByApply, reason)
}

// bring compiles texts and puts them in force. Another client's change that
// comes in between does not hinder that of a fragment.
func (l *Ledger) bring(ctx context.Context, by Signer, texts []Text, way Way, reason string) (a Application, fresh bool, err error) {
	for range maxTurns {
		c, err := l.candidate(ctx, by, texts, reason)
		if err != nil {
			return Application{}, false, err
		}
		if c.same() {
			return c.base, false, nil
		}
		a, err = l.apply(ctx, by, c, way, reason)
		if c.revision.Fragment == "" || !errors.Is(err, errMoved) {
			return a, err == nil, err
		}
	}
	return Application{}, false, fault.New(fault.Unavailable, "the mapping changes too often just now: try again")
}

// maxTurns bounds how often a fragment is put on top of what others changed.
const maxTurns = 20

// ApplyKnown is Apply of a revision that is known, such as a proposal.
func (l *Ledger) ApplyKnown(ctx context.Context, by Signer, ref, reason string) (a Application, fresh bool, err error) {
	if err := l.Owned(); err != nil {
		return Application{}, false, err
	}
	r, err := l.find(ctx, ref)
	if err != nil {
		return Application{}, false, err
	}
	return l.Apply(ctx, by, r.Texts, reason)
}

// Rollback goes back to a revision that was in force before, under the same
// rules of approval as any other. It fails like Apply, and with fault.Conflict
// for a revision that is in force or never was.
func (l *Ledger) Rollback(ctx context.Context, by Signer, ref, reason string) (Application, error) {
	if err := l.Owned(); err != nil {
		return Application{}, err
	}
	r, err := l.find(ctx, ref)
	if err != nil {
		return Application{}, err
	}
	var before []Application
	err = l.store.View(ctx, func(tx Tx) error {
		before, err = wasInForce(tx, r, 1)
		return err
	})
	if err != nil {
		return Application{}, err
	}
	if len(before) == 0 {
		return Application{}, fault.New(fault.Conflict, "revision %d (%.12s) was never in force; apply it", r.Number, r.Hash)
	}
	a, fresh, err := l.bring(ctx, by, r.Texts, ByRollback, reason)
	if err == nil && !fresh {
		err = fault.New(fault.Conflict, "revision %d (%.12s) is in force already", r.Number, r.Hash)
	}
	return a, err
}

func (l *Ledger) apply(ctx context.Context, by Signer, c candidate, way Way, reason string) (a Application, err error) {
	var refused error
	err = l.store.Update(ctx, func(tx Tx) error {
		refused = nil
		if err := c.onTop(tx); err != nil {
			return err
		}
		p, err := l.approved(tx, c)
		if fault.Is(err, fault.Forbidden) {
			// The attempt stays in the trail, and nothing else.
			refused = err
			return tx.Audit(l.event(audit.MappingRefused, by.Actor, c.revision, "not approved", c.needs))
		}
		if err != nil {
			return err
		}
		why := cmp.Or(reason, p.Reason)
		r, err := tx.InsertRevision(c.revision)
		if err != nil {
			return err
		}
		next := Application{
			At: l.now(), Way: way, Base: c.base.Seq, By: by.Actor, Reason: why, Counts: c.counts, Proposal: p.Seq, Fragment: r.Fragment,
		}
		if r.Fragment != "" {
			next.Part = r.Number
		}
		if a, err = bring(tx, c.whole, c.parts, next); err != nil {
			return err
		}
		if err := tx.CloseProposals(r.Number, a.Seq); err != nil {
			return err
		}
		action := audit.MappingApplied
		if way == ByRollback {
			action = audit.MappingRolledBack
		}
		e := l.event(action, by.Actor, r, why, c.needs)
		if !p.Approved.IsZero() {
			e.Detail["approved_by"] = p.Approver.Name
		}
		return tx.Audit(e)
	})
	if err == nil {
		err = refused
	}
	return a, err
}

// approved gives the open proposal of a candidate, zero if there is none. It
// fails with fault.Forbidden when an approval is needed and not there.
func (l *Ledger) approved(tx Tx, c candidate) (Proposal, error) {
	known, err := tx.RevisionsByHash(c.revision.Hash)
	if err != nil {
		return Proposal{}, err
	}
	var p Proposal
	if len(known) > 0 {
		if p, err = tx.OpenProposal(known[0].Number); err != nil && !fault.Is(err, fault.NotFound) {
			return Proposal{}, err
		}
	}
	if len(c.needs) == 0 {
		return p, nil
	}
	ok, err := still(tx, p, c.base.Seq)
	switch {
	case err != nil:
		return p, err
	case p.Seq == 0:
		return p, unapproved(c.needs, "propose it first")
	case !ok:
		return p, overtaken(c.base, c.revision)
	case p.Approved.IsZero():
		return p, unapproved(c.needs, "it is proposed by "+p.Author.Name+" and not approved")
	case p.Author.Anonymous(): // likewise from here: nobody should have been able to
		return p, byNobody(c.revision, p)
	case p.Approver.Same(p.Author):
		return p, fault.New(fault.Forbidden, "author and approver are the same person")
	default:
		return p, nil
	}
}

// byNobody refuses an approval of what nobody in particular proposed: whoever
// opened the link may be the one who approves.
func byNobody(r Revision, p Proposal) error {
	return fault.New(fault.Forbidden, "revision %d (%.12s) was proposed through a %s, and nobody knows by whom: "+
		"somebody known must propose it in their own name, and somebody else approve it", r.Number, r.Hash, p.Author.Name)
}

func overtaken(head Application, r Revision) error {
	return fault.New(fault.Conflict, "revision %d (%.12s) came into force since %.12s was proposed: propose it again", head.Revision, head.Hash, r.Hash)
}

// Owned fails with fault.Forbidden where the mapping file owns the mapping.
// What changes the mapping asks by itself; it is for whoever has something to
// read first.
func (l *Ledger) Owned() error {
	if l.file == "" {
		return nil
	}
	return fault.New(fault.Forbidden, "the mapping is the file %s: change it where it is kept, such as in Git; the gate applies it by itself", l.file)
}

const maxReason = 1000

func checkReason(reason string) error {
	switch {
	case !utf8.ValidString(reason) || strings.ContainsRune(reason, 0):
		return fault.New(fault.Invalid, "the reason is not text")
	case len(reason) > maxReason:
		return fault.New(fault.TooLarge, "the reason is longer than %d bytes", maxReason)
	default:
		return nil
	}
}

func (l *Ledger) event(action audit.Action, by audit.Actor, r Revision, reason string, needs []string) audit.Event {
	e := audit.Event{At: l.now(), Action: action, Actor: by, Subject: "mapping", Reason: reason, Detail: map[string]string{"revision": r.Hash}}
	if r.Number > 0 {
		e.Subject = fmt.Sprintf("mapping revision %d", r.Number)
	}
	if r.Author.Anonymous() && r.Author.ID != by.ID {
		e.Detail["brought_by"] = r.Author.Name + " (" + r.Author.ID + ")"
	}
	e.Connection = r.Fragment
	if len(needs) > 0 {
		e.Detail["needs_approval"] = strings.Join(needs, "; ")
	}
	return e
}
