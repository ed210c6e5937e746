package login

import (
	"fmt"
	"strings"
	"testing"

	"portcullis/trace"
)

// Whoever asserts groups in a dry run is not told which other client's rules
// ask for them.
func TestAReportNamesNoRulesThatAlmostMatched(t *testing.T) {
	page := reportPage(trace.Record{Decision: &trace.Decision{
		Verdict: "nothing matched", Rules: []string{"ours"}, NearMisses: []string{`rule theirs: on connection "beta"`},
	}})
	if text := fmt.Sprint(page); !strings.Contains(text, "ours") || strings.Contains(text, "beta") {
		t.Errorf("page = %s", text)
	}
}
