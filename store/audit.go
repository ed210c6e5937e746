package store

import (
	"context"
	"encoding/json"

	"portcullis/audit"
	"portcullis/fault"
)

var _ audit.Store = auditStore{}

type auditStore struct{ db *DB }

// Audit gives the store of the audit trail.
func (db *DB) Audit() audit.Store { return auditStore{db} }

type event struct {
	Seq        int64  `gorm:"column:seq"`
	At         int64  `gorm:"column:at"`
	Action     string `gorm:"column:action"`
	ActorKind  string `gorm:"column:actor_kind"`
	ActorID    string `gorm:"column:actor_id"`
	ActorName  string `gorm:"column:actor_name"`
	Address    string `gorm:"column:address"`
	Person     string `gorm:"column:person"`
	Subject    string `gorm:"column:subject"`
	Connection string `gorm:"column:connection"`
	Reason     string `gorm:"column:reason"`
	Reference  string `gorm:"column:reference"`
	Detail     string `gorm:"column:detail"`
	Position   int64  `gorm:"column:position"`
	SealEvent  int64  `gorm:"column:seal_event"`
	Hash       []byte `gorm:"column:hash"`
	Sealed     bool   `gorm:"column:sealed"`
}

// domain gives the event as it is stored. A detail that nobody can read was
// not written here: it comes as it is, and breaks the chain.
func (r *event) domain() audit.Event {
	e := audit.Event{
		Seq: r.Seq, At: moment(r.At), Action: audit.Action(r.Action),
		Actor:  audit.Actor{Kind: r.ActorKind, ID: r.ActorID, Name: r.ActorName, Address: r.Address},
		Person: r.Person, Subject: r.Subject, Connection: r.Connection, Reason: r.Reason, Reference: r.Reference,
	}
	if r.Detail != "" && json.Unmarshal([]byte(r.Detail), &e.Detail) != nil {
		e.Detail = map[string]string{"unreadable": r.Detail}
	}
	return e
}

func (s auditStore) LastSeal(ctx context.Context) (audit.Seal, error) {
	var r event
	err := s.db.view(ctx, func(t tx) error {
		return t.row(&r, "seal", "SELECT position, event AS seal_event, hash FROM audit_seals ORDER BY position DESC LIMIT 1")
	})
	if fault.Is(err, fault.NotFound) {
		return audit.Seal{}, nil
	}
	return seal(&r), err
}

func seal(r *event) audit.Seal {
	out := audit.Seal{Position: r.Position, Event: r.SealEvent}
	if len(r.Hash) == len(out.Hash) {
		copy(out.Hash[:], r.Hash)
	}
	if out.Position == 0 && r.Sealed {
		out.Event = r.Seq
	}
	return out
}

func (s auditStore) Unsealed(ctx context.Context, limit int) ([]audit.Event, error) {
	var rows []event
	err := s.db.view(ctx, func(t tx) error {
		return t.rows(&rows, `SELECT * FROM audit_events e WHERE NOT sealed
			AND (SELECT s.position FROM audit_seals s WHERE s.event = e.seq) IS NULL ORDER BY seq LIMIT ?`, limit)
	})
	if err != nil {
		return nil, err
	}
	out := make([]audit.Event, len(rows))
	for i := range rows {
		out[i] = rows[i].domain()
	}
	return out, nil
}

func (s auditStore) AppendSeals(ctx context.Context, seals []audit.Seal) error {
	return s.db.update(ctx, func(t tx) error {
		for _, seal := range seals {
			_, err := t.exec("INSERT INTO audit_seals (position, event, hash) VALUES (?, ?, ?)", seal.Position, seal.Event, seal.Hash[:])
			if err != nil {
				return err
			}
			if err := t.one("event", "UPDATE audit_events SET sealed = TRUE WHERE seq = ?", seal.Event); err != nil {
				return err
			}
		}
		return nil
	})
}

// walkPage bounds the memory of a walk over the whole trail.
const walkPage = 1000

