package mapping

import (
	"iter"
	"slices"
	"time"
)

// Place is a name that a file gives or uses, and where.
type Place struct {
	Name       string
	Connection string // whose fragment, or whose group; empty if it is of all
	File       string
	Line       int
	Column     int
}

// CapUse is a limit on how many people may hold a role, with how many do.
type CapUse struct {
	Cap
	People int
}

// Exceeded reports whether more people hold the role than may.
func (c CapUse) Exceeded() bool { return c.People > c.MaxUsers }

// Coverage says what of a policy is not in use. The lists are in the order of
// the files.
type Coverage struct {
	Untested    []Place // rules that no test hits
	Overruled   []Place // grants of which a deny always takes everything
	Ungranted   []Place // roles that no rule grants
	UnusedGroup []Place // permission groups that no rule uses

	// What follows is known only where people were looked at.
	People int
	Unhit  []Place // rules that hit nobody
	Unseen []Place // groups that rules name and nobody has
	Caps   []CapUse
}

// Coverage holds the policy against its tests and, unless people is nil,
// against people as they are at a time. It keeps counts alone, so that memory
// does not grow with the people; the string that comes with each is not used.
func (p *Policy) Coverage(at time.Time, people iter.Seq2[string, *Facts]) Coverage {
	c := &coverage{policy: p, at: at, tested: make(map[*rule]bool)}
	for i := range p.rules {
		if r := &p.rules[i]; r.effect == effectDenyLogin || r.effect == effectDenyRoles {
			c.denials = append(c.denials, r)
		}
	}
	c.tests()
	if people != nil {
		c.people(people)
	}
	return c.result()
}

type coverage struct {
	policy *Policy
	at     time.Time
	tested map[*rule]bool
	out    Coverage
	hits   map[*rule]use
	seen   *sightings

	denials []*rule // of the base
}

// use counts how often a rule matched, and how often something of it was left.
type use struct{ hits, counted int }

// tests marks what the tests hit. Those of another environment hit the rules
// of the same ids.
func (c *coverage) tests() {
	mark := func(policy *Policy, t *testDecl, parts []*part) {
		for _, id := range policy.Evaluate(&t.given, t.at).Rules {
			for _, part := range parts {
				i, found := slices.BinarySearchFunc(part.rules, id, func(r rule, id string) int { return compare(r.id.text, id) })
				if found {
					c.tested[&part.rules[i]] = true
				}
			}
		}
	}
	base := &c.policy.part
	eachTest(base.tests, c.policy.testsIn, c.policy.testPolicies(), func(p *Policy, t *testDecl) { mark(p, t, []*part{base}) })
	for _, u := range c.policy.fragments {
		if u.good != nil {
			eachTest(u.good.tests, c.policy.testsIn, u.good.testPolicies(), func(p *Policy, t *testDecl) {
				mark(p, t, []*part{base, &u.good.part})
			})
		}
	}
}

func (c *coverage) people(people iter.Seq2[string, *Facts]) {
	p := c.policy
	c.hits = make(map[*rule]use)
	c.seen = newSightings(p)
	holders := make([]int, len(p.roles))
	for _, f := range people {
		c.out.People++
		c.seen.look(f)
		s := p.borrow()
		p.run(s, f, c.at)
		for i := range s.rules.all() {
			r := p.rule(s.connection, i)
			u := c.hits[r]
			u.hits++
			if p.counts(s, r) {
				u.counted++
			}
			c.hits[r] = u
		}
		if s.verdict == allowed {
			for i := range s.roles.all() {
				holders[i]++
			}
		}
		p.giveBack(s)
	}
	for _, limit := range p.caps {
		c.out.Caps = append(c.out.Caps, CapUse{limit, holders[p.roleNumber[limit.Role]]})
	}
}

// counts reports whether a deny left anything of what a matched grant gives.
func (p *Policy) counts(s *scratch, r *rule) bool {
	if r.effect != effectGrant {
		return true
	}
	if s.verdict == deniedByRule {
		return false
	}
	if len(r.permission) > 0 || len(r.calls) > 0 {
		return true
	}
	return slices.ContainsFunc(r.grants, func(n int) bool { return !p.roles[n].closure.meets(s.denied) })
}

func (c *coverage) result() Coverage {
	p := c.policy
	granted, used := newBitset(len(p.roles)), make(map[*permissionGroup]bool)
	for _, part := range p.parts() {
		for i := range part.rules {
			r := &part.rules[i]
			for _, n := range r.grants {
				granted.add(p.roles[n].closure)
			}
			for _, call := range r.ruleDecl.permission {
				used[p.find(part, call.group.text)] = true
			}
			here := placeNamed(r.id, part.connection)
			if !c.tested[r] {
				c.out.Untested = append(c.out.Untested, here)
			}
			u := c.hits[r]
			if c.hits != nil && u.hits == 0 {
				c.out.Unhit = append(c.out.Unhit, here)
			}
			if r.effect == effectGrant && (u.hits > 0 && u.counted == 0 || c.overruled(part, r)) {
				c.out.Overruled = append(c.out.Overruled, here)
			}
		}
	}
	for i := range p.roles {
		if !granted.has(i) {
			c.out.Ungranted = append(c.out.Ungranted, placeNamed(name{text: p.roles[i].decl.Name, at: p.roles[i].at}, ""))
		}
	}
	for _, part := range p.parts() {
		for i := range part.groups {
			if g := &part.groups[i]; !used[g] {
				c.out.UnusedGroup = append(c.out.UnusedGroup, placeNamed(name{text: g.name, at: g.at}, part.connection))
			}
		}
	}
	if c.seen != nil {
		c.out.Unseen = c.seen.unseen()
	}
	for _, list := range [][]Place{c.out.Untested, c.out.Unhit, c.out.Overruled, c.out.Ungranted, c.out.UnusedGroup, c.out.Unseen} {
		slices.SortStableFunc(list, func(a, b Place) int {
			if n := compare(a.File, b.File); n != 0 {
				return n
			}
			if a.Line != b.Line {
				return a.Line - b.Line
			}
			return a.Column - b.Column
		})
	}
	return c.out
}

