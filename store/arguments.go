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
