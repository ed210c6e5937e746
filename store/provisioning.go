package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"portcullis/scim"
)

var _ scim.JournalStore = journalStore{}

type journalStore struct{ db *DB }

// Journal gives the store of the provisioning log.
func (db *DB) Journal() scim.JournalStore { return journalStore{db} }

// logEntry is a row of scim_log.
type logEntry struct {
	Seq        int64  `gorm:"column:seq;->"`
	At         int64  `gorm:"column:at"`
	Connection string `gorm:"column:connection"`
	Token      string `gorm:"column:token"`
	Address    string `gorm:"column:address"`
	Method     string `gorm:"column:method"`
	Path       string `gorm:"column:path"`
	Status     int    `gorm:"column:status"`
	Cause      string `gorm:"column:cause"`
	Body       string `gorm:"column:body"`
	Took       int64  `gorm:"column:took"`
}

func (r *logEntry) domain() scim.Entry {
	return scim.Entry{
		Seq: r.Seq, At: moment(r.At), Connection: r.Connection, Token: r.Token, Address: r.Address, Method: r.Method, Path: r.Path,
		Status: r.Status, Cause: r.Cause, Body: r.Body, Took: time.Duration(r.Took) * time.Microsecond,
	}
}

func (s journalStore) AppendJournal(ctx context.Context, entries []scim.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	for _, e := range entries {
		if err := storable(e.Connection, e.Token, e.Address, e.Method, e.Path, e.Cause, e.Body); err != nil {
			return err
		}
	}
	return s.db.update(ctx, func(t tx) error {
		if t.dialect == "postgres" {
			return t.appendArrays(entries)
		}
		return t.appendRows(entries)
	})
}

// What a row costs alone is for the most part its statement: for SQLite the
// beginning and the end of it, for PostgreSQL its way there. Therefore many rows
// go with one.
const (
	entryInto = " INTO scim_log (at, connection, token, address, method, path, status, cause, body, took) "
	entryRow  = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

	entriesTogether = 8   // on SQLite, whose driver looks each value up among all of them
	entriesAtOnce   = 500 // on PostgreSQL
)

func (t tx) appendRows(entries []scim.Entry) error {
	// OR FAIL spares SQLite a journal of the statement: what goes wrong with one
	// row takes the transaction back.
	one := "INSERT OR FAIL" + entryInto + "VALUES " + entryRow
	many := one + strings.Repeat(", "+entryRow, entriesTogether-1)
	args := make([]any, 0, 10*entriesTogether)
	for len(entries) > 0 {
		n, query := entriesTogether, many
		if len(entries) < n {
			n, query = 1, one
		}
		args = args[:0]
		for _, e := range entries[:n] {
			args = append(args, micros(e.At), e.Connection, e.Token, e.Address, e.Method, e.Path, e.Status, e.Cause, e.Body, e.Took.Microseconds())
		}
		if err := t.later(query, args...); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

func (t tx) appendArrays(entries []scim.Entry) error {
	for some := range slices.Chunk(entries, entriesAtOnce) {
		err := t.later("INSERT"+entryInto+`SELECT * FROM unnest(?::bigint[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[], ?::bigint[], ?::text[], ?::text[], ?::bigint[])`,
			each(some, func(e scim.Entry) int64 { return micros(e.At) }),
			each(some, func(e scim.Entry) string { return e.Connection }),
			each(some, func(e scim.Entry) string { return e.Token }),
			each(some, func(e scim.Entry) string { return e.Address }),
			each(some, func(e scim.Entry) string { return e.Method }),
			each(some, func(e scim.Entry) string { return e.Path }),
			each(some, func(e scim.Entry) int64 { return int64(e.Status) }),
			each(some, func(e scim.Entry) string { return e.Cause }),
			each(some, func(e scim.Entry) string { return e.Body }),
			each(some, func(e scim.Entry) int64 { return e.Took.Microseconds() }))
		if err != nil {
			return err
		}
	}
	return nil
}

// each gives one value of each entry.
func each[T any](entries []scim.Entry, of func(scim.Entry) T) []T {
	out := make([]T, len(entries))
	for i := range entries {
		out[i] = of(entries[i])
	}
	return out
}

func (s journalStore) Journal(ctx context.Context, q scim.JournalQuery) ([]scim.Entry, error) {
	query, err := s.requests(q, sqlf(always), logWay{})
	if err != nil {
		return nil, err
	}
	var rows []logEntry
	err = s.db.view(ctx, func(t tx) error { return t.rows(&rows, query.text, query.args...) })
	out := make([]scim.Entry, len(rows))
	for i := range rows {
		out[i] = rows[i].domain()
	}
	return out, err
}

// requests is a query for entries of which something else is true, too.
func (s journalStore) requests(q scim.JournalQuery, where fragment, way logWay) (fragment, error) {
	index := "scim_log_connection"
	if q.Refused {
		where, index = join("status >= 400 AND ", where), "scim_log_refused_log"
	}
	if len(q.Connections) > 0 && !way.byPerson {
		m := merge{table: "scim_log", index: index, where: where, connections: q.Connections, before: q.Before, limit: q.Limit}
		query, err := m.rows(s.db.dialect, "*")
		return join(query, " ORDER BY seq DESC"), err
	}
	of, err := adminStore(s).among(q.Connections)
	where = join(where, " AND ", of)
	if q.Before > 0 {
		where = join(where, sqlf(" AND "+way.seq()+" < ?", q.Before))
	}
	return join("SELECT * FROM scim_log WHERE ", where, way.newest(q.Limit)), err
}

func (s journalStore) DeleteJournal(ctx context.Context, before time.Time) error {
	return s.db.update(ctx, func(t tx) error {
		_, err := t.exec(oldEntries, micros(before), micros(before))
		return err
	})
}

// oldEntries deletes up to the first entry that is young enough, as oldChanges
// does.
const oldEntries = `DELETE FROM scim_log WHERE at < ?
	AND seq < coalesce((SELECT seq FROM scim_log WHERE seq > 0 AND at >= ? ORDER BY seq LIMIT 1), 9223372036854775807)`
