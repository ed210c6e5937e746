package store

import (
	"context"
	"encoding/json"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/revision"
)

type proposal struct {
	Seq           int64  `gorm:"column:seq"`
	At            int64  `gorm:"column:at"`
	Revision      int64  `gorm:"column:revision"`
	Hash          string `gorm:"column:hash"`
	Base          int64  `gorm:"column:base"`
	AuthorKind    string `gorm:"column:author_kind"`
	AuthorID      string `gorm:"column:author_id"`
	AuthorName    string `gorm:"column:author_name"`
	AuthorLogin   string `gorm:"column:author_login"`
	Reason        string `gorm:"column:reason"`
	Needs         string `gorm:"column:needs"`
	Counts        string `gorm:"column:counts"`
	ApprovedAt    int64  `gorm:"column:approved_at"`
	ApproverKind  string `gorm:"column:approver_kind"`
	ApproverID    string `gorm:"column:approver_id"`
	ApproverName  string `gorm:"column:approver_name"`
	ApproverLogin string `gorm:"column:approver_login"`
	Applied       int64  `gorm:"column:applied"`
	Fragment      string `gorm:"column:fragment"`
}

func (r *proposal) domain() (revision.Proposal, error) {
	p := revision.Proposal{
		Seq: r.Seq, At: moment(r.At), Revision: r.Revision, Hash: r.Hash, Base: r.Base, Reason: r.Reason,
		Author:   signer(r.AuthorKind, r.AuthorID, r.AuthorName, r.AuthorLogin),
		Approved: moment(r.ApprovedAt), Approver: signer(r.ApproverKind, r.ApproverID, r.ApproverName, r.ApproverLogin), Applied: r.Applied,
		Fragment: r.Fragment,
	}
	if err := json.Unmarshal([]byte(r.Needs), &p.Needs); err != nil {
		return p, fault.Wrap(fault.Internal, err, "needs of a proposal")
	}
	var err error
	p.Counts, err = readCounts(r.Counts)
	return p, err
}

func signer(kind, id, name, login string) revision.Signer {
	return revision.Signer{Actor: audit.Actor{Kind: kind, ID: id, Name: name}, Login: login}
}

const selectProposals = "SELECT p.*, r.hash, r.fragment FROM mapping_proposals p JOIN mapping_revisions r ON r.number = p.revision "

// proposals reads rows that a query gives.
func (t revisionTx) proposals(query string, args ...any) ([]revision.Proposal, error) {
	return domainOf(t, (*proposal).domain, query, args...)
}

func (t revisionTx) InsertProposal(p revision.Proposal) (revision.Proposal, error) {
	counts, err := writeCounts(p.Counts)
	if err != nil {
		return p, err
	}
	needs, err := json.Marshal(p.Needs)
	if err != nil {
		return p, fault.Wrap(fault.Internal, err, "needs of a proposal")
	}
	if err := t.row(&p.Seq, "number", "SELECT coalesce(max(seq), 0) + 1 FROM mapping_proposals"); err != nil {
		return p, err
	}
	_, err = t.exec(`INSERT INTO mapping_proposals
		(seq, at, revision, base, author_kind, author_id, author_name, author_login, reason, needs, counts) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		p.Seq, micros(p.At), p.Revision, p.Base, p.Author.Kind, p.Author.ID, p.Author.Name, p.Author.Login, p.Reason, string(needs), counts)
	return p, err
}

func (t revisionTx) OpenProposal(number int64) (revision.Proposal, error) {
	found, err := t.proposals(selectProposals+"WHERE p.revision = ? AND p.applied = 0 ORDER BY p.seq DESC LIMIT 1", number)
	if err != nil {
		return revision.Proposal{}, err
	}
	if len(found) == 0 {
		return revision.Proposal{}, fault.New(fault.NotFound, "no such proposal")
	}
	return found[0], nil
}

func (t revisionTx) OpenProposals(seq int64, n int) ([]revision.Proposal, error) {
	return t.proposals(selectProposals+`WHERE p.applied = 0 AND p.seq < ?
		AND NOT EXISTS (SELECT 1 FROM mapping_proposals q WHERE q.revision = p.revision AND q.applied = 0 AND q.seq > p.seq)
		ORDER BY p.seq DESC LIMIT ?`, seq, n)
}

func (t revisionTx) Approve(seq int64, by revision.Signer, at time.Time) error {
	n, err := t.exec(`UPDATE mapping_proposals SET approved_at = ?, approver_kind = ?, approver_id = ?, approver_name = ?, approver_login = ?
		WHERE seq = ? AND approved_at = 0 AND applied = 0`, micros(at), by.Kind, by.ID, by.Name, by.Login, seq)
	if err == nil && n == 0 {
		return fault.New(fault.Conflict, "the proposal is approved or applied already")
	}
	return err
}

func (t revisionTx) CloseProposals(number, application int64) error {
	_, err := t.exec("UPDATE mapping_proposals SET applied = ? WHERE revision = ? AND applied = 0", application, number)
	return err
}

type replica struct {
	ID      string `gorm:"column:id"`
	Hash    string `gorm:"column:hash"`
	Since   int64  `gorm:"column:since"`
	Problem string `gorm:"column:problem"`
	Seen    int64  `gorm:"column:seen"`
}

func (s revisionStore) PutReplica(ctx context.Context, r revision.Replica) error {
	return s.db.update(ctx, func(t tx) error {
		_, err := t.exec(`INSERT INTO mapping_replicas (id, hash, since, problem, seen) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, since = excluded.since, problem = excluded.problem, seen = excluded.seen`,
			r.ID, r.Hash, micros(r.Since), r.Problem, micros(r.Seen))
		if err != nil {
			return err
		}
		_, err = t.exec("DELETE FROM mapping_replicas WHERE seen < ?", micros(r.Seen.Add(-24*time.Hour)))
		return err
	})
}

func (s revisionStore) DeleteReplica(ctx context.Context, id string) error {
	return s.db.update(ctx, func(t tx) error {
		_, err := t.exec("DELETE FROM mapping_replicas WHERE id = ?", id)
		return err
	})
}

func (s revisionStore) Replicas(ctx context.Context) ([]revision.Replica, error) {
	var rows []replica
	err := s.db.view(ctx, func(t tx) error { return t.rows(&rows, "SELECT * FROM mapping_replicas ORDER BY id") })
	out := make([]revision.Replica, len(rows))
	for i, r := range rows {
		out[i] = revision.Replica{ID: r.ID, Hash: r.Hash, Since: moment(r.Since), Problem: r.Problem, Seen: moment(r.Seen)}
	}
	return out, err
}
