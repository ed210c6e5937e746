package session

import (
	"context"
	"time"

	"portcullis/audit"
	"portcullis/fault"
)

// Of gives the living sessions of a person, the newest first, with the last
// use that this replica knows of. Sessions that have gone idle are left out.
func (m *Manager) Of(ctx context.Context, person string) ([]Row, error) {
	now := m.now().UTC()
	rows, err := m.store.SessionsOf(ctx, person, now)
	if err != nil {
		return nil, err
	}
	living := rows[:0]
	for _, r := range rows {
		if r.LastSeen = m.lastSeen(r).UTC(); m.alive(r, now) == nil {
			living = append(living, r)
		}
	}
	return living, nil
}

// EndOne ends one session of a person, with its streams, on every replica
// within a second. It fails with fault.NotFound for a session that they do not
// have, or that is over.
func (m *Manager) EndOne(ctx context.Context, person, id, reason string, by audit.Actor) error {
	rows, err := m.Of(ctx, person)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.ID == id {
			return m.endRow(ctx, r, reason, by, m.now().UTC())
		}
	}
	return fault.New(fault.NotFound, "that session is over")
}

func (m *Manager) endRow(ctx context.Context, r Row, reason string, by audit.Actor, now time.Time) error {
	err := m.store.EndSession(ctx, r.ID, "an administrator ended your session", now, audit.Event{
		At: now, Action: audit.SessionEnded, Actor: by, Person: r.Person, Connection: r.Connection, Reason: reason,
		Detail: map[string]string{"sessions_ended": "1"},
	})
	if err != nil {
		return err
	}
	m.cache.end(r.ID)
	return nil
}

// Streams counts the sessions of a person that have requests under way on
// this replica: pages that load, downloads, and streams that stay open.
func (m *Manager) Streams(person string) int {
	if person == "" {
		return 0
	}
	return len(m.cache.open(person))
}
