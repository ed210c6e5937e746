package mapping_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"portcullis/mapping"
)

// spec is a mapping file as data, from which a test writes the file and, in
// evaluate, says what it means in the plainest way.
type spec struct {
	connections []specConnection
	roles       []specRole
	groups      []specGroup
	rules       []specRule
	noAccess    bool
	incomplete  string
}

type specConnection struct {
	id           string
	unrestricted bool
	roles        []string
	where        mapping.Where
}

type specRole struct {
	name            string
	tasks, inherits []string
	privileged      bool
}

type specGroup struct {
	name         string
	unrestricted bool
	where        mapping.Where
}

type specRule struct {
	id, connection string
	selectors      [][2]string // kind, text
	roles, groups  []string
	deny           string // "", "roles" or "login"
}

// The alphabets are small, so that names meet.
var (
	connectionIDs = []string{"acme", "client", "other"}
	roleNames     = []string{"r0", "r1", "r2", "r3", "r4", "r5"}
	taskNames     = []string{"t0", "t1", "t2", "gate.users.view"}
	groupNames    = []string{"g0", "g1", "g2"}
	attributes    = map[string]bool{"account": true, "country": false, "product": false} // whether onMissing is none
	values        = []string{"A", "AB", "B", "BA"}
	groupTexts    = []string{
		"A", "a", "AB", "B-1", "B-2", "portal-x", "8bab1c86-8fba-33e5-2089-1d1c80ec267d",
		"8BAB1C86-8FBA-33E5-2089-1D1C80EC267D", "2c9d7a10-0000-4000-8000-00000000a990",
	}
	patterns = []string{"A*", "B-?", "*", "*-x", "p*l-*", "8bab*"}
)

func drawSpec(t *rapid.T) spec {
	some := func(from []string, label string) []string {
		if len(from) == 0 {
			return nil
		}
		return rapid.SliceOfNDistinct(rapid.SampledFrom(from), 0, len(from), rapid.ID[string]).Draw(t, label)
	}
	s := spec{noAccess: rapid.Bool().Draw(t, "noAccess"), incomplete: rapid.SampledFrom([]string{"deny-login", "last-known", "proceed"}).Draw(t, "incomplete")}
	for i, id := range connectionIDs {
		c := specConnection{id: id, unrestricted: i == 0}
		if !c.unrestricted {
			c.roles = some(roleNames, "ceiling roles")
			if rapid.Bool().Draw(t, "has where") {
				c.where = drawWhere(t)
			}
		}
		s.connections = append(s.connections, c)
	}
	for i, name := range roleNames {
		s.roles = append(s.roles, specRole{
			name: name, tasks: some(taskNames, "tasks"),
			inherits:   some(roleNames[:i], "inherits"),
			privileged: rapid.IntRange(0, 3).Draw(t, "privileged") == 0,
		})
	}
	for i, name := range groupNames {
		g := specGroup{name: name, unrestricted: i == 0}
		if !g.unrestricted {
			g.where = drawWhere(t)
		}
		s.groups = append(s.groups, g)
	}
	for i := range rapid.IntRange(0, 8).Draw(t, "rules") {
		s.rules = append(s.rules, drawRule(t, fmt.Sprintf("rule%d", i), some))
	}
	return s
}

func drawRule(t *rapid.T, id string, some func([]string, string) []string) specRule {
	r := specRule{id: id, connection: rapid.SampledFrom(append(slices.Clone(connectionIDs), "*")).Draw(t, "connection")}
	for range rapid.IntRange(0, 3).Draw(t, "selectors") {
		kind := rapid.SampledFrom([]string{"id", "name", "scim"}).Draw(t, "kind")
		from := groupTexts
		if kind != "id" {
			from = append(slices.Clone(patterns), groupTexts...)
		}
		r.selectors = append(r.selectors, [2]string{kind, rapid.SampledFrom(from).Draw(t, "selector")})
	}
	r.roles = some(roleNames, "rule roles")
	switch rapid.IntRange(0, 4).Draw(t, "effect") {
	case 0:
		r.deny = "login"
		r.roles = nil
	case 1:
		r.deny = "roles"
		r.roles = append(r.roles[:min(len(r.roles), 2)], "r5")
	default:
		r.roles = r.roles[:min(len(r.roles), 3)]
		r.groups = append(some(groupNames, "rule groups"), groupNames[1])
	}
	return r
}

func drawWhere(t *rapid.T) mapping.Where {
	w := mapping.Where{"country": {Any: true}}
	for _, attribute := range []string{"account", "country", "product"} {
		list := rapid.SliceOfNDistinct(rapid.SampledFrom(values), 1, 3, rapid.ID[string]).Draw(t, "values")
		switch rapid.IntRange(0, 4).Draw(t, "form") {
		case 0:
			w[attribute] = mapping.Constraint{In: list}
		case 1:
			w[attribute] = mapping.Constraint{Not: list}
		case 2:
			w[attribute] = mapping.Constraint{Prefix: list[0]}
		case 3:
			w[attribute] = mapping.Constraint{Any: true}
		}
	}
	return w
}

// drawFacts draws a person, mostly of a known connection.
func drawFacts(t *rapid.T) mapping.Facts {
	texts := rapid.SliceOfN(rapid.SampledFrom(groupTexts), 0, 4)
	f := mapping.Facts{
		Connection:       rapid.SampledFrom(append(slices.Clone(connectionIDs), "stranger")).Draw(t, "through"),
		Groups:           texts.Draw(t, "asserted"),
		GroupsIncomplete: rapid.IntRange(0, 3).Draw(t, "incomplete groups") == 0,
	}
	for _, g := range texts.Draw(t, "pushed") {
		if rapid.Bool().Draw(t, "by id") {
			f.Pushed = append(f.Pushed, mapping.Group{ExternalID: g, Name: "B-1"})
		} else {
			f.Pushed = append(f.Pushed, mapping.Group{Name: g})
		}
	}
	if rapid.Bool().Draw(t, "has last known") {
		f.LastKnownGroups = append([]string{}, texts.Draw(t, "last known")...)
	}
	return f
}

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
	line("attributes: {account: {onMissing: none}, country: {onMissing: any}, product: {onMissing: any}}\npermissionGroups:")
	for _, g := range s.groups {
		if g.unrestricted {
			line("  %s: {unrestricted: true}", g.name)
		} else {
			line("  %s: {where: %s}", g.name, where(g.where))
		}
	}
	line("defaults: {noMatch: %s, incompleteGroups: %s}", map[bool]string{true: "no-access", false: "deny-login"}[s.noAccess], s.incomplete)
	line("rules:")
	if len(s.rules) == 0 {
		line("  []")
	}
	for _, r := range s.rules {
		line("  - id: %s\n    match:\n      connection: %s", r.id, quote(r.connection))
		if len(r.selectors) > 0 {
			line("      groups:")
		}
		for _, sel := range r.selectors {
			line("        - {%s: %s}", sel[0], quote(sel[1]))
		}
		switch r.deny {
		case "login":
			line("    deny: {login: true}")
		case "roles":
			line("    deny: {roles: %s}", quote(r.roles))
		default:
			line("    grant: {roles: %s, permissionGroups: %s}", quote(r.roles), quote(r.groups))
		}
	}
	return b.String()
}
