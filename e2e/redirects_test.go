//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The answers that the tests of package web rely on are those of an
// independent implementation of the URL Standard.
func TestRedirectTargetsLeadWhereTheFileSays(t *testing.T) {
	want, err := exec.CommandContext(t.Context(), "node", "redirects.mjs").Output()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../web/testdata/redirects.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("web/testdata/redirects.json (-node +file):\n%s", diff)
	}
}
