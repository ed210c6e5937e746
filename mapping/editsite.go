package mapping

import (
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// style is how a value is written.
type style int

const (
	styleAbsent style = iota // "key:" and nothing behind it
	stylePlain
	styleSingle
	styleDouble
	styleLiteral // |
	styleFolded  // >
	styleFlow    // in brackets
	styleBlock   // on lines of its own, by indentation
)

// site is a value with the bytes that it takes. A block ends where its last
// value does.
type site struct {
	*node
	style    style
	from, to int
	entries  []entry // of a list or a mapping, in the order of the node
}

// entry is one entry of a list or a mapping.
type entry struct {
	key      *site // nil in a list
	from, to int   // from its dash or key, or its value in brackets, to the end of its value
	mark     int   // the end of its dash or colon, behind which its value stands; of its key without one
	value    *site
}

// surveyor finds the bytes of the values of a text.
type surveyor struct {
	text  string
	lines []int // where each line begins

	// Where the last place was: places are asked for in the order of the text,
	// and all of it may be one line.
	line, col, at int

	lost bool // something is not where it should be
}

// surveyText finds where the values of a tree stand in the text that it was
// read from; nil if a value is not where it is looked for.
func surveyText(text string, root *node) (s *site) {
	defer func() {
		if r := recover(); r != nil { // as in guarded: the text may be anything
			s = nil
		}
	}()
	file, err := parser.Parse(lexer.Tokenize(strings.ReplaceAll(text, "\r\n", "\n")), 0, parser.AllowDuplicateMapKey())
	if err != nil || len(file.Docs) == 0 {
		return nil
	}
	v := &surveyor{text: text, lines: []int{0}}
	for i := range len(text) {
		if text[i] == '\n' {
			v.lines = append(v.lines, i+1)
		}
	}
	s = v.site(file.Docs[0].Body, root, 0, -1)
	if v.lost {
		return nil
	}
	return s
}

// offset is the byte at which a token stands. A scalar in brackets may begin
// with spaces that belong to nothing.
func (v *surveyor) offset(t *token.Token) int {
	if t == nil || t.Position == nil || t.Position.Line < 1 || t.Position.Line > len(v.lines) {
		v.lost = true
		return 0
	}
	line, col := t.Position.Line, t.Position.Column
	if line != v.line || col < v.col {
		v.line, v.col, v.at = line, 1, v.lines[line-1]
	}
	for ; v.col < col && v.at < len(v.text) && v.text[v.at] != '\n'; v.col++ {
		_, size := utf8.DecodeRuneInString(v.text[v.at:])
		v.at += size
	}
	return v.at
}

// site surveys one value. The mark is where it may begin, indent the column of
// the block that it stands in.
func (v *surveyor) site(n ast.Node, m *node, mark, indent int) *site {
	s := &site{node: m, style: styleFlow}
	switch n := n.(type) {
	case *ast.MappingNode:
		v.mapping(s, n.Values, n.IsFlowStyle, n.Start, n.End)
	case *ast.MappingValueNode:
		v.mapping(s, []*ast.MappingValueNode{n}, false, nil, nil)
	case *ast.SequenceNode:
		v.sequence(s, n)
	default:
		v.scalar(s, n, mark, indent)
	}
	return s
}

func (v *surveyor) mapping(s *site, values []*ast.MappingValueNode, flow bool, start, end *token.Token) {
	if len(values) != len(s.fields) {
		v.lost = true
		return
	}
	if flow {
		s.from = v.bracket(start, '{')
	}
	for i, value := range values {
		f := s.fields[i]
		key := &site{node: &node{kind: kindString, at: f.key.at, text: f.key.text}}
		v.scalar(key, value.Key, 0, -1)
		e := entry{key: key, from: key.from, mark: v.colon(key.to)}
		indent := -1
		if !flow { // where it would be counted from the beginning of one long line
			indent = v.column(key.from)
		}
		e.value = v.site(value.Value, f.value, e.mark, indent)
		e.to = max(e.mark, e.value.to)
		s.entries = append(s.entries, e)
	}
	if flow {
		s.to = v.bracket(end, '}') + 1
		return
	}
	s.style = styleBlock
	v.around(s)
}

func (v *surveyor) sequence(s *site, n *ast.SequenceNode) {
	if len(n.Values) != len(s.items) {
		v.lost = true
		return
	}
	if n.IsFlowStyle {
		s.from = v.bracket(n.Start, '[')
		for i, item := range n.Values {
			value := v.site(item, s.items[i], s.from+1, -1)
			s.entries = append(s.entries, entry{from: value.from, to: value.to, mark: value.from, value: value})
		}
		s.to = v.bracket(n.End, ']') + 1
		return
	}
	if len(n.Entries) != len(n.Values) {
		v.lost = true
		return
	}
	s.style = styleBlock
	for i, item := range n.Values {
		dash := v.bracket(n.Entries[i].Start, '-')
		e := entry{from: dash, mark: dash + 1}
		e.value = v.site(item, s.items[i], e.mark, v.column(dash))
		e.to = max(e.mark, e.value.to)
		s.entries = append(s.entries, e)
	}
	v.around(s)
}

// around makes a block as wide as its entries.
func (v *surveyor) around(s *site) {
	if len(s.entries) == 0 {
		v.lost = true
		return
	}
	s.from, s.to = s.entries[0].from, s.entries[len(s.entries)-1].to
}

func (v *surveyor) bracket(t *token.Token, c byte) int {
	at := v.offset(t)
	if at >= len(v.text) || v.text[at] != c {
		v.lost = true
	}
	return at
}

// colon finds the end of the colon behind a key, or gives the end of a key
// that has none.
func (v *surveyor) colon(at int) int {
	for i := at; i < len(v.text); i++ {
		switch v.text[i] {
		case ' ', '\t', '\r', '\n':
		case ':':
			return i + 1
		default:
			return at
		}
	}
	return at
}

// column is how many characters stand before a byte on its line.
func (v *surveyor) column(at int) int {
	return utf8.RuneCountInString(v.text[strings.LastIndexByte(v.text[:at], '\n')+1 : at])
}

func (v *surveyor) scalar(s *site, n ast.Node, mark, indent int) {
	t := n.GetToken()
	if l, ok := n.(*ast.LiteralNode); ok {
		t = l.Start
	}
	s.from = v.offset(t)
	rest := v.text[min(s.from, len(v.text)):]
	switch {
	case s.kind == kindNull && !strings.HasPrefix(rest, t.Value):
		s.style, s.from, s.to = styleAbsent, mark, mark
		return
	case t.Type == token.LiteralType, t.Type == token.FoldedType:
		s.style = styleLiteral
		if t.Type == token.FoldedType {
			s.style = styleFolded
		}
		s.to = v.blockScalar(s.from, indent)
		return
	case t.Type == token.SingleQuoteType, t.Type == token.DoubleQuoteType:
		s.style = styleDouble
		if t.Type == token.SingleQuoteType {
			s.style = styleSingle
		}
		s.to = s.from + quotedLength(rest)
	default:
		s.style = stylePlain
		written := t.Value
		if s.kind == kindString {
			written = s.text
		}
		s.to = s.from + plainLength(rest, written)
	}
	v.lost = v.lost || s.to <= s.from
}

// blockScalar is the end of a text that begins with | or >, without the line
// end behind its last line that is not blank.
func (v *surveyor) blockScalar(from, indent int) int {
	end := from
	for i := from; i < len(v.text) && !strings.ContainsRune(" \r\n", rune(v.text[i])); i++ {
		end = i + 1
	}
	for at := from; ; {
		next := strings.IndexByte(v.text[at:], '\n')
		if next < 0 {
			return end
		}
		at += next + 1
		line, _, _ := strings.Cut(v.text[at:], "\n")
		line = strings.TrimSuffix(line, "\r")
		content := strings.TrimLeft(line, " ")
		switch {
		case content == "":
		case len(line)-len(content) <= indent:
			return end
		default:
			end = at + len(line)
		}
	}
}

// quotedLength is the length of a text in quotes with them; 0 if it has no end.
func quotedLength(text string) int {
	if text == "" {
		return 0
	}
	for i := 1; i < len(text); i++ {
		switch {
		case text[0] == '"' && text[i] == '\\':
			i++
		case text[i] != text[0]:
		case text[0] == '\'' && strings.HasPrefix(text[i+1:], "'"):
			i++
		default:
			return i + 1
		}
	}
	return 0
}

// plainLength is how much of a text a value without quotes takes, which may
// go over several lines; 0 if it is not there.
func plainLength(text, value string) int {
	i := 0
	for _, r := range value {
		if r == ' ' || r == '\n' {
			before := i
			for i < len(text) && strings.IndexByte(" \t\r\n", text[i]) >= 0 {
				i++
			}
			if i == before && (i == 0 || strings.IndexByte(" \t\r\n", text[i-1]) < 0) {
				return 0
			}
			continue
		}
		if !strings.HasPrefix(text[i:], string(r)) {
			return 0
		}
		i += utf8.RuneLen(r)
	}
	return i
}
