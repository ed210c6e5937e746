package store

import (
	"context"

	"portcullis/audit"
	"portcullis/keys"
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
}

func (s keyStore) Keys(ctx context.Context, purpose string) ([]keys.Stored, error) {
	var rows []key
	err := s.db.view(ctx, func(t tx) error {
		return t.rows(&rows, "SELECT * FROM keys WHERE purpose = ? ORDER BY created DESC, id", purpose)
	})
	out := make([]keys.Stored, len(rows))
	for i, r := range rows {
		out[i] = keys.Stored{ID: r.ID, Purpose: r.Purpose, Created: moment(r.Created), Sealed: r.Sealed}
	}
	return out, err
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
