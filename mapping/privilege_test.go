package mapping_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"portcullis/mapping"
)

// guarded is a file in which somebody may become privileged, or be kept from it.
const guarded = `version: 1
vars: {admins: {prod: Admins, uat: UAT_Admins}}
connections:
  staff: {ceiling: unrestricted}
  acme: {ceiling: {roles: [viewer, manager], where: {account: {prefix: ACM}}}}
roles:
  base: {tasks: [home]}
  viewer: {tasks: [report.view], inherits: [base]}
  editor: {tasks: [report.edit], inherits: [viewer]}
  auditor: {tasks: [trail.view]}
  manager: {tasks: [invite], scope: organization, assignableBy: [admin]}
  keeper: {tasks: [gate.mapping.approve]}
  admin: {tasks: [lock], inherits: [viewer], privileged: true}
attributes: {account: {onMissing: none}}
permissionGroups: {some: {where: {account: [ACM0001]}}}
constraints:
  - {id: apart, exclusive: [admin, auditor]}
  - {id: busy, exclusive: [editor, auditor], onViolation: warn}
  - {id: few, role: admin, maxUsers: 3}
  - {id: many, role: viewer, maxUsers: 300}
rules:
  - {id: admins, note: a, match: {connection: staff, groups: [{name: "${admins}"}, {name: Chiefs, label: x}]}, grant: {roles: [admin]}}
  - {id: readers, match: {connection: staff, groups: [{name: Readers}]}, grant: {roles: [viewer], permissionGroups: [some]}}
  - {id: auditors, match: {connection: staff, groups: [{name: Auditors}]}, grant: {roles: [auditor]}}
  - {id: clients, match: {connection: acme, groups: [{name: Readers}]}, grant: {roles: [viewer, manager]}}
  - {id: leavers, match: {connection: staff, groups: [{name: Leavers}]}, deny: {login: true}}
  - {id: guests, match: {connection: staff, userType: [Guest]}, deny: {roles: [base]}}
  - {id: gone, match: {connection: acme, groups: [{name: Leavers}]}, deny: {login: true}}
tests:
  - {name: t, given: {connection: staff, groups: [Readers]}, expect: {login: allow}}
`

