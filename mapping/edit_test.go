package mapping_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/mapping"
)

// editable is a file in several styles, with comments at the places where
// people put them.
const editable = `# who may do what
version: 1

roles:   # tasks
  viewer:  {tasks: [view]}          # everybody
  # Authors write.
  author:  {tasks: [view, edit], inherits: [viewer]}

rules:
  # the desk
  - id: desk   # CHG-1
    note: 'it''s the desk'
    match: {connection: acme, groups: [{name: Desk}]}
    grant: {roles: [viewer]}

  - id: late
    match:
      connection: "acme"
      groups:
        - name: Late   # at night
        # the others
        - {scim: Others}
      when: >-
        claims.shift ==
        'night'
    grant:
      roles: [
        viewer, # reads
        author  # writes
      ]
tests: []  # none yet
`

// TestEditSplices: before and after, each line that is not shown is as it was.
func TestEditSplices(t *testing.T) {
	for _, tc := range []struct {
		name    string
		change  mapping.Amendment
		removed string // lines that go
		added   string // and that come
	}{
		{
			"a scalar without quotes", mapping.Set("rules[id=desk].match.connection", "beta"),
			"    match: {connection: acme, groups: [{name: Desk}]}\n", "    match: {connection: beta, groups: [{name: Desk}]}\n",
		},
		{
			"a scalar that needs quotes", mapping.Set("rules[id=desk].match.connection", "no"),
			"    match: {connection: acme, groups: [{name: Desk}]}\n", "    match: {connection: \"no\", groups: [{name: Desk}]}\n",
		},
		{"single quotes stay", mapping.Set("rules[id=desk].note", "what's new"), "    note: 'it''s the desk'\n", "    note: 'what''s new'\n"},
		{"double quotes stay", mapping.Set("rules[id=late].match.connection", "beta"), "      connection: \"acme\"\n", "      connection: \"beta\"\n"},
		{
			"a folded text stays folded", mapping.Set("rules[id=late].match.when", "claims.shift == 'day'"),
			"        claims.shift ==\n        'night'\n", "        claims.shift == 'day'\n",
		},
		{"a number", mapping.Set("version", 2), "version: 1\n", "version: 2\n"},
		{"an id with a comment", mapping.Set("rules[0].id", "desk-2"), "  - id: desk   # CHG-1\n", "  - id: desk-2   # CHG-1\n"},
		{
			"an item more in brackets", mapping.Add("roles.viewer.tasks", "list"),
			"  viewer:  {tasks: [view]}          # everybody\n", "  viewer:  {tasks: [view, list]}          # everybody\n",
		},
		{
			"an item more on lines in brackets", mapping.Add("rules[id=late].grant.roles", "auditor"),
			"        author  # writes\n", "        author,  # writes\n        auditor\n",
		},
		{
			"an item more on lines", mapping.Add("rules[id=late].match.groups", map[string]any{"name": "More"}),
			"", "        - {name: More}\n",
		},
		{
			"an item less in brackets", mapping.Remove("roles.author.tasks[=view]"),
			"  author:  {tasks: [view, edit], inherits: [viewer]}\n", "  author:  {tasks: [edit], inherits: [viewer]}\n",
		},
		{
			"an item less on lines in brackets", mapping.Remove("rules[id=late].grant.roles[=author]"),
			"        viewer, # reads\n        author  # writes\n", "        viewer # reads\n",
		},
		{
			"a list, item by item", mapping.Set("rules[id=late].grant.roles", []string{"auditor", "author"}),
			"        viewer, # reads\n", "        auditor, # reads\n",
		},
		{
			"the last item of a list", mapping.Remove("roles.viewer.tasks[0]"),
			"  viewer:  {tasks: [view]}          # everybody\n", "  viewer:  {tasks: []}          # everybody\n",
		},
		{
			"an item with the comment above", mapping.Remove("rules[id=late].match.groups[scim=Others]"),
			"        # the others\n        - {scim: Others}\n", "",
		},
		{
			"an entry with its comments", mapping.Remove("roles.author"),
			"  # Authors write.\n  author:  {tasks: [view, edit], inherits: [viewer]}\n", "",
		},
		{
			"a rule with its comments", mapping.Remove("rules[id=desk]"),
			"  # the desk\n  - id: desk   # CHG-1\n    note: 'it''s the desk'\n    match: {connection: acme, groups: [{name: Desk}]}\n    grant: {roles: [viewer]}\n\n", "",
		},
		{
			"what stands behind a dash", mapping.Remove("rules[id=desk].id"),
			"  - id: desk   # CHG-1\n    note: 'it''s the desk'\n", "  - note: 'it''s the desk'\n",
		},
		{
			"a role more", mapping.Set("roles.boss", map[string]any{"privileged": true, "tasks": []string{"x: y"}}),
			"", "  boss:    {tasks: [\"x: y\"], privileged: true}\n",
		},
		{
			"a key more where people look for it", mapping.Set("rules[id=desk].valid", map[string]any{"from": "2026-12-01T00:00:00Z"}),
			"", "    valid: {from: 2026-12-01T00:00:00Z}\n",
		},
		{"a rule more", mapping.Add("rules", map[string]any{
			"id": "third", "match": map[string]any{"connection": "acme", "groups": []any{map[string]any{"name": "Third"}}},
			"grant": map[string]any{"roles": []string{"viewer"}},
		}), "", "\n  - id: third\n    match:\n      connection: \"acme\"\n      groups:\n        - {name: Third}\n    grant:\n      roles: [viewer]\n"},
		{
			"the first entry of a section", mapping.Add("tests", map[string]any{"name": "nobody", "given": map[string]any{"connection": "acme"}, "expect": map[string]any{"login": "deny"}}),
			"tests: []  # none yet\n", "tests:  # none yet\n  - name: nobody\n    given: {connection: acme}\n    expect: {login: deny}\n",
		},
		{
			"a section more", mapping.Set("defaults", map[string]any{"noMatch": "no-access"}),
			"", "defaults:\n  noMatch: no-access\n\n",
		},
		{
			"a role by another name", mapping.Rename(mapping.KindRole, "viewer", "reader"),
			"  viewer:  {tasks: [view]}          # everybody\n  author:  {tasks: [view, edit], inherits: [viewer]}\n    grant: {roles: [viewer]}\n        viewer, # reads\n",
			"  reader:  {tasks: [view]}          # everybody\n  author:  {tasks: [view, edit], inherits: [reader]}\n    grant: {roles: [reader]}\n        reader, # reads\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, eol := range []string{"\n", "\r\n"} {
				before := strings.ReplaceAll(editable, "\n", eol)
				after := edit(t, before, tc.change)
				removed, added := changed(strings.Split(before, eol), strings.Split(after, eol))
				if diff := cmp.Diff(tc.removed, removed); diff != "" {
					t.Errorf("lines that went (-want +got):\n%s\n%s", diff, after)
				}
				if diff := cmp.Diff(tc.added, added); diff != "" {
					t.Errorf("lines that came (-want +got):\n%s\n%s", diff, after)
				}
				if strings.Count(after, "\n") != strings.Count(after, eol) {
					t.Errorf("line ends are mixed: %q", after)
				}
			}
		})
	}
}

