package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
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

// OtherEmails are the addresses of a resource beside the main one.
func OtherEmails(attributes, main string) []string {
	row := person{Attributes: attributes, Email: main, EmailKey: strings.ToLower(main)}
	return row.otherEmails()
}

// MergeQueries are those for the newest rows of connections, by the index that
// each is to use.
func MergeQueries(db *DB, connections []string, before int64, limit int) map[string]string {
	out := make(map[string]string)
	for index, m := range map[string]merge{
		"login_traces_log":        {table: "login_traces", where: sqlf(always)},
		"login_traces_log_failed": {table: "login_traces", where: sqlf("NOT came_in")},
		"scim_log_connection":     {table: "scim_log", where: sqlf(always)},
		"scim_log_refused_log":    {table: "scim_log", where: sqlf("status >= 400")},
		"audit_events_connection": {table: "audit_events", where: sqlf("sealed")},
	} {
		m.index, m.connections, m.before, m.limit = index, connections, before, limit
		query, err := m.seqs(db.dialect)
		if err != nil {
			panic(err)
		}
		for _, arg := range query.args {
			value := fmt.Sprint(arg)
			if text, ok := arg.(string); ok {
				value = "'" + text + "'"
			}
			query.text = strings.Replace(query.text, "?", value, 1)
		}
		out[index] = query.text
	}
	return out
}

// HoldLines lets those under way on PostgreSQL keep others waiting for as long
// as hold; a transaction that does the work of several waits for locks as long as
// hurry.
func HoldLines(db *DB, hold, hurry time.Duration) {
	db.convoys = newConvoys(hold)
	db.convoys.hurry = newConvoys(hurry).hurry
}

// DismissTogether is the statement that dismisses several people, and the
// settings that it is planned by.
func DismissTogether() (statement, settings string) {
	return numbered(dismissal{all: true}.String()), strings.Replace(hurried, "?", "'1min'", 1)
}

// Few is how many of a line go by themselves.
const Few = few

// InLine is how many wait for others to arrive, on PostgreSQL.
func InLine(db *DB) (n int) { return db.convoys.arrivals.waiting() + db.convoys.departures.waiting() }

func (c *convoy[T]) waiting() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.lines {
		n += len(l.waiting)
	}
	return n
}
