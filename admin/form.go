package admin

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"portcullis/fault"
	"portcullis/mapping"
)

// The kinds of entries that have a form.
const (
	formRule  = "rule"
	formRole  = "role"
	formGroup = "group"
)

// section is the key of a mapping file below which a kind of entry stands.
func section(kind string) string {
	return map[string]string{formRule: "rules", formRole: "roles", formGroup: "permissionGroups"}[kind]
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

// formView is a rule, a role or a permission group as fields. What has no
// field stays in the text as it is.
type formView struct {
	Kind string
	Old  string // what it is called in the text; empty for a new one
	ID   string
	Kept []string // keys that the form does not show

	// Of a rule.
	Note        string
	Connection  string
	Connections []string
	Selectors   []selector
	AppRoles    string
	Domains     string
	UserType    string
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

// entries lists what of a text can be opened in a form.
func entries(m map[string]any) (rules, roles, groups []entryRef) {
	items, _ := m["rules"].([]any)
	for _, item := range items {
		if rule, ok := item.(map[string]any); ok && text(rule, "id") != "" {
			rules = append(rules, entryRef{text(rule, "id"), formRule + ":" + text(rule, "id")})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(child(m, "roles"))) {
		roles = append(roles, entryRef{name, formRole + ":" + name})
	}
	for _, name := range slices.Sorted(maps.Keys(child(m, "permissionGroups"))) {
		groups = append(groups, entryRef{name, formGroup + ":" + name})
	}
	return rules, roles, groups
}

// entry finds an entry of a text; nil if it is not there.
func entry(m map[string]any, kind, name string) map[string]any {
	if kind != formRule {
		e, ok := child(m, section(kind))[name]
		if !ok {
			return nil
		}
		if e, ok := e.(map[string]any); ok {
			return e
		}
		return map[string]any{}
	}
	items, _ := m["rules"].([]any)
	for _, item := range items {
		if rule, ok := item.(map[string]any); ok && text(rule, "id") == name {
			return rule
		}
	}
	return nil
}

// openForm shows an entry of a draft, "rule:id", or an empty form, "rule:".
func openForm(d *draft, n names, what string) (*formView, error) {
	kind, name, _ := strings.Cut(what, ":")
	if section(kind) == "" {
		return nil, fault.New(fault.Invalid, "open: want rule, role or group, and a name")
	}
	m, err := mapping.Read(d.file.Name, []byte(d.text))
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // the check says what is wrong with the text: it has to be mended there first
	}
	n = n.with(m)
	e := entry(m, kind, name)
	if e == nil && name != "" {
		return nil, fault.New(fault.NotFound, "the file has no %s %s", kind, clip(name))
	}
	f := &formView{Kind: kind, Old: name, ID: name}
	switch kind {
	case formRule:
		f.readRule(e, n)
	case formRole:
		f.readRole(e, n)
	default:
		f.readGroup(e, n)
	}
	return f, nil
}

func lines(list []string) string { return strings.Join(list, "\n") }

func choose(all, on []string) []choice {
	out := make([]choice, 0, len(all))
	for _, name := range all {
		out = append(out, choice{name, slices.Contains(on, name)})
	}
	for _, name := range on {
		if !slices.Contains(all, name) {
			out = append(out, choice{name, true})
		}
	}
	return out
}

// kept lists the keys that have no field.
func (f *formView) kept(m map[string]any, shown ...string) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(shown, key) {
			f.Kept = append(f.Kept, key)
		}
	}
}

// emptyRows is how many groups can be added at once.
const emptyRows = 2

func selectorKinds() []string { return []string{"name", "id", "scim", "regex"} }

func (f *formView) readRule(e map[string]any, n names) {
	match, valid := child(e, "match"), child(e, "valid")
	f.Note, f.Connection, f.Connections = text(e, "note"), text(match, "connection"), append(n.connections, "*")
	items, _ := match["groups"].([]any)
	for _, item := range items {
		g, _ := item.(map[string]any)
		for _, kind := range selectorKinds() {
			if v := text(g, kind); v != "" {
				f.Selectors = append(f.Selectors, selector{kind, v, text(g, "label")})
			}
		}
	}
	for range emptyRows {
		f.Selectors = append(f.Selectors, selector{Kind: "name"})
	}
	f.AppRoles, f.Domains, f.UserType = lines(words(match["appRoles"])), lines(words(match["emailDomain"])), lines(words(match["userType"]))
	f.When, f.From, f.Until = text(match, "when"), text(valid, "from"), text(valid, "until")
	f.Effect = "grant"
	for _, effect := range []string{"restrict", "deny"} {
		if _, ok := e[effect]; ok {
			f.Effect = effect
		}
	}
	effect := child(e, f.Effect)
	f.DenyLogin, _ = effect["login"].(bool)
	f.DenyReason = text(effect, "reason")
	f.Roles = choose(n.roles, words(effect["roles"]))
	f.Groups = choose(n.groups, words(effect["permissionGroups"]))
	var calls []string
	given, _ := effect["permissionGroups"].([]any)
	for _, item := range given {
		if call, ok := item.(map[string]any); ok {
			calls = append(calls, callInWords(call))
		}
	}
	f.Calls = lines(calls)
	f.kept(e, "id", "note", "match", "valid", "grant", "restrict", "deny")
	f.kept(match, "connection", "groups", "appRoles", "emailDomain", "userType", "when")
}

// callInWords writes a permission group with its parameters on one line.
func callInWords(call map[string]any) string {
	var out strings.Builder
	for name, args := range call {
		out.WriteString(name)
		m, _ := args.(map[string]any)
		for _, param := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(&out, " %s=%v", param, m[param])
		}
	}
	return out.String()
}

func (f *formView) readRole(e map[string]any, n names) {
	others := slices.DeleteFunc(slices.Clone(n.roles), func(name string) bool { return name == f.Old })
	f.Tasks, f.Inherits, f.Assignable = lines(words(e["tasks"])), choose(others, words(e["inherits"])), choose(n.roles, words(e["assignableBy"]))
	f.Privileged, _ = e["privileged"].(bool)
	f.Organization = text(e, "scope") == "organization"
	f.kept(e, "tasks", "inherits", "assignableBy", "privileged", "scope")
}

func (f *formView) readGroup(e map[string]any, n names) {
	f.Params = lines(words(e["params"]))
	f.Unrestricted, _ = e["unrestricted"].(bool)
	where := child(e, "where")
	for _, a := range n.attributes {
		l := limit{Attribute: a}
		switch v := where[a].(type) {
		case string:
			l.Form = "any"
		case []any:
			l.Form, l.Values = "in", lines(words(v))
		case map[string]any:
			if prefix := text(v, "prefix"); prefix != "" {
				l.Form, l.Values = "prefix", prefix
			} else {
				l.Form, l.Values = "not", lines(words(v["not"]))
			}
		}
		f.Limits = append(f.Limits, l)
	}
	f.kept(e, "params", "unrestricted", "where")
}

// ticked are names to tick, for a page.
type ticked struct {
	Name string
	All  []choice
}

func ticks(name string, all []choice) ticked { return ticked{name, all} }

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