func placeNamed(n name, connection string) Place {
	return Place{Name: n.text, Connection: connection, File: n.at.file(), Line: n.at.line, Column: n.at.col}
}

// find gives the permission group that a rule of a part means.
func (p *Policy) find(of *part, group string) *permissionGroup {
	if n, ok := of.groupNumber[group]; ok {
		if of == &p.part {
			return &p.groups[n]
		}
		return &of.groups[n-len(p.groups)]
	}
	return &p.groups[p.groupNumber[group]]
}

// overruled reports whether a deny asks for no more than a grant does and
// takes everything that it gives.
func (c *coverage) overruled(part *part, r *rule) bool {
	p := c.policy
	denies := func(d *rule) bool {
		switch d.effect {
		case effectDenyLogin:
			return d.covers(&r.ruleDecl)
		case effectDenyRoles:
			return len(r.ruleDecl.permission) == 0 && d.covers(&r.ruleDecl) &&
				!slices.ContainsFunc(r.grants, func(n int) bool { return !p.roles[n].closure.meets(d.denied) })
		default:
			return false
		}
	}
	if slices.ContainsFunc(c.denials, denies) {
		return true
	}
	for i := range part.rules {
		if part != &p.part && denies(&part.rules[i]) {
			return true
		}
	}
	return false
}

// covers reports whether whoever meets the other rule meets this one. It may
// miss some, and is never wrong when it says so.
func (d *ruleDecl) covers(r *ruleDecl) bool {
	within := func(wide, narrow []name) bool {
		return len(wide) == 0 || len(narrow) > 0 && !slices.ContainsFunc(narrow, func(n name) bool { return !slices.Contains(texts(wide), n.text) })
	}
	groups := len(d.groups) == 0 || len(r.groups) > 0 && !slices.ContainsFunc(r.groups, func(s selector) bool {
		return !slices.ContainsFunc(d.groups, func(o selector) bool { return o.kind == s.kind && o.text == s.text })
	})
	claims := !slices.ContainsFunc(d.claims, func(want claimDecl) bool {
		return !slices.ContainsFunc(r.claims, func(has claimDecl) bool {
			return has.name.text == want.name.text && !slices.ContainsFunc(has.values, func(v scalar) bool { return !slices.Contains(want.values, v) })
		})
	})
	return (d.connection.text == "*" || d.connection.text == r.connection.text) && groups && claims &&
		within(d.appRoles, r.appRoles) && within(d.domains, r.domains) && within(d.userTypes, r.userTypes) &&
		(d.when == nil || r.when != nil && d.when.text == r.when.text) &&
		!d.valid.from.After(r.valid.from) &&
		(d.valid.until.IsZero() || !r.valid.until.IsZero() && !r.valid.until.After(d.valid.until))
}

// sightings finds which of the groups that rules name somebody has.
type sightings struct {
	selectors []sighting
	indexes   map[string]*index // by connection, with the numbers of selectors for rules
	seen      bitset
}

type sighting struct {
	selector
	connection string
}

func newSightings(p *Policy) *sightings {
	s := &sightings{indexes: make(map[string]*index)}
	for _, part := range p.parts() {
		for i := range part.rules {
			r := &part.rules[i]
			x := s.indexes[r.connection.text]
			if x == nil {
				x = &index{}
				s.indexes[r.connection.text] = x
			}
			for _, sel := range r.groups {
				g := &x.asserted
				if sel.kind == bySCIM {
					g = &x.pushed
				}
				g.add(sel, int32(len(s.selectors))) //nolint:gosec // there are fewer than 2^31
				s.selectors = append(s.selectors, sighting{sel, r.connection.text})
			}
		}
	}
	s.seen = newBitset(len(s.selectors))
	return s
}

func (s *sightings) look(f *Facts) {
	for _, x := range [2]*index{s.indexes[f.Connection], s.indexes["*"]} {
		if x == nil {
			continue
		}
		for _, list := range [2][]string{f.Groups, f.LastKnownGroups} {
			for _, g := range list {
				x.asserted.match(g, s.seen)
			}
		}
		for _, g := range f.Pushed {
			x.pushed.match(g.Name, s.seen)
			x.pushed.match(g.ExternalID, s.seen)
		}
	}
}

func (s *sightings) unseen() []Place {
	var out []Place
	for i, sel := range s.selectors {
		if !s.seen.has(i) {
			out = append(out, placeNamed(name{text: sel.String(), at: sel.at}, sel.connection))
		}
	}
	return out
}
