package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/session"
)

var _ session.Store = sessionStore{}

type sessionStore struct{ db *DB }

// Sessions gives the store of package session.
func (db *DB) Sessions() session.Store { return sessionStore{db} }

type sessionRow struct {
	ID          string `gorm:"column:id"`
	TokenHash   []byte `gorm:"column:token_hash"`
	PersonID    string `gorm:"column:person_id"`
	AssertionID string `gorm:"column:assertion_id"`
	Connection  string `gorm:"column:connection"`
	Created     int64  `gorm:"column:created"`
	LastSeen    int64  `gorm:"column:last_seen"`
	Expires     int64  `gorm:"column:expires"`
	Address     string `gorm:"column:address"`
	UserAgent   string `gorm:"column:user_agent"`
	IDToken     []byte `gorm:"column:id_token"`
	Ended       int64  `gorm:"column:ended"`
	EndReason   string `gorm:"column:end_reason"`
	IDPIssuer   string `gorm:"column:idp_issuer"`
	IDPSubject  string `gorm:"column:idp_subject"`
	IDPSession  string `gorm:"column:idp_session"`
	Refresh     []byte `gorm:"column:refresh_token"`
	RefreshDue  int64  `gorm:"column:refresh_due"`
}

func (r sessionRow) domain() session.Row {
	return session.Row{
		ID: r.ID, TokenHash: r.TokenHash, Person: r.PersonID, AssertionID: r.AssertionID, Connection: r.Connection,
		Client: session.Client{Address: r.Address, UserAgent: r.UserAgent}, IDToken: r.IDToken,
		Created: moment(r.Created), LastSeen: moment(r.LastSeen), Expires: moment(r.Expires),
		Ended: moment(r.Ended), EndReason: r.EndReason,
		Issuer: r.IDPIssuer, Subject: r.IDPSubject, ProviderSession: r.IDPSession, Refresh: r.Refresh, RefreshDue: moment(r.RefreshDue),
	}
}

