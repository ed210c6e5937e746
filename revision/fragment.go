package revision

import (
	"context"
	"errors"
	"math"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"portcullis/fault"
	"portcullis/mapping"
)

// ReadFragment reads a file that is the fragment of one connection, as the one
// text of a revision: [Ledger.Propose] and [Ledger.Apply] leave everything
// else as it is then.
func ReadFragment(file, connection string) ([]Text, error) {
	body, err := read(file)
	if err != nil {
		return nil, err
	}
	return []Text{{Name: file, Connection: connection, Body: body}}, nil
}

// fragmentOf gives the connection whose fragment texts are, empty where they
// are a whole mapping.
func fragmentOf(texts []Text) string {
	if len(texts) == 1 {
		return texts[0].Connection
	}
	return ""
}

// label says of each text of a whole mapping of which connection it is the
// fragment.
func label(texts []Text, p *mapping.Policy) []Text {
	connections := make(map[string]string)
	for _, f := range p.Files() {
		connections[f.Name] = f.Connection
	}
	texts = slices.Clone(texts)
	for i := range texts {
		if i > 0 { // the base is nobody's
			texts[i].Connection = connections[texts[i].Name]
		}
	}
	return texts
}

// parts gives the fragments in a whole mapping as revisions of their own.
func parts(whole Revision, p *mapping.Policy) (out []Revision) {
	tests := make(map[string]int)
	for _, f := range p.Fragments() {
		tests[f.Connection] = f.Tests
	}
	for _, t := range whole.Texts {
		if t.Connection == "" {
			continue
		}
		part := whole
		part.Texts, part.Fragment, part.Tests = []Text{t}, t.Connection, Tests{Ran: tests[t.Connection]}
		part.Hash = Hash(part.Texts)
		out = append(out, part)
	}
	return out
}

// bring keeps a whole mapping, with those of its fragments that were not in
// force before, and puts it in force.
func bring(tx Tx, whole Revision, parts []Revision, a Application) (Application, error) {
	before, err := tx.Contents(a.Base)
	if err != nil {
		return a, err
	}
	r, err := tx.InsertRevision(whole)
	if err != nil {
		return a, err
	}
	for _, part := range parts {
		if slices.ContainsFunc(before, func(c Content) bool { return c.Hash == part.Hash && c.Connection == part.Fragment }) {
			continue
		}
		if _, err := tx.InsertRevision(part); err != nil {
			return a, err
		}
	}
	a.Revision, a.Hash = r.Number, r.Hash
	return tx.InsertApplication(a)
}

// still reports whether a proposal is about what is in force: the revision
// that it was compared with is, or, of a fragment, what all connections share
// and the fragment itself are as they were. What other clients did since is
// nothing to it.
func still(tx Tx, p Proposal, head int64) (bool, error) {
	if p.Base == head || p.Fragment == "" {
		return p.Base == head, nil
	}
	then, err := tx.Contents(p.Base)
	if err != nil {
		return false, err
	}
	now, err := tx.Contents(head)
	theirs := func(c Content) bool { return c.Connection != "" && c.Connection != p.Fragment }
	return slices.Equal(slices.DeleteFunc(then, theirs), slices.DeleteFunc(now, theirs)), err
}

// splice makes a candidate of the text of one connection: the mapping in force
// with that fragment instead of its own. Only its own mistakes are errors.
func (l *Ledger) splice(base Revision, text Text) (whole []Text, before, after *mapping.Policy, err error) {
	if base.Number == 0 {
		return nil, nil, nil, fault.New(fault.Conflict, "nothing is in force yet: apply the whole mapping first")
	}
	if before, err = compileStored(base, l.options, nil); err != nil {
		return nil, nil, nil, err
	}
	whole = label(base.Texts, before)
	named := text.Name
	i := slices.IndexFunc(whole, func(t Text) bool { return t.Connection == text.Connection })
	if i < 0 {
		if text.Name, err = place(before, text); err != nil {
			return nil, nil, nil, err
		}
		i = len(whole)
		whole = append(whole, text)
	}
	text.Name = whole[i].Name
	whole[i] = text
	slices.SortFunc(whole[1:], byName)
	after, err = mapping.LoadWith(before, whole[0].Name, whole[0].Body, within(whole, l.options))
	if err != nil {
		return nil, nil, nil, rename(err, text.Name, named)
	}
	for _, f := range after.Files() {
		switch {
		case f.Name != text.Name || f.Connection == text.Connection:
		case f.Connection == "":
			return nil, nil, nil, fault.New(fault.Invalid, "%s names no connection; want connection: %s at its top", named, text.Connection)
		default:
			return nil, nil, nil, fault.New(fault.Invalid, "%s is the fragment of connection %q; want connection: %s", named, f.Connection, text.Connection)
		}
	}
	for _, f := range after.Fragments() {
		switch {
		case f.Connection != text.Connection:
		case len(f.Problems) > 0:
			return nil, nil, nil, rename(f.Problems, text.Name, named)
		default:
			return whole, before, after, nil
		}
	}
	return nil, nil, nil, fault.New(fault.Invalid, "%s is not in the mapping", named)
}

