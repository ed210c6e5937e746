package scim

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// plainlyRedacted is what redact says, in the plainest words: a copy of the
// document without what is not to be seen, as encoding/json writes it.
func plainlyRedacted(t *rapid.T, doc map[string]any) string {
	raw, err := json.Marshal(redactedCopy("", "", doc))
	if err != nil {
		t.Fatal(err)
	}
	return plain(string(raw), journalBody)
}

func redactedCopy(name, path string, v any) any {
	mayStand := map[string]bool{
		"schemas": true, "op": true, "method": true, "bulkid": true, "username": true, "externalid": true, "id": true, "type": true, "active": true,
		"version": true, "filter": true, "sortby": true, "sortorder": true, "attributes": true, "excludedattributes": true,
	}
	switch v := v.(type) {
	case map[string]any:
		if raw, ok := member(v, "path"); ok {
			path, _ = raw.(string)
		}
		out := make(map[string]any, len(v))
		for k, e := range v {
			key, lower := strings.ToLower(k), strings.ToLower(path)
			switch {
			case key == "path":
				s, _ := e.(string)
				if open, end := strings.IndexByte(s, '"'), strings.LastIndexByte(s, '"'); open < end && !strings.HasPrefix(strings.ToLower(s), "members") {
					s = s[:open] + "[redacted]" + s[end+1:]
				}
				out[k] = plain(s, 256)
			case key == "value" && (name == "members" || strings.HasPrefix(lower, "members") || mayStand[lower]):
				out[k] = redactedCopy("id", path, e)
			case key == "value" && (lower == "password" || strings.HasSuffix(lower, ":password")):
				out[k] = redactedCopy("password", path, e)
			default:
				out[k] = redactedCopy(key, path, e)
			}
		}
		return out
	case []any:
		var out []any
		for i, e := range v {
			if i == 50 {
				out = append(out, "…")
				break
			}
			out = append(out, redactedCopy(name, path, e))
		}
		if out == nil {
			out = []any{}
		}
		return out
	case string:
		if mayStand[name] {
			return plain(v, 256)
		}
		return "[redacted]"
	default:
		if name == "password" {
			return "[redacted]"
		}
		return v
	}
}

// drawBody draws what the reader of bodies may give, of names and texts that
// redaction knows.
func drawBody(t *rapid.T, depth int) any {
	kinds := []string{"text", "text", "number", "other", "object", "list"}
	if depth == 0 {
		kinds = kinds[:4]
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case "text":
		return rapid.OneOf(rapid.SampledFrom([]string{
			"ada@example.com", "active", "Active", "members", `MEMBERS[value eq "m"]`, `emails[type eq "work"].value`, `a "b`, "userName", "password", "é<>&", "",
			"member\u017f", "bul\u212aId", strings.Repeat("é", 200),
		}), rapid.String()).Draw(t, "text")
	case "number":
		return json.Number(rapid.SampledFrom([]string{"0", "-1.5e+3", "12345678901234567890"}).Draw(t, "number"))
	case "object":
		return drawObject(t, depth)
	case "list":
		n := rapid.SampledFrom([]int{0, 1, 2, 3, 50, 51, 60}).Draw(t, "values")
		list := make([]any, 0, n)
		for range n {
			if n > 3 {
				list = append(list, "x")
			} else {
				list = append(list, drawBody(t, depth-1))
			}
		}
		return list
	default:
		return rapid.SampledFrom([]any{nil, true, false}).Draw(t, "other")
	}
}

func drawObject(t *rapid.T, depth int) map[string]any {
	name := rapid.OneOf(rapid.SampledFrom([]string{
		"schemas", "Op", "path", "value", "Value", "userName", "USERNAME", "externalId", "id", "password", "PassWord", "members", "Members", "active", "title",
		"Operations", "bul\u212aId", "userName\u0130", "ACT\u0130VE", "memberſ", "data", `"`, "ValuE",
	}), rapid.String())
	doc := make(map[string]any)
	if rapid.Bool().Draw(t, "operation") {
		doc["op"], doc["value"] = "replace", rapid.SampledFrom([]any{"x", json.Number("7"), []any{"x"}, map[string]any{"VALUE": "x", "type": json.Number("1")}}).Draw(t, "value")
		doc["path"] = rapid.SampledFrom([]any{"members", `Members[value eq "m"]`, "Active", "userName", `emails[value eq "x"]`, "title", "passWord", "urn:ietf:params:scim:schemas:core:2.0:User:password", nil}).Draw(t, "path")
	}
	if rapid.Bool().Draw(t, "group") {
		doc["members"] = []any{map[string]any{"value": "x", "display": "y"}}
	}
	for range rapid.IntRange(0, 6).Draw(t, "members") {
		doc[name.Draw(t, "name")] = drawBody(t, depth-1)
	}
	if rapid.Bool().Draw(t, "many") {
		for i := range 20 {
			doc[strings.Repeat("n", i+1)] = strings.Repeat("y", 300)
		}
	}
	return doc
}

// TestRedactionSaysWhatThePlainOneDoes: also of what is too long for the log.
func TestRedactionSaysWhatThePlainOneDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doc := drawObject(t, 4)
		if rapid.IntRange(0, 9).Draw(t, "long") == 0 {
			list := make([]any, 45)
			for i := range list {
				list[i] = map[string]any{"userName": strings.Repeat("ü", 120), "id": "x", "at": doc}
			}
			doc = map[string]any{"Operations": list, "userName": "after"}
		}
		if got, want := redact(doc), plainlyRedacted(t, doc); got != want {
			t.Fatalf("redact(%v) =\n%s, want\n%s", doc, got, want)
		}
	})
}

// TestAPasswordIsNotLogged: be it a text or not, and however its path is spelt.
func TestAPasswordIsNotLogged(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"password":12345}`, `{"Password":["12345",12345]}`, `{"Operations":[{"op":"add","path":"password","value":12345}]}`,
		`{"Operations":[{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:User:Password","value":[12345]}]}`,
		`{"Operations":[{"op":"replace","value":{"password":12345}}]}`,
	} {
		doc, err := parseObject([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if said := redact(doc); strings.Contains(said, "12345") {
			t.Errorf("%s is logged as %s", body, said)
		}
	}
}
