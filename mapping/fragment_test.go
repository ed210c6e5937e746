package mapping_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portcullis/mapping"
)

const fragmentBase = `version: 1
include: [clients/*.yaml]
connections:
  staff: {ceiling: unrestricted}
  one: {ceiling: {roles: [viewer], where: {account: "*"}}}
  two: {ceiling: {roles: [viewer], where: {account: "*"}}}
roles: {viewer: {tasks: [view]}, editor: {tasks: [edit]}}
attributes: {account: {onMissing: none}}
permissionGroups: {all: {where: {account: "*"}}}
rules:
  - {id: leavers, match: {connection: "*", groups: [{name: Leavers}]}, deny: {login: true}}
`

// clientText is a fragment with its test.
func clientText(connection, account string) string {
	return fmt.Sprintf(`connection: %s
permissionGroups: {own: {where: {account: [%s]}}}
rules:
  - {id: readers, match: {connection: %s, groups: [{name: Readers}]}, grant: {roles: [viewer, editor], permissionGroups: [own]}}
tests:
  - {name: reader, given: {groups: [Readers]}, expect: {roles: [viewer], because: [readers]}, can: [{account: %s}]}
`, connection, account, connection, account)
}

// tree is a folder in memory with a root file mapping.yaml.
type tree fstest.MapFS

func newTree(base string, clients map[string]string) tree {
	t := tree{"mapping.yaml": &fstest.MapFile{Data: []byte(base)}}
	for name, text := range clients {
		t.write("clients/"+name+".yaml", text)
	}
	return t
}

func (t tree) write(name, text string) { t[name] = &fstest.MapFile{Data: []byte(text)} }

func (t tree) options() mapping.Options {
	f := fstest.MapFS(t)
	return mapping.Options{Read: f.ReadFile, Glob: func(p string) ([]string, error) { return fs.Glob(f, p) }}
}

func (t tree) load(tb testing.TB, previous *mapping.Policy) *mapping.Policy {
	tb.Helper()
	p, err := mapping.LoadWith(previous, "mapping.yaml", t["mapping.yaml"].Data, t.options())
	if err != nil {
		tb.Fatalf("LoadWith: %v", err)
	}
	return p
}

func (t tree) strict() error {
	_, err := mapping.Load("mapping.yaml", t["mapping.yaml"].Data, t.options())
	return err
}

func reader(p *mapping.Policy, connection string) mapping.Access {
	return p.Evaluate(&mapping.Facts{Connection: connection, Groups: []string{"Readers"}}, time.Time{})
}

func TestFragmentsAreRulesOfOneConnection(t *testing.T) {
	files := newTree(fragmentBase, map[string]string{"one": clientText("one", "A"), "two": clientText("two", "B")})
	if err := files.strict(); err != nil {
		t.Fatal(err)
	}
	p := files.load(t, nil)
	for connection, account := range map[string]string{"one": "A", "two": "B"} {
		a := reader(p, connection)
		if !cmp.Equal(a.Roles, []string{"viewer"}) || !a.Permissions.Allows(map[string]string{"account": account}) {
			t.Errorf("reader of %s: %+v, want viewer of account %s", connection, a, account)
		}
		for _, other := range []string{"A", "B"} {
			if other != account && a.Permissions.Allows(map[string]string{"account": other}) {
				t.Errorf("reader of %s sees account %s", connection, other)
			}
		}
	}
	if a := reader(p, "staff"); a.Login {
		t.Errorf("reader of staff: %+v, want a refusal", a)
	}
	leaver := p.Evaluate(&mapping.Facts{Connection: "one", Groups: []string{"Readers", "Leavers"}}, time.Time{})
	if leaver.Login || !cmp.Equal(leaver.Rules, []string{"leavers", "readers"}) {
		t.Errorf("leaver: %+v, want a refusal by a rule of the base", leaver)
	}
	if got := p.Test().Ran; got != 2 {
		t.Errorf("Test ran %d, want 2", got)
	}
	if e := p.Explain(&mapping.Facts{Connection: "one", Groups: []string{"readers"}}, time.Time{}); !strings.Contains(e.String(), "clients/one.yaml") {
		t.Errorf("Explain names no file of the fragment:\n%s", e)
	}
}

