//go:build e2e

package e2e

import (
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"portcullis/internal/freeport"
)

// console runs a story in a demo of its own, with a link to its console.
func console(t *testing.T, file string, more ...string) {
	t.Helper()
	out := start(t, t.TempDir(), nil, gate, "demo", "--listen", freeport.Address(t)).out
	var text strings.Builder
	for !strings.Contains(text.String(), "Ctrl-C") {
		line, err := out.ReadString('\n')
		text.WriteString(line)
		if err != nil {
			t.Fatalf("the demo ended: %v\n%s", err, &text)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	portal := regexp.MustCompile(`The portal, behind the gate +(\S+)`).FindStringSubmatch(text.String())
	link := regexp.MustCompile(`The gate's console, once +(\S+)`).FindStringSubmatch(text.String())
	if portal == nil || link == nil {
		t.Fatalf("no links in\n%s", &text)
	}
	story(t, file, append(more, "E2E_PORTAL="+portal[1], "E2E_CONSOLE="+link[1])...)
}

func TestConsole(t *testing.T) { console(t, "console.mjs") }

// TestConsoleConnections makes a connection in the console, which the client's
// own IT sets up and keeps.
func TestConsoleConnections(t *testing.T) {
	d := deploy(t, "no")
	story(t, "console-connections.mjs", append(d.env, "E2E_REFUSED=yes", "E2E_CONSOLE="+d.link(t), "E2E_MAPPING="+filepath.Join(d.dir, "mapping.yaml"))...)
}

const jobsMapping = `version: 1
connections:
  independent: {ceiling: {roles: [viewer, manager]}}
roles:
  viewer:  {tasks: [account.view]}
  manager: {scope: organization, tasks: [gate.users.view, gate.users.lock]}
rules:
  - {id: everybody, match: {connection: independent}, grant: {roles: [viewer]}}
  - {id: managers, match: {connection: independent, groups: [{name: Accounts-*}]}, grant: {roles: [manager]}}
`

// TestConsoleJobs does the everyday work on people.
func TestConsoleJobs(t *testing.T) {
	idp := freeport.Address(t)
	d := prepare(t, idp, overOpenID("http://"+idp)+"\n    scim: {enabled: true}")
	d.env = append(d.env, "E2E_CONFORM=no")
	d.write(t, "mapping.yaml", jobsMapping)
	d.serve(t)
	start(t, ".", d.env, "node", "provider.mjs")
	await(t, d.idp+"/.well-known/openid-configuration")
	story(t, "console-jobs.mjs", append(d.env, "E2E_REFUSED=yes", "E2E_CONSOLE="+d.link(t))...)
}

// link makes one that opens the console once.
func (d *deployment) link(t *testing.T) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), gate, "admin", "bootstrap")
	cmd.Dir = d.dir
	link, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(link))
}

func TestConsoleForEverybody(t *testing.T) { console(t, "everybody.mjs") }

// TestConsoleForEverybodyInTheirLanguage looks at what everybody meets in German
// and French.
func TestConsoleForEverybodyInTheirLanguage(t *testing.T) {
	console(t, "languages.mjs", "E2E_MISSING=yes")
}
