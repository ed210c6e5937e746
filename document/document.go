// Package document writes JSON, byte for byte as encoding/json does, for those
// who write much of it: reflection takes several times as long.
//
// It does not read JSON, and knows nothing of what a document says.
package document

import (
	"encoding/json"
	"slices"
	"strconv"
)

// AppendText appends a text.
func AppendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			raw, _ := json.Marshal(s) //nolint:errchkjson // a text always marshals
			return append(b, raw...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// Append appends what [json.Marshal] makes of a value, and fails where that
// does. It is fast for a tree of map[string]any, []any, texts, integers and
// booleans. What it gives along with an error is not to be used.
func Append(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case map[string]any:
		if v != nil {
			return appendObject(b, v)
		}
	case []any:
		if v != nil {
			return appendList(b, v)
		}
	case string:
		return AppendText(b, v), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case nil:
	default:
		raw, err := json.Marshal(v)
		return append(b, raw...), err
	}
	return append(b, "null"...), nil
}

func appendObject(b []byte, m map[string]any) ([]byte, error) {
	var room [16]string
	b = append(b, '{')
	for i, name := range Names(room[:0], m) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendText(b, name), ':')
		var err error
		if b, err = Append(b, m[name]); err != nil {
			return b, err
		}
	}
	return append(b, '}'), nil
}

func appendList(b []byte, list []any) ([]byte, error) {
	b = append(b, '[')
	for i, e := range list {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = Append(b, e); err != nil {
			return b, err
		}
	}
	return append(b, ']'), nil
}

// Names appends the names of an object's members, in order, to room, which
// holds none.
func Names(room []string, m map[string]any) []string {
	room = slices.Grow(room, len(m))
	for name := range m {
		room = append(room, name)
	}
	slices.Sort(room)
	return room
}
