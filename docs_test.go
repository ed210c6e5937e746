package portcullis_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"portcullis/mapping"
)

// Examples that people copy must work as they stand.
func TestMappingFilesInTheDocumentationLoad(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for _, file := range []string{"README.md", "docs/guides/mapping.md"} {
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
