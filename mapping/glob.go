package mapping

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// globMatch reports whether s meets the pattern, in which * stands for any
// run of characters, an empty one too, and ? for one character. There is no
// escape: a backslash is a character of many Windows group names. It takes at
// most len(pattern)×len(s) steps.
func globMatch(pattern, s string) bool {
	star, from := -1, 0
	p, i := 0, 0
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		if p < len(pattern) {
			if pattern[p] == '*' {
				star, from = p, i
				p++
				continue
			}
			want, width := utf8.DecodeRuneInString(pattern[p:])
			if want == '?' || want == r && pattern[p:p+width] == s[i:i+size] {
				p, i = p+width, i+size
				continue
			}
		}
		if star < 0 {
			return false
		}
		// Let the last star take one character more.
		_, width := utf8.DecodeRuneInString(s[from:])
		from += width
		p, i = star+1, from
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// globs finds the patterns that a name meets without trying all of them:
// patterns hang on the letters that they begin with.
type globs struct {
	first    bytes256 // of the prefixes
	anywhere bool     // there is a pattern without a prefix
	byPrefix map[string][]glob
	lengths  []int // of the prefixes, rising
}

type glob struct {
	pattern string
	plain   bool // nothing but a star follows the prefix
	rule    int32
	re      *regexp.Regexp // instead of the pattern; nil for a glob
}

func (c *glob) matches(s string) bool {
	switch {
	case c.plain:
		return true
	case c.re != nil:
		return c.re.MatchString(s)
	default:
		return globMatch(c.pattern, s)
	}
}

func (g *globs) add(pattern string, rule int32) {
	prefix := pattern[:strings.IndexAny(pattern, "*?")]
	g.hang(prefix, glob{pattern: pattern, plain: pattern[len(prefix):] == "*", rule: rule})
}

// addRegexp hangs an anchored expression on the letters that it begins with.
func (g *globs) addRegexp(re *regexp.Regexp, rule int32) {
	g.hang(literalPrefix(re), glob{re: re, rule: rule})
}

func (g *globs) hang(prefix string, c glob) {
	if g.byPrefix == nil {
		g.byPrefix = make(map[string][]glob)
	}
	if prefix == "" {
		g.anywhere = true
	} else {
		g.first.set(prefix[0])
	}
	g.byPrefix[prefix] = append(g.byPrefix[prefix], c)
	if at, found := slices.BinarySearch(g.lengths, len(prefix)); !found {
		g.lengths = slices.Insert(g.lengths, at, len(prefix))
	}
}

// literalPrefix is the text that whatever an anchored expression matches
// begins with; as much of it as is easy to see.
func literalPrefix(re *regexp.Regexp) string {
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return ""
	}
	prefix, _ := literal(tree.Simplify())
	return prefix
}

// literal gives the text that an expression begins with, and whether that is
// all of it.
func literal(t *syntax.Regexp) (text string, whole bool) {
	switch t.Op {
	case syntax.OpLiteral:
		if t.Flags&syntax.FoldCase != 0 {
			return "", false
		}
		return string(t.Rune), true
	case syntax.OpBeginText, syntax.OpEmptyMatch:
		return "", true
	case syntax.OpCapture:
		return literal(t.Sub[0])
	case syntax.OpConcat:
		for _, sub := range t.Sub {
			part, whole := literal(sub)
			text += part
			if !whole {
				return text, false
			}
		}
		return text, true
	default:
		return "", false
	}
}

func (g *globs) match(s string, hit bitset) {
	if !g.anywhere && (s == "" || !g.first.has(s[0])) {
		return
	}
	for _, n := range g.lengths {
		if n > len(s) {
			return
		}
		found := g.byPrefix[s[:n]]
		for i := range found {
			if c := &found[i]; !hit.has(int(c.rule)) && c.matches(s) {
				hit.set(int(c.rule))
			}
		}
	}
}
