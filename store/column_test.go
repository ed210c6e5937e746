package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"portcullis/directory"
	"portcullis/store"
	"portcullis/store/storetest"
)

// tx1 is what one transaction does.
type tx1 = func(directory.Tx) error

// column is a line of transactions on PostgreSQL.
type column struct {
	t    *testing.T
	url  string
	db   *store.DB
	errs []chan error
}

func newColumn(t *testing.T) *column {
	t.Helper()
	c := &column{t: t, url: storetest.MigratedPostgresURL(t)}
	db, err := store.Open(t.Context(), store.Config{URL: c.url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	store.HoldLines(db, time.Minute, time.Minute)
	c.db = db
	seed(t, db)
	return c
}

// blocked begins a transaction that has run some statements, and gives what
// commits it.
func (c *column) blocked(statements ...string) (free func()) {
	c.t.Helper()
	tx, err := storetest.Raw(c.t, c.url).BeginTx(c.t.Context(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = tx.Rollback() })
	for _, s := range statements {
		if _, err := tx.ExecContext(c.t.Context(), s); err != nil {
			c.t.Fatal(err)
		}
	}
	return func() {
		c.t.Helper()
		if err := tx.Commit(); err != nil {
			c.t.Fatal(err)
		}
	}
}

// fill begins as many transactions as go by themselves, each of which waits for
// a lock.
func (c *column) fill(f func(id string) tx1) {
	c.t.Helper()
	for i := range store.Few {
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := c.db.Directory().UpdateOne(c.t.Context(), f(fmt.Sprintf("busy%d", i))); err != nil {
				c.t.Error(err)
			}
		}()
		awaitLocks(c.t, c.url, i+1, done)
	}
}

// queue begins transactions that wait for those.
func (c *column) queue(ctx context.Context, all ...tx1) {
	c.t.Helper()
	for _, f := range all {
		done := make(chan struct{})
		err := make(chan error, 1)
		c.errs = append(c.errs, err)
		go func() {
			defer close(done)
			err <- c.db.Directory().UpdateOne(ctx, f)
		}()
		for limit := time.Now().Add(time.Minute); store.InLine(c.db) != len(c.errs); {
			select {
			case <-done:
				c.t.Fatalf("transaction %d does not wait", len(c.errs))
			case <-time.After(time.Millisecond):
			}
			if time.Now().After(limit) {
				c.t.Fatalf("%d wait, want %d", store.InLine(c.db), len(c.errs))
			}
		}
	}
}

// outcomes are what the transactions gave.
func (c *column) outcomes() (errs []error) {
	for _, e := range c.errs {
		errs = append(errs, <-e)
	}
	return errs
}

// scan reads one row.
func (c *column) scan(query string, places ...any) {
	c.t.Helper()
	if err := storetest.Raw(c.t, c.url).QueryRowContext(c.t.Context(), query).Scan(places...); err != nil {
		c.t.Fatalf("%s: %v", query, err)
	}
}

// dump is what tables hold, but for numbers that are given in the order of the
// rows, and the clock of the server.
func (c *column) dump() string {
	c.t.Helper()
	var b strings.Builder
	for _, table := range []string{"people", "person_emails", "people_history", "losses", "audit_events", "sessions", "changes"} {
		without := "- 'seq' - 'xact' - 'assertion_id'"
		if table == "changes" {
			without += " - 'at'"
		}
		var rows sql.NullString
		c.scan(fmt.Sprintf("SELECT string_agg(r, E'\\n' ORDER BY r) FROM (SELECT (to_jsonb(t) %s)::text AS r FROM %s t) rows WHERE r NOT LIKE '%%busy%%'", without, table), &rows)
		fmt.Fprintf(&b, "%s\n%s\n", table, rows.String)
	}
	return b.String()
}
