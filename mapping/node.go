package mapping

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// kind is what a value of a file is, before anybody asks what it means.
type kind int

const (
	kindNull kind = iota
	kindString
	kindNumber
	kindBool
	kindList
	kindMap
)

// String names the kind for a message.
func (k kind) String() string {
	switch k {
	case kindString:
		return "a string"
	case kindNumber:
		return "a number"
	case kindBool:
		return "true or false"
	case kindList:
		return "a list"
	case kindMap:
		return "a mapping"
	default:
		return "nothing"
	}
}

// node is a value with its place. YAML and JSON both become nodes, so that a
// test's "given" and the facts of the command line are read by the same code.
type node struct {
	kind   kind
	at     pos
	text   string // of a string, a number or a bool, as written
	raw    string // of a string before variables were put in; empty if there were none
	items  []*node
	fields []field
}

type field struct {
	key   name
	value *node
}

// name is a string and its place.
type name struct {
	text string
	at   pos
	raw  string // before variables were put in; empty if there were none
}

// tree turns the parser's nodes into ours, and refuses what the language
// leaves out.
type tree struct{ src *source }

func (b tree) node(n ast.Node) *node {
	switch n := n.(type) {
	case *ast.MappingNode:
		m := &node{kind: kindMap, at: b.src.place(n.Start)}
		for _, v := range n.Values {
			b.field(m, v)
		}
		if !n.IsFlowStyle && len(m.fields) > 0 {
			m.at = m.fields[0].key.at
		}
		b.duplicates(m)
		return m
	case *ast.MappingValueNode:
		m := &node{kind: kindMap, at: b.src.place(n.Start)}
		b.field(m, n)
		if len(m.fields) > 0 {
			m.at = m.fields[0].key.at
		}
		return m
	case *ast.SequenceNode:
		l := &node{kind: kindList, at: b.src.place(n.Start)}
		for _, v := range n.Values {
			l.items = append(l.items, b.node(v))
		}
		return l
	default:
		return b.scalar(n)
	}
}

func (b tree) scalar(n ast.Node) *node {
	switch n := n.(type) {
	case *ast.StringNode:
		return &node{kind: kindString, at: b.src.place(n.Token), text: n.Value}
	case *ast.LiteralNode:
		return &node{kind: kindString, at: b.src.place(n.Start), text: n.Value.Value}
	case *ast.IntegerNode:
		return &node{kind: kindNumber, at: b.src.place(n.Token), text: n.Token.Value}
	case *ast.FloatNode:
		return &node{kind: kindNumber, at: b.src.place(n.Token), text: n.Token.Value}
	case *ast.InfinityNode:
		return &node{kind: kindNumber, at: b.src.place(n.Token), text: n.Token.Value}
	case *ast.NanNode:
		return &node{kind: kindNumber, at: b.src.place(n.Token), text: n.Token.Value}
	case *ast.BoolNode:
		return &node{kind: kindBool, at: b.src.place(n.Token), text: strings.ToLower(n.Token.Value)}
	case *ast.NullNode:
		return &node{kind: kindNull, at: b.src.place(n.Token)}
	case nil:
		return &node{kind: kindNull}
	default:
		// The guard has refused these before parsing; whatever is left is
		// something that this version of the parser does not tell apart.
		at := b.src.place(n.GetToken())
		b.src.fail(at, "this kind of YAML is not understood here; want plain strings, lists and mappings")
		return &node{kind: kindNull, at: at}
	}
}

func (b tree) field(m *node, v *ast.MappingValueNode) {
	value := b.node(v.Value)
	switch k := v.Key.(type) {
	case *ast.StringNode:
		key := name{text: k.Value, at: b.src.place(k.Token)}
		if strings.Contains(key.text, "${") {
			b.src.fail(key.at, "a key cannot hold ${…}; write the name itself")
		}
		if value.at == (pos{}) {
			value.at = key.at
		}
		m.fields = append(m.fields, field{key, value})
	case *ast.MergeKeyNode:
		b.src.fail(b.src.place(k.Token), "merge keys (<<) are not allowed; write the values out")
	default:
		at := b.src.place(v.Start)
		if v.Key != nil {
			at = b.src.place(v.Key.GetToken())
		}
		b.src.fail(at, "a key must be a string; put it in quotes")
	}
}

func (b tree) duplicates(m *node) {
	first := make(map[string]pos, len(m.fields))
	kept := m.fields[:0]
	for _, f := range m.fields {
		if at, ok := first[f.key.text]; ok {
			b.src.fail(f.key.at, "duplicate key %q; it stands on line %d already", clip(f.key.text), at.line)
			continue
		}
		first[f.key.text] = f.key.at
		kept = append(kept, f)
	}
	m.fields = kept
}
