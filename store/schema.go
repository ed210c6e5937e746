package store

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"portcullis/fault"
)

// prepare brings the schema up to date, or (asIs) only looks whether it is.
func (db *DB) prepare(ctx context.Context, asIs bool) error {
	if err := db.sql.PingContext(ctx); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the database cannot be reached")
	}
	if !asIs {
		return db.migrate(ctx)
	}
	has, err := db.applied(ctx)
	if err != nil {
		return err
	}
	if len(has) == 0 {
		return db.migrate(ctx) // there is nothing yet that another version could be using
	}
	want, err := db.known()
	if err != nil {
		return err
	}
	for _, v := range has {
		if !slices.Contains(want, v) {
			return fault.New(fault.Conflict,
				"the database has schema %d, which is newer than this program: use the portcullis that runs the gate", slices.Max(has))
		}
	}
	if len(has) < len(want) {
		return fault.New(fault.Conflict,
			"the database has schema %d, this program needs %d: start the gate of this version first (portcullis serve), which brings it up to date",
			slices.Max(has), slices.Max(want))
	}
	return nil
}

// applied are the numbers of the migrations that the database has.
func (db *DB) applied(ctx context.Context) (versions []int64, err error) {
	there := "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'goose_db_version'"
	if db.dialect == "postgres" {
		there = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'goose_db_version'"
	}
	var n int
	if err := db.sql.QueryRowContext(ctx, there).Scan(&n); err != nil || n == 0 {
		return nil, classify(err)
	}
	rows, err := db.sql.QueryContext(ctx, "SELECT DISTINCT version_id FROM goose_db_version WHERE is_applied AND version_id > 0")
	if err != nil {
		return nil, classify(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var v int64
		if err := rows.Scan(&v); err != nil {
			return nil, classify(err)
		}
		versions = append(versions, v)
	}
	return versions, classify(rows.Err())
}

// known are the numbers of the migrations of this program.
func (db *DB) known() ([]int64, error) {
	files, err := fs.Glob(migrations, "migrations/"+db.dialect+"/*.sql")
	if err != nil {
		return nil, err
	}
	versions := make([]int64, len(files))
	for i, f := range files {
		number, _, _ := strings.Cut(path.Base(f), "_")
		if versions[i], err = strconv.ParseInt(number, 10, 64); err != nil {
			return nil, err
		}
	}
	return versions, nil
}
