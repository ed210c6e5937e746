package mapping

import "time"

// Evaluate computes the access of a person at a time. It never fails: where
// something is missing, the answer is less access. The constraints in the
// result are shared with the policy; callers only read them.
func (p *Policy) Evaluate(f *Facts, at time.Time) Access {
	s := p.borrow()
	defer p.giveBack(s)
	p.run(s, f, at)
	return p.access(s)
}

// verdict is how an evaluation ended.
type verdict int

const (
	allowed verdict = iota
	unknownConnection
	groupsIncomplete
	deniedByRule
	nothingMatched
	nothingBelowCeiling
)

// scratch is the working memory of one evaluation.
type scratch struct {
	connection *connection
	verdict    verdict
	refusedBy  int // rule, when deniedByRule
	proceeded  bool

	rules   bitset // that matched
	granted bitset // roles that rules named
	denied  bitset // roles that rules took away
	roles   bitset // what is left, inherited ones included
	before  bitset // roles before the ceiling
	groups  bitset // permission groups
	over    bitset // permission groups that the ceiling took away
	tasks   bitset
}

func (p *Policy) newScratch() *scratch {
	return &scratch{
		rules: newBitset(len(p.rules)), granted: newBitset(len(p.roles)), denied: newBitset(len(p.roles)),
		roles: newBitset(len(p.roles)), before: newBitset(len(p.roles)),
		groups: newBitset(len(p.groups)), over: newBitset(len(p.groups)), tasks: newBitset(len(p.tasks)),
	}
}

func (p *Policy) borrow() *scratch {
	s, ok := p.scratch.Get().(*scratch)
	if !ok {
		return p.newScratch()
	}
	for _, b := range []bitset{s.rules, s.granted, s.denied, s.roles, s.before, s.groups, s.over, s.tasks} {
		clear(b)
	}
	s.connection, s.verdict, s.refusedBy, s.proceeded = nil, allowed, -1, false
	return s
}

func (p *Policy) giveBack(s *scratch) { p.scratch.Put(s) }

// run does the steps of an evaluation in their order: which rules match, what
// they grant less what they deny, what the ceiling leaves, and whether that is
// enough to come in.
func (p *Policy) run(s *scratch, f *Facts, _ time.Time) {
	s.connection = p.connections[f.Connection]
	if s.connection == nil {
		s.verdict = unknownConnection
		return
	}
	if f.GroupsIncomplete && !p.canProceed(f) {
		s.verdict = groupsIncomplete
		return
	}
	p.match(s, f)
	granting := p.collect(s)
	p.ceiling(s)
	switch {
	case s.verdict == deniedByRule:
	case !granting:
		s.verdict = nothingMatched
	case !s.connection.unrestricted && s.groups.empty() && !p.reachable(s):
		s.verdict = nothingBelowCeiling
	}
	for r := range s.roles.all() {
		for _, t := range p.roles[r].tasks {
			s.tasks.set(t)
		}
	}
	if !s.connection.unrestricted {
		s.tasks.remove(p.gate)
	}
}

// canProceed reports whether the file lets somebody in whose groups the
// identity provider did not send in full.
func (p *Policy) canProceed(f *Facts) bool {
	switch p.defaults.incomplete {
	case incompleteProceed:
		return true
	case incompleteLastKnown:
		return f.LastKnownGroups != nil
	default:
		return false
	}
}

func (p *Policy) match(s *scratch, f *Facts) {
	for _, x := range [2]*index{&s.connection.index, &p.everywhere} {
		for _, r := range x.always {
			s.rules.set(int(r))
		}
		for _, g := range f.Groups {
			x.asserted.match(g, s.rules)
		}
		for i := range f.Pushed {
			g := &f.Pushed[i]
			if g.Name != "" {
				x.pushed.match(g.Name, s.rules)
			}
			if g.ExternalID != "" && g.ExternalID != g.Name {
				x.pushed.match(g.ExternalID, s.rules)
			}
		}
		if !f.GroupsIncomplete {
			continue
		}
		switch p.defaults.incomplete {
		case incompleteLastKnown:
			// What was asserted now is certain as well: a new group may be
			// the one that a deny waits for.
			for _, g := range f.LastKnownGroups {
				x.asserted.match(g, s.rules)
			}
		case incompleteProceed:
			s.proceeded = true
			for _, r := range x.onAsserted {
				s.rules.set(int(r))
			}
		case incompleteDeny:
		}
	}
}