// TestABrokenFragmentTouchesNobodyElse: whatever is wrong with one client's
// file, that client keeps what was in force and the others get what is new.
func TestABrokenFragmentTouchesNobodyElse(t *testing.T) {
	good := clientText("one", "A")
	for name, broken := range map[string]string{
		"not YAML":              "connection: one\nrules: [",
		"unknown role":          strings.Replace(good, "viewer, editor", "viewr", 1),
		"failing test":          strings.Replace(good, "can: [{account: A}]", "can: [{account: B}]", 1),
		"another connection":    strings.Replace(good, "{connection: one,", "{connection: two,", 1),
		"every connection":      strings.Replace(good, "{connection: one,", "{connection: \"*\",", 1),
		"roles":                 good + "roles: {x: {}}\n",
		"connections":           good + "connections: {one: {ceiling: unrestricted}}\n",
		"defaults":              good + "defaults: {noMatch: no-access}\n",
		"include":               good + "include: [two.yaml]\n",
		"a rule of the base":    strings.ReplaceAll(good, "readers", "leavers"),
		"a group of the base":   strings.ReplaceAll(good, "own", "all"),
		"slip in the first key": strings.Replace(good, "connection:", "connecton:", 1),
		"test of another":       strings.Replace(good, "given: {groups", "given: {connection: two, groups", 1),
		"bad CEL":               strings.Replace(good, "groups: [{name: Readers}]}", "when: 'x ='}", 1),
		"not there":             "",
	} {
		t.Run(name, func(t *testing.T) {
			files := newTree(strings.Replace(fragmentBase, "clients/*.yaml", "clients/one.yaml, clients/two.yaml", 1), map[string]string{"one": good, "two": clientText("two", "B")})
			before := files.load(t, nil)
			files.write("clients/one.yaml", broken)
			if broken == "" {
				delete(files, "clients/one.yaml")
			}
			files.write("clients/two.yaml", clientText("two", "C"))
			if err := files.strict(); err == nil {
				t.Error("Load = nil, want the problems of the fragment")
			}
			after := files.load(t, before)
			if diff := cmp.Diff(reader(before, "one"), reader(after, "one")); diff != "" {
				t.Errorf("the client with the broken file (-before +after):\n%s", diff)
			}
			if !reader(after, "two").Permissions.Allows(map[string]string{"account": "C"}) {
				t.Errorf("the other client: %+v, want its new file", reader(after, "two"))
			}
			f := after.Fragments()[0]
			if f.Connection != "one" || f.Closed || len(f.Problems) == 0 || f.File != "clients/one.yaml" || f.Problems[0].File != "clients/one.yaml" {
				t.Errorf("Fragments()[0] = %+v, want problems of clients/one.yaml", f)
			}
			if after.Hash() == before.Hash() {
				t.Error("Hash() did not change with what is in force")
			}
			if broken == "" {
				return // a file that the base names and nobody has seen is its mistake
			}
			// After a restart there is nothing to fall back on: closed, not open.
			fresh := files.load(t, nil)
			if a := reader(fresh, "one"); a.Login || !fresh.Fragments()[0].Closed {
				t.Errorf("without an earlier fragment: %+v, want a refusal", a)
			}
			o := files.options()
			o.LastGood = func(connection string) (string, []byte, bool) {
				return f.File, []byte(f.Text), connection == "one"
			}
			kept, err := mapping.LoadWith(nil, "mapping.yaml", files["mapping.yaml"].Data, o)
			if err != nil || !cmp.Equal(reader(before, "one"), reader(kept, "one")) {
				t.Errorf("with the last good text: %v, want what it gave", err)
			}
		})
	}
}