func TestWhatChangesOfPrivilege(t *testing.T) {
	const rules = "rules:\n"
	rule := func(text string) string {
		return rules + "  - {id: more, match: {connection: staff, groups: [{name: G}]}, " + text + "}\n"
	}
	for _, tc := range []struct {
		name, old, updated string
		want               []string
	}{
		{name: "nothing"},
		{name: "a comment", old: "version: 1\n", updated: "version: 1 # one\n"},
		{name: "a note", old: "note: a", updated: "note: b"},
		{name: "a label", old: "label: x", updated: "label: y"},
		{name: "the order of groups", old: `{name: "${admins}"}, {name: Chiefs, label: x}`, updated: `{name: Chiefs}, {name: "${admins}"}`},
		{name: "a test", old: "name: t,", updated: "name: u,"},
		{name: "a permission group", old: "[ACM0001]", updated: `"*"`},
		{name: "an ordinary rule", old: "{name: Readers}]}, grant: {roles: [viewer], p", updated: "{name: '*'}]}, grant: {roles: [viewer, editor], p"},
		{name: "an ordinary rule more", old: rules, updated: rule("grant: {roles: [viewer]}")},
		{name: "an ordinary role's tasks", old: "[report.view]", updated: "[report.view, report.print]"},
		{name: "an ordinary role more", old: "roles:\n", updated: "roles:\n  other: {tasks: [x]}\n"},
		{name: "a denial more", old: rules, updated: rule("deny: {login: true}")},
		{name: "a denial of a role more", old: rules, updated: rule("deny: {roles: [viewer]}")},
		{name: "a denial where nobody is privileged", old: "connection: acme, groups: [{name: Leavers}", updated: "connection: acme, groups: [{name: Left}"},
		{name: "another violation of an ordinary constraint", old: "exclusive: [editor, auditor], onViolation: warn", updated: "exclusive: [editor, auditor]"},
		{name: "an ordinary cap", old: "maxUsers: 300", updated: "maxUsers: 400"},
		{name: "a variable of another environment", old: "uat: UAT_Admins", updated: "uat: Test_Admins"},
		{name: "noMatch", old: rules, updated: "defaults: {noMatch: no-access}\n" + rules},

		{name: "a grant more", old: rules, updated: rule("grant: {roles: [admin]}"), want: []string{"new: rule more of connection staff grants privileged role admin"}},
		{name: "a grant of the gate's own", old: rules, updated: rule("grant: {roles: [keeper]}"), want: []string{"new: rule more of connection staff grants privileged role keeper"}},
		{name: "a grant wider", old: "Chiefs", updated: "Chief*", want: []string{"changed: rule admins of connection staff grants privileged role admin"}},
		{name: "a grant by a variable", old: "prod: Admins", updated: "prod: '*'", want: []string{"changed: rule admins of connection staff grants privileged role admin"}},
		{name: "a grant gone", old: "  - {id: admins,", updated: "  # {id: admins,", want: []string{"gone: rule admins of connection staff grants privileged role admin"}},
		{name: "an ordinary rule grants", old: "grant: {roles: [viewer], p", updated: "grant: {roles: [viewer, admin], p", want: []string{"changed: rule readers of connection staff grants privileged role admin"}},
		{name: "a mark", old: "tasks: [report.edit],", updated: "tasks: [report.edit], privileged: true,", want: []string{"changed: role editor: privileged"}},
		{name: "a mark gone", old: ", privileged: true", want: []string{"changed: role admin"}},
		{name: "assignableBy", old: "assignableBy: [admin]", updated: "assignableBy: [admin, viewer]", want: []string{"changed: role manager: scope organization, assignableBy admin and viewer"}},
		{name: "scope", old: "scope: organization, ", want: []string{"changed: role manager: assignableBy admin"}},
		{name: "tasks of a privileged role", old: "[lock]", updated: "[lock, unlock]", want: []string{"changed: the tasks of role admin"}},
		{name: "tasks of the gate", old: "[report.view]", updated: "[report.view, gate.roles.assign]", want: []string{"changed: the tasks of role viewer"}},
		{name: "an heir", old: "tasks: [invite],", updated: "tasks: [invite], inherits: [keeper],", want: []string{"changed: what role manager inherits"}},
		{name: "what a privileged role hangs on", old: ", inherits: [base]", want: []string{"changed: what role viewer inherits"}},
		{name: "an heir more", old: "roles:\n", updated: "roles:\n  boss: {inherits: [keeper]}\n", want: []string{"new: role boss"}},
		{name: "a ceiling's roles", old: "roles: [viewer, manager]", updated: "roles: [viewer]", want: []string{"changed: ceiling of connection acme"}},
		{name: "a ceiling's data", old: "prefix: ACM", updated: "prefix: AC", want: []string{"changed: ceiling of connection acme"}},
		{name: "a ceiling more", old: "connections:\n", updated: "connections:\n  beta: {ceiling: {roles: []}}\n", want: []string{"new: ceiling of connection beta"}},
		{name: "a denial changed", old: "connection: staff, groups: [{name: Leavers}", updated: "connection: staff, groups: [{name: Left}", want: []string{"changed: rule leavers of connection staff denies login"}},
		{name: "a denial of what admin inherits gone", old: "  - {id: guests,", updated: "  # {id: guests,", want: []string{"gone: rule guests of connection staff denies a role that privileged ones hang on"}},
		{name: "a denial that undoes a violation", old: rules, updated: rule("deny: {roles: [auditor]}"), want: []string{"new: rule more of connection staff denies a role that privileged ones hang on"}},
		{name: "what a constraint keeps apart", old: "{name: Auditors}", updated: "{name: Trail}", want: []string{"changed: rule auditors of connection staff grants a role that a constraint keeps apart"}},
		{name: "a constraint", old: "[admin, auditor]", updated: "[admin, auditor], onViolation: warn", want: []string{"changed: constraint apart keeps admin and auditor apart"}},
		{name: "a constraint gone", old: "  - {id: apart,", updated: "  # {id: apart,", want: []string{"gone: constraint apart keeps admin and auditor apart"}},
		{name: "a cap", old: "maxUsers: 3}", updated: "maxUsers: 4}", want: []string{"changed: constraint few limits role admin"}},
		{name: "incomplete groups", old: rules, updated: "defaults: {incompleteGroups: last-known}\n" + rules, want: []string{"changed: defaults.incompleteGroups"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.old != "" && strings.Count(guarded, tc.old) == 0 {
				t.Fatalf("%q is not in the file", tc.old)
			}
			got := mapping.PrivilegedChanges(load(t, guarded), load(t, strings.Replace(guarded, tc.old, tc.updated, 1)))
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("PrivilegedChanges (-want +got):\n%s", diff)
			}
		})
	}
	if got := mapping.PrivilegedChanges(nil, load(t, guarded)); !slices.Contains(got, "new: rule admins of connection staff grants privileged role admin") {
		t.Errorf("PrivilegedChanges(nil, …) = %q, want the rule that grants", got)
	}
}