// collect adds up what the matched rules grant, less what they deny, and
// reports whether any of them grants.
func (p *Policy) collect(s *scratch) bool {
	granting := false
	for i := range s.rules.all() {
		r := &p.rules[i]
		switch r.effect {
		case effectGrant:
			granting = true
			for _, n := range r.grants {
				s.granted.set(n)
			}
			for _, g := range r.permission {
				s.groups.set(g)
			}
		case effectDenyRoles:
			s.denied.add(r.denied)
		case effectDenyLogin:
			if s.verdict != deniedByRule || p.rules[s.refusedBy].reason == "" && r.reason != "" {
				s.verdict, s.refusedBy = deniedByRule, i
			}
		}
	}
	for n := range s.granted.all() {
		// A denied role takes every role that inherits it along.
		if closure := p.roles[n].closure; !closure.meets(s.denied) {
			s.roles.add(closure)
		}
	}
	return granting
}

// ceiling takes away what the connection cannot give.
func (p *Policy) ceiling(s *scratch) {
	if s.connection.unrestricted {
		return
	}
	copy(s.before, s.roles)
	s.roles.keep(s.connection.roles)
	for g := range s.groups.all() {
		if p.groups[g].unrestricted {
			s.over.set(g)
		}
	}
	s.groups.remove(s.over)
}

// reachable reports whether the ceiling lets any granted role through. Denies
// do not count here: with them, a deny of what the ceiling takes away anyhow
// would turn a refusal into a sign-in with nothing.
func (p *Policy) reachable(s *scratch) bool {
	for n := range s.granted.all() {
		if p.roles[n].closure.meets(s.connection.roles) {
			return true
		}
	}
	return false
}

func (p *Policy) access(s *scratch) Access {
	a := Access{Rules: names(s.rules, func(i int) string { return p.rules[i].id.text })}
	switch a.Reason = p.reason(s); {
	case a.Reason != "":
		return a
	case s.verdict != allowed:
		a.Login = true // noMatch: no-access
		return a
	}
	a.Login = true
	a.Roles = names(s.roles, func(i int) string { return p.roles[i].decl.Name })
	a.Tasks = names(s.tasks, func(i int) string { return p.tasks[i] })
	a.PermissionGroups = names(s.groups, func(i int) string { return p.groups[i].name })
	if len(a.PermissionGroups) == 0 {
		return a // no permission group means no data
	}
	for g := range s.groups.all() {
		switch {
		case p.groups[g].unrestricted:
			a.Permissions.Unrestricted = true
		default:
			if a.Permissions.AnyOf == nil {
				a.Permissions.AnyOf = make([]Where, 0, len(a.PermissionGroups))
			}
			a.Permissions.AnyOf = append(a.Permissions.AnyOf, p.groups[g].where)
		}
	}
	a.Permissions.AllOf = s.connection.allOf
	return a
}

// reason says why somebody may not come in, and nothing when they may.
func (p *Policy) reason(s *scratch) string {
	switch s.verdict {
	case unknownConnection:
		return "the mapping file gives nothing to this connection"
	case groupsIncomplete:
		return "your identity provider did not send all of your groups"
	case deniedByRule:
		if r := p.rules[s.refusedBy].reason; r != "" {
			return r
		}
		return "access is denied"
	case nothingMatched:
		if !p.defaults.noAccess {
			return "none of your groups gives access"
		}
	case nothingBelowCeiling:
		if !p.defaults.noAccess {
			return "what your groups would give is above the most that this connection can give"
		}
	case allowed:
	}
	return ""
}

// names lists the members of a set; nil when there are none.
func names(b bitset, of func(int) string) []string {
	n := b.count()
	if n == 0 {
		return nil
	}
	out := make([]string, 0, n)
	for i := range b.all() {
		out = append(out, of(i))
	}
	return out
}
