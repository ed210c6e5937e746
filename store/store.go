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
	"sync"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"gorm.io/driver/postgres"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	sqlite3 "modernc.org/sqlite"

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
	texts   sync.Map                                  // see written
	convoys *convoys                                  // of PostgreSQL
	tokens  atomic.Uint64                             // see tokenStore.Generation
	woken   chan struct{}                             // a change was committed, here or (PostgreSQL) anywhere
	name    string                                    // by which this replica knows its own notifications
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
	db := &DB{
		log: c.Log, observe: c.Observe, name: rand.Text(),
		woken: make(chan struct{}, 1), told: make(chan struct{}, 1), done: make(chan struct{}),
		convoys: newConvoys(hold),
	}
	var dialector gorm.Dialector
	switch {
	case strings.HasPrefix(c.URL, "sqlite:"):
		db.dialect = "sqlite"
		pool, err := openSQLite(ctx, strings.TrimPrefix(c.URL, "sqlite:"))
		if err != nil {
			return nil, err
		}
		dialector = sqlite.New(sqlite.Config{DriverName: "sqlite", Conn: pool})
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
// committed survives a loss of power. The log goes over into the file when it
// has 16 MiB, for the pages that each push writes go over once then.
func sqliteDSN(path string) string {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)", "cache_size(-256)", "wal_autocheckpoint(4096)",
	}}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// openSQLite opens the file, and makes it where there is none.
func openSQLite(ctx context.Context, path string) (*sql.DB, error) {
	if err := reserve(path); err != nil {
		return nil, err
	}
	pool, err := sql.Open("sqlite", sqliteDSN(path))
	if err != nil {
		return nil, err
	}
	if err := goOver(ctx, pool); err != nil {
		return nil, errors.Join(fault.Wrap(fault.Unavailable, err, "the database cannot be opened"), pool.Close())
	}
	return pool, nil
}

// goOver makes the first connection, which takes a new file over to the
// write-ahead log. While another process is at the same, SQLite answers "busy"
// at once, whatever busy_timeout says: it holds a lock for reading then, and two
// that wait with one could wait for each other.
func goOver(ctx context.Context, pool *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		err := pool.PingContext(ctx)
		if e, ok := errors.AsType[*sqlite3.Error](err); !ok || e.Code() != sqliteBusy {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(5 * time.Millisecond):
		}
	}
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
