package mapping_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"portcullis/mapping"
)

func (s spec) load(t *rapid.T) *mapping.Policy {
	t.Helper()
	p, err := mapping.Load("spec.yaml", []byte(s.yaml()), mapping.Options{})
	if err != nil {
		t.Fatalf("Load: %v\n%s", err, s.yaml())
	}
	return p
}

func drawRow(t *rapid.T) map[string]string {
	row := map[string]string{}
	for _, attribute := range []string{"account", "country", "product"} {
		if rapid.IntRange(0, 9).Draw(t, "has "+attribute) > 0 {
			row[attribute] = rapid.SampledFrom(values).Draw(t, attribute)
		}
	}
	return row
}

func contains(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// TestEvaluateMeansWhatTheReferenceSays holds the indexed evaluation against
// the plain one, rows included.
func TestEvaluateMeansWhatTheReferenceSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpec(t)
		p := s.load(t)
		f := drawFacts(t)
		at := drawTime(t)
		got, o := p.Evaluate(&f, at), s.evaluate(&f, at)
		want := mapping.Access{Login: o.login, Roles: o.roles, Tasks: o.tasks, PermissionGroups: o.groups, Rules: o.rules, Violations: o.violations, Until: o.until}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(mapping.Access{}, "Permissions", "Reason")); diff != "" {
			t.Fatalf("Evaluate (-reference +got):\n%s\n%+v\n%s", diff, f, s.yaml())
		}
		if got.Login == (got.Reason != "") {
			t.Fatalf("Login = %v with reason %q", got.Login, got.Reason)
		}
		for _, row := range everyRow() {
			if sees := o.sees(row); got.Permissions.Allows(row) != sees {
				t.Fatalf("Allows(%v) = %v, want %v: %+v\n%+v\n%s", row, !sees, sees, got, f, s.yaml())
			}
		}
	})
}

// everyRow is each combination of values, and of attributes that are absent.
func everyRow() []map[string]string {
	rows := []map[string]string{{}}
	for _, attribute := range []string{"account", "country", "product"} {
		for _, row := range slices.Clone(rows) {
			for _, v := range values {
				more := maps.Clone(row)
				more[attribute] = v
				rows = append(rows, more)
			}
		}
	}
	return rows
}

// drawTime draws a time at, between and around the bounds of rules.
func drawTime(t *rapid.T) time.Time {
	return hour(0).Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "half hours")) * 30 * time.Minute)
}

// TestNothingChangesBeforeUntil: whoever evaluates again at Until misses no
// change, and a change that time alone makes is announced.
func TestNothingChangesBeforeUntil(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpec(t)
		p := s.load(t)
		f := drawFacts(t)
		at := drawTime(t)
		now := p.Evaluate(&f, at)
		later := at.Add(time.Duration(rapid.IntRange(1, 1000).Draw(t, "minutes")) * time.Minute)
		if !now.Until.IsZero() && !later.Before(now.Until) {
			later = now.Until.Add(-time.Nanosecond)
		}
		if diff := cmp.Diff(now, p.Evaluate(&f, later)); diff != "" {
			t.Fatalf("at %v and at %v (-now +later):\n%s", at, later, diff)
		}
		if !now.Until.IsZero() && !now.Until.After(at) {
			t.Fatalf("Until = %v at %v", now.Until, at)
		}
	})
}

// TestEvaluateIntoIsEvaluate: what was in the Access before, also of another
// person, does not show.
func TestEvaluateIntoIsEvaluate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpec(t)
		p := s.load(t)
		var reused mapping.Access
		for range 4 {
			f := drawFacts(t)
			at := drawTime(t)
			p.EvaluateInto(&reused, &f, at)
			if diff := cmp.Diff(p.Evaluate(&f, at), reused, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("EvaluateInto (-Evaluate +got):\n%s", diff)
			}
		}
	})
}

func TestRestrictNeverAdds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpec(t)
		f := drawFacts(t)
		at := drawTime(t)
		before := s.load(t).Evaluate(&f, at)
		r := drawRule(t, "restrict-rule", func(from []string, _ string) []string { return slices.Clone(from) })
		r.deny, r.roles, r.restrict = "", nil, true
		r.groups = []string{"g1", "g2"}
		s.rules = append(s.rules, r)
		after := s.load(t).Evaluate(&f, at)
		atMost(t, after, before, drawRow(t))
		if !cmp.Equal(after.Roles, before.Roles) || after.Login != before.Login {
			t.Fatalf("a restriction changed more than data: %+v, before %+v", after, before)
		}
	})
}

