package store

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
	sqlite3 "modernc.org/sqlite"

	"portcullis/fault"
)

func retryable(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "40001" || pg.Code == "40P01")
}

// classify turns a driver's error into a fault, once; a fault stays as it is.
func classify(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return fault.Wrap(fault.NotFound, err, "not found")
	}
	if e, ok := errors.AsType[*sqlite3.Error](err); ok {
		return classifySQLite(e)
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return classifyPostgres(e)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.Wrap(fault.Unavailable, err, "the database did not answer in time")
	}
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr != nil {
		return fault.Wrap(fault.Unavailable, err, "the database is away")
	}
	return fault.Wrap(fault.Unavailable, err, "the database did not answer")
}

// The result codes of SQLite that are not its fault but the caller's, and that
// of a lock which somebody else holds.
const (
	sqliteBusy       = 5
	sqliteUnique     = 2067
	sqlitePrimaryKey = 1555
	sqliteForeignKey = 787
)

func classifySQLite(e *sqlite3.Error) error {
	switch e.Code() {
	case sqliteUnique, sqlitePrimaryKey:
		return fault.Wrap(fault.Conflict, e, "%s", taken(e.Error()))
	case sqliteForeignKey:
		return fault.Wrap(fault.Conflict, e, "something it refers to is gone")
	default:
		return fault.Wrap(fault.Unavailable, e, "the database did not answer")
	}
}

func classifyPostgres(e *pgconn.PgError) error {
	switch e.Code {
	case "23505":
		return fault.Wrap(fault.Conflict, e, "%s", taken(e.ConstraintName))
	case "23503":
		return fault.Wrap(fault.Conflict, e, "something it refers to is gone")
	case "22021", "22P05": // a NUL byte or invalid UTF-8 in a text
		return fault.Wrap(fault.Invalid, e, "a text holds characters that cannot be stored")
	default:
		return fault.Wrap(fault.Unavailable, e, "the database did not answer")
	}
}

// taken says in words which value is in use; where names the constraint
// (PostgreSQL) or its columns (SQLite).
func taken(where string) string {
	switch {
	case strings.Contains(where, "user_name"):
		return "userName is taken"
	case strings.Contains(where, "pushed_groups"):
		return "displayName is taken"
	default:
		return "it is there already"
	}
}
