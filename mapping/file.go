package mapping

import "regexp"

// file is the syntax of a mapping file with the place of everything that can
// be wrong. Names are not looked up yet.
type file struct {
	connections []connectionDecl
	roles       []roleDecl
	attributes  []attributeDecl
	groups      []groupDecl
	defaults    defaults
	rules       []ruleDecl
	tests       []testDecl
}

type connectionDecl struct {
	id           name
	unrestricted bool
	roles        []name
	where        []limit
}

type roleDecl struct {
	name       name
	tasks      []name
	inherits   []name
	privileged bool
}

type attributeDecl struct {
	name    name
	pattern *regexp.Regexp // of the whole value; nil means any
	none    bool           // onMissing: none
}

type groupDecl struct {
	name         name
	unrestricted bool
	where        []limit
}

// limit is a constraint on one attribute, with the values that its pattern
// is held against.
type limit struct {
	attribute  name
	constraint Constraint
	values     []name
}

type defaults struct {
	noAccess   bool // noMatch: no-access
	incomplete incomplete
}

// incomplete says what happens when an identity provider left groups out.
type incomplete int

const (
	incompleteDeny incomplete = iota
	incompleteLastKnown
	incompleteProceed
)

// laterTop and its like name what the next version of the language adds. It
// is refused by name, because a rule that is half understood is worse than
// none.
const (
	laterInclude   = "further files are read by a later one; keep everything in this file"
	laterVars      = "variables of the deployment"
	laterFragment  = "a file of one connection alone"
	laterSoD       = "separation of duties and caps"
	laterAssign    = "roles that hand out roles"
	laterScope     = "roles that end at their organization"
	laterParams    = "permission groups with parameters; write one group for each value"
	laterRegex     = "groups by regular expression; use name with * instead"
	laterAppRoles  = "application roles of the token"
	laterDomain    = "the domain of a verified e-mail address"
	laterUserType  = "member or guest"
	laterClaims    = "claims of the token"
	laterWhen      = "conditions in CEL"
	laterValid     = "rules with a beginning and an end"
	laterRestrict  = "rules that narrow data"
	laterEnv       = "tests of one environment"
	laterViolation = "violated constraints"
)

func (d decoder) file(root *node) *file {
	f := &file{}
	d.mapping(root, "", keys{
		known: map[string]func(*node){
			"version":          d.version,
			"connections":      func(n *node) { f.connections = d.connections(n) },
			"roles":            func(n *node) { f.roles = d.roles(n) },
			"attributes":       func(n *node) { f.attributes = d.attributes(n) },
			"permissionGroups": func(n *node) { f.groups = d.permissionGroups(n) },
			"defaults":         func(n *node) { f.defaults = d.defaults(n) },
			"rules":            func(n *node) { f.rules = d.rules(n) },
			"tests":            func(n *node) { f.tests = d.tests(n) },
		},
		later: map[string]string{
			"include": laterInclude, "vars": laterVars, "constraints": laterSoD, "connection": laterFragment,
		},
		required: []string{"version", "connections", "rules"},
	})
	return f
}

func (d decoder) version(n *node) {
	if n.kind != kindNumber || n.text != "1" {
		d.fail(n.at, "version is %s; want 1 (the format of the file, not a revision)", shown(n))
	}
}

// shown describes a value in a message.
func shown(n *node) string {
	if n.text == "" {
		return n.kind.String()
	}
	return n.kind.String() + ", " + clip(n.text)
}

const ceilingHint = "ceiling: {roles: […], where: {…}}, or ceiling: unrestricted for the portal's own staff"

func (d decoder) connections(n *node) []connectionDecl {
	if n.kind == kindList {
		return d.shortConnections(n)
	}
	var cs []connectionDecl
	d.named(n, "connections", "{id: {ceiling: …}}", func(id name, v *node, path string) {
		if id.text == "*" {
			d.fail(id.at, `%s: "*" is no connection; name each of them`, path)
			return
		}
		c := connectionDecl{id: id}
		if v.kind == kindNull || v.kind == kindMap && len(v.fields) == 0 {
			d.fail(id.at, "%s has no ceiling; want %s", path, ceilingHint)
			return
		}
		d.mapping(v, path, keys{
			known:    map[string]func(*node){"ceiling": func(n *node) { d.ceiling(n, join(path, "ceiling"), &c) }},
			required: []string{"ceiling"},
			hints:    map[string]string{"ceiling": ceilingHint},
		})
		cs = append(cs, c)
	})
	if n.kind == kindMap && len(n.fields) == 0 {
		d.fail(n.at, "connections is empty; want at least one")
	}
	return cs
}

