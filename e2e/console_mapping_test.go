//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/internal/freeport"
)

const consoleMapping = `version: 1
connections:
  independent: {ceiling: unrestricted}
roles: # what people may do
  viewer:  {tasks: [account.view]}
  manager: {inherits: [viewer], tasks: [report.view, report.edit]}
  mapper:  {tasks: [gate.mapping.view, gate.mapping.propose, gate.users.view, gate.audit.view]}
  checker: {tasks: [gate.mapping.view, gate.mapping.approve, gate.users.view]}
attributes:
  account: {type: string, pattern: "^[A-Z]{3}[0-9]{4}$", onMissing: none}
  country: {type: string, pattern: "^[A-Z]{2}$", onMissing: any}
permissionGroups:
  all: {where: {account: "*"}}
  britain: {where: {account: "*", country: [GB]}}
rules:
  # the desk
  - {id: managers, match: {connection: independent, groups: [{name: Portfolio-Managers}]}, grant: {roles: [manager, mapper], permissionGroups: [all]}}
  - {id: accounts, match: {connection: independent, groups: [{name: Accounts-*}]}, grant: {roles: [viewer, checker], permissionGroups: [britain]}}
tests:
  - name: managers edit reports
    given: {connection: independent, groups: [Portfolio-Managers]}
    expect: {roles: [manager, mapper, viewer]}
`

// TestConsoleMapping changes the mapping in the console, with two people.
func TestConsoleMapping(t *testing.T) {
	idp := freeport.Address(t)
	d := prepare(t, idp, overOpenID("http://"+idp))
	d.env = append(d.env, "E2E_CONFORM=no")
	d.write(t, "mapping.yaml", consoleMapping)
	file := filepath.Join(d.dir, "portcullis.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, "portcullis.yaml", strings.Replace(string(text), "{file: mapping.yaml}", "{managed: database}", 1))
	cmd := exec.CommandContext(t.Context(), gate, "mapping", "apply", "mapping.yaml", "--reason", "the beginning")
	cmd.Dir = d.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d.write(t, "portcullis.yaml", strings.Replace(string(text), "{file: mapping.yaml}", "{managed: database, approval: {when: [always]}}", 1))
	d.serve(t)
	start(t, ".", d.env, "node", "provider.mjs")
	await(t, d.idp+"/.well-known/openid-configuration")
	story(t, "console-mapping.mjs", d.env...)
}
