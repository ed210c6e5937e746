package admin

import (
	"maps"
	"net/url"
	"testing"
)

// A connection in the short form has a form as any other: what it says more
// makes the list a mapping, and every comment stays.
func TestAConnectionInTheShortFormHasAForm(t *testing.T) {
	s := &desk{}
	const rest = "rules:\n  - {id: one, match: {connection: staff}, deny: {login: true}}\n"
	for _, tc := range []struct {
		name, before, open, do string
		sent                   url.Values
		after                  string
	}{
		{"as it was", "connections: # ours\n  - staff # here\n", "connection:staff", "take", nil, "connections: # ours\n  - staff # here\n"},
		{
			"a ceiling", "connections: # ours\n  # the first\n  - staff # here\n\n", "connection:staff", "take",
			url.Values{"unrestricted": nil},
			"connections: # ours\n  # the first\n    staff: {ceiling: {roles: []}} # here\n\n",
		},
		{"no indentation", "connections:\n- \"staff\" # here\n", "connection:staff", "take", url.Values{"unrestricted": nil}, "connections:\n  \"staff\": {ceiling: {roles: []}} # here\n"},
		{
			"brackets", "connections: [ # ours\n  staff, # here\n]\n", "connection:staff", "take",
			url.Values{"unrestricted": nil},
			"connections: { # ours\n  staff: {ceiling: {roles: []}}, # here\n}\n",
		},
		{
			"one more", "connections:\n  - staff # here\n", "connection:", "take",
			url.Values{"id": {"acme"}},
			"connections:\n    staff: {ceiling: unrestricted} # here\n    acme: {ceiling: {roles: []}}\n",
		},
		{
			"one of two", "connections:\n  - staff # here\n  - acme # there\n", "connection:acme", "take",
			url.Values{"unrestricted": nil},
			"connections:\n    staff: {ceiling: unrestricted} # here\n    acme: {ceiling: {roles: []}} # there\n",
		},
		{"gone", "connections:\n  - staff # here\n  - acme # there\n", "connection:acme", "remove", nil, "connections:\n  - staff # here\n"},
	} {
		fields := s.opened(t, "version: 1\n"+tc.before+rest, tc.open)
		maps.Copy(fields, tc.sent)
		if got, problem := s.taken(t, fields, tc.do); problem != "" || got != "version: 1\n"+tc.after+rest {
			t.Errorf("%s (%s):\n%s", tc.name, problem, got)
		}
	}
	// Another name goes along with whatever refers to it.
	const short = "version: 1\nconnections: [staff] # ours\n"
	const renamed = "rules:\n  - {id: one, match: {connection: people}, deny: {login: true}}\n"
	fields := s.opened(t, short+rest, "connection:staff")
	fields.Set("id", "people")
	if got, problem := s.taken(t, fields, "take"); problem != "" || got != "version: 1\nconnections: [people] # ours\n"+renamed {
		t.Errorf("another name: %s\n%s", problem, got)
	}
	fields.Del("unrestricted")
	if got, problem := s.taken(t, fields, "take"); problem != "" || got != "version: 1\nconnections: {people: {ceiling: {roles: []}}} # ours\n"+renamed {
		t.Errorf("another name and a ceiling: %s\n%s", problem, got)
	}
}
