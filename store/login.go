package store

import (
	"context"
	"strings"
	"time"

	"portcullis/login"
	"portcullis/session"
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
	Address     string `gorm:"column:address"`
	Test        string `gorm:"column:test"`
	ACR         string `gorm:"column:acr"`     // classes, with spaces between them
	MaxAge      int64  `gorm:"column:max_age"` // seconds
	Replaces    []byte `gorm:"column:replaces"`
}

func (r attempt) domain() login.Attempt {
	var classes []string
	if r.ACR != "" {
		classes = strings.Split(r.ACR, " ")
	}
	return login.Attempt{
		StateHash: r.StateHash, BrowserHash: r.BrowserHash, Connection: r.Connection, Nonce: r.Nonce, Verifier: r.Verifier,
		ReturnTo: r.ReturnTo, Reference: r.Reference, Created: moment(r.Created), Expires: moment(r.Expires),
		Address: r.Address, Test: r.Test, Replaces: nilIfEmpty(r.Replaces), Demand: session.Demand{ACR: classes, MaxAge: time.Duration(r.MaxAge) * time.Second},
	}
}

func (s loginStore) InsertAttempt(ctx context.Context, a login.Attempt) error {
	return s.db.update(ctx, func(t tx) error {
		// gorm takes a slice that follows a parenthesis apart, so no hash is first.
		_, err := t.exec(`INSERT INTO sign_in_attempts
			(connection, state_hash, browser_hash, nonce, verifier, return_to, reference, created, expires, address, test, acr, max_age, replaces)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			a.Connection, a.StateHash, a.BrowserHash, a.Nonce, a.Verifier, a.ReturnTo, a.Reference, micros(a.Created), micros(a.Expires),
			a.Address, a.Test, strings.Join(a.Demand.ACR, " "), int64(a.Demand.MaxAge/time.Second), orEmpty(a.Replaces))
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
	return r.domain(), nil
}

func (s loginStore) DeleteAttempts(ctx context.Context, before time.Time, limit int) (out []login.Attempt, err error) {
	err = s.db.update(ctx, func(t tx) error {
		out = nil
		var rows []attempt
		skip := ""
		if t.dialect == "postgres" {
			skip = " FOR UPDATE SKIP LOCKED" // a replica that does the same
		}
		err := t.rows(&rows, `DELETE FROM sign_in_attempts WHERE state_hash IN
			(SELECT state_hash FROM sign_in_attempts WHERE expires < ? LIMIT ?`+skip+") RETURNING *", micros(before), limit)
		for _, r := range rows {
			out = append(out, r.domain())
		}
		return err
	})
	return out, err
}
