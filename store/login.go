package store

import (
	"context"
	"time"

	"portcullis/login"
)

var _ login.Store = loginStore{}

type loginStore struct{ db *DB }

// Login gives the store of package login.
func (db *DB) Login() login.Store { return loginStore{db} }

type attempt struct {
	StateHash   []byte `gorm:"column:state_hash"`
	BrowserHash []byte `gorm:"column:browser_hash"`
	Connection  string `gorm:"column:connection"`
	Nonce       string `gorm:"column:nonce"`
	Verifier    string `gorm:"column:verifier"`
	ReturnTo    string `gorm:"column:return_to"`
	Reference   string `gorm:"column:reference"`
	Created     int64  `gorm:"column:created"`
	Expires     int64  `gorm:"column:expires"`
}

func (s loginStore) InsertAttempt(ctx context.Context, a login.Attempt) error {
	return s.db.update(ctx, func(t tx) error {
		// gorm takes a slice that follows a parenthesis apart, so no hash is first.
		_, err := t.exec(`INSERT INTO sign_in_attempts
			(connection, state_hash, browser_hash, nonce, verifier, return_to, reference, created, expires)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			a.Connection, a.StateHash, a.BrowserHash, a.Nonce, a.Verifier, a.ReturnTo, a.Reference, micros(a.Created), micros(a.Expires))
		return err
	})
}

func (s loginStore) ConsumeAttempt(ctx context.Context, stateHash []byte, now time.Time) (login.Attempt, error) {
	var r attempt
	err := s.db.update(ctx, func(t tx) error {
		return t.row(&r, "sign-in attempt", "DELETE FROM sign_in_attempts WHERE state_hash = ? AND expires > ? RETURNING *", stateHash, micros(now))
	})
	if err != nil {
		return login.Attempt{}, err
	}
	return login.Attempt{
		StateHash: r.StateHash, BrowserHash: r.BrowserHash, Connection: r.Connection, Nonce: r.Nonce, Verifier: r.Verifier,
		ReturnTo: r.ReturnTo, Reference: r.Reference, Created: moment(r.Created), Expires: moment(r.Expires),
	}, nil
}

func (s loginStore) DeleteAttempts(ctx context.Context, before time.Time) error {
	return s.db.update(ctx, func(t tx) error {
		_, err := t.exec("DELETE FROM sign_in_attempts WHERE expires < ?", micros(before))
		return err
	})
}
