package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"

	"gorm.io/gorm"
)

// A lane is the one connection that the statements of a transaction go
// through, with what the connection has prepared. gorm prepares a statement
// anew for each transaction, which costs more than to run it; here it only
// maps rows to structs.
type lane interface {
	// exec runs a statement and gives the number of rows that it touched.
	exec(query string, args []any) (int64, error)
	// later runs a statement whose outcome nobody looks at. It may wait for
	// the next statement, and its fault then comes with that one's.
	later(query string, args []any) error
	// query runs a statement and hands its rows on.
	query(query string, args []any, read func(gorm.Rows) error) error
	// pick does the same for rows that are read by hand.
	pick(query string, args []any, read func(picked) error) error
	// begin opens a transaction and commit ends it. rollback ends it where
	// there is one; a connection on which that goes wrong is given up.
	begin(kind txKind) error
	commit() error
	rollback() error
}

type txKind int

const (
	readWrite txKind = iota
	readOnly
	shared // read and write, and no longer than a moment: see sqliteLanes.together
)

// onLane runs f on a connection of its own. write asks for the one that
// writes, where there is only one.
func (db *DB) onLane(ctx context.Context, write bool, f func(lane) error) error {
	if db.dialect == "postgres" {
		return db.onPostgres(ctx, f)
	}
	return db.lanes.with(ctx, write, f)
}

// transaction runs f in a transaction. What f returns is returned as it is:
// the database's own errors are faults by then, and the rest is not the
// database's.
func (db *DB) transaction(ctx context.Context, kind txKind, f func(lane) error) error {
	var own error
	if kind == shared && db.lanes != nil {
		own, err := db.lanes.together(ctx, f)
		if own != nil {
			return own
		}
		return classify(err)
	}
	err := db.onLane(ctx, kind != readOnly, func(l lane) (err error) {
		if err := l.begin(kind); err != nil {
			return err
		}
		done := false
		defer func() {
			if !done { // f has failed, or panics
				err = errors.Join(err, l.rollback())
			}
		}()
		if own = f(l); own != nil {
			return nil
		}
		if err := l.commit(); err != nil {
			return err
		}
		done = true
		return nil
	})
	if own != nil {
		return own
	}
	return classify(err)
}

// numbered writes a statement's placeholders as PostgreSQL wants them. No
// statement of this package has a question mark in a text.
func numbered(query string) string {
	n := strings.Count(query, "?")
	if n == 0 {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 2*n)
	for i := 1; ; i++ {
		before, after, more := strings.Cut(query, "?")
		b.WriteString(before)
		if !more {
			return b.String()
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(i))
		query = after
	}
}

// read reads rows into out and counts them: a pointer to a scalar, which gets
// the first column of the last row, to a list of texts, or to a struct or a
// list of structs, which gorm fills.
func (t tx) read(rows gorm.Rows, out any) (n int64, err error) {
	switch out := out.(type) {
	case *[]string:
		return readList(rows, out)
	case *[]int64:
		return readList(rows, out)
	case *string, *int, *int64, *bool:
		for rows.Next() {
			if err := rows.Scan(out); err != nil {
				return n, err
			}
			n++
		}
		return n, rows.Err()
	default:
		return t.readStructs(rows, out)
	}
}

// readList reads rows of one column.
func readList[T any](rows gorm.Rows, out *[]T) (n int64, err error) {
	var value T
	for rows.Next() {
		if err := rows.Scan(&value); err != nil {
			return n, err
		}
		*out = append(*out, value)
		n++
	}
	return n, rows.Err()
}

// closing closes rows after they were read.
func closing(rows *sql.Rows, read func(gorm.Rows) error) error {
	err := read(rows)
	if err == nil {
		err = rows.Err()
	}
	return errors.Join(err, rows.Close())
}
