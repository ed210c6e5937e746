package mapping

import (
	"errors"
	"time"
)

var errIncomplete = errors.New("groups are incomplete")

// Evaluate computes the access of a person at a time. It never fails: where
// something is missing, the answer is less access. The constraints in the
// result are shared with the policy; callers only read them.
func (p *Policy) Evaluate(f *Facts, at time.Time) Access {
	var a Access
	p.EvaluateInto(&a, f, at)
	return a
}

// EvaluateInto is [Policy.Evaluate] for whoever evaluates many people one
// after another: it puts the answer into the slices that a has, so that lists
// may be empty where Evaluate gives nil, and allocates nothing once they are
// long enough, unless a rule that matches takes a parameter from the name of a
// group or has an expression. Evaluations at the same time need an Access
// each.
func (p *Policy) EvaluateInto(a *Access, f *Facts, at time.Time) {
	s := p.borrow()
	p.run(s, f, at)
	p.access(s, a)
	p.giveBack(s)
}

// verdict is how an evaluation ended.
type verdict int

const (
	allowed verdict = iota
	unknownConnection
	closedConnection
	groupsIncomplete
	deniedByRule
	deniedByConstraint
	nothingMatched
	nothingBelowCeiling
)

// scratch is the working memory of one evaluation.
type scratch struct {
	connection *connection
	verdict    verdict
	refusedBy  int // rule or constraint
	proceeded  bool
	until      time.Time

	rules    bitset // that matched
	granted  bitset // roles that rules named
	excepted bitset // roles that exceptions named
	denied   bitset // roles that rules took away
	roles    bitset // what is left, inherited ones included
	apart    bitset // roles that constraints took away
	before   bitset // roles before the ceiling
	groups   bitset // permission groups
	over     bitset // permission groups that the ceiling took away
	narrow   bitset // permission groups without parameters that restrict
	tasks    bitset

	violated  []int      // constraints
	instances []instance // granted permission groups with parameters
	narrows   []instance // those that restrict
	dropped   []dropped
	order     []int
	facts     celFacts
}

func (p *Policy) newScratch() *scratch {
	roles := func() bitset { return newBitset(len(p.roles)) }
	groups := func() bitset { return newBitset(p.manyGroups) }
	return &scratch{
		rules: newBitset(p.manyRules), granted: roles(), excepted: roles(), denied: roles(), roles: roles(), apart: roles(), before: roles(),
		groups: groups(), over: groups(), narrow: groups(), tasks: newBitset(len(p.tasks)),
	}
}

func (p *Policy) borrow() *scratch {
	s, ok := p.scratch.Get().(*scratch)
	if !ok {
		return p.newScratch()
	}
	for _, b := range [...]bitset{s.rules, s.granted, s.excepted, s.denied, s.roles, s.apart, s.before, s.groups, s.over, s.narrow, s.tasks} {
		clear(b)
	}
	s.connection, s.verdict, s.refusedBy, s.proceeded, s.until = nil, allowed, -1, false, time.Time{}
	s.violated, s.order = s.violated[:0], s.order[:0]
	return s
}

// giveBack lets go of what belongs to the person.
func (p *Policy) giveBack(s *scratch) {
	clear(s.instances)
	clear(s.narrows)
	clear(s.dropped)
	s.instances, s.narrows, s.dropped, s.facts = s.instances[:0], s.narrows[:0], s.dropped[:0], celFacts{}
	p.scratch.Put(s)
}

// run does the steps of an evaluation in their order: which rules match, what
// they grant less what they deny, which roles exclude each other, what the
// ceiling leaves, and whether that is enough to come in.
func (p *Policy) run(s *scratch, f *Facts, at time.Time) {
	s.connection = p.connections[f.Connection]
	switch {
	case s.connection == nil:
		s.verdict = unknownConnection
		return
	case s.connection.closed:
		s.verdict = closedConnection
		return
	case f.GroupsIncomplete && !p.canProceed(f):
		s.verdict = groupsIncomplete
		return
	}
	p.match(s, f)
	p.residual(s, f, at)
	p.except(s, f, at)
	granting := p.collect(s, f)
	p.keepApart(s)
	p.ceiling(s)
	switch {
	case s.verdict == deniedByRule, s.verdict == deniedByConstraint:
	case !granting:
		s.verdict = nothingMatched
	case p.nothingBelow(s):
		s.verdict = nothingBelowCeiling
	}
	p.collectTasks(s)
}

// collectTasks adds up the tasks of the roles. The gate's own are beyond a
// ceiling, but those of a role for one's own organization that it lists.
func (p *Policy) collectTasks(s *scratch) {
	for r := range s.roles.all() {
		within := s.connection.unrestricted || s.connection.listed.has(r)
		for _, t := range p.roles[r].tasks {
			if within || !p.gate.has(t) {
				s.tasks.set(t)
			}
		}
	}
}

