package mapping

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	maxBytes = 4 << 20 // of one file
	maxDepth = 40      // of nesting; the language itself needs nine
	// maxMapWork bounds the sum of the squares of the numbers of keys of all
	// block mappings: the parser takes quadratic time over each of them
	// (measured: 0.25 s for 10,000 keys, so at most about 4 s for a file).
	maxMapWork = 1_600_000_000
)

// parseYAML reads one document, or notes problems and returns nil. The text
// may come from anybody: what could make the parser slow or deep is refused
// on the tokens, before it runs.
func parseYAML(src *source, text string) *node {
	if len(text) > maxBytes {
		src.fail(pos{1, 1}, "the file has %d bytes; want at most %d (4 MiB)", len(text), maxBytes)
		return nil
	}
	if !plainText(src, text) {
		return nil
	}
	root, ok := guarded(src, text)
	if ok && root == nil {
		src.fail(pos{1, 1}, "the file is empty; want at least version, connections, roles and rules")
	}
	return root
}

// plainText refuses bytes that no editor shows: they could make a file mean
// something else than what its reader sees.
func plainText(src *source, text string) bool {
	line, col := 1, 1
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\ufffd"):
			src.fail(pos{line, col}, "a byte that is not UTF-8; want the file saved as UTF-8")
			return false
		case r == '\r' && !strings.HasPrefix(text[i:], "\r\n"),
			r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f,
			r >= 0x80 && r < 0xa0, r == '\u2028', r == '\u2029', r == '\ufeff',
			r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			src.fail(pos{line, col}, "invisible character %U; remove it", r)
			return false
		case r == '\n':
			line, col = line+1, 1
			continue
		}
		col++
	}
	return true
}

// guarded runs the library. It reports false when there were problems.
func guarded(src *source, text string) (root *node, ok bool) {
	defer func() {
		// The library has panicked on odd text before. A file must never take
		// the gate down with it.
		if r := recover(); r != nil {
			src.fail(pos{1, 1}, "the YAML of this file cannot be read")
			root, ok = nil, false
		}
	}()
	tokens := lexer.Tokenize(strings.ReplaceAll(text, "\r\n", "\n"))
	before := len(src.problems)
	g := guard{src: src}
	g.check(tokens)
	if len(src.problems) > before {
		return nil, false
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		at := pos{1, 1}
		message := "cannot be read"
		if se, ok := errors.AsType[*yaml.SyntaxError](err); ok {
			at, message = place(se.Token), se.Message
		}
		src.fail(at, "not YAML: %s", message)
		return nil, false
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, true
	}
	root = tree{src}.node(file.Docs[0].Body)
	if root.kind == kindNull {
		return nil, true
	}
	return root, true
}

// guard looks at the tokens alone.
type guard struct {
	src     *source
	columns []column // of the open block collections
	flow    int      // open brackets
	values  int      // colons since the last comma or bracket, inside brackets
	work    int
	started bool // there was content
	ended   bool // the document has ended
}

type column struct{ col, keys int }

func (g *guard) check(tokens token.Tokens) {
	for _, t := range tokens {
		if t.Type == token.CommentType {
			continue
		}
		if !g.allowed(t) || !g.nesting(t) {
			return
		}
		g.started = true
	}
}

// allowed refuses what the language leaves out. It reports false where going
// on makes no sense.
func (g *guard) allowed(t *token.Token) bool {
	switch t.Type {
	case token.InvalidType:
		g.src.fail(place(t), "not YAML: %s", t.Error)
		return false
	case token.AnchorType:
		g.src.fail(place(t), "anchors (&) are not allowed; write the value out where it is needed, or put it in quotes")
	case token.AliasType:
		g.src.fail(place(t), "aliases (*) are not allowed; write the value out, or put it in quotes: \"*\"")
	case token.MergeKeyType:
		g.src.fail(place(t), "merge keys (<<) are not allowed; write the values out")
	case token.TagType:
		g.src.fail(place(t), "tags (!) are not allowed; put the value in quotes if it begins with !")
	case token.MappingKeyType:
		g.src.fail(place(t), "keys written with ? are not allowed; write key: value")
	case token.DirectiveType:
		g.src.fail(place(t), "directives (%%) are not allowed; remove the line")
		return false
	case token.DocumentHeaderType:
		if g.started {
			g.src.fail(place(t), "a second document; want one document in a file")
			return false
		}
	case token.DocumentEndType:
		g.ended = true
	default:
		if g.ended {
			g.src.fail(place(t), "text after the end of the document; want one document in a file")
			return false
		}
	}
	return true
}

// nesting follows how deep the values stand and how many keys the mappings
// have.
func (g *guard) nesting(t *token.Token) bool {
	switch t.Type {
	case token.SequenceStartType, token.MappingStartType:
		g.flow++
		g.values = 0
	case token.SequenceEndType, token.MappingEndType:
		g.flow = max(g.flow-1, 0)
		g.values = 0
	case token.CollectEntryType:
		g.values = 0
	case token.SequenceEntryType:
		if g.flow == 0 {
			g.block(t.Position.Column, false)
		}
	case token.MappingValueType:
		if g.flow > 0 {
			g.values++
			break
		}
		col := t.Position.Column
		if t.Prev != nil && t.Prev.Position != nil {
			col = t.Prev.Position.Column
		}
		g.block(col, true)
	default:
		return true
	}
	if g.values > 1 {
		g.src.fail(place(t), "not YAML: two colons in a row; put the text in quotes, or a comma between the entries")
		return false
	}
	if len(g.columns)+g.flow > maxDepth {
		g.src.fail(place(t), "nested more than %d levels deep", maxDepth)
		return false
	}
	if g.work > maxMapWork {
		g.src.fail(place(t), "too many keys in the mappings of this file; want at most some 10,000 in each")
		return false
	}
	return true
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
