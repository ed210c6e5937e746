package mapping

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// decoder turns nodes into declarations. Every method takes the path of the
// value ("rules[3].match") for its messages, notes problems and carries on,
// so that one reading finds them all.
type decoder struct {
	*source
	variables []string     // names of the variables, for messages
	holes     bool         // ${…} may stand in strings here; the caller looks at it
	programs  *expressions // compiled CEL
	fragment  *name        // the connection of the fragment that is read; nil outside of one
}

// keys says what a mapping may hold and how each key is read.
type keys struct {
	known map[string]func(*node)
	// required keys, in the order in which their absence is reported
	required []string
	// hints say what was expected where a required key is missing
	hints map[string]string
}

// mapping reads n as a mapping with the given keys. It reports false when n
// is something else or has keys that it should not have: what follows from
// that is not worth a problem of its own.
func (d decoder) mapping(n *node, path string, k keys) bool {
	if n.kind != kindMap {
		d.fail(n.at, "%s is %s; want a mapping with %s", subject(path), n.kind, list(k.names()))
		return false
	}
	seen := make(map[string]bool, len(n.fields))
	clean := true
	for _, f := range n.fields {
		if read, ok := k.known[f.key.text]; ok {
			seen[f.key.text] = true
			read(f.value)
			continue
		}
		clean = false
		seen[d.unknownKey(f.key, path, k)] = true
	}
	for _, key := range k.required {
		if seen[key] {
			continue
		}
		hint := ""
		if h := k.hints[key]; h != "" {
			hint = "; want " + h
		}
		d.fail(n.at, "%s is missing%s", join(path, key), hint)
	}
	return clean
}

// unknownKey notes a problem and gives the key that was probably meant.
func (d decoder) unknownKey(key name, path string, k keys) string {
	names := k.names()
	meant, hint := d.suggest(key.text, names)
	if meant == "" {
		hint = "; want " + list(names)
	}
	d.fail(key.at, "unknown key %q in %s%s", clip(key.text), subject(path), hint)
	return meant
}

func (k keys) names() []string { return slices.Sorted(maps.Keys(k.known)) }

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func subject(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

// list writes a choice of words for people: a, b or c.
func list(words []string) string {
	switch len(words) {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// clip keeps a foreign word from filling a message.
func clip(s string) string {
	if utf8.RuneCountInString(s) <= 80 {
		return s
	}
	return string([]rune(s)[:80]) + "…"
}

// text reads a string that is not empty.
func (d decoder) text(n *node, path string) (name, bool) {
	if n.kind == kindNumber || n.kind == kindBool {
		d.fail(n.at, "%s is %s; want a string: put it in quotes: %q", path, n.kind, clip(n.text))
		return name{}, false
	}
	if n.kind != kindString {
		d.fail(n.at, "%s is %s; want a string", path, n.kind)
		return name{}, false
	}
	if n.text == "" {
		d.fail(n.at, "%s is empty; want a string", path)
		return name{}, false
	}
	if !d.noHoles(n, path) {
		return name{}, false
	}
	return name{n.text, n.at, n.raw}, true
}

// label reads a string that may be empty and means nothing to the machine.
func (d decoder) label(n *node, path string) string {
	if n.kind != kindString && n.kind != kindNull {
		d.fail(n.at, "%s is %s; want a string", path, n.kind)
		return ""
	}
	d.noHoles(n, path)
	return n.text
}

// quote puts a word in quotes, and shows what cannot be seen in it. Backslashes
// stay as they are: many Windows groups have one.
func quote(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r == '"' || !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return `"` + s + `"`
}

const maxName = 200 // characters of an id or a name

// id reads a name that the file itself gives or refers to.
func (d decoder) id(n *node, path string) (name, bool) {
	t, ok := d.text(n, path)
	if !ok {
		return t, false
	}
	return t, d.goodName(t, path)
}

// goodName refuses names that could not be told apart by eye, or that would
// break the comma-separated header in which role names travel.
func (d decoder) goodName(t name, path string) bool {
	switch {
	case t.text == "":
		d.fail(t.at, "%s has an empty name", path)
	case utf8.RuneCountInString(t.text) > maxName:
		d.fail(t.at, "%s: a name of more than %d characters", path, maxName)
	case strings.TrimSpace(t.text) != t.text:
		d.fail(t.at, "%s: a name that begins or ends with a space", path)
	case strings.ContainsFunc(t.text, func(r rune) bool { return r == ',' || !unicode.IsPrint(r) }):
		d.fail(t.at, "%s: a name with a comma or an invisible character", path)
	default:
		return true
	}
	return false
}

// boolean reads true or false.
func (d decoder) boolean(n *node, path string) bool {
	if n.kind != kindBool {
		d.fail(n.at, "%s is %s; want true or false", path, n.kind)
		return false
	}
	return n.text == "true"
}

// choice reads one word of several.
func (d decoder) choice(n *node, path string, words ...string) string {
	if n.kind == kindString && slices.Contains(words, n.text) {
		return n.text
	}
	if n.kind != kindString {
		d.fail(n.at, "%s is %s; want %s", path, n.kind, list(words))
		return ""
	}
	meant, hint := d.suggest(n.text, words)
	if meant == "" {
		hint = "; want " + list(words)
	}
	d.fail(n.at, "%s is %q%s", path, clip(n.text), hint)
	return ""
}

// each reads a list, item by item.
func (d decoder) each(n *node, path string, f func(i int, item *node, path string)) bool {
	if n.kind != kindList {
		hint := ""
		if n.kind == kindString {
			hint = fmt.Sprintf(": [%s]", clip(n.text))
		}
		d.fail(n.at, "%s is %s; want a list%s", path, n.kind, hint)
		return false
	}
	for i, item := range n.items {
		f(i, item, fmt.Sprintf("%s[%d]", path, i))
	}
	return true
}

// ids reads a list of names.
func (d decoder) ids(n *node, path string) []name {
	ids := make([]name, 0, len(n.items))
	d.each(n, path, func(_ int, item *node, path string) {
		if id, ok := d.id(item, path); ok {
			ids = append(ids, id)
		}
	})
	return ids
}

// strings reads a list of strings that come from outside: group names, values.
func (d decoder) strings(n *node, path string) []name {
	texts := make([]name, 0, len(n.items))
	d.each(n, path, func(_ int, item *node, path string) {
		if t, ok := d.text(item, path); ok {
			texts = append(texts, t)
		}
	})
	return texts
}

// named reads a mapping whose keys are names that the file gives.
func (d decoder) named(n *node, path, what string, f func(key name, value *node, path string)) {
	if n.kind != kindMap {
		d.fail(n.at, "%s is %s; want a mapping: %s", subject(path), n.kind, what)
		return
	}
	for _, e := range n.fields {
		p := join(path, clip(e.key.text))
		if d.goodName(e.key, p) {
			f(e.key, e.value, p)
		}
	}
}
