package portcullis_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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

// The table that people read must be the one that is held against the code.
func TestTheTableOfRoomsInTheDesignIsTheOneInForce(t *testing.T) {
	text, err := os.ReadFile("docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{"store/storetest": "store"} // help for the tests of others, not a room
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
