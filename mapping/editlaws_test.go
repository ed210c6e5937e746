package mapping_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portcullis/mapping"
)

// decoded reads a text with the library alone.
func decoded(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, text string,
) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("not YAML any more: %v\n%s", err, text)
	}
	return v
}

// spot is a value of a file and the way to it.
type spot struct {
	path   string
	steps  []any // string for a key, int for an entry
	value  any
	parent any
}

func spots(v any, path string, steps []any, parent any) []spot {
	out := []spot{{path, steps, v, parent}}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			p := mapping.Path(key)
			if path != "" {
				p = path + "." + p
			}
			out = append(out, spots(v[key], p, append(slices.Clone(steps), key), v)...)
		}
	case []any:
		for i, item := range v {
			out = append(out, spots(item, path+"["+strconv.Itoa(i)+"]", append(slices.Clone(steps), i), v)...)
		}
	}
	return out
}

// with gives the tree with f applied at the end of the steps.
func with(v any, steps []any, f func(any) any) any {
	if len(steps) == 0 {
		return f(v)
	}
	switch s := steps[0].(type) {
	case string:
		m := maps.Clone(v.(map[string]any))
		if now := with(m[s], steps[1:], f); now == nil {
			delete(m, s)
		} else {
			m[s] = now
		}
		return m
	case int:
		l := slices.Clone(v.([]any))
		now := with(l[s], steps[1:], f)
		if now == nil {
			return slices.Delete(l, s, s+1)
		}
		l[s] = now
		return l
	}
	return v
}

// texts are files in every style that people write.
func editableTexts(t *testing.T) []string {
	t.Helper()
	out := []string{editable, strings.TrimSuffix(editable, "\n"), strings.ReplaceAll(editable, "\n", "\r\n")}
	for _, file := range []string{"../docs/mapping-example.yaml", "../demo/mapping.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(text))
	}
	return append(out,
		"{a: [1, b, {c: d}], 'é': \"fé\", g: [[], {}]} # end",
		"---\na:\n- b\n-   c: 1\n    d: |\n      text\n\n      more\n    e: 2\n-\n  - x\n  - z\n- - p\n  - q\nf: two\n  lines # not three\ng: [\n  a, b,\n  c, # c\n  {d: e,\n   f: g}\n  ]\n...\n",
		"été: {ключ: 'значение', 鍵: [値, \"値\"]} # 値\nb:\n    deep:\n        - 1\n\n        - 2\n\n    # about wide\n    wide: 3\nc:\n",
	)
}

var words = []string{"plain", "two words", "no", "0x1", "a: b", "x #y", "*", "", "it's", "\"q\"", "line\nbreak", "é👍🏽", "8bab1c86-8fba-33e5-2089-1d1c80ec267d", " "}

func drawValue(t *rapid.T, depth int) any {
	switch rapid.IntRange(0, 6-2*min(depth, 2)).Draw(t, "kind") {
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return uint64(rapid.IntRange(0, 9).Draw(t, "number"))
	case 3, 4:
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			list = append(list, drawValue(t, depth+1))
		}
		return list
	case 5, 6:
		m := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(t, "keys") {
			m[rapid.SampledFrom([]string{"id", "name", "zoo", "no", "a: b", "x.y", "é"}).Draw(t, "key")] = drawValue(t, depth+1)
		}
		return m
	default:
		return rapid.SampledFrom(words).Draw(t, "text")
	}
}

// TestEditMeansWhatItSays: the text after an edit decodes to what the text
// before it decodes to, with that one change, for another reader of YAML too;
// comments that are not part of what was changed are there still.
func TestEditMeansWhatItSays(t *testing.T) {
	all := editableTexts(t)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom(all).Draw(t, "text")
		for range rapid.IntRange(1, 4).Draw(t, "edits") {
			tree := decoded(t, text)
			s := rapid.SampledFrom(spots(tree, "", nil, nil)[1:]).Draw(t, "spot")
			value := drawValue(t, 0)
			var change mapping.Amendment
			var want any
			switch op := rapid.SampledFrom([]string{"set", "set new", "add", "remove"}).Draw(t, "op"); {
			case op == "set new" && isMap(s.value):
				key := rapid.SampledFrom([]string{"note", "valid", "tests", "zzz", "1e3"}).Draw(t, "new key")
				change = mapping.Set(s.path+"."+key, value)
				want = with(tree, append(slices.Clone(s.steps), key), func(any) any { return value })
			case op == "add" && isList(s.value):
				change = mapping.Add(s.path, value)
				want = with(tree, s.steps, func(old any) any {
					if !isMap(value) && !isList(value) && slices.ContainsFunc(old.([]any), func(o any) bool { return cmp.Equal(o, value) }) {
						return old
					}
					return append(slices.Clone(old.([]any)), value)
				})
			case op == "remove" && len(tree.(map[string]any)) > 1:
				change = mapping.Remove(s.path)
				want = with(tree, s.steps, func(any) any { return nil })
			default:
				change = mapping.Set(s.path, value)
				want = with(tree, s.steps, func(any) any { return value })
			}
			out, err := mapping.Edit("m.yaml", []byte(text), change)
			if err != nil {
				if !strings.Contains(err.Error(), "for the comments below it") {
					t.Fatalf("%s: %v\n%s", s.path, err, text)
				}
				continue
			}
			if diff := cmp.Diff(want, decoded(t, string(out))); diff != "" {
				t.Fatalf("%s (-want +got):\n%s\n%s\n---\n%s", s.path, diff, text, out)
			}
			text = string(out)
		}
	})
}

func isMap(v any) bool  { _, ok := v.(map[string]any); return ok }
func isList(v any) bool { _, ok := v.([]any); return ok }

