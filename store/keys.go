package store

import (
	"context"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/fault"
	"portcullis/keys"
	"portcullis/session"
)

var _ keys.Store = keyStore{}

type keyStore struct{ db *DB }

// Keys gives the store of the gate's own keys.
func (db *DB) Keys() keys.Store { return keyStore{db} }

type key struct {
	ID      string `gorm:"column:id"`
	Purpose string `gorm:"column:purpose"`
	Created int64  `gorm:"column:created"`
	Sealed  []byte `gorm:"column:sealed"`

	Activates int64 `gorm:"column:activates"`
}

func (s keyStore) Keys(ctx context.Context, purpose string) ([]keys.Stored, error) {
	var rows []key
	err := s.db.view(ctx, func(t tx) error {
		return t.rows(&rows, "SELECT * FROM keys WHERE purpose = ? OR ? = '' ORDER BY created DESC, id", purpose, purpose)
	})
	return storedKeys(rows), err
}

func storedKeys(rows []key) []keys.Stored {
	out := make([]keys.Stored, len(rows))
	for i, k := range rows {
		out[i] = k.stored()
	}
	return out
}

func (k key) stored() keys.Stored {
	return keys.Stored{ID: k.ID, Purpose: k.Purpose, Created: moment(k.Created), Sealed: k.Sealed, Activates: moment(k.Activates)}
}

func (s keyStore) InsertFirstKey(ctx context.Context, k keys.Stored, e audit.Event) error {
	return s.db.update(ctx, func(t tx) error {
		if t.dialect == "postgres" {
			if _, err := t.exec("LOCK TABLE keys IN EXCLUSIVE MODE"); err != nil {
				return err
			}
		}
		n, err := t.exec(`INSERT INTO keys (id, purpose, created, sealed)
			SELECT ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM keys WHERE purpose = ?)`, k.ID, k.Purpose, micros(k.Created), k.Sealed, k.Purpose)
		if err != nil || n == 0 {
			return err
		}
		return t.Audit(e)
	})
}

func (s keyStore) RotateKey(ctx context.Context, k keys.Stored, retire []string, now time.Time, e audit.Event) error {
	return s.db.update(ctx, func(t tx) error {
		if t.dialect == "postgres" {
			if _, err := t.exec("LOCK TABLE keys IN EXCLUSIVE MODE"); err != nil {
				return err
			}
		}
		var waiting []string
		if err := t.rows(&waiting, "SELECT id FROM keys WHERE purpose = ? AND activates > ?", k.Purpose, micros(now)); err != nil {
			return err
		}
		if len(waiting) > 0 {
			return fault.New(fault.Conflict, "key %s is waiting to sign already", waiting[0])
		}
		for _, id := range retire {
			if _, err := t.exec("DELETE FROM keys WHERE id = ?", id); err != nil {
				return err
			}
		}
		_, err := t.exec("INSERT INTO keys (id, purpose, created, sealed, activates) VALUES (?, ?, ?, ?, ?)",
			k.ID, k.Purpose, micros(k.Created), k.Sealed, micros(k.Activates))
		if err != nil {
			return err
		}
		return t.Audit(e)
	})
}

// sealedColumn is one place where sealed values stand.
type sealedColumn struct{ read, write string }

