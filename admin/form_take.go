package admin

import (
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"portcullis/fault"
	"portcullis/mapping"
)

// takeForm puts what a form says into a draft, by splicing: comments and
// everything else stay as they are. When that fails it gives the form again, as
// it was sent and with the reason at the field that is meant.
func takeForm(d *draft, n names, form url.Values, remove bool) (*formView, error) {
	kind, old, id := form.Get("kind"), form.Get("old"), strings.TrimSpace(form.Get("id"))
	again := func(field string, err error) (*formView, error) {
		return formAgain(d, n, form).turnedDown(field, said(err))
	}
	s, ok := shapeOf(kind)
	switch {
	case !ok:
		return nil, fault.New(fault.Invalid, "nothing of a mapping is called %s", clip(kind))
	case d.file.Connection != "" && !s.local:
		return nil, fault.New(fault.Invalid, "the file of one connection can have no %s", s.one)
	}
	m, err := mapping.Read(d.file.Name, []byte(d.text))
	if err != nil {
		return again("", err)
	}
	e, path := s.find(m, old)
	if kind == formDefaults {
		id = s.section
	}
	taken, _ := s.find(m, id)
	switch {
	case old != "" && e == nil:
		return again("", fault.New(fault.Invalid, "the file has no %s %s", s.one, clip(old)))
	case id == "" && !remove:
		return again(nameField, fault.New(fault.Invalid, "it has no name"))
	case !remove && kind != formDefaults && id != old && taken != nil:
		return again(nameField, fault.New(fault.Conflict, "there is a %s %s already", s.one, clip(id)))
	case !remove && kind == formVariable && old != "" && id != old:
		return again(nameField, fault.New(fault.Invalid, "a variable keeps its name here: change it in the text, with everything that says ${%s}", clip(old)))
	}
	var steps []mapping.Amendment
	if remove {
		steps = append(steps, mapping.Remove(path))
	} else {
		steps = s.put(m, entryAt{old, id, path, e}, entryOf(kind, e, form))
	}
	changed, err := mapping.Edit(d.file.Name, []byte(d.text), steps...)
	if err != nil {
		field := ""
		if _, failed := mapping.Edit(d.file.Name, []byte(d.text), steps[:1]...); failed != nil && old != "" && old != id && s.named != "" && !remove {
			field = nameField // it begins with the new name
		}
		return again(field, err)
	}
	d.text = string(changed)
	return nil, nil //nolint:nilnil // there is nothing more to fill in
}

// entryAt is an entry of a text that a form is about.
type entryAt struct {
	old, id string // old is empty for a new one
	path    string
	entry   map[string]any
}

// put gives the steps that make an entry what a form says.
func (s shape) put(m map[string]any, at entryAt, value map[string]any) (steps []mapping.Amendment) {
	if s.key != "" {
		value[s.key] = at.id
	}
	if at.old != "" && at.old != at.id && s.named != "" {
		steps = append(steps, mapping.Rename(s.named, at.old, at.id))
	}
	if s.key == "" && s.kind != formDefaults {
		at.path = mapping.Path(s.section, at.id)
	}
	all := child(m, s.section)
	if names := words(m[s.section]); s.kind == formConnection && len(names) > 0 && !reflect.DeepEqual(at.entry, value) {
		all = make(map[string]any) // the short form has no place for a ceiling
		for _, name := range names {
			if name == at.old {
				name = at.id
			}
			all[name] = map[string]any{"ceiling": unrestricted}
		}
		steps = append(steps, mapping.Set(mapping.Path(s.section), all))
	}
	switch {
	case s.kind == formDefaults && at.entry == nil:
		return append(steps, mapping.Set(mapping.Path(s.section), value))
	case at.old == "" && s.key != "":
		return append(steps, mapping.Add(mapping.Path(s.section), value))
	case at.old == "" && s.kind != formDefaults && all == nil:
		return append(steps, mapping.Set(mapping.Path(s.section), map[string]any{at.id: value}))
	case at.old == "" && s.kind != formDefaults, len(at.entry) == 0 && len(value) > 0:
		return append(steps, mapping.Set(at.path, value))
	}
	return append(steps, differ(at.path, at.entry, value)...)
}

