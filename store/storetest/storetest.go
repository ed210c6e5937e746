// Package storetest opens throw-away databases for tests: SQLite in a
// temporary folder, and PostgreSQL in a cluster that the test binary starts
// and stops by itself.
//
// PORTCULLIS_TEST_POSTGRES names a server to use instead. Where there is
// neither a server nor the programs to start one, the PostgreSQL half of a
// test is skipped; with CI=true it fails.
package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"portcullis/store"
)

// Each runs a test on both databases. open opens the database of that run;
// called again, it opens the same one again, as a second replica would.
func Each(t *testing.T, f func(t *testing.T, open func() *store.DB)) {
	t.Helper()
	EachURL(t, func(t *testing.T, databaseURL string) { f(t, opener(t, databaseURL)) })
}

// EachURL runs a test on both databases and gives the address of a fresh one,
// for tests that look behind the store's back.
func EachURL(t *testing.T, f func(t *testing.T, databaseURL string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		f(t, SQLiteURL(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		f(t, MigratedPostgresURL(t))
	})
}

// Raw opens the database of a URL without the store.
func Raw(tb testing.TB, databaseURL string) *sql.DB {
	tb.Helper()
	driver, address := "pgx", databaseURL
	if path, ok := strings.CutPrefix(databaseURL, "sqlite:"); ok {
		driver, address = "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

// SQLite opens a fresh SQLite database.
func SQLite(tb testing.TB) *store.DB {
	tb.Helper()
	return opener(tb, SQLiteURL(tb))()
}

func opener(tb testing.TB, databaseURL string) func() *store.DB {
	tb.Helper()
	return func() *store.DB {
		tb.Helper()
		db, err := store.Open(tb.Context(), store.Config{URL: databaseURL})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := db.Close(); err != nil {
				tb.Error(err)
			}
		})
		return db
	}
}

// server is a PostgreSQL server of this test binary.
type server struct {
	durable bool // a commit is on the disk when it is reported, as in service

	once sync.Once
	url  string
	err  error
	stop func()
	n    int
	mu   sync.Mutex

	migrated sync.Once // template, a database with the schema
	template string
	broken   error
}

// One server for all tests of a binary, which does not wait for the disk, and
// one for benchmarks, which does; Main stops them.
var (
	cluster = &server{}              //nolint:gochecknoglobals // see above
	durable = &server{durable: true} //nolint:gochecknoglobals // see above
)

var errAbsent = errors.New("no PostgreSQL: neither PORTCULLIS_TEST_POSTGRES nor the programs initdb and postgres")

// Main runs the tests of a package that uses PostgreSQL and stops the server
// that they started:
//
//	func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	if cluster.template != "" {
		dropTemplate() // of a server that goes on without us
	}
	for _, s := range []*server{cluster, durable} {
		if s.stop != nil {
			s.stop()
		}
	}
	return code
}

// PostgresURL gives a fresh, empty PostgreSQL database.
func PostgresURL(tb testing.TB) string {
	tb.Helper()
	return cluster.createDatabase(tb, "template0")
}

// DurablePostgresURL gives a fresh, empty PostgreSQL database that keeps what
// is committed when power is lost, as databases in service do and those of
// tests need not: for measurements of what writing costs. A server that
// PORTCULLIS_TEST_POSTGRES names is taken as it is.
func DurablePostgresURL(tb testing.TB) string {
	tb.Helper()
	return durable.createDatabase(tb, "template0")
}

// MigratedPostgresURL gives a fresh PostgreSQL database with the schema,
// copied: that takes a fraction of the migrations' time.
func MigratedPostgresURL(tb testing.TB) string {
	tb.Helper()
	cluster.once.Do(cluster.start)
	cluster.migrated.Do(func() {
		if cluster.err == nil {
			cluster.template, cluster.broken = makeTemplate()
		}
	})
	if cluster.broken != nil {
		tb.Fatal(cluster.broken)
	}
	return cluster.createDatabase(tb, cluster.template)
}

// makeTemplate makes a migrated database that nobody is connected to.
func makeTemplate() (string, error) {
	name := fmt.Sprintf("portcullis_%d_template", os.Getpid())
	admin, err := sql.Open("pgx", cluster.url)
	if err != nil {
		return "", err
	}
	defer admin.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + name, "CREATE DATABASE " + name} {
		if _, err := admin.ExecContext(ctx, statement); err != nil {
			return "", err
		}
	}
	u, err := url.Parse(cluster.url)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	db, err := store.Open(ctx, store.Config{URL: u.String()})
	if err != nil {
		return "", err
	}
	return name, db.Close()
}

func dropTemplate() {
	admin, err := sql.Open("pgx", cluster.url)
	if err != nil {
		return
	}
	defer admin.Close()
	_, _ = admin.ExecContext(context.Background(), "DROP DATABASE IF EXISTS "+cluster.template+" WITH (FORCE)")
}

func (s *server) createDatabase(tb testing.TB, template string) string {
	tb.Helper()
	s.once.Do(s.start)
	if errors.Is(s.err, errAbsent) && os.Getenv("CI") != "true" { //nolint:forbidigo // tests have no configuration
		tb.Skip(s.err)
	}
	if s.err != nil {
		tb.Fatal(s.err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	name := fmt.Sprintf("portcullis_%d_%d", os.Getpid(), s.n)
	if s.durable { // it may be the same server
		name += "_durable"
	}
	admin, err := sql.Open("pgx", s.url)
	if err != nil {
		tb.Fatal(err)
	}
	defer admin.Close()
	if _, err := admin.ExecContext(tb.Context(), "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		admin, err := sql.Open("pgx", s.url)
		if err != nil {
			return
		}
		defer admin.Close()
		_, _ = admin.ExecContext(context.Background(), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	})
	u, err := url.Parse(s.url)
	if err != nil {
		tb.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func (s *server) start() {
	if u := os.Getenv("PORTCULLIS_TEST_POSTGRES"); u != "" { //nolint:forbidigo // tests have no configuration
		s.url = u
		return
	}
	server, err := makeServer(s.durable)
	if err != nil {
		s.err = err
		return
	}
	s.url, s.stop = server.URL(), server.remove
}

// Tool finds one of PostgreSQL's programs, such as pg_dump, beside its server.
func Tool(tb testing.TB, name string) string {
	tb.Helper()
	path, err := program(name)
	if errors.Is(err, errAbsent) && os.Getenv("CI") != "true" { //nolint:forbidigo // tests have no configuration
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

// program finds one of PostgreSQL's programs.
func program(name string) (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) > 0 {
		return slices.Max(found), nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", errAbsent
	}
	return path, nil
}

// ordinaryUser gives the folder to somebody who is not root, for PostgreSQL
// refuses to run as root. The server ends with this process, come what may.
func ordinaryUser(dir string) (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT}
	if os.Getuid() != 0 {
		return attr, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, os.Chown(dir, int(uid), int(gid))
}

// await polls until the server answers.
func await(ctx context.Context, databaseURL string) error {
	db, err := sql.Open("pgx", databaseURL)
	if err != nil {
		return err
	}
	defer db.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w", err)
		case <-tick.C:
		}
	}
}
