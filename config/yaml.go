package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file. The parser recurses once per level, and its time grows with
// the square of the keys of a mapping; both are far above what people write.
const (
	maxDepth  = 32     // levels of nesting
	maxColumn = 400    // of a key or a list item outside braces: bounds block nesting
	maxTokens = 60_000 // words and punctuation
)

// kind is the YAML type of a node.
type kind int

const (
	broken  kind = iota // reported already: nothing more is said of it
	null                // nothing, or ~
	text                // a string
	boolean             // true or false
	number              // an integer or a fraction
	mapping             // keys and values
	list                // items
)

// node is a value of the file and where it stands. It is what YAML can say
// without anchors, tags and the like.
type node struct {
	kind      kind
	line, col int
	text      string // of text, boolean and number
	pairs     []pair // of mapping, in the order of the file
	items     []*node
}

type pair struct{ key, value *node }

// tree parses a file. It gives nil after reporting why there is nothing to read.
func (r *reader) tree(b []byte) *node {
	// The lexer counts a line twice after a comment that ends in CR LF.
	s := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(string(b), "\ufeff"))
	r.lines = strings.Split(s, "\n")
	if len(b) > maxSize {
		r.lines = nil
		r.problem(1, 1, "want at most %d bytes, got more", maxSize)
		return nil
	}
	if !r.plainText() {
		return nil
	}
	file, err := r.parse(s)
	if err != nil {
		r.syntaxError(err)
		return nil
	}
	if file == nil {
		return nil
	}
	return r.document(file)
}

// plainText reports whether the file is text that people can see.
func (r *reader) plainText() bool {
	for i, line := range r.lines {
		col := 0
		for len(line) > 0 {
			c, size := utf8.DecodeRuneInString(line)
			col++
			switch {
			case c == utf8.RuneError && size == 1:
				r.problem(i+1, col, "want UTF-8, got another encoding")
				return false
			case c < ' ' && c != '\t', c == 0x7f, c == 0xfeff, c == 0x85, c == 0x2028, c == 0x2029:
				r.problem(i+1, col, "want visible text, got the control character %U", c)
				return false
			}
			line = line[size:]
		}
	}
	return true
}

// parse calls the YAML parser where that is safe. It gives neither a file nor
// an error when it has reported a problem itself.
func (r *reader) parse(s string) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			file, err = nil, errors.New("not readable as YAML")
		}
	}()
	tokens := lexer.Tokenize(s)
	if len(tokens) > maxTokens {
		r.at(tokens[maxTokens], "want a shorter file, got more than %d words", maxTokens)
		return nil, nil
	}
	if t := tooDeep(tokens); t != nil {
		r.at(t, "want at most %d levels, got deeper nesting", maxDepth)
		return nil, nil
	}
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// tooDeep finds where nesting exceeds what the parser's recursion may be
// trusted with.
func tooDeep(tokens token.Tokens) *token.Token {
	flow := 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow = max(0, flow-1)
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			if flow == 0 && t.Position.Column > maxColumn {
				return t
			}
		default: // scalars do not nest
		}
		if flow > maxDepth {
			return t
		}
	}
	return nil
}

// syntaxError reports what the parser said: its message alone, because its
// error text pastes the lines around.
func (r *reader) syntaxError(err error) {
	var e interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if !errors.As(err, &e) || e.GetToken() == nil {
		r.problem(1, 1, "want YAML, got something else")
		return
	}
	r.at(e.GetToken(), "want YAML: %s", e.GetMessage())
}

// document converts the only document of a file.
func (r *reader) document(file *ast.File) *node {
	var bodies []ast.Node
	for _, d := range file.Docs {
		switch body := d.Body.(type) {
		case nil:
			if d.Start != nil && len(bodies) > 0 {
				r.at(d.Start, "want one document, got another")
			}
		case *ast.DirectiveNode:
			r.at(body.GetToken(), "want no directives, got one")
		default:
			if len(bodies) > 0 {
				r.at(first(body), "want one document, got another")
			}
			bodies = append(bodies, body)
		}
	}
	if len(bodies) == 0 {
		if len(r.problems) == 0 {
			r.problem(1, 1, "want a configuration, got an empty file")
		}
		return nil
	}
	return r.convert(bodies[0], 0)
}

// first is the token at which a node starts: a block mapping's own token is
// the colon behind its first key.
func first(n ast.Node) *token.Token {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return first(n.Values[0])
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return n.GetToken()
}

// convert gives the node of n and reports what of YAML is not allowed here.
func (r *reader) convert(n ast.Node, depth int) *node {
	if n == nil {
		return &node{kind: broken}
	}
	t := first(n)
	out := &node{kind: broken, line: t.Position.Line, col: t.Position.Column}
	if depth > maxDepth {
		r.at(t, "want at most %d levels, got deeper nesting", maxDepth)
		return out
	}
	switch n := n.(type) {
	case *ast.NullNode:
		out.kind = null
	case *ast.StringNode:
		out.kind, out.text = text, n.Value
	case *ast.LiteralNode:
		out.kind, out.text = text, n.Value.Value
	case *ast.BoolNode:
		out.kind, out.text = boolean, n.Token.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = number, t.Value
	case *ast.MappingNode:
		out.kind = mapping
		for _, v := range n.Values {
			r.pair(out, v, depth)
		}
	case *ast.MappingValueNode:
		out.kind = mapping
		r.pair(out, n, depth)
	case *ast.SequenceNode:
		out.kind = list
		for _, v := range n.Values {
			out.items = append(out.items, r.convert(v, depth+1))
		}
	case *ast.AnchorNode:
		r.at(t, "want plain YAML, got an anchor (&): write the value where it is used")
		return r.convert(n.Value, depth+1)
	case *ast.AliasNode:
		r.at(t, "want plain YAML, got an alias (*): write the value where it is used")
	case *ast.TagNode:
		r.at(t, "want plain YAML, got a tag (!)")
	default:
		r.at(t, "want plain YAML, got something that is not understood")
	}
	return out
}

// pair appends a key and its value to a mapping.
func (r *reader) pair(to *node, v *ast.MappingValueNode, depth int) {
	t := v.Key.GetToken()
	value := r.convert(v.Value, depth+1)
	switch k := v.Key.(type) {
	case *ast.StringNode:
		key := &node{kind: text, line: t.Position.Line, col: t.Position.Column, text: k.Value}
		to.pairs = append(to.pairs, pair{key, value})
	case *ast.MergeKeyNode:
		r.at(t, "want plain YAML, got a merge key (<<): write the keys where they are used")
	default:
		r.at(t, "want a name before the colon, got something else")
	}
}

// at reports a problem at a token.
func (r *reader) at(t *token.Token, format string, args ...any) {
	r.problem(t.Position.Line, t.Position.Column, format, args...)
}

// problem reports a mistake.
func (r *reader) problem(line, col int, format string, args ...any) {
	r.problems = append(r.problems, r.place(line, col, fmt.Sprintf(format, args...)))
}

// place makes a problem whose position is inside the file, also where the
// lexer counted wrongly.
func (r *reader) place(line, col int, message string) Problem {
	line = max(1, min(line, len(r.lines)))
	width := 0
	if line <= len(r.lines) {
		width = utf8.RuneCountInString(r.lines[line-1])
	}
	return Problem{File: r.file, Line: line, Column: max(1, min(col, width+1)), Message: message}
}
