package revision_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store"
	"portcullis/store/storetest"
)

// desk is a database that owns a mapping with fragments.
type desk struct {
	t  *testing.T
	db *store.DB
	*revision.Ledger
}

func newDesk(t *testing.T, db *store.DB, approval revision.Approval) *desk {
	t.Helper()
	d := &desk{t, db, revision.NewLedger(revision.LedgerConfig{Store: db.Revisions(), Options: clients, Approval: approval})}
	whole := []revision.Text{{Name: "mapping.yaml", Body: []byte(shared)}, {Name: "clients/one.yaml", Body: []byte(client("one", "A"))}}
	if approval != (revision.Approval{}) {
		free := revision.NewLedger(revision.LedgerConfig{Store: db.Revisions(), Options: clients})
		if _, _, err := free.Apply(t.Context(), ada, whole, "all"); err != nil {
			t.Fatal(err)
		}
		return d
	}
	if _, _, err := d.Apply(t.Context(), ada, whole, "all"); err != nil {
		t.Fatal(err)
	}
	return d
}

// fragment is the text of one connection, in a file somewhere.
func fragment(connection, body string) []revision.Text {
	return []revision.Text{{Name: "/home/of/somebody/clients/" + connection + ".yaml", Connection: connection, Body: []byte(body)}}
}

// in says who gets in by what is recorded as in force.
func (d *desk) in() string {
	d.t.Helper()
	k := revision.New(revision.Config{Store: d.db.Revisions(), Options: clients})
	if err := k.Load(d.t.Context()); err != nil {
		d.t.Errorf("Load: %v", err)
	}
	return in(k.Policy())
}

func TestAFragmentIsBroughtAndTakenBackAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		t.Helper()
		d := newDesk(t, open(), revision.Approval{})
		first, fresh, err := d.Apply(t.Context(), ada, fragment("two", client("two", "A")), "a new client")
		if err != nil || !fresh || first.Fragment != "two" || first.Part == 0 || d.in() != "one:A two:A" {
			t.Fatalf("Apply of a first fragment = %+v, fresh %t, %v; %q get in", first, fresh, err, d.in())
		}
		if _, fresh, err = d.Apply(t.Context(), ada, fragment("two", client("two", "A")), ""); err != nil || fresh {
			t.Errorf("Apply again: fresh %t, %v", fresh, err)
		}
		for range 2 { // both clients change, one after the other
			if _, _, err = d.Apply(t.Context(), ben, fragment("two", client("two", "B")), "their list"); err != nil {
				t.Fatal(err)
			}
			if _, _, err = d.Apply(t.Context(), ada, fragment("one", client("one", "B")), "ours"); err != nil {
				t.Fatal(err)
			}
		}
		back, err := d.Previous(t.Context(), "two")
		if err != nil {
			t.Fatal(err)
		}
		if _, err = d.Rollback(t.Context(), ada, back, "wrong list"); err != nil || d.in() != "one:B two:A" {
			t.Fatalf("Rollback of one client = %v; %q get in", err, d.in())
		}
		h, err := d.FragmentHistory(t.Context(), "two", 9)
		if err != nil {
			t.Fatal(err)
		}
		type line struct {
			Way         revision.Way
			By, Reason  string
			Hash        string
			Ran, Number int
		}
		a, b := revision.Hash(fragment("two", client("two", "A"))), revision.Hash(fragment("two", client("two", "B")))
		var got []line
		for _, x := range h.Applications {
			got = append(got, line{x.Way, x.By.Name, x.Reason, x.Hash, h.Revisions[x.Revision].Tests.Ran, int(x.Revision)})
		}
		r, applied, err := d.Show(t.Context(), a)
		if err != nil || r.Fragment != "two" || string(r.Texts[0].Body) != client("two", "A") || r.Reason != "a new client" || len(applied) != 2 {
			t.Errorf("Show = %+v, %d applications, %v", r, len(applied), err)
		}
		want := []line{
			{revision.ByRollback, "ada", "wrong list", a, 1, int(r.Number)},
			{revision.ByApply, "ben", "their list", b, 1, got[1].Number},
			{revision.ByApply, "ada", "a new client", a, 1, int(r.Number)},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("history of a fragment (-want +got):\n%s", diff)
		}
		if h, err = d.FragmentHistory(t.Context(), "one", 9); err != nil || len(h.Applications) != 2 {
			t.Errorf("history of the other = %d applications, %v, want the first one of all and its own", len(h.Applications), err)
		}
		// What came with all of the mapping can be gone back to alone, too.
		if _, err := d.Rollback(t.Context(), ada, revision.Hash(fragment("one", client("one", "A"))), ""); err != nil || d.in() != "one:A two:A" {
			t.Errorf("Rollback to what came with all = %v; %q get in", err, d.in())
		}
		if _, err := d.Rollback(t.Context(), ada, a, ""); !fault.Is(err, fault.Conflict) {
			t.Errorf("Rollback to what is in force = %v, want conflict", err)
		}
		if _, err := d.FragmentHistory(t.Context(), "three", 9); !fault.Is(err, fault.NotFound) {
			t.Errorf("FragmentHistory of nobody = %v, want not found", err)
		}
	})
}

