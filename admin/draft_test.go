package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"portcullis/directory"
	"portcullis/mapping"
)

// apply carries out a patch of one file, as git apply does.
func apply(t *rapid.T, before, text string) string {
	t.Helper()
	old := strings.SplitAfter(before, "\n")
	var out strings.Builder
	at := 0
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 2; i < len(lines); {
		var from, count, to, news int
		if _, err := fmt.Sscanf(lines[i], "@@ -%d,%d +%d,%d @@", &from, &count, &to, &news); err != nil {
			t.Fatalf("line %d: %v in\n%s", i, err, text)
		}
		if count == 0 {
			from++
		}
		for ; at < from-1; at++ {
			out.WriteString(old[at])
		}
		for i++; i < len(lines) && !strings.HasPrefix(lines[i], "@@"); i++ {
			ended := "\n"
			if i+1 < len(lines) && strings.HasPrefix(lines[i+1], "\\") {
				ended = ""
			}
			switch lines[i][:1] {
			case "+":
				out.WriteString(lines[i][1:] + ended)
				news--
			case "\\":
			default:
				if old[at] != lines[i][1:]+ended {
					t.Fatalf("line %d of the file is %q, the patch has %q", at+1, old[at], lines[i][1:]+ended)
				}
				if lines[i][:1] == " " {
					out.WriteString(old[at])
					news--
				}
				at++
				count--
			}
		}
		if count != 0 || news != 0 {
			t.Fatalf("a part is of %d and %d lines more than it says:\n%s", -count, -news, text)
		}
	}
	for ; at < len(old); at++ {
		out.WriteString(old[at])
	}
	return out.String()
}

// A patch makes the one text of the other, whatever they are.
func TestAPatchMakesTheChange(t *testing.T) {
	t.Parallel()
	line := rapid.SampledFrom([]string{"", "a", "b", "c", "+x", "-y", "@@", "\\ z"})
	file := rapid.Custom(func(t *rapid.T) string {
		text := strings.Join(rapid.SliceOfN(line, 0, 30).Draw(t, "lines"), "\n")
		if text != "" && rapid.Bool().Draw(t, "ends") {
			text += "\n"
		}
		return text
	})
	rapid.Check(t, func(t *rapid.T) {
		before, after := file.Draw(t, "before"), file.Draw(t, "after")
		p := patch("f", before, after)
		if (p == "") != (before == after) {
			t.Fatalf("patch = %q", p)
		}
		if p != "" {
			if got := apply(t, before, p); got != after {
				t.Fatalf("applied = %q, want %q, by\n%s", got, after, p)
			}
		}
	})
}

// Over 100,000 people and 1,000 rules a preview takes about a second; five here, on a
// machine that does other things too.
func TestAPreviewOverManyPeopleIsQuick(t *testing.T) {
	rules := func(moved string) string {
		var b strings.Builder
		b.WriteString("version: 1\nconnections: [alpha]\nroles: {viewer: {tasks: [view]}, editor: {tasks: [edit]}}\nrules:\n")
		for i := range 1000 {
			role := "viewer"
			if i == 7 {
				role = moved
			}
			fmt.Fprintf(&b, "  - {id: r%d, match: {connection: alpha, groups: [{name: group-%d}]}, grant: {roles: [%s]}}\n", i, i, role)
		}
		return b.String()
	}
	before, err := mapping.Load("m.yaml", []byte(rules("viewer")), mapping.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := &crowd{}
	for i := range 100_000 {
		id := strconv.Itoa(i)
		facts := mapping.Facts{Connection: "alpha", Name: "Name " + id, Groups: []string{"group-" + strconv.Itoa(i%1000), "x"}}
		all.known = append(all.known, directory.Known{ID: id, Facts: facts})
	}
	all.index()
	c := &Console{now: time.Now}
	began := time.Now()
	after, err := mapping.Load("m.yaml", []byte(rules("editor")), mapping.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := c.effectOn(t.Context(), all, before, after, true, true)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	t.Logf("%d people in %s", v.People, took)
	if v.Gain != 100 || v.Lose != 100 || v.Touched != 100 || len(v.Changes) != 100 || v.Changes[0].Name != "Name 7" {
		t.Errorf("effect = %+v", v)
	}
	if took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := c.effectOn(gone, all, before, after, true, true); !errors.Is(err, context.Canceled) {
		t.Errorf("for somebody who types on: %v, want that it ends", err)
	}
}
