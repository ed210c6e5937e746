package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep foreign JSON may nest. No real token comes near.
const maxDepth = 32

// decodeObject reads one JSON object out of foreign bytes. It gives what
// encoding/json gives for a map, but refuses what two readers may understand
// differently: a member that stands twice (RFC 8259, section 4, leaves the
// meaning open), invalid UTF-8, a NUL, deep nesting. Names are exact: SUB is
// not sub.
func decodeObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	members, depth := outline(data)
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	var object map[string]any
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, fmt.Errorf("json: %w", err)
	}
	if object == nil {
		return nil, errors.New("not a JSON object")
	}
	// A member that stands twice is in the text twice and in the object once.
	if kept, ok := inventory(object); !ok {
		return nil, errors.New("a NUL character")
	} else if kept != members {
		return nil, errors.New("a member that stands twice")
	}
	return object, nil
}

// outline counts the members of all objects in a JSON text, by their colons,
// and how deep it nests. Of what is no JSON it says nothing.
func outline(data []byte) (members, deepest int) {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch b := data[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == ':':
			members++
		case b == '{', b == '[':
			depth++
			deepest = max(deepest, depth)
		case b == '}', b == ']':
			depth--
		}
	}
	return members, deepest
}

// inventory counts the members of all objects in a value, and is false if a
// name or a text holds a NUL.
func inventory(v any) (members int, ok bool) {
	switch v := v.(type) {
	case string:
		return 0, strings.IndexByte(v, 0) < 0
	case map[string]any:
		for name, e := range v {
			n, ok := inventory(e)
			if !ok || strings.IndexByte(name, 0) >= 0 {
				return 0, false
			}
			members += 1 + n
		}
	case []any:
		for _, e := range v {
			n, ok := inventory(e)
			if !ok {
				return 0, false
			}
			members += n
		}
	}
	return members, true
}

// Strings reads a claim that is an array of strings or a single string, as
// aud is (RFC 7519, section 4.1.3); nil holds none. It is false for any other
// shape.
func Strings(v any) ([]string, bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case string:
		return []string{v}, true
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, false
			}
			out = append(out, s)
		}
		return out, true
	default:
		return nil, false
	}
}