func TestAFragmentsMistakesAreItsOwn(t *testing.T) {
	d := newDesk(t, storetest.SQLite(t), revision.Approval{})
	good := client("two", "A")
	for _, tc := range []struct {
		name, body, want string
	}{
		{"no YAML", "connection: two\nrules: [", "/home/of/somebody/clients/two.yaml:2:"},
		{"an unknown role", strings.Replace(good, "[viewer]}}]\ntests", "[veiwer]}}]\ntests", 1), `unknown role "veiwer"`},
		{"a test that fails", strings.Replace(good, "expect: {roles: [viewer]}", "expect: {login: deny}", 1), "/home/of/somebody/clients/two.yaml:3:"},
		{"another connection", client("one", "B"), `is the fragment of connection "one"; want connection: two`},
		{"a file of all", "roles: {admin: {tasks: [all]}}\n", "names no connection"},
		{"what reaches beyond it", good + "connections: {two: {ceiling: unrestricted}}\n", "reaches beyond connection"},
		{"other people's rule", good + "# \n", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, do := range []func() error{
				func() error { _, err := d.Propose(t.Context(), ada, fragment("two", tc.body), "r"); return err },
				func() error { return third(d.Apply(t.Context(), ada, fragment("two", tc.body), "")) },
			} {
				err := do()
				if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
					t.Errorf("= %v, want %q", err, tc.want)
				}
			}
		})
	}
	elsewhere := []revision.Text{{Name: "two.yml", Connection: "two", Body: []byte(good)}}
	if d := newDesk(t, storetest.SQLite(t), revision.Approval{}); !fault.Is(third(d.Apply(t.Context(), ada, elsewhere, "")), fault.Invalid) {
		t.Error("a file that the mapping does not include is in force")
	}
	empty := revision.NewLedger(revision.LedgerConfig{Store: storetest.SQLite(t).Revisions(), Options: clients})
	if _, err := empty.Propose(t.Context(), ada, fragment("two", good), "r"); !fault.Is(err, fault.Conflict) {
		t.Errorf("Propose over nothing = %v, want conflict", err)
	}
}

