package mapping

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxRoles keeps the table of who inherits whom small: it has a bit for each
// pair.
const maxRoles = 5_000

func (d decoder) roles(n *node) []roleDecl {
	var roles []roleDecl
	d.named(n, "roles", "{role: {tasks: […]}}", func(id name, v *node, path string) {
		r := roleDecl{name: id}
		d.mapping(v, path, keys{
			known: map[string]func(*node){
				"tasks":        func(n *node) { r.tasks = d.ids(n, join(path, "tasks")) },
				"inherits":     func(n *node) { r.inherits = d.ids(n, join(path, "inherits")) },
				"privileged":   func(n *node) { r.privileged = d.boolean(n, join(path, "privileged")) },
				"assignableBy": func(n *node) { r.assignableBy = d.ids(n, join(path, "assignableBy")) },
				"scope": func(n *node) {
					r.organization = d.choice(n, join(path, "scope"), "organization") == "organization"
				},
			},
		})
		roles = append(roles, r)
	})
	if len(roles) > maxRoles {
		d.fail(roles[maxRoles].name.at, "%d roles; want at most %d", len(roles), maxRoles)
		return nil
	}
	return roles
}

func (d decoder) attributes(n *node) []attributeDecl {
	var attributes []attributeDecl
	d.named(n, "attributes", "{attribute: {type: string, onMissing: any}}", func(id name, v *node, path string) {
		// Whoever forgets onMissing shows too little, never too much.
		a := attributeDecl{name: id, none: true}
		d.mapping(v, path, keys{
			known: map[string]func(*node){
				"type":      func(n *node) { d.choice(n, join(path, "type"), "string") },
				"pattern":   func(n *node) { a.pattern = d.pattern(n, join(path, "pattern")) },
				"source":    func(n *node) { d.label(n, join(path, "source")) },
				"onMissing": func(n *node) { a.none = d.choice(n, join(path, "onMissing"), "any", "none") != "any" },
			},
		})
		attributes = append(attributes, a)
	})
	return attributes
}

// pattern reads a regular expression (RE2) that a whole value must meet.
func (d decoder) pattern(n *node, path string) *regexp.Regexp {
	t, ok := d.text(n, path)
	if !ok {
		return nil
	}
	return d.wholeRegexp(t, path)
}

// wholeRegexp compiles a regular expression that a whole text must meet,
// however it is written.
func (d decoder) wholeRegexp(t name, path string) *regexp.Regexp {
	if re := d.programs.regexps[t.text]; re != nil {
		return re
	}
	if _, err := regexp.Compile(t.text); err != nil {
		d.fail(t.at, "%s is no regular expression (RE2): %v", path, err)
		return nil
	}
	re, err := regexp.Compile(`\A(?:` + t.text + `)\z`)
	if err != nil {
		d.fail(t.at, "%s is too large a regular expression", path)
		return nil
	}
	d.programs.regexps[t.text] = re
	return re
}

func (d decoder) permissionGroups(n *node) []groupDecl {
	var groups []groupDecl
	d.named(n, "permissionGroups", "{group: {where: {…}}}", func(id name, v *node, path string) {
		g := groupDecl{name: id}
		where := d
		forms := 0
		known := map[string]func(*node){
			"params": func(n *node) { g.params = d.params(n, join(path, "params")) },
			"where":  func(n *node) { forms++; g.where = where.where(n, join(path, "where")) },
			"unrestricted": func(n *node) {
				forms++
				if g.unrestricted = d.boolean(n, join(path, "unrestricted")); !g.unrestricted && n.kind == kindBool {
					d.fail(n.at, "%s is false; leave it out and write where: {…}", join(path, "unrestricted"))
				}
			},
		}
		where.holes = v.kind == kindMap && slices.ContainsFunc(v.fields, func(f field) bool { return f.key.text == "params" })
		ok := d.mapping(v, path, keys{known: known})
		if ok && forms != 1 {
			d.fail(id.at, "%s has %s; want exactly one of where: {…} and unrestricted: true", path, [...]string{"neither", "", "both"}[forms])
		}
		if where.holes {
			d.checkParams(g, path)
		}
		groups = append(groups, g)
	})
	return groups
}

func (d decoder) params(n *node, path string) []name {
	params := d.ids(n, path)
	if n.kind == kindList && len(n.items) == 0 {
		d.fail(n.at, "%s is an empty list; leave it out", path)
	}
	for i, p := range params {
		if holeName(p.text) != p.text {
			d.fail(p.at, "%s: a parameter is written with letters, digits and _ alone, and begins with a letter", path)
		}
		if slices.Contains(texts(params[:i]), p.text) {
			d.fail(p.at, "%s names %q twice", path, p.text)
		}
		if slices.Contains(d.variables, p.text) {
			d.fail(p.at, "%s: %q is the name of a variable as well; want another", path, p.text)
		}
	}
	return params
}

