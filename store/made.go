package store

import (
	"context"
	"slices"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
)

// Made keeps the connections that were made in the console. It is safe for
// concurrent use.
type Made struct{ db *DB }

// Made gives the store of the connections that were made in the console.
func (db *DB) Made() Made { return Made{db} }

type madeRow struct {
	ID       string `gorm:"column:id"`
	Document []byte `gorm:"column:document"`
	Sealed   []byte `gorm:"column:sealed"`
	Version  int64  `gorm:"column:version"`
	Created  int64  `gorm:"column:created"`
	Changed  int64  `gorm:"column:changed"`
	Author   string `gorm:"column:author"`
	Removed  int64  `gorm:"column:removed"`
	Stays    bool   `gorm:"column:stays"`
}

// Version is that of the last change of a connection that was made in the
// console; 0 before there is any.
func (s Made) Version(ctx context.Context) (version int64, err error) {
	err = s.db.glance(ctx, func(t tx) error {
		return t.briefly().rows(&version, "SELECT coalesce(max(version), 0) FROM console_connections")
	})
	return version, err
}

// All gives the connections that were made in the console, those that were
// removed included, in the order of their making, and the version of them all.
func (s Made) All(ctx context.Context) (out []admin.Made, version int64, err error) {
	var rows []madeRow
	err = s.db.glance(ctx, func(t tx) error {
		return t.rows(&rows, "SELECT * FROM console_connections ORDER BY created, id")
	})
	for _, r := range rows {
		out = append(out, admin.Made{
			ID: r.ID, Document: r.Document, Sealed: nilIfEmpty(r.Sealed), Version: r.Version, Created: moment(r.Created),
			Changed: moment(r.Changed), Author: r.Author, Removed: moment(r.Removed), Stays: r.Stays,
		})
		version = max(version, r.Version)
	}
	return out, version, err
}

// nextMade is the version of the next change. Whoever asks is the only writer
// until the transaction ends.
func (t tx) nextMade() (version int64, err error) {
	if t.dialect == "postgres" {
		if _, err := t.exec("LOCK TABLE console_connections IN EXCLUSIVE MODE"); err != nil {
			return 0, err
		}
	}
	err = t.rows(&version, "SELECT coalesce(max(version), 0) + 1 FROM console_connections")
	return version, err
}

// Put stores m with its event, in place of the version that m.Version
// names; 0 makes a new one. With signOut it ends the sessions and API tokens of
// the connection. It fails with fault.Conflict if another version is stored, and
// for a new one whose id was ever that of a connection.
func (s Made) Put(ctx context.Context, m admin.Made, signOut bool, e func(sessions int) audit.Event) (ended int, err error) {
	err = s.db.update(ctx, func(t tx) error {
		version, err := t.nextMade()
		if err != nil {
			return err
		}
		if m.Version > 0 {
			n, err := t.exec("UPDATE console_connections SET document = ?, sealed = ?, version = ?, changed = ?, author = ? WHERE id = ? AND version = ? AND removed = 0",
				m.Document, orEmpty(m.Sealed), version, micros(m.Changed), m.Author, m.ID, m.Version)
			if err == nil && n == 0 {
				err = fault.New(fault.Conflict, "somebody else changed this connection meanwhile: look at it again")
			}
			if err == nil && signOut {
				ended, err = t.signOutConnection(m.ID, m.Changed, anotherProvider)
			}
			if err != nil {
				return err
			}
			return t.Audit(e(ended))
		}
		var known []string
		if err := t.rows(&known, "SELECT id FROM console_connections WHERE id = ? UNION ALL SELECT id FROM connections WHERE id = ?", m.ID, m.ID); err != nil {
			return err
		}
		if len(known) > 0 {
			return fault.New(fault.Conflict, "%q is, or was, the id of another connection: choose one that was never used", m.ID)
		}
		_, err = t.exec("INSERT INTO console_connections (id, document, sealed, version, created, changed, author) VALUES (?, ?, ?, ?, ?, ?, ?)",
			m.ID, m.Document, orEmpty(m.Sealed), version, micros(m.Created), micros(m.Changed), m.Author)
		if err != nil {
			return err
		}
		return t.Audit(e(0))
	})
	return ended, err
}

