package store

import (
	"strconv"
	"strings"

	"portcullis/fault"
)

// The driver of SQLite asks for each column's name and type with each
// statement and boxes each value: of a row with many columns that takes
// several times as long as to find it. Such rows are read as one text, with NUL
// between the values, which no text of this package holds (see storable).

// packed selects columns, none of which may be NULL, as [tx.unpack] reads
// them.
func (t tx) packed(columns string) string {
	if t.dialect == "postgres" {
		return columns
	}
	return packedBegin + columns + packedEnd
}

// What stands around packed columns on SQLite. The driver asks for the name of
// each column, which without one of its own would be all of it.
const (
	packedBegin = "concat_ws(x'00', "
	packedEnd   = ") AS packed"
)

// unpack reads a row: what [tx.packed] selects into places, and what is
// selected behind it into rest.
func (t tx) unpack(rows picked, places []any, rest ...any) error {
	if t.dialect == "postgres" {
		return rows.Scan(append(places, rest...)...)
	}
	var text string
	if err := rows.Scan(append([]any{&text}, rest...)...); err != nil {
		return err
	}
	for i, place := range places {
		value, more, found := strings.Cut(text, "\x00")
		if found == (i == len(places)-1) {
			return errPacked()
		}
		if err := fill(place, value); err != nil {
			return err
		}
		text = more
	}
	return nil
}

// fill reads one value.
func fill(place any, value string) (err error) {
	switch p := place.(type) {
	case *string:
		*p = value
	case *[]byte:
		*p = []byte(value)
	case *int64:
		if *p, err = strconv.ParseInt(value, 10, 64); err != nil {
			return errPacked()
		}
	case *bool:
		*p = value == "1"
	default:
		return errPacked()
	}
	return nil
}

func errPacked() error {
	return fault.New(fault.Internal, "a row of the database is not what was asked for")
}
