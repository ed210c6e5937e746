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

func (s directoryStore) UpdateOne(ctx context.Context, f func(directory.Tx) error) error {
	return s.db.write(ctx, shared, func(t tx) error { return f(t) })
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
	t.memo.changed = true
	if t.dialect == "postgres" {
		return t.later("INSERT INTO changes (at, person, session, loss, organization) VALUES ("+postgresNow+", ?, ?, ?, ?)",
			c.Person, c.Session, c.Loss, c.Organization)
	}
	return t.later("INSERT INTO changes (at, person, session, loss, organization) VALUES (?, ?, ?, ?, ?)",
		micros(c.At), c.Person, c.Session, c.Loss, c.Organization)
}

// auditInto is the beginning of a statement that writes an audit event.
const auditInto = `INSERT INTO audit_events
	(at, action, actor_kind, actor_id, actor_name, address, person, subject, connection, reason, reference, detail) `

// auditColumns are the values that go with it, but for the detail.
func auditColumns(e audit.Event) []any {
	return []any{
		micros(e.At), string(e.Action), e.Actor.Kind, e.Actor.ID, e.Actor.Name, e.Actor.Address,
		e.Person, e.Subject, e.Connection, e.Reason, e.Reference,
	}
}

func (t tx) Audit(e audit.Event) error {
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "audit detail")
	}
	return t.later(auditInto+"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", append(auditColumns(e), string(detail))...)
}

// decided finds an event by when it was, in both parts of the trail, for each
// has indexes of its own.
const decided = `SELECT * FROM (
	SELECT * FROM audit_events WHERE sealed AND person = ? AND action = ? AND at = ?
	UNION ALL SELECT * FROM audit_events WHERE NOT sealed AND person = ? AND action = ? AND at = ?) e ORDER BY seq DESC LIMIT 1`

func (t tx) Decision(person string, action audit.Action, at time.Time) (audit.Event, error) {
	var r event
	a, when := string(action), micros(at)
	err := t.row(&r, "event", decided, person, a, when, person, a, when)
	return r.domain(), err
}

// endedDetail is directory.EndedDetail of the number of rows, in PostgreSQL.
const endedDetail = `CASE WHEN count(*) = 0 THEN 'null' ELSE json_build_object('` + directory.EndedKey + `', count(*)::text)::text END`

func (t tx) AuditEnding(e audit.Event, reason string) error {
	if t.dialect != "postgres" {
		ended, err := t.EndSessions(e.Person, reason, e.At)
		if err != nil {
			return err
		}
		e.Detail = directory.EndedDetail(ended)
		return t.Audit(e)
	}
	// One statement, so that nobody waits for the number.
	args := append([]any{micros(e.At), reason, e.Person}, auditColumns(e)...)
	return t.later(`WITH ended AS (UPDATE sessions SET ended = ?, end_reason = ? WHERE person_id = ? AND ended = 0 RETURNING 1) `+auditInto+
		`SELECT CAST(? AS bigint), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, `+endedDetail+` FROM ended`, args...)
}
