package admin

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// unrestricted is how a ceiling says that there is none.
const unrestricted = "unrestricted"

// ceilingForm is the most that a connection can ever give.
type ceilingForm struct {
	Unrestricted bool
	Roles        []choice
	Limits       []limit
}

func (f *formView) readCeiling(e map[string]any, n names) {
	ceiling := child(e, "ceiling")
	f.Ceiling = &ceilingForm{
		Unrestricted: text(e, "ceiling") == unrestricted, Roles: choose(n.roles, words(ceiling["roles"])),
		Limits: limitsOn(child(ceiling, "where"), n.attributes),
	}
	f.kept(e, "ceiling")
	f.kept(ceiling, "roles", "where")
}

// constraintForm keeps roles apart, or caps how many people may hold one.
type constraintForm struct {
	Cap       bool
	Note      string
	Exclusive []choice
	Role      string
	Roles     []string
	MaxUsers  string
	Violation chosen
}

// chosen is one word of some, for a page.
type chosen struct {
	Name, Title, At string
	All             []option
}

// option is a word of the language, and what it means to people.
type option struct{ Name, Words string }

// violations are what may become of whoever violates a constraint.
func violations() []option {
	return []option{
		{"", "loses all of these roles (as if it said drop-all), or of a limit: is warned about"},
		{"drop-all", "loses all of these roles"},
		{"deny-login", "may not come in"},
		{"warn", "is warned about, and keeps them"},
	}
}

func (f *formView) readConstraint(e map[string]any, n names) {
	_, capped := e["maxUsers"]
	f.Constraint = &constraintForm{
		Cap: capped || text(e, "role") != "", Note: text(e, "note"), Exclusive: choose(n.roles, words(e["exclusive"])), Role: text(e, "role"),
		Roles: withOne(n.roles, text(e, "role")), Violation: chosen{"onViolation", "Whoever violates it", text(e, "onViolation"), violations()},
	}
	if number, ok := e["maxUsers"].(float64); ok {
		f.Constraint.MaxUsers = strconv.FormatFloat(number, 'f', -1, 64)
	}
	f.kept(e, "id", "note", "exclusive", "role", "maxUsers", "onViolation")
}

// withOne adds a name to a list that need not have it.
func withOne(list []string, name string) []string {
	if name == "" || slices.Contains(list, name) {
		return list
	}
	return append(slices.Clone(list), name)
}

// attributeForm is a dimension on which data can be limited.
type attributeForm struct {
	Pattern, Source string
	Missing         chosen
}

func (f *formView) readAttribute(e map[string]any) {
	f.Attribute = &attributeForm{
		Pattern: text(e, "pattern"), Source: text(e, "source"),
		Missing: chosen{"onMissing", "A permission group that does not mention it", text(e, "onMissing"), []option{
			{"", "shows no row (as if it said none)"}, {"none", "shows no row"}, {"any", "shows rows with any value"},
		}},
	}
	f.kept(e, "pattern", "source", "onMissing")
}

// spread is what a variable stands for in one environment.
type spread struct{ Environment, Value string }

// readVariable shows a variable in every environment that the file knows.
func (f *formView) readVariable(e, all map[string]any) {
	known := make(map[string]bool)
	for _, v := range all {
		m, _ := v.(map[string]any)
		for environment := range m {
			known[environment] = true
		}
	}
	for _, environment := range slices.Sorted(maps.Keys(known)) {
		f.Variable = append(f.Variable, spread{environment, text(e, environment)})
	}
	for range emptyRows {
		f.Variable = append(f.Variable, spread{})
	}
}

func (f *formView) readDefaults(e map[string]any) {
	f.Defaults = []chosen{
		{"noMatch", "Whom no rule matches", text(e, "noMatch"), []option{
			{"", "may not come in (as if it said deny-login)"}, {"deny-login", "may not come in"}, {"no-access", "comes in, and sees whom to ask"},
		}},
		{"noPermissionGroup", "Whoever has no permission group", text(e, "noPermissionGroup"), []option{
			{"", "sees no data (as if it said no-data)"}, {"no-data", "sees no data"},
		}},
		{"incompleteGroups", "Where the identity provider leaves groups out", text(e, "incompleteGroups"), []option{
			{"", "they may not come in (as if it said deny-login)"},
			{"deny-login", "they may not come in"},
			{"last-known", "their last known groups count"},
			{"proceed", "the groups that came count, and every deny and restrict"},
		}},
	}
	f.kept(e, "noMatch", "noPermissionGroup", "incompleteGroups")
}

