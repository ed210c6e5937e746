package admin

import (
	"maps"
	"slices"
	"strings"
)

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
	f.Note, f.Connection, f.Connections = text(e, "note"), text(match, "connection"), withOne(append(n.connections, "*"), text(match, "connection"))
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
	f.Claims = pairs(child(match, "claims"), true)
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
	f.kept(match, "connection", "groups", "appRoles", "emailDomain", "userType", "claims", "when")
}

// callInWords writes a permission group with its parameters on one line.
func callInWords(call map[string]any) string {
	for name, args := range call {
		m, _ := args.(map[string]any)
		return strings.TrimSpace(asWord(name, " ") + " " + assigned(m))
	}
	return ""
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
	f.Limits = limitsOn(child(e, "where"), n.attributes)
	f.kept(e, "params", "unrestricted", "where")
}

// limitsOn shows what is asked of each attribute.
func limitsOn(where map[string]any, attributes []string) (out []limit) {
	for _, a := range attributes {
		out = append(out, limitOn(a, where[a]))
	}
	return out
}

func limitOn(attribute string, asked any) limit {
	l := limit{Attribute: attribute}
	switch v := asked.(type) {
	case string:
		l.Form = "any"
	case []any:
		l.Form, l.Values = "in", lines(words(v))
	case map[string]any:
		if prefix := text(v, "prefix"); prefix != "" {
			l.Form, l.Values = "prefix", line(prefix)
		} else {
			l.Form, l.Values = "not", lines(words(v["not"]))
		}
	}
	return l
}
