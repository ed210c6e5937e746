package mapping_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"portcullis/mapping"
)

// outcome is what the reference says of a person.
type outcome struct {
	login                       bool
	roles, tasks, groups, rules []string
	violations                  []string
	until                       time.Time
	anyOf, allOf                []mapping.Where
	unrestricted                bool
}

// sees says whether they see a row: no map of constraints is built for it.
func (o outcome) sees(row map[string]string) bool {
	if len(o.groups) == 0 || !o.login {
		return false
	}
	some := o.unrestricted
	for _, w := range o.anyOf {
		some = some || meets(w, row, true)
	}
	for _, w := range o.allOf {
		some = some && meets(w, row, false)
	}
	return some
}

// sums is what the matched rules add up to.
type sums struct {
	named, denied, groups set
	granting, refused     bool
}

// add looks at one rule.
func (m *sums) add(s spec, o *outcome, r specRule, f *mapping.Facts, at time.Time) {
	if !s.matches(r, f) {
		return
	}
	inTime := (r.from == 0 || !at.Before(hour(r.from))) && (r.until == 0 || at.Before(hour(r.until)))
	for _, h := range []int{r.from, r.until} {
		if h > 0 && hour(h).After(at) && (o.until.IsZero() || hour(h).Before(o.until)) {
			o.until = hour(h)
		}
	}
	if !inTime {
		return
	}
	o.rules = append(o.rules, r.id)
	switch {
	case r.deny == "login":
		m.refused = true
	case r.deny == "roles":
		m.denied.add(r.roles...)
	case r.restrict:
		for _, g := range r.groups {
			o.allOf = append(o.allOf, s.group(g).where)
		}
		if r.own != "" {
			o.allOf = append(o.allOf, s.owns(r, f, true)...)
		}
	default:
		m.granting = true
		m.named.add(r.roles...)
		m.groups.add(r.groups...)
		if r.own != "" {
			more := s.owns(r, f, false)
			o.anyOf = append(o.anyOf, more...)
			if len(more) > 0 {
				m.groups.add("own")
			}
		}
	}
}

// evaluate is the meaning of a mapping file, rule after rule, with sets and
// no index.
func (s spec) evaluate(f *mapping.Facts, at time.Time) outcome {
	var o outcome
	i := slices.IndexFunc(s.connections, func(c specConnection) bool { return c.id == f.Connection })
	if i < 0 {
		return o
	}
	connection := s.connections[i]
	if f.GroupsIncomplete && (s.incomplete == "deny-login" || s.incomplete == "last-known" && f.LastKnownGroups == nil) {
		return o
	}
	m := sums{named: set{}, denied: set{}, groups: set{}}
	for _, r := range s.rules {
		m.add(s, &o, r, f, at)
	}
	named, denied, groups, granting, refused := m.named, m.denied, m.groups, m.granting, m.refused
	slices.Sort(o.rules)
	if s.keepApart(&o, named, denied) {
		refused = true
	}
	roles := s.left(named, denied, o.violations)
	s.underCeiling(connection, roles, groups)
	undenied := set{}
	for name := range named {
		undenied.add(s.closure(name).sorted()...)
	}
	s.underCeiling(connection, undenied, groups)
	nothing := !granting || len(undenied) == 0 && len(groups) == 0
	if refused || nothing && !s.noAccess {
		return o
	}
	o.login = true
	if nothing {
		return o
	}
	o.roles, o.groups = roles.sorted(), groups.sorted()
	for name := range groups {
		if g := s.group(name); g.unrestricted {
			o.unrestricted = true
		} else if name != "own" {
			o.anyOf = append(o.anyOf, g.where)
		}
	}
	if connection.where != nil {
		o.allOf = append(o.allOf, connection.where)
	}
	tasks := set{}
	for _, r := range s.roles {
		if roles[r.name] {
			tasks.add(r.tasks...)
		}
	}
	if !connection.unrestricted {
		maps.DeleteFunc(tasks, func(t string, _ bool) bool { return strings.HasPrefix(t, "gate.") })
	}
	o.tasks = tasks.sorted()
	return o
}

func (s spec) group(name string) specGroup {
	for _, g := range s.groups {
		if g.name == name {
			return g
		}
	}
	return specGroup{}
}

// left is what remains of the named roles after denies and the constraints
// that drop.
func (s spec) left(named, denied set, violations []string) set {
	dropped := set{}
	for _, x := range s.exclusive {
		if x.on == "drop-all" && slices.Contains(violations, x.id) {
			dropped.add(x.roles...)
		}
	}
	roles := set{}
	for name := range named {
		if closure := s.closure(name); !closure.meets(denied) && !closure.meets(dropped) {
			roles.add(closure.sorted()...)
		}
	}
	return roles
}

// keepApart notes violated constraints, and reports whether one denies login.
func (s spec) keepApart(o *outcome, named, denied set) bool {
	all := s.left(named, denied, nil)
	refused := false
	for _, x := range s.exclusive {
		n := 0
		for _, r := range x.roles {
			if all[r] {
				n++
			}
		}
		if n > 1 {
			o.violations = append(o.violations, x.id)
			refused = refused || x.on == "deny-login"
		}
	}
	return refused
}

