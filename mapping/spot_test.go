package mapping_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/internal/cpu"
	"portcullis/mapping"
)

// The place of each mistake leads back to the value that it is about, however
// that is written.
func TestSpotsOfMistakes(t *testing.T) {
	const text = `version: 1
connections: {acme: {ceiling: {roles: [viewer, gone.1], where: {country: [us]}}}}
roles:
  viewer: {tasks: [account.view]}
  "a.b": {inherits: [nobody]}
attributes: {country: {pattern: "^[A-Z]{2}$"}}
permissionGroups:
  neither: {params: [p]}
  wrong:
    where:
      country:
        - US
        - uk
rules:
  - id: one
    match:
      connection: acme
      groups:
        - name: Fine
        - id: "*"
        - {regex: "("}
      when: |
        claims.a == 'b' &&
        nothing == 'c'
    grant: {}
  - {id: two, match: {connection: acme, claims: {a: []}}, valid: {from: soon}, deny: {roles: [], login: true}}
  - id: three
    surplus: 1
    match: {connection: acme}
    grant: {permissionGroups: [{own: {acct: x}}, wrong]}
`
	_, err := mapping.Load("mapping.yaml", []byte(text), mapping.Options{})
	problems, ok := errors.AsType[mapping.Problems](err)
	if !ok {
		t.Fatalf("err = %v, want problems", err)
	}
	spots := mapping.Spots("mapping.yaml", []byte(text), problems)
	for says, want := range map[string]mapping.Spot{
		`unknown role "gone.1"`:           {Path: "connections.acme.ceiling.roles[1]"},
		`"us" is no value`:                {Path: "connections.acme.ceiling.where.country[0]"},
		`unknown role "nobody"`:           {Path: `roles."a.b".inherits[0]`},
		`neither has neither`:             {Path: "permissionGroups.neither", Key: true},
		`"uk" is no value`:                {Path: "permissionGroups.wrong.where.country[1]"},
		`groups[1].id has a *`:            {Path: "rules[0].match.groups[1].id"},
		`groups[2].regex`:                 {Path: "rules[0].match.groups[2].regex"},
		`match.when: `:                    {Path: "rules[0].match.when"},
		`grants nothing`:                  {Path: "rules[0].grant"},
		`claims.a is an empty list`:       {Path: "rules[1].match.claims.a"},
		`from is "soon"`:                  {Path: "rules[1].valid.from"},
		`deny.roles is an empty list`:     {Path: "rules[1].deny.roles"},
		`want either {login`:              {Path: "rules[1].deny"},
		`unknown key "surplus"`:           {Path: "rules[2].surplus", Key: true},
		`unknown permission group "own"`:  {Path: "rules[2].grant.permissionGroups[0].own", Key: true},
		`nothing in where uses parameter`: {Path: "permissionGroups.neither.params[0]"},
	} {
		i := slices.IndexFunc(problems, func(p mapping.Problem) bool { return strings.Contains(p.Message, says) })
		if i < 0 {
			t.Errorf("no problem says %q in\n%v", says, problems)
		} else if spots[i] != want {
			t.Errorf("%v: spot = %+v, want %+v", problems[i], spots[i], want)
		}
	}
	for _, s := range mapping.Spots("other.yaml", []byte(text), problems) {
		if s != (mapping.Spot{}) {
			t.Errorf("in a file that has no mistake: %+v", s)
		}
	}
	if got := mapping.Spots("mapping.yaml", []byte("a: [\n"), problems[:1]); got[0] != (mapping.Spot{}) {
		t.Errorf("in a text that is no YAML: %+v", got)
	}
}

// What is asked of a text with mistakes takes about as long however it is
// written, and not much longer with many mistakes than with one.
func TestALongTextIsReadInTheTimeOfItsLength(t *testing.T) {
	const groups = 4000
	text := func(end, between, last string) []byte {
		var b strings.Builder
		b.WriteString("version: 1\npermissionGroups:" + end)
		for i := range groups {
			if i > 0 {
				b.WriteString(between)
			}
			fmt.Fprintf(&b, "group%d: {unrestricted: true}", i)
		}
		return []byte(b.String() + last)
	}
	line, lines := text(" {", ", ", "}\n"), text("\n  ", "\n  ", "\n")
	read := func(text []byte) time.Duration {
		return cpu.Least(2, func() {
			if _, err := mapping.Read("m.yaml", text); err != nil {
				t.Fatal(err)
			}
		})
	}
	if one, many := read(line), read(lines); one > 5*many {
		t.Errorf("to read one line of %d bytes took %v, and as lines %v", len(line), one, many)
	}
	problems := make(mapping.Problems, 5000)
	for i := range problems {
		problems[i] = mapping.Problem{File: "m.yaml", Line: groups, Column: 5}
	}
	spots := func(problems mapping.Problems) time.Duration {
		return cpu.Least(2, func() { mapping.Spots("m.yaml", lines, problems) })
	}
	if one, many := spots(problems[:1]), spots(problems); many > 5*one {
		t.Errorf("to find %d mistakes took %v, and one %v", len(problems), many, one)
	}
}
