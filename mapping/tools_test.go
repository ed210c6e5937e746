package mapping_test

import (
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"portcullis/mapping"
)

// crowd gives people by number.
func crowd(people []mapping.Facts) iter.Seq2[string, *mapping.Facts] {
	return func(yield func(string, *mapping.Facts) bool) {
		for i := range people {
			if !yield(fmt.Sprint("person", i), &people[i]) {
				return
			}
		}
	}
}

const toolText = `version: 1
connections: {acme: {ceiling: unrestricted}, other: {ceiling: {roles: [viewer]}}}
roles:
  viewer: {tasks: [view]}
  editor: {inherits: [viewer], tasks: [edit]}
  admin: {tasks: [admin], privileged: true}
  nobody: {tasks: [nothing]}
attributes: {account: {onMissing: none}}
permissionGroups:
  all: {where: {account: "*"}}
  some: {where: {account: [A]}}
  unused: {where: {account: [A]}}
  everything: {unrestricted: true}
rules:
  - {id: viewers, match: {connection: acme, groups: [{name: Viewers}, {name: Never}, {regex: "Ne(ver|v)"}]}, grant: {roles: [viewer], permissionGroups: [some]}}
  - {id: editors, match: {connection: acme, groups: [{name: Editors}], userType: [Guest]}, grant: {roles: [editor]}}
  - {id: no-editors, match: {connection: "*", groups: [{name: Editors}, {name: More}]}, deny: {roles: [editor]}}
  - {id: admins, match: {connection: acme, groups: [{scim: Admins}]}, grant: {roles: [admin], permissionGroups: [all]}}
  - {id: leavers, match: {connection: acme, groups: [{name: Leavers}]}, deny: {login: true, reason: Bye}}
constraints: [{id: cap, role: admin, maxUsers: 1, onViolation: warn}]
tests:
  - {name: viewer, given: {connection: acme, groups: [Viewers]}, expect: {roles: [viewer]}}
  - {name: editor, given: {connection: acme, groups: [Editors], userType: Guest}, expect: {roles: []}}
`

func placeNames(places []mapping.Place) []string {
	names := []string{}
	for _, p := range places {
		names = append(names, p.Name)
		if p.Line == 0 || p.Column == 0 || p.File == "" {
			names = append(names, "without a place")
		}
	}
	return names
}

func TestCoverage(t *testing.T) {
	people := []mapping.Facts{
		{Connection: "acme", Groups: []string{"Viewers"}},
		{Connection: "acme", Groups: []string{"Viewers", "Leavers"}, Pushed: []mapping.Group{{Name: "Admins"}}},
		{Connection: "acme", Pushed: []mapping.Group{{Name: "Admins"}}},
		{Connection: "acme", Pushed: []mapping.Group{{ExternalID: "Admins"}}},
		{Connection: "other", Groups: []string{"More", "Never"}},
	}
	p := load(t, toolText)
	c := p.Coverage(time.Time{}, crowd(people))
	for _, tc := range []struct {
		what      string
		got, want []string
	}{
		{"Untested", placeNames(c.Untested), []string{"admins", "leavers"}},
		{"Overruled", placeNames(c.Overruled), []string{"editors"}},
		{"Ungranted", placeNames(c.Ungranted), []string{"nobody"}},
		{"UnusedGroup", placeNames(c.UnusedGroup), []string{"unused", "everything"}},
		{"Unhit", placeNames(c.Unhit), []string{"editors"}},
		{"Unseen", placeNames(c.Unseen), []string{`name "Never"`, `regex "Ne(ver|v)"`, `name "Editors"`, `name "Editors"`}},
	} {
		if diff := cmp.Diff(tc.want, tc.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.what, diff)
		}
	}
	if want := []mapping.CapUse{{Cap: mapping.Cap{ID: "cap", Role: "admin", MaxUsers: 1}, People: 2}}; !cmp.Equal(c.Caps, want) || !c.Caps[0].Exceeded() {
		t.Errorf("Caps = %+v, want %+v, exceeded", c.Caps, want)
	}
	if alone := p.Coverage(time.Time{}, nil); alone.People != 0 || alone.Unhit != nil || alone.Unseen != nil || len(alone.Untested) != 2 {
		t.Errorf("Coverage without people = %+v", alone)
	}
}

