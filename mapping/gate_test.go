package mapping_test

import (
	"slices"
	"strings"
	"testing"

	"portcullis/mapping"
)

func TestHowFarAGateTaskReaches(t *testing.T) {
	p, err := mapping.Load("m.yaml", []byte(`version: 1
connections: {staff: {ceiling: unrestricted}, acme: {ceiling: {roles: [reader, local, mixed]}}}
roles:
  reader: {tasks: [gate.users.view, account.view]}
  locker: {tasks: [gate.users.lock]}
  local:  {tasks: [gate.users.view, gate.users.lock], scope: organization}
  mixed:  {inherits: [reader], tasks: [gate.users.lock], scope: organization}
  strange: {tasks: [gate.users.fly]}
rules:
  - {id: a, match: {connection: "*"}, grant: {roles: [reader, locker, local, mixed, strange]}}
`), mapping.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		connection string
		roles      []string
		want       string
	}{
		{"staff", []string{"reader"}, "gate.users.view"},
		{"staff", []string{"local"}, ""},
		{"staff", []string{"local", "reader"}, "gate.users.view"},
		{"staff", []string{"mixed", "reader"}, ""}, // mixed inherits reader: which of both gave it cannot be told
		{"staff", []string{"mixed", "reader", "locker"}, "gate.users.lock"},
		{"staff", []string{"unknown"}, ""},
		{"acme", []string{"reader", "local"}, ""}, // a ceiling lets nothing wide through
		{"elsewhere", []string{"reader"}, ""},
	} {
		if got := strings.Join(p.Wide(tc.connection, tc.roles), " "); got != tc.want {
			t.Errorf("Wide(%s, %v) = %q, want %q", tc.connection, tc.roles, got, tc.want)
		}
	}
	var unknown []string
	for _, w := range p.Warnings() {
		if strings.Contains(w.String(), "does not know") {
			unknown = append(unknown, w.String())
		}
	}
	if len(unknown) != 1 || !strings.Contains(unknown[0], "gate.users.fly") {
		t.Errorf("warnings = %q, want one of gate.users.fly", unknown)
	}
	names := make([]string, 0)
	for _, g := range mapping.GateTasks() {
		names = append(names, g.Name)
		if g.Means == "" || !strings.HasPrefix(g.Name, "gate.") {
			t.Errorf("task %+v", g)
		}
	}
	if len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
		t.Error("a task stands twice")
	}
}
