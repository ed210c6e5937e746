package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/trace"
)

func TestExpiryWarnsInSteps(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for left, want := range map[time.Duration]diagnosis{
		-time.Second:           {"x", "broken", "the secret expired on 2026-03-01"},
		time.Hour:              {"x", "warning", "the secret expires on 2026-03-01, within 1 day"},
		6 * day:                {"x", "warning", "the secret expires on 2026-03-07, within 7 days"},
		14 * day:               {"x", "warning", "the secret expires on 2026-03-15, within 14 days"},
		15 * day:               {"x", "warning", "the secret expires on 2026-03-16, within 30 days"},
		59 * day:               {"x", "warning", "the secret expires on 2026-04-29, within 60 days"},
		60*day + 2*time.Second: {"x", "fine", "the secret expires on 2026-04-30"},
	} {
		got, ok := expiry("x", "secret", now.Add(left), now)
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("%s before (-want +got):\n%s", left, diff)
		}
	}
	if _, ok := expiry("x", "secret", time.Time{}, now); ok {
		t.Error("something is said of an end that nobody named")
	}
}

func TestHabitsOfAnIdentityProvider(t *testing.T) {
	facts := []trace.Field{{Name: "subject", Values: []string{"a"}}}
	none := trace.Record{Facts: facts, Notes: []trace.Note{trace.NoGroups}}
	some := trace.Record{Facts: facts, Notes: []trace.Note{trace.Overage}, Measured: true, Skew: -45 * time.Second}
	stranger := trace.Record{}
	for name, tc := range map[string]struct {
		recent []trace.Record
		want   []diagnosis
	}{
		"nobody has groups": {[]trace.Record{none, stranger, none}, []diagnosis{{"x", "warning", "no groups claim came, in 2 of the last 2 answers"}}},
		"one has none, another too many": {[]trace.Record{none, some}, []diagnosis{
			{"x", "warning", "the identity provider left groups out (overage), in 1 of the last 2 answers"},
			{"x", "warning", "the clocks were 45s apart at a sign-in; more than a minute is refused"},
		}},
		"nobody is known again": {[]trace.Record{{Facts: facts, Notes: []trace.Note{trace.TransientNameID}}, stranger}, []diagnosis{
			{"x", "warning", "the NameID is transient, so nobody is known again: name an attribute in subject, in 1 of the last 1 answer"},
		}},
		"nothing known": {nil, nil},
	} {
		if diff := cmp.Diff(tc.want, examineTraces("x", tc.recent)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