// TestWhereARuleStandsIsNoChange: moved to a fragment, or to a file of all.
func TestWhereARuleStandsIsNoChange(t *testing.T) {
	rule := "  - {id: bosses, match: {connection: acme, groups: [{name: Bosses}]}, grant: {roles: [admin]}}\n"
	shared := strings.Replace(guarded, "version: 1\n", "version: 1\ninclude: [clients/*.yaml, more/*.yaml]\n", 1)
	in := func(base string, files map[string]string) *mapping.Policy {
		t.Helper()
		dir := newTree(base, nil)
		for name, text := range files {
			dir.write(name, text)
		}
		return dir.load(t, nil)
	}
	inBase := in(strings.Replace(shared, "rules:\n", "rules:\n"+rule, 1), nil)
	fragment := "connection: acme\nrules:\n" + rule
	inFragment := in(shared, map[string]string{"clients/acme.yaml": fragment})
	included := in(shared, map[string]string{"more/rules.yaml": "rules:\n" + rule})
	for _, p := range []*mapping.Policy{inFragment, included} {
		if got := mapping.PrivilegedChanges(inBase, p); len(got) > 0 {
			t.Errorf("PrivilegedChanges of a rule that moved = %q, want none", got)
		}
	}
	want := []string{"changed: rule bosses of connection acme grants privileged role admin"}
	wider := in(shared, map[string]string{"clients/acme.yaml": strings.Replace(fragment, "Bosses", "B*", 1)})
	if diff := cmp.Diff(want, mapping.PrivilegedChanges(inFragment, wider)); diff != "" {
		t.Errorf("a fragment's rule (-want +got):\n%s", diff)
	}
	wider = in(shared, map[string]string{"more/rules.yaml": strings.Replace("rules:\n"+rule, "Bosses", "B*", 1)})
	if diff := cmp.Diff(want, mapping.PrivilegedChanges(included, wider)); diff != "" {
		t.Errorf("an included rule (-want +got):\n%s", diff)
	}
}

func TestAConnectionThatIsOpenedAgainIsAChange(t *testing.T) {
	base := strings.Replace(guarded, "version: 1\n", "version: 1\ninclude: [clients/*.yaml]\n", 1)
	base = strings.Replace(base, "  acme:", "  desk: {ceiling: unrestricted}\n  acme:", 1)
	with := func(text string) *mapping.Policy {
		t.Helper()
		return newTree(base, map[string]string{"desk": text}).load(t, nil)
	}
	got := mapping.PrivilegedChanges(with("connection: desk\nrules: nonsense\n"), with("connection: desk\nrules: []\n"))
	if diff := cmp.Diff([]string{"opened: connection desk, whose fragment was broken"}, got); diff != "" {
		t.Errorf("PrivilegedChanges (-want +got):\n%s", diff)
	}
}

// power is what of an access counts as privileged.
func power(p *mapping.Policy, a *mapping.Access) (out []string) {
	if !a.Login {
		return nil
	}
	for _, r := range p.Roles() {
		if r.Privileged && slices.Contains(a.Roles, r.Name) {
			out = append(out, r.Name)
		}
	}
	for _, task := range a.Tasks {
		if strings.HasPrefix(task, "gate.") {
			out = append(out, task)
		}
	}
	return out
}

// TestWhatRaisesPrivilegeIsAlwaysAChange: a change of which nothing is said
// raises nobody's privileged access, over random files, changes and facts.
func TestWhatRaisesPrivilegeIsAlwaysAChange(t *testing.T) {
	silent := 0
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpec(t)
		updated := drawChange(t, s)
		p, q := s.load(t), updated.load(t)
		if len(mapping.PrivilegedChanges(p, q)) > 0 {
			return
		}
		silent++
		for range 20 {
			f, at := drawFacts(t), drawTime(t)
			before, after := p.Evaluate(&f, at), q.Evaluate(&f, at)
			if got, had := power(q, &after), power(p, &before); !contains(had, got) {
				t.Fatalf("%v, and before %v, and no change is listed\nfacts %+v at %v\n%s\n=>\n%s", got, had, f, at, s.yaml(), updated.yaml())
			}
		}
	})
	if silent == 0 {
		t.Error("every change was listed, so that nothing was tried")
	}
}