func TestExplainAgreesWithEvaluate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpec(t)
		p := s.load(t)
		f := drawFacts(t)
		at := drawTime(t)
		want, e := p.Evaluate(&f, at), p.Explain(&f, at)
		if diff := cmp.Diff(want, e.Access); diff != "" {
			t.Fatalf("Explain's access (-Evaluate +got):\n%s", diff)
		}
		var matched, roles, tasks, groups []string
		for _, r := range e.Rules {
			if r.Matched {
				matched = append(matched, r.ID)
			}
		}
		collect := func(origins []mapping.Origin, into *[]string) {
			for _, o := range origins {
				*into = append(*into, o.Name)
				if len(o.Rules) == 0 || !contains(want.Rules, o.Rules) {
					t.Fatalf("origin %+v is not in the rules that matched: %v", o, want.Rules)
				}
			}
		}
		collect(e.Roles, &roles)
		collect(e.Tasks, &tasks)
		collect(e.PermissionGroups, &groups)
		if diff := cmp.Diff(e.Data, p.Sights(&f, at)); diff != "" {
			t.Fatalf("Sights (-Explain +got):\n%s", diff)
		}
		var data mapping.Permissions
		for _, d := range e.Data {
			if len(d.Rules) == 0 || !contains(want.Rules, d.Rules) {
				t.Fatalf("sight %+v is not of the rules that matched: %v", d, want.Rules)
			}
			if d.Unrestricted {
				data.Unrestricted = true
			} else {
				data.AnyOf = append(data.AnyOf, d.Where)
			}
		}
		if len(e.Data) > 0 {
			data.AllOf = want.Permissions.AllOf
		}
		if diff := cmp.Diff(want.Permissions, data, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("explained data (-Evaluate +got):\n%s\n%s", diff, s.yaml())
		}
		got := [][]string{matched, roles, tasks, groups}
		if diff := cmp.Diff([][]string{want.Rules, want.Roles, want.Tasks, want.PermissionGroups}, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("explained lists (-Evaluate +got):\n%s\n%s", diff, s.yaml())
		}
		if _, err := json.Marshal(e); err != nil || !strings.Contains(e.String(), e.Verdict) {
			t.Fatalf("explanation does not print: %v\n%s", err, e)
		}
	})
}

func TestOrderOfRulesNeverMatters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpec(t)
		f := drawFacts(t)
		at := drawTime(t)
		want := s.load(t).Evaluate(&f, at)
		s.rules = rapid.Permutation(s.rules).Draw(t, "shuffled")
		s.exclusive = rapid.Permutation(s.exclusive).Draw(t, "shuffled constraints")
		if diff := cmp.Diff(want, s.load(t).Evaluate(&f, at)); diff != "" {
			t.Fatalf("another order of the rules (-before +after):\n%s", diff)
		}
	})
}

// atMost fails unless less gives nothing that more does not.
func atMost(t *rapid.T, less, more mapping.Access, row map[string]string) {
	t.Helper()
	if less.Login && !more.Login || !contains(more.Roles, less.Roles) || !contains(more.Tasks, less.Tasks) ||
		!contains(more.PermissionGroups, less.PermissionGroups) || less.Permissions.Allows(row) && !more.Permissions.Allows(row) {
		t.Fatalf("more than before: %+v\nbefore: %+v", less, more)
	}
}

func TestDenyNeverAdds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpec(t)
		f := drawFacts(t)
		var before mapping.Access
		r := drawRule(t, "deny-rule", func([]string, string) []string { return []string{"r0", "r3"} })
		r.groups, r.own, r.restrict = nil, "", false
		if r.deny == "" {
			r.deny, r.roles = "roles", []string{"r0", "r3"}
		}
		// A deny may undo a violation, and with it what the violation took.
		s.exclusive = nil
		before = s.load(t).Evaluate(&f, time.Time{})
		s.rules = append(s.rules, r)
		atMost(t, s.load(t).Evaluate(&f, time.Time{}), before, drawRow(t))
	})
}