// place finds the name of a connection's first fragment: the end of its path
// that the mapping includes.
func place(p *mapping.Policy, text Text) (string, error) {
	name := strings.TrimPrefix(path.Clean(filepath.ToSlash(text.Name)), "/")
	for {
		if p.Includes(name) {
			return name, nil
		}
		_, rest, more := strings.Cut(name, "/")
		if !more {
			return "", fault.New(fault.Invalid, "connection %q has no fragment, and the mapping includes no file that is called like %s", text.Connection, text.Name)
		}
		name = rest
	}
}

// rename lets problems speak of the file that somebody named.
func rename(err error, stored, named string) error {
	problems, ok := errors.AsType[mapping.Problems](err)
	if !ok {
		return err
	}
	problems = slices.Clone(problems)
	for i := range problems {
		if problems[i].File == stored {
			problems[i].File = named
		}
	}
	return problems
}

// FragmentHistory gives the newest n applications that changed the fragment of
// a connection, however it came, and the newest n open proposals of it. Their
// revisions are the fragment's own. It fails with fault.NotFound for a
// connection that never had a fragment.
func (l *Ledger) FragmentHistory(ctx context.Context, connection string, n int) (h History, err error) {
	err = l.store.View(ctx, func(tx Tx) (err error) {
		if h, err = begin(tx); err != nil {
			return err
		}
		if h.Applications, err = tx.FragmentApplications(connection, n); err != nil {
			return err
		}
		all, err := tx.OpenProposals(math.MaxInt64, maxProposals)
		if err != nil {
			return err
		}
		for _, p := range all {
			if p.Fragment == connection && len(h.Proposals) < n {
				h.Proposals = append(h.Proposals, p)
			}
		}
		if len(h.Applications) == 0 && len(h.Proposals) == 0 {
			return fault.New(fault.NotFound, "connection %q has no fragment and never had one", connection)
		}
		if len(h.Applications) > 0 {
			h.Head = h.Applications[0]
		}
		return h.fill(tx)
	})
	return h, err
}

// maxProposals bounds how many open proposals are looked through.
const maxProposals = 1000

// Previous names what was in force before: the whole mapping, or the fragment
// of a connection. It fails with fault.Conflict where there is nothing to go
// back to.
func (l *Ledger) Previous(ctx context.Context, connection string) (ref string, err error) {
	var list []Application
	err = l.store.View(ctx, func(tx Tx) error {
		if connection == "" {
			list, err = tx.Applications(0, 2)
		} else {
			list, err = tx.FragmentApplications(connection, 2)
		}
		return err
	})
	switch {
	case err != nil:
		return "", err
	case len(list) < 2 || list[1].Hash == "":
		return "", fault.New(fault.Conflict, "nothing was in force before")
	default:
		return list[1].Hash, nil
	}
}

// maxApplications bounds how far back a fragment is looked for.
const maxApplications = 100_000

// wasInForce gives the applications of a revision, the newest n.
func wasInForce(tx Tx, r Revision, n int) ([]Application, error) {
	if r.Fragment == "" {
		return tx.Applications(r.Number, n)
	}
	all, err := tx.FragmentApplications(r.Fragment, maxApplications)
	all = slices.DeleteFunc(all, func(a Application) bool { return a.Hash != r.Hash })
	return all[:min(n, len(all))], err
}
