package mapping

import (
	"slices"
	"strconv"
	"strings"
)

// step is one part of a path: a key, or the selector of an entry.
type step struct {
	key   string // of a mapping, or that the selector looks at
	entry bool   // it selects an entry of a list
	value string // that the entry holds
	index int    // of the entry; -1 if it is selected by value
}

// String is the step as it stands in a path.
func (s step) String() string {
	switch {
	case !s.entry:
		return pathName(s.key)
	case s.index >= 0:
		return "[" + strconv.Itoa(s.index) + "]"
	default:
		return Entry(s.key, s.value)
	}
}

// pathName writes a name so that it can stand in a path. An empty one selects
// what the entry itself is.
func pathName(n string) string {
	if strings.ContainsAny(n, ".[]=\"\\") || strings.TrimSpace(n) != n {
		return strconv.Quote(n)
	}
	return n
}

// steps reads the path of the change.
func (e *editing) steps() []step {
	rest := e.path
	var out []step
	for rest != "" {
		if len(out) > 0 && rest[0] == '.' {
			rest = rest[1:]
		}
		var s step
		var ok bool
		if s, rest, ok = readStep(rest); !ok {
			e.fail(pos{}, "%s is no path; want one like rules[id=…].grant.roles", quote(clip(e.path)))
			return nil
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		e.fail(pos{}, "the path is empty; want one like rules[id=…].grant.roles")
	}
	return out
}

func readStep(text string) (s step, rest string, ok bool) {
	s.index = -1
	if !strings.HasPrefix(text, "[") {
		s.key, rest, ok = readName(text, ".[")
		return s, rest, ok && s.key != "" && (rest == "" || rest[0] == '.' && len(rest) > 1 || rest[0] == '[')
	}
	s.entry = true
	if s.key, rest, ok = readName(text[1:], "=]"); !ok || rest == "" {
		return s, rest, false
	}
	if rest[0] == ']' {
		i, err := strconv.Atoi(s.key)
		s.index = i
		return s, rest[1:], err == nil && i >= 0
	}
	if s.value, rest, ok = readName(rest[1:], "]"); !ok || rest == "" {
		return s, rest, false
	}
	return s, rest[1:], true
}

// readName reads up to one of the characters that end it, or a quoted name.
func readName(text, end string) (name, rest string, ok bool) {
	if strings.HasPrefix(text, `"`) {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			return "", "", false
		}
		name, err = strconv.Unquote(quoted)
		rest = text[len(quoted):]
		return name, rest, err == nil && (rest == "" || strings.Contains(end, rest[:1]))
	}
	i := strings.IndexAny(text, end)
	if i < 0 {
		return text, "", true
	}
	return text[:i], text[i:], true
}

// update gives the tree with another value at the end of the path. The value
// that stands there is nil if its last key is missing; to give nil removes it.
func (e *editing) update(n *node, steps []step, done string, f func(old *node) *node) *node {
	s, last := steps[0], len(steps) == 1
	if n.at.in != nil {
		e.near = n.at
	}
	if s.entry {
		return e.updateEntry(n, steps, done, f)
	}
	if n.kind != kindMap {
		e.fail(e.near, "%s is %s and has no key %q", subject(done), n.kind, clip(s.key))
		return n
	}
	i := slices.IndexFunc(n.fields, func(f field) bool { return f.key.text == s.key })
	path := join(done, s.String())
	var old, now *node
	if i >= 0 {
		old = n.fields[i].value
		e.near = n.fields[i].key.at
	}
	switch {
	case last && i < 0 && strings.Contains(s.key, "${"):
		e.fail(e.near, "%s: a key cannot hold ${…}; write the name itself", clip(path))
		return n
	case last:
		now = f(old)
	case i < 0:
		e.missing(s.key, path, n)
		return n
	default:
		now = e.update(old, steps[1:], path, f)
	}
	if len(e.found) > 0 || now == old {
		return n
	}
	changed := *n
	changed.fields = slices.Clone(n.fields)
	switch {
	case now == nil:
		changed.fields = slices.Delete(changed.fields, i, i+1)
	case i < 0:
		changed.fields = append(changed.fields, field{name{text: s.key}, now})
	default:
		changed.fields[i].value = now
	}
	return &changed
}

// missing notes that a path goes on where the file does not.
func (e *editing) missing(key, path string, n *node) {
	var keys []string
	for _, f := range n.fields {
		keys = append(keys, f.key.text)
	}
	_, hint := e.suggest(key, keys)
	e.fail(e.near, "%s is not in the file%s", clip(path), hint)
}

func (e *editing) updateEntry(n *node, steps []step, done string, f func(old *node) *node) *node {
	s := steps[0]
	path := done + s.String()
	if n.kind != kindList {
		e.fail(e.near, "%s is %s and has no entries", subject(done), n.kind)
		return n
	}
	i, count := s.find(n)
	switch {
	case count > 1:
		e.fail(e.near, "%s is %d entries; want one", clip(path), count)
		return n
	case count == 0:
		e.fail(e.near, "%s is not in the file", clip(path))
		return n
	}
	if n.items[i].at.in != nil {
		e.near = n.items[i].at
	}
	var now *node
	if len(steps) == 1 {
		now = f(n.items[i])
	} else {
		now = e.update(n.items[i], steps[1:], path, f)
	}
	if len(e.found) > 0 || now == n.items[i] {
		return n
	}
	changed := *n
	changed.items = slices.Clone(n.items)
	if now == nil {
		changed.items = slices.Delete(changed.items, i, i+1)
	} else {
		changed.items[i] = now
	}
	return &changed
}

// find gives the first entry that the step selects, and how many there are.
func (s step) find(n *node) (first, count int) {
	if s.index >= 0 {
		if s.index < len(n.items) {
			return s.index, 1
		}
		return 0, 0
	}
	for i, item := range n.items {
		held := item
		if s.key != "" {
			if held = item.get(s.key); held == nil {
				continue
			}
		}
		if held.kind == kindList || held.kind == kindMap || held.text != s.value {
			continue
		}
		if count++; count == 1 {
			first = i
		}
	}
	return first, count
}

// get is what a mapping holds under a key; nil for none.
func (n *node) get(key string) *node {
	if n.kind != kindMap {
		return nil
	}
	for _, f := range n.fields {
		if f.key.text == key {
			return f.value
		}
	}
	return nil
}
