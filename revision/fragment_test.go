package revision_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
	"portcullis/store/storetest"
)

const shared = `version: 1
include: [clients/*.yaml]
connections:
  one: {ceiling: {roles: [viewer]}}
  two: {ceiling: {roles: [viewer]}}
roles: {viewer: {tasks: [view]}}
`

// client is the fragment of a connection that lets one group in.
func client(connection, group string) string {
	return fmt.Sprintf(`connection: %[1]s
rules: [{id: readers, match: {connection: %[1]s, groups: [{name: %[2]s}]}, grant: {roles: [viewer]}}]
tests: [{name: reader, given: {groups: [%[2]s]}, expect: {roles: [viewer]}}]
`, connection, group)
}

var clients = mapping.Options{Connections: []string{"one", "two"}}

// folder is a mapping file with the fragments of two clients, and a Keeper
// over it.
type folder struct {
	t    *testing.T
	file string
	db   *store.DB
	*revision.Keeper
}

func newFolder(t *testing.T) *folder {
	t.Helper()
	f := &folder{t: t, file: filepath.Join(t.TempDir(), "mapping.yaml"), db: storetest.SQLite(t)}
	if err := os.Mkdir(filepath.Join(filepath.Dir(f.file), "clients"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, f.file, shared)
	f.write("one", client("one", "A"))
	f.write("two", client("two", "A"))
	f.restart()
	return f
}

func (f *folder) path(name string) string {
	return filepath.Join(filepath.Dir(f.file), "clients", name+".yaml")
}

func (f *folder) write(name, text string) {
	f.t.Helper()
	write(f.t, f.path(name), text)
}

// restart makes another Keeper and gives what its Load says.
func (f *folder) restart() error {
	f.Keeper = revision.New(revision.Config{Store: f.db.Revisions(), File: f.file, Options: clients})
	return f.Load(f.t.Context())
}

// settle looks as often as a change needs: once to see it, once to see it
// again, once more for files that are included for the first time.
func (f *folder) settle() {
	for range 3 {
		f.Check(f.t.Context())
	}
}

// in reports who gets in, as "one:A two:B".
func (f *folder) in() string { return in(f.Policy()) }

func in(p *mapping.Policy) string {
	var out []string
	for _, connection := range []string{"one", "two", "three"} {
		for _, group := range []string{"A", "B"} {
			if p.Evaluate(&mapping.Facts{Connection: connection, Groups: []string{group}}, time.Time{}).Login {
				out = append(out, connection+":"+group)
			}
		}
	}
	return strings.Join(out, " ")
}

func (f *folder) check(what, want string) {
	f.t.Helper()
	if got := f.in(); got != want {
		f.t.Errorf("%s: %q gets in, want %q", what, got, want)
	}
	// What is recorded is what is in force.
	l := revision.NewLedger(revision.LedgerConfig{Store: f.db.Revisions(), Options: clients})
	h, err := l.History(f.t.Context(), 1)
	if err != nil || h.Head.Hash != f.Status().Hash {
		f.t.Fatalf("%s: in force is %.12s, recorded %.12s, %v", what, f.Status().Hash, h.Head.Hash, err)
	}
	k := revision.New(revision.Config{Store: f.db.Revisions(), Options: clients})
	_ = k.Load(f.t.Context())
	if k.Policy() == nil || in(k.Policy()) != want {
		f.t.Errorf("%s: the recorded revision does not let %q in", what, want)
	}
}

func TestABrokenFragmentLeavesItsClientAloneOnTheLastGoodOne(t *testing.T) {
	f := newFolder(t)
	f.check("at first", "one:A two:A")
	f.write("one", client("one", "B"))
	f.settle()
	f.check("a changed fragment", "one:B two:A")
	f.write("one", strings.Replace(client("one", "A"), "[viewer]", "[veiwer]", 1))
	f.write("two", client("two", "B"))
	f.settle()
	f.check("a broken fragment", "one:B two:B")
	if s := f.Status(); s.Problem == nil || !strings.Contains(s.Problem.Error(), "one.yaml:2:") || !s.Partly {
		t.Errorf("Status = %+v, want the place of the mistake", s)
	}
	events := trail(t, f.db)
	if got := strings.Join(events, " "); got != "mapping.applied mapping.applied mapping.applied mapping.refused" {
		t.Errorf("audit = %s", got)
	}
	f.settle()
	if again := trail(t, f.db); len(again) != len(events) {
		t.Errorf("audit = %v, want nothing new for an unchanged file", again)
	}
	if err := f.restart(); err == nil {
		t.Error("Load with a broken fragment = nil, want what is wrong")
	}
	f.check("a restart", "one:B two:B")
	write(t, f.file, shared+"unknown: true\n")
	if err := f.restart(); err == nil {
		t.Error("Load with a broken base = nil, want what is wrong")
	}
	f.check("a restart with a broken base", "one:B two:B")
	write(t, f.file, shared)
	f.write("one", client("one", "A"))
	f.settle()
	f.check("mended", "one:A two:B")
	if p := f.Status().Problem; p != nil {
		t.Errorf("Problem = %v, want none", p)
	}
}

func TestFragmentsComeAndGo(t *testing.T) {
	f := newFolder(t)
	if err := os.Remove(f.path("two")); err != nil {
		t.Fatal(err)
	}
	f.settle()
	f.check("one went", "one:A")
	if err := f.restart(); err != nil { // where nobody knows of a second file
		t.Fatal(err)
	}
	// The first half of a file that is being written would be good as well.
	half, whole := client("two", "B"), client("two", "B")+"# whole\n"
	f.write("two", half)
	f.Check(t.Context())
	f.Check(t.Context())
	if got := f.in(); got != "one:A" {
		t.Errorf("a file that was read once: %q gets in", got)
	}
	f.write("two", whole)
	f.settle()
	f.check("it came back", "one:A two:B")
	f.settle()
	if got := len(trail(t, f.db)); got != 3 {
		t.Errorf("%d events, want 3", got)
	}
}

func TestTheToolsKeepWhatAFileIncludes(t *testing.T) {
	f := newFolder(t)
	db := storetest.SQLite(t)
	l := revision.NewLedger(revision.LedgerConfig{Store: db.Revisions(), Options: clients})
	texts, err := revision.ReadFile(f.file)
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := l.Apply(t.Context(), ada, texts, "")
	if err != nil || a.Hash != f.Status().Hash {
		t.Fatalf("Apply = %.12s, %v, want the hash of the file, %.12s", a.Hash, err, f.Status().Hash)
	}
	r, _, err := l.Show(t.Context(), a.Hash)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, each := range r.Texts {
		names = append(names, each.Name)
	}
	if diff := cmp.Diff([]string{"mapping.yaml", "clients/one.yaml", "clients/two.yaml"}, names); diff != "" {
		t.Errorf("texts (-want +got):\n%s", diff)
	}
	k := revision.New(revision.Config{Store: db.Revisions(), Options: clients})
	if err := k.Load(t.Context()); err != nil || in(k.Policy()) != "one:A two:A" {
		t.Errorf("Load = %v", err)
	}
	// A client's mistake is refused as a whole here: it was not in force yet.
	f.write("two", strings.Replace(client("two", "B"), "[viewer]", "[veiwer]", 1))
	if texts, err = revision.ReadFile(f.file); err != nil {
		t.Fatal(err)
	}
	if _, _, err = l.Apply(t.Context(), ada, texts, ""); err == nil || !strings.Contains(err.Error(), filepath.Dir(f.file)+"/clients/two.yaml:2:") {
		t.Errorf("Apply = %v, want the place of the mistake", err)
	}
}

func TestIncludesDoNotLeaveTheFolder(t *testing.T) {
	f := newFolder(t)
	outside := filepath.Join(t.TempDir(), "outside.yaml")
	write(t, outside, client("two", "B"))
	if err := os.Remove(f.path("two")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, f.path("two")); err != nil {
		t.Fatal(err)
	}
	if err := f.restart(); err == nil || strings.Contains(f.in(), "two:B") {
		t.Errorf("Load = %v and %q gets in, want the link refused", err, f.in())
	}
}

func TestManyFragmentsAreLookedAtQuickly(t *testing.T) {
	f := newFolder(t)
	ids := []string{"one", "two"}
	var connections strings.Builder
	for i := range 400 {
		id := fmt.Sprintf("c%03d", i)
		ids = append(ids, id)
		fmt.Fprintf(&connections, "  %s: {ceiling: {roles: [viewer]}}\n", id)
		f.write(id, client(id, "A"))
	}
	write(t, f.file, strings.Replace(shared, "roles: {viewer: {", connections.String()+"roles: {viewer: {", 1))
	changed := 0
	f.Keeper = revision.New(revision.Config{
		Store: f.db.Revisions(), File: f.file, Options: mapping.Options{Connections: ids}, Changed: func(context.Context) { changed++ },
	})
	measure := func(what string, do func()) {
		begin := time.Now()
		do()
		took := time.Since(begin)
		t.Logf("%s: %s", what, took)
		if took > 20*time.Second {
			t.Errorf("%s took %s", what, took)
		}
	}
	measure("load 402 fragments", func() {
		if err := f.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	measure("look when nothing changed", func() { f.Check(t.Context()) })
	f.write("c007", client("c007", "B"))
	f.Check(t.Context())
	measure("one changed fragment", func() { f.Check(t.Context()) })
	if changed != 2 {
		t.Errorf("changes = %d, want 2", changed)
	}
}
