package mapping

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// compile numbers everything in alphabetical order and builds the indexes. It
// trusts the checker: every name is known and no role inherits itself.
func (p *base) compile(f *file) {
	p.defaults, p.tests = f.defaults, f.tests
	p.compileRoles(f.roles)
	p.compileAttributes(f.attributes)
	p.compilePart(&p.part, f, 0)
	p.compileConstraints(f.constraints)
	p.homes = make(map[string]*connection, len(f.connections))
	p.ceilings = make(map[string][]name, len(f.connections))
	for _, d := range f.connections {
		p.ceilings[d.id.text] = d.roles
		p.homes[d.id.text] = p.compileConnection(d)
	}
	for i := range p.rules {
		r := &p.rules[i]
		idx := &p.everywhere
		if r.connection.text != "*" {
			idx = &p.homes[r.connection.text].index
		}
		idx.add(r, int32(i))
	}
}

// compilePart compiles rules and permission groups. Groups are numbered from
// first; those below it are the base's.
func (p *base) compilePart(to *part, f *file, first int) {
	p.compileGroups(to, f.groups, first)
	p.compileRules(to, f.rules)
}

func (p *base) compileRoles(decls []roleDecl) {
	decls = slices.SortedFunc(slices.Values(decls), func(a, b roleDecl) int { return cmp.Compare(a.name.text, b.name.text) })
	number := make(map[string]int, len(decls))
	p.roleNumber = number
	tasks := make(map[string]bool)
	for i, d := range decls {
		number[d.name.text] = i
		for _, t := range d.tasks {
			tasks[t.text] = true
		}
	}
	p.tasks = slices.Sorted(maps.Keys(tasks))
	taskNumber := make(map[string]int, len(p.tasks))
	p.gate = newBitset(len(p.tasks))
	for i, t := range p.tasks {
		taskNumber[t] = i
		if strings.HasPrefix(t, gateTask) {
			p.gate.set(i)
		}
	}
	p.roles = make([]role, len(decls))
	for i, d := range decls {
		r := &p.roles[i]
		r.at = d.name.at
		r.decl = Role{
			Name: d.name.text, Tasks: distinct(d.tasks), Inherits: distinct(d.inherits), Privileged: d.privileged,
			AssignableBy: distinct(d.assignableBy), Organization: d.organization,
		}
		for _, t := range r.decl.Tasks {
			r.tasks = append(r.tasks, taskNumber[t])
		}
	}
	p.reach, p.local = newBitset(len(decls)), newBitset(len(decls))
	privileged, local := newBitset(len(decls)), newBitset(len(decls))
	for i := range p.roles {
		p.inherit(i, number)
		switch {
		case !p.roles[i].decl.Privileged:
		case p.roles[i].decl.Organization:
			local.set(i)
		default:
			privileged.set(i)
		}
	}
	for i := range p.roles {
		if p.roles[i].closure.meets(privileged) {
			p.reach.set(i)
		}
		if p.roles[i].closure.meets(local) {
			p.local.set(i)
		}
	}
}

// inherit computes what role i inherits, directly and through others.
func (p *base) inherit(i int, number map[string]int) bitset {
	r := &p.roles[i]
	if r.closure != nil {
		return r.closure
	}
	r.closure = newBitset(len(p.roles))
	r.closure.set(i)
	for _, to := range r.decl.Inherits {
		r.closure.add(p.inherit(number[to], number))
	}
	return r.closure
}

func (p *base) compileAttributes(decls []attributeDecl) {
	p.patterns = make(map[string]attributeDecl, len(decls))
	for _, a := range decls {
		p.attributes = append(p.attributes, Attribute{Name: a.name.text, MissingNone: a.none, Pattern: a.written()})
		p.patterns[a.name.text] = a
	}
	slices.SortFunc(p.attributes, func(a, b Attribute) int { return cmp.Compare(a.Name, b.Name) })
}

func (p *base) compileGroups(to *part, decls []groupDecl, first int) {
	decls = slices.SortedFunc(slices.Values(decls), func(a, b groupDecl) int { return cmp.Compare(a.name.text, b.name.text) })
	to.groupNumber = make(map[string]int, len(decls))
	for i, d := range decls {
		to.groupNumber[d.name.text] = first + i
		g := permissionGroup{name: d.name.text, at: d.name.at, unrestricted: d.unrestricted, params: texts(d.params), limits: d.where}
		if !g.unrestricted && len(g.params) == 0 {
			g.narrow = whereOf(d.where)
			g.where = p.whole(g.narrow)
		}
		to.groups = append(to.groups, g)
	}
}