func edit(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, text string, changes ...mapping.Amendment,
) string {
	t.Helper()
	out, err := mapping.Edit("m.yaml", []byte(text), changes...)
	if err != nil {
		t.Fatalf("Edit: %v\n%s", err, text)
	}
	return string(out)
}

// changed gives the lines that only one of two texts has, by a longest common
// subsequence.
func changed(a, b []string) (removed, added string) {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := range slices.Backward(a) {
		for j := range slices.Backward(b) {
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var gone, came strings.Builder
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && length[i+1][j] >= length[i][j+1]:
			gone.WriteString(a[i] + "\n")
			i++
		default:
			came.WriteString(b[j] + "\n")
			j++
		}
	}
	return gone.String(), came.String()
}

func TestEditRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		change     mapping.Amendment
		want       string
	}{
		{"a path that leads nowhere", editable, mapping.Set("rules[id=desk].mtach.connection", "x"), `m.yaml:11:5: rules[id=desk].mtach is not in the file; did you mean "match"?`},
		{"an entry that is not there", editable, mapping.Set("rules[id=dsk].note", "x"), "m.yaml:11:3: rules[id=dsk] is not in the file"},
		{"a key of a scalar", editable, mapping.Set("version.x", "x"), "m.yaml:2:10: version is a number and has no key \"x\""},
		{"a key that is not there to go", editable, mapping.Remove("roles.editor"), "roles.editor is not in the file"},
		{"no path", editable, mapping.Set("rules[", "x"), `"rules[" is no path; want one like rules[id=…].grant.roles`},
		{"an empty path", editable, mapping.Remove(""), "the path is empty"},
		{"more than one entry", editable, mapping.Remove("rules[id=late].grant.roles[=viewer].x"), "has no key"},
		{"no list to add to", editable, mapping.Add("roles", "x"), "roles is a mapping; want a list to add to"},
		{"nothing", editable, mapping.Set("version", nil), "nothing cannot stand in a mapping file"},
		{"a value that no file has", editable, mapping.Set("version", struct{}{}), "a value of this type cannot stand"},
		{"text that is not UTF-8", editable, mapping.Set("rules[0].note", "\xff"), "text that is not UTF-8"},
		{"a key with a variable", editable, mapping.Set("roles", map[string]any{"${x}": "a"}), "a key cannot hold ${…}"},
		{"a path with a variable", editable, mapping.Set("roles.${x}", "a"), "a key cannot hold ${…}"},
		{"anchors", "a: &x 1\n", mapping.Set("a", 2), "anchors (&) are not allowed"},
		{"no YAML", "a: [\n", mapping.Set("a", 2), "not YAML"},
		{"no mapping", "- a\n", mapping.Set("a", 2), "the file is no mapping"},
		{"the whole file", "a: 1\n", mapping.Remove("a"), "the file would be empty"},
		{"a name that is taken", editable, mapping.Rename(mapping.KindRole, "viewer", "author"), `m.yaml:7:3: role "author" stands here already`},
		{"a name that is none", editable, mapping.Rename(mapping.KindRole, "viewer", "a,b"), "a name with a comma"},
		{"a name that is not there", editable, mapping.Rename(mapping.KindRole, "editor", "x"), `role "editor" is not in the file`},
		{"an unknown kind of name", editable, mapping.Rename("person", "editor", "x"), "nothing that has a name"},
		{"a connection that an expression names", "rules: [{id: a, match: {connection: b, when: user.connection == 'b'}}]\n", mapping.Rename(mapping.KindConnection, "b", "c"), `when names connection "b"`},
		{"a pair without braces", "a: [b: c]\n", mapping.Set("a[0].d", "e"), "edit the text by hand"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, err := mapping.Edit("m.yaml", []byte(tc.text), mapping.Amendment{}, tc.change)
			if err == nil || out != nil {
				t.Fatalf("Edit = %q, %v; want a refusal", out, err)
			}
			inside(t, tc.text, err)
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Edit: %v; want %s", err, tc.want)
			}
		})
	}
}

