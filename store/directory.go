package store

import (
	"context"
	"encoding/json"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
)

var (
	_ directory.Store = directoryStore{}
	_ directory.Tx    = tx{}
)

type directoryStore struct{ db *DB }

// Directory gives the store of package directory.
func (db *DB) Directory() directory.Store { return directoryStore{db} }

func (s directoryStore) Update(ctx context.Context, f func(directory.Tx) error) error {
	return s.db.update(ctx, func(t tx) error { return f(t) })
}

func (s directoryStore) View(ctx context.Context, f func(directory.Tx) error) error {
	return s.db.view(ctx, func(t tx) error { return f(t) })
}

func (s directoryStore) Glance(ctx context.Context, f func(directory.Tx) error) error {
	return s.db.glance(ctx, func(t tx) error { return f(t) })
}

func (t tx) EndSessions(person, reason string, at time.Time) (int, error) {
	n, err := t.exec("UPDATE sessions SET ended = ?, end_reason = ? WHERE person_id = ? AND ended = 0 AND expires > ?", micros(at), reason, person, micros(at))
	return int(n), err
}

func (t tx) Change(c directory.Change) error {
	*t.changed = true
	if t.dialect == "postgres" {
		_, err := t.exec("INSERT INTO changes (at, person, session, loss, organization) VALUES ("+postgresNow+", ?, ?, ?, ?)",
			c.Person, c.Session, c.Loss, c.Organization)
		if err != nil {
			return err
		}
		_, err = t.exec("SELECT pg_notify(?, '')", channel)
		return err
	}
	_, err := t.exec("INSERT INTO changes (at, person, session, loss, organization) VALUES (?, ?, ?, ?, ?)",
		micros(c.At), c.Person, c.Session, c.Loss, c.Organization)
	return err
}

func (t tx) Audit(e audit.Event) error {
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "audit detail")
	}
	_, err = t.exec(`INSERT INTO audit_events
		(at, action, actor_kind, actor_id, actor_name, address, person, subject, connection, reason, reference, detail)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		micros(e.At), string(e.Action), e.Actor.Kind, e.Actor.ID, e.Actor.Name, e.Actor.Address,
		e.Person, e.Subject, e.Connection, e.Reason, e.Reference, string(detail))
	return err
}
