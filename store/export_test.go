package store

import (
	"context"
	"strings"
	"testing"
)

// Fill runs statements in which BYTES stands for the dialect's type of bytes.
func Fill(t *testing.T, db *DB, statements []string) {
	t.Helper()
	kind := "BLOB"
	if db.dialect == "postgres" {
		kind = "BYTEA"
	}
	for _, s := range statements {
		if err := db.g.Exec(strings.ReplaceAll(s, "BYTES", kind)).Error; err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// PastQueries are the statements that read the past, with values filled in.
func PastQueries(db *DB) map[string]string {
	t := tx{dialect: db.dialect}
	fill := func(query string) string {
		query = strings.NewReplacer("?::jsonb", `'["p1","p2"]'::jsonb`, "json_each(?)", `json_each('["p1","p2"]')`).Replace(query)
		return strings.ReplaceAll(query, "?", "5")
	}
	return map[string]string{
		"assertions then": fill(t.lastAssertions("")), "complete assertions then": fill(t.lastAssertions("AND b.complete")),
	}
}

// Exec runs one statement.
type Exec func(query string, args ...any) (int64, error)

// Together runs f in a transaction that others may share.
func Together(ctx context.Context, db *DB, f func(Exec) error) error {
	return db.write(ctx, shared, func(t tx) error { return f(t.exec) })
}

// Alone runs f in a transaction of its own.
func Alone(ctx context.Context, db *DB, f func(Exec) error) error {
	return db.update(ctx, func(t tx) error { return f(t.exec) })
}

// Queued is how many wait to write.
func Queued(db *DB) int {
	w := &db.lanes.writers
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue)
}

// RareActions is for the plan of a list of events.
var RareActions = rareActions
