package store

import (
	"context"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/login"
)

// orEmpty keeps a missing value out of a column that has none.
func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func nilIfEmpty(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

func (s loginStore) UseAssertion(ctx context.Context, connection string, hash []byte, expires time.Time) error {
	return s.db.update(ctx, func(t tx) error {
		n, err := t.exec("INSERT INTO saml_assertions (connection, hash, expires) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
			connection, hash, micros(expires))
		if err == nil && n == 0 {
			return fault.New(fault.Conflict, "the assertion was used before")
		}
		return err
	})
}

func (s loginStore) DeleteAssertions(ctx context.Context, before time.Time) error {
	return s.db.update(ctx, func(t tx) error {
		_, err := t.exec("DELETE FROM saml_assertions WHERE expires < ?", micros(before))
		return err
	})
}

type samlMetadata struct {
	Connection string `gorm:"column:connection"`
	Source     string `gorm:"column:source"`
	Accepted   []byte `gorm:"column:accepted"`
	AcceptedAt int64  `gorm:"column:accepted_at"`
	Pending    []byte `gorm:"column:pending"`
	PendingAt  int64  `gorm:"column:pending_at"`
	Version    int64  `gorm:"column:version"`
}

func (s loginStore) Metadata(ctx context.Context, connection string) (login.Metadata, error) {
	var r samlMetadata
	err := s.db.glance(ctx, func(t tx) error {
		return t.row(&r, "metadata", "SELECT * FROM saml_metadata WHERE connection = ?", connection)
	})
	return login.Metadata{
		Connection: r.Connection, Source: r.Source, Accepted: nilIfEmpty(r.Accepted), AcceptedAt: moment(r.AcceptedAt),
		Pending: nilIfEmpty(r.Pending), PendingAt: moment(r.PendingAt), Version: r.Version,
	}, err
}

func (s loginStore) SaveMetadata(ctx context.Context, m login.Metadata, events ...audit.Event) error {
	return s.db.update(ctx, func(t tx) error {
		n, err := t.exec(`INSERT INTO saml_metadata (connection, source, accepted, accepted_at, pending, pending_at, version)
			VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (connection) DO UPDATE SET source = excluded.source, accepted = excluded.accepted,
				accepted_at = excluded.accepted_at, pending = excluded.pending, pending_at = excluded.pending_at, version = excluded.version
			WHERE saml_metadata.version = ?`,
			m.Connection, m.Source, orEmpty(m.Accepted), micros(m.AcceptedAt), orEmpty(m.Pending), micros(m.PendingAt), m.Version+1, m.Version)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.New(fault.Conflict, "the metadata was changed meanwhile")
		}
		for _, e := range events {
			if err := t.Audit(e); err != nil {
				return err
			}
		}
		return nil
	})
}
