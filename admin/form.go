package admin

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"portcullis/fault"
	"portcullis/mapping"
)

// The kinds of entries that have a form.
const (
	formRule       = "rule"
	formRole       = "role"
	formGroup      = "group"
	formAttribute  = "attribute"
	formConnection = "connection"
	formConstraint = "constraint"
	formVariable   = "variable"
	formTest       = "test"
	formDefaults   = "defaults"
)

// shape says where in a mapping file a kind of entry stands.
type shape struct {
	kind    string
	one     string       // what one is called
	many    string       // what they are called, as a heading
	section string       // key of the file below which they stand
	key     string       // of an entry that holds its name, where they are a list
	named   mapping.Kind // for new names; empty where nothing refers to them
	local   bool         // a fragment may have it
}

// shapes are the kinds in the order in which they are offered.
func shapes() []shape {
	return []shape{
		{formRule, "rule", "Rules", "rules", "id", mapping.KindRule, true},
		{formRole, "role", "Roles", "roles", "", mapping.KindRole, false},
		{formGroup, "permission group", "Permission groups", "permissionGroups", "", mapping.KindPermissionGroup, true},
		{formAttribute, "attribute", "Attributes", "attributes", "", mapping.KindAttribute, false},
		{formConnection, "connection", "Connections and their ceilings", "connections", "", mapping.KindConnection, false},
		{formConstraint, "constraint", "Constraints", "constraints", "id", mapping.KindConstraint, false},
		{formVariable, "variable", "Variables", "vars", "", "", false},
		{formTest, "test", "Tests", "tests", "name", "", true},
	}
}

// shapeOf finds a kind; ok is false for what has no form.
func shapeOf(kind string) (s shape, ok bool) {
	if kind == formDefaults {
		return shape{kind: formDefaults, one: "defaults", section: "defaults"}, true
	}
	i := slices.IndexFunc(shapes(), func(s shape) bool { return s.kind == kind })
	if i < 0 {
		return s, false
	}
	return shapes()[i], true
}

// choice is a name that can be ticked.
type choice struct {
	Name string
	On   bool
}

// selector is one way to name a group of an identity provider.
type selector struct{ Kind, Value, Label string }

// limit is what a permission group asks of one attribute.
type limit struct {
	Attribute string
	Form      string // "", any, in, prefix or not
	Values    string // one on each line
}

// formView is an entry as fields. What has no field stays in the text as it is.
type formView struct {
	Kind     string
	Title    string // what its kind is called
	Old      string // what it is called in the text; empty for a new one
	ID       string
	Fragment bool     // it stands in the file of one connection
	Kept     []string // keys that the form does not show
	Refused  refusal  // what is wrong, at its fields
	Again    bool     // for that it was not put into the text
	Opened   string   // digest of what it was opened with
	Next     string   // what is to be opened once it is said what becomes of it
	Breaks   []breach // what to put it in, or to remove it, would break
	Sure     string   // what does it all the same

	// Of a rule.
	Note        string
	Connection  string
	Connections []string
	Selectors   []selector
	AppRoles    string
	Domains     string
	UserType    string
	Claims      string
	When        string
	From, Until string
	Effect      string // grant, restrict or deny
	Roles       []choice
	Groups      []choice
	Calls       string // permission groups with parameters
	DenyLogin   bool
	DenyReason  string

	// Of a role.
	Tasks        string
	Inherits     []choice
	Assignable   []choice
	Privileged   bool
	Organization bool

	// Of a permission group.
	Params       string
	Unrestricted bool
	Limits       []limit

	Ceiling    *ceilingForm
	Constraint *constraintForm
	Attribute  *attributeForm
	Variable   []spread
	Test       *testForm
	Defaults   []chosen
}

// names are what entries can refer to.
type names struct{ connections, roles, groups, attributes []string }

// choices are the names of the mapping in force.
func (c *Console) choices() names {
	var n names
	if p := c.keeper.Policy(); p != nil {
		n.connections, n.groups = p.Connections(), p.PermissionGroups()
		for _, r := range p.Roles() {
			n.roles = append(n.roles, r.Name)
		}
		for _, a := range p.Attributes() {
			n.attributes = append(n.attributes, a.Name)
		}
	}
	for _, conn := range c.connections() {
		n.connections = append(n.connections, conn.ID)
	}
	return n
}

