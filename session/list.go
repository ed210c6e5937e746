package session

import (
	"context"
	"fmt"

	"portcullis/audit"
	"portcullis/fault"
)

// endExcess ends what a person has too many of after a new session.
func (m *Manager) endExcess(ctx context.Context, r Row) error {
	if m.most <= 0 {
		return nil
	}
	why := fault.Personal(fault.Unauthenticated, "you signed in elsewhere", "they signed in elsewhere")
	ids, err := m.store.EndExcess(ctx, r.Person, m.most, r.Created.Add(-m.idle), why, r.Created)
	if err != nil {
		return fmt.Errorf("end the oldest sessions: %w", err)
	}
	for _, id := range ids {
		m.cache.end(id)
	}
	return nil
}

// Of gives the sessions of a person that are good now, the newest first. When
// each was last used is exact to half a minute.
func (m *Manager) Of(ctx context.Context, person string) ([]Row, error) {
	now := m.now().UTC()
	rows, err := m.store.SessionsOf(ctx, person, now)
	good := make([]Row, 0, len(rows))
	for _, r := range rows {
		if m.alive(r, now) == nil {
			r.LastSeen = m.lastSeen(r).UTC()
			good = append(good, r)
		}
	}
	return good, err
}

// EndOf ends one session of a person, with its streams, on every replica
// within a second. It fails with fault.NotFound when they have no such session
// that is good.
func (m *Manager) EndOf(ctx context.Context, person, id string, by audit.Actor, reason string) error {
	rows, err := m.Of(ctx, person)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if r.ID != id {
			continue
		}
		now, told := m.now().UTC(), "signed out by an administrator"
		if by.Kind == "person" && by.ID == person {
			told = "you ended it from another browser"
		}
		err := m.store.EndSession(ctx, id, told, now, audit.Event{
			At: now, Action: audit.SessionEnded, Actor: by, Person: person, Connection: r.Connection, Reason: reason,
			Detail: map[string]string{"session": id},
		})
		if err == nil {
			m.cache.end(id)
		}
		return err
	}
	return fault.New(fault.NotFound, "they have no session %q", id)
}

// EndOthers ends every session of a person but the one that they ask with, and
// gives how many there were. A program has none.
func (m *Manager) EndOthers(ctx context.Context, who *Principal, by audit.Actor) (ended int, err error) {
	if who.Token {
		return 0, nil
	}
	rows, err := m.Of(ctx, who.PersonID)
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		if r.ID == who.SessionID {
			continue
		}
		switch err := m.EndOf(ctx, who.PersonID, r.ID, by, "signed out everywhere"); {
		case err == nil:
			ended++
		case !fault.Is(err, fault.NotFound): // it ended meanwhile
			return ended, err
		}
	}
	return ended, nil
}

// Streams counts the sessions of a person that have requests under way on
// this replica: pages that load, downloads, and streams that stay open.
func (m *Manager) Streams(person string) int {
	if person == "" {
		return 0
	}
	return len(m.cache.open(person))
}
