package mapping

import (
	"regexp"
	"slices"
	"strings"
)

// Kind is what a name in a mapping file can be the name of.
type Kind string

// What [Rename] and [Mentions] know.
const (
	KindRole            Kind = "role"
	KindPermissionGroup Kind = "permission group"
	KindRule            Kind = "rule"
	KindAttribute       Kind = "attribute"
	KindConstraint      Kind = "constraint"
	KindConnection      Kind = "connection"
	KindTest            Kind = "test"
)

// Mention is one place where a file has a name.
type Mention struct {
	File         string
	Line, Column int
	Declares     bool // it is here that the name is given, and not referred to
}

// Mentions finds where a file declares something and refers to it, in the
// order of the text. The error is [Problems]. A name that the file does not
// have gives none.
func Mentions(file string, text []byte, kind Kind, id string) ([]Mention, error) {
	d, err := openDocument(file, string(text))
	if err != nil {
		return nil, err
	}
	r := renaming{from: id, to: id}
	r.all(d.root, kind)
	slices.SortFunc(r.found, func(a, b Mention) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	for i := range r.found {
		r.found[i].File = file
	}
	return r.found, nil
}

// homes says where things are named: first where they are declared. A path
// goes through keys, * for each value of a mapping and [] for each entry of a
// list, and ends at a string, or with @ at the keys of a mapping.
func homes(kind Kind) (declared, referred []string) {
	switch kind {
	case KindRole:
		return []string{"roles.@"}, []string{
			"roles.*.inherits.[]", "roles.*.assignableBy.[]", "connections.*.ceiling.roles.[]",
			"rules.[].grant.roles.[]", "rules.[].deny.roles.[]",
			"constraints.[].exclusive.[]", "constraints.[].role", "tests.[].expect.roles.[]",
		}
	case KindPermissionGroup:
		return []string{"permissionGroups.@"}, []string{
			"rules.[].grant.permissionGroups.[]", "rules.[].grant.permissionGroups.[].@",
			"rules.[].restrict.permissionGroups.[]", "rules.[].restrict.permissionGroups.[].@",
			"tests.[].expect.permissionGroups.[]",
		}
	case KindRule:
		return []string{"rules.[].id"}, []string{"tests.[].because.[]", "tests.[].expect.because.[]"}
	case KindAttribute:
		return []string{"attributes.@"}, []string{
			"permissionGroups.*.where.@", "connections.*.ceiling.where.@", "tests.[].can.[].@", "tests.[].cannot.[].@",
		}
	case KindConstraint:
		return []string{"constraints.[].id"}, []string{"tests.[].expect.violations.[]"}
	case KindConnection:
		return []string{"connections.@", "connections.[]"}, []string{"connection", "rules.[].match.connection", "tests.[].given.connection"}
	case KindTest:
		return []string{"tests.[].name"}, nil
	default:
		return nil, nil
	}
}

// rename gives the tree with another name.
func (e *editing) rename(root *node, kind Kind, from, to string) *node {
	e.path = string(kind) + " " + quote(clip(from))
	declared, _ := homes(kind)
	if declared == nil {
		e.fail(pos{}, "%q is nothing that has a name in a mapping file", clip(string(kind)))
		return nil
	}
	if !(decoder{source: e.source}).goodName(name{text: to}, e.path) {
		return nil
	}
	if from == to {
		return root
	}
	taken := renaming{from: to, to: to}
	taken.all(root, kind)
	for _, m := range taken.found {
		if m.Declares {
			e.fail(e.at(m.Line, m.Column), "%s %s stands here already; want another name", kind, quote(clip(to)))
			return nil
		}
	}
	r := renaming{from: from, to: to}
	renamed := r.all(root, kind)
	if len(r.found) == 0 {
		e.fail(pos{}, "%s is not in the file", e.path)
		return nil
	}
	e.near = e.at(r.found[0].Line, r.found[0].Column)
	if kind == KindConnection {
		e.whens(root, from)
	}
	return renamed
}

// whens refuses to rename a connection that an expression seems to look at.
func (e *editing) whens(root *node, from string) {
	rules := root.get("rules")
	if rules == nil {
		return
	}
	spoken := regexp.MustCompile(`\bconnection\b`)
	for _, r := range rules.items {
		m := r.get("match")
		if m == nil {
			continue
		}
		if w := m.get("when"); w != nil && spoken.MatchString(w.text) && strings.Contains(w.text, from) {
			e.fail(w.at, "when names connection %s; change this expression first", quote(clip(from)))
		}
	}
}

// renaming walks a tree and puts one name for another.
type renaming struct {
	from, to string
	declares bool
	found    []Mention
}

func (r *renaming) all(root *node, kind Kind) *node {
	declared, referred := homes(kind)
	r.declares = true
	for _, path := range declared {
		root = r.at(root, strings.Split(path, "."))
	}
	r.declares = false
	for _, path := range referred {
		root = r.at(root, strings.Split(path, "."))
	}
	return root
}

func (r *renaming) note(at pos) {
	r.found = append(r.found, Mention{Line: at.line, Column: at.col, Declares: r.declares})
}

// at gives the tree with the name changed where the path leads; the same tree
// when it does not stand there.
func (r *renaming) at(n *node, path []string) *node {
	if len(path) == 0 {
		if n.kind != kindString || n.text != r.from {
			return n
		}
		r.note(n.at)
		return &node{kind: kindString, at: n.at, text: r.to}
	}
	switch {
	case path[0] == "[]" && n.kind == kindList:
		changed := *n
		changed.items = slices.Clone(n.items)
		for i, item := range n.items {
			changed.items[i] = r.at(item, path[1:])
		}
		return &changed
	case path[0] != "[]" && n.kind == kindMap:
		changed := *n
		changed.fields = slices.Clone(n.fields)
		for i, f := range n.fields {
			switch {
			case path[0] == "@" && f.key.text == r.from:
				r.note(f.key.at)
				changed.fields[i].key.text = r.to
			case path[0] == "*" || path[0] == f.key.text && path[0] != "@":
				changed.fields[i].value = r.at(f.value, path[1:])
			}
		}
		return &changed
	}
	return n
}