// testForm is a test of the file.
type testForm struct {
	At, Env      string
	Connection   string
	Connections  []string
	Texts        []labelled // who it is
	Unverified   bool
	Groups       string
	AppRoles     string
	Incomplete   bool
	KnowsLast    bool
	Last         string
	Pushes       bool // what was pushed is not what is asserted
	Pushed       []pushed
	Claims       string
	Attributes   string
	Login        chosen
	Lists        []exact
	Can, Cannot  string
	AttributesOf []string // that rows can have
}

// labelled is a field of one line.
type labelled struct{ Name, Title, Value string }

// pushed is a group that was pushed over SCIM.
type pushed struct{ Name, ExternalID string }

// exact is a list that must be met exactly, where it is expected at all.
type exact struct {
	Name, Title string
	On          bool
	Values      string
}

// testTexts are the facts of a test that are one text, as fields.
func testTexts() [][2]string {
	return [][2]string{
		{"email", "E-mail address"},
		{"userName", "User name"},
		{"subject", "Subject"},
		{"name", "Name"},
		{"userType", "User type"},
		{"received", "Groups received at (time)"},
	}
}

// testLists are what a test can expect exactly.
func testLists() [][2]string {
	return [][2]string{{"roles", "Roles"}, {"permissionGroups", "Permission groups"}, {"because", "Rules that match"}, {"violations", "Constraints violated"}}
}

func (f *formView) readTest(e map[string]any, n names) {
	given, expect := child(e, "given"), child(e, "expect")
	t := &testForm{
		At: text(e, "at"), Env: text(e, "env"), Connection: text(given, "connection"), Connections: withOne(n.connections, text(given, "connection")),
		Groups: lines(words(given["groups"])), AppRoles: lines(words(given["appRoles"])), Last: lines(words(given["lastKnownGroups"])),
		Claims: pairs(child(given, "claims"), false), Attributes: pairs(child(given, "attributes"), false), AttributesOf: n.attributes,
		Login: chosen{"login", "They", text(expect, "login"), []option{{"", "may come in or not: that is not checked"}, {"allow", "may come in"}, {"deny", "may not come in"}}},
		Can:   rowsInWords(e["can"]), Cannot: rowsInWords(e["cannot"]),
	}
	for _, x := range testTexts() {
		t.Texts = append(t.Texts, labelled{x[0], x[1], text(given, x[0])})
	}
	verified, said := given["emailVerified"].(bool)
	t.Unverified = said && !verified
	t.Incomplete, _ = given["groupsIncomplete"].(bool)
	_, t.KnowsLast = given["lastKnownGroups"]
	t.Pushed, t.Pushes = pushedIn(given)
	for range emptyRows {
		t.Pushed = append(t.Pushed, pushed{})
	}
	for _, x := range testLists() {
		at := expectedAt(e, x[0])
		_, on := at[x[0]]
		t.Lists = append(t.Lists, exact{x[0], x[1], on, lines(words(at[x[0]]))})
	}
	f.Test = t
	f.kept(e, "name", "at", "env", "given", "expect", "because", "can", "cannot")
	shown := []string{"connection", "emailVerified", "groups", "groupsIncomplete", "lastKnownGroups", "appRoles", "claims", "attributes", "pushed"}
	for _, x := range testTexts() {
		shown = append(shown, x[0])
	}
	f.kept(given, shown...)
}

// expectedAt is where a test says what it expects of a list: because may stand
// beside expect, too.
func expectedAt(e map[string]any, name string) map[string]any {
	if _, beside := e[name]; beside && name == "because" {
		return e
	}
	return child(e, "expect")
}

// pushedIn are the groups that a test has as pushed, and whether it has any
// of its own.
func pushedIn(given map[string]any) (out []pushed, own bool) {
	items, own := given["pushed"].([]any)
	for _, item := range items {
		g, _ := item.(map[string]any)
		out = append(out, pushed{text(g, "name"), text(g, "externalId")})
	}
	return out, own
}

// rowsInWords writes rows of data, one on each line.
func rowsInWords(v any) string {
	items, _ := v.([]any)
	out := make([]string, len(items))
	for i, item := range items {
		row, _ := item.(map[string]any)
		out[i] = assigned(row)
	}
	return strings.Join(out, "\n")
}
