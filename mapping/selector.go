package mapping

import (
	"regexp"
	"slices"
	"strings"
)

func (d decoder) selectors(n *node, path string) []selector {
	selectors := make([]selector, 0, len(n.items))
	ok := d.each(n, path, func(_ int, n *node, path string) {
		if s, ok := d.selector(n, path); ok {
			selectors = append(selectors, s)
		}
	})
	if ok && len(n.items) == 0 {
		d.fail(n.at, "%s is an empty list; leave it out to match everybody of the connection", path)
	}
	return selectors
}

func (d decoder) selector(n *node, path string) (selector, bool) {
	if n.kind == kindString {
		d.fail(n.at, "%s is a string; want {id: …}, {name: %s} or {scim: %s}", path, clip(n.text), clip(n.text))
		return selector{}, false
	}
	s := selector{at: n.at}
	forms := 0
	read := func(k selectorKind) func(*node) {
		return func(n *node) {
			forms++
			if t, ok := d.text(n, join(path, k.String())); ok {
				s.kind, s.text, s.raw, s.at = k, t.text, t.raw, t.at
			}
		}
	}
	ok := d.mapping(n, path, keys{
		known: map[string]func(*node){
			"id": read(byID), "name": read(byName), "scim": read(bySCIM), "regex": read(byRegex),
			"label": func(n *node) { s.label = d.label(n, join(path, "label")) },
		},
	})
	if ok && forms != 1 {
		d.fail(n.at, "%s has %d selectors; want exactly one of id, name, regex or scim", path, forms)
	}
	switch {
	case s.text == "":
		return s, false
	case s.kind == byID && strings.Contains(s.text, "*"):
		d.fail(s.at, "%s.id has a * in it; an id is compared as it stands: use name for a pattern", path)
		return s, false
	case s.kind == byRegex:
		s.re = d.groupRegexp(s, path+".regex")
		return s, ok && forms == 1 && s.re != nil
	}
	return s, ok && forms == 1
}

// groupRegexp compiles a selector's expression and looks at its captures.
func (d decoder) groupRegexp(s selector, path string) *regexp.Regexp {
	re := d.wholeRegexp(name{text: s.text, at: s.at}, path)
	if re == nil {
		return nil
	}
	for i, capture := range re.SubexpNames() {
		if capture != "" && slices.Contains(re.SubexpNames()[:i], capture) {
			d.fail(s.at, "%s captures %q twice", path, capture)
			return nil
		}
		if capture != "" && slices.Contains(d.variables, capture) {
			d.fail(s.at, "%s captures %q, which is the name of a variable as well; want another", path, capture)
			return nil
		}
	}
	return re
}
