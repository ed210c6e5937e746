package mapping

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// checker looks up the names of a file.
type checker struct {
	*source
	environments                                               []string // nil when there are no variables
	connections, roles, attributes, groups, rules, constraints table
	patterns                                                   map[string]attributeDecl
	groupDecls                                                 map[string]groupDecl
	outer                                                      *checker // of the base, when a fragment is checked
}

// table is a set of names with the word for what they are. A fragment's
// tables hang on those of the base.
type table struct {
	what  string
	names []string
	first map[string]pos
	outer *table
}

func newTable(what string, names []string) table {
	t := table{what: what, names: names, first: make(map[string]pos, len(names))}
	for _, n := range names {
		t.first[n] = pos{}
	}
	return t
}

func (t *table) find(name string) (pos, bool) {
	at, ok := t.first[name]
	if !ok && t.outer != nil {
		return t.outer.find(name)
	}
	return at, ok
}

func (t *table) all() []string {
	if t.outer == nil {
		return t.names
	}
	return slices.Concat(t.outer.all(), t.names)
}

// declare makes a table of what a file declares, and notes what is declared
// twice: keys of one mapping have been held against each other already.
func declare[D any](c *checker, what string, outer *table, decls []D, nameOf func(*D) *name) table {
	t := table{what: what, names: make([]string, 0, len(decls)), first: make(map[string]pos, len(decls)), outer: outer}
	for i := range decls {
		n := nameOf(&decls[i])
		if at, ok := t.find(n.text); ok && n.text != "" {
			unique := "names"
			if what == "rule" || what == "constraint" || what == "connection" {
				unique = "ids"
			}
			c.fail(n.at, "%s %q stands %s already; want unique %s", what, clip(n.text), at.from(n.at), unique)
			continue
		}
		t.first[n.text] = n.at
		t.names = append(t.names, n.text)
	}
	return t
}

// known notes a problem for each name that is not in the table.
func (c *checker) known(t *table, names ...name) {
	for _, n := range names {
		if n.text == "" {
			continue // it has its problem already
		}
		if _, ok := t.find(n.text); ok {
			continue
		}
		all := t.all()
		_, hint := c.suggest(n.text, all)
		switch {
		case len(all) == 0:
			hint = "; there is none"
		case hint == "" && len(all) <= 12:
			hint = "; want " + list(all)
		}
		c.fail(n.at, "unknown %s %s%s", t.what, quote(clip(n.text)), hint)
	}
}

// tables declares what the file has, inside outer if that is not nil.
func (c *checker) tables(f *file, outer *checker) {
	c.outer = outer
	var groups, rules *table
	if outer == nil {
		c.connections = declare(c, "connection", nil, f.connections, func(d *connectionDecl) *name { return &d.id })
		c.roles = declare(c, "role", nil, f.roles, func(d *roleDecl) *name { return &d.name })
		c.attributes = declare(c, "attribute", nil, f.attributes, func(d *attributeDecl) *name { return &d.name })
		c.constraints = declare(c, "constraint", nil, f.constraints, func(d *constraintDecl) *name { return &d.id })
		c.patterns = make(map[string]attributeDecl, len(f.attributes))
		for _, a := range f.attributes {
			c.patterns[a.name.text] = a
		}
	} else {
		c.connections, c.roles, c.attributes, c.constraints, c.patterns = outer.connections, outer.roles, outer.attributes, outer.constraints, outer.patterns
		c.environments = outer.environments
		groups, rules = &outer.groups, &outer.rules
	}
	c.groups = declare(c, "permission group", groups, f.groups, func(d *groupDecl) *name { return &d.name })
	c.rules = declare(c, "rule", rules, f.rules, func(d *ruleDecl) *name { return &d.id })
	c.groupDecls = make(map[string]groupDecl, len(f.groups))
	for _, g := range f.groups {
		c.groupDecls[g.name.text] = g
	}
}

func (c *checker) groupDecl(name string) (groupDecl, bool) {
	g, ok := c.groupDecls[name]
	if !ok && c.outer != nil {
		g, ok = c.outer.groupDecls[name]
	}
	return g, ok
}

