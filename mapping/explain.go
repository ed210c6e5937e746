package mapping

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Explanation answers "why?" for one person at one time.
type Explanation struct {
	File             string
	Connection       string
	Person           string // subject, user name or e-mail, whichever is known
	At               time.Time
	Received         time.Time // when the identity provider asserted the facts; zero if unknown
	Access           Access
	Verdict          string      // in words: how it was decided whether they may come in
	Rules            []RuleTrace // every rule, in alphabetical order
	Exceptions       []ExceptionTrace
	Roles            []Origin
	Tasks            []Origin
	PermissionGroups []Origin
	Data             []Sight
	Removed          []Removal
	Permissions      []string // the permissions in words, one line each
	NearMisses       []NearMiss
}

// Origin says where a role, a task or a permission group comes from.
type Origin struct {
	Name  string
	Via   []string // for a task the roles that hold it, for a role those it is inherited from; empty when a rule names it
	Rules []string // that granted it, directly or through Via

	Exceptions []string // ids of those that did
}

// Sight says where a part of the visible data comes from: one permission group
// with one set of parameters. Together they are Unrestricted and AnyOf of the
// [Permissions]; what narrows all of them is in AllOf.
type Sight struct {
	PermissionGroup string
	Parameters      string // in words, such as "{acct: ABC0001}"; empty without any
	Unrestricted    bool
	Where           Where
	Rules           []string // that granted it
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
		File: p.file, Connection: f.Connection, At: at, Received: f.Received,
		Person: firstOf(f.UserName, f.Email, f.Subject, f.Name), Verdict: p.verdictInWords(s),
	}
	p.access(s, &e.Access)
	for _, r := range p.rulesFor(s.connection) {
		t := p.trace(r, f, at)
		e.Rules = append(e.Rules, t)
		if !t.Matched {
			e.NearMisses = append(e.NearMisses, p.nearMisses(r, f, at)...)
		}
	}
	e.Removed = p.removed(s)
	traces, by := p.exceptions(s, f, at)
	e.Exceptions = traces
	if s.verdict == allowed {
		e.Roles, e.Tasks, e.PermissionGroups = p.origins(s, by)
		e.Data = p.sights(s, f)
		e.Permissions = p.permissionsInWords(s, e.Data)
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
	case closedConnection:
		return "the fragment of the connection is broken, and no earlier one is known"
	case deniedByRule:
		r := p.rule(s.connection, s.refusedBy)
		return fmt.Sprintf("rule %s (%s) denies login", r.id.text, p.where(r.at))
	case deniedByConstraint:
		c := p.constraints[s.refusedBy]
		return fmt.Sprintf("constraint %s (%s) denies login: roles that nobody may hold together", c.id, p.where(c.at))
	case nothingMatched:
		return "no rule that grants matched, and " + noMatch
	case nothingBelowCeiling:
		return "the ceiling of the connection took everything away, and " + noMatch
	case allowed:
	}
	if s.proceeded {
		return "groups are incomplete, and defaults.incompleteGroups is proceed: rules that deny or restrict and test groups count as matched"
	}
	return "a rule grants access and none denies it"
}

