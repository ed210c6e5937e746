package mapping_test

import (
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"portcullis/mapping"
)

// inside fails unless every problem points into the text and has words.
func inside(t *testing.T, text string, err error) {
	t.Helper()
	lines := strings.Split(text, "\n")
	last := mapping.Problem{}
	for _, p := range problems(t, err) {
		if p.Line < 1 || p.Line > len(lines) {
			t.Fatalf("%s: line is not in the text of %d lines", p, len(lines))
		}
		if p.Column < 1 || p.Column > utf8.RuneCountInString(lines[p.Line-1])+1 {
			t.Fatalf("%s: column is not in line %q", p, lines[p.Line-1])
		}
		if p.Message == "" || p.Line < last.Line || p.Line == last.Line && p.Column < last.Column {
			t.Fatalf("%s: no message, or not in order after %s", p, last)
		}
		last = p
	}
}

// FuzzLoad: a text either gives a policy that is the same every time, or
// problems that point into it. It never panics and never hangs.
func FuzzLoad(f *testing.F) {
	entries, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".txtar") {
			continue
		}
		for _, file := range readArchive(f, "testdata/"+e.Name()).files {
			if file.name == "mapping.yaml" {
				f.Add(file.text, "A", "acme")
			}
		}
	}
	f.Add("version: 1\r\nconnections: [acme]\r\nrules: []\r\n", "A", "acme")
	f.Add("a: |\n  b\n c: 'd\n  e'\n", "", "")
	f.Add("- - - a\n- ? b\n", "", "")
	f.Fuzz(func(t *testing.T, text, group, connection string) {
		if len(text) > 1<<16 {
			return
		}
		start := time.Now()
		p, err := mapping.Load("fuzz.yaml", []byte(text), mapping.Options{})
		if took := time.Since(start); took > 20*time.Second {
			t.Fatalf("Load took %v", took)
		}
		again, errAgain := mapping.Load("fuzz.yaml", []byte(text), mapping.Options{})
		if err != nil {
			inside(t, text, err)
			if p != nil || errAgain == nil || errAgain.Error() != err.Error() {
				t.Fatalf("policy %v with error %v, and again %v", p, err, errAgain)
			}
			return
		}
		who := mapping.Facts{Connection: connection, Groups: []string{group}, Pushed: []mapping.Group{{Name: group}}}
		for _, c := range append(p.Connections(), connection) {
			who.Connection = c
			if diff := cmp.Diff(p.Evaluate(&who, time.Time{}), again.Evaluate(&who, time.Time{})); diff != "" {
				t.Fatalf("two loads of one text differ:\n%s", diff)
			}
			if a := p.Evaluate(&who, time.Time{}); !a.Login && (a.Reason == "" || a.Roles != nil || a.Permissions.Allows(nil)) {
				t.Fatalf("refused, and yet %+v", a)
			}
		}
		if p.Hash() != again.Hash() || len(p.Test().Failures) != 0 {
			t.Fatalf("hash or tests of one text differ")
		}
		for _, w := range p.Warnings() {
			inside(t, text, mapping.Problems{w})
		}
	})
}

// FuzzLoadFacts: facts are read or refused with a place, and reading them is
// strict: nothing but what "given" has gets through.
func FuzzLoadFacts(f *testing.F) {
	f.Add(`{"connection": "acme", "groups": ["A"], "email": "a@example.com"}`)
	f.Add(`{"connection": "acme", "pushed": [{"name": "A", "externalId": "1"}], "groupsIncomplete": true, "lastKnownGroups": []}`)
	f.Add(`{"connection": "acme", "connection": "x"}`)
	f.Add("{\n\"connection\"\n:\n7}")
	f.Add(`[[[[[[[[[[`)
	f.Fuzz(func(t *testing.T, text string) {
		who, err := mapping.LoadFacts([]byte(text))
		if err != nil {
			inside(t, text, err)
			if diff := cmp.Diff(mapping.Facts{}, who); diff != "" {
				t.Fatalf("facts with an error: %s", diff)
			}
			return
		}
		if who.Connection == "" || who.EmailVerified && who.Email == "" || who.Claims != nil || who.AppRoles != nil {
			t.Fatalf("LoadFacts(%s) = %+v", text, who)
		}
	})
}
