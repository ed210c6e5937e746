package scim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzDocument: what the reader takes, it reads as encoding/json does, and
// what it refuses has something in it that is not welcome or is no object.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{
		`{}`, ` {"a" : [1, -2.5e+3 ,"x\"\\y" , {"b":null}] , "c":true,"d":false } `, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":"\u0000"}`,
		`[1]`, `{"a":1}x`, `{"a":"\ud83d\ude00\\ud83d"}`, `{"a":"\ude00"}`, `{"\ud83d":1}`, `{"":""}`, `{"\\":"\\\\"}`, `{"a":"\ud83d\ude00\ud83d"}`, `{"a":[[],{}]}`, "{\"é\":\"\u2028\"}",
	} {
		f.Add([]byte(seed))
	}
	replacement := regexp.MustCompile(`(?i)\x{fffd}|\\ufffd`)
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := parseObject(raw)
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		var want map[string]any
		if err == nil {
			if e := d.Decode(&want); e != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("parseObject(%q) = %v, want %v, %v", raw, got, want, e)
			}
			if strings.Contains(fmt.Sprint(want), "\ufffd") && !replacement.Match(raw) {
				t.Fatalf("parseObject(%q) = %v: a character was made up", raw, got)
			}
			return
		}
		// Without what is not welcome, a document that is valid is taken.
		if plain := d.Decode(&want) == nil && want != nil && !bytes.ContainsAny(raw, "\\\x00") && utf8.Valid(raw); !plain {
			return
		}
		if again, e := json.Marshal(want); e == nil && depth(want) <= maxDepth {
			if _, err := parseObject(again); err != nil {
				t.Fatalf("parseObject(%s) fails: %v", again, err)
			}
		}
	})
}

func depth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			deepest = max(deepest, depth(e))
		}
	case []any:
		for _, e := range v {
			deepest = max(deepest, depth(e))
		}
	default:
		return 0
	}
	return deepest + 1
}
