package mapping_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/mapping"
)

func TestARowWithoutTheAttributeMeetsAnyAlone(t *testing.T) {
	for _, tc := range []struct {
		c       mapping.Constraint
		value   string
		present bool
		want    bool
	}{
		{mapping.Constraint{Any: true}, "", false, true},
		{mapping.Constraint{In: []string{"US"}}, "", false, false},
		{mapping.Constraint{Not: []string{"US"}}, "", false, false},
		{mapping.Constraint{Prefix: "U"}, "", false, false},
		{mapping.Constraint{}, "", false, false},
		{mapping.Constraint{}, "", true, false},
		{mapping.Constraint{In: []string{"US"}}, "US", true, true},
		{mapping.Constraint{In: []string{"US"}}, "us", true, false},
		{mapping.Constraint{Not: []string{"US"}}, "GB", true, true},
		{mapping.Constraint{Not: []string{"US"}}, "US", true, false},
		{mapping.Constraint{Prefix: "U"}, "US", true, true},
	} {
		if got := tc.c.Allows(tc.value, tc.present); got != tc.want {
			t.Errorf("%v.Allows(%q, %v) = %v, want %v", tc.c, tc.value, tc.present, got, tc.want)
		}
	}
}

func TestTheZeroPermissionsShowNothing(t *testing.T) {
	if (mapping.Permissions{}).Allows(map[string]string{"account": "A"}) {
		t.Error("Permissions{}.Allows(row) = true, want false")
	}
	text, err := json.Marshal(mapping.Permissions{})
	if err != nil || string(text) != `{"unrestricted":false,"anyOf":[],"allOf":[]}` {
		t.Errorf("Marshal(Permissions{}) = %s, %v: want arrays, never null", text, err)
	}
}

// What a reader does not understand might narrow what is visible.
func TestPermissionsRefuseWhatTheyDoNotUnderstand(t *testing.T) {
	for _, text := range []string{
		`{"unrestricted":true,"anyOf":[],"allOf":[],"noneOf":[]}`, `{"anyOf":[null]}`, `{"allOf":[null]}`,
		`{"anyOf":[{"a":"x"}]}`, `{"anyOf":[{"a":{"prefix":""}}]}`, `{"anyOf":[{"a":{"not":[]}}]}`,
		`{"anyOf":[{"a":{"suffix":"x"}}]}`, `{"anyOf":[{"a":{"prefix":"x","not":["y"]}}]}`, `{"anyOf":[{"a":[1]}]}`, `{"anyOf":[{"a":{}}]}`,
	} {
		var p mapping.Permissions
		if err := json.Unmarshal([]byte(text), &p); err == nil {
			t.Errorf("Unmarshal(%s) = %+v, want an error", text, p)
		}
	}
}

func TestGivenGroupsAreAssertedAndPushed(t *testing.T) {
	got, err := mapping.LoadFacts([]byte(`{"connection": "acme", "email": "a@example.com", "groups": ["A"]}`))
	want := mapping.Facts{
		Connection: "acme", Email: "a@example.com", EmailVerified: true,
		Groups: []string{"A"}, Pushed: []mapping.Group{{Name: "A"}},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("LoadFacts (-want +got):\n%s%v", diff, err)
	}
	got, err = mapping.LoadFacts([]byte(`{"connection": "acme", "email": "a@example.com", "emailVerified": false, "groups": ["A"],
		"pushed": [{"name": "B", "externalId": "b-1"}], "lastKnownGroups": []}`))
	want = mapping.Facts{
		Connection: "acme", Email: "a@example.com", Groups: []string{"A"},
		Pushed: []mapping.Group{{ExternalID: "b-1", Name: "B"}}, LastKnownGroups: []string{},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("LoadFacts (-want +got):\n%s%v", diff, err)
	}
}

// A list of groups that is known to be empty is not the same as none.
func TestLastKnownGroupsMayBeEmptyButNotAbsent(t *testing.T) {
	p := load(t, `version: 1
connections: [acme]
roles: {viewer: {}}
defaults: {incompleteGroups: last-known}
rules: [{id: r, match: {connection: acme}, grant: {roles: [viewer]}}]
`)
	f := mapping.Facts{Connection: "acme", GroupsIncomplete: true}
	if a := p.Evaluate(&f, time.Time{}); a.Login {
		t.Errorf("without last known groups: %+v, want a refusal", a)
	}
	f.LastKnownGroups = []string{}
	if a := p.Evaluate(&f, time.Time{}); !a.Login {
		t.Errorf("with an empty list of last known groups: %+v, want a sign-in", a)
	}
}