// shortConnections reads [acme]: the whole file is for one connection, which
// can be given everything.
func (d decoder) shortConnections(n *node) []connectionDecl {
	ids := d.ids(n, "connections")
	if len(n.items) == 0 {
		d.fail(n.at, "connections is empty; want at least one")
	}
	if len(n.items) > 1 {
		d.fail(n.items[1].at, "the short form is for one connection alone; with several write each with its ceiling: {%s: {ceiling: {roles: […], where: {…}}}}", clip(n.items[1].text))
	}
	cs := make([]connectionDecl, 0, len(ids))
	for _, id := range ids {
		if id.text == "*" {
			d.fail(id.at, `connections: "*" is no connection; name it`)
			continue
		}
		cs = append(cs, connectionDecl{id: id, unrestricted: true})
	}
	return cs
}

func (d decoder) ceiling(n *node, path string, c *connectionDecl) {
	if n.kind != kindMap {
		c.unrestricted = n.kind == kindString && n.text == "unrestricted"
		if !c.unrestricted {
			d.fail(n.at, "%s is %s; want {roles: […], where: {…}} or unrestricted", path, shown(n))
		}
		return
	}
	d.mapping(n, path, keys{
		known: map[string]func(*node){
			"roles": func(n *node) { c.roles = d.ids(n, join(path, "roles")) },
			"where": func(n *node) { c.where = d.where(n, join(path, "where")) },
		},
		required: []string{"roles"},
		hints:    map[string]string{"roles": "a list; [] gives no role at all"},
	})
}

// maxRoles keeps the table of who inherits whom small: it has a bit for each
// pair.
const maxRoles = 5_000

func (d decoder) roles(n *node) []roleDecl {
	var roles []roleDecl
	d.named(n, "roles", "{role: {tasks: […]}}", func(id name, v *node, path string) {
		r := roleDecl{name: id}
		d.mapping(v, path, keys{
			known: map[string]func(*node){
				"tasks":      func(n *node) { r.tasks = d.ids(n, join(path, "tasks")) },
				"inherits":   func(n *node) { r.inherits = d.ids(n, join(path, "inherits")) },
				"privileged": func(n *node) { r.privileged = d.boolean(n, join(path, "privileged")) },
			},
			later: map[string]string{"assignableBy": laterAssign, "scope": laterScope},
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
	if _, err := regexp.Compile(t.text); err != nil {
		d.fail(t.at, "%s is no regular expression (RE2): %v", path, err)
		return nil
	}
	re, err := regexp.Compile(`\A(?:` + t.text + `)\z`)
	if err != nil {
		d.fail(t.at, "%s is too large a regular expression", path)
		return nil
	}
	return re
}

func (d decoder) permissionGroups(n *node) []groupDecl {
	var groups []groupDecl
	d.named(n, "permissionGroups", "{group: {where: {…}}}", func(id name, v *node, path string) {
		g := groupDecl{name: id}
		ok := d.mapping(v, path, keys{
			known: map[string]func(*node){
				"where": func(n *node) { g.where = d.where(n, join(path, "where")) },
				"unrestricted": func(n *node) {
					if g.unrestricted = d.boolean(n, join(path, "unrestricted")); !g.unrestricted && n.kind == kindBool {
						d.fail(n.at, "%s is false; leave it out and write where: {…}", join(path, "unrestricted"))
					}
				},
			},
			later: map[string]string{"params": laterParams},
		})
		if ok && len(v.fields) != 1 {
			d.fail(id.at, "%s has %d keys; want either where: {…} or unrestricted: true", path, len(v.fields))
		}
		groups = append(groups, g)
	})
	return groups
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
