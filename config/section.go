package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// reader gathers what is wrong with a file while it is read. A wrong value is
// reported once and reading goes on with a harmless one.
type reader struct {
	file, dir string // as named; absolute
	stored    bool   // a connection out of the database, see Stored
	private   bool   // Stored.Private
	env       func(string) (string, bool)
	lines     []string
	problems  []Problem
	warnings  []Problem
}

// shape is what may stand in a mapping.
type shape struct {
	keys  []string          // understood
	later []string          // of the contract, but not of this version
	hints map[string]string // what to do instead, for keys that are always wrong
}

// section is a mapping of the file whose keys were checked.
type section struct {
	r      *reader
	path   string // "" at the top
	at     *node
	values map[string]*node
	absent bool // the mapping itself is missing or broken: nothing in it is missed
}

// section checks the keys of n.
func (r *reader) section(n *node, path string, sh shape) section {
	s := section{r: r, path: path, at: n, values: map[string]*node{}}
	if n.kind != mapping {
		s.absent = true
		if n.kind != broken { // the value is not shown: it may be the database's password
			r.problem(n.line, n.col, "%s: want a mapping of keys to values, got %s", cmp.Or(path, "the file"), kindName(n.kind))
		}
		return s
	}
	seen := map[string]*node{}
	for _, p := range n.pairs {
		k, key := p.key, s.key(p.key.text)
		if before, ok := seen[k.text]; ok {
			r.problem(k.line, k.col, "%s: want each key once, got it again (first at line %d)", printable(key), before.line)
			continue
		}
		seen[k.text] = k
		switch {
		case slices.Contains(sh.keys, k.text):
			s.values[k.text] = p.value
		case slices.Contains(sh.later, k.text):
			r.problem(k.line, k.col, "%s: is not understood by this version", key)
		case sh.hints[k.text] != "":
			r.problem(k.line, k.col, "%s: %s", key, sh.hints[k.text])
		default:
			r.problem(k.line, k.col, "%s: unknown key%s", printable(key), didYouMean(k.text, sh.keys, sh.later))
		}
	}
	return s
}

// key is the full name of a key of the section.
func (s section) key(k string) string {
	if s.path == "" {
		return k
	}
	return s.path + "." + k
}

// get gives the value of k, nil where it is not in the file or was reported.
func (s section) get(k string) *node {
	if n := s.values[k]; n != nil && n.kind != broken {
		return n
	}
	return nil
}

// has reports whether k stands in the file, whatever its value.
func (s section) has(k string) bool { return s.values[k] != nil }

// sub is the section under k; it is empty, with nothing missed in it, where k
// is not in the file.
func (s section) sub(k string, sh shape) section {
	if n := s.get(k); n != nil {
		return s.r.section(n, s.key(k), sh)
	}
	return section{r: s.r, path: s.key(k), at: s.at, absent: true}
}

// missing reports that k must be in the file.
func (s section) missing(k, want string) {
	if !s.absent && !s.has(k) {
		s.r.problem(s.at.line, s.at.col, "%s: want %s, got nothing", s.key(k), want)
	}
}

// wrong reports a value of the wrong type, or the wrong text.
func (r *reader) wrong(n *node, key, want string) {
	if n.kind != broken {
		r.problem(n.line, n.col, "%s: want %s, got %s", key, want, describe(n))
	}
}

// secretly is wrong for a value that may be a secret: it does not show it.
func (r *reader) secretly(n *node, key, want string) {
	if n.kind == text {
		r.problem(n.line, n.col, "%s: want %s, got something else (not shown)", key, want)
	} else if n.kind != broken {
		r.problem(n.line, n.col, "%s: want %s, got %s", key, want, kindName(n.kind))
	}
}

// warn adds what an administrator should look at.
func (r *reader) warn(n *node, format string, args ...any) {
	r.warnings = append(r.warnings, r.place(n.line, n.col, fmt.Sprintf(format, args...)))
}

// scalar reads the text under k with parse, which says whether it is right.
// It gives def where k is not in the file, or wrong.
func scalar[T any](s section, k, want string, def T, parse func(string) (T, bool)) T {
	n := s.get(k)
	if n == nil {
		return def
	}
	v, ok := parse(n.text)
	switch {
	case n.kind == text && ok:
		return v
	case ok && (n.kind == number || n.kind == boolean):
		s.r.wrong(n, s.key(k), want+" in quotes")
	default:
		s.r.wrong(n, s.key(k), want)
	}
	return def
}

