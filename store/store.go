// Package store keeps everything the gate knows in SQLite or PostgreSQL. It
// implements the store interfaces of the packages that use it and is the only
// importer of gorm.
//
// SQLite is the embedded default for one machine, PostgreSQL is for replicas;
// both run the same conformance suite. Migrations are numbered SQL files, one
// set per dialect, applied at start under a lock, and never edited.
//
// Faults are made here once: a missing row is fault.NotFound, a clash is
// fault.Conflict, a database that is away is fault.Unavailable.
package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"portcullis/fault"
)

//go:embed migrations
var migrations embed.FS

// Config says where the database is.
type Config struct {
	URL string // "sqlite:PATH" or "postgres://…"; required

	// AsIs leaves the schema alone: where it is not that of this program, Open
	// fails with fault.Conflict. An empty database gets its schema all the same.
	AsIs bool
	// Observe hears of the begin of each transaction and of each read without
	// one ("write" or "read"); what it gives hears of the end. Nobody hears by
	// default.
	Observe func(ctx context.Context, kind string) func(error)
	Log     *slog.Logger // defaults to discarding
}

// DB is an open database, migrated. It is safe for concurrent use.
type DB struct {
	g       *gorm.DB
	sql     *sql.DB
	log     *slog.Logger
	dialect string
	observe func(context.Context, string) func(error) // never nil
	lanes   *sqliteLanes                              // SQLite's connections; nil on PostgreSQL
	tokens  atomic.Uint64                             // see tokenStore.Generation
	woken   chan struct{}                             // a change was committed, here or (PostgreSQL) anywhere
	told    chan struct{}                             // a change was committed here, and others are to be told (PostgreSQL)
	stop    context.CancelFunc
	done    chan struct{}
}

// Open opens the database and brings its schema up to date. It fails with
// fault.Unavailable when the database cannot be reached, and with
// fault.Invalid for a URL that it does not understand.
func Open(ctx context.Context, c Config) (*DB, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(context.Context, string) func(error) { return func(error) {} }
	}
	db := &DB{log: c.Log, observe: c.Observe, woken: make(chan struct{}, 1), told: make(chan struct{}, 1), done: make(chan struct{})}
	var dialector gorm.Dialector
	switch {
	case strings.HasPrefix(c.URL, "sqlite:"):
		db.dialect = "sqlite"
		path := strings.TrimPrefix(c.URL, "sqlite:")
		if err := reserve(path); err != nil {
			return nil, err
		}
		dialector = sqlite.New(sqlite.Config{DriverName: "sqlite", DSN: sqliteDSN(path)})
	case strings.HasPrefix(c.URL, "postgres://"), strings.HasPrefix(c.URL, "postgresql://"):
		db.dialect = "postgres"
		dialector = postgres.Open(c.URL)
	default:
		return nil, fault.New(fault.Invalid, "database url: want sqlite:PATH or postgres://…")
	}
	var err error
	db.g, err = gorm.Open(dialector, &gorm.Config{
		Logger: logger.Discard, SkipDefaultTransaction: true, DisableAutomaticPing: true,
	})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the database cannot be opened")
	}
	if db.sql, err = db.g.DB(); err != nil {
		return nil, err
	}
	conns := maxConns
	if db.dialect == "sqlite" {
		conns += readers + 1 // which the lanes keep
	}
	db.sql.SetMaxOpenConns(conns)
	db.sql.SetMaxIdleConns(conns)
	db.sql.SetConnMaxIdleTime(5 * time.Minute)
	if err := db.prepare(ctx, c.AsIs); err != nil {
		return nil, errors.Join(err, db.sql.Close())
	}
	if db.dialect == "sqlite" {
		db.lanes = newSQLiteLanes(db.sql)
	}
	listening, stop := context.WithCancel(context.WithoutCancel(ctx))
	db.stop = stop
	go db.listen(listening, c.URL)
	return db, nil
}

// sqliteDSN names the file and the settings that were measured: a writer
// takes its lock when the transaction begins, readers never wait, and what is
// committed survives a loss of power.
func sqliteDSN(path string) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)", "cache_size(-256)",
	}}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// reserve makes the file before SQLite does, which would let everybody read
// it. Its log files take over the mode.
func reserve(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "the database file cannot be opened")
	}
	return f.Close()
}

// Close ends every connection to the database.
func (db *DB) Close() error {
	db.stop()
	<-db.done
	var err error
	if db.lanes != nil {
		err = db.lanes.close()
	}
	return errors.Join(err, db.sql.Close())
}

// Ping reports whether the database answers. It fails with fault.Unavailable.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	return db.glance(ctx, func(t tx) error { return t.rows(&one, "SELECT 1") })
}

// Stats says how the connections to the database are used.
func (db *DB) Stats() sql.DBStats { return db.sql.Stats() }

func (db *DB) migrate(ctx context.Context) error {
	dialect, options := goose.DialectSQLite3, []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if db.dialect == "postgres" {
		dialect = goose.DialectPostgres
		// Asked once a second, not once in five, for a second replica waits meanwhile.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300), lock.WithUnlockTimeout(1, 60))
		if err != nil {
			return err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	files, err := fs.Sub(migrations, "migrations/"+db.dialect)
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(dialect, db.sql, files, options...)
	if err != nil {
		return err
	}
	applied, err := provider.Up(ctx)
	for try := 1; err != nil && db.dialect == "sqlite" && try < 5; try++ {
		applied, err = provider.Up(ctx) // another process was at it; each file is one transaction, so one of both wins
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "the database schema cannot be brought up to date")
	}
	for _, m := range applied {
		db.log.InfoContext(ctx, "migration applied", "file", m.Source.Path)
	}
	return nil
}

// tx is one transaction; it implements the Tx interface of every package.
type tx struct {
	g       *gorm.DB // maps rows to structs
	lane    lane
	dialect string
	write   bool
	memo    *memo // nil: it only reads
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
			return f(tx{g: db.g, lane: l, dialect: db.dialect, write: true, memo: &memory})
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
