package mapping

import (
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
}

func (g *globs) add(pattern string, rule int32) {
	prefix := pattern[:strings.IndexAny(pattern, "*?")]
	if g.byPrefix == nil {
		g.byPrefix = make(map[string][]glob)
	}
	if prefix == "" {
		g.anywhere = true
	} else {
		g.first.set(prefix[0])
	}
	g.byPrefix[prefix] = append(g.byPrefix[prefix], glob{pattern, pattern[len(prefix):] == "*", rule})
	if at, found := slices.BinarySearch(g.lengths, len(prefix)); !found {
		g.lengths = slices.Insert(g.lengths, at, len(prefix))
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
		for _, c := range g.byPrefix[s[:n]] {
			if c.plain || globMatch(c.pattern, s) {
				hit.set(int(c.rule))
			}
		}
	}
}
