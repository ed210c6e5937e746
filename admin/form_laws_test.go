package admin

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"portcullis/mapping"
)

// everything is a mapping with every construct that has a form, each line with
// a comment of its own; MORE stands for a rule that a property writes.
const everything = `version: 1 # c1
# c2 above the variables
vars:
  envPrefix: {prod: "", uat: "UAT_"} # c3
  region:
    prod: EU # c4
    uat: "EU " # c5
# c6
connections:
  # c7 our own
  staff: {ceiling: unrestricted} # c8
  acme: # c9
    ceiling:
      roles: [viewer] # c10
      where: {account: "*", country: [US, "C A"], product: {prefix: "EQ-"}} # c11
  beta: {ceiling: {roles: []}} # c12
roles: # c13
  viewer: {tasks: [account.view], privileged: false} # c14
  mapper: {tasks: [gate.mapping.view, gate.mapping.propose]} # c15
  author: # c16
    tasks:
      - account.edit # c17
      - "account.#1" # c18
    inherits: [viewer]
attributes:
  account: {pattern: "^[A-Z]{3}$", source: AccountMaster, onMissing: none} # c19
  country: {onMissing: any} # c20
  product: {type: string} # c21
permissionGroups:
  us: {where: {account: "*", country: [US], product: {not: [PRV-1]}}} # c22
  own: {params: [acct], where: {account: ["${acct}"]}} # c23
  all: {unrestricted: true} # c24
defaults: {noMatch: deny-login} # c25
rules:
  # c26 the first
  - {id: proposers, match: {connection: staff}, grant: {roles: [mapper]}} # c27
  - id: managers # c28
    note: |
      two lines # of a note
      and another
    match:
      connection: acme
      groups: # c29
        - {regex: "^M-(?P<a>.*)$", label: Managers} # c30
        - {name: " spaced "} # c31
      claims: {department: [Compliance, "5", 5, true], "a=b": x} # c32
      when: >-
        claims.x == 'a' ||
        claims.y == 'b'
    valid: {from: 2026-01-01T00:00:00Z} # c33
    grant: {permissionGroups: [{own: {acct: "${a}"}}, us], roles: [viewer]} # c34
  - {id: guests, match: {connection: "*", userType: [Guest], claims: {level: 3}}, restrict: {permissionGroups: [us]}} # c35
  - {id: leavers, match: {connection: staff, groups: [{scim: Leavers}]}, deny: {login: true, reason: Left}} # c36
constraints: # c37
  - {id: apart, exclusive: [viewer, author], onViolation: drop-all} # c38
  # c39
  - id: few
    note: not many # c40
    role: author
    maxUsers: 10 # c41
tests:
  - name: "one: with #" # c42
    at: 2026-12-24T00:00:00Z
    env: uat
    given: {connection: acme, email: a@b.example, emailVerified: false, groups: ["a, b", c], pushed: [], claims: {n: null, s: "7", list: [1, "x"]}} # c43
    expect: {roles: [], because: [managers], violations: []} # c44
    can: [{account: ABC, country: "New York"}] # c45
  # c46
  - {name: two, given: {connection: staff, groupsIncomplete: true, lastKnownGroups: [], pushed: [{name: X, externalId: "1"}]}, because: [proposers], expect: {login: allow}} # c47
`

var remark = regexp.MustCompile(`# c\d+`)

func meaning(t interface{ Fatalf(string, ...any) }, text string) map[string]any {
	m, err := mapping.Read("mapping.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return m
}

// entriesOf are the names under which what of a text can be opened.
func entriesOf(m map[string]any) (out []string) {
	for _, s := range [][2]string{{"roles", "role"}, {"permissionGroups", "group"}, {"attributes", "attribute"}, {"connections", "connection"}, {"vars", "variable"}} {
		all, _ := m[s[0]].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			out = append(out, s[1]+":"+name)
		}
	}
	for _, s := range [][3]string{{"rules", "rule", "id"}, {"constraints", "constraint", "id"}, {"tests", "test", "name"}} {
		all, _ := m[s[0]].([]any)
		for _, e := range all {
			out = append(out, s[1]+":"+e.(map[string]any)[s[2]].(string))
		}
	}
	return append(out, "defaults:")
}