// canProceed reports whether the file lets somebody in whose groups the
// identity provider did not send in full.
func (p *base) canProceed(f *Facts) bool {
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
	p.matchIndex(s, &s.connection.index, f)
	p.matchIndex(s, &p.everywhere, f)
	if s.connection.fragment != nil {
		p.matchIndex(s, &s.connection.fragment.index, f)
	}
}

func (p *Policy) matchIndex(s *scratch, x *index, f *Facts) {
	for _, r := range x.always {
		s.rules.set(int(r))
	}
	if x.asserted.used {
		for _, g := range f.Groups {
			x.asserted.match(g, s.rules)
		}
		for _, g := range p.lastKnown(f) {
			x.asserted.match(g, s.rules)
		}
	}
	for i := range f.Pushed {
		if !x.pushed.used {
			break
		}
		g := &f.Pushed[i]
		if g.Name != "" {
			x.pushed.match(g.Name, s.rules)
		}
		if g.ExternalID != "" && g.ExternalID != g.Name {
			x.pushed.match(g.ExternalID, s.rules)
		}
	}
	if len(x.appRoles) > 0 {
		for _, role := range f.AppRoles {
			s.rules.setAll(x.appRoles[role])
		}
	}
	if len(x.domains) > 0 && f.EmailVerified {
		s.rules.setAll(x.domains[domainOf(f.Email)])
	}
	if len(x.types) > 0 {
		s.rules.setAll(x.types[f.UserType])
	}
	if f.GroupsIncomplete && p.defaults.incomplete == incompleteProceed {
		s.proceeded = true
		s.rules.setAll(x.onAsserted)
	}
}

// collect adds up what the matched rules grant, less what they deny, and
// reports whether any of them grants.
func (p *Policy) collect(s *scratch, f *Facts) bool {
	granting := false
	for i := range s.rules.all() {
		r := p.rule(s.connection, i)
		switch r.effect {
		case effectGrant:
			granting = true
			for _, n := range r.grants {
				s.granted.set(n)
			}
			for _, g := range r.permission {
				s.groups.set(g)
			}
			p.call(s, f, r)
		case effectRestrict:
			for _, g := range r.permission {
				s.narrow.set(g)
			}
			p.call(s, f, r)
		case effectDenyRoles:
			s.denied.add(r.denied)
		case effectDenyLogin:
			if s.verdict != deniedByRule || p.tellsMore(s, r) {
				s.verdict, s.refusedBy = deniedByRule, i
			}
		}
	}
	s.sortInstances(p)
	if !granting || s.verdict == deniedByRule || p.nothingBelow(s) {
		clear(s.excepted) // an exception adds to what lets somebody in
	}
	p.addRoles(s)
	return granting
}

// addRoles adds up what rules and exceptions named. A role that is denied, or
// kept apart from another one, takes every role that inherits it along.
func (p *Policy) addRoles(s *scratch) {
	for _, named := range [...]bitset{s.granted, s.excepted} {
		for n := range named.all() {
			if closure := p.roles[n].closure; !closure.meets(s.denied) && !closure.meets(s.apart) {
				s.roles.add(closure)
			}
		}
	}
}

// tellsMore reports whether a deny is the better one to name: it gives a
// reason where the one so far does not. Among equals the first in
// alphabetical order is named.
func (p *Policy) tellsMore(s *scratch, r *rule) bool {
	last := p.rule(s.connection, s.refusedBy)
	if (r.reason != "") != (last.reason != "") {
		return r.reason != ""
	}
	return r.id.text < last.id.text
}

// keepApart takes away roles that exclude each other. All constraints look at
// the same roles, so that their order does not matter.
func (p *Policy) keepApart(s *scratch) {
	for i := range p.constraints {
		c := &p.constraints[i]
		if s.roles.common(c.exclusive) < 2 {
			continue
		}
		s.violated = append(s.violated, i)
		switch c.violation {
		case violationDropAll:
			s.apart.add(c.exclusive)
		case violationDenyLogin:
			if s.verdict == allowed {
				s.verdict, s.refusedBy = deniedByConstraint, i
			}
		case violationWarn:
		}
	}
	if s.apart.empty() {
		return
	}
	clear(s.roles)
	p.addRoles(s)
}

// ceiling takes away what the connection cannot give.
func (p *Policy) ceiling(s *scratch) {
	if s.connection.unrestricted {
		return
	}
	copy(s.before, s.roles)
	s.roles.keep(s.connection.roles)
	for g := range s.groups.all() {
		if p.group(s.connection, g).unrestricted {
			s.over.set(g)
		}
	}
	s.groups.remove(s.over)
}

// nothingBelow reports whether the ceiling takes everything away that rules
// grant.
func (p *Policy) nothingBelow(s *scratch) bool {
	if s.connection.unrestricted {
		return false
	}
	for g := range s.groups.all() {
		if !p.group(s.connection, g).unrestricted {
			return false
		}
	}
	return !p.reachable(s)
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