func TestDiff(t *testing.T) {
	people := []mapping.Facts{
		{Connection: "acme", Groups: []string{"Viewers"}},
		{Connection: "acme", Groups: []string{"Viewers", "Leavers"}},
		{Connection: "acme", Pushed: []mapping.Group{{Name: "Admins"}}},
		{Connection: "other", Groups: []string{"Viewers"}},
	}
	old := load(t, toolText)
	updated := load(t, strings.NewReplacer(
		"[{name: Leavers}]", "[{name: Viewers}]",
		"roles: [viewer]}}\n  - {name: editor", "login: deny}}\n  - {name: editor",
		"grant: {roles: [admin], permissionGroups: [all]}", "grant: {roles: [editor], permissionGroups: [everything]}",
	).Replace(toolText))
	want := &mapping.Difference{
		People: 4, Touched: 2, Gain: 1, Lose: 2, Refused: 1, Data: 2, Everything: 1,
		Roles: []mapping.Shift{
			{Name: "admin", Before: 1, Lose: 1}, {Name: "editor", Now: 1, Gain: 1}, {Name: "viewer", Before: 1, Now: 1, Gain: 1, Lose: 1},
		},
		Groups: []mapping.Shift{
			{Name: "all", Before: 1, Lose: 1}, {Name: "everything", Now: 1, Gain: 1}, {Name: "some", Before: 1, Lose: 1},
		},
		Caps: []mapping.CapUse{{Cap: mapping.Cap{ID: "cap", Role: "admin", MaxUsers: 1}}},
		Changes: []mapping.Change{
			{Person: "person0", Connection: "acme", Refused: true, Reason: "Bye", RolesLost: []string{"viewer"}, TasksLost: []string{"view"}, GroupsLost: []string{"some"}, Data: true},
			{
				Person: "person2", Connection: "acme", RolesGained: []string{"editor", "viewer"}, RolesLost: []string{"admin"},
				TasksGained: []string{"edit", "view"}, TasksLost: []string{"admin"}, GroupsGained: []string{"everything"}, GroupsLost: []string{"all"}, Data: true, Everything: true,
			},
		},
	}
	got := mapping.Diff(old, updated, time.Time{}, crowd(people))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Diff (-want +got):\n%s", diff)
	}
	if flags := got.Flags(); !slices.Equal(flags, []mapping.Flag{mapping.FlagEverything, mapping.FlagManyPeople}) {
		t.Errorf("Flags() = %v", flags)
	}
	back := mapping.Diff(updated, old, time.Time{}, crowd(people))
	if back.Privileged != 1 || back.Admitted != 1 || back.Flags()[0] != mapping.FlagPrivileged || !strings.Contains(back.String(), "flag: privileged") {
		t.Errorf("Diff the other way = %+v, want a privileged role gained", back)
	}
	first := mapping.Diff(nil, old, time.Time{}, crowd(people))
	if first.Admitted != 2 || first.Touched != 2 {
		t.Errorf("Diff from nothing = %+v, want two admitted", first)
	}
}

// TestDiffCountsWhatEvaluateSays over random files and people.
func TestDiffCountsWhatEvaluateSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpec(t)
		old := s.load(t)
		if len(s.rules) > 0 {
			s.rules = s.rules[1:]
		}
		s.rules = append(s.rules, drawRule(t, "another", func(from []string, _ string) []string { return slices.Clone(from[:1]) }))
		updated := s.load(t)
		at := drawTime(t)
		var people []mapping.Facts
		for range rapid.IntRange(0, 8).Draw(t, "people") {
			people = append(people, drawFacts(t))
		}
		d := mapping.Diff(old, updated, at, crowd(people))
		touched := []string{}
		for i := range people {
			a, b := old.Evaluate(&people[i], at), updated.Evaluate(&people[i], at)
			if !cmp.Equal(a, b, cmpopts.IgnoreFields(mapping.Access{}, "Rules", "Reason", "Until", "Violations"), cmpopts.EquateEmpty()) {
				touched = append(touched, fmt.Sprint("person", i))
			}
		}
		named := []string{}
		for _, c := range d.Changes {
			named = append(named, c.Person)
		}
		if !slices.Equal(touched, named) || d.Touched != len(touched) || d.People != len(people) || d.More != 0 {
			t.Fatalf("touched %v, Diff says %+v", touched, d)
		}
		if same := mapping.Diff(updated, updated, at, crowd(people)); same.Touched != 0 {
			t.Fatalf("a policy differs from itself: %+v", same)
		}
	})
}

// manyPeople makes facts up as they are asked for.
func manyPeople(n int) iter.Seq2[string, *mapping.Facts] {
	return func(yield func(string, *mapping.Facts) bool) {
		for i := range n {
			f := mapping.Facts{Connection: []string{"acme", "client", "third", "fourth"}[i%4]}
			for g := range 20 {
				f.Groups = append(f.Groups, guid((i+g*36)%3000))
			}
			if !yield("person", &f) {
				return
			}
		}
	}
}

// TestDiffKeepsNoPeople: memory does not grow with the people.
func TestDiffKeepsNoPeople(t *testing.T) {
	old, updated := benchPolicy(t), changedBench(t)
	d := mapping.Diff(old, updated, time.Time{}, manyPeople(20_000))
	if d.People != 20_000 || d.Touched == 0 || len(d.Changes) > 1000 || d.More != d.Touched-len(d.Changes) {
		t.Fatalf("Diff = %d people, %d touched, %d named, %d more", d.People, d.Touched, len(d.Changes), d.More)
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	mapping.Diff(old, updated, time.Time{}, func(yield func(string, *mapping.Facts) bool) {
		n := 0
		for id, f := range manyPeople(40_000) {
			if n++; n == 39_000 {
				runtime.GC()
				runtime.ReadMemStats(&after)
			}
			if !yield(id, f) {
				return
			}
		}
	})
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("after 39,000 people the heap has grown by %d KiB", grown>>10)
	}
}

func changedBench(tb testing.TB) *mapping.Policy {
	tb.Helper()
	s := benchSpec()
	for i := range s.rules {
		if i%100 == 3 {
			s.rules[i].roles = []string{s.roles[(i+1)%30].name}
		}
	}
	return load(tb, s.yaml())
}

// BenchmarkDiff holds 100,000 people against two policies of 1,000 rules. The
// floor is one evaluation of everybody on one processor.
func BenchmarkDiff(b *testing.B) {
	old, updated := benchPolicy(b), changedBench(b)
	var people []mapping.Facts
	for _, f := range manyPeople(100_000) {
		people = append(people, *f)
	}
	var a mapping.Access
	start := time.Now()
	for i := range people {
		old.EvaluateInto(&a, &people[i], time.Time{})
	}
	floor := time.Since(start)
	b.ResetTimer()
	for b.Loop() {
		mapping.Diff(old, updated, time.Time{}, crowd(people))
	}
	b.ReportMetric(float64(b.Elapsed()/time.Duration(b.N))/float64(floor), "x_one_evaluation")
}
