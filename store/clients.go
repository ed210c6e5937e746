package store

import (
	"context"
	"time"

	"portcullis/fault"
	"portcullis/scim"
)

func (s tokenStore) TokenByID(ctx context.Context, id string) (scim.Token, error) {
	var r token
	err := s.db.view(ctx, func(t tx) error { return t.row(&r, "token", "SELECT * FROM scim_tokens WHERE id = ?", id) })
	if err != nil {
		return scim.Token{}, err
	}
	return r.domain(), nil
}

// TokenByAccess reads the client with its access token, so that a client that
// is revoked has none from that moment on, on every replica.
func (s tokenStore) TokenByAccess(ctx context.Context, hash []byte) (scim.Token, error) {
	var r struct {
		Token  token `gorm:"embedded"`
		Access []byte
		Until  int64
	}
	err := s.db.view(ctx, func(t tx) error {
		return t.row(&r, "token", `SELECT k.*, a.hash AS access, a.expires AS until, `+frozenColumn+`
			FROM scim_access_tokens a JOIN scim_tokens k ON k.id = a.client WHERE a.hash = ?`, hash)
	})
	if err != nil {
		return scim.Token{}, err
	}
	out := r.Token.domain()
	out.Hash = r.Access
	if until := moment(r.Until); out.Expires.IsZero() || until.Before(out.Expires) {
		out.Expires = until
	}
	return out, nil
}

func (s tokenStore) InsertAccess(ctx context.Context, a scim.Access, now time.Time) error {
	return s.db.update(ctx, func(t tx) error {
		for _, table := range []string{"scim_access_tokens", "scim_assertions"} {
			if _, err := t.exec("DELETE FROM "+table+" WHERE expires < ?", micros(now)); err != nil {
				return err
			}
		}
		if a.Assertion != nil {
			n, err := t.exec("INSERT INTO scim_assertions (client, hash, expires) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
				a.Client, a.Assertion, micros(a.Until))
			if err != nil {
				return err
			}
			if n == 0 {
				return fault.New(fault.Conflict, "the assertion was used before")
			}
		}
		_, err := t.exec("INSERT INTO scim_access_tokens (client, hash, expires) VALUES (?, ?, ?)", a.Client, a.Hash, micros(a.Expires))
		return err
	})
}
