package revision

import (
	"context"
	"errors"

	"portcullis/fault"
	"portcullis/mapping"
)

// Peek gives the mapping that a gate with this configuration would run, and
// puts nothing in force. As at a start, the revision that was in force last
// stands in for a broken file, and its fragments for broken ones; the error
// then says what is wrong. Without any the mapping is nil.
func Peek(ctx context.Context, c Config) (*mapping.Policy, error) {
	head, r, err := inForce(ctx, c.Store)
	if err != nil && c.File == "" {
		return nil, err
	}
	var last *mapping.Policy
	if err == nil && head.Seq > 0 {
		last, err = compileStored(r, c.Options, nil)
	}
	if c.File == "" {
		if head.Seq == 0 {
			return nil, errNothingApplied()
		}
		return last, err
	}
	text, problem := read(c.File)
	if problem == nil {
		var p *mapping.Policy
		if p, problem = mapping.LoadWith(last, c.File, text, Disk(c.File, c.Options)); problem == nil {
			return p, broken(p)
		}
	}
	return last, errors.Join(problem, err)
}

func errNothingApplied() error {
	return fault.New(fault.Unavailable, "no mapping was applied yet: portcullis mapping apply FILE")
}

// compileStored loads a revision of the database, whose bytes must be those
// that its hash was taken of. A fragment that is broken under this
// configuration leaves its connection as it is in previous, which may be nil.
func compileStored(r Revision, o mapping.Options, previous *mapping.Policy) (*mapping.Policy, error) {
	if err := r.intact(); err != nil {
		return nil, err
	}
	if len(r.Texts) == 0 {
		return nil, fault.New(fault.Invalid, "a revision without a text")
	}
	return mapping.LoadWith(previous, r.Texts[0].Name, r.Texts[0].Body, within(r.Texts, o))
}

// broken is what is wrong with fragments of a policy that is in force, nil if
// nothing is.
func broken(p *mapping.Policy) error {
	var all mapping.Problems
	for _, f := range p.Fragments() {
		all = append(all, f.Problems...)
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// intact fails when the texts are not those that the hash names.
func (r *Revision) intact() error {
	if got := Hash(r.Texts); got != r.Hash {
		return fault.New(fault.Invalid, "revision %d was altered in the database: its hash is %.12s, not %.12s", r.Number, got, r.Hash)
	}
	return nil
}
