package mapping

import (
	"fmt"
	"slices"
	"time"
)

// Explanation answers "why?" for one person at one time.
type Explanation struct {
	File             string
	Connection       string
	Person           string // subject, user name or e-mail, whichever is known
	At               time.Time
	Access           Access
	Verdict          string      // in words: how it was decided whether they may come in
	Rules            []RuleTrace // every rule, in alphabetical order
	Roles            []Origin
	Tasks            []Origin
	PermissionGroups []Origin
	Removed          []Removal
	Permissions      []string // the permissions in words, one line each
	NearMisses       []NearMiss
}

// Origin says where a role, a task or a permission group comes from.
type Origin struct {
	Name  string
	Via   []string // for a task the roles that hold it, for a role those it is inherited from; empty when a rule names it
	Rules []string // that granted it, directly or through Via
}

// Removal says what was granted and then taken away.
type Removal struct {
	Kind string // "role", "task" or "permission group"
	Name string
	By   string // the rule or the ceiling, in words
}

// Explain evaluates like Evaluate and says why. It looks at every rule one by
// one, so it is for people and not for every request.
func (p *Policy) Explain(f *Facts, at time.Time) Explanation {
	s := p.borrow()
	defer p.giveBack(s)
	p.run(s, f, at)
	e := Explanation{
		File: p.file, Connection: f.Connection, At: at, Access: p.access(s),
		Person: firstOf(f.UserName, f.Email, f.Subject, f.Name), Verdict: p.verdictInWords(s),
	}
	for i := range p.rules {
		t := p.trace(&p.rules[i], f)
		e.Rules = append(e.Rules, t)
		if !t.Matched {
			e.NearMisses = append(e.NearMisses, p.nearMisses(&p.rules[i], f)...)
		}
	}
	e.Removed = p.removed(s)
	if s.verdict == allowed {
		e.Roles, e.Tasks, e.PermissionGroups = p.origins(s)
		e.Permissions = p.permissionsInWords(s)
	}
	return e
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return "somebody"
}

func (p *Policy) verdictInWords(s *scratch) string {
	noMatch := "defaults.noMatch is deny-login"
	if p.defaults.noAccess {
		noMatch = "defaults.noMatch is no-access: signed in, with nothing"
	}
	switch s.verdict {
	case unknownConnection:
		return "the connection is not in the file"
	case groupsIncomplete:
		if p.defaults.incomplete == incompleteLastKnown {
			return "groups are incomplete, defaults.incompleteGroups is last-known, and no complete list was ever received"
		}
		return "groups are incomplete, and defaults.incompleteGroups is deny-login"
	case deniedByRule:
		r := p.rules[s.refusedBy]
		return fmt.Sprintf("rule %s (line %d) denies login", r.id.text, r.at.line)
	case nothingMatched:
		return "no rule that grants matched, and " + noMatch
	case nothingBelowCeiling:
		return "the ceiling of the connection took everything away, and " + noMatch
	case allowed:
	}
	if s.proceeded {
		return "groups are incomplete, and defaults.incompleteGroups is proceed: denies that test groups count as matched"
	}
	return "a rule grants access and none denies it"
}

// origins traces what is left to the rules that granted it.
func (p *Policy) origins(s *scratch) (roles, tasks, groups []Origin) {
	rolesBy := make(map[int][]string) // rules by the role that they name
	groupsBy := make(map[int][]string)
	for i := range s.rules.all() {
		r := &p.rules[i]
		for _, n := range r.grants {
			if !p.roles[n].closure.meets(s.denied) {
				rolesBy[n] = append(rolesBy[n], r.id.text)
			}
		}
		for _, g := range r.permission {
			groupsBy[g] = append(groupsBy[g], r.id.text)
		}
	}
	tasksBy := make(map[int]*Origin)
	for n := range s.roles.all() {
		o := Origin{Name: p.roles[n].decl.Name}
		for from, rules := range rolesBy {
			if !p.roles[from].closure.has(n) {
				continue
			}
			o.Rules = append(o.Rules, rules...)
			if from != n {
				o.Via = append(o.Via, p.roles[from].decl.Name)
			}
		}
		o.Rules, o.Via = sortedSet(o.Rules), sortedSet(o.Via)
		roles = append(roles, o)
		for _, t := range p.roles[n].tasks {
			if tasksBy[t] == nil {
				tasksBy[t] = &Origin{Name: p.tasks[t]}
			}
			tasksBy[t].Via = append(tasksBy[t].Via, o.Name)
			tasksBy[t].Rules = append(tasksBy[t].Rules, o.Rules...)
		}
	}
	for t := range s.tasks.all() {
		o := tasksBy[t]
		o.Rules = sortedSet(o.Rules)
		tasks = append(tasks, *o)
	}
	for g := range s.groups.all() {
		groups = append(groups, Origin{Name: p.groups[g].name, Rules: groupsBy[g]})
	}
	return roles, tasks, groups
}

// removed lists what a deny or the ceiling took away of what rules granted.
func (p *Policy) removed(s *scratch) []Removal {
	var out []Removal
	for n := range s.granted.all() {
		if p.roles[n].closure.meets(s.denied) {
			out = append(out, Removal{"role", p.roles[n].decl.Name, p.denier(s, n)})
		}
	}
	if s.connection == nil || s.connection.unrestricted {
		return out
	}
	for n := range s.before.all() {
		switch {
		case s.roles.has(n):
			for _, t := range p.roles[n].tasks {
				if p.gate.has(t) {
					out = append(out, Removal{"task", p.tasks[t], fmt.Sprintf("ceiling of connection %q: the gate's own tasks are out of reach", s.connection.id)})
				}
			}
		case p.reach.has(n):
			out = append(out, Removal{"role", p.roles[n].decl.Name, fmt.Sprintf("ceiling of connection %q: privileged roles are out of reach", s.connection.id)})
		default:
			out = append(out, Removal{"role", p.roles[n].decl.Name, fmt.Sprintf("ceiling of connection %q does not list it", s.connection.id)})
		}
	}
	for g := range s.over.all() {
		out = append(out, Removal{"permission group", p.groups[g].name, fmt.Sprintf("ceiling of connection %q: unrestricted data is out of reach", s.connection.id)})
	}
	return slices.Compact(out)
}

// denier names the rules that took a granted role away.
func (p *Policy) denier(s *scratch, role int) string {
	closure := p.roles[role].closure
	var by []string
	for i := range s.rules.all() {
		r := &p.rules[i]
		if r.effect != effectDenyRoles || !closure.meets(r.denied) {
			continue
		}
		inherited := ""
		if !r.denied.has(role) {
			inherited = p.firstDenied(r, closure)
		}
		by = append(by, fmt.Sprintf("rule %s (line %d)%s", r.id.text, r.at.line, inherited))
	}
	return list(by)
}

func (p *Policy) firstDenied(r *rule, closure bitset) string {
	for n := range r.denied.all() {
		if closure.has(n) {
			return fmt.Sprintf(" denies %s, which it inherits", p.roles[n].decl.Name)
		}
	}
	return ""
}

func (p *Policy) permissionsInWords(s *scratch) []string {
	var lines []string
	for g := range s.groups.all() {
		text := "every row"
		if !p.groups[g].unrestricted {
			text = "rows with " + p.groups[g].where.String()
		}
		lines = append(lines, p.groups[g].name+": "+text)
	}
	if len(lines) == 0 {
		return []string{"no row: no permission group is granted"}
	}
	for _, w := range s.connection.allOf {
		lines = append(lines, "but only rows with "+w.String()+", the ceiling of the connection")
	}
	return lines
}
