package mapping_test

import (
	"os"
	"testing"

	"portcullis/mapping"
)

// TestTheExampleOfTheDocumentationPasses: the file that shows every construct
// loads as it is, and its tests pass.
func TestTheExampleOfTheDocumentationPasses(t *testing.T) {
	text, err := os.ReadFile("../docs/mapping-example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, env := range []string{"", "prod", "uat", "dev"} {
		p, err := mapping.Load("mapping-example.yaml", text, mapping.Options{Environment: env})
		if err != nil {
			t.Fatalf("Load for environment %q: %v", env, err)
		}
		if r := p.Test(); r.Ran != 9 || r.Failed() != 0 {
			t.Errorf("environment %q: Test() = %+v, want 9 that pass", env, r)
		}
		for _, w := range p.Warnings() {
			t.Log(w)
		}
	}
}
