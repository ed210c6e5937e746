//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestMapping edits the mapping file under a gate with somebody signed in.
func TestMapping(t *testing.T) {
	d := deploy(t, "no")
	story(t, "mapping.mjs", append(d.env,
		"E2E_PROGRAM="+gate, "E2E_DIR="+d.dir, "E2E_MAPPING="+filepath.Join(d.dir, "mapping.yaml"), "E2E_OPS=http://"+d.ops)...)
	broken := 0
	for line := range strings.Lines(d.log.String()) {
		if strings.Contains(line, `"level":"ERROR"`) && strings.Contains(line, "mapping is broken; the last good revision stays in force") {
			broken++
			if !strings.Contains(line, "mapping.yaml:12:") || !strings.Contains(line, "did you mean") {
				t.Errorf("the log names no place: %s", line)
			}
		}
	}
	if broken != 1 {
		t.Errorf("the log says %d times that the mapping is broken, want once:\n%s", broken, d.log)
	}
}
