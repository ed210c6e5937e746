package mapping_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"portcullis/mapping"
)

// evaluate is the meaning of a mapping file, rule after rule, with sets and
// no index.
func (s spec) evaluate(f *mapping.Facts) mapping.Access {
	var a mapping.Access
	at := slices.IndexFunc(s.connections, func(c specConnection) bool { return c.id == f.Connection })
	if at < 0 {
		return a
	}
	connection := s.connections[at]
	if f.GroupsIncomplete && (s.incomplete == "deny-login" || s.incomplete == "last-known" && f.LastKnownGroups == nil) {
		return a
	}
	named, denied, groups := set{}, set{}, set{}
	granting, refused := false, false
	for _, r := range s.rules {
		if !s.matches(r, f) {
			continue
		}
		a.Rules = append(a.Rules, r.id)
		switch r.deny {
		case "login":
			refused = true
		case "roles":
			denied.add(r.roles...)
		default:
			granting = true
			named.add(r.roles...)
			groups.add(r.groups...)
		}
	}
	slices.Sort(a.Rules)
	roles := set{}
	for name := range named {
		if closure := s.closure(name); !closure.meets(denied) {
			roles.add(closure.sorted()...)
		}
	}
	s.underCeiling(connection, roles, groups)
	undenied := set{}
	for name := range named {
		undenied.add(s.closure(name).sorted()...)
	}
	s.underCeiling(connection, undenied, groups)
	nothing := !granting || len(undenied) == 0 && len(groups) == 0
	if refused || nothing && !s.noAccess {
		return a
	}
	a.Login = true
	if nothing {
		return a
	}
	a.Roles, a.PermissionGroups = roles.sorted(), groups.sorted()
	tasks := set{}
	for _, r := range s.roles {
		if roles[r.name] {
			tasks.add(r.tasks...)
		}
	}
	if !connection.unrestricted {
		maps.DeleteFunc(tasks, func(t string, _ bool) bool { return strings.HasPrefix(t, "gate.") })
	}
	a.Tasks = tasks.sorted()
	return a
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
	if len(r.selectors) == 0 {
		return true
	}
	asserted := f.Groups
	if f.GroupsIncomplete && s.incomplete == "last-known" {
		asserted = slices.Concat(f.Groups, f.LastKnownGroups)
	}
	for _, sel := range r.selectors {
		texts := asserted
		if sel[0] == "scim" {
			texts = nil
			for _, g := range f.Pushed {
				texts = append(texts, g.Name, g.ExternalID)
			}
		} else if f.GroupsIncomplete && s.incomplete == "proceed" && r.deny != "" {
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

// visible says whether a person with these permission groups sees a row.
func (s spec) visible(connection string, groups []string, row map[string]string) bool {
	some := false
	for _, g := range s.groups {
		if slices.Contains(groups, g.name) && (g.unrestricted || meets(g.where, row, true)) {
			some = true
		}
	}
	for _, c := range s.connections {
		if c.id == connection && !meets(c.where, row, false) {
			return false
		}
	}
	return some
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