// TestEditQuotes: whatever a text looks like, it is read back as that text,
// and people who read YAML 1.1 do not take it for something else.
func TestEditQuotes(t *testing.T) {
	for _, text := range []string{
		"", " ", "a", "no", "Yes", "off", "null", "~", "true", "1", "1e3", "0x1", "0o7", "1_000", "12:30", ".5", ".inf", "-1", "08", "2026-12-01",
		"a: b", "a:b", "a:", "a #b", "a#b", "#a", "*", "*a", "&a", "!a", "%a", "@a", "`a", "- a", "-", "? a", "[a", "{a}", "a]", "a, b", "|", ">",
		"'", "\"", "it's", `a"b`, `CORP\Users`, "\\", "é", "👍🏽", "a\nb", "a\n", "\n", "a\tb", " a", "a ", "\u00a0", "\u200b", "\u202e", "\ufeff", "\u0085", "\u2028",
		"<<", "=", "---", "...", "${x}", "user.a == 'b' || claims['x'] in [\"y\"]", "8bab1c86-8fba-33e5-2089-1d1c80ec267d", "2026-12-01T00:00:00Z",
	} {
		for _, before := range []string{"a: x # c\nb: y\n", "a: 'x' # c\nb: y\n", "a: \"x\" # c\nb: y\n", "a: |\n  x\n  y\nb: y\n", "a: >-\n  x\nb: y\n", "{a: x, b: y}\n", "a:\nb: y\n"} {
			after := edit(t, before, mapping.Set("a", text))
			got := decoded(t, after)
			if diff := cmp.Diff(map[string]any{"a": text, "b": "y"}, got); diff != "" {
				t.Errorf("Set %q in %q gave %q (-want +got):\n%s", text, before, after, diff)
			}
			if again := edit(t, after, mapping.Set("a", text)); again != after {
				t.Errorf("Set again: %q, want %q", again, after)
			}
		}
		if strings.Contains(text, "${") {
			continue // no key has a variable in it
		}
		named := edit(t, "roles:\n  x: {}\n", mapping.Set(mapping.Path("roles", text+"k"), "v"))
		if diff := cmp.Diff(map[string]any{"roles": map[string]any{"x": map[string]any{}, text + "k": "v"}}, decoded(t, named)); diff != "" {
			t.Errorf("key %q gave %q (-want +got):\n%s", text, named, diff)
		}
	}
	for text, want := range map[string]string{"no": `"no"`, "1e3": `"1e3"`, "12:30": `"12:30"`, "0x1": `"0x1"`, "8bab1c86-8fba-33e5-2089-1d1c80ec267d": "8bab1c86-8fba-33e5-2089-1d1c80ec267d", "2026-12-01T00:00:00Z": "2026-12-01T00:00:00Z", "👍🏽": "👍🏽"} {
		if got := edit(t, "a: x\n", mapping.Set("a", text)); got != "a: "+want+"\n" {
			t.Errorf("Set %q gave %q, want %s", text, got, want)
		}
	}
}

