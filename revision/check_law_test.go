package revision_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"portcullis/mapping"
	"portcullis/revision"
	"portcullis/store/storetest"
)

// What "mapping check" accepts is exactly what a gate brings into force,
// from a file and from the database, and for the same reasons. The files are
// an example with a few lines lost, doubled, swapped or altered, and a file
// that it includes.
func TestCheckAcceptsExactlyWhatAGateLoads(t *testing.T) {
	example, err := os.ReadFile("../docs/mapping-example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	db := storetest.SQLite(t)
	options := mapping.Options{Environment: "prod"}
	var accepted, refused int
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			r.Fatal(err)
		}
		file := filepath.Join(dir, "mapping.yaml")
		text := strings.Replace(string(example), "include: []", "include: [more/*.yaml]", 1)
		more := "roles: {auditor: {tasks: [audit.view]}}\nrules:\n  - {id: auditors, match: {connection: entra, groups: [{name: Auditors}]}, grant: {roles: [auditor]}}\n"
		if err := os.Mkdir(filepath.Join(dir, "more"), 0o700); err != nil {
			r.Fatal(err)
		}
		for name, body := range map[string]string{file: spoil(r, text), filepath.Join(dir, "more", "a.yaml"): spoil(r, more)} {
			if err := os.WriteFile(name, []byte(body), 0o600); err != nil {
				r.Fatal(err)
			}
		}
		body, err := os.ReadFile(file)
		if err != nil {
			r.Fatal(err)
		}
		_, check := mapping.Load(file, body, revision.Disk(file, options))

		k := revision.New(revision.Config{Store: db.Revisions(), File: file, Options: options, Now: func() time.Time { return noon }})
		gate := k.Load(t.Context())
		if gate == nil { // an earlier one may be in force in its place
			gate = k.Status().Problem
		}
		if !alike(check, gate) {
			r.Errorf("check says %v, the gate %v", check, gate)
		}
		texts, stored := revision.ReadFile(file)
		if stored == nil {
			_, stored = revision.Compile(texts, options)
		}
		if (stored == nil) != (check == nil) {
			r.Errorf("check says %v, of the database %v", check, stored)
		}
		if check == nil {
			accepted++
		} else {
			refused++
		}
	})
	if accepted == 0 || refused == 0 {
		t.Errorf("%d files were accepted and %d refused: the law was hardly tried", accepted, refused)
	}
}

// spoil changes up to two lines of a text.
func spoil(r *rapid.T, text string) string {
	lines := strings.SplitAfter(text, "\n")
	for range rapid.IntRange(0, 2).Draw(r, "changes") {
		i := rapid.IntRange(0, len(lines)-1).Draw(r, "line")
		switch rapid.SampledFrom([]string{"lose", "double", "swap", "letter", "colon"}).Draw(r, "how") {
		case "lose":
			lines = slices.Delete(lines, i, i+1)
		case "double":
			lines = slices.Insert(lines, i, lines[i])
		case "swap":
			j := rapid.IntRange(0, len(lines)-1).Draw(r, "with")
			lines[i], lines[j] = lines[j], lines[i]
		case "letter":
			lines[i] = strings.Replace(lines[i], "e", "x", 1)
		case "colon":
			lines[i] = strings.Replace(lines[i], ":", "", 1)
		}
		if len(lines) == 0 {
			return ""
		}
	}
	return strings.Join(lines, "")
}

// alike reports whether two verdicts name the same mistakes.
func alike(a, b error) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	x, xok := errors.AsType[mapping.Problems](a)
	y, yok := errors.AsType[mapping.Problems](b)
	return xok == yok && slices.EqualFunc(x, y, func(p, q mapping.Problem) bool { return p.Line == q.Line && p.Message == q.Message })
}