// checkBase checks everything but the fragments.
func (c *checker) checkBase(f *file, o Options) {
	c.tables(f, nil)
	if len(f.rules) > maxRules {
		c.fail(f.rules[maxRules].at, "%d rules in all files; want at most %d", len(f.rules), maxRules)
	}
	if len(f.roles) > maxRoles {
		c.fail(f.roles[maxRoles].name.at, "%d roles; want at most %d", len(f.roles), maxRoles)
		return
	}
	if o.Connections != nil {
		configured := newTable("connection", o.Connections)
		for _, d := range f.connections {
			if _, ok := configured.find(d.id.text); !ok {
				_, hint := c.suggest(d.id.text, o.Connections)
				c.fail(d.id.at, "connection %s is not in the configuration%s", quote(clip(d.id.text)), hint)
			}
		}
	}
	for _, d := range f.connections {
		if d.short && slices.ContainsFunc(f.connections, func(o connectionDecl) bool { return !o.short || o.id.at.in != d.id.at.in }) {
			c.fail(d.id.at, "the short form is for one connection alone, and the files have %d; write %s: {ceiling: …}", len(f.connections), clip(d.id.text))
		}
		c.known(&c.roles, d.roles...)
		c.limits(d.where)
	}
	for _, r := range f.roles {
		c.known(&c.roles, r.inherits...)
		c.known(&c.roles, r.assignableBy...)
	}
	if c.cycles(f.roles) {
		c.checkConstraints(f)
	}
	c.checkUnit(f)
}

// checkUnit checks what both the base and a fragment may hold.
func (c *checker) checkUnit(f *file) {
	for _, g := range f.groups {
		c.limits(g.where)
	}
	for i := range f.rules {
		c.checkRule(&f.rules[i])
	}
	for _, t := range f.tests {
		c.checkTest(t)
	}
}

func (c *checker) limits(limits []limit) {
	for _, l := range limits {
		c.known(&c.attributes, l.attribute)
		a := c.patterns[l.attribute.text]
		for _, v := range l.values {
			if len(holes(v.text)) == 0 && !a.allows(v.text) {
				c.fail(v.at, "%q is no value of attribute %s; want one that matches %s", clip(v.text), a.name.text, clip(a.written()))
			}
		}
	}
}

func (a attributeDecl) allows(value string) bool {
	return a.pattern == nil || a.pattern.MatchString(value)
}

// written is the pattern as it stands in the file.
func (a attributeDecl) written() string {
	if a.pattern == nil {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(a.pattern.String(), `\A(?:`), `)\z`)
}

func (c *checker) checkRule(r *ruleDecl) {
	if r.connection.text != "*" {
		c.known(&c.connections, r.connection)
	}
	c.known(&c.roles, r.roles...)
	used := make(map[string]bool)
	for _, call := range r.permission {
		c.known(&c.groups, call.group)
		if g, ok := c.groupDecl(call.group.text); ok {
			c.checkCall(r, call, g)
		}
		for _, a := range call.args {
			for _, h := range holes(a.value.text) {
				used[h] = true
				c.captured(r, h, a.value.at)
			}
		}
	}
	for _, s := range r.groups {
		if s.re == nil {
			continue
		}
		for _, capture := range s.re.SubexpNames() {
			if capture != "" && !used[capture] {
				c.fail(s.at, "nothing in rule %q uses the captured parameter %q; want ${%s} in a permission group, or (?:…) instead", clip(r.id.text), capture, capture)
			}
		}
	}
}

// captured notes a problem unless every group that makes the rule match gives
// the parameter a value.
func (c *checker) captured(r *ruleDecl, parameter string, at pos) {
	var captures []string
	for _, s := range r.groups {
		if s.re != nil {
			captures = append(captures, s.re.SubexpNames()...)
		}
	}
	captures = slices.DeleteFunc(sortedSet(captures), func(s string) bool { return s == "" })
	if !slices.Contains(captures, parameter) {
		_, hint := c.suggest(parameter, captures)
		if hint == "" {
			hint = fmt.Sprintf("; want a group {regex: …(?P<%s>…)…} in match", clip(parameter))
		}
		c.fail(at, "no group of the rule captures %q%s", clip(parameter), hint)
		return
	}
	for _, s := range r.groups {
		if s.re == nil || s.re.SubexpIndex(parameter) < 0 {
			c.fail(s.at, "this group does not capture %q, which the rule uses; want every group of the rule to capture it", clip(parameter))
		}
	}
}

