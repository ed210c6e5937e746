package mapping

import "github.com/goccy/go-yaml/token"

// guard looks at the tokens of a file before the parser does: it refuses what
// the language leaves out, and what would make the parser slow or deep.
type guard struct {
	src     *source
	columns []column  // of the open block collections
	flow    []bracket // that are open
	work    int       // see maxMapWork
	empty   int       // values that are not there
	last    *token.Token
	lastKey int // column of the last key in a block mapping
	ended   bool
}

// column is an open block collection.
type column struct{ col, keys int }

// bracket is an open list or mapping in brackets.
type bracket struct {
	mapping bool
	colons  int // since the last comma
}

func (g *guard) check(tokens token.Tokens) {
	for _, t := range tokens {
		if t.Type == token.CommentType {
			continue
		}
		if t.Position == nil {
			g.src.fail(pos{}, "not YAML: %s", t.Error)
			return
		}
		if !g.allowed(t) || !g.nesting(t) {
			return
		}
		g.last = t
	}
}

// allowed refuses what the language leaves out. It reports false where going
// on makes no sense.
func (g *guard) allowed(t *token.Token) bool {
	switch t.Type {
	case token.InvalidType:
		g.src.fail(g.src.place(t), "not YAML: %s", clip(t.Error))
		return false
	case token.AnchorType:
		g.src.fail(g.src.place(t), "anchors (&) are not allowed; write the value out where it is needed, or put it in quotes")
	case token.AliasType:
		g.src.fail(g.src.place(t), "aliases (*) are not allowed; write the value out, or put it in quotes: \"*\"")
	case token.MergeKeyType:
		g.src.fail(g.src.place(t), "merge keys (<<) are not allowed; write the values out")
	case token.TagType:
		g.src.fail(g.src.place(t), "tags (!) are not allowed; put the value in quotes if it begins with !")
	case token.MappingKeyType:
		g.src.fail(g.src.place(t), "keys written with ? are not allowed; write key: value")
	case token.DirectiveType:
		g.src.fail(g.src.place(t), "directives (%%) are not allowed; remove the line")
		return false
	case token.DocumentHeaderType:
		if g.last != nil {
			g.src.fail(g.src.place(t), "a second document; want one document in a file")
			return false
		}
	case token.DocumentEndType:
		g.ended = true
	default:
		if g.ended {
			g.src.fail(g.src.place(t), "text after the end of the document; want one document in a file")
			return false
		}
	}
	return true
}

// nesting follows how deep the values stand, how many keys the mappings have,
// and how many values are not there. It reports false when that is too much.
func (g *guard) nesting(t *token.Token) bool {
	g.missing(t)
	colons := 0
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		g.flow = append(g.flow, bracket{mapping: t.Type == token.MappingStartType})
	case token.SequenceEndType, token.MappingEndType:
		g.flow = g.flow[:max(len(g.flow)-1, 0)]
	case token.CollectEntryType:
		if b := g.bracket(); b != nil {
			b.colons = 0
		}
	case token.SequenceEntryType:
		if g.bracket() == nil {
			g.block(t.Position.Column, false)
		}
	case token.MappingValueType:
		if b := g.bracket(); b != nil {
			b.colons++
			colons = b.colons
		} else {
			g.key(t)
		}
	default:
	}
	switch {
	case colons > 1:
		g.src.fail(g.src.place(t), "not YAML: two colons in one entry; put the text in quotes, or a comma between the entries")
	case len(g.columns)+len(g.flow) > maxDepth:
		g.src.fail(g.src.place(t), "nested more than %d levels deep", maxDepth)
	case g.work > maxMapWork:
		g.src.fail(g.src.place(t), "too many keys in the mappings of this file; want at most some 10,000 in each")
	case g.empty > maxEmpty:
		g.src.fail(g.src.place(t), "more than %d keys or list items without a value", maxEmpty)
	default:
		return true
	}
	return false
}

func (g *guard) bracket() *bracket {
	if len(g.flow) == 0 {
		return nil
	}
	return &g.flow[len(g.flow)-1]
}

// missing counts a value that should stand between the last token and t.
func (g *guard) missing(t *token.Token) {
	if g.last == nil {
		return
	}
	below := t.Position.Line > g.last.Position.Line
	col := t.Position.Column
	if b := g.bracket(); b != nil {
		ends := t.Type == token.CollectEntryType || t.Type == token.MappingEndType || t.Type == token.SequenceEndType
		opened := g.last.Type == token.MappingStartType || g.last.Type == token.CollectEntryType
		if ends && (g.last.Type == token.MappingValueType || b.mapping && b.colons == 0 && !opened) {
			g.empty++
		}
		return
	}
	switch g.last.Type {
	case token.SequenceEntryType:
		if below && col <= g.last.Position.Column {
			g.empty++
		}
	case token.MappingValueType:
		if below && (col < g.lastKey || col == g.lastKey && t.Type != token.SequenceEntryType) {
			g.empty++
		}
	default:
	}
}

// key notes the key of a block mapping, which stands before its colon.
func (g *guard) key(colon *token.Token) {
	g.lastKey = colon.Position.Column
	if g.last != nil && g.last.Position.Line == colon.Position.Line {
		g.lastKey = g.last.Position.Column
	}
	g.block(g.lastKey, true)
}

// block notes an entry of a block collection at a column.
func (g *guard) block(col int, key bool) {
	for len(g.columns) > 0 && g.columns[len(g.columns)-1].col > col {
		g.columns = g.columns[:len(g.columns)-1]
	}
	if len(g.columns) == 0 || g.columns[len(g.columns)-1].col < col {
		g.columns = append(g.columns, column{col: col})
	}
	if key {
		c := &g.columns[len(g.columns)-1]
		c.keys++
		g.work += 2 * c.keys // the squares of the counts, summed as they grow
	}
}
