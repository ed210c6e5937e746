package store

import (
	"context"
	"strings"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/session"
)

func (s sessionStore) EndNamed(ctx context.Context, n session.Named, r session.Request, why error, at time.Time, by audit.Actor, reference string) (ids []string, err error) {
	err = s.db.update(ctx, func(t tx) error {
		ids = nil
		if err := t.remember(n, r, at); err != nil {
			return err
		}
		rows, err := t.endNamed(n, fault.Message(why), at)
		if err != nil {
			return err
		}
		for _, row := range rows {
			ids = append(ids, row.ID)
			p, err := t.Person(row.PersonID)
			if err != nil {
				return err
			}
			err = t.recordEnd(row.ID, at, audit.Event{
				At: at, Action: audit.SessionEnded, Actor: by, Person: row.PersonID, Subject: p.UserName,
				Connection: n.Connection, Reason: fault.ToOthers(why), Reference: reference,
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return ids, err
}

// remember fails with fault.Conflict for a request that counted before.
func (t tx) remember(n session.Named, r session.Request, at time.Time) error {
	if err := t.lockLogouts(n.Connection, n.Session, ""); err != nil {
		return err
	}
	conflict := "NOTHING"
	if r.Again {
		conflict = `UPDATE SET expires = excluded.expires, idp_issuer = excluded.idp_issuer,
			idp_subject = excluded.idp_subject, idp_session = excluded.idp_session, at = excluded.at`
	}
	added, err := t.exec(`INSERT INTO logout_tokens (connection, hash, expires, idp_issuer, idp_subject, idp_session, at)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (connection, hash) DO `+conflict,
		n.Connection, r.Hash, micros(r.Expires), n.Issuer, n.Subject, n.Session, micros(at))
	if err == nil && added == 0 {
		return fault.New(fault.Conflict, "the request was obeyed before")
	}
	return err
}

func (t tx) endNamed(n session.Named, reason string, at time.Time) (rows []sessionRow, err error) {
	where := []string{"connection = ?", "idp_issuer = ?", "ended = 0", "expires > ?"}
	args := []any{micros(at), reason, n.Connection, n.Issuer, micros(at)}
	if n.Subject != "" {
		where, args = append(where, "idp_subject = ?"), append(args, n.Subject)
	}
	if n.Session != "" {
		where, args = append(where, "idp_session = ?"), append(args, n.Session)
	}
	err = t.rows(&rows, "UPDATE sessions SET ended = ?, end_reason = ? WHERE "+strings.Join(where, " AND ")+" RETURNING *", args...)
	return rows, err
}

// lockLogouts makes a sign-out and the sign-ins that it may mean wait for each
// other: whichever comes second sees the first. Those are of one session, or of the
// connection if it is empty: strangers, who can name sessions that there are not,
// keep nobody waiting. Sign-ins, which are _shared, do not wait for one another.
// SQLite has one writer at a time anyway.
func (t tx) lockLogouts(connection, named, shared string) error {
	if t.dialect != "postgres" {
		return nil
	}
	return t.later("SELECT pg_advisory_xact_lock"+shared+"(hashtextextended(?, 0))", "logouts/"+connection+"/"+named)
}

// ended fails if the identity provider has ended what r rests on since its
// sign-in began.
func (t tx) ended(r session.Row) error {
	if r.Begun.IsZero() || r.Issuer == "" {
		return nil
	}
	for _, named := range []string{"", r.ProviderSession} {
		if err := t.lockLogouts(r.Connection, named, "_shared"); err != nil {
			return err
		}
	}
	var named int
	err := t.row(&named, "count", `SELECT COUNT(*) FROM logout_tokens WHERE connection = ? AND at >= ? AND idp_issuer = ?
		AND (idp_subject = '' OR idp_subject = ?) AND (idp_session = '' OR idp_session = ?)`,
		r.Connection, micros(r.Begun), r.Issuer, r.Subject, r.ProviderSession)
	if err == nil && named > 0 {
		return fault.New(fault.Invalid, "your identity provider ended your session while you were signing in")
	}
	return err
}

func (s sessionStore) TakeDue(ctx context.Context, now, usedSince, lease time.Time, limit int) ([]session.Row, error) {
	var rows []sessionRow
	err := s.db.update(ctx, func(t tx) error {
		// The condition stands twice: on PostgreSQL a second caller waits for
		// the row, and then looks again.
		return t.rows(&rows, `UPDATE sessions SET refresh_due = ? WHERE refresh_due <= ? AND id IN (
				SELECT id FROM sessions
				WHERE ended = 0 AND refresh_due > 0 AND refresh_due <= ? AND expires > ? AND last_seen > ?
				ORDER BY refresh_due LIMIT ?)
			RETURNING *`,
			micros(lease), micros(now), micros(now), micros(now), micros(usedSince), limit)
	})
	out := make([]session.Row, len(rows))
	for i, r := range rows {
		out[i] = r.domain()
	}
	return out, err
}

func (s sessionStore) RenewSession(ctx context.Context, id string, refresh []byte, due time.Time) error {
	return s.db.update(ctx, func(t tx) error {
		_, err := t.exec("UPDATE sessions SET refresh_token = ?, refresh_due = ? WHERE id = ? AND ended = 0", refresh, micros(due), id)
		return err
	})
}
