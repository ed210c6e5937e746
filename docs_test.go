package portcullis_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/config"
	"portcullis/mapping"
)

// Examples that people copy must work as they stand.
func TestMappingFilesInTheDocumentationLoad(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for _, file := range []string{"README.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, m := range blocks.FindAllStringSubmatch(string(text), -1) {
			if !strings.HasPrefix(m[1], "version:") {
				continue
			}
			found++
			p, err := mapping.Load(file, []byte(m[1]), mapping.Options{})
			if err != nil {
				t.Errorf("%s: %v", file, err)
			} else if p.Test().Ran == 0 {
				t.Errorf("%s: an example without tests", file)
			}
		}
		if found == 0 {
			t.Errorf("%s: no mapping file found", file)
		}
	}
}

// What administrators copy out of the guides for their identity provider is a
// list of connections, and all of a guide's stand beside each other.
func TestConnectionsInTheGuidesAreUnderstood(t *testing.T) {
	guides, err := filepath.Glob("docs/guides/sign-in-*.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "acme.secret"), []byte("a-secret-of-this-run-alone"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range guides {
		guide, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		text.WriteString("public_url: https://portal.example\nlisten: 127.0.0.1:8080\nupstream: {url: \"http://127.0.0.1:3000\"}\n" +
			"database: {url: \"sqlite:portcullis.db\"}\nmapping: {file: mapping.yaml}\nconnections:\n")
		blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(guide), -1)
		for _, m := range blocks {
			text.WriteString(m[1])
		}
		c, err := config.Parse(filepath.Join(dir, "portcullis.yaml"), []byte(text.String()), func(string) (string, bool) { return "", false })
		if err != nil {
			t.Errorf("%s: %v", file, err)
		} else if len(c.Connections) != len(blocks) || len(blocks) < 2 || len(c.Warnings) > 0 {
			t.Errorf("%s: %d connections out of %d blocks, warnings %v", file, len(c.Connections), len(blocks), c.Warnings)
		}
	}
	if len(guides) < 3 {
		t.Errorf("guides: %q, want 3 and more", guides)
	}
}

// So are the routes in them that ask for more than a sign-in.
func TestRoutesInTheSignInGuidesAreUnderstood(t *testing.T) {
	guides, err := filepath.Glob("docs/guides/sign-in*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range guides {
		guide, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile(`(?m)^    routes:\n(?:      .*\n)+`).FindAllString(string(guide), -1) {
			found++
			text := "public_url: https://portal.example\nlisten: 127.0.0.1:8080\nupstream: {url: \"http://127.0.0.1:3000\"}\n" +
				"database: {url: \"sqlite:portcullis.db\"}\nmapping: {file: mapping.yaml}\n" +
				"connections:\n  - {id: acme, saml: {metadata_file: acme.xml}}\n" + regexp.MustCompile("(?m)^    ").ReplaceAllString(block, "")
			c, err := config.Parse(filepath.Join(t.TempDir(), "portcullis.yaml"), []byte(text), func(string) (string, bool) { return "", false })
			if err != nil {
				t.Errorf("%s: %v", file, err)
			} else if len(c.Routes) == 0 || len(c.Routes[0].Require.ACR) == 0 {
				t.Errorf("%s: routes = %+v", file, c.Routes)
			}
		}
	}
	if found < 2 {
		t.Errorf("%d blocks of routes, want 2 and more", found)
	}
}

// The table that people read must be the one that is held against the code.
func TestTheTableOfRoomsInTheDesignIsTheOneInForce(t *testing.T) {
	text, err := os.ReadFile("docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	// The first ones help the tests of others, and are no rooms.
	told := map[string]string{"store/storetest": "store internal/freeport", "language/languagetest": "", "internal/cpu": "", "internal/freeport": ""}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\|.*\\| ([a-z ]+|–) \\|$").FindAllStringSubmatch(string(text), -1) {
		told[m[1]] = strings.Trim(m[2], "–")
	}
	want := make(map[string]string)
	for room, others := range mayImport {
		want[room] = strings.Join(others, " ")
	}
	want["cmd/portcullis"] = "all"
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("docs/design.md and mayImport differ (-mayImport +design.md):\n%s", diff)
	}
}
