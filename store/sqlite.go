package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strconv"
	"sync"

	"gorm.io/gorm"
)

// maxPrepared bounds what one connection keeps prepared. The statements of
// this package are fewer; those of filters, which come in any number of
// shapes, are not kept.
const maxPrepared = 512

// sqliteLanes are the connections to an SQLite file: one that writes, for
// SQLite has one writer at a time, and some that read. Each keeps what it has
// prepared.
type sqliteLanes struct {
	sql     *sql.DB
	writers writers
	readers chan struct{} // those who read
	done    chan struct{}

	mu   sync.Mutex
	idle []*sqliteConn // for reading, those used last at the end: what they have read is still in memory
}

// readers is how many may read at the same time: more than SCIM may have at
// work, so that some are left for people who sign in.
const readers = 16

func newSQLiteLanes(db *sql.DB) *sqliteLanes {
	return &sqliteLanes{sql: db, readers: make(chan struct{}, readers), done: make(chan struct{})}
}

// with runs f on a connection and takes it back.
func (s *sqliteLanes) with(ctx context.Context, write bool, f func(lane) error) error {
	if write {
		return s.alone(ctx, f) // waiting there is fair, SQLite's busy handler is not
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	c, sound := s.lastUsed(), false
	defer func() {
		if c != nil && (!sound || c.broken) {
			_ = c.close()
			c = nil
		}
		s.keep(c)
		<-s.readers
	}()
	c, err := s.opened(ctx, c)
	if err == nil {
		err = f(&sqliteLane{ctx: ctx, c: c})
	}
	sound = true
	return err
}

// enter waits until there is room for one more who reads.
func (s *sqliteLanes) enter(ctx context.Context) error {
	select {
	case <-s.done:
		return sql.ErrConnDone
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.readers <- struct{}{}:
		return nil
	default:
	}
	select {
	case <-s.done:
		return sql.ErrConnDone
	case <-ctx.Done():
		return ctx.Err()
	case s.readers <- struct{}{}:
		return nil
	}
}

// lastUsed takes an idle connection; nil if there is none.
func (s *sqliteLanes) lastUsed() *sqliteConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.idle) - 1
	if last < 0 {
		return nil
	}
	c := s.idle[last]
	s.idle = s.idle[:last]
	return c
}

func (s *sqliteLanes) keep(c *sqliteConn) {
	if c == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, c)
}

// opened gives the connection, which is opened if there is none.
func (s *sqliteLanes) opened(ctx context.Context, c *sqliteConn) (*sqliteConn, error) {
	if c != nil {
		return c, nil
	}
	conn, err := s.sql.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &sqliteConn{conn: conn, prepared: make(map[string]*sql.Stmt)}, nil
}

// writerCache is how much the connection that writes keeps of the file, in KiB:
// nobody else changes it, so that what it keeps stays right.
const writerCache = 4096

