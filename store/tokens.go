package store

import (
	"context"
	"time"

	"portcullis/audit"
	"portcullis/scim"
)

var _ scim.TokenStore = tokenStore{}

type tokenStore struct{ db *DB }

// Tokens gives the store of the SCIM tokens.
func (db *DB) Tokens() scim.TokenStore { return tokenStore{db} }

type token struct {
	ID         string `gorm:"column:id"`
	Connection string `gorm:"column:connection"`
	Hash       []byte `gorm:"column:hash"`
	Note       string `gorm:"column:note"`
	Created    int64  `gorm:"column:created"`
	Expires    int64  `gorm:"column:expires"`
	LastUsed   int64  `gorm:"column:last_used"`
	Revoked    int64  `gorm:"column:revoked"`
	Client     bool   `gorm:"column:client"`
	PublicKey  string `gorm:"column:public_key"`
	Frozen     bool   `gorm:"column:frozen"`
}

// frozenColumn says, in the look-up of a token k, whether its organization is
// frozen: it costs no second question.
const frozenColumn = `coalesce((SELECT o.disabled FROM connections c JOIN organizations o ON o.name = c.organization
	WHERE c.id = k.connection), FALSE) AS frozen`

func (r token) domain() scim.Token {
	return scim.Token{
		ID: r.ID, Connection: r.Connection, Hash: r.Hash, Note: r.Note, Created: moment(r.Created),
		Expires: moment(r.Expires), LastUsed: moment(r.LastUsed), Revoked: moment(r.Revoked),
		Client: r.Client, PublicKey: r.PublicKey, Frozen: r.Frozen,
	}
}

// Generation implements [scim.TokenStore].
func (s tokenStore) Generation() uint64 { return s.db.tokens.Load() }

// updateTokens is update for what makes or ends a token.
func (s tokenStore) updateTokens(ctx context.Context, f func(tx) error) error {
	defer s.db.tokens.Add(1) // whatever comes of it: nobody knows when the answer is lost
	return s.db.update(ctx, f)
}

func (s tokenStore) InsertToken(ctx context.Context, k scim.Token, e audit.Event) error {
	return s.updateTokens(ctx, func(t tx) error {
		_, err := t.exec("INSERT INTO scim_tokens (id, connection, hash, note, created, expires, client, public_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			k.ID, k.Connection, k.Hash, k.Note, micros(k.Created), micros(k.Expires), k.Client, k.PublicKey)
		if err != nil {
			return err
		}
		return t.Audit(e)
	})
}

func (s tokenStore) TokenByHash(ctx context.Context, hash []byte) (scim.Token, error) {
	var r token
	err := s.db.glance(ctx, func(t tx) error {
		return t.row(&r, "token", "SELECT k.*, "+frozenColumn+" FROM scim_tokens k WHERE hash = ?", hash)
	})
	if err != nil {
		return scim.Token{}, err
	}
	return r.domain(), nil
}

func (s tokenStore) Tokens(ctx context.Context, connection string) ([]scim.Token, error) {
	query, args := "SELECT * FROM scim_tokens ORDER BY created, id", []any(nil)
	if connection != "" {
		query, args = "SELECT * FROM scim_tokens WHERE connection = ? ORDER BY created, id", []any{connection}
	}
	var rows []token
	err := s.db.view(ctx, func(t tx) error { return t.rows(&rows, query, args...) })
	out := make([]scim.Token, len(rows))
	for i, r := range rows {
		out[i] = r.domain()
	}
	return out, err
}

func (s tokenStore) RevokeToken(ctx context.Context, id string, at time.Time, e audit.Event) error {
	return s.updateTokens(ctx, func(t tx) error {
		var r token
		if err := t.row(&r, "token", t.forUpdate("SELECT * FROM scim_tokens k WHERE id = ?", "k"), id); err != nil {
			return err
		}
		if r.Revoked != 0 {
			return nil
		}
		if err := t.one("token", "UPDATE scim_tokens SET revoked = ? WHERE id = ?", micros(at), id); err != nil {
			return err
		}
		return t.Audit(e)
	})
}

func (s tokenStore) TouchToken(ctx context.Context, id string, at time.Time) error {
	return s.db.update(ctx, func(t tx) error {
		return t.one("token", "UPDATE scim_tokens SET last_used = ? WHERE id = ?", micros(at), id)
	})
}
