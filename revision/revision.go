// Package revision holds the mapping that is in force and its history.
//
// A [Revision] is an immutable mapping: its texts, their hash, who brought it
// and why. The [Keeper] of each running gate puts one in force: the mapping
// file as it stands, noticed within a second of every change, or the revision
// that the database names. When the newer one is broken the last good one
// stays, over a restart too. The [Ledger] is where operators propose, approve,
// apply and roll back; it keeps who did it, and two people where the
// configuration asks for two.
//
// Invariants:
//   - What was applied is never changed or deleted, so that "what was in force
//     then?" always has an answer ([Ledger.At]).
//   - Whatever comes into force has its audit event in the same transaction.
//   - An approval is for one hash over one revision in force, and is used once.
//
// Package mapping is pure and knows no file system; this package is its only
// one. It decides nothing about access.
package revision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"portcullis/audit"
)

// Text is one named text of a revision.
type Text struct {
	Name       string // what messages call it; unique within the revision
	Connection string // of which it is the fragment; empty for a text of all
	Body       []byte
}

// Content is a text of a revision without its body.
type Content struct{ Name, Connection, Hash string }

// Revision is an immutable mapping, or the fragment of one connection alone.
type Revision struct {
	Number   int64  // 1, 2, 3 … in the order in which they were first seen
	Hash     string // of Texts, as [Hash] gives it; unique
	Texts    []Text // the base first; nil in lists
	Author   audit.Actor
	Reason   string    // why it was brought, first
	Created  time.Time // when it was first seen
	Tests    Tests
	Fragment string // the connection whose fragment it is; empty for a whole mapping
}

// Tests is what came of the tests in the texts.
type Tests struct{ Ran, Failed int }

// Counts says for how many people a revision makes a difference, against the
// one that was in force before.
type Counts struct {
	People  int // in the directory
	Changed int // whose access differs
	Gained  int // of them, who got something
	Lost    int // of them, who lost something
	LetIn   int // of them, who may sign in and could not
	ShutOut int // of them, who could sign in and may not
}

// Way is how a revision came into force.
type Way string

// The ways into force.
const (
	ByFile     Way = "file"     // the mapping file changed
	ByApply    Way = "apply"    // an operator applied it
	ByRollback Way = "rollback" // an operator went back to it
)

// Application is one coming into force.
type Application struct {
	Seq      int64 // 1, 2, 3 …; 0 is no application
	At       time.Time
	Revision int64
	Hash     string // of the revision
	Way      Way
	Base     int64 // Seq of the application before
	By       audit.Actor
	Reason   string
	Counts   *Counts // nil where they were not taken
	Proposal int64   // Seq of the proposal that it carried out; 0 for none
	Part     int64   // number of the fragment's revision that it brought alone; 0 for a whole mapping
	Fragment string  // the connection of that fragment
}

// Signer is somebody who proposes or approves.
type Signer struct {
	audit.Actor

	// Login is the account that their login session began with, where the
	// operating system knows it: whoever became somebody else on the way is
	// still one pair of eyes.
	Login string
}

// Same reports whether two signers may be one person. It errs on the side of
// yes: one thing in common is enough.
func (s Signer) Same(o Signer) bool {
	return s.ID == o.ID || s.Name == o.Name || s.Login != "" && (s.Login == o.Login || s.Login == o.ID) ||
		o.Login != "" && o.Login == s.ID
}

// Proposal is a revision that somebody wants in force.
type Proposal struct {
	Seq      int64
	At       time.Time
	Revision int64
	Hash     string // of the revision
	Base     int64  // Seq of the application that it was compared with
	Author   Signer
	Reason   string
	Needs    []string // why it needs an approval, in words; empty if it does not
	Counts   *Counts
	Approved time.Time // zero while it is not
	Approver Signer
	Applied  int64  // Seq of the application; 0 while it is open, -1 where it was declined
	Fragment string // the connection whose fragment it is about; empty for a whole mapping
}