// TestNoChangeOfDataIsPrivileged: with other data, other notes and another
// order nothing is listed.
func TestNoChangeOfDataIsPrivileged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpec(t)
		updated := s
		updated.groups = drawSpec(t).groups
		updated.rules = rapid.Permutation(s.rules).Draw(t, "order")
		updated.noAccess = !s.noAccess
		if got := mapping.PrivilegedChanges(s.load(t), updated.load(t)); len(got) > 0 {
			t.Fatalf("PrivilegedChanges = %q, want none", got)
		}
	})
}

// drawChange draws one to three changes of a file.
func drawChange(t *rapid.T, s spec) spec {
	other := drawSpec(t)
	s.rules, s.roles = slices.Clone(s.rules), slices.Clone(s.roles)
	s.connections, s.exclusive = slices.Clone(s.connections), slices.Clone(s.exclusive)
	pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "which") }
	for range rapid.IntRange(1, 3).Draw(t, "changes") {
		switch rapid.IntRange(0, 9).Draw(t, "change") {
		case 0, 1:
			if len(s.rules) > 0 {
				s.rules = slices.Delete(s.rules, 0, 1)
			}
		case 2, 3:
			r := drawRule(t, rapid.StringMatching(`new[a-z]{9}`).Draw(t, "id"), func(from []string, label string) []string {
				return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, len(from), rapid.ID[string]).Draw(t, label)
			})
			s.rules = append(s.rules, r)
		case 4, 5:
			if len(s.rules) > 0 {
				i := pick(len(s.rules))
				s.rules[i].selectors = append(slices.Clone(s.rules[i].selectors), [2]string{"name", "*"})
				if s.rules[i].own != "" {
					s.rules[i].selectors = nil
					s.rules[i].department = ""
				}
			}
		case 6:
			// Roles keep what they inherit, so that no constraint names two of a line.
			i := pick(len(s.roles))
			s.roles[i].tasks, s.roles[i].privileged = other.roles[i].tasks, other.roles[i].privileged
		case 7:
			i := pick(len(s.connections))
			s.connections[i] = other.connections[i]
		case 8:
			if len(s.exclusive) > 0 {
				i := pick(len(s.exclusive))
				if rapid.Bool().Draw(t, "drop") {
					s.exclusive = slices.Delete(s.exclusive, i, i+1)
				} else {
					s.exclusive[i].on = rapid.SampledFrom([]string{"drop-all", "deny-login", "warn"}).Draw(t, "on")
				}
			} else {
				i := pick(len(s.roles))
				s.roles[i].inherits = other.roles[i].inherits
			}
		case 9:
			s.incomplete = other.incomplete
		}
	}
	return s
}

func TestWhoMayHandOutWhat(t *testing.T) {
	p := load(t, `version: 1
connections: [staff]
roles:
  super: {tasks: [gate.roles.assign], privileged: true}
  helper: {tasks: [gate.roles.assign], scope: organization}
  viewer: {tasks: [x], assignableBy: [helper]}
  editor: {tasks: [y], inherits: [viewer], assignableBy: [helper, super]}
  admin: {tasks: [z], privileged: true, assignableBy: [super]}
  chief: {inherits: [admin], assignableBy: [helper, super]}
  nobodys: {tasks: [n]}
rules: []
`)
	for _, tc := range []struct {
		held []string
		want []mapping.Assignment
	}{
		{nil, nil},
		{[]string{"viewer", "unknown"}, nil},
		{[]string{"helper"}, []mapping.Assignment{{"editor", true}, {"viewer", true}}}, // chief would hand out admin
		{[]string{"super"}, []mapping.Assignment{{"admin", false}, {"chief", false}, {"editor", false}}},
		{[]string{"helper", "super"}, []mapping.Assignment{{"admin", false}, {"chief", false}, {"editor", false}, {"viewer", true}}},
	} {
		if diff := cmp.Diff(tc.want, p.Assignable(tc.held)); diff != "" {
			t.Errorf("Assignable(%v) (-want +got):\n%s", tc.held, diff)
		}
	}
}
