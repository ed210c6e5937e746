package mapping_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"portcullis/mapping"
)

func readSchema(t *testing.T) map[string]any {
	t.Helper()
	var s map[string]any
	if err := json.Unmarshal(mapping.Schema(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// step follows a path of keys into a schema: a name of properties, "[]" for the
// items of a list, "*" for the values of a mapping with names.
func step(t *testing.T, root, s map[string]any, path ...string) map[string]any {
	t.Helper()
	for _, key := range path {
		next := func(s map[string]any) (map[string]any, bool) {
			switch key {
			case "[]":
				m, ok := s["items"].(map[string]any)
				return m, ok
			case "*":
				m, ok := s["additionalProperties"].(map[string]any)
				return m, ok
			}
			properties, _ := s["properties"].(map[string]any)
			m, ok := properties[key].(map[string]any)
			return m, ok
		}
		found, ok := next(s)
		if one, many := s["oneOf"].([]any); !ok && many && s["properties"] == nil {
			for _, o := range one {
				if m, is := o.(map[string]any); is && !ok {
					found, ok = next(resolve(root, m))
				}
			}
		}
		if !ok {
			t.Fatalf("the schema has no %q of %v", key, path)
		}
		s = resolve(root, found)
	}
	return s
}

func resolve(root, s map[string]any) map[string]any {
	if name, ok := strings.CutPrefix(fmt.Sprint(s["$ref"]), "#/$defs/"); ok {
		defs, _ := root["$defs"].(map[string]any)
		if m, ok := defs[name].(map[string]any); ok {
			return m
		}
	}
	return s
}

// TestTheSchemaHasTheKeysOfTheLanguage asks the loader for the keys of each
// mapping, by a key that none has.
func TestTheSchemaHasTheKeysOfTheLanguage(t *testing.T) {
	root := readSchema(t)
	wanted := regexp.MustCompile(`unknown key "qqqqqqqqqqqqqq" in .*; want (.*)`)
	for path, text := range map[string]string{
		"":                         "qqqqqqqqqqqqqq: 1\n",
		"connections *":            "connections: {a: {qqqqqqqqqqqqqq: 1}}",
		"connections * ceiling":    "connections: {a: {ceiling: {qqqqqqqqqqqqqq: 1}}}",
		"roles *":                  "roles: {a: {qqqqqqqqqqqqqq: 1}}",
		"attributes *":             "attributes: {a: {qqqqqqqqqqqqqq: 1}}",
		"permissionGroups *":       "permissionGroups: {a: {qqqqqqqqqqqqqq: 1}}",
		"defaults":                 "defaults: {qqqqqqqqqqqqqq: 1}",
		"rules []":                 "rules: [{qqqqqqqqqqqqqq: 1}]",
		"rules [] match":           "rules: [{match: {qqqqqqqqqqqqqq: 1}}]",
		"rules [] match groups []": "rules: [{match: {groups: [{qqqqqqqqqqqqqq: 1}]}}]",
		"rules [] valid":           "rules: [{valid: {qqqqqqqqqqqqqq: 1}}]",
		"rules [] grant":           "rules: [{grant: {qqqqqqqqqqqqqq: 1}}]",
		"rules [] restrict":        "rules: [{restrict: {qqqqqqqqqqqqqq: 1}}]",
		"rules [] deny":            "rules: [{deny: {qqqqqqqqqqqqqq: 1}}]",
		"constraints []":           "constraints: [{qqqqqqqqqqqqqq: 1}]",
		"tests []":                 "tests: [{qqqqqqqqqqqqqq: 1}]",
		"tests [] given":           "tests: [{given: {qqqqqqqqqqqqqq: 1}}]",
		"tests [] given pushed []": "tests: [{given: {pushed: [{qqqqqqqqqqqqqq: 1}]}}]",
		"tests [] expect":          "tests: [{expect: {qqqqqqqqqqqqqq: 1}}]",
	} {
		t.Run(path, func(t *testing.T) {
			_, err := mapping.Load("m.yaml", []byte("version: 1\n"+text), mapping.Options{})
			m := wanted.FindStringSubmatch(fmt.Sprint(err))
			if m == nil {
				t.Fatalf("Load = %v, want the keys", err)
			}
			language := strings.Split(strings.ReplaceAll(m[1], " or ", ", "), ", ")
			here := step(t, root, root, strings.Fields(path)...)
			if forms, ok := here["oneOf"].([]any); ok && here["properties"] == nil {
				here, _ = forms[len(forms)-1].(map[string]any)
			}
			properties, _ := here["properties"].(map[string]any)
			inSchema := []string{}
			for key := range properties {
				if path != "" || key != "connection" { // a fragment's
					inSchema = append(inSchema, key)
				}
			}
			slices.Sort(inSchema)
			if !slices.Equal(language, inSchema) {
				t.Errorf("the language has %v, the schema %v", language, inSchema)
			}
		})
	}
}

// TestTheExampleMeetsTheSchema with a validator that knows what the schema
// uses, and no more.
func TestTheExampleMeetsTheSchema(t *testing.T) {
	root := readSchema(t)
	for _, file := range []string{"../docs/mapping-example.yaml", ""} {
		text := []byte(portalText(t))
		if file != "" {
			var err error
			if text, err = os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		}
		var value any
		if err := yaml.Unmarshal(text, &value); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(again, &value); err != nil {
			t.Fatal(err)
		}
		if wrong := invalid(root, root, value, "$"); wrong != "" {
			t.Errorf("%s: %s", file, wrong)
		}
		m, _ := value.(map[string]any)
		m["rules"] = []any{map[string]any{"id": "x", "match": map[string]any{"colour": "red"}}}
		if invalid(root, root, value, "$") == "" {
			t.Error("a rule with an unknown key meets the schema")
		}
	}
}

// TestTheSchemaRefusesWhatCheckRefuses: of what can be seen in one place, the
// schema and the loader say the same; what stands beside it is right.
func TestTheSchemaRefusesWhatCheckRefuses(t *testing.T) {
	root := readSchema(t)
	const good = `{"id": "a", "match": {"connection": "acme", "groups": [{"name": "A"}]}, "grant": {"roles": ["viewer"]}}`
	file := func(more string) string {
		return `{"version": 1, "connections": {"acme": {"ceiling": "unrestricted"}}, "roles": {"viewer": {"tasks": ["t"]}, "other": {"tasks": ["u"]}},
			"attributes": {"country": {"onMissing": "any"}}` + more + `}`
	}
	rules := func(rule string) string { return file(`, "rules": [` + rule + `]`) }
	for name, tc := range map[string]struct {
		text string
		ok   bool
	}{
		"good":                       {rules(good), true},
		"no version":                 {strings.Replace(rules(good), `"version": 1, `, "", 1), false},
		"another version":            {strings.Replace(rules(good), `"version": 1`, `"version": 2`, 1), false},
		"no connection":              {rules(strings.Replace(good, `"connection": "acme", `, "", 1)), false},
		"no selector":                {rules(strings.Replace(good, `{"name": "A"}`, `{"label": "A"}`, 1)), false},
		"two selectors":              {rules(strings.Replace(good, `{"name": "A"}`, `{"name": "A", "id": "b"}`, 1)), false},
		"no effect":                  {rules(strings.Replace(good, `, "grant": {"roles": ["viewer"]}`, "", 1)), false},
		"two effects":                {rules(strings.Replace(good, `"grant"`, `"deny": {"login": true}, "grant"`, 1)), false},
		"a grant of nothing":         {rules(strings.Replace(good, `{"roles": ["viewer"]}`, "{}", 1)), false},
		"a deny of nothing":          {rules(strings.Replace(good, `"grant": {"roles": ["viewer"]}`, `"deny": {"reason": "x"}`, 1)), false},
		"a deny of login":            {rules(strings.Replace(good, `"grant": {"roles": ["viewer"]}`, `"deny": {"login": true, "reason": "x"}`, 1)), true},
		"valid and empty":            {rules(strings.Replace(good, `"grant"`, `"valid": {}, "grant"`, 1)), false},
		"valid from yesterday":       {rules(strings.Replace(good, `"grant"`, `"valid": {"from": "yesterday"}, "grant"`, 1)), false},
		"valid from a day":           {rules(strings.Replace(good, `"grant"`, `"valid": {"from": "2026-12-01"}, "grant"`, 1)), false},
		"valid from an instant":      {rules(strings.Replace(good, `"grant"`, `"valid": {"from": "2026-12-01T00:00:00+01:00"}, "grant"`, 1)), true},
		"valid from a fraction":      {rules(strings.Replace(good, `"grant"`, `"valid": {"from": "2026-12-01T00:00:00.5Z"}, "grant"`, 1)), true},
		"group of neither":           {file(`, "permissionGroups": {"g": {}}, "rules": []`), false},
		"group of both":              {file(`, "permissionGroups": {"g": {"where": {"country": ["US"]}, "unrestricted": true}}, "rules": []`), false},
		"group":                      {file(`, "permissionGroups": {"g": {"where": {"country": ["US"]}}}, "rules": []`), true},
		"constraint of neither":      {file(`, "constraints": [{"id": "c"}], "rules": []`), false},
		"constraint of both":         {file(`, "constraints": [{"id": "c", "exclusive": ["viewer", "other"], "role": "viewer", "maxUsers": 1}], "rules": []`), false},
		"constraint without maximum": {file(`, "constraints": [{"id": "c", "role": "viewer"}], "rules": []`), false},
		"constraints": {file(`, "constraints": [{"id": "c", "exclusive": ["viewer", "other"]},
			{"id": "d", "role": "viewer", "maxUsers": 1}], "rules": []`), true},
		"test of nobody":  {file(`, "rules": [], "tests": [{"name": "t", "given": {}, "expect": {"login": "deny"}}]`), false},
		"test of nothing": {file(`, "rules": [], "tests": [{"name": "t", "given": {"connection": "acme"}}]`), false},
		"test":            {file(`, "rules": [], "tests": [{"name": "t", "given": {"connection": "acme"}, "expect": {"login": "deny"}}]`), true},
	} {
		t.Run(name, func(t *testing.T) {
			var value any
			if err := json.Unmarshal([]byte(tc.text), &value); err != nil {
				t.Fatal(err)
			}
			if wrong := invalid(root, root, value, "$"); (wrong == "") != tc.ok {
				t.Errorf("the schema says %q, want it to be right: %v", wrong, tc.ok)
			}
			if _, err := mapping.Load("m.yaml", []byte(tc.text), mapping.Options{}); (err == nil) != tc.ok {
				t.Errorf("Load = %v, want it to be right: %v", err, tc.ok)
			}
		})
	}
}

// TestFragmentsMeetTheSchema, where connections may be left out and what
// reaches beyond the client has no place.
func TestFragmentsMeetTheSchema(t *testing.T) {
	root := readSchema(t)
	const rule = `{"id": "a", "match": {"groups": [{"name": "A"}]}, "grant": {"roles": ["viewer"]}}`
	for text, ok := range map[string]bool{
		`{"connection": "acme", "rules": [` + rule + `]}`:                          true,
		`{"connection": "acme", "roles": {"r": {"tasks": []}}, "rules": []}`:       false,
		`{"roles": {"r": {"tasks": []}}}`:                                          true, // an included catalogue
		`{"connection": "acme", "defaults": {"noMatch": "no-access"}}`:             false,
		`{"connection": "acme", "tests": [{"name": "t", "given": {}, "can": []}]}`: true,
	} {
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		if wrong := invalid(root, root, value, "$"); (wrong == "") != ok {
			t.Errorf("%s: the schema says %q, want it to be right: %v", text, wrong, ok)
		}
	}
}

// invalid gives the first place where a value does not meet a schema.
func invalid(root, s map[string]any, v any, path string) string {
	s = resolve(root, s)
	for _, word := range []string{"oneOf", "anyOf"} {
		options, ok := s[word].([]any)
		fits := 0
		for _, o := range options {
			if m, is := o.(map[string]any); is && invalid(root, m, v, path) == "" {
				fits++
			}
		}
		if ok && (fits == 0 || word == "oneOf" && fits > 1) {
			return fmt.Sprintf("%s: %d of the forms fit", path, fits)
		}
	}
	if condition, ok := s["if"].(map[string]any); ok {
		branch := "then"
		if invalid(root, condition, v, path) != "" {
			branch = "else"
		}
		if then, ok := s[branch].(map[string]any); ok {
			if wrong := invalid(root, then, v, path); wrong != "" {
				return wrong
			}
		}
	}
	if pattern, ok := s["pattern"].(string); ok {
		if text, is := v.(string); is && !regexp.MustCompile(pattern).MatchString(text) {
			return fmt.Sprintf("%s: %q does not match", path, text)
		}
	}
	if c, ok := s["const"]; ok && c != v {
		return fmt.Sprintf("%s: %v is not %v", path, v, c)
	}
	if words, ok := s["enum"].([]any); ok && !slices.Contains(words, v) {
		return fmt.Sprintf("%s: %v is none of %v", path, v, words)
	}
	if kind, ok := s["type"]; ok && !isType(kind, v) {
		return fmt.Sprintf("%s: %v is not %v", path, v, kind)
	}
	switch v := v.(type) {
	case []any:
		if n, ok := s["minItems"].(float64); ok && len(v) < int(n) {
			return path + ": too few"
		}
		items, _ := s["items"].(map[string]any)
		for i, item := range v {
			if wrong := invalid(root, items, item, fmt.Sprintf("%s[%d]", path, i)); wrong != "" {
				return wrong
			}
		}
	case map[string]any:
		required, _ := s["required"].([]any)
		for _, key := range required {
			if _, ok := v[fmt.Sprint(key)]; !ok {
				return fmt.Sprintf("%s: no %v", path, key)
			}
		}
		properties, _ := s["properties"].(map[string]any)
		for key, value := range v {
			sub, ok := properties[key].(map[string]any)
			if properties[key] == false {
				return path + ": " + key + " has no place here"
			}
			if !ok {
				if sub, ok = s["additionalProperties"].(map[string]any); !ok {
					if s["additionalProperties"] == false {
						return path + ": unknown key " + key
					}
					continue
				}
			}
			if wrong := invalid(root, sub, value, path+"."+key); wrong != "" {
				return wrong
			}
		}
	}
	return ""
}

func isType(kind, v any) bool {
	if list, ok := kind.([]any); ok {
		return slices.ContainsFunc(list, func(k any) bool { return isType(k, v) })
	}
	switch v := v.(type) {
	case string:
		return kind == "string"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "number" || kind == "integer" && v == float64(int(v))
	case []any:
		return kind == "array"
	case map[string]any:
		return kind == "object"
	default:
		return kind == "null"
	}
}
