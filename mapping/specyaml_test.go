package mapping_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"portcullis/mapping"
)

// yaml writes the file in the order in which the spec has the rules.
func (s spec) yaml() string {
	quote := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err) // a list of strings always marshals
		}
		if string(text) == "null" {
			return "[]"
		}
		return string(text)
	}
	where := func(w mapping.Where) string {
		var parts []string
		for a, c := range w {
			parts = append(parts, fmt.Sprintf("%s: %s", a, strings.ReplaceAll(quote(c), `":`, `": `)))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("version: 1\nconnections:")
	for _, c := range s.connections {
		switch {
		case c.unrestricted:
			line("  %s: {ceiling: unrestricted}", c.id)
		case c.where == nil:
			line("  %s: {ceiling: {roles: %s}}", c.id, quote(c.roles))
		default:
			line("  %s: {ceiling: {roles: %s, where: %s}}", c.id, quote(c.roles), where(c.where))
		}
	}
	line("roles:")
	for _, r := range s.roles {
		line("  %s: {tasks: %s, inherits: %s, privileged: %v}", r.name, quote(r.tasks), quote(r.inherits), r.privileged)
	}
	line("attributes: {account: {onMissing: none, pattern: \"^[A-Z0-9]+$\"}, country: {onMissing: any}, product: {onMissing: any}}\npermissionGroups:")
	for _, g := range s.groups {
		if g.unrestricted {
			line("  %s: {unrestricted: true}", g.name)
		} else {
			line("  %s: {where: %s}", g.name, where(g.where))
		}
	}
	line("  own: {params: [v], where: {account: [\"${v}\"], country: \"*\"}}")
	line("defaults: {noMatch: %s, incompleteGroups: %s}", map[bool]string{true: "no-access", false: "deny-login"}[s.noAccess], s.incomplete)
	if len(s.exclusive) > 0 {
		line("constraints:")
	}
	for _, x := range s.exclusive {
		line("  - {id: %s, exclusive: %s, onViolation: %s}", x.id, quote(x.roles), x.on)
	}
	line("rules:")
	if len(s.rules) == 0 {
		line("  []")
	}
	for _, r := range s.rules {
		line("  - id: %s\n    match:\n      connection: %s", r.id, quote(r.connection))
		s.yamlRule(line, quote, r)
	}
	return b.String()
}

// fragments writes the file with the rules of every connection but the first
// in fragments of their own.
func (s spec) fragments() tree {
	base := s
	base.rules = nil
	clients := map[string]string{}
	for _, c := range s.connections[1:] {
		own := spec{}
		for _, r := range s.rules {
			if r.connection == c.id {
				own.rules = append(own.rules, r)
			}
		}
		_, rules, _ := strings.Cut(own.yaml(), "rules:\n")
		clients[c.id] = fmt.Sprintf("connection: %s\nrules:\n%s", c.id, rules)
	}
	for _, r := range s.rules {
		if r.connection == "*" || r.connection == s.connections[0].id {
			base.rules = append(base.rules, r)
		}
	}
	return newTree(strings.Replace(base.yaml(), "version: 1\n", "version: 1\ninclude: [clients/*.yaml]\n", 1), clients)
}

// yamlRule writes what follows the connection of a rule.
func (s spec) yamlRule(line func(string, ...any), quote func(any) string, r specRule) {
	if len(r.selectors) > 0 || r.own != "" {
		line("      groups:")
	}
	for _, sel := range r.selectors {
		line("        - {%s: %s}", sel[0], quote(sel[1]))
	}
	if r.own != "" {
		line("        - {regex: %s}", quote(r.own))
	}
	for _, c := range []struct {
		key    string
		values []string
	}{{"appRoles", r.appRoles}, {"userType", r.types}, {"emailDomain", r.domains}} {
		if len(c.values) > 0 {
			line("      %s: %s", c.key, quote(c.values))
		}
	}
	if r.department != "" {
		line("      claims: {department: %s}", r.department)
	}
	if r.when != "" {
		line("      when: %s", quote(r.when))
	}
	var valid []string
	if r.from > 0 {
		valid = append(valid, "from: "+hour(r.from).Format(time.RFC3339))
	}
	if r.until > 0 {
		valid = append(valid, "until: "+hour(r.until).Format(time.RFC3339))
	}
	if len(valid) > 0 {
		line("    valid: {%s}", strings.Join(valid, ", "))
	}
	groups := quote(r.groups)
	if r.own != "" {
		groups = strings.TrimSuffix(groups, "]") + `, {own: {v: "${v}"}}]`
	}
	switch {
	case r.deny == "login":
		line("    deny: {login: true}")
	case r.deny == "roles":
		line("    deny: {roles: %s}", quote(r.roles))
	case r.restrict:
		line("    restrict: {permissionGroups: %s}", groups)
	default:
		line("    grant: {roles: %s, permissionGroups: %s}", quote(r.roles), groups)
	}
}
