package trace_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portcullis/mapping"
	"portcullis/trace"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func TestABuilderIsFoundInItsContextAndNilCollectsNothing(t *testing.T) {
	var none *trace.Builder
	if none.Check("state", true, "a", "a") != true || none.Secret("nonce", false) {
		t.Error("a check on nil does not give its result")
	}
	none.Claims(map[string]any{"a": "b"})
	if got := none.End(noon, trace.SignedIn, "", ""); got.Reference != "" {
		t.Errorf("End on nil = %+v", got)
	}
	if trace.Of(t.Context()) != nil {
		t.Error("a context without a builder has one")
	}
	b := trace.Begin(trace.Record{Reference: "R", Connection: "acme"})
	trace.Of(trace.With(t.Context(), b)).Check("audience", false, "portal", "other")
	r := b.End(noon, trace.Refused, "no", "because")
	want := []trace.Check{{Name: "audience", Want: "portal", Got: "other"}}
	if diff := cmp.Diff(want, r.Checks); diff != "" || r.Reason != "no" || r.Cause != "because" || !r.Started.Equal(noon) {
		t.Errorf("record %+v, checks (-want +got):\n%s", r, diff)
	}
}

func TestTracesHoldNoCredentials(t *testing.T) {
	const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
	b := trace.Begin(trace.Record{})
	b.Claims(map[string]any{
		"nonce": "tell-nobody", "access_token": "tell-nobody", "at_hash": "tell-nobody", "jti": "tell-nobody", "sid": "tell-nobody",
		"refreshToken": "tell-nobody", "client_secret": "tell-nobody", "Password": "tell-nobody",
		"_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "tell-nobody"}},
		"deep":           map[string]any{"id_token": "tell-nobody", "fine": "shown"},
		"note":           "see " + jwt, "list": []any{"a", jwt}, "auth": "Bearer tell-nobody",
		"xml": "<saml:Assertion>tell-nobody", "name": "Alice", "email_verified": true, "auth_time": 1.5e9,
	})
	b.Check("typ", false, "JWT", jwt)
	b.Secret("nonce", false)
	r := b.End(noon, trace.Refused, "", "")
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"tell-nobody", "eyJhbG"} {
		if strings.Contains(string(text), bad) {
			t.Errorf("the trace holds %q:\n%s", bad, text)
		}
	}
	for _, good := range []string{`"Alice"`, `"shown"`, `"deep.fine"`, `"1500000000"`, `"true"`} {
		if !strings.Contains(string(text), good) {
			t.Errorf("the trace lacks %s:\n%s", good, text)
		}
	}
}

func TestTracesAreBoundedAndPrintable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := trace.Begin(trace.Record{Reference: "R", Connection: "acme"})
		claims := rapid.MapOfN(rapid.StringN(0, 40, 400), rapid.SliceOfN(rapid.StringN(0, 300, 1200), 0, 80), 0, 90).Draw(t, "claims")
		all := make(map[string]any)
		for k, v := range claims {
			all[k] = v
		}
		b.Claims(all)
		groups := rapid.SliceOfN(rapid.StringN(0, 100, 400), 0, 300).Draw(t, "groups")
		b.Facts(&mapping.Facts{Subject: rapid.String().Draw(t, "subject"), Groups: groups})
		for range 200 {
			b.Check("x", true, rapid.StringN(0, 10, 40).Draw(t, "want"), "y")
		}
		r := b.End(noon, trace.Refused, rapid.String().Draw(t, "reason"), "")
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 100<<10 {
			t.Fatalf("%d bytes", len(text))
		}
		for _, f := range append(r.Claims, r.Facts...) {
			for _, v := range append(f.Values, f.Name) {
				if !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl) {
					t.Fatalf("%q is not printable", v)
				}
			}
		}
		kept := 0
		for _, f := range r.Facts {
			if f.Name == "groups" {
				kept = len(f.Values) + f.More
			}
		}
		if kept != len(groups) {
			t.Fatalf("%d groups are accounted for, want %d", kept, len(groups))
		}
		var back trace.Record
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if again, _ := json.Marshal(back); string(again) != string(text) {
			t.Fatalf("read and written again it differs:\n%s\n%s", text, again)
		}
	})
}

func TestFactsAndDecisionInWords(t *testing.T) {
	b := trace.Begin(trace.Record{})
	b.Facts(&mapping.Facts{
		Subject: "alice", Email: "a@acme.example", Groups: []string{"g1"}, GroupsIncomplete: true,
		Pushed: []mapping.Group{{Name: "Pushed"}},
	})
	b.Decide(&mapping.Explanation{
		Verdict: "no rule that grants matched", Access: mapping.Access{Reason: "you have no access here"},
		NearMisses: []mapping.NearMiss{{Rule: "managers", Text: "the group is called Managers"}},
	})
	b.Clock(noon, noon.Add(-1500*time.Millisecond))
	b.Key("key k1")
	b.Note(trace.NoGroups)
	b.Note(trace.NoGroups)
	b.Person("p1")
	b.Start("S", noon.Add(-time.Minute), "acr gold")
	r := b.End(noon, trace.Refused, "you have no access here", "")
	want := trace.Record{
		Start: "S", Started: noon.Add(-time.Minute), Finished: noon, Outcome: trace.Refused, Reason: "you have no access here", Person: "p1",
		Demand: "acr gold", Key: "key k1", Skew: 1500 * time.Millisecond, Measured: true, Notes: []trace.Note{trace.NoGroups},
		Facts: []trace.Field{
			{Name: "subject", Values: []string{"alice"}},
			{Name: "e-mail", Values: []string{"a@acme.example"}},
			{Name: "groups", Values: []string{"g1"}},
			{Name: "pushed groups", Values: []string{"Pushed"}},
			{Name: "e-mail verified", Values: []string{"no"}},
			{Name: "groups incomplete", Values: []string{"yes"}},
		},
		Decision: &trace.Decision{
			Verdict: "no rule that grants matched", Reason: "you have no access here",
			NearMisses: []string{"rule managers: the group is called Managers"},
		},
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if r.Class() != trace.Vouched {
		t.Errorf("class = %s", r.Class())
	}
}