// TestOneMoreGroupNeverRemoves unless a deny, a restriction or a constraint
// names it, or an expression looks at groups.
func TestOneMoreGroupNeverRemoves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpec(t)
		s.rules = slices.DeleteFunc(s.rules, func(r specRule) bool { return r.deny != "" || r.restrict })
		s.exclusive = nil
		p := s.load(t)
		f := drawFacts(t)
		before := p.Evaluate(&f, time.Time{})
		g := rapid.SampledFrom(groupTexts).Draw(t, "one more")
		if rapid.Bool().Draw(t, "asserted") {
			f.Groups = append(slices.Clone(f.Groups), g)
		} else {
			f.Pushed = append(slices.Clone(f.Pushed), mapping.Group{Name: g})
		}
		after := p.Evaluate(&f, time.Time{})
		if s.noAccess && before.Login {
			// Signed in with nothing is the one state that a ceiling can
			// never turn into a refusal; the lists still only grow.
			after.Login = after.Login || before.Login
		}
		atMost(t, before, after, drawRow(t))
	})
}

// TestPermissionGroupsNeverMultiply: a row that somebody sees is a row that
// one of their groups shows alone.
func TestPermissionGroupsNeverMultiply(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpec(t)
		f := drawFacts(t)
		a := s.load(t).Evaluate(&f, time.Time{})
		row := drawRow(t)
		alone := false
		for _, w := range a.Permissions.AnyOf {
			one := mapping.Permissions{AnyOf: []mapping.Where{w}, AllOf: a.Permissions.AllOf}
			alone = alone || one.Allows(row)
		}
		all := mapping.Permissions{Unrestricted: true, AllOf: a.Permissions.AllOf}
		alone = alone || a.Permissions.Unrestricted && all.Allows(row)
		if a.Permissions.Allows(row) != alone {
			t.Fatalf("row %v: together %v, one by one %v: %+v", row, !alone, alone, a.Permissions)
		}
	})
}

func TestNobodyExceedsTheCeiling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpec(t)
		f := drawFacts(t)
		c := rapid.SampledFrom(s.connections[1:]).Draw(t, "connection")
		f.Connection = c.id
		a := s.load(t).Evaluate(&f, time.Time{})
		within := set{}
		for _, name := range c.roles {
			within.add(s.closure(name).sorted()...)
		}
		for _, name := range a.Roles {
			if !within[name] {
				t.Fatalf("role %s is outside the ceiling %v", name, c.roles)
			}
			for _, r := range s.roles {
				if r.privileged && s.closure(name)[r.name] {
					t.Fatalf("role %s is or inherits privileged role %s", name, r.name)
				}
			}
		}
		if slices.ContainsFunc(a.Tasks, func(task string) bool { return strings.HasPrefix(task, "gate.") }) || a.Permissions.Unrestricted {
			t.Fatalf("beyond any ceiling: %+v", a)
		}
		if row := drawRow(t); a.Permissions.Allows(row) && !meets(c.where, row, false) {
			t.Fatalf("row %v is outside the ceiling %v", row, c.where)
		}
	})
}

// TestConnectionsNeverMeet: what the rules of one connection say is nothing to
// the people of another, whatever their groups are called.
func TestConnectionsNeverMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpec(t)
		f := drawFacts(t)
		want := s.load(t).Evaluate(&f, time.Time{})
		s.rules = slices.DeleteFunc(s.rules, func(r specRule) bool { return r.connection != "*" && r.connection != f.Connection })
		for range 3 {
			r := drawRule(t, rapid.StringMatching(`foreign[a-z]{8}`).Draw(t, "id"), func(from []string, _ string) []string { return slices.Clone(from) })
			if r.connection == "*" || r.connection == f.Connection {
				continue
			}
			s.rules = append(s.rules, r)
		}
		seen := map[string]bool{}
		s.rules = slices.DeleteFunc(s.rules, func(r specRule) bool {
			again := seen[r.id]
			seen[r.id] = true
			return again
		})
		if diff := cmp.Diff(want, s.load(t).Evaluate(&f, time.Time{})); diff != "" {
			t.Fatalf("rules of another connection changed access (-before +after):\n%s", diff)
		}
	})
}

func TestPermissionsSurviveJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := mapping.Permissions{Unrestricted: rapid.Bool().Draw(t, "unrestricted")}
		for range rapid.IntRange(0, 3).Draw(t, "anyOf") {
			want.AnyOf = append(want.AnyOf, drawWhere(t))
		}
		for range rapid.IntRange(0, 3).Draw(t, "allOf") {
			want.AllOf = append(want.AllOf, mapping.Where{"account": {}, "x": {Not: []string{"*"}}})
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got mapping.Permissions
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("Unmarshal(%s): %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", text, diff)
		}
		if again, err := json.Marshal(got); err != nil || string(again) != string(text) {
			t.Fatalf("marshalled again: %s, want %s", again, text)
		}
	})
}
