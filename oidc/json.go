package oidc

import (
	"bytes"
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
	if !json.Valid(data) {
		return nil, errors.New("not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	v, err := decodeValue(d, 0)
	if err != nil {
		return nil, err
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	return object, nil
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	token, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("json: %w", err)
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return decodeMembers(d, depth)
		}
		return decodeElements(d, depth)
	case string:
		if strings.ContainsRune(t, 0) {
			return nil, errors.New("a NUL character")
		}
		return t, nil
	default:
		return t, nil
	}
}

func decodeMembers(d *json.Decoder, depth int) (any, error) {
	object := make(map[string]any)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("json: %w", err)
		}
		name, ok := token.(string)
		if !ok || strings.ContainsRune(name, 0) {
			return nil, errors.New("a member without a proper name")
		}
		if _, twice := object[name]; twice {
			return nil, errors.New("a member that stands twice")
		}
		if object[name], err = decodeValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("json: %w", err)
	}
	return object, nil
}

func decodeElements(d *json.Decoder, depth int) (any, error) {
	array := make([]any, 0)
	for d.More() {
		v, err := decodeValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, v)
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("json: %w", err)
	}
	return array, nil
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
