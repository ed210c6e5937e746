//go:build e2e

package e2e

import (
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// console runs a story in a demo of its own, with a link to its console.
func console(t *testing.T, file string) {
	t.Helper()
	out := start(t, t.TempDir(), nil, gate, "demo", "--listen", free(t)).out
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
	story(t, file, "E2E_PORTAL="+portal[1], "E2E_CONSOLE="+link[1])
}

func TestConsole(t *testing.T) { console(t, "console.mjs") }

// TestConsoleConnections makes a connection in the console, which the client's
// own IT sets up and keeps.
func TestConsoleConnections(t *testing.T) {
	d := deploy(t, "no")
	cmd := exec.CommandContext(t.Context(), gate, "admin", "bootstrap")
	cmd.Dir = d.dir
	link, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	story(t, "console-connections.mjs", append(d.env, "E2E_REFUSED=yes", "E2E_CONSOLE="+strings.TrimSpace(string(link)), "E2E_MAPPING="+filepath.Join(d.dir, "mapping.yaml"))...)
}

func TestConsoleForEverybody(t *testing.T) { console(t, "everybody.mjs") }
