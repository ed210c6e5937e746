package store

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"portcullis/fault"
)

// storable refuses texts that PostgreSQL cannot hold before either database
// sees them, so that both answer alike and a transaction is not aborted.
func storable(args ...any) error {
	for _, arg := range args {
		text, ok := arg.(string)
		if ok && (strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text)) {
			return fault.New(fault.Invalid, "a text holds characters that cannot be stored")
		}
	}
	return nil
}

// list makes one argument of many, for inList: a list of
// placeholders would be another prepared statement for each length.
func list(values []string) (string, error) {
	for _, v := range values {
		if err := storable(v); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(values)
	return string(text), err
}

// inList is the condition that goes with list. PostgreSQL looks each element
// of an array up in an index, while it would join with a list of unknown length
// by reading all there is.
func (t tx) inList(column string) string {
	if t.dialect == "postgres" {
		return column + " = ANY (ARRAY(SELECT jsonb_array_elements_text(?::jsonb)))"
	}
	return column + " IN (SELECT value FROM json_each(?))"
}

// aside is a column in a condition that is not what to look rows up by. SQLite
// takes every equality for rare, and would walk through all of a connection to
// find a few by id.
func (t tx) aside(column string) string {
	if t.dialect == "sqlite" {
		return "+" + column
	}
	return column
}

// columns make arguments of many rows: of each column a list, for [cells].
func columns(rows [][]any) []any {
	lists := make([]any, len(rows[0]))
	for c, value := range rows[0] {
		switch value.(type) {
		case int64:
			lists[c] = column[int64](rows, c)
		case bool:
			lists[c] = column[bool](rows, c)
		default:
			lists[c] = column[string](rows, c)
		}
	}
	return lists
}

func column[T any](rows [][]any, c int) []T {
	list := make([]T, len(rows))
	for i, row := range rows {
		list[i] = row[c].(T) //nolint:forcetypeassert,errcheck // rows of a statement are alike; another value would be a wrong one
	}
	return list
}

// cells are the placeholders of [columns], each for what is at i in it. The
// values say what they are of.
func cells(values []any) string {
	var b strings.Builder
	for c, value := range values {
		if c > 0 {
			b.WriteString(", ")
		}
		switch value.(type) {
		case int64:
			b.WriteString("(?::bigint[])[i]")
		case bool:
			b.WriteString("(?::boolean[])[i]")
		default:
			b.WriteString("(?::text[])[i]")
		}
	}
	return b.String()
}

// numbers are those from 1 to n.
func numbers(n int) []int64 {
	list := make([]int64, n)
	for i := range list {
		list[i] = int64(i) + 1
	}
	return list
}