// text reads the text under k that check accepts.
func (s section) text(k, want, def string, check func(string) bool) string {
	return scalar(s, k, want, def, func(v string) (string, bool) { return v, check(v) })
}

// choice reads one of a few words.
func (s section) choice(k string, words ...string) string {
	return s.text(k, strings.Join(words, " or "), words[0], func(v string) bool { return slices.Contains(words, v) })
}

// flag reads true or false; false is the default.
func (s section) flag(k string) bool {
	n := s.get(k)
	if n == nil {
		return false
	}
	if n.kind != boolean {
		s.r.wrong(n, s.key(k), "true or false")
	}
	return n.kind == boolean && strings.EqualFold(n.text, "true")
}

// whole reads a whole number from 1 to most.
func (s section) whole(k string, def, most int) int { return s.between(k, def, 1, most) }

// count reads a whole number from 0, the default, to most.
func (s section) count(k string, most int) int { return s.between(k, 0, 0, most) }

func (s section) between(k string, def, least, most int) int {
	n := s.get(k)
	if n == nil {
		return def
	}
	v, err := strconv.Atoi(n.text)
	if n.kind != number || err != nil || v < least || v > most {
		s.r.wrong(n, s.key(k), fmt.Sprintf("a whole number from %d to %d", least, most))
		return def
	}
	return v
}

// items gives what is listed under k, each with its full name.
func (s section) items(k, want string) []item {
	n := s.get(k)
	if n == nil {
		return nil
	}
	if n.kind != list {
		s.r.wrong(n, s.key(k), want)
		return nil
	}
	out := make([]item, len(n.items))
	for i, it := range n.items {
		out[i] = item{node: it, key: fmt.Sprintf("%s[%d]", s.key(k), i)}
	}
	return out
}

type item struct {
	*node
	key string
}

// texts reads a list of texts under k. Each is read with parse, which may
// change it; none may come twice.
func (s section) texts(k, want, each string, parse func(string) (string, bool)) []string {
	var out []string
	for _, it := range s.items(k, want) {
		v, ok := "", false
		if it.kind == text {
			v, ok = parse(it.text)
		}
		switch {
		case !ok:
			s.r.wrong(it.node, it.key, each)
		case slices.Contains(out, v):
			s.r.problem(it.line, it.col, "%s: want each once, got %s again", it.key, show(v))
		default:
			out = append(out, v)
		}
	}
	return out
}

// describe says what n is, for a message.
func describe(n *node) string {
	switch n.kind {
	case text:
		return show(n.text)
	case boolean, number:
		return fmt.Sprintf("%s, %s", kindName(n.kind), printable(n.text))
	default:
		return kindName(n.kind)
	}
}

func kindName(k kind) string {
	switch k {
	case null:
		return "nothing"
	case text:
		return "text"
	case boolean:
		return "a boolean"
	case number:
		return "a number"
	case mapping:
		return "a mapping"
	case list:
		return "a list"
	default:
		return "something that is not understood"
	}
}

// credentials is what "user:password@" looks like, wherever it stands.
var credentials = regexp.MustCompile(`:.*@|\?`)

// show quotes a value for a message: short, on one line, and not at all where
// it may hold a password or, in a query, a token.
func show(v string) string {
	switch {
	case v == "":
		return "empty text"
	case credentials.MatchString(v):
		return "something else (not shown: it may hold a secret)"
	default:
		return `"` + printable(v) + `"`
	}
}

// printable shortens v and escapes what a terminal would act upon.
func printable(v string) string {
	const most = 80
	if short := []rune(v); len(short) > most {
		v = string(short[:most]) + "…"
	}
	q := fmt.Sprintf("%q", v)
	return q[1 : len(q)-1]
}

// didYouMean names the known key that is nearest to word.
func didYouMean(word string, among ...[]string) string {
	plain := strings.NewReplacer("_", "", "-", "")
	w := plain.Replace(strings.ToLower(word))
	best, at := "", min(2, len(w)/3)+1
	if len(w) > 64 {
		return ""
	}
	for _, k := range slices.Concat(among...) {
		if d := distance(w, plain.Replace(strings.ToLower(k))); d < at {
			best, at = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(`, did you mean "%s"?`, best)
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour to get from a to b (optimal string alignment).
func distance(a, b string) int {
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
