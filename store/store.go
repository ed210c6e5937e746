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
	"strings"
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
	URL string       // "sqlite:PATH" or "postgres://…"; required
	Log *slog.Logger // defaults to discarding
}

// DB is an open database, migrated. It is safe for concurrent use.
type DB struct {
	g       *gorm.DB
	sql     *sql.DB
	log     *slog.Logger
	dialect string
	writer  chan struct{} // SQLite has one writer: waiting here is fair, its busy handler is not
	woken   chan struct{} // a change was committed, here or (PostgreSQL) anywhere
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
	db := &DB{log: c.Log, woken: make(chan struct{}, 1), done: make(chan struct{})}
	var dialector gorm.Dialector
	switch {
	case strings.HasPrefix(c.URL, "sqlite:"):
		db.dialect, db.writer = "sqlite", make(chan struct{}, 1)
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
		Logger: logger.Discard, SkipDefaultTransaction: true, PrepareStmt: true, DisableAutomaticPing: true,
		PrepareStmtTTL: foreverTTL,
	})
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the database cannot be opened")
	}
	if db.sql, err = db.g.DB(); err != nil {
		return nil, err
	}
	db.sql.SetMaxOpenConns(16)
	db.sql.SetMaxIdleConns(16)
	db.sql.SetConnMaxIdleTime(5 * time.Minute)
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(err, db.sql.Close())
	}
	listening, stop := context.WithCancel(context.WithoutCancel(ctx))
	db.stop = stop
	go db.listen(listening, c.URL)
	return db, nil
}

// foreverTTL is what gorm 1.31 takes for "prepared statements do not expire".
// With any other value it starts a goroutine that nothing stops. Their number
// is bounded by the statements in this package: lists are one argument.
const foreverTTL = 10 * 365 * 24 * time.Hour

// sqliteDSN names the file and the settings that were measured: a writer
// takes its lock when the transaction begins, readers never wait, and what is
// committed survives a loss of power.
func sqliteDSN(path string) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)",
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
	return db.sql.Close()
}

// Ping reports whether the database answers. It fails with fault.Unavailable.
func (db *DB) Ping(ctx context.Context) error {
	return classify(db.g.WithContext(ctx).Exec("SELECT 1").Error)
}

// Stats says how the connections to the database are used.
func (db *DB) Stats() sql.DBStats { return db.sql.Stats() }

func (db *DB) migrate(ctx context.Context) error {
	if err := db.sql.PingContext(ctx); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the database cannot be reached")
	}
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
	g       *gorm.DB
	dialect string
	write   bool
	changed *bool // a change record was written
}

// forUpdate makes a read that a write will follow wait for other writers of
// the same row. SQLite has one writer at a time anyway.
func (t tx) forUpdate(query, table string) string {
	if t.write && t.dialect == "postgres" {
		return query + " FOR UPDATE OF " + table
	}
	return query
}

// patience bounds a transaction on a database that has fallen silent, so that
// nobody waits for ever. The largest push takes a fraction of it.
const patience = time.Minute

// update runs f in one read-write transaction. PostgreSQL may ask to try
// again (serialization failure, deadlock); f is then called again.
func (db *DB) update(ctx context.Context, f func(tx) error) error {
	const tries = 12
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if db.writer != nil {
		select {
		case db.writer <- struct{}{}:
			defer func() { <-db.writer }()
		case <-ctx.Done():
			return classify(ctx.Err())
		}
	}
	for try := 1; ; try++ {
		changed := false
		err := db.transaction(ctx, func(g *gorm.DB) error {
			return f(tx{g: g, dialect: db.dialect, write: true, changed: &changed})
		})
		if err == nil && changed {
			db.wake()
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

// transaction runs f in a transaction. What f returns is returned as it is:
// the database's own errors are faults by then, and the rest is not the
// database's.
func (db *DB) transaction(ctx context.Context, f func(*gorm.DB) error, options ...*sql.TxOptions) error {
	var own error
	err := db.g.WithContext(ctx).Transaction(func(g *gorm.DB) error {
		own = f(g)
		return own
	}, options...)
	if own != nil {
		return own
	}
	return classify(err)
}

// view runs f in one read-only transaction, which sees one state throughout.
func (db *DB) view(ctx context.Context, f func(tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	options := &sql.TxOptions{ReadOnly: true}
	if db.dialect == "postgres" {
		options.Isolation = sql.LevelRepeatableRead
	}
	return db.transaction(ctx, func(g *gorm.DB) error {
		return f(tx{g: g, dialect: db.dialect, changed: new(bool)})
	}, options)
}

// glance runs reads without a transaction: on PostgreSQL its begin and end cost
// as much as a look-up each.
func (db *DB) glance(ctx context.Context, f func(tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return f(tx{g: db.g.WithContext(ctx), dialect: db.dialect, changed: new(bool)})
}

// rows reads into out, a pointer to a slice.
func (t tx) rows(out any, query string, args ...any) error {
	args, err := arguments(args)
	if err != nil {
		return err
	}
	return classify(t.g.Raw(query, args...).Scan(out).Error)
}

// once gives the transaction without its cache of prepared statements, for
// statements that come in any number of shapes: the cache has no bound.
func (t tx) once() tx {
	g := t.g.Session(&gorm.Session{Context: t.g.Statement.Context})
	switch pool := g.Statement.ConnPool.(type) {
	case *gorm.PreparedStmtTX:
		g.Statement.ConnPool = pool.Tx
	case *gorm.PreparedStmtDB:
		g.Statement.ConnPool = pool.ConnPool
	}
	t.g = g
	return t
}

// row reads one row into out; a missing one is fault.NotFound.
func (t tx) row(out any, what, query string, args ...any) error {
	args, err := arguments(args)
	if err != nil {
		return err
	}
	res := t.g.Raw(query, args...).Scan(out)
	if res.Error != nil {
		return classify(res.Error)
	}
	if res.RowsAffected == 0 {
		return fault.New(fault.NotFound, "no such %s", what)
	}
	return nil
}

// exec runs a statement and gives the number of rows that it touched.
func (t tx) exec(query string, args ...any) (int64, error) {
	args, err := arguments(args)
	if err != nil {
		return 0, err
	}
	res := t.g.Exec(query, args...)
	return res.RowsAffected, classify(res.Error)
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
