//go:build e2e

package e2e

import (
	"io"
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

func TestConsoleForEverybody(t *testing.T) { console(t, "everybody.mjs") }
