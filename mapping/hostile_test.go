package mapping_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"portcullis/mapping"
)

// hostile texts have each made a YAML library slow, deep or fall over.
func hostile(n int) map[string]string {
	rep := strings.Repeat
	var keys, rows strings.Builder
	for i := 0; keys.Len() < n; i++ {
		fmt.Fprintf(&keys, "k%d: v\n", i)
	}
	for i := 0; rows.Len() < n; i++ {
		fmt.Fprintf(&rows, "- k%d: v\n  l: w\n", i)
	}
	return map[string]string{
		"open lists": rep("[", n), "open mappings": rep("{", n), "dashes": rep("- ", n/2), "questions": rep("? ", n/2),
		"keys in a row": rep("a: ", n/3), "keys in a row, in brackets": "a: {" + rep("a: ", n/3) + "}",
		"open quote": "a: '" + rep(" ", n), "quoted lines": "a: '" + rep("  \n", n/3) + "'", "double quote": "a: \"" + rep("\\u0041", n/6),
		"spaces": rep(" ", n) + "a: b", "tabs": rep("\t", n), "many keys": keys.String(), "many rows": rows.String(),
		"one key often": rep("a: b\n", n/5), "plain lines": "a: b\n" + rep("  b\n", n/4), "literal": "a: |\n" + rep("  b\n", n/4),
		"folded": "a: >\n" + rep(" b\n", n/3), "empty lines": "a:\n" + rep("\n", n) + " b", "long scalar": "a: " + rep("b ", n/2),
		"long list": "a: [" + rep("b, ", n/3) + "]", "long mapping": "a: {" + rep("b: c, ", n/6) + "}",
		"comments": rep("# b\n", n/4), "comments inside": "a:\n" + rep("  # b\n", n/6) + "  b: c\n", "anchors": rep("&a ", n/3), "tags": rep("!a ", n/3),
		"aliases": "a: &x [b]\nc: [" + rep("*x, ", n/4) + "]", "documents": rep("---\n", n/4), "colons": rep(":", n),
		"colons and spaces": rep(": ", n/2), "directives": rep("%a\n", n/3), "pipes": rep("|", n), "pairs in a list": "a: [" + rep("b: c, ", n/6) + "]",
		"deeper and deeper": deeper(n), "commas": rep(",", n), "closed": rep("]", n), "list items": rep("- b\n", n/4), "dash lines": rep("-\n", n/2), "empty values": "a:\n" + rep("  - b:\n", n/8), "keys without values": "a: {" + rep("b, ", n/3) + "}",
		"colons without values": "a: {" + rep("b:, ", n/4) + "}",
	}
}

func deeper(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// TestHostileTextIsRefusedInTime: whatever somebody saves as a mapping file,
// the gate answers with problems and goes on.
func TestHostileTextIsRefusedInTime(t *testing.T) {
	for name, text := range hostile(32 << 10) {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := mapping.Load("hostile.yaml", []byte(text), mapping.Options{})
			took := time.Since(start)
			if err == nil {
				t.Fatal("Load = nil, want problems")
			}
			inside(t, text, err)
			if took > 20*time.Second {
				t.Errorf("Load took %v", took)
			}
			t.Logf("%v: %.100s", took, err)
		})
	}
}

func TestTooLargeAFileIsRefused(t *testing.T) {
	_, err := mapping.Load("large.yaml", []byte(strings.Repeat("#", 4<<20+1)), mapping.Options{})
	if err == nil || !strings.Contains(err.Error(), "4 MiB") {
		t.Errorf("Load of more than 4 MiB = %v, want a problem", err)
	}
}

func TestTooManyRulesAreRefused(t *testing.T) {
	s := benchSpec()
	r := s.rules[0]
	s.rules = nil
	for i := range 10_001 {
		r.id = fmt.Sprint("r", i)
		s.rules = append(s.rules, r)
	}
	_, err := mapping.Load("many.yaml", []byte(s.yaml()), mapping.Options{})
	if err == nil || !strings.Contains(err.Error(), "want at most 10000") {
		t.Errorf("Load of 10,001 rules = %.200v, want a problem", err)
	}
	s.rules = s.rules[:10_000]
	load(t, s.yaml())
}

// TestAnExpressionIsBounded: what takes too long counts as not evaluated.
func TestAnExpressionIsBounded(t *testing.T) {
	numbers := make([]any, 1000)
	for i := range numbers {
		numbers[i] = float64(i)
	}
	who := mapping.Facts{Connection: "acme", Claims: map[string]any{"n": numbers, "s": strings.Repeat("a", 100_000)}}
	for _, when := range []string{
		"claims.n.exists(a, claims.n.exists(b, a + b == -1.0))",
		"claims.n.all(a, (claims.s + claims.s + claims.s + claims.s).size() > 0)",
		"claims.n.all(a, claims.n == claims.n)",
		"claims.n.all(a, claims.s.contains(claims.s))",
		"claims.n.all(a, (claims.n + claims.n).size() > 0)",
		"claims.n.all(a, claims.s.matches('(a|b|ab)*c') == false)",
	} {
		p := load(t, fmt.Sprintf(`version: 1
connections: [acme]
roles: {a: {tasks: [a]}, b: {tasks: [b]}}
rules:
  - {id: always, match: {connection: acme}, grant: {roles: [b]}}
  - {id: grant, match: {connection: acme, when: "%s"}, grant: {roles: [a]}}
  - {id: deny, match: {connection: acme, when: "%s"}, deny: {roles: [b]}}
`, when, when))
		start := time.Now()
		a := p.Evaluate(&who, time.Time{})
		if len(a.Roles) != 0 {
			t.Errorf("when: %s: %v, want the grant left out and the deny applied", when, a.Roles)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("when: %s took %v", when, took)
		}
	}
}

func TestALongExpressionIsRefused(t *testing.T) {
	text := func(n int) string {
		return "version: 1\nconnections: [acme]\nroles: {a: {}}\nrules:\n  - {id: r, match: {connection: acme, when: \"true || 'é" +
			strings.Repeat("é", n-len("true || 'x' == ''")) + "' == ''\"}, grant: {roles: [a]}}\n"
	}
	load(t, text(2000))
	_, err := mapping.Load("m.yaml", []byte(text(2001)), mapping.Options{})
	if err == nil || !strings.Contains(err.Error(), "2001 characters; want at most 2000") {
		t.Errorf("Load with 2,001 characters = %v, want a problem", err)
	}
}