// SignOut ends again the sessions that [Made.Put] ended, for whoever came in
// meanwhile at a gate that had not heard of the change.
func (s Made) SignOut(ctx context.Context, id string, at time.Time) error {
	return s.db.update(ctx, func(t tx) error {
		_, err := t.signOutConnection(id, at, anotherProvider)
		return err
	})
}

// Remove removes a connection that was made in the console, and ends what
// its people and programs have: sessions, API tokens, SCIM tokens, setup links.
// Its secrets go with it. With stays, another connection of that id goes on, to
// which all of those belong: nothing of it ends. It fails with fault.NotFound.
func (s Made) Remove(ctx context.Context, id string, stays bool, at time.Time, e func(sessions int) audit.Event) (ended int, err error) {
	defer s.db.tokens.Add(1)
	err = s.db.update(ctx, func(t tx) error {
		version, err := t.nextMade()
		if err != nil {
			return err
		}
		err = t.one("connection", "UPDATE console_connections SET removed = ?, stays = ?, version = ?, sealed = ? WHERE id = ? AND removed = 0", micros(at), stays, version, []byte{}, id)
		if err != nil {
			return err
		}
		if !stays {
			if ended, err = t.emptyConnection(id, at); err != nil {
				return err
			}
		}
		return t.Audit(e(ended))
	})
	return ended, err
}

// Empty ends again what [Made.Remove] ended, for whoever came in
// meanwhile at a gate that had not heard of it.
func (s Made) Empty(ctx context.Context, id string, at time.Time) error {
	return s.db.update(ctx, func(t tx) error {
		_, err := t.emptyConnection(id, at)
		return err
	})
}

// SignOutOthers ends the sessions of a connection by any other provider than
// that issuer, and the API tokens of their people: what came in late at a gate
// that had not heard of the change, and nobody whom the new provider let in.
func (s Made) SignOutOthers(ctx context.Context, id, issuer string, at time.Time) error {
	return s.db.update(ctx, func(t tx) error {
		people, err := t.endSessions("connection = ? AND idp_issuer <> ?", []any{id, issuer}, at, anotherProvider)
		if err != nil {
			return err
		}
		for _, person := range people {
			if err := t.revokeAPITokens("connection = ? AND person_id = ?", []any{id, person}, at); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t tx) emptyConnection(id string, at time.Time) (ended int, err error) {
	if err := t.endSetup(id, at); err != nil {
		return 0, err
	}
	if ended, err = t.signOutConnection(id, at, "your organization's way in was removed"); err != nil {
		return 0, err
	}
	if _, err := t.exec("UPDATE scim_tokens SET revoked = ? WHERE connection = ? AND revoked = 0", micros(at), id); err != nil {
		return 0, err
	}
	return ended, nil
}

// anotherProvider is why sessions end when their connection changes hands.
const anotherProvider = "your organization signs in somewhere else now"

// signOutConnection ends every session of those who came in by a connection,
// and their API tokens.
func (t tx) signOutConnection(id string, at time.Time, reason string) (ended int, err error) {
	people, err := t.endSessions("connection = ?", []any{id}, at, reason)
	if err != nil {
		return 0, err
	}
	return len(people), t.revokeAPITokens("connection = ?", []any{id}, at)
}

// endSessions ends the living sessions of a condition, and gives the person of
// each.
func (t tx) endSessions(which string, args []any, at time.Time, reason string) (people []string, err error) {
	err = t.rows(&people, "UPDATE sessions SET ended = ?, end_reason = ? WHERE "+which+" AND ended = 0 AND expires > ? RETURNING person_id",
		slices.Concat([]any{micros(at), reason}, args, []any{micros(at)})...)
	if err != nil {
		return nil, err
	}
	told := make(map[string]bool)
	for _, person := range people {
		if told[person] {
			continue
		}
		told[person] = true
		if err := t.Change(directory.Change{At: at, Person: person, Loss: true}); err != nil {
			return nil, err
		}
	}
	return people, nil
}

// revokeAPITokens makes the API tokens of a condition void.
func (t tx) revokeAPITokens(which string, args []any, at time.Time) error {
	var tokens []string
	err := t.rows(&tokens, "UPDATE api_tokens SET revoked = ? WHERE "+which+" AND revoked = 0 RETURNING id", slices.Concat([]any{micros(at)}, args)...)
	if err != nil {
		return err
	}
	for _, token := range tokens {
		if err := t.Change(directory.Change{At: at, Session: token, Loss: true}); err != nil {
			return err
		}
	}
	return nil
}