func TestMentions(t *testing.T) {
	got, err := mapping.Mentions("m.yaml", []byte(editable), mapping.KindRole, "viewer")
	want := []mapping.Mention{
		{"m.yaml", 5, 3, true}, {"m.yaml", 7, 45, false}, {"m.yaml", 14, 21, false}, {"m.yaml", 28, 9, false},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Mentions (-want +got), %v:\n%s", err, diff)
	}
}

// A list of names becomes a mapping with something below each of them, where it
// stands and with its comments.
func TestEditMakesAListOfNamesAMapping(t *testing.T) {
	two := map[string]any{"acme": map[string]any{"ceiling": "unrestricted"}, "b.c": map[string]any{}}
	for before, after := range map[string]string{
		"list: [acme, b.c] # x\n":                             "list: {acme: {ceiling: unrestricted}, b.c: {}} # x\n",
		"list: [ # x\n  b.c, # y\n  'acme' # z\n]\nmore: 1\n": "list: { # x\n  b.c: {}, # y\n  'acme': {ceiling: unrestricted} # z\n}\nmore: 1\n",
		"list: # w\n  # x\n  - acme # y\n\n  - \"b.c\" # z\n": "list: # w\n  # x\n    acme: {ceiling: unrestricted} # y\n\n    \"b.c\": {} # z\n",
		"list:\n- acme\n- b.c\nmore: 1\n":                     "list:\n  acme: {ceiling: unrestricted}\n  b.c: {}\nmore: 1\n",
		"list: [acme, acme] # x\n":                            "list: {acme: {ceiling: unrestricted}, b.c: {}} # x\n",
		"list: [acme] # x\n":                                  "list: {acme: {ceiling: unrestricted}, b.c: {}} # x\n",
		"list: [acme, b.c, d] # x\n":                          "list: {acme: {ceiling: unrestricted}, b.c: {}} # x\n",
	} {
		got, err := mapping.Edit("m.yaml", []byte(before), mapping.Set("list", two))
		if err != nil || string(got) != after {
			t.Errorf("Edit(%q) = %q, %v, want %q", before, got, err, after)
		}
	}
}
