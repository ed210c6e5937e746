package mapping

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rule is a rule as it is evaluated.
type rule struct {
	ruleDecl
	residual   bool // there is more to look at than the condition it hangs on
	grants     []int
	permission []int // permission groups without parameters
	calls      []call
	denied     bitset
}

// groupNames are the permission groups that the rule names.
func (r *rule) groupNames() []string {
	names := make([]string, 0, len(r.ruleDecl.permission))
	for _, c := range r.ruleDecl.permission {
		names = append(names, c.group.text)
	}
	return sortedSet(names)
}

// call is a permission group with parameters.
type call struct {
	group    int
	args     []argument
	captures bool // a value comes from the name of a group
}

type argument struct {
	param string
	value []segment
}

// constraint keeps roles apart.
type constraint struct {
	id        string
	at        pos
	exclusive bitset
	violation violation
}

type permissionGroup struct {
	name         string
	at           pos
	unrestricted bool
	params       []string
	limits       []limit
	where        Where // without parameters: as it is granted
	narrow       Where // as a restrict has it: what is not mentioned is free
}

// instance is a permission group with values for its parameters.
type instance struct {
	group int
	key   string // tells instances of one group apart
	args  [][2]string
	where Where
}

// dropped is an instance that a captured value made impossible.
type dropped struct {
	rule      *rule
	group     int
	attribute string
	value     string
	narrows   bool // it was to restrict, so that nothing is visible instead
}

// instantiate fills the parameters of a group. It fails with the attribute
// and the value that its pattern refuses.
func (p *base) instantiate(g *permissionGroup, args [][2]string) (Where, string, string, bool) {
	values := make(map[string]string, len(args))
	for _, a := range args {
		if a[1] == "" || a[1] == "*" {
			return nil, a[0], a[1], false
		}
		values[a[0]] = a[1]
	}
	w := make(Where, len(g.limits))
	for _, l := range g.limits {
		a := p.patterns[l.attribute.text]
		c := l.constraint
		fill := func(texts []string) ([]string, string, bool) {
			out := make([]string, len(texts))
			for i, t := range texts {
				if out[i] = substitute(t, values); !a.allows(out[i]) {
					return nil, out[i], false
				}
			}
			return sortedSet(out), "", true
		}
		c.Prefix = substitute(c.Prefix, values)
		var bad string
		ok := true
		if len(c.In) > 0 {
			c.In, bad, ok = fill(c.In)
		}
		if len(c.Not) > 0 && ok {
			c.Not, bad, ok = fill(c.Not)
		}
		if !ok {
			return nil, l.attribute.text, bad, false
		}
		w[l.attribute.text] = c
	}
	return w, "", "", true
}

// call adds the instances that a rule's calls give this person.
func (p *Policy) call(s *scratch, f *Facts, r *rule) {
	for i := range r.calls {
		c := &r.calls[i]
		if !c.captures {
			p.instance(s, r, c, nil, nil)
			continue
		}
		found := false
		for _, sel := range r.groups {
			if sel.re == nil {
				continue
			}
			for _, list := range [2][]string{f.Groups, p.lastKnown(f)} {
				for _, g := range list {
					if m := sel.re.FindStringSubmatch(g); m != nil {
						found = true
						p.instance(s, r, c, sel.re.SubexpNames(), m)
					}
				}
			}
		}
		if !found && r.effect == effectRestrict {
			// The rule counts as matched while groups are incomplete: to what
			// it narrows is unknown, so nothing is visible.
			s.narrows = append(s.narrows, instance{group: c.group, key: "?", where: p.nothing()})
		}
	}
}

// nothing is a constraint that no row meets. It stands on an attribute that
// the file has, so that a portal can read it.
func (p *base) nothing() Where {
	if len(p.attributes) == 0 {
		return Where{"none": {}}
	}
	return Where{p.attributes[0].Name: {}}
}

func (p *Policy) instance(s *scratch, r *rule, c *call, names, values []string) {
	in := instance{group: c.group, args: make([][2]string, len(c.args))}
	for i, a := range c.args {
		var b strings.Builder
		for _, part := range a.value {
			switch {
			case !part.hole:
				b.WriteString(part.text)
			default:
				if at := slices.Index(names, part.text); at >= 0 && values[at] != "" {
					b.WriteString(values[at])
					continue
				}
				p.drop(s, r, c, part.text, "")
				return
			}
		}
		in.args[i] = [2]string{a.param, b.String()}
		in.key += strconv.Itoa(b.Len()) + ":" + b.String()
	}
	g := p.group(s.connection, c.group)
	w, attribute, bad, ok := p.instantiate(g, in.args)
	if !ok {
		p.drop(s, r, c, attribute, bad)
		return
	}
	if in.where = w; r.effect == effectRestrict {
		s.narrows = append(s.narrows, in)
		return
	}
	in.where = p.whole(w)
	s.groups.set(c.group)
	s.instances = append(s.instances, in)
}

