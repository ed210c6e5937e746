package admin_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store/storetest"
)

func TestRolesSayWhoHasThemAndWhy(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.signIn("staff", "ada", mapping.GateMappingView, mapping.GateUsersView)
	w.signIn("acme", "manager", "Admins")
	w.signIn("beta", "plain")
	var v struct {
		Roles []struct {
			Name   string
			People int
			Rules  []struct {
				Name   string
				Line   int
				People int
			}
		}
	}
	s.call(http.MethodGet, "/roles", "", &v)
	found := make(map[string]string)
	for _, r := range v.Roles {
		found[r.Name] = strconv.Itoa(r.People)
		for _, rule := range r.Rules {
			found[r.Name] += fmt.Sprintf(" %s:%d", rule.Name, rule.People)
			if rule.Line == 0 {
				t.Errorf("rule %s has no line", rule.Name)
			}
		}
	}
	if found["viewer"] != "3 everybody:3" || found["client-admin"] != "1 acme-admins:1 beta-admins:0 client-admins-of-staff:0" {
		t.Errorf("roles = %v", found)
	}
	contains(t, "the page", s.page("/roles"), "acme-admins", "3 people", "Compare")
	var two struct {
		OnlyA, Both, OnlyB []string
		PeopleA, PeopleB   int
		PeopleBoth         int
		Differences        []string
	}
	s.call(http.MethodGet, "/roles/compare?a=viewer&b=client-admin", "", &two)
	if strings.Join(two.OnlyA, " ") != "account.view" || len(two.OnlyB) != len(mapping.GateTasks()) || two.PeopleA != 2 || two.PeopleBoth != 1 || two.PeopleB != 0 ||
		len(two.Differences) != 1 {
		t.Errorf("compared = %+v", two)
	}
	if got := s.call(http.MethodGet, "/roles/compare?a=viewer&b=nothing", "", nil); got != http.StatusBadRequest {
		t.Errorf("an unknown role: status = %d, want 400", got)
	}
}

const withData = `version: 1
connections: {staff: {ceiling: unrestricted}, acme: {ceiling: unrestricted}, beta: {ceiling: unrestricted}}
roles: {viewer: {tasks: [account.view]}, console: {tasks: [gate.users.view, gate.audit.view, gate.mapping.view]}}
attributes: {account: {onMissing: none, pattern: "[A-Z]{3}"}, country: {onMissing: any}}
permissionGroups:
  us: {where: {account: "*", country: [US]}}
  one: {where: {account: [ABC]}}
  own: {params: [acct], where: {account: ["${acct}"]}}
  all: {unrestricted: true}
rules:
  - {id: console, match: {connection: staff}, grant: {roles: [console]}}
  - {id: states, match: {connection: acme, groups: [{name: States}]}, grant: {roles: [viewer], permissionGroups: [us]}}
  - {id: managers, match: {connection: acme, groups: [{regex: "M-(?P<a>.*)"}]}, grant: {roles: [viewer], permissionGroups: [{own: {acct: "${a}"}}]}}
  - {id: beta, match: {connection: beta}, grant: {roles: [viewer]}}
tests: []
`

func TestPermissionGroupsSayWhatTheyShow(t *testing.T) {
	w := newManagedWorld(t, storetest.SQLite(t), withData, revision.Approval{})
	s := w.signIn("staff", "ada")
	w.signIn("acme", "carol", "States")
	var v struct {
		Attributes []struct {
			Name, OnMissing          string
			Values, PermissionGroups []string
		}
		PermissionGroups []struct {
			Name, Shows string
			People      int
			Rules       []struct{ Name string }
		}
	}
	if got := s.call(http.MethodGet, "/permission-groups?row=account=ABC", "", &v); got != 200 {
		t.Fatalf("status = %d", got)
	}
	var text strings.Builder
	for _, g := range v.PermissionGroups {
		fmt.Fprintf(&text, "%s:%d:%d:%s; ", g.Name, g.People, len(g.Rules), g.Shows)
	}
	found := text.String()
	if want := "all:0:0:yes; one:0:0:yes; own:0:1:depends on its 1 parameters; us:1:1:only if country: [US]; "; found != want {
		t.Errorf("groups = %s, want %s", found, want)
	}
	if a := v.Attributes; len(a) != 2 || a[0].OnMissing != "none" || strings.Join(a[0].Values, " ") != "${acct} * ABC" && strings.Join(a[0].Values, " ") != "${acct} ABC" {
		t.Errorf("attributes = %+v", a)
	}
	if got := s.call(http.MethodGet, "/permission-groups?row=acount=ABC", "", nil); got != http.StatusBadRequest {
		t.Errorf("an unknown attribute: status = %d, want 400", got)
	}
}