// forWriting gives the connection that writes, and opens it where there is
// none.
func (s *sqliteLanes) forWriting(ctx context.Context, c *sqliteConn) (*sqliteConn, error) {
	if c != nil {
		return c, nil
	}
	c, err := s.opened(ctx, nil)
	if err != nil {
		return nil, err
	}
	if _, err := c.conn.ExecContext(ctx, "PRAGMA cache_size = -"+strconv.Itoa(writerCache)); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// close waits for whoever is at work and closes every connection.
func (s *sqliteLanes) close() (err error) {
	t, first := s.writers.close()
	if !first {
		return nil
	}
	close(s.done)
	conns := []*sqliteConn{t.c}
	for range cap(s.readers) {
		s.readers <- struct{}{}
	}
	conns = append(conns, s.idle...)
	for _, c := range conns {
		if c != nil {
			err = errors.Join(err, c.close())
		}
	}
	return err
}

// sqliteConn is one connection and what it has prepared.
type sqliteConn struct {
	conn     *sql.Conn
	prepared map[string]*sql.Stmt
	direct   map[string]directStmt // see stmt
	broken   bool                  // it may be within a transaction still

	version int64          // of the data, when counts were taken
	counts  map[string]int // see counted
}

// maxCounts bounds what counts hold.
const maxCounts = 256

// counted counts rows, unless nobody has written anything since they were
// counted on this connection. A connection that writes does not see its own
// changes here, so it does not ask.
func (l *sqliteLane) counted(key string, count func() (int, error)) (int, error) {
	var version int64
	short := *l
	short.brief, short.once = true, false
	err := short.pick("PRAGMA data_version", nil, func(rows picked) error {
		rows.Next()
		return rows.Scan(&version)
	})
	if err != nil {
		return 0, err
	}
	if l.c.counts == nil || l.c.version != version || len(l.c.counts) >= maxCounts {
		l.c.version, l.c.counts = version, make(map[string]int)
	}
	if n, ok := l.c.counts[key]; ok {
		return n, nil
	}
	n, err := count()
	if err == nil {
		// What is written between the two statements changes the version.
		l.c.counts[key] = n
	}
	return n, err
}

func (c *sqliteConn) close() error {
	err := c.conn.Raw(func(any) error { return c.forget() })
	for _, s := range c.prepared {
		err = errors.Join(err, s.Close())
	}
	return errors.Join(err, c.conn.Close())
}

// sqliteLane is a connection that somebody works with.
type sqliteLane struct {
	ctx   context.Context //nolint:containedctx // a transaction has one context, as a *sql.Tx has
	c     *sqliteConn
	write bool
	open  bool // within a transaction
	once  bool // what is run is not kept prepared
	brief bool // what is run takes no time worth cancelling
}

// statement gives a prepared statement; nil if it is not to be one.
func (l *sqliteLane) statement(query string) (*sql.Stmt, error) {
	if s, ok := l.c.prepared[query]; ok {
		return s, nil
	}
	if l.once || len(l.c.prepared) >= maxPrepared {
		return nil, nil
	}
	s, err := l.c.conn.PrepareContext(l.ctx, query)
	if err != nil {
		return nil, err
	}
	l.c.prepared[query] = s
	return s, nil
}

// patient is the context of one statement. The driver starts a goroutine for
// each that can be cancelled, and database/sql another; what writes is short,
// and is cancelled between statements.
func (l *sqliteLane) patient() (context.Context, error) {
	if l.write || l.brief {
		return context.WithoutCancel(l.ctx), l.ctx.Err()
	}
	return l.ctx, nil
}

func (l *sqliteLane) exec(query string, args []any) (n int64, err error) {
	if l.isDirect() {
		err = l.directly(query, args, func(s directStmt, values []driver.NamedValue) error {
			res, err := s.ExecContext(context.WithoutCancel(l.ctx), values)
			if err == nil {
				n, err = res.RowsAffected()
			}
			return err
		})
		return n, err
	}
	ctx, err := l.patient()
	if err != nil {
		return 0, err
	}
	s, err := l.statement(query) //nolint:sqlclosecheck // it is kept, and closed with its connection
	if err != nil {
		return 0, err
	}
	var res sql.Result
	if s == nil {
		res, err = l.c.conn.ExecContext(ctx, query, args...)
	} else {
		res, err = s.ExecContext(ctx, args...)
	}
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (l *sqliteLane) later(query string, args []any) error {
	_, err := l.exec(query, args)
	return err
}

func (l *sqliteLane) query(query string, args []any, read func(gorm.Rows) error) error {
	ctx, err := l.patient()
	if err != nil {
		return err
	}
	s, err := l.statement(query) //nolint:sqlclosecheck // it is kept, and closed with its connection
	if err != nil {
		return err
	}
	var rows *sql.Rows
	if s == nil {
		rows, err = l.c.conn.QueryContext(ctx, query, args...)
	} else {
		rows, err = s.QueryContext(ctx, args...)
	}
	if err != nil {
		return err
	}
	return closing(rows, read)
}

// begin takes the lock of a writer at once: to take it later fails where
// somebody else has written meanwhile.
func (l *sqliteLane) begin(kind txKind) error {
	statement := "BEGIN IMMEDIATE"
	if kind == readOnly {
		statement = "BEGIN"
	}
	_, err := l.exec(statement, nil)
	l.open = err == nil
	return err
}

func (l *sqliteLane) commit() error {
	if err := l.ctx.Err(); err != nil {
		return err // whoever asked has been told that it failed
	}
	l.ctx = context.WithoutCancel(l.ctx)
	_, err := l.exec("COMMIT", nil)
	l.open = err != nil
	return err
}

func (l *sqliteLane) rollback() error {
	if !l.open {
		return nil
	}
	l.ctx = context.WithoutCancel(l.ctx)
	_, err := l.exec("ROLLBACK", nil)
	if err != nil {
		// SQLite rolls back by itself when the disk is full, and says that
		// there is nothing left to end: the connection tells, a new one knows.
		l.c.broken = true
	}
	return nil
}
