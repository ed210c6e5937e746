package main

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// pages gives the pages that operators and administrators read, by their path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	names := []string{"../../README.md", "../../CHANGELOG.md"}
	err := filepath.WalkDir("../../docs", func(name string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".md") {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(text)
	}
	return out
}

// commandLines gives what the pages say can be typed: lines of a block, and
// what stands in backquotes, from "portcullis" on.
func commandLines(t *testing.T) map[string][]string {
	t.Helper()
	out := make(map[string][]string)
	line := regexp.MustCompile("(?m)^ {4,}(?:\\S+ … ; )?(?:bin/)?portcullis ([a-z].*)$|`portcullis ([^`]+)`")
	for name, text := range pages(t) {
		for _, m := range line.FindAllStringSubmatch(text, -1) {
			typed, _, _ := strings.Cut(m[1]+m[2], " #")
			out[name] = append(out[name], typed)
		}
	}
	return out
}

// meant gives the commands that a line means: a word with strokes stands for
// several. rest is what follows them.
func meant(root *cobra.Command, line string) (found []*cobra.Command, rest []string) {
	found, rest = []*cobra.Command{root}, strings.Fields(line)
	for len(rest) > 0 {
		var next []*cobra.Command
		words := strings.Split(strings.Trim(rest[0], "[]"), "|")
		for _, parent := range found {
			for _, word := range words {
				if i := slices.IndexFunc(parent.Commands(), func(c *cobra.Command) bool { return c.Name() == word }); i >= 0 {
					next = append(next, parent.Commands()[i])
				}
			}
		}
		if len(next) < len(found)*len(words) {
			break // an argument, or no command
		}
		found, rest = next, rest[1:]
	}
	return found, rest
}

// TestCommandsInThePagesAreOnes: each with flags that it has.
func TestCommandsInThePagesAreOnes(t *testing.T) {
	root, seen := (&cli{}).root(), 0
	for name, lines := range commandLines(t) {
		for _, line := range lines {
			seen++
			commands, rest := meant(root, line)
			for _, cmd := range commands {
				// A whole group may be named as such, without anything behind it.
				if cmd == root || cmd.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
					t.Errorf("%s: portcullis %s: no such command", filepath.Base(name), line)
					continue
				}
				for _, flag := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(strings.Join(rest, " "), -1) {
					if cmd.Flags().Lookup(flag[1]) == nil && cmd.InheritedFlags().Lookup(flag[1]) == nil {
						t.Errorf("%s: portcullis %s: %s has no --%s", filepath.Base(name), line, cmd.CommandPath(), flag[1])
					}
				}
			}
		}
	}
	if seen < 120 {
		t.Errorf("%d command lines, want 120 and more", seen)
	}
}

// TestAddressesInThePagesAreThere: what people type into an identity provider
// or a portal is an address that the gate has.
func TestAddressesInThePagesAreThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	text, err := os.ReadFile(filepath.Join(w.dir, "portcullis.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "portcullis.yaml", string(text)+`  - {id: keyed, oidc: {issuer: "http://127.0.0.1:1", client_id: x, private_key_jwt: true}}
  - {id: federated, saml: {metadata_url: "http://127.0.0.1:1/metadata"}}
`)
	w.start(t)
	address := regexp.MustCompile(`/\.portcullis/[A-Za-z0-9_./{}?=-]*[A-Za-z0-9/}]`)
	connection := regexp.MustCompile(`\{connection\}|\bID\b|acme-entra`)
	seen := make(map[string]bool)
	for name, text := range pages(t) {
		for _, at := range address.FindAllString(text, -1) {
			id := "alpha"
			switch {
			case strings.Contains(at, "/saml/"):
				id = "federated"
			case strings.HasSuffix(at, "/jwks.json"):
				id = "keyed"
			}
			at = connection.ReplaceAllString(at, id)
			at = strings.TrimRight(at, "}")             // the end of a block in a configuration
			if seen[at] || strings.HasSuffix(at, "/") { // all that is below
				continue
			}
			seen[at] = true
			if status, body := fetch(w.public + at); status == http.StatusNotFound || status == 0 {
				t.Errorf("%s: %s is answered with %d: %s", filepath.Base(name), at, status, body)
			}
		}
	}
	if len(seen) < 15 {
		t.Errorf("%d addresses, want 15 and more", len(seen))
	}
}
