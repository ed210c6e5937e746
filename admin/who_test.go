package admin

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/directory"
	"portcullis/mapping"
)

// TestARowIsTiedToTheRulesThatShowIt, and to no other that gives the same
// person data, by the same permission group or another.
func TestARowIsTiedToTheRulesThatShowIt(t *testing.T) {
	p, err := mapping.Load("mapping.yaml", []byte(`version: 1
connections: [alpha]
roles: {viewer: {tasks: [view]}}
attributes: {account: {onMissing: none}, country: {onMissing: any}}
permissionGroups:
  own: {params: [acct], where: {account: ["${acct}"]}}
  gb: {where: {account: "*", country: [GB]}}
  all: {unrestricted: true}
  no-us: {where: {country: {not: [US]}}}
rules:
  - {id: managers, match: {connection: alpha, groups: [{regex: "M-(?P<a>.*)"}]}, grant: {permissionGroups: [{own: {acct: "${a}"}}]}}
  - {id: deputies, match: {connection: alpha, groups: [{regex: "D-(?P<a>.*)"}]}, grant: {permissionGroups: [{own: {acct: "${a}"}}]}}
  - {id: london, match: {connection: alpha, groups: [{name: London}]}, grant: {permissionGroups: [gb]}}
  - {id: chiefs, match: {connection: alpha, groups: [{name: Chiefs}]}, grant: {roles: [viewer], permissionGroups: [all]}}
  - {id: guests, match: {connection: alpha, groups: [{name: Guests}]}, restrict: {permissionGroups: [no-us]}}
`), mapping.Options{})
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string][]string)
	for _, tc := range []struct {
		groups, rules []string
		row           map[string]string
		data          []Shown
	}{
		{
			groups: []string{"M-1", "D-2", "London"}, row: map[string]string{"account": "2"}, rules: []string{"deputies", "london"},
			data: []Shown{{"gb", "", []string{"london"}, "country: [GB]"}, {"own", "{acct: 2}", []string{"deputies"}, ""}},
		},
		{ // the same rules and groups, other accounts
			groups: []string{"M-2", "D-1", "London"}, row: map[string]string{"account": "2"}, rules: []string{"london", "managers"},
			data: []Shown{{"gb", "", []string{"london"}, "country: [GB]"}, {"own", "{acct: 2}", []string{"managers"}, ""}},
		},
		{
			groups: []string{"M-1", "D-1"}, row: map[string]string{"account": "1", "country": "US"}, rules: []string{"deputies", "managers"},
			data: []Shown{{"own", "{acct: 1}", []string{"deputies", "managers"}, ""}},
		},
		{
			groups: []string{"M-1", "Chiefs", "Guests"}, row: map[string]string{"account": "3"}, rules: []string{"chiefs"},
			data: []Shown{{"all", "", []string{"chiefs"}, `country: {not: [US]}`}},
		},
	} {
		s := directory.Standing{Assertion: directory.Assertion{Groups: tc.groups}}
		s.Person.Connection = "alpha"
		facts := s.Facts()
		access := p.Evaluate(&facts, time.Time{})
		w := Wanted{Row: tc.row}
		rules, data := w.reasons(known, p, &s, &access, time.Time{})
		if diff := cmp.Diff(tc.rules, rules) + cmp.Diff(tc.data, data); diff != "" {
			t.Errorf("%v of %v (-want +got):\n%s", tc.row, tc.groups, diff)
		}
	}
}
