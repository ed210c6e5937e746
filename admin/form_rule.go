package admin

import (
	"net/url"
	"slices"
	"strings"
)

func ruleOf(e map[string]any, form url.Values) map[string]any {
	out, match := cloned(e), cloned(child(e, "match"))
	putLongText(out, "note", form.Get("note"))
	if form.Has("connection") { // not in the file of one connection
		put(match, "connection", form.Get("connection"))
	}
	items, _ := match["groups"].([]any)
	if groups := selectorsOf(items, form); len(groups) > 0 || len(items) > 0 {
		put(match, "groups", groups)
	}
	putRows(match, "appRoles", form.Get("appRoles"))
	putRows(match, "emailDomain", form.Get("domains"))
	putRows(match, "userType", form.Get("userType"))
	putPairs(match, "claims", form.Get("claims"), true)
	putLongText(match, "when", form.Get("when"))
	out["match"] = match
	valid := cloned(child(e, "valid"))
	putText(valid, "from", form.Get("from"))
	putText(valid, "until", form.Get("until"))
	put(out, "valid", valid)
	effect := form.Get("effect")
	if !slices.Contains([]string{"grant", "restrict", "deny"}, effect) {
		effect = "grant"
	}
	does := cloned(child(e, effect))
	for _, key := range []string{"grant", "restrict", "deny"} {
		delete(out, key)
	}
	if effect != "restrict" {
		putTicked(does, "roles", form["roles"])
	}
	if effect != "deny" {
		before, _ := does["permissionGroups"].([]any)
		if now := ordered(before, append(anys(form["groups"]), callsOf(before, form.Get("calls"))...)); len(now) > 0 || len(before) > 0 {
			put(does, "permissionGroups", now)
		}
	} else {
		putBool(does, "login", form.Get("denyLogin") == "yes")
		putText(does, "reason", form.Get("denyReason"))
	}
	out[effect] = does
	return out
}

// selectorsOf reads the groups of a rule. One that says what it said keeps
// what else stands in it.
func selectorsOf(items []any, form url.Values) []any {
	old := make(map[string]map[string]any)
	for _, item := range items {
		if g, ok := item.(map[string]any); ok {
			for _, kind := range selectorKinds() {
				old[kind+" "+written(text(g, kind))] = g
			}
		}
	}
	groups := []any{}
	kinds, values, labels := form["selector"], form["value"], form["label"]
	for i, v := range values {
		if v = strings.TrimSpace(v); v == "" || i >= len(kinds) || !slices.Contains(selectorKinds(), kinds[i]) {
			continue
		}
		g := cloned(old[kinds[i]+" "+v])
		putText(g, kinds[i], v)
		if i < len(labels) {
			putText(g, "label", labels[i])
		}
		groups = append(groups, g)
	}
	return groups
}

// callsOf reads what callInWords writes. A call that says what one of the old
// ones says is that one.
func callsOf(old []any, text string) []any {
	known := make(map[string]any)
	for _, item := range old {
		if call, ok := item.(map[string]any); ok {
			known[callInWords(call)] = call
		}
	}
	out := []any{}
	for row := range strings.Lines(text) {
		if row = strings.TrimSpace(row); row == "" {
			continue
		}
		if call, ok := known[row]; ok {
			out = append(out, call)
			continue
		}
		name, rest := cutWord(row, " ")
		out = append(out, map[string]any{unquoted(name): unassigned(rest)})
	}
	return out
}

func roleOf(e map[string]any, form url.Values) map[string]any {
	out := cloned(e)
	putTicked(out, "inherits", form["inherits"])
	putTicked(out, "assignableBy", form["assignable"])
	putRows(out, "tasks", form.Get("tasks"))
	putBool(out, "privileged", form.Get("privileged") == "yes")
	putText(out, "scope", map[bool]string{true: "organization"}[form.Get("organization") == "yes"])
	return out
}

func groupOf(e map[string]any, form url.Values) map[string]any {
	out := cloned(e)
	putRows(out, "params", form.Get("params"))
	putBool(out, "unrestricted", form.Get("unrestricted") == "yes")
	put(out, "where", limitsOf(child(e, "where"), form))
	if form.Get("unrestricted") == "yes" {
		delete(out, "where")
	}
	return out
}

// limitsOf reads what is asked of attributes.
func limitsOf(old map[string]any, form url.Values) map[string]any {
	where := cloned(old)
	attributes, forms, values := form["attribute"], form["form"], form["values"]
	for i, a := range attributes {
		if i >= len(forms) || i >= len(values) {
			break
		}
		if shown := limitOn(a, old[a]); shown.Form == forms[i] && alikeFields(shown.Values, values[i], false) {
			continue
		}
		list := rows(values[i])
		switch forms[i] {
		case "any":
			where[a] = "*"
		case "in":
			where[a] = list
		case "not":
			where[a] = map[string]any{"not": list}
		case "prefix":
			where[a] = map[string]any{"prefix": unquoted(written(values[i]))}
		default:
			delete(where, a)
		}
	}
	return where
}
