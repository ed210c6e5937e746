package mapping_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"portcullis/mapping"
)

// loadAssignable loads a file in which some roles may be handed out.
func loadAssignable(t *rapid.T, s spec, assignable []string) *mapping.Policy {
	t.Helper()
	text := s.yaml()
	for _, r := range assignable {
		text = strings.Replace(text, "  "+r+": {tasks:", "  "+r+": {assignableBy: [r0], tasks:", 1)
	}
	p, err := mapping.Load("spec.yaml", []byte(text), mapping.Options{})
	if err != nil {
		t.Fatalf("Load: %v\n%s", err, text)
	}
	return p
}

// entered reports whether a rule let somebody in.
func entered(e mapping.Explanation) bool {
	return strings.HasPrefix(e.Verdict, "a rule grants") || strings.Contains(e.Verdict, "is proceed: rules that deny")
}

// An exception is worth as much as a rule for that one person would be, where
// they are in already: the ceiling, denies and what is kept apart hold for
// both. It lets nobody in, gives no data, and is nothing for a role that is
// not assignable.
func TestAnExceptionIsNoMoreThanARule(t *testing.T) {
	var held, let int
	rapid.Check(t, func(t *rapid.T) {
		s, f, at := drawSpec(t), drawFacts(t), drawTime(t)
		if rapid.IntRange(0, 4).Draw(t, "in") > 0 {
			s.rules = append(s.rules, specRule{id: "everybody", connection: "*", roles: []string{"r0"}, groups: []string{"g1"}})
			f.Connection, f.GroupsIncomplete = rapid.SampledFrom(connectionIDs).Draw(t, "in through"), false
			at = hour(rapid.IntRange(2, 8).Draw(t, "at"))
		}
		assignable := rapid.SliceOfNDistinct(rapid.SampledFrom(roleNames), 0, 4, rapid.ID[string]).Draw(t, "assignable")
		p := loadAssignable(t, s, assignable)
		before, was := p.Evaluate(&f, at), p.Explain(&f, at)
		with, more := f, s
		more.rules = slices.Clone(s.rules)
		for i := range rapid.IntRange(1, 3).Draw(t, "exceptions") {
			x := mapping.Exception{ID: fmt.Sprintf("x%d", i), Role: rapid.SampledFrom(append(slices.Clone(roleNames), "gone")).Draw(t, "role"), By: "ada", Reason: "cover"}
			from := rapid.IntRange(1, 8).Draw(t, "from")
			until := from + rapid.IntRange(1, 4).Draw(t, "until")
			x.From, x.Until = hour(from), hour(until)
			with.Exceptions = append(with.Exceptions, x)
			if slices.Contains(assignable, x.Role) && f.Connection != "stranger" {
				more.rules = append(more.rules, specRule{id: "as-rule-" + x.ID, connection: f.Connection, roles: []string{x.Role}, from: from, until: until})
			}
		}
		got, e := p.Evaluate(&with, at), p.Explain(&with, at)
		if diff := cmp.Diff(got, e.Access); diff != "" {
			t.Fatalf("Explain's access (-Evaluate +got):\n%s", diff)
		}
		if !entered(was) {
			if diff := cmp.Diff(before, got, cmpopts.IgnoreFields(mapping.Access{}, "Until", "Violations")); diff != "" {
				t.Fatalf("an exception changed what a refusal gives (-without +with):\n%s\n%s", diff, s.yaml())
			}
			let++
			return
		}
		want := loadAssignable(t, more, assignable).Evaluate(&f, at)
		want.Rules = slices.DeleteFunc(want.Rules, func(id string) bool { return strings.HasPrefix(id, "as-rule-") })
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("an exception is not what a rule is (-rule +exception):\n%s\n%+v\n%s", diff, with.Exceptions, s.yaml())
		}
		for _, o := range e.Roles {
			if len(o.Rules) == 0 && len(o.Exceptions) == 0 {
				t.Fatalf("role %s comes from nowhere", o.Name)
			}
		}
		for _, x := range e.Exceptions {
			if x.Holds != (slices.Contains(got.Roles, x.Role) && slices.Contains(assignable, x.Role) && !at.Before(x.From) && at.Before(x.Until)) || x.Why == "" {
				t.Fatalf("exception %+v, roles %v", x, got.Roles)
			}
			if x.Holds {
				held++
			}
		}
		if _, err := json.Marshal(e); err != nil || strings.Count(e.String(), "\n  yes x")+strings.Count(e.String(), "\n  no  x") != len(e.Exceptions) {
			t.Fatalf("explanation: %v\n%s", err, e)
		}
	})
	if held == 0 || let == 0 {
		t.Errorf("%d exceptions held, %d people were out: the test shows nothing", held, let)
	}
}

// At its end an exception is over, and whoever keeps an Access evaluates again
// then.
func TestAnExceptionEndsOnTime(t *testing.T) {
	p, err := mapping.Load("m.yaml", []byte(`version: 1
connections:
  staff: {ceiling: unrestricted}
  client: {ceiling: {roles: [viewer]}}
roles:
  viewer: {tasks: [view]}
  clerk: {tasks: [pay], assignableBy: [viewer]}
rules:
  - {id: all, match: {connection: "*"}, grant: {roles: [viewer]}}
`), mapping.Options{})
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f := mapping.Facts{Connection: "staff", Exceptions: []mapping.Exception{{ID: "x1", Role: "clerk", By: "Ada", Reason: "holiday", From: from, Until: from.Add(time.Hour)}}}
	for _, tc := range []struct {
		at    time.Time
		roles []string
		until time.Time
		why   string
	}{
		{from.Add(-time.Second), []string{"viewer"}, from, "begins at 2026-03-01T00:00:00Z"},
		{from, []string{"clerk", "viewer"}, from.Add(time.Hour), "valid until 2026-03-01T01:00:00Z"},
		{from.Add(time.Hour - 1), []string{"clerk", "viewer"}, from.Add(time.Hour), "valid until 2026-03-01T01:00:00Z"},
		{from.Add(time.Hour), []string{"viewer"}, time.Time{}, "ended at 2026-03-01T01:00:00Z"},
	} {
		e := p.Explain(&f, tc.at)
		if !slices.Equal(e.Access.Roles, tc.roles) || !e.Access.Until.Equal(tc.until) || e.Exceptions[0].Why != tc.why {
			t.Errorf("at %v: roles %v until %v, why %q", tc.at, e.Access.Roles, e.Access.Until, e.Exceptions[0].Why)
		}
	}
	f.Connection = "client"
	e := p.Explain(&f, from)
	if slices.Contains(e.Access.Roles, "clerk") || len(e.Removed) != 1 || e.Removed[0].By != `ceiling of connection "client" does not list it` {
		t.Errorf("above the ceiling: roles %v, removed %v", e.Access.Roles, e.Removed)
	}
}
