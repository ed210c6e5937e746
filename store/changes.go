package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"portcullis/directory"
)

// channel is the PostgreSQL channel on which replicas wake each other.
const channel = "portcullis_changes"

// settleAfter is how long a change record may be passed over by its
// neighbours: far longer than any transaction here runs.
const settleAfter = 30 * time.Second

// postgresNow is the database's own clock in microseconds, the one that all
// replicas share.
const postgresNow = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

type change struct {
	Seq     int64  `gorm:"column:seq"`
	At      int64  `gorm:"column:at"`
	Person  string `gorm:"column:person"`
	Session string `gorm:"column:session"`
	Loss    bool   `gorm:"column:loss"`
}

func (s sessionStore) LastChange(ctx context.Context) (seq int64, err error) {
	err = s.db.view(ctx, func(t tx) error {
		seq, err = t.settled(0)
		return err
	})
	return seq, err
}

// settled is the highest record up to which none can still be missing.
func (t tx) settled(after int64) (seq int64, err error) {
	query, args := "SELECT coalesce(max(seq), 0) FROM changes WHERE seq > ?", []any{after}
	if t.dialect == "postgres" {
		query += " AND at < " + postgresNow + " - ?"
		args = append(args, settleAfter.Microseconds())
	}
	err = t.rows(&seq, query, args...)
	return max(after, seq), err
}

// Changes reads committed records. On PostgreSQL sequence numbers commit out
// of order, so a record counts as settled only once it is old: until then
// the caller reads from before it, and a late neighbour is not stepped over.
// SQLite has one writer, so there every record is settled.
func (s sessionStore) Changes(ctx context.Context, after int64) ([]directory.Change, int64, error) {
	var rows []change
	settled := after
	err := s.db.view(ctx, func(t tx) (err error) {
		if settled, err = t.settled(after); err != nil {
			return err
		}
		return t.rows(&rows, "SELECT seq, at, person, session, loss FROM changes WHERE seq > ? ORDER BY seq", after)
	})
	if err != nil {
		return nil, after, err
	}
	out := make([]directory.Change, len(rows))
	for i, r := range rows {
		out[i] = directory.Change{Seq: r.Seq, At: moment(r.At), Person: r.Person, Session: r.Session, Loss: r.Loss}
	}
	return out, settled, nil
}

func (s sessionStore) DeleteChanges(ctx context.Context, before time.Time) error {
	return s.db.update(ctx, func(t tx) error {
		_, err := t.exec("DELETE FROM changes WHERE at < ?", micros(before))
		return err
	})
}

func (s sessionStore) Woken() <-chan struct{} { return s.db.woken }

// wake lets the reader of changes look at once; one signal stands for many.
func (db *DB) wake() {
	select {
	case db.woken <- struct{}{}:
	default:
	}
}

// listen wakes the reader when another replica writes a change. It is an
// accelerator: while it is down, the reader's own poll finds the same.
func (db *DB) listen(ctx context.Context, dsn string) {
	defer close(db.done)
	if db.dialect != "postgres" {
		return
	}
	for ctx.Err() == nil {
		err := db.listenOnce(ctx, dsn)
		if ctx.Err() != nil {
			return
		}
		db.log.WarnContext(ctx, "not listening for changes; polling finds them", "error", err)
		pause := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

func (db *DB) listenOnce(ctx context.Context, dsn string) (err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err = errors.Join(err, conn.Close(ctx))
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
		db.wake()
	}
}