// drop leaves an instance out and remembers why. A restrict that cannot be
// worked out hides everything.
func (p *Policy) drop(s *scratch, r *rule, c *call, attribute, value string) {
	narrows := r.effect == effectRestrict
	s.dropped = append(s.dropped, dropped{r, c.group, attribute, value, narrows})
	if narrows {
		s.narrows = append(s.narrows, instance{group: c.group, key: "?" + value, where: p.nothing()})
	}
}

func (s *scratch) sortInstances(p *Policy) {
	for _, list := range []*[]instance{&s.instances, &s.narrows} {
		slices.SortFunc(*list, func(a, b instance) int {
			if a.group != b.group {
				return cmp.Compare(p.group(s.connection, a.group).name, p.group(s.connection, b.group).name)
			}
			return cmp.Compare(a.key, b.key)
		})
		*list = slices.CompactFunc(*list, func(a, b instance) bool { return a.group == b.group && a.key == b.key })
	}
}

// lastKnown is what stands in for groups that are incomplete; nil unless the
// file says so. What was asserted now is certain as well: a new group may be
// the one that a deny waits for.
func (p *base) lastKnown(f *Facts) []string {
	if f.GroupsIncomplete && p.defaults.incomplete == incompleteLastKnown {
		return f.LastKnownGroups
	}
	return nil
}

// holds looks at the conditions of a rule that no index answers, all but its
// window of time. A rule that was found by one of them is held against it
// again: that is cheap.
func (p *Policy) holds(s *scratch, r *rule, f *Facts) bool {
	if len(r.appRoles) > 0 && !anyOf(r.appRoles, f.AppRoles) {
		return false
	}
	if len(r.domains) > 0 && !inDomain(r.domains, f) {
		return false
	}
	if len(r.userTypes) > 0 && !isOne(r.userTypes, f.UserType) {
		return false
	}
	for i := range r.claims {
		if !r.claims[i].holds(s.facts.said(f)) {
			return false
		}
	}
	if r.when == nil {
		return true
	}
	result, err := p.condition(s, r, f)
	if err != nil {
		return r.effect != effectGrant
	}
	return result
}

// condition evaluates the expression of a rule. While groups are incomplete,
// what an expression says of them is not known.
func (p *Policy) condition(s *scratch, r *rule, f *Facts) (bool, error) {
	if r.when.groups && f.GroupsIncomplete && p.defaults.incomplete == incompleteProceed {
		return false, errIncomplete
	}
	if s.facts.facts == nil {
		s.facts.facts, s.facts.groups = f, f.Groups
		if last := p.lastKnown(f); len(last) > 0 {
			s.facts.groups = slices.Concat(f.Groups, last)
		}
	}
	return r.when.run(&s.facts)
}

func anyOf(wanted []name, have []string) bool {
	for i := range wanted {
		if slices.Contains(have, wanted[i].text) {
			return true
		}
	}
	return false
}

func isOne(wanted []name, have string) bool {
	for i := range wanted {
		if wanted[i].text == have {
			return true
		}
	}
	return false
}

// domainOf is the domain of an e-mail address in lower case.
func domainOf(email string) string {
	at := strings.LastIndexByte(email, '@')
	if at < 1 {
		return ""
	}
	return strings.ToLower(email[at+1:])
}

// inDomain takes an address that the identity provider vouches for, and no
// other.
func inDomain(domains []name, f *Facts) bool {
	return f.EmailVerified && isOne(domains, domainOf(f.Email))
}

func (c *claimDecl) holds(claims map[string]any) bool {
	value, ok := claims[c.name.text]
	return ok && slices.ContainsFunc(c.values, func(s scalar) bool { return s.meets(value) })
}

// residual takes away the rules that the index found and that ask for more,
// and notes when time will change that.
func (p *Policy) residual(s *scratch, f *Facts, at time.Time) {
	for i := range s.rules.all() {
		r := p.rule(s.connection, i)
		if !r.residual {
			continue
		}
		if !p.holds(s, r, f) {
			s.rules.clear(i)
			continue
		}
		if !r.valid.set() {
			continue
		}
		if next := r.valid.next(at); !next.IsZero() && (s.until.IsZero() || next.Before(s.until)) {
			s.until = next
		}
		if !r.valid.holds(at) {
			s.rules.clear(i)
		}
	}
}
