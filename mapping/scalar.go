package mapping

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
)

// scalar is a value that a claim is compared with.
type scalar struct {
	kind   kind // kindString, kindNumber or kindBool
	text   string
	number float64
}

func scalarOf(n *node) (scalar, bool) {
	s := scalar{kind: n.kind, text: n.text}
	switch n.kind {
	case kindString, kindBool:
		return s, true
	case kindNumber:
		f, ok := n.value().(float64)
		s.number = f
		return s, ok
	default:
		return s, false
	}
}

// String is the value for people.
func (s scalar) String() string {
	if s.kind == kindString {
		return quote(s.text)
	}
	return s.text
}

// meets reports whether a claim is the value, or is a list that has it: many
// identity providers send every claim as a list.
func (s scalar) meets(claim any) bool {
	switch c := claim.(type) {
	case string:
		return s.kind == kindString && c == s.text
	case bool:
		return s.kind == kindBool && strconv.FormatBool(c) == s.text
	case []string:
		for _, item := range c {
			if s.meets(item) {
				return true
			}
		}
		return false
	case []any:
		for _, item := range c {
			switch item.(type) {
			case string, bool, json.Number, float64, int, int64:
				if s.meets(item) {
					return true
				}
			}
		}
		return false
	}
	n, ok := number(claim)
	return ok && s.kind == kindNumber && n == s.number
}

// number reads the kinds of numbers that JSON and Go code give.
func number(v any) (float64, bool) {
	if n, ok := v.(json.Number); ok {
		f, err := n.Float64()
		return f, err == nil
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return float64(r.Int()), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return float64(r.Uint()), true
	case reflect.Float32, reflect.Float64:
		return r.Float(), true
	default:
		return 0, false
	}
}

// value is the node as JSON would give it to Go.
func (n *node) value() any {
	switch n.kind {
	case kindString:
		return n.text
	case kindBool:
		return n.text == "true"
	case kindNumber:
		if f, err := strconv.ParseFloat(n.text, 64); err == nil {
			return f
		}
		if i, err := strconv.ParseInt(n.text, 0, 64); err == nil {
			return float64(i)
		}
		return n.text
	case kindList:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = item.value()
		}
		return list
	case kindMap:
		m := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			m[f.key.text] = f.value.value()
		}
		return m
	default:
		return nil
	}
}

// shownValue describes a claim for people.
func shownValue(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("a %T", v)
	}
	return clip(string(text))
}
