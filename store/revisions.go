package store

import (
	"context"
	"encoding/json"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/revision"
)

var (
	_ revision.Store = revisionStore{}
	_ revision.Tx    = revisionTx{}
)

type revisionStore struct{ db *DB }

// Revisions gives the store of the mapping's revisions.
func (db *DB) Revisions() revision.Store { return revisionStore{db} }

// revisionTx is a transaction over the tables mapping_*.
type revisionTx struct{ tx }

func (s revisionStore) Update(ctx context.Context, f func(revision.Tx) error) error {
	return s.db.update(ctx, func(t tx) error {
		// Numbers are given out by counting, so writers come one at a time.
		var head int64
		if err := t.row(&head, "head", t.forUpdate("SELECT application FROM mapping_head WHERE id = 1", "mapping_head")); err != nil {
			return err
		}
		return f(revisionTx{t})
	})
}

func (s revisionStore) View(ctx context.Context, f func(revision.Tx) error) error {
	return s.db.view(ctx, func(t tx) error { return f(revisionTx{t}) })
}

// Head is one statement without a transaction around it.
func (s revisionStore) Head(ctx context.Context) (revision.Application, error) {
	var head revision.Application
	err := s.db.glance(ctx, func(t tx) (err error) {
		head, err = revisionTx{t}.Head()
		return err
	})
	return head, err
}

type revisionRow struct {
	Number      int64  `gorm:"column:number"`
	Hash        string `gorm:"column:hash"`
	Created     int64  `gorm:"column:created"`
	AuthorKind  string `gorm:"column:author_kind"`
	AuthorID    string `gorm:"column:author_id"`
	AuthorName  string `gorm:"column:author_name"`
	Reason      string `gorm:"column:reason"`
	TestsRan    int64  `gorm:"column:tests_ran"`
	TestsFailed int64  `gorm:"column:tests_failed"`
	Fragment    string `gorm:"column:fragment"`
}

func (r *revisionRow) domain() revision.Revision {
	return revision.Revision{
		Number: r.Number, Hash: r.Hash, Created: moment(r.Created), Reason: r.Reason,
		Author: audit.Actor{Kind: r.AuthorKind, ID: r.AuthorID, Name: r.AuthorName},
		Tests:  revision.Tests{Ran: int(r.TestsRan), Failed: int(r.TestsFailed)}, Fragment: r.Fragment,
	}
}

func (t revisionTx) Revision(number int64) (revision.Revision, error) {
	var row revisionRow
	if err := t.row(&row, "revision", "SELECT * FROM mapping_revisions WHERE number = ?", number); err != nil {
		return revision.Revision{}, err
	}
	var texts []struct {
		Name       string `gorm:"column:name"`
		Connection string `gorm:"column:connection"`
		Body       []byte `gorm:"column:body"`
	}
	err := t.rows(&texts, `SELECT c.name, c.connection, x.body FROM mapping_contents c JOIN mapping_texts x ON x.hash = c.text
		WHERE c.revision = ? ORDER BY c.position`, number)
	r := row.domain()
	for _, each := range texts {
		r.Texts = append(r.Texts, revision.Text{
			Name: each.Name, Connection: each.Connection, Body: append([]byte{}, each.Body...), // SQLite gives nil for none
		})
	}
	return r, err
}

func (t revisionTx) RevisionsByHash(prefix string) ([]revision.Revision, error) {
	var rows []revisionRow
	const whole = 64 // digits
	if len(prefix) == whole {
		err := t.rows(&rows, "SELECT * FROM mapping_revisions WHERE hash = ?", prefix)
		return revisions(rows), err
	}
	err := t.rows(&rows, "SELECT * FROM mapping_revisions WHERE substr(hash, 1, ?) = ? ORDER BY number LIMIT 2", len(prefix), prefix)
	return revisions(rows), err
}

func revisions(rows []revisionRow) []revision.Revision {
	out := make([]revision.Revision, len(rows))
	for i := range rows {
		out[i] = rows[i].domain()
	}
	return out
}

