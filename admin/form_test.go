package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"portcullis/revision"
	"portcullis/store/storetest"
)

// A form changes the line that it is about, and no other.
func TestAFormKeepsEverythingElse(t *testing.T) {
	const text = `version: 1
connections: {staff: {ceiling: unrestricted}, acme: {ceiling: unrestricted}, beta: {ceiling: unrestricted}}
roles: # ours
  viewer: {tasks: [account.view]} # everybody
  author: {tasks: [account.edit]}
attributes: {account: {onMissing: none}, country: {onMissing: any}}
permissionGroups:
  us: {where: {account: "*", country: [US]}} # the States
  own: {params: [acct], where: {account: ["${acct}"]}}
defaults: {noMatch: deny-login}
rules:
  # all of staff
  - {id: staff, match: {connection: staff}, grant: {roles: [viewer]}} # for now
  - id: managers
    match: {connection: acme, groups: [{regex: "^M-(?P<a>.*)$", label: Managers}, {regex: "^D-(?P<a>.*)$"}]}
    grant: {roles: [viewer], permissionGroups: [us, {own: {acct: "${a}"}}]}
  - {id: proposers, match: {connection: staff, groups: [{name: P}]}, grant: {roles: [mapper]}}
tests: []
`
	full := strings.Replace(text, "  author:", "  mapper: {tasks: [gate.mapping.view, gate.mapping.propose]}\n  author:", 1)
	w := newManagedWorld(t, storetest.SQLite(t), full, revision.Approval{})
	ada := w.signIn("staff", "ada", "P")
	take := func(fields ...string) string {
		t.Helper()
		res := ada.form("/mapping/edit", append([]string{"file", "mapping.yaml", "text", full, "do", "take"}, fields...)...)
		if res.StatusCode != http.StatusOK || strings.Contains(res.text, `role="alert"`) {
			t.Fatalf("status = %d: %s", res.StatusCode, res.text)
		}
		return draftIn(t, res.text)
	}
	contains(t, "the form", ada.page("/mapping/edit?open=rule:managers"), "^D-(?P<a>.*)$", `value="Managers"`, "own acct=${a}", "Put it into the text")
	for name, tc := range map[string]struct {
		fields        []string
		before, after string
	}{
		"a rule": {
			[]string{"kind", "rule", "old", "staff", "id", "staff", "connection", "staff", "effect", "grant", "roles", "viewer", "roles", "author", "selector", "name", "value", ""},
			"grant: {roles: [viewer]}} # for now", "grant: {roles: [viewer, author]}} # for now",
		},
		"nothing": {
			[]string{
				"kind", "rule", "old", "managers", "id", "managers", "connection", "acme", "effect", "grant", "roles", "viewer", "groups", "us", "calls", "own acct=${a}",
				"selector", "regex", "value", "^M-(?P<a>.*)$", "label", "Managers", "selector", "regex", "value", "^D-(?P<a>.*)$", "label", "",
			},
			"", "",
		},
		"a role": {
			[]string{"kind", "role", "old", "viewer", "id", "viewer", "tasks", "account.view\r\naccount.list"},
			"viewer: {tasks: [account.view]} # everybody", "viewer: {tasks: [account.view, account.list]} # everybody",
		},
		"a permission group": {
			[]string{"kind", "group", "old", "us", "id", "us", "attribute", "account", "form", "any", "values", "", "attribute", "country", "form", "in", "values", "US\r\nCA"},
			"country: [US]}} # the States", "country: [US, CA]}} # the States",
		},
		"a new name": {
			[]string{"kind", "role", "old", "author", "id", "writer", "tasks", "account.edit"},
			"author: {tasks: [account.edit]}", "writer: {tasks: [account.edit]}",
		},
		"a new rule": {
			[]string{"kind", "rule", "old", "", "id", "beta", "connection", "beta", "effect", "deny", "denyLogin", "yes", "denyReason", "closed"},
			"tests: []", "  - {id: beta, match: {connection: beta}, deny: {login: true, reason: closed}}\ntests: []",
		},
	} {
		want := full
		if tc.before != "" {
			if strings.Count(full, tc.before) != 1 {
				t.Fatalf("%s: %q is not once in the text", name, tc.before)
			}
			want = strings.Replace(full, tc.before, tc.after, 1)
		}
		if got := take(tc.fields...); got != want {
			t.Errorf("%s:\n%s", name, got)
		}
	}
	res := ada.form("/mapping/edit", "file", "mapping.yaml", "text", full, "do", "remove", "kind", "rule", "old", "staff")
	if got := draftIn(t, res.text); strings.Contains(got, "id: staff") || strings.Contains(got, "all of staff") || !strings.Contains(got, "id: managers") {
		t.Errorf("removing: %s", got)
	}
	res = ada.form("/mapping/edit", "file", "mapping.yaml", "text", full, "do", "take", "kind", "role", "old", "author", "id", "viewer")
	contains(t, "a name that is taken", res, "There is a role viewer already", "Put it into the text")
}