// checkParams holds the parameters of a group against the holes in its
// constraints.
func (d decoder) checkParams(g groupDecl, path string) {
	declared := texts(g.params)
	var used []string
	look := func(text string, at pos) {
		names := holes(text)
		if len(names) == 0 && strings.Contains(text, "${") {
			d.fail(at, "%s: ${ is the beginning of a parameter; want ${name}", path)
		}
		for _, h := range names {
			used = append(used, h)
			if !slices.Contains(declared, h) {
				_, hint := d.suggest(h, slices.Concat(declared, d.variables))
				d.fail(at, "%s: unknown parameter %q%s", path, clip(h), hint)
			}
		}
	}
	for _, l := range g.where {
		for _, v := range l.values {
			look(v.text, v.at)
		}
		look(l.prefix.text, l.prefix.at)
	}
	for _, p := range g.params {
		if !slices.Contains(used, p.text) && p.text != "" {
			d.fail(p.at, "%s: nothing in where uses parameter %q; want ${%s} in one of its values", path, p.text, p.text)
		}
	}
}

// constraintDecl is a rule about the roles of one person, or a cap on those
// who may hold one.
type constraintDecl struct {
	id        name
	exclusive []name
	exAt      pos
	role      name
	maxUsers  int
	violation violation
}

// violation is what becomes of somebody who violates a constraint.
type violation int

const (
	violationDropAll violation = iota
	violationDenyLogin
	violationWarn
)

func (d decoder) constraints(n *node) []constraintDecl {
	constraints := make([]constraintDecl, 0, len(n.items))
	d.each(n, "constraints", func(_ int, n *node, path string) {
		constraints = append(constraints, d.constraint(n, path))
	})
	return constraints
}

func (d decoder) constraint(n *node, path string) constraintDecl {
	var (
		c       constraintDecl
		on      *node
		has     = make(map[string]bool)
		present = func(key string, read func(*node)) func(*node) {
			return func(n *node) { has[key] = true; read(n) }
		}
	)
	ok := d.mapping(n, path, keys{
		known: map[string]func(*node){
			"id":   func(n *node) { c.id, _ = d.id(n, join(path, "id")) },
			"note": func(n *node) { d.label(n, join(path, "note")) },
			"exclusive": present("exclusive", func(n *node) {
				c.exclusive, c.exAt = d.ids(n, join(path, "exclusive")), n.at
				if n.kind == kindList && len(distinct(c.exclusive)) < 2 && len(c.exclusive) == len(n.items) {
					d.fail(n.at, "%s.exclusive names %s; want at least two different roles", path, [...]string{"no role", "one role"}[len(distinct(c.exclusive))])
				}
			}),
			"role":        present("role", func(n *node) { c.role, _ = d.id(n, join(path, "role")) }),
			"maxUsers":    present("maxUsers", func(n *node) { c.maxUsers = d.positive(n, join(path, "maxUsers")) }),
			"onViolation": func(n *node) { on = n },
		},
		required: []string{"id"},
	})
	if !ok {
		return c
	}
	switch {
	case has["exclusive"] && !has["role"] && !has["maxUsers"]:
		if on != nil {
			switch d.choice(on, join(path, "onViolation"), "drop-all", "deny-login", "warn") {
			case "deny-login":
				c.violation = violationDenyLogin
			case "warn":
				c.violation = violationWarn
			}
		}
	case !has["exclusive"] && has["role"] && has["maxUsers"]:
		c.violation = violationWarn
		if on != nil {
			d.choice(on, join(path, "onViolation"), "warn")
		}
	default:
		d.fail(n.at, "%s: want either exclusive: [role, role] or role: … with maxUsers: …", path)
	}
	return c
}

func (d decoder) positive(n *node, path string) int {
	i, err := strconv.Atoi(n.text)
	if n.kind != kindNumber || err != nil || i < 1 {
		d.fail(n.at, "%s is %s; want a whole number from 1", path, shown(n))
		return 0
	}
	return i
}

func (d decoder) defaults(n *node) defaults {
	var f defaults
	d.mapping(n, "defaults", keys{known: map[string]func(*node){
		"noMatch": func(n *node) {
			f.noAccess = d.choice(n, "defaults.noMatch", "deny-login", "no-access") == "no-access"
		},
		"noPermissionGroup": func(n *node) { d.choice(n, "defaults.noPermissionGroup", "no-data") },
		"incompleteGroups": func(n *node) {
			switch d.choice(n, "defaults.incompleteGroups", "deny-login", "last-known", "proceed") {
			case "last-known":
				f.incomplete = incompleteLastKnown
			case "proceed":
				f.incomplete = incompleteProceed
			}
		},
	}})
	return f
}
