package revision

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"portcullis/fault"
)

// History is what happened to the mapping.
type History struct {
	Head         Application   // zero while nothing is in force
	Applications []Application // newest first
	Proposals    []Proposal    // open ones, newest first
	Revisions    map[int64]Revision
	Overtaken    map[int64]bool // proposals, by Seq, that must be made again: what they were compared with is not in force any more
}

// History gives the newest n applications and open proposals, and the
// revisions that they speak of, without texts.
func (l *Ledger) History(ctx context.Context, n int) (h History, err error) {
	err = l.store.View(ctx, func(tx Tx) (err error) {
		if h, err = begin(tx); err != nil {
			return err
		}
		if h.Applications, err = tx.Applications(0, n); err != nil {
			return err
		}
		if h.Proposals, err = tx.OpenProposals(math.MaxInt64, n); err != nil {
			return err
		}
		return h.fill(tx)
	})
	return h, err
}

// Waiting gives the newest n open proposals below seq, for 0 of all, as a
// history without applications.
func (l *Ledger) Waiting(ctx context.Context, seq int64, n int) (h History, err error) {
	if seq == 0 {
		seq = math.MaxInt64
	}
	err = l.store.View(ctx, func(tx Tx) (err error) {
		if h, err = begin(tx); err != nil {
			return err
		}
		if h.Proposals, err = tx.OpenProposals(seq, n); err != nil {
			return err
		}
		return h.fill(tx)
	})
	return h, err
}

// ProposalOf gives the open proposal of a revision, as a history without
// applications; it has none if none is open.
func (l *Ledger) ProposalOf(ctx context.Context, number int64) (h History, err error) {
	err = l.store.View(ctx, func(tx Tx) (err error) {
		if h, err = begin(tx); err != nil {
			return err
		}
		p, err := tx.OpenProposal(number)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		h.Proposals = []Proposal{p}
		return h.fill(tx)
	})
	return h, err
}

// Past goes on where a history ended: it gives the newest n applications below
// seq, newest first; for 0, of all.
func (l *Ledger) Past(ctx context.Context, seq int64, n int) (list []Application, err error) {
	if seq == 0 {
		seq = math.MaxInt64
	}
	err = l.store.View(ctx, func(tx Tx) error {
		list, err = tx.ApplicationsBefore(seq, n)
		return err
	})
	return list, err
}

// begin is a history of which nothing is known but what is in force.
func begin(tx Tx) (h History, err error) {
	h = History{Revisions: make(map[int64]Revision), Overtaken: make(map[int64]bool)}
	h.Head, err = tx.Head()
	return h, err
}

// fill reads the revisions that a history speaks of, and which proposals were
// overtaken.
func (h *History) fill(tx Tx) error {
	hashes := make(map[string]bool)
	for _, a := range h.Applications {
		hashes[a.Hash] = a.Hash != ""
	}
	head, err := tx.Head()
	if err != nil {
		return err
	}
	for _, p := range h.Proposals {
		hashes[p.Hash] = true
		ok, err := still(tx, p, head.Seq)
		if err != nil {
			return err
		}
		h.Overtaken[p.Seq] = !ok
	}
	for hash, known := range hashes {
		if !known {
			continue
		}
		found, err := tx.RevisionsByHash(hash)
		if err != nil {
			return err
		}
		for _, r := range found {
			h.Revisions[r.Number] = r
		}
	}
	return nil
}

// Show gives one revision with its texts, and when it came into force, newest
// first. It fails with fault.NotFound.
func (l *Ledger) Show(ctx context.Context, ref string) (r Revision, applied []Application, err error) {
	if r, err = l.find(ctx, ref); err != nil {
		return r, nil, err
	}
	err = l.store.View(ctx, func(tx Tx) error {
		applied, err = wasInForce(tx, r, shown)
		return err
	})
	return r, applied, err
}

// shown bounds how many applications are listed of one revision.
const shown = 100

// At gives the revision that was in force at a time, with its texts, and the
// application that put it there. It fails with fault.NotFound for a time
// before the first.
func (l *Ledger) At(ctx context.Context, at time.Time) (r Revision, a Application, err error) {
	err = l.store.View(ctx, func(tx Tx) error {
		if a, err = tx.ApplicationAt(at); err != nil {
			return err
		}
		if a.Seq == 0 {
			return fault.New(fault.NotFound, "nothing was in force at %s", at.UTC().Format(time.RFC3339))
		}
		r, err = tx.Revision(a.Revision)
		return err
	})
	return r, a, err
}

// inForce gives the application in force and its revision, zero for none.
func inForce(ctx context.Context, s Store) (a Application, r Revision, err error) {
	err = s.View(ctx, func(tx Tx) error {
		if a, err = tx.Head(); err != nil || a.Seq == 0 {
			return err
		}
		r, err = tx.Revision(a.Revision)
		return err
	})
	return a, r, err
}

// Replicas lists the gates that report, by id.
func (l *Ledger) Replicas(ctx context.Context) ([]Replica, error) { return l.store.Replicas(ctx) }

// minPrefix is the least of a hash that names a revision. Nine digits or fewer
// are a number, so the two never meet.
const minPrefix = 10

// IsHash reports whether a word may be a hash, or enough of the beginning of
// one, rather than the name of a file.
func IsHash(word string) bool {
	return len(word) >= minPrefix && len(word) <= 64 && strings.Trim(word, "0123456789abcdefABCDEF") == ""
}

// number reads the number of a revision.
func number(ref string) (int64, bool) {
	if len(ref) >= minPrefix {
		return 0, false
	}
	n, err := strconv.ParseUint(ref, 10, 32)
	return int64(n), err == nil
}

// find gives the one revision that a word names, with its texts: a number, a
// hash or the beginning of one. It fails with fault.Invalid when they are not
// what its hash says.
func (l *Ledger) find(ctx context.Context, ref string) (r Revision, err error) {
	n, numbered := number(ref)
	if !numbered && !IsHash(ref) {
		return r, fault.New(fault.Invalid, "%q names no revision; want a number, or at least %d digits of a hash", ref, minPrefix)
	}
	err = l.store.View(ctx, func(tx Tx) error {
		if !numbered {
			found, err := tx.RevisionsByHash(strings.ToLower(ref))
			switch {
			case err != nil:
				return err
			case len(found) == 0:
				return fault.New(fault.NotFound, "no revision %s", ref)
			case len(found) > 1:
				return fault.New(fault.Invalid, "several revisions begin with %s; give more of the hash", ref)
			}
			n = found[0].Number
		}
		if r, err = tx.Revision(n); fault.Is(err, fault.NotFound) {
			return fault.New(fault.NotFound, "no revision %s", ref)
		}
		return err
	})
	if err == nil {
		err = r.intact()
	}
	return r, err
}
