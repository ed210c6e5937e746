package web_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"portcullis/web"
)

// redirect is a target and where a browser goes with it from
// https://gate.example/dir/: an origin, a scheme that has none, or "nowhere".
// Node's URL says so (e2e/redirects.mjs), which shares nothing with the gate.
type redirect struct{ Target, Leads string }

func redirects(t *testing.T) []redirect {
	t.Helper()
	text, err := os.ReadFile("testdata/redirects.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []redirect
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) < 150 {
		t.Fatalf("%d targets, want 150 at least", len(list))
	}
	return list
}

// What the gate makes of a target must be a target of the gate's own, by the
// same standard: a path that a browser takes for a path.
func TestWhatTheStandardTakesElsewhereIsNotFollowed(t *testing.T) {
	for _, r := range redirects(t) {
		got := web.SafeReturn(public, r.Target)
		if r.Leads != "https://gate.example" && got != "/" {
			t.Errorf("SafeReturn(%q) = %q, but browsers go to %s", r.Target, got, r.Leads)
		}
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.ContainsAny(strings.SplitN(got, "?", 2)[0], "\\\t\r\n") {
			t.Errorf("SafeReturn(%q) = %q, want a plain path", r.Target, got)
		}
	}
}

// The oracle of the fuzz test is held against the standard's answers: it may
// see a way out where there is none, never the other way round.
func TestTheOracleIsNoMilderThanTheStandard(t *testing.T) {
	for _, r := range redirects(t) {
		if r.Leads != "nowhere" && r.Leads != "https://gate.example" && resolve(r.Target) == "https://gate.example" {
			t.Errorf("resolve(%q) stays, but browsers go to %s", r.Target, r.Leads)
		}
	}
}