// TestABrokenClientHindersNobodyElse: one that is broken under the
// configuration of today is closed, and the others go on.
func TestABrokenClientHindersNobodyElse(t *testing.T) {
	db := storetest.SQLite(t)
	d := newDesk(t, db, revision.Approval{})
	whole := []revision.Text{
		{Name: "mapping.yaml", Body: []byte(shared)},
		{Name: "clients/one.yaml", Body: []byte(client("one", "A"))},
		{Name: "clients/two.yaml", Body: []byte("connection: two\nrules: broken\n")},
	}
	err := db.Revisions().Update(t.Context(), func(tx revision.Tx) error {
		r, err := tx.InsertRevision(revision.Revision{Hash: revision.Hash(whole), Texts: whole, Author: ada.Actor, Created: noon})
		if err == nil {
			_, err = tx.InsertApplication(revision.Application{At: noon, Revision: r.Number, Way: revision.ByApply, Base: 1, By: ada.Actor})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Apply(t.Context(), ada, fragment("one", client("one", "B")), ""); err != nil {
		t.Fatalf("Apply beside a broken fragment = %v", err)
	}
	if _, _, err := d.Apply(t.Context(), ada, fragment("two", client("two", "B")), "mended"); err != nil || d.in() != "one:B two:B" {
		t.Errorf("Apply of the mended one = %v; %q get in", err, d.in())
	}
}

func TestAnApprovedFragmentIsOvertakenByItsOwnAndByWhatAllShareAlone(t *testing.T) {
	always := revision.Approval{Always: true}
	propose := func(t *testing.T, d *desk, texts []revision.Text) revision.Proposal {
		t.Helper()
		p, err := d.Propose(t.Context(), ada, texts, "r")
		if err != nil {
			t.Fatal(err)
		}
		if _, err = d.Approve(t.Context(), ben, p.Hash); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, tc := range []struct {
		name  string
		other []revision.Text
		late  bool
	}{
		{"another client", fragment("one", client("one", "B")), false},
		{"the same client", fragment("two", client("two", "A")+"#\n"), true},
		{"all", []revision.Text{
			{Name: "mapping.yaml", Body: []byte(shared + "# more\n")},
			{Name: "clients/one.yaml", Body: []byte(client("one", "A"))},
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDesk(t, storetest.SQLite(t), always)
			p := propose(t, d, fragment("two", client("two", "B")))
			if p.Fragment != "two" {
				t.Errorf("Fragment = %q", p.Fragment)
			}
			other := propose(t, d, tc.other)
			if _, _, err := d.ApplyKnown(t.Context(), ada, other.Hash, ""); err != nil {
				t.Fatal(err)
			}
			h, err := d.History(t.Context(), 9)
			if err != nil || len(h.Proposals) != 1 || h.Overtaken[p.Seq] != tc.late {
				t.Errorf("History = %+v, %v, want it overtaken: %t", h.Proposals, err, tc.late)
			}
			a, _, err := d.ApplyKnown(t.Context(), ada, p.Hash, "")
			if tc.late != fault.Is(err, fault.Conflict) || tc.late == (err == nil) {
				t.Fatalf("Apply = %+v, %v, want it overtaken: %t", a, err, tc.late)
			}
			if !tc.late && (a.Proposal != p.Seq || d.in() != "one:B two:B") {
				t.Errorf("Application = %+v; %q get in", a, d.in())
			}
		})
	}
}

// TestClientsDoNotWaitForEachOther: many change at once, and all of them are in
// force in the end.
func TestClientsDoNotWaitForEachOther(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		t.Helper()
		d := newDesk(t, open(), revision.Approval{})
		var wg sync.WaitGroup
		for _, id := range []string{"one", "two"} {
			l := revision.NewLedger(revision.LedgerConfig{Store: open().Revisions(), Options: clients})
			wg.Go(func() {
				for _, group := range []string{"A", "B", "A", "B"} {
					if _, _, err := l.Apply(t.Context(), ada, fragment(id, client(id, group)), ""); err != nil {
						t.Errorf("Apply of %s: %v", id, err)
					}
				}
			})
		}
		wg.Wait()
		if got := d.in(); got != "one:B two:B" {
			t.Errorf("%q get in, want both of B", got)
		}
	})
}

func TestAChangedFileIsCountedAndItsTestsAreRecorded(t *testing.T) {
	f := newFolder(t)
	asked := make(chan [2]bool, 1)
	f.Keeper = revision.New(revision.Config{
		Store: f.db.Revisions(), File: f.file, Options: clients,
		Reach: func(_ context.Context, before, after *mapping.Policy) (*revision.Counts, error) {
			asked <- [2]bool{strings.Contains(in(before), "two:A"), strings.Contains(in(after), "two:B")}
			return &revision.Counts{People: 9, Changed: 2, Lost: 1, Gained: 1}, nil
		},
	})
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	f.write("two", client("two", "B"))
	select {
	case got := <-asked:
		if got != [2]bool{true, true} {
			t.Errorf("counted with what was in force before and after: %v", got)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("nobody counts")
	}
	l := revision.NewLedger(revision.LedgerConfig{Store: f.db.Revisions(), Options: clients})
	var h revision.History
	await(t, "the counts are recorded", func() bool {
		var err error
		h, err = l.FragmentHistory(t.Context(), "two", 9)
		return err == nil && h.Head.Counts != nil
	})
	if got := *h.Head.Counts; got != (revision.Counts{People: 9, Changed: 2, Lost: 1, Gained: 1}) || len(h.Applications) != 2 || h.Head.Way != revision.ByFile {
		t.Errorf("history of a client's file = %+v with %+v", h.Applications, got)
	}
	if r := h.Revisions[h.Head.Revision]; r.Tests.Ran != 1 || r.Fragment != "two" {
		t.Errorf("revision of the client's file = %+v, want its one test", r)
	}
	whole, err := l.History(t.Context(), 9)
	if err != nil || whole.Revisions[whole.Head.Revision].Tests.Ran != 2 || len(whole.Applications) != 2 {
		t.Errorf("history = %+v, %v, want two tests", whole.Applications, err)
	}
}

func TestReadFragment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(file, []byte(client("one", "A")), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := revision.ReadFragment(file, "one")
	want := []revision.Text{{Name: file, Connection: "one", Body: []byte(client("one", "A"))}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("ReadFragment: %v (-want +got):\n%s", err, diff)
	}
	if _, err := revision.ReadFragment(file+"?", "one"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ReadFragment of no file = %v", err)
	}
}