// checkCall holds the parameters that a rule gives against those that a
// permission group has.
func (c *checker) checkCall(r *ruleDecl, call callDecl, g groupDecl) {
	params := texts(g.params)
	if r.effect == effectRestrict && g.unrestricted {
		c.fail(call.group.at, "permission group %q is unrestricted; a restrict with it narrows nothing", g.name.text)
	}
	if len(params) == 0 && call.given {
		c.fail(call.group.at, "permission group %q has no parameters; write its name alone", g.name.text)
		return
	}
	given := make(map[string]string, len(call.args))
	constant := true
	for _, a := range call.args {
		given[a.param.text] = a.value.text
		constant = constant && len(holes(a.value.text)) == 0
		if !slices.Contains(params, a.param.text) {
			_, hint := c.suggest(a.param.text, params)
			if hint == "" {
				hint = "; want " + list(params)
			}
			c.fail(a.param.at, "permission group %q has no parameter %q%s", g.name.text, clip(a.param.text), hint)
			constant = false
		}
	}
	for _, p := range params {
		if _, ok := given[p]; !ok {
			c.fail(call.group.at, "permission group %q needs parameter %q; want {%s: {%s: …}}", g.name.text, p, g.name.text, p)
			constant = false
		}
	}
	if !constant || len(params) == 0 {
		return
	}
	for _, l := range g.where {
		a := c.patterns[l.attribute.text]
		for _, v := range l.values {
			if text := substitute(v.text, given); !a.allows(text) {
				c.fail(call.args[0].value.at, "%q is no value of attribute %s; want one that matches %s", clip(text), a.name.text, clip(a.written()))
			}
		}
	}
}

func (c *checker) checkConstraints(f *file) {
	inherits := make(map[string][]name, len(f.roles))
	for _, r := range f.roles {
		inherits[r.name.text] = r.inherits
	}
	seen := make(map[string]map[string]bool)
	var closure func(string) map[string]bool
	closure = func(role string) map[string]bool {
		if seen[role] == nil {
			seen[role] = map[string]bool{role: true}
			for _, to := range inherits[role] {
				maps.Copy(seen[role], closure(to.text))
			}
		}
		return seen[role]
	}
	for _, d := range f.constraints {
		c.known(&c.roles, d.exclusive...)
		c.known(&c.roles, d.role)
		for _, a := range d.exclusive {
			for _, b := range d.exclusive {
				if a.text != b.text && closure(a.text)[b.text] {
					c.fail(a.at, "role %q inherits %q, so that nobody could have it; want roles that do not inherit each other", clip(a.text), clip(b.text))
				}
			}
		}
	}
}

func (c *checker) checkTest(t testDecl) {
	c.known(&c.connections, t.connection)
	if t.env.text != "" && !slices.Contains(c.environments, t.env.text) {
		_, hint := c.suggest(t.env.text, c.environments)
		switch {
		case len(c.environments) == 0:
			hint = "; the file has no vars"
		case hint == "":
			hint = "; want " + list(c.environments)
		}
		c.fail(t.env.at, "unknown environment %q%s", clip(t.env.text), clip(hint))
	}
	if t.roles != nil {
		c.known(&c.roles, t.roles.names...)
	}
	if t.permissions != nil {
		c.known(&c.groups, t.permissions.names...)
	}
	if t.because != nil {
		c.known(&c.rules, t.because.names...)
	}
	if t.violations != nil {
		c.known(&c.constraints, t.violations.names...)
	}
	for _, r := range slices.Concat(t.can, t.cannot) {
		for _, v := range r.values {
			c.known(&c.attributes, v.attribute)
		}
	}
}

// cycles notes each role that inherits itself, at the first name of the
// circle that the file writes. It reports true if there is none.
func (c *checker) cycles(roles []roleDecl) bool {
	clean := true
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
				clean = false
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
	return clean
}