// with adds the names that a text has.
func (n names) with(m map[string]any) names {
	add := func(to []string, v any) []string {
		out := append(slices.Clone(to), words(v)...)
		if m, ok := v.(map[string]any); ok {
			out = slices.AppendSeq(out, maps.Keys(m))
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	return names{
		add(n.connections, m["connections"]), add(n.roles, m["roles"]), add(n.groups, m["permissionGroups"]), add(n.attributes, m["attributes"]),
	}
}

// words gives a list of strings as one; whatever else stands in it is left out.
func words(v any) (out []string) {
	items, _ := v.([]any)
	for _, item := range items {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func text(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}

func child(m map[string]any, key string) map[string]any {
	c, _ := m[key].(map[string]any)
	return c
}

// entryList is what of a text can be opened in a form, of one kind.
type entryList struct {
	Title string
	One   string
	Kind  string
	All   []entryRef
}

// entries lists what of a text can be opened in a form.
func entries(m map[string]any, fragment bool) (out []entryList) {
	for _, s := range shapes() {
		if fragment && !s.local {
			continue
		}
		list := entryList{Title: s.many, One: s.one, Kind: s.kind}
		for _, name := range s.names(m) {
			list.All = append(list.All, entryRef{name, s.kind + ":" + name})
		}
		out = append(out, list)
	}
	return out
}

// names lists the entries of a text, each name once.
func (s shape) names(m map[string]any) (out []string) {
	if s.key == "" {
		if list, ok := m[s.section].([]any); ok {
			return words(list) // connections in the short form
		}
		return slices.Sorted(maps.Keys(child(m, s.section)))
	}
	items, _ := m[s.section].([]any)
	for _, item := range items {
		if e, ok := item.(map[string]any); ok && text(e, s.key) != "" && !slices.Contains(out, text(e, s.key)) {
			out = append(out, text(e, s.key))
		}
	}
	return out
}

// find gives an entry of a text and its path; nil if it is not there.
func (s shape) find(m map[string]any, name string) (e map[string]any, path string) {
	if s.kind == formDefaults {
		return child(m, s.section), mapping.Path(s.section)
	}
	items, listed := m[s.section].([]any)
	switch {
	case s.key != "":
		for i, item := range items {
			if e, ok := item.(map[string]any); ok && text(e, s.key) == name {
				return e, mapping.Path(s.section) + "[" + strconv.Itoa(i) + "]"
			}
		}
		return nil, ""
	case listed: // connections in the short form
		if i := slices.Index(items, any(name)); i >= 0 {
			return map[string]any{"ceiling": unrestricted}, mapping.Path(s.section) + "[" + strconv.Itoa(i) + "]"
		}
		return nil, ""
	}
	v, ok := child(m, s.section)[name]
	if !ok {
		return nil, ""
	}
	path = mapping.Path(s.section, name)
	if e, ok := v.(map[string]any); ok {
		return e, path
	}
	return map[string]any{}, path
}

// openForm shows an entry of a draft, "rule:id", or an empty form, "rule:".
func openForm(d *draft, n names, what string) (*formView, error) {
	kind, name, _ := strings.Cut(what, ":")
	s, ok := shapeOf(kind)
	if !ok {
		return nil, fault.New(fault.Invalid, "open: want the kind of an entry, such as rule, and its name")
	}
	m, err := mapping.Read(d.file.Name, []byte(d.text))
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // the check says what is wrong with the text: it has to be mended there first
	}
	e, _ := s.find(m, name)
	if e == nil && name != "" {
		return nil, fault.New(fault.NotFound, "the file has no %s %s", s.one, clip(name))
	}
	return formOf(d, n, s, name, m), nil
}

// formOf is the form of an entry of a draft, whose text holds m; an empty one
// if the entry is not there.
func formOf(d *draft, n names, s shape, name string, m map[string]any) *formView {
	n = n.with(m)
	e, _ := s.find(m, name)
	f := &formView{Kind: s.kind, Title: s.one, Old: name, ID: name, Fragment: d.file.Connection != ""}
	switch s.kind {
	case formRule:
		f.readRule(e, n)
	case formRole:
		f.readRole(e, n)
	case formGroup:
		f.readGroup(e, n)
	case formAttribute:
		f.readAttribute(e)
	case formConnection:
		f.readCeiling(e, n)
	case formConstraint:
		f.readConstraint(e, n)
	case formVariable:
		f.readVariable(e, child(m, "vars"))
	case formTest:
		f.readTest(e, n)
	default:
		f.readDefaults(e)
	}
	f.Opened = f.digest()
	return f
}

// formAgain is a form as it was sent, whatever the text is like now.
func formAgain(d *draft, n names, form url.Values) *formView {
	s, ok := shapeOf(form.Get("kind"))
	if !ok {
		return nil
	}
	m, err := mapping.Read(d.file.Name, []byte(d.text))
	if err != nil {
		m = nil // what can be ticked is then what is in force
	}
	f := formOf(d, n, s, form.Get("old"), m)
	f.sent(form)
	f.Opened = form.Get("opened")
	return f
}

// ticked are names to tick, for a page.
type ticked struct {
	Name    string
	All     []choice
	Refused refusal
}

func ticks(name string, all []choice, refused refusal) ticked { return ticked{name, all, refused} }

// ID is that of the element of a name.
func (t ticked) ID(i int) string { return "f-" + t.Name + "-" + strconv.Itoa(i) }

// limited is what is asked of attributes, for a page.
type limited struct {
	All     []limit
	Refused refusal
}

func limits(all []limit, refused refusal) limited { return limited{all, refused} }

// worded is one word of some, for a page.
type worded struct {
	chosen

	Refused refusal
}

func wordOf(c chosen, refused refusal) worded { return worded{c, refused} }

// pickedOf are names to choose one of, for a page.
type pickedOf struct {
	At  string
	All []string
}

func picked(at string, all []string) pickedOf { return pickedOf{at, all} }

// flagInWords says what is remarkable about a change.
func flagInWords(flag string) string {
	switch mapping.Flag(flag) {
	case mapping.FlagPrivileged:
		return "Somebody gains a privileged role."
	case mapping.FlagEverything:
		return "Somebody gains all data."
	case mapping.FlagManyPeople:
		return "More than 5 % of all people are touched."
	case mapping.FlagCap:
		return "More people would hold a role than may."
	default:
		return flag
	}
}

// oneOf puts the article before what something is called.
func oneOf(what string) string {
	if what != "" && strings.ContainsRune("aeio", rune(what[0])) {
		return "an " + what
	}
	return "a " + what
}
