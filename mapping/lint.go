package mapping

import (
	"fmt"
	"slices"
	"strings"
)

// lint finds what is allowed and yet seldom meant.
func (p *Policy) lint(f *file, o Options) []Problem {
	var warnings []Problem
	warn := func(at pos, format string, args ...any) {
		if len(warnings) < maxProblems {
			warnings = append(warnings, p.src.problem(at, fmt.Sprintf(format, args...)))
		}
	}
	p.lintConnections(f, o, warn)
	granted := newBitset(len(p.roles))
	given := newBitset(len(p.groups))
	for i := range p.rules {
		r := &p.rules[i]
		p.lintRule(r, warn)
		for _, n := range r.grants {
			granted.add(p.roles[n].closure)
		}
		for _, g := range r.permission {
			given.set(g)
		}
	}
	for _, d := range f.roles {
		if i := slices.IndexFunc(p.roles, func(r role) bool { return r.decl.Name == d.name.text }); !granted.has(i) {
			warn(d.name.at, "no rule grants role %q", d.name.text)
		}
	}
	p.lintGroups(f, given, warn)
	return sortProblems(warnings)
}

func (p *Policy) lintRule(r *rule, warn func(pos, string, ...any)) {
	if r.effect != effectGrant {
		return
	}
	if r.connection.text == "*" {
		warn(r.connection.at, `rule %q grants on every connection ("*"): whoever runs one of them decides who gets it`, r.id.text)
	}
	for _, n := range r.grants {
		if !p.reach.has(n) {
			continue
		}
		for _, s := range r.groups {
			if s.glob() {
				warn(s.at, "rule %q grants privileged role %q to every group that is called %q", r.id.text, p.roles[n].decl.Name, s.text)
			}
		}
		if len(r.groups) == 0 {
			warn(r.id.at, "rule %q grants privileged role %q to everybody of connection %q", r.id.text, p.roles[n].decl.Name, r.connection.text)
		}
	}
}

func (p *Policy) lintGroups(f *file, given bitset, warn func(pos, string, ...any)) {
	number := make(map[string]int, len(p.groups))
	for i, g := range p.groups {
		number[g.name] = i
	}
	for _, d := range f.groups {
		i := number[d.name.text]
		if !given.has(i) {
			warn(d.name.at, "no rule grants permission group %q", d.name.text)
		}
		for _, a := range p.attributes {
			c, mentioned := p.groups[i].where[a.Name]
			if mentioned && c.form() == formIn && len(c.In) == 0 {
				warn(d.name.at, "permission group %q shows no row: it does not mention %s, which is onMissing: none", d.name.text, a.Name)
			}
		}
	}
}

func (p *Policy) lintConnections(f *file, o Options, warn func(pos, string, ...any)) {
	var missing []string
	for _, id := range o.Connections {
		if p.connections[id] == nil {
			missing = append(missing, id)
		}
	}
	if len(missing) > 0 && len(f.connections) > 0 {
		warn(f.connections[0].id.at, "nobody can sign in through %s: the configuration has it and this file does not", strings.Join(missing, ", "))
	}
	for _, c := range f.connections {
		for _, n := range c.roles {
			i := slices.IndexFunc(p.roles, func(r role) bool { return r.decl.Name == n.text })
			if p.reach.has(i) {
				warn(n.at, "the ceiling of connection %q lists privileged role %q, which no ceiling lets through", c.id.text, n.text)
			}
		}
	}
}