func TestReplaceOneFragment(t *testing.T) {
	files := newTree(fragmentBase, map[string]string{"one": clientText("one", "A")})
	p := files.load(t, nil)
	q, err := p.Replace("clients/one.yaml", []byte(clientText("one", "C")))
	if err != nil {
		t.Fatal(err)
	}
	if q, err = q.Replace("clients/two.yaml", []byte(clientText("two", "B"))); err != nil {
		t.Fatal(err)
	}
	files.write("clients/one.yaml", clientText("one", "C"))
	files.write("clients/two.yaml", clientText("two", "B"))
	want := files.load(t, nil)
	for _, connection := range []string{"one", "two", "staff"} {
		if diff := cmp.Diff(reader(want, connection), reader(q, connection)); diff != "" {
			t.Errorf("reader of %s (-loaded +replaced):\n%s", connection, diff)
		}
	}
	if q.Hash() != want.Hash() || q.Hash() == p.Hash() || !reader(p, "one").Permissions.Allows(map[string]string{"account": "A"}) {
		t.Errorf("Hash() = %s, want %s, and the first policy as it was", q.Hash(), want.Hash())
	}
	for name, text := range map[string]string{
		"clients/one.yaml":   clientText("two", "A"),
		"clients/other.yaml": clientText("one", "A"),
		"clients/two.yaml":   "rules: []\n",
		"clients/x.yaml":     "connection: unknown\n",
		"clients/y.yaml":     "connection: [",
	} {
		_, err := q.Replace(name, []byte(text))
		if ps := problems(t, err); ps[0].File != name {
			t.Errorf("Replace(%s): %v, want a problem in it", name, err)
		}
	}
}

// TestABaseThatBreaksAGoodFragmentIsRefused: the mistake is the base's, and
// nobody's access changes by it.
func TestABaseThatBreaksAGoodFragmentIsRefused(t *testing.T) {
	files := newTree(fragmentBase, map[string]string{"one": clientText("one", "A")})
	before := files.load(t, nil)
	files.write("mapping.yaml", strings.Replace(fragmentBase, ", editor: {tasks: [edit]}", "", 1))
	_, err := mapping.LoadWith(before, "mapping.yaml", files["mapping.yaml"].Data, files.options())
	if err == nil || !strings.Contains(err.Error(), `clients/one.yaml:4:96: unknown role "editor"`) {
		t.Errorf("LoadWith = %v, want the line of the fragment", err)
	}
}

// TestFragmentsMeanWhatOneFileMeans: where a rule stands changes nothing for
// anybody, also after one fragment was loaded over another policy.
func TestFragmentsMeanWhatOneFileMeans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpec(t)
		one := s.load(t)
		files := s.fragments()
		many, err := mapping.Load("mapping.yaml", files["mapping.yaml"].Data, files.options())
		if err != nil {
			t.Fatalf("Load: %v\n%s", err, files["clients/client.yaml"].Data)
		}
		good := files["clients/client.yaml"].Data
		files.write("clients/client.yaml", "connection: client\nrules: []\n")
		other, err := mapping.LoadWith(many, "mapping.yaml", files["mapping.yaml"].Data, files.options())
		if err != nil {
			t.Fatal(err)
		}
		files.write("clients/client.yaml", string(good))
		back, err := mapping.LoadWith(other, "mapping.yaml", files["mapping.yaml"].Data, files.options())
		if err != nil || back.Hash() != many.Hash() {
			t.Fatalf("LoadWith: %v, hash %s, want %s", err, back.Hash(), many.Hash())
		}
		for range 3 {
			f := drawFacts(t)
			at := drawTime(t)
			want := one.Evaluate(&f, at)
			for _, p := range []*mapping.Policy{many, back} {
				if diff := cmp.Diff(want, p.Evaluate(&f, at)); diff != "" {
					t.Fatalf("with fragments (-one file +fragments):\n%s\n%s", diff, s.yaml())
				}
			}
			if f.Connection != "client" {
				if diff := cmp.Diff(want, other.Evaluate(&f, at)); diff != "" {
					t.Fatalf("the fragment of another changed access:\n%s", diff)
				}
			}
			if diff := cmp.Diff(want, back.Explain(&f, at).Access); diff != "" {
				t.Fatalf("Explain:\n%s", diff)
			}
		}
	})
}

