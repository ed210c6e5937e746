package revision

import (
	"context"
	"errors"

	"portcullis/fault"
	"portcullis/mapping"
)

// candidate is a revision that somebody wants in force, and what it would
// change against the one that is.
type candidate struct {
	revision Revision   // what they brought
	whole    Revision   // what is in force with it: the same, unless it is one fragment
	parts    []Revision // the fragments of whole
	base     Application
	counts   *Counts
	needs    []string
}

// same reports whether a text is in force already.
func (c *candidate) same() bool { return c.base.Hash == c.whole.Hash }

// candidate compiles texts and compares them with what is in force.
func (l *Ledger) candidate(ctx context.Context, by Signer, texts []Text, reason string) (c candidate, err error) {
	if err := l.Owned(); err != nil {
		return c, err
	}
	if err := checkReason(reason); err != nil {
		return c, err
	}
	var base Revision
	if c.base, base, err = inForce(ctx, l.store); err != nil {
		return c, err
	}
	c.revision = Revision{Author: by.Actor, Reason: reason, Created: l.now(), Fragment: fragmentOf(texts)}
	c.whole = c.revision
	c.whole.Fragment = ""
	var before, after *mapping.Policy
	if c.revision.Fragment != "" {
		texts, before, after, err = l.splice(base, texts[0])
	} else if after, err = Compile(texts, l.options); err == nil {
		texts = label(portable(texts), after)
		// What was good once may be broken under today's configuration: then
		// nobody has anything, and everything is new.
		before, _ = compileStored(base, l.options, nil)
	}
	if err != nil {
		return c, err
	}
	c.whole.Hash, c.whole.Texts, c.whole.Tests = Hash(texts), texts, Tests{Ran: after.Test().Ran}
	c.parts = parts(c.whole, after)
	if c.revision.Fragment == "" {
		c.revision = c.whole
	}
	for _, part := range c.parts {
		if part.Fragment == c.revision.Fragment {
			c.revision = part
		}
	}
	if c.same() {
		return c, nil
	}
	if c.counts, err = l.count(ctx, before, after); err != nil {
		return c, err
	}
	c.needs = l.approval.needs(before, after, c.counts)
	return c, nil
}

// count asks Reach. Where no approval hangs on the answer it may be missing:
// going back in a hurry does not wait until a large directory is counted.
func (l *Ledger) count(ctx context.Context, before, after *mapping.Policy) (*Counts, error) {
	if l.reach == nil {
		return nil, nil //nolint:nilnil // it cannot be told
	}
	if l.approval.PeopleOver != nil {
		return l.reach(ctx, before, after)
	}
	short, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	counts, err := l.reach(short, before, after)
	if err != nil && short.Err() != nil && ctx.Err() == nil {
		return nil, nil //nolint:nilnil // it took too long
	}
	return counts, err
}

// errMoved is that something else came into force meanwhile.
var errMoved = errors.New("the head has moved")

func inForceAlready(c candidate) error {
	if c.revision.Fragment != "" {
		return fault.New(fault.Conflict, "that fragment (%.12s) of connection %s is in force already", c.revision.Hash, c.revision.Fragment)
	}
	return fault.New(fault.Conflict, "revision %d (%.12s) is in force already", c.base.Revision, c.base.Hash)
}

// onTop checks that what a candidate was compared with is still in force.
func (c candidate) onTop(tx Tx) error {
	head, err := tx.Head()
	if err == nil && head.Seq != c.base.Seq {
		err = fault.Wrap(fault.Conflict, errMoved, "revision %d (%.12s) of %s came into force meanwhile: look again", head.Revision, head.Hash, head.By.Name)
	}
	return err
}
