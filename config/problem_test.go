package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/config"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txtar with what Load says")

// TestProblems loads each testdata/*.txtar: its portcullis.yaml and the files
// beside it, of which those named *.open may be read by everyone, and compares
// the problems, then the warnings, with its file "want".
func TestProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, want, _ := strings.Cut(string(text), wantMarker)
			got := report(t, folder(t, archive(head)))
			if *update {
				if err := os.WriteFile(file, []byte(head+wantMarker+got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		})
	}
}

// wantMarker ends the files of an archive: what follows is the expectation.
const wantMarker = "-- want --\n"

// archive gives the files of a txtar text by name. What stands before the
// first is a comment.
func archive(text string) map[string]string {
	out, name := map[string]string{}, ""
	for line := range strings.Lines(text) {
		marker := strings.TrimSpace(line)
		if strings.HasPrefix(marker, "-- ") && strings.HasSuffix(marker, " --") {
			name = strings.TrimSpace(marker[3 : len(marker)-3])
			out[name] = ""
		} else if name != "" {
			out[name] += line
		}
	}
	return out
}

// report gives the problems and warnings of a folder's portcullis.yaml.
func report(t *testing.T, dir string) string {
	t.Helper()
	open, err := filepath.Glob(filepath.Join(dir, "*.open"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range open {
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(filepath.Join(dir, "portcullis.yaml"), env)
	var out strings.Builder
	if problems, ok := errors.AsType[config.Problems](err); ok {
		out.WriteString(problems.Error() + "\n")
	} else if err != nil {
		t.Fatal(err)
	} else {
		for _, w := range c.Warnings {
			out.WriteString("warning " + w.String() + "\n")
		}
	}
	if strings.Contains(out.String(), secretValue) {
		t.Error("a problem shows a secret")
	}
	return strings.ReplaceAll(out.String(), dir+string(filepath.Separator), "")
}
