package mapping

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"

	"portcullis/count"
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

type problemJSON struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Excerpt string `json:"excerpt,omitempty"`
}

// MarshalJSON gives {"file", "line", "column", "message", "excerpt"}.
func (p Problem) MarshalJSON() ([]byte, error) { return json.Marshal(problemJSON(p)) }

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

// text is one file that is read. Positions point to it, so that a problem of
// an included file shows that file's line.
type text struct {
	file  string
	lines []string
	order int // among the files that are read together
}

// pos is a place in a file; the zero pos is nowhere. Columns count characters
// from 1, as lines do.
type pos struct {
	line, col int
	in        *text
}

// file is the name of the file that the place is in.
func (at pos) file() string {
	if at.in == nil {
		return ""
	}
	return at.in.file
}

// from names the place for a message about another: the line alone when both
// are in one file.
func (at pos) from(other pos) string {
	if at.in == other.in {
		return fmt.Sprintf("on line %d", at.line)
	}
	return fmt.Sprintf("in %s, line %d,", at.file(), at.line)
}

// source is a text with the problems that reading finds.
type source struct {
	*text
	*faults
}

// faults collects problems.
type faults struct {
	found     []placed
	more      int // problems beyond maxProblems
	suggested int

	// The line that the last problem stands in, as characters: a file may be
	// one line of 4 MiB with 500 problems.
	current     *text
	currentLine int
	runes       []rune
}

// placed is a problem with the order of its file.
type placed struct {
	Problem
	order int
}

func newSource(file, content string) *source {
	return &source{&text{file: file, lines: strings.Split(content, "\n")}, &faults{}}
}

// at is a place in the text.
func (t *text) at(line, col int) pos { return pos{line, col, t} }

// place is where a token of the text stands.
func (t *text) place(tok *token.Token) pos {
	if tok == nil || tok.Position == nil {
		return pos{}
	}
	return pos{tok.Position.Line, tok.Position.Column, t}
}

// fail notes a problem. A position outside the text is moved to the nearest
// place inside it, so that an editor can always jump there.
func (s *source) fail(at pos, format string, args ...any) {
	if len(s.found) >= maxProblems {
		s.more++
		return
	}
	if at.in == nil {
		at.in = s.text
	}
	s.found = append(s.found, placed{s.problem(at, fmt.Sprintf(format, args...)), at.in.order})
}

func (f *faults) problem(at pos, message string) Problem {
	at.line = min(max(at.line, 1), len(at.in.lines))
	if f.current != at.in || f.currentLine != at.line {
		f.current, f.currentLine = at.in, at.line
		f.runes = []rune(strings.TrimSuffix(at.in.lines[at.line-1], "\r"))
	}
	at.col = min(max(at.col, 1), len(f.runes)+1)
	return Problem{File: at.in.file, Line: at.line, Column: at.col, Message: message, Excerpt: excerpt(f.runes, at.col)}
}

// err gives all problems in order, or nil.
func (f *faults) err() error {
	if ps := f.list(); len(ps) > 0 {
		return ps
	}
	return nil
}

func (f *faults) list() Problems {
	if len(f.found) == 0 {
		return nil
	}
	ps := sortProblems(f.found)
	if f.more > 0 {
		last := ps[len(ps)-1]
		last.Message = count.Of(f.more, "more problem is", "more problems are") + " not shown"
		last.Excerpt = ""
		ps = append(ps, last)
	}
	return ps
}

// merge takes over the problems of another environment that are not here
// already, and names it.
func (f *faults) merge(other *faults, environment string) {
	known := make(map[string]bool, len(f.found))
	for _, p := range f.found {
		known[p.String()] = true
	}
	for _, p := range other.found {
		if known[p.String()] {
			continue
		}
		p.Message += fmt.Sprintf(" (in environment %q)", environment)
		if len(f.found) >= maxProblems {
			f.more++
			continue
		}
		f.found = append(f.found, p)
	}
	f.more += other.more
}

func sortProblems(ps []placed) Problems {
	ps = slices.Clone(ps)
	slices.SortStableFunc(ps, func(a, b placed) int {
		return cmp.Or(a.order-b.order, a.Line-b.Line, a.Column-b.Column, strings.Compare(a.Message, b.Message))
	})
	out := make(Problems, len(ps))
	for i, p := range ps {
		out[i] = p.Problem
	}
	return out
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
func (f *faults) suggest(name string, names []string) (meant, hint string) {
	if f.suggested >= maxSuggestions {
		return "", ""
	}
	f.suggested++
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