func TestAReasonOfADenyIsToldWhateverTheOrder(t *testing.T) {
	for _, ids := range [][2]string{{"a", "b"}, {"b", "a"}} {
		p := load(t, strings.NewReplacer("$1", ids[0], "$2", ids[1]).Replace(`version: 1
connections: [acme]
rules:
  - {id: $1, match: {connection: acme}, deny: {login: true}}
  - {id: $2, match: {connection: acme}, deny: {login: true, reason: Ask the help desk}}
`))
		if a := p.Evaluate(&mapping.Facts{Connection: "acme"}, time.Time{}); a.Login || a.Reason != "Ask the help desk" {
			t.Errorf("ids %v: %v, %q, want the reason that one of them gives", ids, a.Login, a.Reason)
		}
	}
}

func TestAPolicyIsSafeForConcurrentUse(t *testing.T) {
	p := portal(t)
	f := mapping.Facts{Connection: "fabrikam", Groups: []string{"portal-analysts"}}
	want := p.Evaluate(&f, time.Time{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if diff := cmp.Diff(want, p.Evaluate(&f, time.Time{})); diff != "" {
					t.Errorf("at the same time (-want +got):\n%s", diff)
					return
				}
				_ = p.Explain(&f, time.Time{})
			}
		})
	}
	wg.Wait()
}

// Windows line ends change no position and no meaning.
func TestWindowsLineEnds(t *testing.T) {
	load(t, strings.ReplaceAll(portalText(t), "\n", "\r\n"))
	_, err := mapping.Load("crlf.yaml", []byte("version: 1\r\nconnections: [acme]\r\nruls: []\r\n"), mapping.Options{})
	if ps := problems(t, err); ps[0].Line != 3 || ps[0].Column != 1 || ps[0].Excerpt != "ruls: []\n^" {
		t.Errorf("problem = %+v, want 3:1", ps[0])
	}
}

func TestColumnsCountCharacters(t *testing.T) {
	_, err := mapping.Load("utf8.yaml", []byte("version: 1\nconnections: [acme]\nroles: {\"Prüfer\": {tasks: [a], colour: x}}\nrules: []\n"), mapping.Options{})
	if ps := problems(t, err); len(ps) != 1 || ps[0].Line != 3 || ps[0].Column != 32 {
		t.Errorf("problems = %v, want one at 3:32", ps)
	}
}

func TestInvisibleCharactersAreRefused(t *testing.T) {
	for _, bad := range []string{"\x00", "\xff", "\u202e", "\ufeff", "\r", "\x7f", "\u2028"} {
		text := "version: 1\nconnections: [ac" + bad + "me]\nrules: []\n"
		_, err := mapping.Load("bad.yaml", []byte(text), mapping.Options{})
		if err == nil {
			t.Errorf("Load with %q = nil, want a problem", bad)
			continue
		}
		inside(t, text, err)
	}
}

func TestTheHashIsOfTheText(t *testing.T) {
	text := portalText(t)
	a, b, c := load(t, text), load(t, text), load(t, text+"\n")
	if a.Hash() != b.Hash() || a.Hash() == c.Hash() || len(a.Hash()) != 64 {
		t.Errorf("Hash() = %s, %s, %s: want equal for equal texts alone", a.Hash(), b.Hash(), c.Hash())
	}
}

func TestProblemsAreJSON(t *testing.T) {
	_, err := mapping.Load("a.yaml", []byte("version: 2\nconnections: [acme]\nrules: []\n"), mapping.Options{})
	text, err := json.Marshal(problems(t, err))
	want := `[{"file":"a.yaml","line":1,"column":10,"message":"version is a number, 2; want 1 (the format of the file, not a revision)","excerpt":"version: 2\n         ^"}]`
	if err != nil || string(text) != want {
		t.Errorf("Marshal = %s, %v, want %s", text, err, want)
	}
}
