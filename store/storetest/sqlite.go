package storetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"portcullis/store"
)

// schema is a migrated SQLite file, for all tests of a binary.
var schema = sync.OnceValues(makeSchema) //nolint:gochecknoglobals // made once, and never changed

// SQLiteURL gives a fresh SQLite database with the schema, copied: that takes a
// fraction of the migrations' time.
func SQLiteURL(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "portcullis.db")
	SQLiteFile(tb, path)
	return "sqlite:" + path
}

// SQLiteFile makes a file as the one of [SQLiteURL], at a path of the test's own.
func SQLiteFile(tb testing.TB, path string) {
	tb.Helper()
	file, err := schema()
	if err == nil {
		err = os.WriteFile(path, file, 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// makeSchema makes a migrated file and reads it: when the store has closed it,
// nothing is left in its log.
func makeSchema() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "portcullis-sqlite-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	path := filepath.Join(dir, "portcullis.db")
	db, err := store.Open(ctx, store.Config{URL: "sqlite:" + path})
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path) //nolint:gosec // a file of this test's own
}
