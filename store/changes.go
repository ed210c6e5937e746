package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"portcullis/directory"
)

// channel is the PostgreSQL channel on which replicas wake each other.
const channel = "portcullis_changes"

// postgresNow is the database's own clock in microseconds, the one that all
// replicas share.
const postgresNow = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

type change struct {
	Seq     int64  `gorm:"column:seq"`
	At      int64  `gorm:"column:at"`
	Person  string `gorm:"column:person"`
	Session string `gorm:"column:session"`
	Loss    bool   `gorm:"column:loss"`

	Organization string `gorm:"column:organization"`
}

func (s sessionStore) LastChange(ctx context.Context) (cursor int64, err error) {
	err = s.db.view(ctx, func(t tx) error {
		cursor, err = t.settled()
		return err
	})
	return cursor, err
}

// settled is where a reader may go on after having read all that this
// transaction sees. On PostgreSQL sequence numbers commit out of order, so
// it is the oldest transaction that is still running: whatever commits later
// is that one or a later one, however long it takes. SQLite has one writer,
// so there it is the last record.
func (t tx) settled() (cursor int64, err error) {
	query := "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'changes'), 0)"
	if t.dialect == "postgres" {
		query = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
	}
	err = t.rows(&cursor, query)
	return cursor, err
}

func (s sessionStore) Changes(ctx context.Context, after int64) ([]directory.Change, int64, error) {
	query := "SELECT seq, at, person, session, loss, organization FROM changes WHERE seq > ? ORDER BY seq"
	if s.db.dialect == "postgres" {
		query = "SELECT seq, at, person, session, loss, organization FROM changes WHERE xact >= ? ORDER BY seq"
	}
	var rows []change
	var cursor int64
	err := s.db.view(ctx, func(t tx) (err error) {
		if cursor, err = t.settled(); err != nil {
			return err
		}
		return t.rows(&rows, query, after)
	})
	if err != nil {
		return nil, after, err
	}
	out := make([]directory.Change, len(rows))
	for i, r := range rows {
		out[i] = directory.Change{Seq: r.Seq, At: moment(r.At), Person: r.Person, Session: r.Session, Loss: r.Loss, Organization: r.Organization}
	}
	return out, cursor, nil
}

func (s sessionStore) DeleteChanges(ctx context.Context, before time.Time) error {
	return s.db.update(ctx, func(t tx) error {
		_, err := t.exec(oldChanges, micros(before), micros(before))
		return err
	})
}

// oldChanges deletes up to the first change that is young enough: they were
// written in the order of time, but for what the clocks of replicas differ.
const oldChanges = `DELETE FROM changes WHERE at < ?
	AND seq < coalesce((SELECT seq FROM changes WHERE seq > 0 AND at >= ? ORDER BY seq LIMIT 1), 9223372036854775807)`

func (s sessionStore) Woken() <-chan struct{} { return s.db.woken }

// wake lets the reader of changes look at once; one signal stands for many.
func (db *DB) wake() {
	select {
	case db.woken <- struct{}{}:
	default:
	}
}

// spread lets the readers of other replicas look at once. It is told after the
// commit and not within it: PostgreSQL lets those who notify commit one after
// the other, each with its own wait for the disk.
func (db *DB) spread() {
	if db.dialect != "postgres" {
		return
	}
	select {
	case db.told <- struct{}{}:
	default:
	}
}

// listen wakes the reader when another replica writes a change, and wakes
// others. It is an accelerator: while it is down, the reader's own poll finds
// the same.
func (db *DB) listen(ctx context.Context, dsn string) {
	defer close(db.done)
	if db.dialect != "postgres" {
		return
	}
	var teller sync.WaitGroup
	teller.Go(func() { db.tell(ctx) })
	defer teller.Wait()
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

// tellEvery is how soon replicas are woken again. Each time costs a transaction
// and wakes a process for every one of them.
const tellEvery = 20 * time.Millisecond

// telling wakes other replicas. What is told is nothing that a crash might
// take away: nobody waits until it is on the disk.
const telling = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)"

// tell notifies other replicas, once for all that was committed meanwhile.
func (db *DB) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-db.told:
		}
		if _, err := db.sql.ExecContext(ctx, telling, channel, db.name); err != nil && ctx.Err() == nil {
			db.log.WarnContext(ctx, "other replicas are not woken; polling finds changes", "error", err)
		}
		pause := time.NewTimer(tellEvery)
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
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if n.Payload != db.name { // whoever wrote here has woken us
			db.wake()
		}
	}
}
