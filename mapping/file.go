package mapping

import (
	"regexp"
	"slices"
)

// file is the syntax of a mapping file with the place of everything that can
// be wrong. Names are not looked up yet.
type file struct {
	connections []connectionDecl
	roles       []roleDecl
	attributes  []attributeDecl
	groups      []groupDecl
	defaults    defaults
	constraints []constraintDecl
	rules       []ruleDecl
	tests       []testDecl
	defaultsAt  pos // of the key defaults; zero without one
}

// add takes over what an included file declares.
func (f *file) add(src *source, o *file) {
	f.connections = append(f.connections, o.connections...)
	f.roles = append(f.roles, o.roles...)
	f.attributes = append(f.attributes, o.attributes...)
	f.groups = append(f.groups, o.groups...)
	f.constraints = append(f.constraints, o.constraints...)
	f.rules = append(f.rules, o.rules...)
	f.tests = append(f.tests, o.tests...)
	switch {
	case o.defaultsAt == pos{}:
	case f.defaultsAt == pos{}:
		f.defaults, f.defaultsAt = o.defaults, o.defaultsAt
	default:
		src.fail(o.defaultsAt, "defaults stands %s already; want it in one file", f.defaultsAt.from(o.defaultsAt))
	}
}

type connectionDecl struct {
	id           name
	unrestricted bool
	short        bool // from the list form
	roles        []name
	where        []limit
}

type roleDecl struct {
	name         name
	tasks        []name
	inherits     []name
	privileged   bool
	assignableBy []name
	organization bool // scope: organization
}

type attributeDecl struct {
	name    name
	pattern *regexp.Regexp // of the whole value; nil means any
	none    bool           // onMissing: none
}

type groupDecl struct {
	name         name
	params       []name
	unrestricted bool
	where        []limit
}

// limit is a constraint on one attribute, with the values that its pattern
// is held against.
type limit struct {
	attribute  name
	constraint Constraint
	values     []name
	prefix     name
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

// position says which of the files that are read together a file is.
type position int

const (
	rootFile position = iota
	includedFile
	fragmentFile
)

// ignored is the reader of a key that is read elsewhere.
func ignored(*node) {}

func (d decoder) file(root *node, where position, includes bool) *file {
	f := &file{}
	known := map[string]func(*node){
		"version":          d.version,
		"permissionGroups": func(n *node) { f.groups = d.permissionGroups(n) },
		"rules":            func(n *node) { f.rules = d.rules(n) },
		"tests":            func(n *node) { f.tests = d.tests(n) },
	}
	k := keys{known: known}
	if where == fragmentFile {
		known["connection"] = ignored
		beyond := []string{"include", "vars", "connections", "roles", "attributes", "constraints", "defaults"}
		root = d.without(root, beyond, func(f field) {
			d.fail(f.key.at, "%s reaches beyond connection %q; a fragment holds rules, permissionGroups and tests alone", f.key.text, clip(d.fragment.text))
		})
		d.mapping(root, "", k)
		return f
	}
	known["include"], known["vars"] = ignored, ignored
	known["connections"] = func(n *node) { f.connections = d.connections(n) }
	known["roles"] = func(n *node) { f.roles = d.roles(n) }
	known["attributes"] = func(n *node) { f.attributes = d.attributes(n) }
	known["constraints"] = func(n *node) { f.constraints = d.constraints(n) }
	known["defaults"] = func(n *node) { f.defaults, f.defaultsAt = d.defaults(n), n.at }
	switch {
	case where == includedFile:
	case includes: // the other keys may stand in the files
		k.required = []string{"version"}
	default:
		k.required = []string{"version", "connections", "rules"}
	}
	if where == rootFile {
		root = d.without(root, []string{"connection"}, func(f field) {
			d.fail(f.key.at, "connection is for an included file, which it makes a fragment: rules of one connection alone; want connections: {%s: {ceiling: …}}", clip(f.value.text))
		})
	}
	d.mapping(root, "", k)
	return f
}

// without takes keys away that are right elsewhere, each with words of its own.
func (d decoder) without(root *node, keys []string, refuse func(field)) *node {
	if root.kind != kindMap {
		return root
	}
	kept := *root
	kept.fields = slices.DeleteFunc(slices.Clone(root.fields), func(f field) bool {
		if slices.Contains(keys, f.key.text) {
			refuse(f)
			return true
		}
		return false
	})
	return &kept
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
		cs = append(cs, connectionDecl{id: id, unrestricted: true, short: true})
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