// A form that is sent as it was opened changes nothing at all, whatever the
// entry is.
func TestAFormAsItWasOpenedChangesNothing(t *testing.T) {
	s := &desk{}
	for _, what := range entriesOf(meaning(t, everything)) {
		if got, problem := s.taken(t, s.opened(t, everything, what), "take"); got != everything || problem != "" {
			t.Errorf("%s (%s):\n%s", what, problem, got)
		}
	}
}

// foreignText is what somebody may type in.
var foreignText = rapid.OneOf(
	rapid.StringMatching(`[a-z]{1,8}`),
	rapid.SampledFrom([]string{`a: b`, `# x`, `5`, `true`, `null`, `[x]`, `{`, `"`, `""`, `'`, `a=b`, `a b`, `"a" = b`, `\`, `é`, `-`, `*`, `&a`, `!x`, `%`, `@x`, `a#b`, `a # b`, "\u202ex", `~`, `0x1`, `${x}`, `a, b`, `2026-01-01`}),
)

// A form changes what it says, keeps every comment, and leaves every other
// entry as it is.
func TestAFormChangesWhatItSays(t *testing.T) {
	s := &desk{}
	lists := func(t *rapid.T, label string) []any {
		texts := rapid.SliceOfNDistinct(foreignText, 1, 3, rapid.ID).Draw(t, label)
		out := make([]any, len(texts))
		for i, x := range texts {
			out[i] = x
		}
		return out
	}
	rowsIn := func(list []any) string {
		out := make([]string, len(list))
		for i, v := range list {
			out[i] = v.(string)
			if strings.HasPrefix(out[i], `"`) || strings.Contains(out[i], "\u202e") {
				out[i] = strings.ReplaceAll(fmt.Sprintf("%q", out[i]), `\U`, `\u`)
			}
		}
		return strings.Join(out, "\r\n")
	}
	type change struct {
		open string
		into []string // keys on the way to what changes; of a list the number of the entry
		set  func(t *rapid.T, f url.Values) any
	}
	field := func(name string) func(*rapid.T, url.Values) any {
		return func(t *rapid.T, f url.Values) any {
			x := foreignText.Draw(t, name)
			f.Set(name, x)
			return x
		}
	}
	list := func(name string) func(*rapid.T, url.Values) any {
		return func(t *rapid.T, f url.Values) any {
			all := lists(t, name)
			f.Set(name, rowsIn(all))
			return all
		}
	}
	number := func(name string) func(*rapid.T, url.Values) any {
		return func(t *rapid.T, f url.Values) any {
			n := rapid.IntRange(1, 1000).Draw(t, name)
			f.Set(name, strconv.Itoa(n))
			return float64(n)
		}
	}
	pairsOf := func(t *rapid.T, f url.Values) any {
		out, text := make(map[string]any), []string{}
		for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z:/.]{1,8}`), 1, 3, rapid.ID).Draw(t, "names") {
			out[name] = rapid.OneOf(rapid.Just[any](true), rapid.Just[any](5.0), rapid.Just[any]("plain"), rapid.Just[any]("5")).Draw(t, "value")
			shown := fmt.Sprint(out[name])
			if shown == "5" && out[name] == "5" {
				shown = `"5"`
			}
			text = append(text, name+" = "+shown)
		}
		f.Set("claims", strings.Join(text, "\r\n"))
		return out
	}
	changes := []change{
		{"variable:region", []string{"vars", "region", "uat"}, func(t *rapid.T, f url.Values) any {
			x := foreignText.Draw(t, "value")
			f["stands"][slices.Index(f["environment"], "uat")] = x
			return x
		}},
		{"connection:acme", []string{"connections", "acme", "ceiling", "where", "country"}, func(t *rapid.T, f url.Values) any {
			all := lists(t, "country")
			f["values"][slices.Index(f["attribute"], "country")] = rowsIn(all)
			return all
		}},
		{"connection:acme", []string{"connections", "acme", "ceiling", "roles"}, func(_ *rapid.T, f url.Values) any {
			f["roles"] = []string{"author", "viewer"}
			return []any{"viewer", "author"}
		}},
		{"connection:beta", []string{"connections", "beta", "ceiling"}, func(_ *rapid.T, f url.Values) any {
			f.Set("unrestricted", "yes")
			return "unrestricted"
		}},
		{"attribute:account", []string{"attributes", "account", "pattern"}, field("pattern")},
		{"attribute:product", []string{"attributes", "product", "source"}, field("source")},
		{"constraint:apart", []string{"constraints", "0", "exclusive"}, func(_ *rapid.T, f url.Values) any {
			f["exclusive"] = []string{"author", "mapper"}
			return []any{"author", "mapper"}
		}},
		{"constraint:apart", []string{"constraints", "0", "onViolation"}, func(t *rapid.T, f url.Values) any {
			x := rapid.SampledFrom([]string{"warn", "deny-login"}).Draw(t, "onViolation")
			f.Set("onViolation", x)
			return x
		}},
		{"constraint:few", []string{"constraints", "1", "maxUsers"}, number("maxUsers")},
		{"constraint:few", []string{"constraints", "1", "note"}, field("note")},
		{"rule:managers", []string{"rules", "1", "match", "claims"}, pairsOf},
		{"rule:proposers", []string{"rules", "0", "match", "claims"}, pairsOf},
		{"rule:managers", []string{"rules", "1", "match", "when"}, field("when")},
		{"rule:guests", []string{"rules", "2", "match", "userType"}, list("userType")},
		{"role:author", []string{"roles", "author", "tasks"}, func(t *rapid.T, f url.Values) any {
			all := append([]any{"account.edit", "account.#1"}, lists(t, "tasks")...) // of what a change before this one added, nothing
			f.Set("tasks", rowsIn(all))
			return all
		}},
		{"test:one: with #", []string{"tests", "0", "given", "groups"}, list("asserted")},
		{"test:one: with #", []string{"tests", "0", "expect", "roles"}, list("expected-roles")},
		{"test:one: with #", []string{"tests", "0", "given", "claims"}, pairsOf},
		{"test:one: with #", []string{"tests", "0", "given", "subject"}, field("given-subject")},
		{"test:one: with #", []string{"tests", "0", "can"}, func(t *rapid.T, f url.Values) any {
			city := rapid.SampledFrom([]string{"A", "New York", `a=b`, "ü"}).Draw(t, "city")
			f.Set("can", fmt.Sprintf("account=%q\r\ncountry=\"x y\" account=B", city))
			return []any{map[string]any{"account": city}, map[string]any{"country": "x y", "account": "B"}}
		}},
		{"test:two", []string{"tests", "1", "given", "pushed"}, func(_ *rapid.T, f url.Values) any {
			f["pushed"][1], f["pushedID"][2] = "Y", "2"
			return []any{map[string]any{"name": "X", "externalId": "1"}, map[string]any{"name": "Y"}, map[string]any{"externalId": "2"}}
		}},
		{"test:two", []string{"tests", "1", "because"}, list("expected-because")},
		{"test:two", []string{"tests", "1", "expect", "permissionGroups"}, func(_ *rapid.T, f url.Values) any {
			f.Set("expects-permissionGroups", "yes")
			return []any{}
		}},
		{"defaults:", []string{"defaults", "incompleteGroups"}, func(_ *rapid.T, f url.Values) any {
			f.Set("incompleteGroups", "last-known")
			return "last-known"
		}},
	}
	rapid.Check(t, func(rt *rapid.T) {
		text, want := everything, meaning(rt, everything)
		for range rapid.IntRange(1, 2).Draw(rt, "changes") {
			c := rapid.SampledFrom(changes).Draw(rt, "change")
			fields := s.opened(rt, text, c.open)
			at(want, c.into, c.set(rt, fields))
			var problem string
			if text, problem = s.taken(t, fields, "take"); problem != "" {
				rt.Fatalf("%v: %s", c.into, problem)
			}
		}
		if got := meaning(rt, text); !reflect.DeepEqual(got, want) {
			rt.Fatalf("got  %v\nwant %v\nin\n%s", got, want, text)
		}
		for _, comment := range remark.FindAllString(everything, -1) {
			if !strings.Contains(text, comment+"\n") && !strings.Contains(text, comment+" ") {
				rt.Fatalf("%s is gone from\n%s", comment, text)
			}
		}
	})
}

// at puts a value where keys and numbers lead.
func at(v any, into []string, value any) {
	for i, key := range into {
		switch x := v.(type) {
		case map[string]any:
			if i == len(into)-1 {
				x[key] = value
				return
			}
			if v = x[key]; v == nil {
				v = map[string]any{}
				x[key] = v
			}
		case []any:
			v = x[key[0]-'0']
		}
	}
}

// What has a form can be added, renamed and removed.
func TestEntriesComeAndGo(t *testing.T) {
	s := &desk{}
	for what, tc := range map[string]struct {
		fields string
		into   []string
		want   any
	}{
		"constraint:": {"id new sort apart exclusive viewer exclusive author", []string{"constraints", "2"}, map[string]any{"id": "new", "exclusive": []any{"viewer", "author"}}},
		"connection:": {"id gamma roles viewer", []string{"connections", "gamma"}, map[string]any{"ceiling": map[string]any{"roles": []any{"viewer"}}}},
		"variable:":   {"id zone", []string{"vars", "zone"}, map[string]any{"prod": "X", "uat": ""}},
		"test:": {"id three login deny", []string{"tests", "2"}, map[string]any{
			"name": "three", "given": map[string]any{"connection": "acme"}, "expect": map[string]any{"login": "deny"},
		}},
		"attribute:": {"id unit onMissing any", []string{"attributes", "unit"}, map[string]any{"onMissing": "any"}},
		"rule:": {"id new connection beta effect deny denyLogin yes claims a=1", []string{"rules", "4"}, map[string]any{
			"id": "new", "match": map[string]any{"connection": "beta", "claims": map[string]any{"a": 1.0}}, "deny": map[string]any{"login": true},
		}},
	} {
		f := s.opened(t, everything, what)
		for words := strings.Fields(tc.fields); len(words) > 0; words = words[2:] {
			if f.Get(words[0]) != "" && words[0] == "exclusive" {
				f.Add(words[0], words[1])
			} else {
				f.Set(words[0], words[1])
			}
		}
		if what == "variable:" {
			f["stands"][0] = "X"
		}
		got, problem := s.taken(t, f, "take")
		var now any = meaning(t, got)
		for _, key := range tc.into {
			switch x := now.(type) {
			case map[string]any:
				now = x[key]
			case []any:
				now = x[key[0]-'0']
			}
		}
		if problem != "" || !reflect.DeepEqual(now, tc.want) || len(remark.FindAllString(got, -1)) != len(remark.FindAllString(everything, -1)) {
			t.Errorf("%s (%s): %v\n%s", what, problem, now, got)
		}
	}
	for _, what := range []string{"constraint:few", "connection:beta", "variable:region", "test:two", "attribute:country", "defaults:"} {
		got, problem := s.taken(t, s.opened(t, everything, what), "remove")
		if m := meaning(t, got); problem != "" || reflect.DeepEqual(m, meaning(t, everything)) {
			t.Errorf("removing %s: %s", what, problem)
		}
	}
	f := s.opened(t, everything, "constraint:apart")
	f.Set("id", "sod")
	if got, problem := s.taken(t, f, "take"); problem != "" || got != strings.Replace(everything, "id: apart", "id: sod", 1) {
		t.Errorf("renaming: %s\n%s", problem, got)
	}
	f = s.opened(t, everything, "variable:region")
	f.Set("id", "x")
	if _, problem := s.taken(t, f, "take"); !strings.Contains(problem, "keeps its name") {
		t.Errorf("renaming a variable: %s", problem)
	}
	const none = "version: 1\nconnections: [staff] # ours\nrules: []\n"
	f = s.opened(t, none, "connection:staff")
	if got, problem := s.taken(t, f, "take"); problem != "" || got != none {
		t.Errorf("the short form as it was: %s\n%s", problem, got)
	}
	f.Del("unrestricted")
	if got, problem := s.taken(t, f, "take"); problem != "" || !strings.Contains(got, "connections: {staff: {ceiling: {roles: []}}} # ours") {
		t.Errorf("the short form with a ceiling: %s\n%s", problem, got)
	}
	for _, what := range []string{"constraint:", "variable:", "defaults:", "role:"} {
		f = s.opened(t, none, what)
		if what != "defaults:" {
			f.Set("id", "x")
		} else {
			f.Set("noMatch", "no-access")
		}
		if what == "variable:" {
			f["environment"][0] = "prod"
		}
		if got, problem := s.taken(t, f, "take"); problem != "" || len(meaning(t, got)) != 4 {
			t.Errorf("the first %s %s\n%s", what, problem, got)
		}
	}
}
