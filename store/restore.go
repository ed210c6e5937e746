package store

import (
	"context"
	"errors"
	"os"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
)

// Backup writes the whole database, as it is at one moment, to a new file that
// its owner alone may read. Gates go on meanwhile. It fails with
// fault.Conflict if the file is there, and with fault.Invalid on PostgreSQL,
// which has tools of its own.
func (db *DB) Backup(ctx context.Context, file string) error {
	if db.dialect != "sqlite" {
		return fault.New(fault.Invalid, "a PostgreSQL database is backed up with pg_dump; after pg_restore, run: portcullis restore --mark")
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the file
	if errors.Is(err, os.ErrExist) {
		return fault.Wrap(fault.Conflict, err, "%s is there already", file)
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%s cannot be written", file)
	}
	_, err = db.sql.ExecContext(ctx, "VACUUM INTO ?", file)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fault.Wrap(fault.Unavailable, errors.Join(err, os.Remove(file)), "the database cannot be copied")
	}
	return nil
}

// Restored is what [DB.Distrust] took away.
type Restored struct {
	Sessions  int
	Attempts  int // sign-ins that were under way
	APITokens int
	People    int // whom their identity provider has to confirm
}

// Distrust makes a restored database safe to open to people. What it holds may
// have been taken away after the backup, so that no session, no sign-in under
// way, no API token and no exception of it counts; whoever was pushed over SCIM stays out
// until their identity provider names them, unless believe says that nobody
// was deprovisioned since. Every replica hears of it.
func (db *DB) Distrust(ctx context.Context, believe bool, at time.Time, by audit.Actor, event func(Restored) audit.Event) (r Restored, err error) {
	err = db.update(ctx, func(t tx) error {
		r = Restored{}
		for _, s := range []struct {
			count *int
			skip  bool
			query string
			args  []any
		}{
			{
				&r.Sessions, false, "UPDATE sessions SET ended = ?, end_reason = ?, id_token = ?, refresh_token = ? WHERE ended = 0",
				[]any{micros(at), "this gate was restored from a backup", []byte{}, []byte{}},
			},
			{&r.Attempts, false, "DELETE FROM sign_in_attempts", nil},
			{nil, false, "DELETE FROM login_tests", nil},
			{nil, false, "DELETE FROM scim_access_tokens", nil},
			{&r.APITokens, false, "UPDATE api_tokens SET revoked = ? WHERE revoked = 0", []any{micros(at)}},
			{nil, false, "UPDATE role_exceptions SET revoked = ?, revoked_by = 'portcullis' WHERE revoked = 0", []any{micros(at)}},
			{&r.People, believe, "UPDATE people SET unconfirmed = TRUE WHERE provisioned AND idp_active AND NOT unconfirmed", nil},
		} {
			if s.skip {
				continue
			}
			n, err := t.exec(s.query, s.args...)
			if err != nil {
				return err
			}
			if s.count != nil {
				*s.count = int(n)
			}
		}
		e := event(r)
		e.At, e.Actor, e.Action = at, by, audit.Restored
		if err := t.Audit(e); err != nil {
			return err
		}
		return t.Change(directory.Change{At: at, Loss: true})
	})
	return r, err
}

func (t tx) ConfirmPerson(id string) error {
	_, err := t.exec("UPDATE people SET unconfirmed = FALSE WHERE id = ? AND unconfirmed", id)
	return err
}

func (t tx) ConfirmPeople(connection string) (int, error) {
	n, err := t.exec("UPDATE people SET unconfirmed = FALSE WHERE connection = ? AND unconfirmed", connection)
	return int(n), err
}

func (t tx) UnconfirmedPeople() (map[string]int, error) {
	var rows []struct {
		Connection string
		People     int
	}
	err := t.rows(&rows, "SELECT connection, count(*) AS people FROM people WHERE unconfirmed GROUP BY connection")
	out := make(map[string]int, len(rows))
	for _, r := range rows {
		out[r.Connection] = r.People
	}
	return out, err
}
