package store

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"
)

// What SCIM asks for most, somebody by name or by id, takes the database less
// time than the layers above it take to hand the row on. Rows of texts, whole
// numbers and booleans are therefore read by hand, from the driver of SQLite
// and from the bytes that PostgreSQL sent.

// picked are such rows. Scan knows *string, *int64 and *bool, for a value that
// may be NULL **string, and on PostgreSQL *[]byte for a text and *[]string for
// a list of texts.
type picked interface {
	Next() bool
	Scan(places ...any) error
	Err() error
}

func errPlace(place, value any) error {
	return fmt.Errorf("a %T of the database does not go into a %T", value, place)
}

// pick implements [lane].
func (l *sqliteLane) pick(query string, args []any, read func(picked) error) error {
	if !l.isDirect() {
		return l.query(query, args, func(rows gorm.Rows) error { return read(rows) })
	}
	return l.directly(query, args, func(s directStmt, values []driver.NamedValue) error {
		rows, err := s.QueryContext(context.WithoutCancel(l.ctx), values)
		if err != nil {
			return err
		}
		r := sqlitePicked{rows: rows, values: make([]driver.Value, len(rows.Columns()))}
		if err = read(&r); err == nil {
			err = r.err
		}
		return errors.Join(err, rows.Close())
	})
}

// isDirect reports whether statements go past database/sql, as all can that are
// kept prepared and not cancelled half-way.
func (l *sqliteLane) isDirect() bool { return (l.write || l.brief) && !l.once }

// directly runs a statement of the driver. What run is given is not for longer.
func (l *sqliteLane) directly(query string, args []any, run func(directStmt, []driver.NamedValue) error) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	values, err := valuesOf(args)
	if err != nil {
		return err
	}
	return l.c.conn.Raw(func(driverConn any) error {
		s, err := l.c.stmt(l.ctx, driverConn, query)
		if err != nil {
			return err
		}
		return run(s, values)
	})
}

// stmt prepares a statement, once for each connection.
func (c *sqliteConn) stmt(ctx context.Context, driverConn any, query string) (directStmt, error) {
	if s, ok := c.direct[query]; ok {
		return s, nil
	}
	d, ok := driverConn.(driver.ConnPrepareContext)
	if !ok {
		return nil, fmt.Errorf("the driver is %T", driverConn)
	}
	s, err := d.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	q, ok := s.(directStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the statement of the driver is %T", s), s.Close())
	}
	if len(c.direct) >= maxPrepared {
		if err := c.forget(); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if c.direct == nil {
		c.direct = make(map[string]directStmt)
	}
	c.direct[query] = q
	return q, nil
}

// directStmt is a prepared statement of the driver.
type directStmt interface {
	driver.Stmt
	driver.StmtQueryContext
	driver.StmtExecContext
}

// forget closes what stmt has prepared.
func (c *sqliteConn) forget() (err error) {
	for _, s := range c.direct {
		err = errors.Join(err, s.Close())
	}
	clear(c.direct)
	return err
}

// valuesOf are arguments as a driver takes them.
func valuesOf(args []any) ([]driver.NamedValue, error) {
	named := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		v, err := driver.DefaultParameterConverter.ConvertValue(arg)
		if err != nil {
			return nil, err
		}
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return named, nil
}

// sqlitePicked are rows of the driver.
type sqlitePicked struct {
	rows   driver.Rows
	values []driver.Value
	err    error
}

func (r *sqlitePicked) Next() bool {
	if r.err != nil {
		return false
	}
	err := r.rows.Next(r.values)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return err == nil
}

func (r *sqlitePicked) Err() error { return r.err }

func (r *sqlitePicked) Scan(places ...any) error {
	if len(places) != len(r.values) {
		return errPacked()
	}
	for i, place := range places {
		value, ok := r.values[i], false
		switch p := place.(type) {
		case *string:
			*p, ok = value.(string)
		case **string:
			if *p, ok = nil, value == nil; !ok {
				var s string
				s, ok = value.(string)
				*p = &s
			}
		case *int64:
			*p, ok = value.(int64)
		case *bool:
			var n int64
			n, ok = value.(int64)
			*p = n != 0
		}
		if !ok {
			return errPlace(place, value)
		}
	}
	return nil
}

// pick implements [lane].
func (l *postgresLane) pick(query string, args []any, read func(picked) error) error {
	return l.ask(query, args, func(rows pgx.Rows) error { return read(postgresPicked{rows}) })
}

// postgresPicked are rows as PostgreSQL sent them.
type postgresPicked struct{ pgx.Rows }

func (r postgresPicked) Scan(places ...any) error {
	fields, values := r.FieldDescriptions(), r.RawValues()
	if len(places) != len(values) {
		return errPacked()
	}
	for i, place := range places {
		value, isBinary := values[i], fields[i].Format == pgx.BinaryFormatCode
		ok := value != nil
		switch p := place.(type) {
		case *string: // the same in both formats
			*p = string(value)
		case *[]byte: // a text
			*p = bytes.Clone(value)
		case **string:
			if *p = nil; ok {
				s := string(value)
				*p = &s
			}
			ok = true
		case *int64:
			*p, ok = wholeNumber(value, isBinary)
		case *bool:
			ok = ok && len(value) == 1
			*p = ok && (value[0] == 1 || value[0] == 't')
		case *[]string:
			if isBinary && ok && len(value) >= 4 && binary.BigEndian.Uint32(value) == 0 { // no dimensions: of most people
				*p = nil
				continue
			}
			if err := r.Conn().TypeMap().Scan(fields[i].DataTypeOID, fields[i].Format, value, p); err != nil {
				return err
			}
		default:
			ok = false
		}
		if !ok {
			return errPlace(place, value)
		}
	}
	return nil
}

// wholeNumber reads a bigint or an integer.
func wholeNumber(value []byte, isBinary bool) (n int64, ok bool) {
	switch {
	case !isBinary:
		return n, fill(&n, string(value)) == nil
	case len(value) == 8:
		return int64(binary.BigEndian.Uint64(value)), true //nolint:gosec // the sign is in the first bit
	case len(value) == 4:
		return int64(int32(binary.BigEndian.Uint32(value))), true //nolint:gosec // the sign is in the first bit
	default:
		return 0, false
	}
}

var (
	_ picked = (*sql.Rows)(nil)
	_ picked = (*sqlitePicked)(nil)
	_ picked = postgresPicked{}
)
