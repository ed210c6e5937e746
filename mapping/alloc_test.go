//go:build !race

package mapping_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/mapping"
)

// The race detector makes sync.Pool forget at random, so allocations are
// counted without it.

// TestEvaluateIntoAllocatesNothing, with all kinds of rules that an index
// finds around.
func TestEvaluateIntoAllocatesNothing(t *testing.T) {
	p, f := load(t, strings.Replace(benchSpec().yaml(), "rules:\n", `rules:
  - {id: x1, match: {connection: acme, appRoles: [Desk], userType: [Guest]}, grant: {roles: [role01]}}
  - {id: x2, match: {connection: acme, emailDomain: [a.example]}, restrict: {permissionGroups: [group01]}}
  - {id: x3, match: {connection: acme, groups: [{regex: "SG-.*-somewhere"}]}, deny: {roles: [role02]}}
  - {id: x4, match: {connection: acme, userType: [Guest], claims: {level: 3}}, valid: {until: 2027-01-01T00:00:00Z}, grant: {roles: [role03]}}
`, 1)), benchFacts()
	f.AppRoles, f.UserType, f.Email, f.EmailVerified, f.Claims = []string{"Desk"}, "Guest", "eve@a.example", true, map[string]any{"level": 3.0}
	var a mapping.Access
	p.EvaluateInto(&a, &f, time.Time{})
	for _, id := range []string{"x1", "x2", "x3", "x4"} {
		if !slices.Contains(a.Rules, id) {
			t.Fatalf("rules %v, want %s among them", a.Rules, id)
		}
	}
	if got := testing.AllocsPerRun(50, func() { p.EvaluateInto(&a, &f, time.Time{}) }); got > 0 {
		t.Errorf("EvaluateInto allocates %v times, want none", got)
	}
}

// TestEvaluateAllocatesForTheAnswerAlone: the evaluation itself takes nothing
// from the heap, however many rules and groups there are.
func TestEvaluateAllocatesForTheAnswerAlone(t *testing.T) {
	p, f := benchPolicy(t), benchFacts()
	p.Evaluate(&f, time.Time{})
	if got := testing.AllocsPerRun(50, func() { p.Evaluate(&f, time.Time{}) }); got > 12 {
		t.Errorf("Evaluate allocates %v times, want at most 12: the lists of the answer", got)
	}
}
