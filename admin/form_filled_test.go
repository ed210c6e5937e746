package admin

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"portcullis/revision"
)

// amiss is a text whose entries are such as no form would write.
const amiss = `version: 1
connections: {staff: {ceiling: unrestricted}}
roles: {viewer: {tasks: [" a", "a\nb", ""]}}
attributes: {country: {pattern: "\n^x\n", onMissing: perhaps}}
permissionGroups: {us: {where: {country: {prefix: " U"}}}, none: {}}
vars: {region: {prod: "two\nlines "}}
defaults: {noMatch: never}
rules:
  - {id: empty}
  - {id: odd, note: "\n\n x ", match: {connection: gone, groups: [{name: "a\nb"}]}, grant: {roles: [gone]}}
constraints: [{id: apart, role: gone, maxUsers: many}]
tests: [{name: one, given: {connection: gone, email: "a\nb"}}]
`

// A form that comes back as a browser shows it is unchanged, and is changed
// once any of its fields says something else.
func TestWhatIsFilledInTellsAFormThatWasChanged(t *testing.T) {
	s := &desk{}
	added := []string{"rule:", "role:", "group:", "attribute:", "connection:", "constraint:", "variable:", "test:"}
	for _, text := range []string{everything, amiss} {
		for _, what := range append(entriesOf(meaning(t, text)), added...) {
			fields := s.opened(t, text, what)
			changed := func() bool {
				d := &draft{file: revision.Text{Name: "mapping.yaml"}}
				d.write(fields.Get("text"))
				return formAgain(d, names{}, fields).changed()
			}
			if changed() {
				t.Errorf("%s: as it was opened it is changed", what)
			}
			for _, name := range slices.Sorted(maps.Keys(fields)) {
				if slices.Contains([]string{"text", "file", "base", "kind", "old", "opened", "attribute", "reason"}, name) {
					continue
				}
				for i, was := range fields[name] {
					fields[name][i] = "x" + strings.TrimPrefix(was, "yes")
					if words := wordsOf[name]; words != nil {
						fields[name][i] = words[(slices.Index(words, was)+1)%len(words)]
					}
					if !changed() {
						t.Errorf("%s: with another %s it is unchanged", what, name)
					}
					fields[name][i] = was
				}
			}
			for _, box := range []string{"roles", "groups", "inherits", "assignable", "exclusive", "privileged", "organization", "unrestricted", "denyLogin", "unverified", "incomplete", "knowsLast", "pushes", "expects-roles"} {
				was, there := fields[box]
				if fields.Del(box); !there {
					fields.Set(box, "yes")
				}
				if has := ticksOf[strings.SplitN(what, ":", 2)[0]]; slices.Contains(has, box) && !changed() {
					t.Errorf("%s: with another tick at %s it is unchanged", what, box)
				}
				if fields.Del(box); there {
					fields[box] = was
				}
			}
		}
	}
}

// A rule that names a connection which is none keeps it until somebody picks
// another.
func TestAFormKeepsAConnectionThatIsNone(t *testing.T) {
	s := &desk{}
	fields := s.opened(t, amiss, "rule:odd")
	fields.Set("when", "true")
	if got, problem := s.taken(t, fields, "take"); problem != "" || !strings.Contains(got, "connection: gone, groups") {
		t.Errorf("%s\n%s", problem, got)
	}
}

// ticksOf are the boxes that a form has to tick.
var ticksOf = map[string][]string{
	formRule: {"roles", "groups", "denyLogin"}, formRole: {"inherits", "assignable", "privileged", "organization"}, formGroup: {"unrestricted"},
	formConnection: {"roles", "unrestricted"}, formConstraint: {"exclusive"}, formTest: {"unverified", "incomplete", "knowsLast", "pushes", "expects-roles"},
}

// wordsOf are words that a field can say, where it cannot say anything.
var wordsOf = map[string][]string{
	"sort": {"cap", "apart"}, "onMissing": {"any", "none"}, "onViolation": {"warn", "drop-all"}, "login": {"allow", "deny"}, "noMatch": {"no-access", "deny-login"},
	"noPermissionGroup": {"no-data", ""}, "incompleteGroups": {"proceed", "last-known"},
}