// FuzzInclude: no name of a file outside the folder is ever asked for.
func FuzzInclude(f *testing.F) {
	for _, name := range []string{"a.yaml", "../a", "a/../../b", "/etc/passwd", "..", "./..//x", "a/./b", "*/../../x", "C:x", "a\\\\..", "[a-", "%2e%2e/x"} {
		f.Add(name, name)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		asked := 0
		file := func(include string) []byte {
			text, err := json.Marshal([]string{include})
			if err != nil {
				t.Fatal(err)
			}
			return []byte("version: 1\ninclude: " + string(text) + "\nconnections: [acme]\nrules: []\n")
		}
		_, err := mapping.Load("mapping.yaml", file(first), mapping.Options{
			Read: func(name string) ([]byte, error) {
				if !fs.ValidPath(name) || name == "." {
					t.Fatalf("include %q, then %q: Read(%q)", first, second, name)
				}
				if asked++; asked > 3 {
					return nil, fs.ErrNotExist
				}
				return file(second), nil
			},
			Glob: func(pattern string) ([]string, error) { return []string{"../x", "/x", "sub/y", pattern}, nil },
		})
		if err == nil {
			t.Fatal("two files declare one connection, and Load = nil")
		}
	})
}

func TestUnchangedPartsAreTakenOver(t *testing.T) {
	files := newTree(fragmentBase, map[string]string{"one": clientText("one", "A"), "two": clientText("two", "B")})
	p := files.load(t, nil)
	for range 3 {
		q := files.load(t, p)
		if q.Hash() != p.Hash() {
			t.Fatalf("Hash() = %s, want %s", q.Hash(), p.Hash())
		}
		p = q
	}
	// A change of the base reaches the people of a fragment that stayed.
	files.write("mapping.yaml", strings.Replace(fragmentBase, "ceiling: {roles: [viewer]", "ceiling: {roles: [viewer, editor]", 1))
	files.write("clients/one.yaml", strings.Replace(clientText("one", "A"), "roles: [viewer], because", "roles: [editor, viewer], because", 1))
	p = files.load(t, p)
	if a := reader(p, "one"); !cmp.Equal(a.Roles, []string{"editor", "viewer"}) {
		t.Errorf("reader of one: %+v, want editor and viewer", a)
	}
	delete(files, "clients/two.yaml")
	if p = files.load(t, p); reader(p, "two").Login {
		t.Error("a fragment that is gone still counts")
	}
}

// manyClients is 400 clients with 25 rules each.
func manyClients() tree {
	var base strings.Builder
	base.WriteString("version: 1\ninclude: [clients/*.yaml]\nroles: {viewer: {tasks: [view]}}\nattributes: {account: {onMissing: none}}\nrules: []\nconnections:\n")
	clients := map[string]string{}
	for i := range 400 {
		fmt.Fprintf(&base, "  client%d: {ceiling: {roles: [viewer], where: {account: [A%d]}}}\n", i, i)
		clients[fmt.Sprint("client", i)] = manyRules(i, 0)
	}
	return newTree(base.String(), clients)
}

func manyRules(client, salt int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "connection: client%d\npermissionGroups: {own: {where: {account: \"*\"}}}\nrules:\n", client)
	for r := range 25 {
		fmt.Fprintf(&b, "  - id: rule%d\n    match: {connection: client%d, groups: [{name: Group-%d-%d}]}\n    grant: {roles: [viewer], permissionGroups: [own]}\n", r, client, r, salt)
	}
	fmt.Fprintf(&b, "tests:\n  - {name: t, given: {groups: [Group-3-%d]}, expect: {because: [rule3]}}\n", salt)
	return b.String()
}

// BenchmarkFragments loads 400 fragments of 25 rules.
func BenchmarkFragments(b *testing.B) {
	files := manyClients()
	for b.Loop() {
		files.load(b, nil)
	}
}

// BenchmarkOneFragment changes one of 400 fragments.
func BenchmarkOneFragment(b *testing.B) {
	files := manyClients()
	p := files.load(b, nil)
	salt := 0
	for b.Loop() {
		salt++
		files.write("clients/client7.yaml", manyRules(7, salt))
		p = files.load(b, p)
	}
	if f := p.Fragments(); len(f) != 400 || len(f[7].Problems) > 0 {
		b.Fatalf("%d fragments", len(f))
	}
}
