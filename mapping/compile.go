package mapping

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// gateTask begins the tasks that are rights in the gate itself.
const gateTask = "gate."

// compile numbers everything in alphabetical order and builds the indexes. It
// trusts the checker: every name is known and no role inherits itself.
func compile(f *file, src *source) *Policy {
	p := &Policy{file: src.file, src: src, defaults: f.defaults, tests: f.tests}
	roleNumber := p.compileRoles(f.roles)
	groupNumber := p.compileGroups(f)
	p.compileRules(f.rules, roleNumber, groupNumber)
	p.connections = make(map[string]*connection, len(f.connections))
	for _, d := range f.connections {
		p.connections[d.id.text] = p.compileConnection(d, roleNumber)
	}
	for i := range p.rules {
		r := &p.rules[i]
		idx := &p.everywhere
		if r.connection.text != "*" {
			idx = &p.connections[r.connection.text].index
		}
		idx.add(r, int32(i))
	}
	p.scratch.New = func() any { return p.newScratch() }
	return p
}

func (p *Policy) compileRoles(decls []roleDecl) map[string]int {
	decls = slices.SortedFunc(slices.Values(decls), func(a, b roleDecl) int { return cmp.Compare(a.name.text, b.name.text) })
	number := make(map[string]int, len(decls))
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
		r.decl = Role{Name: d.name.text, Tasks: distinct(d.tasks), Inherits: distinct(d.inherits), Privileged: d.privileged}
		for _, t := range r.decl.Tasks {
			r.tasks = append(r.tasks, taskNumber[t])
		}
	}
	p.reach = newBitset(len(decls))
	privileged := newBitset(len(decls))
	for i := range p.roles {
		p.inherit(i, number)
		if p.roles[i].decl.Privileged {
			privileged.set(i)
		}
	}
	for i := range p.roles {
		if p.roles[i].closure.meets(privileged) {
			p.reach.set(i)
		}
	}
	return number
}

// inherit computes what role i inherits, directly and through others.
func (p *Policy) inherit(i int, number map[string]int) bitset {
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

func (p *Policy) compileGroups(f *file) map[string]int {
	for _, a := range f.attributes {
		c := Attribute{Name: a.name.text, MissingNone: a.none}
		if a.pattern != nil {
			c.Pattern = strings.TrimSuffix(strings.TrimPrefix(a.pattern.String(), `\A(?:`), `)\z`)
		}
		p.attributes = append(p.attributes, c)
	}
	slices.SortFunc(p.attributes, func(a, b Attribute) int { return cmp.Compare(a.Name, b.Name) })
	decls := slices.SortedFunc(slices.Values(f.groups), func(a, b groupDecl) int { return cmp.Compare(a.name.text, b.name.text) })
	number := make(map[string]int, len(decls))
	for i, d := range decls {
		number[d.name.text] = i
		g := permissionGroup{name: d.name.text, unrestricted: d.unrestricted}
		if !g.unrestricted {
			g.where = whereOf(d.where)
			for _, a := range p.attributes {
				if _, mentioned := g.where[a.Name]; a.MissingNone && !mentioned {
					g.where[a.Name] = Constraint{}
				}
			}
		}
		p.groups = append(p.groups, g)
	}
	return number
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

func (p *Policy) compileRules(decls []ruleDecl, roleNumber, groupNumber map[string]int) {
	decls = slices.SortedFunc(slices.Values(decls), func(a, b ruleDecl) int { return cmp.Compare(a.id.text, b.id.text) })
	p.rules = make([]rule, len(decls))
	for i, d := range decls {
		r := &p.rules[i]
		r.ruleDecl = d
		for _, g := range distinct(d.permission) {
			r.permission = append(r.permission, groupNumber[g])
		}
		names := distinct(d.roles)
		switch d.effect {
		case effectGrant:
			for _, n := range names {
				r.grants = append(r.grants, roleNumber[n])
			}
		case effectDenyRoles:
			r.denied = newBitset(len(p.roles))
			for _, n := range names {
				r.denied.set(roleNumber[n])
			}
		case effectDenyLogin:
		}
	}
}

func (p *Policy) compileConnection(d connectionDecl, roleNumber map[string]int) *connection {
	c := &connection{id: d.id.text, unrestricted: d.unrestricted, roles: newBitset(len(p.roles))}
	for _, n := range d.roles {
		c.roles.add(p.roles[roleNumber[n.text]].closure)
	}
	c.roles.remove(p.reach)
	if len(d.where) > 0 {
		c.allOf = []Where{whereOf(d.where)}
	}
	return c
}

// index finds the rules that a group makes match, without looking at the
// others. Rules are numbered as in Policy.rules.
type index struct {
	always   []int32 // rules without a condition on groups
	asserted groupIndex
	pushed   groupIndex
	// onAsserted holds the deny rules that test asserted groups: when those
	// are incomplete and the file says proceed, they count as matched.
	onAsserted []int32
}

// groupIndex finds rules by the text of a group. Most groups of a person are
// in no rule, so the lengths and the first bytes are looked at before any
// table is.
type groupIndex struct {
	exact   map[string][]int32
	lengths bytes256                     // of the keys of exact, modulo 256
	guid    map[[guidLength]byte][]int32 // in lower case
	globs   globs
}

// bytes256 is a set of bytes.
type bytes256 [4]uint64

func (b *bytes256) set(c byte)      { b[c>>6] |= 1 << (c & 63) }
func (b *bytes256) has(c byte) bool { return b[c>>6]&(1<<(c&63)) != 0 }

func (x *index) add(r *rule, number int32) {
	if len(r.groups) == 0 {
		x.always = append(x.always, number)
		return
	}
	onAsserted := false
	for _, s := range r.groups {
		g := &x.asserted
		if s.kind == bySCIM {
			g = &x.pushed
		} else {
			onAsserted = true
		}
		g.add(s, number)
	}
	if onAsserted && r.effect != effectGrant {
		x.onAsserted = append(x.onAsserted, number)
	}
}

func (g *groupIndex) add(s selector, number int32) {
	switch {
	case s.glob():
		g.globs.add(s.text, number)
	case s.kind != byName && isGUID(s.text):
		if g.guid == nil {
			g.guid = make(map[[guidLength]byte][]int32)
		}
		key := foldGUID(s.text)
		g.guid[key] = append(g.guid[key], number)
	default:
		if g.exact == nil {
			g.exact = make(map[string][]int32)
		}
		g.exact[s.text] = append(g.exact[s.text], number)
		g.lengths.set(byte(len(s.text))) //nolint:gosec // the length modulo 256 is what is meant
	}
}

// match marks the rules that one group makes match.
func (g *groupIndex) match(group string, hit bitset) {
	if g.lengths.has(byte(len(group))) { //nolint:gosec // the length modulo 256 is what is meant
		for _, r := range g.exact[group] {
			hit.set(int(r))
		}
	}
	if len(group) == guidLength && len(g.guid) > 0 {
		// What is no GUID is no key, so there is no need to look twice.
		for _, r := range g.guid[foldGUID(group)] {
			hit.set(int(r))
		}
	}
	g.globs.match(group, hit)
}

const guidLength = 36

// isGUID reports whether s has the form of a GUID (RFC 9562, section 4).
func isGUID(s string) bool {
	if len(s) != guidLength {
		return false
	}
	for i := range len(s) {
		switch c := lower(s[i]); i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

// foldGUID is the lower case of a text that is as long as a GUID.
func foldGUID(s string) [guidLength]byte {
	var key [guidLength]byte
	copy(key[:], s)
	for i, c := range key {
		key[i] = lower(c)
	}
	return key
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
