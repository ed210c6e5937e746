package mapping_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/mapping"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// load loads a file that must be good.
func load(tb testing.TB, text string) *mapping.Policy {
	tb.Helper()
	p, err := mapping.Load("mapping.yaml", []byte(text), mapping.Options{})
	if err != nil {
		tb.Fatalf("Load: %v", err)
	}
	return p
}

// portalText is the mapping of testdata/portal.txtar.
func portalText(tb testing.TB) string {
	tb.Helper()
	return readArchive(tb, "testdata/portal.txtar").files[0].text
}

func portal(tb testing.TB) *mapping.Policy {
	tb.Helper()
	return load(tb, portalText(tb))
}

// TestGolden holds each construct and each kind of mistake against what it
// gave when somebody last looked: go test ./mapping -update.
//
// An archive holds mapping.yaml, a file NAME.json of facts for each person,
// and optional files: "connections" with what the configuration knows,
// "environment", "at" with a time, and further .yaml files to include. The
// files problems, warnings, NAME.access and NAME.explain are written by
// -update.
func TestGolden(t *testing.T) {
	files, err := fs.Glob(os.DirFS("testdata"), "*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("Glob = %v, %v, want golden files", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".txtar"), func(t *testing.T) {
			want := readArchive(t, "testdata/"+file)
			got := golden(t, want)
			if *update {
				if err := os.WriteFile("testdata/"+file, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want.String(), got.String()); diff != "" {
				t.Errorf("golden file (-want +got), rewrite with -update:\n%s", diff)
			}
		})
	}
}

// golden gives the archive as it should be: its inputs and their results.
func golden(t *testing.T, in archive) archive {
	t.Helper()
	out := archive{comment: in.comment}
	add := func(name, text string) {
		if text != "" {
			out.files = append(out.files, archived{name, text})
		}
	}
	var options mapping.Options
	var text []byte
	var at time.Time
	people := map[string]string{}
	files := fstest.MapFS{}
	for _, f := range in.files {
		switch {
		case f.name == "mapping.yaml":
			text = []byte(f.text)
		case strings.HasSuffix(f.name, ".yaml"):
			files[f.name] = &fstest.MapFile{Data: []byte(f.text)}
			options.Read, options.Glob = files.ReadFile, files.Glob
		case f.name == "environment":
			options.Environment = strings.TrimSpace(f.text)
		case f.name == "at":
			var err error
			if at, err = time.Parse(time.RFC3339, strings.TrimSpace(f.text)); err != nil {
				t.Fatal(err)
			}
		case f.name == "connections":
			options.Connections = strings.Fields(f.text)
		case strings.HasSuffix(f.name, ".json"):
			people[f.name] = f.text
		default:
			continue
		}
		out.files = append(out.files, f)
	}
	p, err := mapping.Load("mapping.yaml", text, options)
	if err != nil {
		add("problems", excerpts(problems(t, err)))
		return out
	}
	add("warnings", excerpts(p.WarningsAt(at)))
	for _, f := range in.files {
		facts, ok := people[f.name]
		if !ok {
			continue
		}
		name := strings.TrimSuffix(f.name, ".json")
		who, err := mapping.LoadFacts([]byte(facts))
		if err != nil {
			add(name+".problems", excerpts(problems(t, err)))
			continue
		}
		add(name+".access", accessText(t, p.Evaluate(&who, at)))
		add(name+".explain", p.Explain(&who, at).String())
	}
	return out
}

// problems is the list that an error of this package is.
func problems(tb testing.TB, err error) mapping.Problems {
	tb.Helper()
	ps, ok := errors.AsType[mapping.Problems](err)
	if !ok {
		tb.Fatalf("error = %T %v, want Problems", err, err)
	}
	return ps
}

func excerpts(problems []mapping.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "%s\n%s\n", p, p.Excerpt)
	}
	return b.String()
}

func accessText(t *testing.T, a mapping.Access) string {
	t.Helper()
	permissions, err := json.Marshal(a.Permissions)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("login: %v %s\nroles: %v\ntasks: %v\npermission groups: %v\nrules: %v\npermissions: %s\n",
		a.Login, a.Reason, a.Roles, a.Tasks, a.PermissionGroups, a.Rules, permissions)
	if len(a.Violations) > 0 {
		text += fmt.Sprintf("violations: %v\n", a.Violations)
	}
	if !a.Until.IsZero() {
		text += fmt.Sprintf("until: %s\n", a.Until.Format(time.RFC3339))
	}
	return text
}

func TestThePortalFileLoads(t *testing.T) {
	p := portal(t)
	if r := p.Test(); r.Ran != 9 || len(r.Failures) != 0 {
		t.Errorf("Test() = %+v, want 9 that pass", r)
	}
	if got := p.Connections(); !cmp.Equal(got, []string{"fabrikam", "northwind-staff", "tailspin"}) {
		t.Errorf("Connections() = %v", got)
	}
}
