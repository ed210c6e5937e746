package mapping

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
)

const (
	maxBytes = 4 << 20 // of one file
	maxDepth = 40      // of nesting; the language itself needs nine
	// maxMapWork bounds the sum of the squares of the numbers of keys of all
	// block mappings: the parser takes quadratic time over each of them
	// (measured: 0.25 s for 10,000 keys, so at most about 1 s for a file).
	maxMapWork = 400_000_000
	// maxEmpty bounds the values that are not there ("key:"): the parser moves
	// all later tokens for each of them.
	maxEmpty = 1_000
)

// parseYAML reads one document, or notes problems and returns nil. The text
// may come from anybody: what could make the parser slow or deep is refused
// on the tokens, before it runs.
func parseYAML(src *source, text string) *node {
	if len(text) > maxBytes {
		src.fail(src.at(1, 1), "the file has %d bytes; want at most %d (4 MiB)", len(text), maxBytes)
		return nil
	}
	if !plainText(src, text) {
		return nil
	}
	root, ok := guarded(src, text)
	if ok && root == nil {
		src.fail(src.at(1, 1), "the file is empty; want at least version, connections, roles and rules")
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
			src.fail(src.at(line, col), "a byte that is not UTF-8; want the file saved as UTF-8")
			return false
		case r == '\r' && !strings.HasPrefix(text[i:], "\r\n"),
			r < ' ' && r != '\n' && r != '\r' && r != '\t', r == 0x7f,
			r >= 0x80 && r < 0xa0, r == '\u2028', r == '\u2029', r == '\ufeff',
			r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			src.fail(src.at(line, col), "invisible character %U; remove it", r)
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
			src.fail(src.at(1, 1), "the YAML of this file cannot be read")
			root, ok = nil, false
		}
	}()
	tokens := lexer.Tokenize(strings.ReplaceAll(text, "\r\n", "\n"))
	before := len(src.found)
	g := guard{src: src}
	g.check(tokens)
	if len(src.found) > before {
		return nil, false
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		at := src.at(1, 1)
		message := "cannot be read"
		if se, ok := errors.AsType[*yaml.SyntaxError](err); ok {
			at, message = src.place(se.Token), se.Message
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
