package mapping

import (
	"slices"
	"strings"
)

// inOrder gives the rules, or the permission groups, of a set by name: numbers
// are in that order but for a fragment's.
func (p *Policy) inOrder(s *scratch, b bitset, groups bool) []int {
	s.order = s.order[:0]
	for i := range b.all() {
		s.order = append(s.order, i)
	}
	if s.connection == nil || s.connection.fragment == nil {
		return s.order
	}
	slices.SortFunc(s.order, func(a, b int) int {
		if groups {
			return strings.Compare(p.group(s.connection, a).name, p.group(s.connection, b).name)
		}
		return strings.Compare(p.rule(s.connection, a).id.text, p.rule(s.connection, b).id.text)
	})
	return s.order
}

func (p *Policy) access(s *scratch, a *Access) {
	a.Login, a.Until = false, s.until
	a.Rules, a.Roles, a.Tasks = a.Rules[:0], a.Roles[:0], a.Tasks[:0]
	a.PermissionGroups, a.Violations = a.PermissionGroups[:0], a.Violations[:0]
	a.Permissions.Unrestricted, a.Permissions.AnyOf, a.Permissions.AllOf = false, a.Permissions.AnyOf[:0], a.Permissions.AllOf[:0]
	a.Rules = slices.Grow(a.Rules, s.rules.count())
	for _, i := range p.inOrder(s, s.rules, false) {
		a.Rules = append(a.Rules, p.rule(s.connection, i).id.text)
	}
	for _, i := range s.violated {
		a.Violations = append(a.Violations, p.constraints[i].id)
	}
	switch a.Reason = p.reason(s); {
	case a.Reason != "":
		return
	case s.verdict != allowed:
		a.Login = true // noMatch: no-access
		return
	}
	a.Login = true
	a.Roles, a.Tasks = slices.Grow(a.Roles, s.roles.count()), slices.Grow(a.Tasks, s.tasks.count())
	for i := range s.roles.all() {
		a.Roles = append(a.Roles, p.roles[i].decl.Name)
	}
	for i := range s.tasks.all() {
		a.Tasks = append(a.Tasks, p.tasks[i])
	}
	p.permissions(s, a)
}

// permissions says which rows the permission groups show. Without any there
// is no data, and nothing to restrict.
func (p *Policy) permissions(s *scratch, a *Access) {
	n := s.groups.count()
	a.PermissionGroups = slices.Grow(a.PermissionGroups, n)
	a.Permissions.AnyOf = slices.Grow(a.Permissions.AnyOf, n+len(s.instances))
	for _, i := range p.inOrder(s, s.groups, true) {
		g := p.group(s.connection, i)
		a.PermissionGroups = append(a.PermissionGroups, g.name)
		switch {
		case g.unrestricted:
			a.Permissions.Unrestricted = true
		case len(g.params) == 0:
			a.Permissions.AnyOf = append(a.Permissions.AnyOf, g.where)
		default:
			for j := range s.instances {
				if s.instances[j].group == i {
					a.Permissions.AnyOf = append(a.Permissions.AnyOf, s.instances[j].where)
				}
			}
		}
	}
	if len(a.PermissionGroups) == 0 {
		return
	}
	a.Permissions.AllOf = append(a.Permissions.AllOf, s.connection.allOf...)
	for _, i := range p.inOrder(s, s.narrow, true) {
		a.Permissions.AllOf = append(a.Permissions.AllOf, p.group(s.connection, i).narrow)
	}
	for j := range s.narrows {
		a.Permissions.AllOf = append(a.Permissions.AllOf, s.narrows[j].where)
	}
}

// reason says why somebody may not come in, and nothing when they may.
func (p *Policy) reason(s *scratch) string {
	switch s.verdict {
	case unknownConnection:
		return "the mapping file gives nothing to this connection"
	case closedConnection:
		return "the mapping of this connection has a mistake, and nobody can come in through it until that is mended"
	case groupsIncomplete:
		return "your identity provider did not send all of your groups"
	case deniedByRule:
		if r := p.rule(s.connection, s.refusedBy).reason; r != "" {
			return r
		}
		return "access is denied"
	case deniedByConstraint:
		return "your groups give roles that nobody may hold together"
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
