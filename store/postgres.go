package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/gorm"
)

// postgresLane is a connection to PostgreSQL. Every statement costs a way to
// the server and back, so those that nobody waits for, BEGIN among them, wait
// for the next one that somebody does, and travel with it. pgx keeps the
// statements prepared, the last 512 of a connection.
type postgresLane struct {
	ctx     context.Context //nolint:containedctx // a transaction has one context, as a *sql.Tx has
	conn    *pgx.Conn
	queued  *pgx.Batch
	convoys *convoys
	ended   bool  // the last statement went with the end of the transaction
	lost    error // how that went wrong; nil: it is committed
}

var errEnded = errors.New("the transaction has ended")

func (db *DB) onPostgres(ctx context.Context, f func(lane) error) error {
	conn, err := db.sql.Conn(ctx)
	if err != nil {
		return err
	}
	var own error
	err = conn.Raw(func(driverConn any) error {
		c, ok := driverConn.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the driver is %T", driverConn)
		}
		own = f(&postgresLane{ctx: ctx, conn: c.Conn(), queued: &pgx.Batch{}, convoys: db.convoys})
		if c.Conn().IsClosed() {
			return driver.ErrBadConn // the pool is to forget it
		}
		return nil
	})
	if own == nil && err != nil {
		own = err
	}
	if err := conn.Close(); own == nil && err != nil && !errors.Is(err, sql.ErrConnDone) {
		own = err
	}
	return own
}

// send sends what is queued and reads the outcomes of all but the tail, which
// is left to last.
func (l *postgresLane) send(tail int, last func(pgx.BatchResults) error) error {
	if l.ended {
		return errEnded
	}
	n := l.queued.Len()
	results := l.conn.SendBatch(l.ctx, l.queued)
	l.queued = &pgx.Batch{}
	var err error
	for range n - tail {
		if _, err = results.Exec(); err != nil {
			break
		}
	}
	if err == nil {
		err = last(results)
	}
	if e := results.Close(); err == nil {
		err = e
	}
	return err
}

// mostQueued bounds what waits, for the journal writes thousands of rows.
const mostQueued = 500

func (l *postgresLane) later(query string, args []any) error {
	if l.ended {
		return errEnded
	}
	if l.queued.Len() >= mostQueued {
		_, err := l.exec(query, args)
		return err
	}
	l.queued.Queue(numbered(query), args...)
	return nil
}

func (l *postgresLane) exec(query string, args []any) (n int64, err error) {
	l.queued.Queue(numbered(query), args...)
	err = l.send(1, func(results pgx.BatchResults) error {
		tag, err := results.Exec()
		n = tag.RowsAffected()
		return err
	})
	return n, err
}

func (l *postgresLane) query(query string, args []any, read func(gorm.Rows) error) error {
	return l.ask(query, args, func(rows pgx.Rows) error { return read(postgresRows{rows}) })
}

// ask runs a statement, with what is queued before it, and reads its rows.
func (l *postgresLane) ask(query string, args []any, read func(pgx.Rows) error) error {
	if l.queued.Len() > 0 || l.ended {
		l.queued.Queue(numbered(query), args...)
		return l.send(1, func(results pgx.BatchResults) error {
			rows, err := results.Query()
			return readRows(rows, err, read)
		})
	}
	rows, err := l.conn.Query(l.ctx, numbered(query), args...)
	return readRows(rows, err, read)
}

// readRows reads what a statement gives.
func readRows(rows pgx.Rows, err error, read func(pgx.Rows) error) error {
	if err != nil {
		return err
	}
	err = read(rows)
	rows.Close()
	if err == nil {
		err = rows.Err()
	}
	return err
}

// finish runs the last statement of a transaction and commits it, in one way.
func (l *postgresLane) finish(query fragment, read func(gorm.Rows) error) (err error) {
	defer func() { l.ended, l.lost = true, err }() // whoever goes on all the same writes nothing outside of a transaction
	if l.isFresh() {                               // and the statement is a transaction by itself
		l.queued = &pgx.Batch{}
		return l.query(query.text, query.args, read)
	}
	explicit := l.conclude(query)
	return l.send(1+explicit, func(results pgx.BatchResults) error {
		rows, err := results.Query()
		if err := readRows(rows, err, func(rows pgx.Rows) error { return read(postgresRows{rows}) }); err != nil {
			return err
		}
		if explicit == 0 {
			return nil
		}
		return committed(results)
	})
}

// isFresh reports whether nothing was done in the transaction.
func (l *postgresLane) isFresh() bool {
	return l.queued.Len() == 1 && l.queued.QueuedQueries[0].SQL == beginWriting
}

// conclude queues the last statements of a transaction and its end, and counts
// what the end takes: nothing, where the whole transaction is queued, for what
// goes to the server in one way is one by itself.
func (l *postgresLane) conclude(last ...fragment) (end int) {
	if q := l.queued.QueuedQueries; len(q) > 0 && q[0].SQL == beginWriting {
		l.queued.QueuedQueries = q[1:]
	} else {
		end = 1
	}
	for _, q := range last {
		l.queued.Queue(numbered(q.text), q.args...)
	}
	if end > 0 {
		l.queued.Queue("COMMIT")
	}
	return end
}

// reopen begins another transaction after finish.
func (l *postgresLane) reopen() error {
	l.ended = false
	return l.begin(readWrite)
}

// committed reads the outcome of COMMIT, which PostgreSQL takes for ROLLBACK
// after a statement that failed.
func committed(results pgx.BatchResults) error {
	tag, err := results.Exec()
	if err == nil && tag.String() == "ROLLBACK" {
		err = errors.New("the transaction was rolled back")
	}
	return err
}

const beginWriting = "BEGIN"

func (l *postgresLane) begin(kind txKind) error {
	if kind == readOnly {
		return l.later("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", nil)
	}
	return l.later(beginWriting, nil)
}

func (l *postgresLane) commit() error {
	if l.ended {
		return l.lost
	}
	if l.conn.PgConn().TxStatus() == 'I' && l.queued.Len() <= 1 {
		l.queued = &pgx.Batch{} // nothing was asked between BEGIN and now
		return nil
	}
	if l.conclude() == 0 {
		return l.send(0, func(pgx.BatchResults) error { return nil })
	}
	return l.send(1, committed)
}

func (l *postgresLane) rollback() error {
	l.queued = &pgx.Batch{}
	if l.conn.IsClosed() || l.conn.PgConn().TxStatus() == 'I' {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), 5*time.Second)
	defer cancel()
	if _, err := l.conn.Exec(ctx, "ROLLBACK"); err != nil {
		return errors.Join(err, l.conn.Close(ctx))
	}
	return nil
}

// postgresRows are rows as gorm reads them.
type postgresRows struct{ pgx.Rows }

// Columns are the names of the columns.
func (r postgresRows) Columns() ([]string, error) {
	fields := r.FieldDescriptions()
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names, nil
}

// ColumnTypes are asked for where rows are read into maps, which is nowhere.
func (postgresRows) ColumnTypes() ([]*sql.ColumnType, error) { return nil, nil }

// Close ends the reading.
func (r postgresRows) Close() error {
	r.Rows.Close()
	return r.Err()
}
