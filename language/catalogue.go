package language

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// text is the translation of one.
type text struct {
	format string // for fmt
	parts  []part // of a text with values
}

// part is a piece of a format: what stands there, and the value behind it.
type part struct {
	literal string
	verb    byte // s, q, v or d for a value, w for a value that is a text of ours; 0 at the end
	value   int  // which one, from 0
}

// shape is a text with values, to be found again in what was made of it.
type shape struct {
	literals []string // around the values: one more than those
	verbs    []byte   // of the values
	into     []part   // the translation
	definite int      // letters in the literals
}

// file is a catalogue as it is written.
type file struct {
	Name  string          `json:"name"`
	Texts json.RawMessage `json:"texts"`
}

// Parse reads the catalogue of a language: an object with the name that the
// language has for itself, and the translation of each English text. In either, a
// value stands as "%s", "%q", "%d" or "%v", and as "%w" where it is a text of the
// catalogue itself; in a translation "%[2]s" is the second one. It reports every
// mistake.
func Parse(tag string, data []byte) (*Language, error) {
	var f file
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("catalogue %s: %w", tag, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("catalogue %s: want one object", tag)
	}
	pairs, err := pairsOf(f.Texts)
	if err != nil {
		return nil, fmt.Errorf("catalogue %s: %w", tag, err)
	}
	l := &Language{tag: tag, name: f.Name, texts: make(map[string]text, len(pairs))}
	errs := []error{plain(f.Name)}
	for _, p := range pairs {
		if err := l.add(p[0], p[1]); err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", p[0], err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("catalogue %s: %w", tag, err)
	}
	slices.SortFunc(l.shapes, func(a, b shape) int {
		return cmp.Or(cmp.Compare(a.open(), b.open()), cmp.Compare(b.definite, a.definite), slices.Compare(a.literals, b.literals))
	})
	return l, nil
}

// pairsOf reads an object of strings in its order; encoding/json would keep the
// last of two members of a name.
func pairsOf(object []byte) (pairs [][2]string, err error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("texts: want an object")
	}
	for d.More() {
		var p [2]string
		for i := range p {
			t, err := d.Token()
			if err != nil {
				return nil, err
			}
			s, ok := t.(string)
			if !ok {
				return nil, fmt.Errorf("texts: want strings, got %v", t)
			}
			p[i] = s
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

// add takes a translation in.
func (l *Language) add(english, translation string) error {
	if _, ok := l.texts[english]; ok {
		return errors.New("it stands there twice")
	}
	if err := errors.Join(plain(english), plain(translation)); err != nil {
		return err
	}
	from, err := split(english)
	if err != nil {
		return err
	}
	to, err := split(translation)
	if err != nil {
		return fmt.Errorf("translation: %w", err)
	}
	if err := sameValues(from, to); err != nil {
		return err
	}
	t := text{format: translation}
	if len(from) > 1 {
		t.parts = to
		l.shape(from, to)
	}
	l.texts[english] = t
	return nil
}

// leastDefinite is how many letters of its own a text has, around values that
// can be anything, if it is to be found again.
const leastDefinite = 6

// shape notes how a text with values can be found again. What says too little
// of its own can only be said.
func (l *Language) shape(from, to []part) {
	s := shape{into: to}
	for i, p := range from {
		s.literals = append(s.literals, p.literal)
		if i < len(from)-1 {
			s.verbs = append(s.verbs, p.verb)
		}
		for _, r := range p.literal {
			if unicode.IsLetter(r) {
				s.definite++
			}
		}
	}
	if s.definite >= leastDefinite || !slices.ContainsFunc(s.verbs, func(verb byte) bool { return verb != 'w' }) {
		l.shapes = append(l.shapes, s)
	}
}

// plain refuses what is no line of text: nothing in a catalogue is markup.
func plain(s string) error {
	switch {
	case strings.TrimSpace(s) == "" || s != strings.TrimSpace(s):
		return fmt.Errorf("want text without space around it, got %q", s)
	case strings.ContainsAny(s, "<>&{}\\`") || strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("want text without markup, got %q", s)
	default:
		return nil
	}
}

// split takes a format apart. The last part has no value. A format has no other
// verbs, no flags, and no "%%".
func split(format string) (parts []part, err error) {
	for next := 0; ; {
		literal, rest, found := strings.Cut(format, "%")
		p := part{literal: literal}
		if !found {
			return append(parts, p), nil
		}
		if p.value = next; len(rest) > 2 && rest[0] == '[' && '1' <= rest[1] && rest[1] <= '9' && rest[2] == ']' {
			p.value, rest = int(rest[1]-'1'), rest[3:]
		}
		if rest == "" || !strings.ContainsRune("sqvdw", rune(rest[0])) {
			return nil, fmt.Errorf("want %%s, %%q, %%v, %%d or %%w after %q", literal)
		}
		p.verb, next, format = rest[0], p.value+1, rest[1:]
		parts = append(parts, p)
	}
}

// sameValues holds the values of a translation against those of its text.
func sameValues(from, to []part) error {
	if len(from) != len(to) {
		return fmt.Errorf("the translation has %d values, the text %d", len(to)-1, len(from)-1)
	}
	seen := make([]bool, len(from)-1)
	for i, p := range from[:len(from)-1] {
		if p.value != i {
			return errors.New("the values of a text stand in their order")
		}
	}
	for _, p := range to[:len(to)-1] {
		switch {
		case p.value >= len(seen) || seen[p.value]:
			return fmt.Errorf("the translation wants value %d, or wants it twice", p.value+1)
		case p.verb != from[p.value].verb:
			return fmt.Errorf("value %d is %%%c, not %%%c", p.value+1, from[p.value].verb, p.verb)
		}
		seen[p.value] = true
	}
	return nil
}

// open is 1 for a text that begins with a value, which could be the beginning of
// another text as well, and 0 for any other.
func (s *shape) open() int {
	if s.literals[0] == "" {
		return 1
	}
	return 0
}

// match finds the values in what may have been made of the text: each as short
// as what is around it allows. One in quotation marks holds none, so that it is not
// taken for several and what stands between them.
func (s *shape) match(made string) (values []string, ok bool) {
	last := len(s.literals) - 1
	rest, ok := strings.CutPrefix(made, s.literals[0])
	if !ok {
		return nil, false
	}
	if rest, ok = strings.CutSuffix(rest, s.literals[last]); !ok {
		return nil, false
	}
	for _, literal := range s.literals[1:last] {
		value, behind, ok := strings.Cut(rest, literal)
		if !ok {
			return nil, false
		}
		values, rest = append(values, value), behind
	}
	values = append(values, rest)
	for i, v := range values {
		quoted := strings.HasSuffix(s.literals[i], "“") && strings.HasPrefix(s.literals[i+1], "”")
		if s.verbs[i] == 'd' && (v == "" || strings.Trim(v, "0123456789") != "") || quoted && strings.ContainsAny(v, "“”") {
			return nil, false
		}
	}
	return values, true
}

// fill puts values into the translation.
func (s *shape) fill(values []string) string {
	var b strings.Builder
	for _, p := range s.into {
		b.WriteString(p.literal)
		if p.verb != 0 {
			b.WriteString(values[p.value])
		}
	}
	return b.String()
}