// whole adds what a permission group leaves out and the catalogue wants
// mentioned.
func (p *base) whole(narrow Where) Where {
	w := maps.Clone(narrow)
	for _, a := range p.attributes {
		if _, mentioned := w[a.Name]; a.MissingNone && !mentioned {
			w[a.Name] = Constraint{}
		}
	}
	return w
}

func whereOf(limits []limit) Where {
	w := make(Where, len(limits))
	for _, l := range limits {
		c := l.constraint
		c.In, c.Not = sortedSet(c.In), sortedSet(c.Not)
		w[l.attribute.text] = c
	}
	return w
}

func sortedSet(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

func distinct(names []name) []string { return sortedSet(texts(names)) }

func (p *base) compileRules(to *part, decls []ruleDecl) {
	decls = slices.SortedFunc(slices.Values(decls), func(a, b ruleDecl) int { return cmp.Compare(a.id.text, b.id.text) })
	to.rules = make([]rule, len(decls))
	for i, d := range decls {
		r := &to.rules[i]
		r.ruleDecl = d
		r.residual = d.valid.set() || len(d.claims) > 0 || d.when != nil || d.conditions() > 1
		p.compileCalls(to, r)
		names := distinct(d.roles)
		switch d.effect {
		case effectGrant:
			for _, n := range names {
				r.grants = append(r.grants, p.roleNumber[n])
			}
		case effectDenyRoles:
			r.denied = newBitset(len(p.roles))
			for _, n := range names {
				r.denied.set(p.roleNumber[n])
			}
		case effectDenyLogin, effectRestrict:
		}
	}
}

// conditions counts the kinds of conditions that an index can find.
func (d *ruleDecl) conditions() int {
	n := 0
	for _, length := range [...]int{len(d.groups), len(d.appRoles), len(d.domains), len(d.userTypes)} {
		if length > 0 {
			n++
		}
	}
	return n
}

// compileCalls looks up the permission groups of a rule and fills in the
// parameters that are the same for everybody.
func (p *base) compileCalls(to *part, r *rule) {
	for _, d := range r.ruleDecl.permission {
		number, ok := to.groupNumber[d.group.text]
		if !ok {
			number = p.groupNumber[d.group.text]
		}
		if !d.given {
			if !slices.Contains(r.permission, number) {
				r.permission = append(r.permission, number)
			}
			continue
		}
		c := call{group: number}
		for _, a := range d.args {
			c.args = append(c.args, argument{a.param.text, segments(a.value.text)})
			c.captures = c.captures || len(holes(a.value.text)) > 0
		}
		slices.SortFunc(c.args, func(a, b argument) int { return cmp.Compare(a.param, b.param) })
		r.calls = append(r.calls, c)
	}
	slices.Sort(r.permission)
}

func (p *base) compileConstraints(decls []constraintDecl) {
	decls = slices.SortedFunc(slices.Values(decls), func(a, b constraintDecl) int { return cmp.Compare(a.id.text, b.id.text) })
	for _, d := range decls {
		if d.role.text != "" {
			p.caps = append(p.caps, Cap{ID: d.id.text, Role: d.role.text, MaxUsers: d.maxUsers})
			continue
		}
		c := constraint{id: d.id.text, at: d.id.at, exclusive: newBitset(len(p.roles)), violation: d.violation}
		for _, n := range d.exclusive {
			c.exclusive.set(p.roleNumber[n.text])
		}
		p.constraints = append(p.constraints, c)
	}
}

func (p *base) compileConnection(d connectionDecl) *connection {
	c := &connection{id: d.id.text, at: d.id.at, unrestricted: d.unrestricted, roles: newBitset(len(p.roles)), listed: newBitset(len(p.roles))}
	for _, n := range d.roles {
		i := p.roleNumber[n.text]
		c.roles.add(p.roles[i].closure)
		if p.roles[i].decl.Organization {
			c.listed.set(i)
		}
	}
	c.roles.remove(p.reach)
	for i := range c.roles.all() {
		// Privileged within their own organization: by name alone, and only
		// what such a role inherits by name, too.
		if p.local.has(i) && !c.covers(p, i) {
			c.roles.clear(i)
		}
	}
	if len(d.where) > 0 {
		c.allOf = []Where{whereOf(d.where)}
	}
	return c
}

// covers reports whether the ceiling names every privileged role that a role
// is or inherits.
func (c *connection) covers(p *base, role int) bool {
	for i := range p.roles[role].closure.all() {
		if p.roles[i].decl.Privileged && !c.listed.has(i) {
			return false
		}
	}
	return true
}
