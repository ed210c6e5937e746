package revision

import (
	"context"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/mapping"
)

// InForce gives the revision in force with its texts, and the application that
// put it there; both are zero while nothing is in force.
func (l *Ledger) InForce(ctx context.Context) (Revision, Application, error) {
	a, r, err := inForce(ctx, l.store)
	return r, a, err
}

// Examine compiles the texts of a whole mapping that nobody proposed yet, and
// reports on its tests: one that fails is no error here. The error is
// [mapping.Problems]. Such a policy is looked at, and never put in force.
func (l *Ledger) Examine(texts []Text) (*mapping.Policy, mapping.Report, error) {
	if len(texts) == 0 {
		return nil, mapping.Report{}, fault.New(fault.Invalid, "a revision without a text")
	}
	p, err := mapping.Compile(texts[0].Name, texts[0].Body, within(texts, l.options))
	if err != nil {
		return nil, mapping.Report{}, err
	}
	return p, p.Test(), nil
}

// Needs says in words why after would need the approval of a second person
// over before, which may be nil; empty if it would not. counts is what it
// changes for people, nil where that is not known.
func (l *Ledger) Needs(before, after *mapping.Policy, counts *Counts) []string {
	return l.approval.needs(before, after, counts)
}

// NeedsTwo reports whether any change of the mapping needs a second person.
func (l *Ledger) NeedsTwo() bool {
	return l.approval.Always || l.approval.Privileged || l.approval.PeopleOver != nil
}

// declined stands in a proposal in the place of the application that it led
// to.
const declined = -1

// Decline closes a proposal for good, approved or not; its author may take it
// back so, too. Whoever wants it all the same proposes it again. It fails with
// fault.NotFound where nothing is proposed, and with fault.Invalid without a
// reason, which the author reads.
func (l *Ledger) Decline(ctx context.Context, by Signer, ref, reason string) (p Proposal, err error) {
	if err := l.Owned(); err != nil {
		return Proposal{}, err
	}
	if err := checkReason(reason); err != nil {
		return Proposal{}, err
	}
	if reason == "" {
		return Proposal{}, fault.New(fault.Invalid, "a reason is wanted: whoever proposed it reads it")
	}
	r, err := l.find(ctx, ref)
	if err != nil {
		return Proposal{}, err
	}
	err = l.store.Update(ctx, func(tx Tx) error {
		if p, err = tx.OpenProposal(r.Number); err != nil {
			return fault.Wrap(fault.NotFound, err, "revision %d (%.12s) is not proposed", r.Number, r.Hash)
		}
		if err := tx.CloseProposals(r.Number, declined); err != nil {
			return err
		}
		e := l.event(audit.MappingDeclined, by.Actor, r, reason, nil)
		e.Detail["proposed_by"] = p.Author.Name
		return tx.Audit(e)
	})
	return p, err
}