func (s sessionStore) InsertSession(ctx context.Context, r session.Row) error {
	return s.db.update(ctx, func(t tx) error {
		if err := t.ended(r); err != nil {
			return err
		}
		p, err := t.Person(r.Person)
		if fault.Is(err, fault.NotFound) || err == nil && (p.State() != directory.Active || p.Unconfirmed) {
			return fault.New(fault.Forbidden, "your access has ended")
		}
		if err != nil {
			return err
		}
		// A freeze waits for this transaction, or this one sees it.
		var home []directory.Organization
		if err := t.rows(&home, t.forShare("SELECT name, disabled FROM organizations WHERE name = ?"), p.Organization); err != nil {
			return err
		}
		closed, err := t.closed(p.Unit) // likewise
		if err != nil {
			return err
		}
		if len(home) > 0 && home[0].Disabled || closed {
			return fault.New(fault.Forbidden, "your access has ended")
		}
		_, err = t.exec(`INSERT INTO sessions
			(id, token_hash, person_id, assertion_id, connection, created, last_seen, expires, address, user_agent, id_token,
			 idp_issuer, idp_subject, idp_session, refresh_token, refresh_due)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			r.ID, r.TokenHash, r.Person, r.AssertionID, r.Connection, micros(r.Created), micros(r.LastSeen), micros(r.Expires),
			r.Client.Address, r.Client.UserAgent, notNull(r.IDToken),
			r.Issuer, r.Subject, r.ProviderSession, notNull(r.Refresh), micros(r.RefreshDue))
		if err != nil {
			return err
		}
		// This writes their row in any case: a dismissal that has not seen the session
		// knows by that, see [dismissal].
		_, err = t.exec("UPDATE people SET last_active = ? WHERE id = ?", micros(r.Created), r.Person)
		return err
	})
}

// notNull makes an empty value of a missing one.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func (s sessionStore) FindSession(ctx context.Context, tokenHash []byte) (r session.Row, st directory.Standing, err error) {
	err = s.db.view(ctx, func(t tx) error {
		var row sessionRow
		if err := t.row(&row, "session", "SELECT * FROM sessions WHERE token_hash = ?", tokenHash); err != nil {
			return err
		}
		r, st = row.domain(), directory.Standing{}
		var facts string
		if err := t.row(&facts, "sign-in", "SELECT facts FROM assertions WHERE id = ?", r.AssertionID); err != nil {
			return err
		}
		if st.Assertion, err = readAssertion(facts); err != nil {
			return err
		}
		return t.stand(&st, r.Person)
	})
	return r, st, err
}

func (s sessionStore) SessionsOf(ctx context.Context, person string, now time.Time) ([]session.Row, error) {
	var rows []sessionRow
	var facts []struct{ ID, Facts string }
	err := s.db.view(ctx, func(t tx) error {
		err := t.rows(&rows, "SELECT * FROM sessions WHERE person_id = ? AND ended = 0 AND expires > ? ORDER BY created DESC, id", person, micros(now))
		if err != nil {
			return err
		}
		return t.rows(&facts, `SELECT id, facts FROM assertions WHERE person_id = ? AND id IN (
			SELECT assertion_id FROM sessions WHERE person_id = ? AND ended = 0 AND expires > ?)`, person, person, micros(now))
	})
	if err != nil {
		return nil, err
	}
	said := make(map[string]directory.Assertion, len(facts))
	for _, f := range facts {
		if said[f.ID], err = readAssertion(f.Facts); err != nil {
			return nil, err
		}
	}
	out := make([]session.Row, len(rows))
	for i, r := range rows {
		out[i] = r.domain()
		out[i].ACR, out[i].AuthTime = said[r.AssertionID].ACR, said[r.AssertionID].AuthTime
	}
	return out, nil
}

func (s sessionStore) EndExcess(ctx context.Context, person string, keep int, usedSince time.Time, why error, at time.Time) (ids []string, err error) {
	err = s.db.update(ctx, func(t tx) error {
		ids = nil
		p, err := t.Person(person) // one at a time, so that two sign-ins do not end each other
		if err != nil {
			return err
		}
		err = t.rows(&ids, `SELECT id FROM sessions WHERE person_id = ? AND ended = 0 AND expires > ? AND last_seen > ?
			ORDER BY created DESC, id`, person, micros(at), micros(usedSince))
		if err != nil {
			return err
		}
		ids = ids[min(keep, len(ids)):]
		for _, id := range ids {
			err := t.endOne(id, fault.Message(why), at, audit.Event{
				At: at, Action: audit.SessionEnded, Actor: audit.Gate(), Person: person, Subject: p.UserName, Connection: p.Connection,
				Reason: fault.ToOthers(why),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return ids, err
}

func (s sessionStore) EndSession(ctx context.Context, id, reason string, at time.Time, e audit.Event) error {
	return s.db.update(ctx, func(t tx) error { return t.endOne(id, reason, at, e) })
}

func (t tx) endOne(id, reason string, at time.Time, e audit.Event) error {
	n, err := t.exec("UPDATE sessions SET ended = ?, end_reason = ? WHERE id = ? AND ended = 0", micros(at), reason, id)
	if err != nil || n == 0 {
		return err
	}
	return t.recordEnd(id, at, e)
}

// recordEnd says that a session came to an end, and that it was one.
func (t tx) recordEnd(id string, at time.Time, e audit.Event) error {
	detail := map[string]string{directory.EndedKey: "1"}
	maps.Copy(detail, e.Detail)
	e.Detail = detail
	if err := t.Audit(e); err != nil {
		return err
	}
	return t.Change(directory.Change{At: at, Session: id, Loss: true})
}

// touchBatch bounds how long other writers wait for a Touch.
const touchBatch = 200

func (s sessionStore) Touch(ctx context.Context, seen map[string]time.Time) error {
	// Sorted, so that two replicas that write the same rows do not lock each other out.
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(seen)), touchBatch) {
		err := s.db.update(ctx, func(t tx) error {
			for _, id := range ids {
				if err := t.touch(id, micros(seen[id])); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t tx) touch(id string, at int64) error {
	if strings.HasPrefix(id, session.TokenIDPrefix) {
		_, err := t.exec("UPDATE api_tokens SET last_used = ? WHERE id = ? AND last_used < ?", at, id, at)
		return err
	}
	n, err := t.exec("UPDATE sessions SET last_seen = ? WHERE id = ? AND last_seen < ?", at, id, at)
	if err != nil || n == 0 {
		return err
	}
	_, err = t.exec("UPDATE people SET last_active = ? WHERE id = (SELECT person_id FROM sessions WHERE id = ?) AND last_active < ?", at, id, at)
	return err
}

func (s sessionStore) DeleteSessions(ctx context.Context, before time.Time) error {
	return s.db.update(ctx, func(t tx) error {
		_, err := t.exec("DELETE FROM sessions WHERE expires < ? OR (ended <> 0 AND ended < ?)", micros(before), micros(before))
		if err != nil {
			return err
		}
		_, err = t.exec("DELETE FROM logout_tokens WHERE expires < ?", micros(before))
		return err
	})
}
