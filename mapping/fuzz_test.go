package mapping_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
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
	example, err := os.ReadFile("../docs/mapping-example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example), "SG-Acct-ABC0001", "entra")
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
		who := mapping.Facts{
			Connection: connection, Groups: []string{group}, Pushed: []mapping.Group{{Name: group}}, AppRoles: []string{group},
			UserType: "Guest", Email: "eve@partner.example", EmailVerified: true, Claims: map[string]any{"department": group, "employeeType": "C"},
		}
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
		if who.Connection == "" || who.EmailVerified && who.Email == "" {
			t.Fatalf("LoadFacts(%s) = %+v", text, who)
		}
	})
}

// FuzzWhen: an expression is refused with a place or compiled; then it ends
// in time, gives the same each time, and where it cannot be evaluated a grant
// does not apply and a deny does.
func FuzzWhen(f *testing.F) {
	for _, text := range []string{
		"claims.department == 'Compliance'", "user.userType == 'Guest' || claims.?employeeType.orValue('') == 'C'",
		"groups.exists(g, g.startsWith('A')) && groups.all(g, g != 'B')", "claims.n.map(a, claims.n.map(b, claims.n.map(c, a))) == []",
		"'a'.matches('(a*)*b')", "claims.n.filter(x, claims.n.exists(y, y == x)).size() > 3", "user.attributes['x'] == 7", "timestamp('2026-01-01T00:00:00Z') < timestamp(claims.t)",
		"has(user.email) && user.?email.hasValue()", "[1,2,3].map(x, x * 9223372036854775807) == []", "true ? 1 == 1 : 2 / 0 == 1",
		"user == user", "claims == claims", "type(user) == type(claims)", "dyn(groups) == claims.groups", "claims.s.matches(claims.s)",
	} {
		f.Add(text)
	}
	large := make([]any, 300)
	for i := range large {
		large[i] = float64(i)
	}
	f.Fuzz(func(t *testing.T, text string) {
		quoted, err := json.Marshal(text)
		if err != nil || !utf8.ValidString(text) || strings.Contains(text, "${") {
			return
		}
		file := fmt.Sprintf(`version: 1
connections: [acme]
roles: {granted: {tasks: [a]}, denied: {tasks: [b]}, always: {tasks: [c]}}
rules:
  - {id: always, match: {connection: acme}, grant: {roles: [denied, always]}}
  - {id: grant, match: {connection: acme, when: %s}, grant: {roles: [granted]}}
  - {id: deny, match: {connection: acme, when: %s}, deny: {roles: [denied]}}
`, quoted, quoted)
		start := time.Now()
		p, err := mapping.Load("fuzz.yaml", []byte(file), mapping.Options{})
		if err != nil {
			inside(t, file, err)
			return
		}
		who := mapping.Facts{Connection: "acme", Groups: []string{"A", "B"}, Claims: map[string]any{"n": large, "s": strings.Repeat("a", 1000), "department": "Compliance"}}
		a := p.Evaluate(&who, time.Time{})
		if diff := cmp.Diff(a, p.Evaluate(&who, time.Time{})); diff != "" {
			t.Fatalf("%s: twice:\n%s", text, diff)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Fatalf("%s took %v", text, took)
		}
		granted, denied := slices.Contains(a.Rules, "grant"), slices.Contains(a.Rules, "deny")
		if granted && !denied || granted != slices.Contains(a.Roles, "granted") || denied == slices.Contains(a.Roles, "denied") || !a.Login {
			t.Fatalf("%s: %+v", text, a)
		}
		if e := p.Explain(&who, time.Time{}); !cmp.Equal(e.Access, a) {
			t.Fatalf("%s: Explain says %+v, Evaluate %+v", text, e.Access, a)
		}
	})
}

// FuzzRegex: an expression that selects groups matches whole names alone, and
// the index finds what the expression says.
func FuzzRegex(f *testing.F) {
	for _, text := range []string{"^SG-Acct-(?P<a>[A-Z]+)$", "(?i)abc", "a|b", "a*", "(?m)^a$", "\\x{61}b?", "(a|ab)(c|bcd)", "ab{2,3}", "[^a]b", "(?s).", "\\Qa.b\\E"} {
		f.Add(text, "SG-Acct-ABC")
		f.Add(text, "ab\nc")
	}
	f.Fuzz(func(t *testing.T, text, group string) {
		quoted, err := json.Marshal(text)
		if err != nil || !utf8.ValidString(text) || strings.Contains(text, "${") {
			return
		}
		file := fmt.Sprintf("version: 1\nconnections: [acme]\nroles: {a: {tasks: [a]}}\nrules:\n  - {id: r, match: {connection: acme, groups: [{regex: %s}]}, grant: {roles: [a]}}\n", quoted)
		p, err := mapping.Load("fuzz.yaml", []byte(file), mapping.Options{})
		if err != nil {
			inside(t, file, err)
			return
		}
		re := regexp.MustCompile(text)
		re.Longest()
		want := slices.ContainsFunc(re.FindAllStringIndex(group, 1), func(at []int) bool { return at[0] == 0 && at[1] == len(group) })
		got := p.Evaluate(&mapping.Facts{Connection: "acme", Groups: []string{group}}, time.Time{}).Login
		// The longest leftmost match is the whole name, or the name is not
		// matched as a whole; only ^ and $ inside lines differ from that.
		if group != "" && got != want && !strings.Contains(group, "\n") {
			t.Fatalf("regex %q on %q = %v, want %v", text, group, got, want)
		}
	})
}
