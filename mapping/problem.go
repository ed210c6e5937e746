package mapping

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Problem is one mistake in a file, at the value that is wrong.
type Problem struct {
	File    string
	Line    int    // from 1
	Column  int    // from 1, in characters
	Message string // what is wrong; what was expected
	Excerpt string // the line of the file and, below it, a caret; empty where there is no line
}

// String gives file:line:col: message.
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// Problems is every mistake of a file, in the order of their positions. It is
// the error of [Load] and [LoadFacts].
type Problems []Problem

// Error gives one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

const (
	maxProblems    = 500 // shown of one file; whoever has more fixes these first
	maxSuggestions = 200 // "did you mean" costs a scan of all names each time
	excerptWidth   = 100 // characters of a line that an excerpt shows
)

// pos is a place in a file; the zero pos is nowhere.
type pos struct{ line, col int }

// source collects the problems of one text.
type source struct {
	file      string
	lines     []string
	problems  []Problem
	more      int // problems beyond maxProblems
	suggested int

	// The line that the last problem stands in, as characters: a file may be
	// one line of 4 MiB with 500 problems.
	current int
	runes   []rune
}

func newSource(file, text string) *source {
	return &source{file: file, lines: strings.Split(text, "\n")}
}

// fail notes a problem. A position outside the text is moved to the nearest
// place inside it, so that an editor can always jump there.
func (s *source) fail(at pos, format string, args ...any) {
	if len(s.problems) >= maxProblems {
		s.more++
		return
	}
	s.problems = append(s.problems, s.problem(at, fmt.Sprintf(format, args...)))
}

func (s *source) problem(at pos, message string) Problem {
	at.line = min(max(at.line, 1), len(s.lines))
	if s.current != at.line {
		s.current = at.line
		s.runes = []rune(strings.TrimSuffix(s.lines[at.line-1], "\r"))
	}
	at.col = min(max(at.col, 1), len(s.runes)+1)
	return Problem{File: s.file, Line: at.line, Column: at.col, Message: message, Excerpt: excerpt(s.runes, at.col)}
}

// err gives all problems in order, or nil.
func (s *source) err() error {
	if len(s.problems) == 0 {
		return nil
	}
	ps := sortProblems(s.problems)
	if s.more > 0 {
		last := ps[len(ps)-1]
		last.Message = fmt.Sprintf("%d more problems are not shown", s.more)
		last.Excerpt = ""
		ps = append(ps, last)
	}
	return ps
}

func sortProblems(ps []Problem) Problems {
	ps = slices.Clone(ps)
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		if a.Column != b.Column {
			return a.Column - b.Column
		}
		return strings.Compare(a.Message, b.Message)
	})
	return ps
}

// excerpt cuts the line around the column, so that a file that is one long
// line stays readable, and points at the column.
func excerpt(runes []rune, col int) string {
	from := 0
	if col > excerptWidth*3/4 {
		from = min(col-excerptWidth/2, len(runes))
	}
	to := min(from+excerptWidth, len(runes))
	pad := make([]rune, 0, col-from)
	for _, r := range runes[from : col-1] {
		if r != '\t' {
			r = ' '
		}
		pad = append(pad, r)
	}
	return string(runes[from:to]) + "\n" + string(pad) + "^"
}

// suggest gives the name that was probably meant with "; did you mean …?",
// and nothing when none is near.
func (s *source) suggest(name string, names []string) (meant, hint string) {
	if s.suggested >= maxSuggestions {
		return "", ""
	}
	s.suggested++
	if meant = nearest(name, names); meant == "" {
		return "", ""
	}
	return meant, fmt.Sprintf("; did you mean %q?", meant)
}

// nearest is the name with the fewest edits, when they are few enough for a
// slip of the finger. Equal distances go to the first in alphabetical order.
func nearest(name string, names []string) string {
	best, bestDistance := "", 1+max(1, utf8.RuneCountInString(name)/3)
	lower := []rune(strings.ToLower(name))
	if len(lower) > 200 {
		return ""
	}
	for _, n := range names {
		other := []rune(strings.ToLower(n))
		if d := len(other) - len(lower); d >= bestDistance || -d >= bestDistance {
			continue
		}
		d := distance(lower, other)
		if d < bestDistance || d == bestDistance && best != "" && n < best {
			best, bestDistance = n, d
		}
	}
	return best
}

// distance counts insertions, deletions, substitutions and swaps of two
// neighbours (optimal string alignment).
func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range a {
		row[0] = i + 1
		for j := range b {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