// TestEditOfNothingChangesNothing: to set what is there gives the same bytes,
// at every place of every text.
func TestEditOfNothingChangesNothing(t *testing.T) {
	for _, text := range editableTexts(t) {
		for i, s := range spots(decoded(t, text), "", nil, nil)[1:] {
			if s.value == nil || len(text) > 2_000 && i%3 > 0 {
				continue
			}
			if got := edit(t, text, mapping.Set(s.path, s.value)); got != text {
				t.Errorf("Set %s to what it is changed the text:\n%s", s.path, got)
			}
		}
	}
}

// TestOneValueIsOneLine: a text that changes is one line that changes, and
// changed back it is the text as it was; so is an entry that is added and
// removed, and a name that is changed and changed back.
func TestOneValueIsOneLine(t *testing.T) {
	for _, text := range editableTexts(t) {
		for i, s := range spots(decoded(t, text), "", nil, nil)[1:] {
			if len(text) > 2_000 && i%7 > 0 {
				continue // of the long files a part
			}
			switch v := s.value.(type) {
			case string:
				now := edit(t, text, mapping.Set(s.path, "fresh"))
				removed, added := changed(strings.Split(text, "\n"), strings.Split(now, "\n"))
				many := strings.Count(v, "\n") > 0 || strings.Count(removed, "\n") > 1 // written over several lines
				if !many && (strings.Count(removed, "\n") != 1 || strings.Count(added, "\n") != 1) {
					t.Errorf("Set %s changed\n%s\nto\n%s", s.path, removed, added)
				}
				if back := edit(t, now, mapping.Set(s.path, v)); back != text && !many {
					t.Errorf("Set %s and back (-want +got):\n%s", s.path, cmp.Diff(text, back))
				}
			case []any:
				now := edit(t, text, mapping.Add(s.path, map[string]any{"id": "fresh", "note": "x"}))
				if back := edit(t, now, mapping.Remove(fmt.Sprintf("%s[%d]", s.path, len(v)))); back != text {
					t.Errorf("Add to %s and Remove (-want +got):\n%s", s.path, cmp.Diff(text, back))
				}
			case map[string]any:
				now := edit(t, text, mapping.Set(s.path+".fresh", "x"))
				if back := edit(t, now, mapping.Remove(s.path+".fresh")); back != text {
					t.Errorf("Set %s.fresh and Remove (-want +got):\n%s", s.path, cmp.Diff(text, back))
				}
			}
		}
	}
}

// TestRenameKeepsThePolicy: a file with another name for something loads, its
// tests pass, and the way back gives the same bytes.
func TestRenameKeepsThePolicy(t *testing.T) {
	text, err := os.ReadFile("../docs/mapping-example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for kind, names := range map[mapping.Kind][]string{
		mapping.KindRole:            {"viewer", "content-author", "workflow-admin", "approver", "user-admin"},
		mapping.KindPermissionGroup: {"us-equity", "uk-bonds", "own-accounts", "no-confidential", "everything"},
		mapping.KindRule:            {"authoring-team", "account-managers", "leavers", "partners"},
		mapping.KindAttribute:       {"account", "product", "country"},
		mapping.KindConstraint:      {"sod-author-approver", "admin-cap"},
		mapping.KindConnection:      {"entra", "okta-partners"},
		mapping.KindTest:            {"partner viewer"},
	} {
		for _, n := range names {
			for _, to := range []string{"fresh", "a: b", "1e3"} {
				now := edit(t, string(text), mapping.Rename(kind, n, to))
				if _, err := mapping.Load("m.yaml", []byte(now), mapping.Options{}); err != nil {
					t.Errorf("%s %s renamed to %s does not load: %v", kind, n, to, err)
				}
				if left, err := mapping.Mentions("m.yaml", []byte(now), kind, n); len(left) > 0 || err != nil {
					t.Errorf("%s %s is still named: %v, %v", kind, n, left, err)
				}
				if strings.Count(now, "\n") != strings.Count(string(text), "\n") {
					t.Errorf("%s %s renamed changes lines", kind, n)
				}
				if back := edit(t, now, mapping.Rename(kind, to, n)); to == "fresh" && back != string(text) {
					t.Errorf("%s %s renamed and back (-want +got):\n%s", kind, n, cmp.Diff(string(text), back))
				}
			}
		}
	}
}

// FuzzEdit: an edit of any text gives an error inside it, or a text that
// decodes to the text before with that change.
func FuzzEdit(f *testing.F) {
	f.Add(editable, "rules[id=late].grant.roles", "x: y")
	f.Add("a: [b, c] # d\ne: |\n  f\n", "a[=b]", "\u00e9")
	f.Add("{a: {b, c: }}", "a.c", "")
	f.Add("a:\n- - b\n  - 'c\n\n   d'\n", "a[0][1]", "1")
	f.Fuzz(func(t *testing.T, text, path, value string) {
		if len(text) > 1<<14 {
			return
		}
		for i, change := range []mapping.Amendment{mapping.Set(path, value), mapping.Add(path, value), mapping.Remove(path), mapping.Set(path, []string{value, "x"}), mapping.Rename(mapping.KindRole, path, value)} {
			out, err := mapping.Edit("m.yaml", []byte(text), change)
			if err != nil {
				inside(t, text, err)
				continue
			}
			again, err := mapping.Edit("m.yaml", out, change)
			if i < 2 || i == 3 {
				if err == nil && string(again) != string(out) {
					t.Fatalf("the same edit again: %v\n%s\n%s", err, out, again)
				}
			}
			if i == 2 && strings.Count(string(out), "#") > strings.Count(text, "#") {
				t.Fatalf("Remove made a comment of\n%s\n%s", text, out)
			}
		}
	})
}