// Replica is what one running gate reports.
type Replica struct {
	ID      string
	Hash    string    // of the revision that it runs; empty for none
	Since   time.Time // when that came into force there
	Problem string    // why it does not run what it should; empty if it does
	Seen    time.Time
}

// State says how a gate stands to what is in force, by its last report: it is
// "current", "behind" or "gone".
func (r *Replica) State(head Application, now time.Time) string {
	switch {
	case now.Sub(r.Seen) > GoneAfter:
		return "gone"
	case r.Hash != head.Hash || r.Problem != "":
		return "behind"
	default:
		return "current"
	}
}

// Store keeps revisions. Update runs f in one transaction, one at a time over
// all replicas; f may be called again, so it does nothing but with its Tx.
type Store interface {
	// Head is the application in force, zero if there is none. It is cheap:
	// each replica asks five times a second.
	Head(ctx context.Context) (Application, error)

	Update(ctx context.Context, f func(Tx) error) error
	View(ctx context.Context, f func(Tx) error) error

	// PutReplica keeps a report in place of the one before and forgets gates
	// that were last seen a day before it.
	PutReplica(ctx context.Context, r Replica) error
	DeleteReplica(ctx context.Context, id string) error
	Replicas(ctx context.Context) ([]Replica, error) // by id
}

// Tx is one transaction. Look-ups fail with fault.NotFound.
type Tx interface {
	Head() (Application, error)

	Revision(number int64) (Revision, error)                    // with its texts
	RevisionsByHash(prefix string) ([]Revision, error)          // at most two, without texts
	InsertRevision(Revision) (Revision, error)                  // with its Number; one that has the hash already is given instead
	InsertApplication(Application) (Application, error)         // with its Seq; it is the head then
	Applications(revision int64, n int) ([]Application, error)  // the newest n, newest first; of all revisions for 0
	ApplicationsBefore(seq int64, n int) ([]Application, error) // the newest n below seq, newest first
	ApplicationAt(time.Time) (Application, error)               // what was in force then; zero for nothing
	Contents(application int64) ([]Content, error)              // of the whole mapping that it put in force, the base first; none for 0
	FillCounts(application int64, c Counts) error               // where they were not taken; otherwise nothing

	// FragmentApplications gives the newest n that changed the fragment of a
	// connection, in whatever way, newest first. Their Revision and Hash are
	// the fragment's own, zero where it went.
	FragmentApplications(connection string, n int) ([]Application, error)

	InsertProposal(Proposal) (Proposal, error)     // with its Seq
	OpenProposal(revision int64) (Proposal, error) // the newest one that was not applied
	// OpenProposals gives the newest n below seq, newest first, one for each revision.
	OpenProposals(seq int64, n int) ([]Proposal, error)
	Approve(seq int64, by Signer, at time.Time) error // fault.Conflict if it is approved or applied already
	CloseProposals(revision, application int64) error // all open ones of the revision; -1: they were declined

	Audit(audit.Event) error
}

// Hash names texts by what they are: the SHA-256, in hexadecimal, of one text
// alone (so that sha256sum of the file gives the same), or of all of them with
// their lengths and their names below the folder of the base.
func Hash(texts []Text) string {
	h := sha256.New()
	if len(texts) == 1 {
		h.Write(texts[0].Body)
		return hex.EncodeToString(h.Sum(nil))
	}
	// No mapping file begins with this: YAML allows no NUL.
	_, _ = io.WriteString(h, "\x00portcullis revision\n")
	for i, t := range texts {
		if i == 0 {
			t.Name = filepath.Base(t.Name) // wherever the base lies
		}
		for _, part := range [][]byte{[]byte(t.Name), t.Body} {
			_, _ = io.WriteString(h, strconv.Itoa(len(part))+":")
			h.Write(part)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func byName(a, b Text) int { return strings.Compare(a.Name, b.Name) }

// portable gives texts as they are stored: the base is known by the name of
// its file, wherever that was; the others by theirs below its folder.
func portable(texts []Text) []Text {
	out := slices.Clone(texts)
	if len(out) > 0 {
		out[0].Name = filepath.Base(out[0].Name)
	}
	return out
}
