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
	packedComma = "\x00"
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
	_, more, err := cut(text, places)
	if more {
		return errPacked()
	}
	return err
}

// cut reads packed columns into places, and gives what stands behind them if
// there is more.
func cut(text string, places []any) (rest string, more bool, err error) {
	more = true
	for _, place := range places {
		if !more {
			return "", false, errPacked()
		}
		var value string
		value, text, more = strings.Cut(text, packedComma)
		if err := fill(place, value); err != nil {
			return "", false, err
		}
	}
	return text, more, nil
}

// togetherRows is how many rows SQLite hands on as one: of so many the texts
// are still short enough for its allocator to keep their room.
const togetherRows = 64

// eachTogether calls f with each row of a table of SQLite whose seq is from first
// to last, as seq rises: packed columns are read into places then, and one that
// is long, which is a text too, is given. To hand a row on takes the driver
// longer than it takes SQLite to find it.
func (t tx) eachTogether(table, packed string, places []any, long string, first, last int64, f func(long string) error) error {
	query := "SELECT coalesce(group_concat(" + packedBegin + packed + "), x'00'), '') AS packed, coalesce(group_concat(" + long + ", x'00'), '') AS long FROM " +
		table + " WHERE seq BETWEEN ? AND ?"
	for first <= last {
		end := min(last, first+togetherRows-1)
		var rest, longs string
		err := t.each(query, []any{first, end}, func(rows picked) error { return rows.Scan(&rest, &longs) })
		if err != nil {
			return err
		}
		first = end + 1
		if rest == "" { // who was there is gone, and perhaps many more
			if err := t.number(&first, "SELECT coalesce(min(seq), ?) FROM "+table+" WHERE seq > ?", last+1, end); err != nil {
				return err
			}
			continue
		}
		for more := true; more; {
			var theirs string
			var another bool
			if rest, more, err = cut(rest, places); err != nil {
				return err
			}
			if theirs, longs, another = strings.Cut(longs, packedComma); another != more {
				return errPacked()
			}
			if err := f(theirs); err != nil {
				return err
			}
		}
	}
	return nil
}

// number reads one number.
func (t tx) number(n *int64, query string, args ...any) error {
	return t.each(query, args, func(rows picked) error { return rows.Scan(n) })
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