// differ gives the steps that make one mapping another, key by key: what a
// form does not touch is not written again.
func differ(path string, old, now map[string]any) (steps []mapping.Amendment) {
	for _, key := range slices.Sorted(maps.Keys(now)) {
		at := path + "." + mapping.Path(key)
		was, _ := old[key].(map[string]any)
		is, _ := now[key].(map[string]any)
		_, there := old[key]
		switch {
		case there && reflect.DeepEqual(old[key], now[key]):
		case len(was) > 0 && len(is) > 0:
			steps = append(steps, differ(at, was, is)...)
		default:
			steps = append(steps, mapping.Set(at, now[key]))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(old)) {
		if _, stays := now[key]; !stays {
			steps = append(steps, mapping.Remove(path+"."+mapping.Path(key)))
		}
	}
	return steps
}

// entryOf is what a form says of an entry, over the entry as it is; nil for a
// new one.
func entryOf(kind string, e map[string]any, form url.Values) map[string]any {
	switch kind {
	case formRule:
		return ruleOf(e, form)
	case formRole:
		return roleOf(e, form)
	case formGroup:
		return groupOf(e, form)
	case formAttribute:
		return attributeOf(e, form)
	case formConnection:
		return connectionOf(e, form)
	case formConstraint:
		return constraintOf(e, form)
	case formVariable:
		return variableOf(e, form)
	case formTest:
		return testFrom(e, form)
	default:
		out := cloned(e)
		for _, key := range []string{"noMatch", "noPermissionGroup", "incompleteGroups"} {
			putText(out, key, form.Get(key))
		}
		return out
	}
}

func cloned(m map[string]any) map[string]any {
	if m == nil {
		return make(map[string]any)
	}
	return maps.Clone(m)
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

// putText sets a key from a field of one line. Like its neighbours it leaves
// alone what the field says as it was shown.
func putText(m map[string]any, key, sent string) {
	if !alikeFields(text(m, key), sent, true) {
		put(m, key, written(sent))
	}
}

// putLongText is putText for a field of several lines.
func putLongText(m map[string]any, key, sent string) {
	if !alikeFields(text(m, key), sent, false) {
		put(m, key, written(sent))
	}
}

// putRows sets a list from a field with one value on each line.
func putRows(m map[string]any, key, sent string) {
	if !alikeFields(lines(words(m[key])), sent, false) {
		put(m, key, rows(sent))
	}
}

// putTicked sets a list from the names that are ticked.
func putTicked(m map[string]any, key string, names []string) {
	old, _ := m[key].([]any)
	if now := ordered(old, anys(names)); len(now) > 0 || len(old) > 0 {
		put(m, key, now)
	}
}

// putBool sets a key from a box to tick.
func putBool(m map[string]any, key string, on bool) {
	if old, _ := m[key].(bool); old != on {
		put(m, key, on)
	}
}

// putPairs sets a mapping from a field with one name on each line.
func putPairs(m map[string]any, key, sent string, apart bool) {
	old := child(m, key)
	if alikeFields(pairs(old, apart), sent, false) {
		return
	}
	out := make(map[string]any)
	for _, p := range unpairs(sent) {
		had, again := out[p.name]
		list, _ := had.([]any)
		switch _, listed := old[p.name].([]any); {
		case apart && again && list == nil:
			out[p.name] = []any{had, p.value}
		case apart && again:
			out[p.name] = append(list, p.value)
		case apart && listed:
			out[p.name] = []any{p.value}
		default:
			out[p.name] = p.value
		}
	}
	put(m, key, out)
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
	has := func(list []any, v any) bool {
		return slices.ContainsFunc(list, func(o any) bool { return reflect.DeepEqual(o, v) })
	}
	for _, v := range old {
		if has(now, v) {
			out = append(out, v)
		}
	}
	for _, v := range now {
		if !has(out, v) {
			out = append(out, v)
		}
	}
	return out
}