func (s keyStore) Rewrap(ctx context.Context, f func(string, []byte) ([]byte, error), e func(int) audit.Event) (changed int, err error) {
	columns := []sealedColumn{
		{"SELECT id, 'key ' || purpose AS purpose, sealed FROM keys", "UPDATE keys SET sealed = ? WHERE id = ?"},
		{
			"SELECT id, '" + session.IDTokenPurpose + "' AS purpose, id_token AS sealed FROM sessions WHERE ended = 0 AND length(id_token) > 0",
			"UPDATE sessions SET id_token = ? WHERE id = ?",
		},
		{
			"SELECT id, '" + session.RefreshPurpose + "' AS purpose, refresh_token AS sealed FROM sessions WHERE ended = 0 AND length(refresh_token) > 0",
			"UPDATE sessions SET refresh_token = ? WHERE id = ?",
		},
		{
			"SELECT id, '" + admin.SecretsPurpose + "' || id AS purpose, sealed FROM console_connections WHERE length(sealed) > 0",
			"UPDATE console_connections SET sealed = ? WHERE id = ?",
		},
	}
	err = s.db.update(ctx, func(t tx) error {
		changed = 0
		if t.dialect == "postgres" { // a gate that refreshes a session waits
			if _, err := t.exec("LOCK TABLE keys, sessions, console_connections IN SHARE ROW EXCLUSIVE MODE"); err != nil {
				return err
			}
		}
		for _, c := range columns {
			n, err := t.rewrap(c, f)
			if err != nil {
				return err
			}
			changed += n
		}
		if changed == 0 {
			return nil
		}
		// Of what has ended nothing is needed any more.
		if _, err := t.exec("UPDATE sessions SET id_token = ?, refresh_token = ? WHERE ended <> 0", []byte{}, []byte{}); err != nil {
			return err
		}
		return t.Audit(e(changed))
	})
	return changed, err
}

func (t tx) rewrap(c sealedColumn, f func(string, []byte) ([]byte, error)) (changed int, err error) {
	var rows []struct {
		ID, Purpose string

		Sealed []byte
	}
	if err := t.rows(&rows, c.read); err != nil {
		return 0, err
	}
	for _, r := range rows {
		sealed, err := f(r.Purpose, r.Sealed)
		if err != nil {
			return changed, err
		}
		if sealed == nil {
			continue
		}
		if err := t.one("sealed value", c.write, sealed, r.ID); err != nil {
			return changed, err
		}
		changed++
	}
	return changed, nil
}

func (s keyStore) InsertNextKey(ctx context.Context, k keys.Stored, after string, e audit.Event) error {
	return s.db.update(ctx, func(t tx) error {
		if t.dialect == "postgres" {
			if _, err := t.exec("LOCK TABLE keys IN EXCLUSIVE MODE"); err != nil {
				return err
			}
		}
		n, err := t.exec(`INSERT INTO keys (id, purpose, created, sealed)
			SELECT ?, ?, ?, ? WHERE COALESCE((SELECT id FROM keys WHERE purpose = ? ORDER BY created DESC, id LIMIT 1), '') = ?`,
			k.ID, k.Purpose, micros(k.Created), k.Sealed, k.Purpose, after)
		if err != nil || n == 0 {
			return err
		}
		return t.Audit(e)
	})
}

func (s keyStore) WithdrawKey(
	ctx context.Context, id string, succeed func([]keys.Stored, keys.Stored) (keys.Succession, error), now time.Time, e func(purpose, replacement string) audit.Event,
) (purpose, replacement string, err error) {
	err = s.db.update(ctx, func(t tx) error {
		if t.dialect == "postgres" {
			if _, err := t.exec("LOCK TABLE keys IN EXCLUSIVE MODE"); err != nil {
				return err
			}
		}
		var gone key
		if err := t.row(&gone, "key", "SELECT * FROM keys WHERE id = ?", id); err != nil {
			return err
		}
		var rows []key
		if err := t.rows(&rows, "SELECT * FROM keys WHERE purpose = ? ORDER BY created DESC, id", gone.Purpose); err != nil {
			return err
		}
		heir, err := succeed(storedKeys(rows), gone.stored())
		if err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM keys WHERE id = ?", id); err != nil {
			return err
		}
		purpose, replacement = gone.Purpose, ""
		switch next := heir.Next; {
		case heir.Promote != "":
			replacement = heir.Promote
			err = t.one("key", "UPDATE keys SET activates = ? WHERE id = ?", micros(now), heir.Promote)
		case next.ID != "":
			replacement = next.ID
			_, err = t.exec("INSERT INTO keys (id, purpose, created, sealed, activates) VALUES (?, ?, ?, ?, ?)",
				next.ID, next.Purpose, micros(next.Created), next.Sealed, micros(next.Activates))
		}
		if err != nil {
			return err
		}
		return t.Audit(e(purpose, replacement))
	})
	return purpose, replacement, err
}