// origins traces what is left to the rules, and the exceptions by role, that
// granted it.
func (p *Policy) origins(s *scratch, exceptions map[int][]string) (roles, tasks, groups []Origin) {
	rolesBy := make(map[int][]string) // rules by the role that they name
	groupsBy := make(map[int][]string)
	for i := range s.rules.all() {
		r := p.rule(s.connection, i)
		if r.effect != effectGrant {
			continue
		}
		for _, n := range r.grants {
			if !p.roles[n].closure.meets(s.denied) && !p.roles[n].closure.meets(s.apart) {
				rolesBy[n] = append(rolesBy[n], r.id.text)
			}
		}
		for _, g := range r.permission {
			groupsBy[g] = append(groupsBy[g], r.id.text)
		}
		for _, c := range r.calls {
			groupsBy[c.group] = append(groupsBy[c.group], r.id.text)
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
		for from, ids := range exceptions {
			if !p.roles[from].closure.has(n) {
				continue
			}
			o.Exceptions = append(o.Exceptions, ids...)
			if from != n {
				o.Via = append(o.Via, p.roles[from].decl.Name)
			}
		}
		o.Rules, o.Via, o.Exceptions = sortedSet(o.Rules), sortedSet(o.Via), sortedSet(o.Exceptions)
		roles = append(roles, o)
		for _, t := range p.roles[n].tasks {
			if tasksBy[t] == nil {
				tasksBy[t] = &Origin{Name: p.tasks[t]}
			}
			tasksBy[t].Via = append(tasksBy[t].Via, o.Name)
			tasksBy[t].Rules = append(tasksBy[t].Rules, o.Rules...)
			tasksBy[t].Exceptions = append(tasksBy[t].Exceptions, o.Exceptions...)
		}
	}
	for t := range s.tasks.all() {
		o := tasksBy[t]
		o.Rules, o.Exceptions = sortedSet(o.Rules), sortedSet(o.Exceptions)
		tasks = append(tasks, *o)
	}
	for _, g := range p.inOrder(s, s.groups, true) {
		groups = append(groups, Origin{Name: p.group(s.connection, g).name, Rules: sortedSet(groupsBy[g])})
	}
	return roles, tasks, groups
}

// where names a place for people: the line, with the file when it is another
// than the policy's.
func (p *Policy) where(at pos) string {
	if at.file() == p.file || at.in == nil {
		return fmt.Sprintf("line %d", at.line)
	}
	return fmt.Sprintf("%s, line %d", at.file(), at.line)
}

// removed lists what a deny, a constraint or the ceiling took away of what
// rules granted, and what could not be granted.
func (p *Policy) removed(s *scratch) []Removal {
	var out []Removal
	named := slices.Clone(s.granted)
	named.add(s.excepted)
	for n := range named.all() {
		switch closure := p.roles[n].closure; {
		case closure.meets(s.denied):
			out = append(out, Removal{"role", p.roles[n].decl.Name, p.denier(s, n)})
		case closure.meets(s.apart):
			out = append(out, Removal{"role", p.roles[n].decl.Name, p.parter(s, n)})
		}
	}
	for _, d := range s.dropped {
		out = append(out, p.droppedInWords(s, d))
	}
	if s.connection == nil || s.connection.unrestricted {
		return out
	}
	for n := range s.before.all() {
		switch {
		case s.roles.has(n):
			for _, t := range p.roles[n].tasks {
				if p.gate.has(t) && !s.tasks.has(t) {
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
		out = append(out, Removal{"permission group", p.group(s.connection, g).name, fmt.Sprintf("ceiling of connection %q: unrestricted data is out of reach", s.connection.id)})
	}
	return slices.Compact(out)
}

// denier names the rules that took a granted role away.
func (p *Policy) denier(s *scratch, role int) string {
	closure := p.roles[role].closure
	var by []string
	for i := range s.rules.all() {
		r := p.rule(s.connection, i)
		if r.effect != effectDenyRoles || !closure.meets(r.denied) {
			continue
		}
		inherited := ""
		if !r.denied.has(role) {
			inherited = p.firstDenied(r, closure)
		}
		by = append(by, fmt.Sprintf("rule %s (%s)%s", r.id.text, p.where(r.at), inherited))
	}
	return list(by)
}

// parter names the constraints that took a granted role away.
func (p *Policy) parter(s *scratch, role int) string {
	var by []string
	for _, i := range s.violated {
		c := &p.constraints[i]
		if c.violation != violationDropAll || !p.roles[role].closure.meets(c.exclusive) {
			continue
		}
		roles := names(c.exclusive, func(i int) string { return p.roles[i].decl.Name })
		by = append(by, fmt.Sprintf("constraint %s (%s): nobody may hold more than one of %s", c.id, p.where(c.at), list(roles)))
	}
	return list(by)
}

func (p *Policy) droppedInWords(s *scratch, d dropped) Removal {
	g := p.group(s.connection, d.group)
	by := fmt.Sprintf("rule %s (%s): %s is empty or *", d.rule.id.text, p.where(d.rule.at), d.attribute)
	if a, ok := p.patterns[d.attribute]; ok && d.value != "" {
		by = fmt.Sprintf("rule %s (%s): %s is no value of attribute %s; want one that matches %s", d.rule.id.text, p.where(d.rule.at), quote(clip(d.value)), d.attribute, a.written())
	}
	if d.narrows {
		by += "; it was to restrict, so nothing is visible"
	}
	return Removal{"permission group", g.name, by}
}

func (p *Policy) firstDenied(r *rule, closure bitset) string {
	for n := range r.denied.all() {
		if closure.has(n) {
			return fmt.Sprintf(" denies %s, which it inherits", p.roles[n].decl.Name)
		}
	}
	return ""
}

// Sights traces the data that somebody sees to the rules that granted it. It
// is the part of Explain that is quick enough for everybody in turn; nil for
// somebody who may not come in.
func (p *Policy) Sights(f *Facts, at time.Time) []Sight {
	s := p.borrow()
	defer p.giveBack(s)
	if p.run(s, f, at); s.verdict != allowed {
		return nil
	}
	return p.sights(s, f)
}

// sights traces visible data to the rules that granted it.
func (p *Policy) sights(s *scratch, f *Facts) []Sight {
	type one struct {
		group int
		key   string
	}
	by := make(map[one][]string)
	for i := range s.rules.all() {
		r := p.rule(s.connection, i)
		if r.effect != effectGrant {
			continue
		}
		for _, g := range r.permission {
			by[one{group: g}] = append(by[one{group: g}], r.id.text)
		}
		alone := p.newScratch()
		alone.connection = s.connection
		p.call(alone, f, r)
		for _, in := range alone.instances {
			k := one{in.group, in.key}
			by[k] = append(by[k], r.id.text)
		}
	}
	var out []Sight
	for _, i := range p.inOrder(s, s.groups, true) {
		g := p.group(s.connection, i)
		if len(g.params) == 0 {
			out = append(out, Sight{PermissionGroup: g.name, Unrestricted: g.unrestricted, Where: g.where, Rules: sortedSet(by[one{group: i}])})
			continue
		}
		for _, in := range s.instances {
			if in.group == i {
				out = append(out, Sight{
					PermissionGroup: g.name, Parameters: in.params(), Where: in.where, Rules: sortedSet(by[one{i, in.key}]),
				})
			}
		}
	}
	return out
}

func (p *Policy) permissionsInWords(s *scratch, data []Sight) []string {
	var lines []string
	for _, d := range data {
		what := "rows with " + d.Where.String()
		if d.Unrestricted {
			what = "every row"
		}
		lines = append(lines, fmt.Sprintf("%s%s: %s <- rule %s", d.PermissionGroup, d.Parameters, what, strings.Join(d.Rules, ", ")))
	}
	if len(lines) == 0 {
		return []string{"no row: no permission group is granted"}
	}
	for _, w := range s.connection.allOf {
		lines = append(lines, "but only rows with "+w.String()+", the ceiling of the connection")
	}
	for _, i := range p.inOrder(s, s.narrow, true) {
		g := p.group(s.connection, i)
		lines = append(lines, "but only rows with "+g.narrow.String()+", permission group "+g.name+" as a restriction by "+p.restrictedBy(s, i))
	}
	for _, in := range s.narrows {
		g := p.group(s.connection, in.group)
		lines = append(lines, "but only rows with "+in.where.String()+", permission group "+g.name+in.params()+" as a restriction by "+p.restrictedBy(s, in.group))
	}
	return lines
}

// params writes the values of an instance's parameters.
func (in *instance) params() string {
	parts := make([]string, 0, len(in.args))
	for _, a := range in.args {
		parts = append(parts, a[0]+": "+a[1])
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// restrictedBy names the matched rules that restrict with a group.
func (p *Policy) restrictedBy(s *scratch, group int) string {
	var by []string
	for i := range s.rules.all() {
		r := p.rule(s.connection, i)
		if r.effect != effectRestrict {
			continue
		}
		if slices.Contains(r.permission, group) || slices.ContainsFunc(r.calls, func(c call) bool { return c.group == group }) {
			by = append(by, r.id.text)
		}
	}
	slices.Sort(by)
	return "rule " + strings.Join(by, ", ")
}
