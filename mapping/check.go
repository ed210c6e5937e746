package mapping

import (
	"slices"
	"strings"
)

// checker looks up the names of a file.
type checker struct {
	*source
	connections, roles, attributes, groups, rules table
	patterns                                      map[string]attributeDecl
}

// table is a set of names with the word for what they are.
type table struct {
	what  string
	names []string
	set   map[string]bool
}

func newTable(what string, names []string) table {
	t := table{what: what, names: names, set: make(map[string]bool, len(names))}
	for _, n := range names {
		t.set[n] = true
	}
	return t
}

func tableOf[D any](what string, decls []D, nameOf func(D) string) table {
	names := make([]string, 0, len(decls))
	for _, d := range decls {
		names = append(names, nameOf(d))
	}
	return newTable(what, names)
}

// known notes a problem for each name that is not in the table.
func (c *checker) known(t table, names ...name) {
	for _, n := range names {
		if n.text == "" || t.set[n.text] {
			continue // an empty one has its problem already
		}
		_, hint := c.suggest(n.text, t.names)
		switch {
		case len(t.names) == 0:
			hint = "; there is none"
		case hint == "" && len(t.names) <= 12:
			hint = "; want " + list(t.names)
		}
		c.fail(n.at, "unknown %s %s%s", t.what, quote(clip(n.text)), hint)
	}
}

func (c *checker) check(f *file, o Options) {
	c.connections = tableOf("connection", f.connections, func(d connectionDecl) string { return d.id.text })
	c.roles = tableOf("role", f.roles, func(d roleDecl) string { return d.name.text })
	c.attributes = tableOf("attribute", f.attributes, func(d attributeDecl) string { return d.name.text })
	c.groups = tableOf("permission group", f.groups, func(d groupDecl) string { return d.name.text })
	c.rules = tableOf("rule", f.rules, func(d ruleDecl) string { return d.id.text })
	c.patterns = make(map[string]attributeDecl, len(f.attributes))
	for _, a := range f.attributes {
		c.patterns[a.name.text] = a
	}
	if o.Connections != nil {
		configured := newTable("connection", o.Connections)
		for _, d := range f.connections {
			if !configured.set[d.id.text] {
				_, hint := c.suggest(d.id.text, o.Connections)
				c.fail(d.id.at, "connection %s is not in the configuration%s", quote(clip(d.id.text)), hint)
			}
		}
	}
	for _, d := range f.connections {
		c.known(c.roles, d.roles...)
		c.limits(d.where)
	}
	for _, r := range f.roles {
		c.known(c.roles, r.inherits...)
	}
	c.cycles(f.roles)
	for _, g := range f.groups {
		c.limits(g.where)
	}
	c.checkRules(f.rules)
	for _, t := range f.tests {
		c.checkTest(t)
	}
}

func (c *checker) limits(limits []limit) {
	for _, l := range limits {
		c.known(c.attributes, l.attribute)
		a := c.patterns[l.attribute.text]
		for _, v := range l.values {
			if a.pattern != nil && !a.pattern.MatchString(v.text) {
				pattern := strings.TrimSuffix(strings.TrimPrefix(a.pattern.String(), `\A(?:`), `)\z`)
				c.fail(v.at, "%q is no value of attribute %s; want one that matches %s", clip(v.text), a.name.text, clip(pattern))
			}
		}
	}
}

func (c *checker) checkRules(rules []ruleDecl) {
	first := make(map[string]pos, len(rules))
	for _, r := range rules {
		if at, ok := first[r.id.text]; ok && r.id.text != "" {
			c.fail(r.id.at, "rule %q stands on line %d already; want unique ids", r.id.text, at.line)
		} else {
			first[r.id.text] = r.id.at
		}
		if r.connection.text != "*" {
			c.known(c.connections, r.connection)
		}
		c.known(c.roles, r.roles...)
		c.known(c.groups, r.permission...)
	}
}

func (c *checker) checkTest(t testDecl) {
	c.known(c.connections, t.connection)
	if t.roles != nil {
		c.known(c.roles, t.roles.names...)
	}
	if t.permissions != nil {
		c.known(c.groups, t.permissions.names...)
	}
	if t.because != nil {
		c.known(c.rules, t.because.names...)
	}
	for _, r := range slices.Concat(t.can, t.cannot) {
		for _, v := range r.values {
			c.known(c.attributes, v.attribute)
		}
	}
}

// cycles notes each role that inherits itself, at the first name of the
// circle that the file writes.
func (c *checker) cycles(roles []roleDecl) {
	byName := make(map[string]*roleDecl, len(roles))
	for i := range roles {
		byName[roles[i].name.text] = &roles[i]
	}
	const (
		open = 1
		done = 2
	)
	state := make(map[string]int, len(roles))
	var path []string
	var visit func(r *roleDecl)
	visit = func(r *roleDecl) {
		state[r.name.text] = open
		path = append(path, r.name.text)
		for _, to := range r.inherits {
			switch next := byName[to.text]; {
			case next == nil || state[to.text] == done:
			case state[to.text] == open:
				circle := append(slices.Clone(path[slices.Index(path, to.text):]), to.text)
				c.fail(to.at, "role %q inherits itself: %s", to.text, clip(strings.Join(circle, " > ")))
			default:
				visit(next)
			}
		}
		path = path[:len(path)-1]
		state[r.name.text] = done
	}
	for i := range roles {
		if state[roles[i].name.text] == 0 {
			visit(&roles[i])
		}
	}
}