// sealedAfter is the seals behind a position with their events.
const sealedAfter = `SELECT coalesce(e.seq, 0) AS seq, coalesce(e.at, 0) AS at, coalesce(e.action, '') AS action,
		coalesce(e.actor_kind, '') AS actor_kind, coalesce(e.actor_id, '') AS actor_id, coalesce(e.actor_name, '') AS actor_name,
		coalesce(e.address, '') AS address, coalesce(e.person, '') AS person, coalesce(e.subject, '') AS subject,
		coalesce(e.connection, '') AS connection, coalesce(e.reason, '') AS reason, coalesce(e.reference, '') AS reference,
		coalesce(e.detail, '') AS detail, s.position, s.event AS seal_event, s.hash
		FROM audit_seals s LEFT JOIN audit_events e ON e.seq = s.event WHERE s.position > ? ORDER BY s.position LIMIT ?`

func (s auditStore) Walk(ctx context.Context, f func(audit.Event, audit.Seal) error) error {
	position := int64(0)
	chain := func(f func(audit.Event, audit.Seal) error) error {
		return s.walk(ctx, sealedAfter, position, f, func(r *event) int64 {
			position = r.Position
			return r.Position
		})
	}
	if err := chain(f); err != nil {
		return err
	}
	unsealed := `SELECT e.* FROM audit_events e WHERE e.seq > ?
		AND NOT EXISTS (SELECT 1 FROM audit_seals s WHERE s.event = e.seq) ORDER BY e.seq LIMIT ?`
	var loose []audit.Event
	var marks []audit.Seal
	err := s.walk(ctx, unsealed, 0, func(e audit.Event, mark audit.Seal) error {
		loose, marks = append(loose, e), append(marks, mark)
		return nil
	}, func(r *event) int64 { return r.Seq })
	if err != nil {
		return err
	}
	// The sealer does not wait: what it chained since the first walk was in
	// neither, or is loose no more.
	chained := make(map[int64]bool)
	err = chain(func(e audit.Event, seal audit.Seal) error {
		chained[seal.Event] = true
		return f(e, seal)
	})
	for i := 0; err == nil && i < len(loose); i++ {
		if !chained[loose[i].Seq] {
			err = f(loose[i], marks[i])
		}
	}
	return err
}

// Links gives the chain in pieces.
func (s auditStore) Links(ctx context.Context, after int64, limit int) ([]audit.Link, error) {
	var out []audit.Link
	for {
		var rows []event
		err := s.db.view(ctx, func(t tx) error { return t.rows(&rows, sealedAfter, after, min(limit-len(out), walkPage)) })
		if err != nil {
			return nil, err
		}
		for i := range rows {
			out = append(out, audit.Link{Event: rows[i].domain(), Seal: seal(&rows[i])})
			after = rows[i].Position
		}
		if len(rows) < walkPage || len(out) == limit {
			return out, nil
		}
	}
}

// Loose gives the events that no seal names, of a stretch of the trail.
func (s auditStore) Loose(ctx context.Context, after, span int64) (events []audit.Loose, more bool, err error) {
	var rows []event
	var last struct{ Seq int64 }
	err = s.db.view(ctx, func(t tx) error {
		if err := t.row(&last, "event", "SELECT coalesce(max(seq), 0) AS seq FROM audit_events"); err != nil {
			return err
		}
		return t.rows(&rows, `SELECT e.seq, e.sealed FROM audit_events e WHERE e.seq > ? AND e.seq <= ?
			AND NOT EXISTS (SELECT 1 FROM audit_seals s WHERE s.event = e.seq) ORDER BY e.seq`, after, after+span)
	})
	for i := range rows {
		events = append(events, audit.Loose{Seq: rows[i].Seq, Claimed: rows[i].Sealed})
	}
	return events, last.Seq > after+span, err
}

func (s auditStore) walk(ctx context.Context, query string, after int64, f func(audit.Event, audit.Seal) error, key func(*event) int64) error {
	for {
		var rows []event
		err := s.db.view(ctx, func(t tx) error { return t.rows(&rows, query, after, walkPage) })
		if err != nil {
			return err
		}
		for i := range rows {
			if err := f(rows[i].domain(), seal(&rows[i])); err != nil {
				return err
			}
			after = key(&rows[i])
		}
		if len(rows) < walkPage {
			return nil
		}
	}
}

// Record adds an event that belongs to no other transaction.
func (s auditStore) Record(ctx context.Context, e audit.Event) error {
	return s.db.update(ctx, func(t tx) error { return t.Audit(e) })
}
