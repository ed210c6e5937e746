package revision

import (
	"context"
	"errors"
	"os"

	"portcullis/fault"
	"portcullis/mapping"
)

// Peek gives the mapping that a gate with this configuration would run, and
// puts nothing in force. As at a start, the revision that was in force last
// stands in for a broken file; the error then says what is wrong with the file.
// Without any the mapping is nil.
func Peek(ctx context.Context, c Config) (*mapping.Policy, error) {
	var problem error
	if c.File != "" {
		text, err := read(c.File)
		if err == nil {
			var p *mapping.Policy
			if p, err = Compile([]Text{{Name: c.File, Body: text}}, c.Options); err == nil {
				return p, nil
			}
		}
		problem = err
	}
	head, r, err := inForce(ctx, c.Store)
	switch {
	case err != nil:
		return nil, errors.Join(problem, err)
	case head.Seq == 0 && problem == nil:
		return nil, errNothingApplied()
	case head.Seq == 0:
		return nil, problem
	}
	p, err := compileStored(r, c.Options)
	return p, errors.Join(problem, err)
}

func errNothingApplied() error {
	return fault.New(fault.Unavailable, "no mapping was applied yet: portcullis mapping apply FILE")
}

// compileStored loads a revision of the database, whose bytes must be those
// that its hash was taken of.
func compileStored(r Revision, o mapping.Options) (*mapping.Policy, error) {
	if err := r.intact(); err != nil {
		return nil, err
	}
	return Compile(r.Texts, o)
}

// intact fails when the texts are not those that the hash names.
func (r *Revision) intact() error {
	if got := Hash(r.Texts); got != r.Hash {
		return fault.New(fault.Invalid, "revision %d was altered in the database: its hash is %.12s, not %.12s", r.Number, got, r.Hash)
	}
	return nil
}

// maxSize bounds what is read of a file; [mapping.Load] refuses less than this.
const maxSize = 8 << 20

// ReadFile reads a mapping file as the texts of a revision.
func ReadFile(file string) ([]Text, error) {
	text, err := read(file)
	return []Text{{Name: file, Body: text}}, err
}

func read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxSize {
		return nil, fault.New(fault.TooLarge, "%s: the file is larger than %d MiB", file, maxSize>>20)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the mapping file cannot be read")
	}
	text, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the mapping file cannot be read")
	}
	if text == nil {
		text = []byte{}
	}
	return text, nil
}

// firstLine bounds a reason for the audit trail.
func firstLine(err error) string {
	if problems, ok := errors.AsType[mapping.Problems](err); ok && len(problems) > 0 {
		return problems[0].String()
	}
	return fault.Message(err)
}
