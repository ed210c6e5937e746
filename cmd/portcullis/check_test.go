package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCheckWarnsOfAGrantThatEndsSoon(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mapping.yaml")
	text := `version: 1
connections: {alpha: {ceiling: unrestricted}}
roles: {viewer: {tasks: [view]}}
rules: [{id: helpers, match: {connection: alpha, groups: [{name: Helpers}]}, valid: {until: 2026-02-10T00:00:00Z}, grant: {roles: [viewer]}}]
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for day, want := range map[int]bool{1: true, -30: false} {
		var out bytes.Buffer
		c := &cli{out: &out, err: &out, now: func() time.Time { return time.Date(2026, 2, day, 0, 0, 0, 0, time.UTC) }}
		root := c.root()
		root.SetArgs([]string{"mapping", "check", file})
		if err := root.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "warning"); got != want {
			t.Errorf("day %d: warned = %t, want %t:\n%s", day, got, want, out.String())
		}
	}
}

func TestATerminalShowsTheLineWithACaret(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mapping.yaml")
	if err := os.WriteFile(file, []byte("version: 1\nconnections: [alpha]\nroles: {}\nrulez: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const caret = "\n    rulez: []\n    ^\n"
	for _, command := range []string{"check", "test"} {
		for _, person := range []bool{true, false} {
			var out bytes.Buffer
			c := &cli{in: strings.NewReader(""), out: &out, err: &out, now: time.Now, terminal: func(io.Writer) bool { return person }}
			if code := c.execute(t.Context(), []string{"mapping", command, file}); code != exitFound || strings.Contains(out.String(), caret) != person {
				t.Errorf("%s for a person: %t exits %d:\n%s", command, person, code, out.String())
			}
		}
		var out, errs bytes.Buffer
		if code := run(t.Context(), []string{"mapping", command, file, "--json"}, strings.NewReader(""), &out, &errs); code != exitFound || errs.Len() > 0 {
			t.Errorf("%s --json exits %d: %s", command, code, errs.String())
		}
		wants(t, command+" --json", out.String(), `"line": 4`, `"column": 1`, `"excerpt": "rulez: []\n^"`, `"level": "error"`)
	}
}