func (t revisionTx) Contents(application int64) ([]revision.Content, error) {
	var rows []struct {
		Name       string `gorm:"column:name"`
		Connection string `gorm:"column:connection"`
		Hash       string `gorm:"column:text"`
	}
	err := t.rows(&rows, `SELECT c.name, c.connection, c.text FROM mapping_contents c JOIN mapping_applications a ON a.revision = c.revision
		WHERE a.seq = ? ORDER BY c.position`, application)
	out := make([]revision.Content, len(rows))
	for i, r := range rows {
		out[i] = revision.Content(r)
	}
	return out, err
}

func (t revisionTx) InsertRevision(r revision.Revision) (revision.Revision, error) {
	same, err := t.RevisionsByHash(r.Hash)
	if err != nil || len(same) > 0 {
		return first(same), err
	}
	if err := t.row(&r.Number, "number", "SELECT coalesce(max(number), 0) + 1 FROM mapping_revisions"); err != nil {
		return r, err
	}
	_, err = t.exec(`INSERT INTO mapping_revisions
		(number, hash, created, author_kind, author_id, author_name, reason, tests_ran, tests_failed, fragment) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.Number, r.Hash, micros(r.Created), r.Author.Kind, r.Author.ID, r.Author.Name, r.Reason, r.Tests.Ran, r.Tests.Failed, r.Fragment)
	for i, each := range r.Texts {
		if err != nil {
			return r, err
		}
		hash := revision.Hash([]revision.Text{each})
		if _, err = t.exec("INSERT INTO mapping_texts (hash, body) VALUES (?, ?) ON CONFLICT (hash) DO NOTHING", hash, body(each)); err != nil {
			return r, err
		}
		_, err = t.exec(`INSERT INTO mapping_contents (revision, position, name, connection, text) VALUES (?, ?, ?, ?, ?)`,
			r.Number, i, each.Name, each.Connection, hash)
	}
	return r, err
}

func first(rs []revision.Revision) revision.Revision {
	if len(rs) == 0 {
		return revision.Revision{}
	}
	return rs[0]
}

// body is never nil, which would be NULL.
func body(t revision.Text) []byte {
	if t.Body == nil {
		return []byte{}
	}
	return t.Body
}

type application struct {
	Seq       int64  `gorm:"column:seq"`
	At        int64  `gorm:"column:at"`
	Revision  int64  `gorm:"column:revision"`
	Hash      string `gorm:"column:hash"`
	Way       string `gorm:"column:way"`
	Base      int64  `gorm:"column:base"`
	ActorKind string `gorm:"column:actor_kind"`
	ActorID   string `gorm:"column:actor_id"`
	ActorName string `gorm:"column:actor_name"`
	Reason    string `gorm:"column:reason"`
	Counts    string `gorm:"column:counts"`
	Proposal  int64  `gorm:"column:proposal"`
	Part      int64  `gorm:"column:part"`
	Fragment  string `gorm:"column:fragment"`
}

func (r *application) domain() (revision.Application, error) {
	counts, err := readCounts(r.Counts)
	return revision.Application{
		Seq: r.Seq, At: moment(r.At), Revision: r.Revision, Hash: r.Hash, Way: revision.Way(r.Way), Base: r.Base,
		By:     audit.Actor{Kind: r.ActorKind, ID: r.ActorID, Name: r.ActorName},
		Reason: r.Reason, Counts: counts, Proposal: r.Proposal, Part: r.Part, Fragment: r.Fragment,
	}, err
}

const selectApplications = `SELECT a.*, r.hash, coalesce(f.fragment, '') AS fragment FROM mapping_applications a
	JOIN mapping_revisions r ON r.number = a.revision LEFT JOIN mapping_revisions f ON f.number = a.part `

// applications reads rows that a query gives.
func (t revisionTx) applications(query string, args ...any) ([]revision.Application, error) {
	return domainOf(t, (*application).domain, query, args...)
}

// domainOf reads the rows that a query gives as what they mean.
func domainOf[R, D any](t revisionTx, domain func(*R) (D, error), query string, args ...any) ([]D, error) {
	var rows []R
	if err := t.rows(&rows, query, args...); err != nil {
		return nil, err
	}
	out := make([]D, len(rows))
	for i := range rows {
		var err error
		if out[i], err = domain(&rows[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// application reads the one row that a query gives, zero for none.
func (t revisionTx) application(query string, args ...any) (revision.Application, error) {
	found, err := t.applications(query, args...)
	if err != nil || len(found) == 0 {
		return revision.Application{}, err
	}
	return found[0], nil
}

func (t revisionTx) Head() (revision.Application, error) {
	return t.application(selectApplications + "JOIN mapping_head h ON h.application = a.seq WHERE h.id = 1")
}

func (t revisionTx) InsertApplication(a revision.Application) (revision.Application, error) {
	counts, err := writeCounts(a.Counts)
	if err != nil {
		return a, err
	}
	if err := t.row(&a.Seq, "number", "SELECT coalesce(max(seq), 0) + 1 FROM mapping_applications"); err != nil {
		return a, err
	}
	_, err = t.exec(`INSERT INTO mapping_applications
		(seq, at, revision, way, base, actor_kind, actor_id, actor_name, reason, counts, proposal, part) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		a.Seq, micros(a.At), a.Revision, string(a.Way), a.Base, a.By.Kind, a.By.ID, a.By.Name, a.Reason, counts, a.Proposal, a.Part)
	if err != nil {
		return a, err
	}
	return a, t.one("head", "UPDATE mapping_head SET application = ? WHERE id = 1", a.Seq)
}