// owns gives the constraints that the group own has for each captured value.
// A value that is none drops a grant; of a restriction it leaves nothing.
func (s spec) owns(r specRule, f *mapping.Facts, restrict bool) []mapping.Where {
	var out []mapping.Where
	re := regexp.MustCompile(`\A(?:` + r.own + `)\z`)
	matched := false
	for _, g := range s.asserted(f) {
		m := re.FindStringSubmatch(g)
		if m == nil {
			continue
		}
		matched = true
		v := m[re.SubexpIndex("v")]
		switch {
		case regexp.MustCompile("^[A-Z0-9]+$").MatchString(v):
			out = append(out, mapping.Where{"account": {In: []string{v}}, "country": {Any: true}})
		case restrict:
			out = append(out, mapping.Where{"account": {In: []string{}}})
		}
	}
	if !matched && restrict {
		out = append(out, mapping.Where{"account": {In: []string{}}})
	}
	return out
}

func (s spec) asserted(f *mapping.Facts) []string {
	if f.GroupsIncomplete && s.incomplete == "last-known" {
		return slices.Concat(f.Groups, f.LastKnownGroups)
	}
	return f.Groups
}

// underCeiling takes away what the connection cannot give.
func (s spec) underCeiling(c specConnection, roles, groups set) {
	if c.unrestricted {
		return
	}
	within := set{}
	for _, name := range c.roles {
		within.add(s.closure(name).sorted()...)
	}
	privileged := set{}
	for _, r := range s.roles {
		if r.privileged {
			privileged.add(r.name)
		}
	}
	maps.DeleteFunc(roles, func(name string, _ bool) bool { return !within[name] || s.closure(name).meets(privileged) })
	for _, g := range s.groups {
		if g.unrestricted {
			delete(groups, g.name)
		}
	}
}

func (s spec) matches(r specRule, f *mapping.Facts) bool {
	if r.connection != "*" && r.connection != f.Connection {
		return false
	}
	one := func(wanted []string, have ...string) bool {
		return len(wanted) == 0 || slices.ContainsFunc(have, func(h string) bool { return h != "" && slices.Contains(wanted, h) })
	}
	_, domain, _ := strings.Cut(strings.ToLower(f.Email), "@")
	if !f.EmailVerified {
		domain = ""
	}
	department := []string{}
	switch d := f.Claims["department"].(type) {
	case string:
		department = append(department, d)
	case []any:
		for _, v := range d {
			if text, ok := v.(string); ok {
				department = append(department, text)
			}
		}
	}
	wanted := []string{r.department}
	if r.department == "" {
		wanted = nil
	}
	if !s.groupsMatch(r, f) || !one(r.appRoles, f.AppRoles...) || !one(r.types, f.UserType) || !one(r.domains, domain) || !one(wanted, department...) {
		return false
	}
	if r.when == "" {
		return true
	}
	result, ok := whens[r.when](f, s.asserted(f))
	if strings.Contains(r.when, "groups") && f.GroupsIncomplete && s.incomplete == "proceed" {
		ok = false
	}
	if !ok {
		return r.deny != "" || r.restrict
	}
	return result
}

func (s spec) groupsMatch(r specRule, f *mapping.Facts) bool {
	selectors := r.selectors
	if r.own != "" {
		selectors = append(slices.Clone(selectors), [2]string{"regex", r.own})
	}
	if len(selectors) == 0 {
		return true
	}
	for _, sel := range selectors {
		texts := s.asserted(f)
		if sel[0] == "scim" {
			texts = nil
			for _, g := range f.Pushed {
				texts = append(texts, g.Name, g.ExternalID)
			}
		} else if f.GroupsIncomplete && s.incomplete == "proceed" && (r.deny != "" || r.restrict) {
			return true
		}
		for _, g := range texts {
			if g != "" && selects(sel[0], sel[1], g) {
				return true
			}
		}
	}
	return false
}

func selects(kind, want, group string) bool {
	isGUID := regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`).MatchString(want)
	switch {
	case kind == "regex":
		return regexp.MustCompile(`\A(?:` + want + `)\z`).MatchString(group)
	case kind != "id" && strings.ContainsAny(want, "*?"):
		re := regexp.QuoteMeta(want)
		re = strings.ReplaceAll(strings.ReplaceAll(re, `\*`, `.*`), `\?`, `.`)
		return regexp.MustCompile(`(?s)\A` + re + `\z`).MatchString(group)
	case kind != "name" && isGUID:
		return strings.EqualFold(want, group)
	default:
		return want == group
	}
}

func (s spec) closure(name string) set {
	all := set{name: true}
	for _, r := range s.roles {
		if r.name == name {
			for _, to := range r.inherits {
				all.add(s.closure(to).sorted()...)
			}
		}
	}
	return all
}

// meets holds a row against constraints; in a permission group, what is not
// mentioned follows the catalogue.
func meets(w mapping.Where, row map[string]string, group bool) bool {
	for attribute, none := range attributes {
		c, mentioned := w[attribute]
		if !mentioned {
			if group && none {
				return false
			}
			continue
		}
		v, present := row[attribute]
		ok := c.Any
		switch {
		case c.In != nil:
			ok = present && slices.Contains(c.In, v)
		case c.Not != nil:
			ok = present && !slices.Contains(c.Not, v)
		case c.Prefix != "":
			ok = present && strings.HasPrefix(v, c.Prefix)
		}
		if !ok {
			return false
		}
	}
	return true
}

type set map[string]bool

func (s set) add(names ...string) {
	for _, n := range names {
		s[n] = true
	}
}

func (s set) meets(o set) bool {
	for n := range s {
		if o[n] {
			return true
		}
	}
	return false
}

func (s set) sorted() []string {
	if len(s) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(s))
}
