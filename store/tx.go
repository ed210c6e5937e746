package store

import (
	"context"
	"crypto/rand"
	"reflect"
	"sync"
	"time"

	"gorm.io/gorm"

	"portcullis/fault"
)

// tx is one transaction; it implements the Tx interface of every package.
type tx struct {
	g       *gorm.DB // maps rows to structs
	lane    lane
	dialect string
	write   bool
	memo    *memo     // nil: it only reads
	texts   *sync.Map // of long statements that are run often, by what they depend on
}

// statement is what the text of a statement depends on. There are few of a kind.
type statement interface {
	comparable
	String() string
}

// written is the text of a statement. It is written once: to do that takes longer than
// to hand it on.
func written[S statement](t tx, s S) string {
	kept, _ := t.texts.Load(s)
	text, ok := kept.(string)
	if !ok {
		if text = s.String(); t.dialect == "postgres" {
			text = numbered(text)
		}
		t.texts.Store(s, text)
	}
	return text
}

// memo is what a transaction remembers from one statement to the next.
type memo struct {
	changed bool   // a change record was written
	clients bool   // an organization was: what tokens may do has changed
	held    person // the row that was read or written last, locked
}

// forUpdate makes a read that a write will follow wait for other writers of
// the same row. SQLite has one writer at a time anyway.
func (t tx) forUpdate(query, table string) string {
	if t.write && t.dialect == "postgres" {
		return query + " FOR UPDATE OF " + table
	}
	return query
}

// forShare makes a read wait for writers of the same row, and them for it.
func (t tx) forShare(query string) string {
	if t.write && t.dialect == "postgres" {
		return query + " FOR SHARE"
	}
	return query
}

// maxConns is how many connections to the database there are beside those that
// the lanes of SQLite keep.
const maxConns = 16

// update runs f in one read-write transaction. PostgreSQL may ask to try
// again (serialization failure, deadlock); f is then called again.
func (db *DB) update(ctx context.Context, f func(tx) error) error {
	return db.write(ctx, readWrite, f)
}

func (db *DB) write(ctx context.Context, kind txKind, f func(tx) error) (err error) {
	const tries = 12
	ctx, release := patiently(ctx)
	defer release()
	told := db.observe(ctx, "write")
	defer func() { told(err) }()
	for try := 1; ; try++ {
		memory := memo{}
		err = db.transaction(ctx, kind, func(l lane) error {
			return f(tx{g: db.g, lane: l, dialect: db.dialect, write: true, memo: &memory, texts: &db.texts})
		})
		if memory.clients {
			db.tokens.Add(1) // whatever comes of it, see updateTokens
		}
		if err == nil && memory.changed {
			db.wake()
			db.spread()
		}
		if try == tries || !retryable(err) || !pause(ctx, try) {
			return err
		}
	}
}

// pause waits a little, at random, so that those who clashed do not clash
// again; false if ctx ended meanwhile.
func pause(ctx context.Context, try int) bool {
	var random [1]byte
	_, _ = rand.Read(random[:]) // never fails
	timer := time.NewTimer(time.Duration(try) * time.Duration(random[0]) * 100 * time.Microsecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// view runs f in one read-only transaction, which sees one state throughout.
func (db *DB) view(ctx context.Context, f func(tx) error) (err error) {
	ctx, release := patiently(ctx)
	defer release()
	told := db.observe(ctx, "read")
	defer func() { told(err) }()
	return db.transaction(ctx, readOnly, func(l lane) error {
		return f(tx{g: db.g, lane: l, dialect: db.dialect})
	})
}

// glance runs reads without a transaction: on PostgreSQL its begin and end cost
// as much as a look-up each.
func (db *DB) glance(ctx context.Context, f func(tx) error) (err error) {
	ctx, release := patiently(ctx)
	defer release()
	told := db.observe(ctx, "read")
	defer func() { told(err) }()
	var own error
	err = db.onLane(ctx, false, func(l lane) error {
		own = f(tx{g: db.g, lane: l, dialect: db.dialect})
		return nil
	})
	if own != nil {
		return own
	}
	return classify(err)
}

// rows reads into out, a pointer to a list.
func (t tx) rows(out any, query string, args ...any) error {
	_, err := t.scan(out, query, args)
	return err
}

// scan reads into out and counts the rows.
func (t tx) scan(out any, query string, args []any) (n int64, err error) {
	if err := storable(args...); err != nil {
		return 0, err
	}
	err = t.lane.query(query, args, func(rows gorm.Rows) error {
		n, err = t.read(rows, out)
		return err
	})
	return n, classify(err)
}

// readStructs lets gorm fill a struct or a list of structs.
func (t tx) readStructs(rows gorm.Rows, out any) (int64, error) {
	g := t.g.Session(&gorm.Session{Context: context.Background()}) // which no query is run in
	g.Statement.Dest, g.Statement.ReflectValue = out, reflect.ValueOf(out).Elem()
	if err := g.Statement.Parse(out); err != nil {
		return 0, err
	}
	gorm.Scan(rows, g, 0)
	return g.RowsAffected, g.Error
}

// once gives the transaction for statements that come in any number of shapes:
// they are not kept prepared. (pgx bounds what it keeps by itself.)
func (t tx) once() tx {
	if l, ok := t.lane.(*sqliteLane); ok {
		other := *l
		other.once = true
		t.lane = &other
	}
	return t
}

// briefly gives the transaction for statements that read a few rows by an
// index: they are not cancelled half-way.
func (t tx) briefly() tx {
	if l, ok := t.lane.(*sqliteLane); ok {
		other := *l
		other.brief = true
		t.lane = &other
	}
	return t
}

// row reads one row into out; a missing one is fault.NotFound.
func (t tx) row(out any, what, query string, args ...any) error {
	n, err := t.scan(out, query, args)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such %s", what)
	}
	return err
}

// exec runs a statement and gives the number of rows that it touched.
func (t tx) exec(query string, args ...any) (int64, error) {
	if err := storable(args...); err != nil {
		return 0, err
	}
	n, err := t.lane.exec(query, args)
	return n, classify(err)
}

// later runs a statement whose outcome nobody looks at. That it went wrong may
// come to light with the next one, or when the transaction ends.
func (t tx) later(query string, args ...any) error {
	if err := storable(args...); err != nil {
		return err
	}
	return classify(t.lane.later(query, args))
}

// one runs a statement that must touch a row; otherwise fault.NotFound.
func (t tx) one(what, query string, args ...any) error {
	n, err := t.exec(query, args...)
	if err == nil && n == 0 {
		return fault.New(fault.NotFound, "no such %s", what)
	}
	return err
}

// micros and moment convert times; 0 is the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
