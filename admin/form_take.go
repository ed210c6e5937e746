package admin

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"portcullis/fault"
	"portcullis/mapping"
)

// takeForm puts what a form says into a draft, by splicing: comments and
// everything else stay as they are. When that fails it gives the form again.
func takeForm(d *draft, n names, form url.Values, remove bool) (*formView, error) {
	kind, old, id := form.Get("kind"), form.Get("old"), strings.TrimSpace(form.Get("id"))
	again := func(err error) (*formView, error) {
		f, failed := openForm(d, n, kind+":"+old)
		if failed != nil {
			return nil, failed
		}
		return f, said(err)
	}
	m, err := mapping.Read(d.file.Name, []byte(d.text))
	if err != nil {
		return nil, said(err)
	}
	e := entry(m, kind, old)
	switch {
	case section(kind) == "" || old != "" && e == nil:
		return nil, fault.New(fault.Invalid, "the file has no %s %s", clip(kind), clip(old))
	case id == "" && !remove:
		return again(fault.New(fault.Invalid, "it has no name"))
	case !remove && id != old && entry(m, kind, id) != nil:
		return again(fault.New(fault.Conflict, "there is a %s %s already", kind, clip(id)))
	}
	var steps []mapping.Amendment
	switch {
	case remove:
		steps = append(steps, mapping.Remove(pathOf(kind, old)))
	case kind == formRule:
		steps = putEntry(kind, old, id, ruleOf(e, form))
	case kind == formRole:
		steps = putEntry(kind, old, id, roleOf(e, form))
	default:
		steps = putEntry(kind, old, id, groupOf(e, form))
	}
	changed, err := mapping.Edit(d.file.Name, []byte(d.text), steps...)
	if err != nil {
		return again(err)
	}
	d.text = string(changed)
	return nil, nil //nolint:nilnil // there is nothing more to fill in
}

func pathOf(kind, name string) string {
	if kind == formRule {
		return mapping.Path("rules") + mapping.Entry("id", name)
	}
	return mapping.Path(section(kind), name)
}

func putEntry(kind, old, id string, value map[string]any) (steps []mapping.Amendment) {
	if kind == formRule {
		value["id"] = id
	}
	switch {
	case old == "" && kind == formRule:
		return append(steps, mapping.Add(section(kind), value))
	case old == "":
		return append(steps, mapping.Set(pathOf(kind, id), value))
	case old != id:
		named := map[string]mapping.Kind{formRule: mapping.KindRule, formRole: mapping.KindRole, formGroup: mapping.KindPermissionGroup}[kind]
		steps = append(steps, mapping.Rename(named, old, id))
	}
	return append(steps, mapping.Set(pathOf(kind, id), value))
}

// put sets a key, or takes it away where there is nothing to say.
func put(m map[string]any, key string, value any) {
	empty := false
	switch v := value.(type) {
	case string:
		empty = v == ""
	case bool:
		empty = !v
	case []any:
		empty = len(v) == 0
	case map[string]any:
		empty = len(v) == 0
	}
	if empty {
		delete(m, key)
	} else {
		m[key] = value
	}
}

// rows reads a field with one value on each line.
func rows(text string) []any {
	out := []any{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// ordered keeps what a list has in its order, and puts what is new behind it:
// a form lists names by the alphabet, and the file need not.
func ordered(old, now []any) []any {
	out := []any{}
	for _, v := range old {
		if s, ok := v.(string); ok && slices.Contains(now, any(s)) {
			out = append(out, s)
		}
	}
	for _, v := range now {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func ruleOf(e map[string]any, form url.Values) map[string]any {
	out, match := cloned(e), cloned(child(e, "match"))
	put(out, "note", strings.TrimSpace(form.Get("note")))
	put(match, "connection", form.Get("connection"))
	groups, old := []any{}, map[string]map[string]any{}
	items, _ := match["groups"].([]any)
	for _, item := range items {
		if g, ok := item.(map[string]any); ok {
			for _, kind := range selectorKinds() {
				old[kind+" "+text(g, kind)] = g
			}
		}
	}
	kinds, values, labels := form["selector"], form["value"], form["label"]
	for i, v := range values {
		if v = strings.TrimSpace(v); v == "" || i >= len(kinds) || !slices.Contains(selectorKinds(), kinds[i]) {
			continue
		}
		g := cloned(old[kinds[i]+" "+v])
		g[kinds[i]] = v
		if i < len(labels) {
			put(g, "label", strings.TrimSpace(labels[i]))
		}
		groups = append(groups, g)
	}
	put(match, "groups", groups)
	put(match, "appRoles", rows(form.Get("appRoles")))
	put(match, "emailDomain", rows(form.Get("domains")))
	put(match, "userType", rows(form.Get("userType")))
	put(match, "when", strings.TrimSpace(form.Get("when")))
	out["match"] = match
	valid := cloned(child(e, "valid"))
	put(valid, "from", strings.TrimSpace(form.Get("from")))
	put(valid, "until", strings.TrimSpace(form.Get("until")))
	put(out, "valid", valid)
	effect := form.Get("effect")
	if !slices.Contains([]string{"grant", "restrict", "deny"}, effect) {
		effect = "grant"
	}
	was := child(e, effect)
	for _, key := range []string{"grant", "restrict", "deny"} {
		delete(out, key)
	}
	does := cloned(was)
	if effect != "restrict" {
		before, _ := was["roles"].([]any)
		put(does, "roles", ordered(before, anys(form["roles"])))
	}
	if effect != "deny" {
		before, _ := was["permissionGroups"].([]any)
		put(does, "permissionGroups", append(ordered(before, anys(form["groups"])), callsOf(form.Get("calls"))...))
	} else {
		put(does, "login", form.Get("denyLogin") == "yes")
		put(does, "reason", strings.TrimSpace(form.Get("denyReason")))
	}
	out[effect] = does
	return out
}

// callsOf reads what callInWords writes.
func callsOf(text string) []any {
	out := []any{}
	for _, line := range words(rows(text)) {
		fields := strings.Fields(line)
		args := make(map[string]any)
		for _, f := range fields[1:] {
			name, value, _ := strings.Cut(f, "=")
			args[name] = value
		}
		out = append(out, map[string]any{fields[0]: args})
	}
	return out
}

func cloned(m map[string]any) map[string]any {
	if m == nil {
		return make(map[string]any)
	}
	return maps.Clone(m)
}

func roleOf(e map[string]any, form url.Values) map[string]any {
	out := cloned(e)
	for key, field := range map[string]string{"inherits": "inherits", "assignableBy": "assignable"} {
		before, _ := e[key].([]any)
		put(out, key, ordered(before, anys(form[field])))
	}
	put(out, "tasks", rows(form.Get("tasks")))
	put(out, "privileged", form.Get("privileged") == "yes")
	put(out, "scope", map[bool]string{true: "organization"}[form.Get("organization") == "yes"])
	return out
}

func groupOf(e map[string]any, form url.Values) map[string]any {
	out, where := cloned(e), cloned(child(e, "where"))
	put(out, "params", rows(form.Get("params")))
	attributes, forms, values := form["attribute"], form["form"], form["values"]
	for i, a := range attributes {
		if i >= len(forms) || i >= len(values) {
			break
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
			where[a] = map[string]any{"prefix": strings.TrimSpace(values[i])}
		default:
			delete(where, a)
		}
	}
	put(out, "unrestricted", form.Get("unrestricted") == "yes")
	put(out, "where", where)
	if form.Get("unrestricted") == "yes" {
		delete(out, "where")
	}
	return out
}