func (t revisionTx) Applications(number int64, n int) ([]revision.Application, error) {
	if number == 0 {
		return t.applications(selectApplications+"ORDER BY a.seq DESC LIMIT ?", n)
	}
	return t.applications(selectApplications+"WHERE a.revision = ? ORDER BY a.seq DESC LIMIT ?", number, n)
}

func (t revisionTx) ApplicationsBefore(seq int64, n int) ([]revision.Application, error) {
	return t.applications(selectApplications+"WHERE a.seq < ? ORDER BY a.seq DESC LIMIT ?", seq, n)
}

func (t revisionTx) FragmentApplications(connection string, n int) ([]revision.Application, error) {
	return t.applications(`SELECT a.seq, a.at, a.way, a.base, a.actor_kind, a.actor_id, a.actor_name, a.reason, a.counts, a.proposal, a.part,
		coalesce(r.number, 0) AS revision, coalesce(c.text, '') AS hash, CAST(? AS TEXT) AS fragment
		FROM mapping_applications a
		LEFT JOIN mapping_contents c ON c.revision = a.revision AND c.connection = ?
		LEFT JOIN mapping_revisions r ON r.hash = c.text
		LEFT JOIN mapping_applications b ON b.seq = a.base
		LEFT JOIN mapping_contents d ON d.revision = b.revision AND d.connection = ?
		WHERE coalesce(c.text, '') <> coalesce(d.text, '')
		ORDER BY a.seq DESC LIMIT ?`, connection, connection, connection, n)
}

func (t revisionTx) FillCounts(seq int64, c revision.Counts) error {
	counts, err := writeCounts(&c)
	if err == nil {
		_, err = t.exec("UPDATE mapping_applications SET counts = ? WHERE seq = ? AND counts = ''", counts, seq)
	}
	return err
}

func (t revisionTx) ApplicationAt(at time.Time) (revision.Application, error) {
	return t.application(selectApplications+"WHERE a.at <= ? ORDER BY a.seq DESC LIMIT 1", micros(at))
}

// countsJSON is how counts are stored.
type countsJSON struct {
	People  int `json:"people"`
	Changed int `json:"changed"`
	Gained  int `json:"gained"`
	Lost    int `json:"lost"`
	LetIn   int `json:"letIn"`
	ShutOut int `json:"shutOut"`
}

func writeCounts(c *revision.Counts) (string, error) {
	if c == nil {
		return "", nil
	}
	text, err := json.Marshal(countsJSON(*c))
	return string(text), err
}

func readCounts(text string) (*revision.Counts, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // they were not taken
	}
	var w countsJSON
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "counts of a revision")
	}
	c := revision.Counts(w)
	return &c, nil
}
