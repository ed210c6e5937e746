package oidc

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzIDTokenClaims states what the decoder is: encoding/json without what
// two readers may understand differently.
func FuzzIDTokenClaims(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"sub":"a","SUB":"b"}`, `{"sub":"a","sub":"b"}`, `{"a":{"b":[1,2.5,null,true,"x"]}}`, `[1]`, `{"a":1}{}`, `{"a":"\u0000"}`,
		`{"a":1e400}`, `{"\u0061":1,"a":2}`, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}", `{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, ` {"a" : 1 } `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decodeObject(data)
		var want map[string]any
		wantErr := json.Unmarshal(data, &want)
		if err == nil {
			if wantErr != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("decodeObject = %v, encoding/json = %v, %v", got, want, wantErr)
			}
			// Printed and read again it is the same: nothing stood twice.
			again, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if second, err := decodeObject(again); err != nil || !reflect.DeepEqual(second, got) {
				t.Fatalf("a second time: %v, %v", second, err)
			}
			return
		}
		if wantErr == nil && want != nil && !excused(data, want) {
			t.Fatalf("decodeObject refused %q: %v", data, err)
		}
	})
}

// excused says whether there is a reason to refuse what encoding/json takes.
func excused(data []byte, v map[string]any) bool {
	if !utf8.Valid(data) || members(data) != inside(v) {
		return true
	}
	return odd(v, 0)
}

func odd(v any, depth int) bool {
	switch v := v.(type) {
	case string:
		return strings.ContainsRune(v, 0)
	case map[string]any:
		for k, e := range v {
			if odd(k, 0) || odd(e, depth+1) {
				return true
			}
		}
	case []any:
		for _, e := range v {
			if odd(e, depth+1) {
				return true
			}
		}
	}
	return depth > maxDepth
}

// members counts the members of all objects in the text, by their colons.
func members(data []byte) int {
	n, quoted, escaped := 0, false, false
	for _, b := range data {
		switch {
		case escaped:
			escaped = false
		case quoted && b == '\\':
			escaped = true
		case b == '"':
			quoted = !quoted
		case b == ':' && !quoted:
			n++
		}
	}
	return n
}

func inside(v any) int {
	n := 0
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			n += 1 + inside(e)
		}
	case []any:
		for _, e := range v {
			n += inside(e)
		}
	}
	return n
}
