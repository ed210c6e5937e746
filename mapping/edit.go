package mapping

import (
	"bytes"
	"slices"
	"strings"
)

// Amendment is one edit of the text of a mapping file. [Set], [Add], [Remove]
// and [Rename] make it; the zero Amendment does nothing.
//
// Set, Add and Remove say where by a path: keys with dots between them, and
// one entry of a list in brackets, by what one of its keys holds, by what it
// is, or by its number from 0:
//
//	rules[id=authoring-team].grant.roles
//	roles.viewer.tasks[=content.view]
//	tests[3].expect
//
// Names with dots, brackets, quotes or = in them are quoted as in Go; [Path]
// and [Entry] do that. Values are strings, bools, numbers, lists ([]any, []string) and
// mappings (map[string]any), as JSON decodes them.
type Amendment struct {
	path  string
	model func(e *editing, root *node) *node
	keys  bool // the names of keys change, and not what they hold
}

// Set makes the value at a path what is given. Of a list or a mapping only
// the entries that differ are touched, and a list of names becomes a mapping
// with these keys where it stands. A last key that is not there is added;
// everything before it must exist.
func Set(path string, value any) Amendment {
	return Amendment{path: path, model: func(e *editing, root *node) *node {
		v, ok := e.node(value, 0)
		if !ok {
			return nil
		}
		return e.set(root, v)
	}}
}

// Add appends a value to the list at a path, or makes that list if its key is
// not there. A string, number or bool that the list has already changes
// nothing.
func Add(path string, value any) Amendment {
	return Amendment{path: path, model: func(e *editing, root *node) *node {
		v, ok := e.node(value, 0)
		if !ok {
			return nil
		}
		return e.add(root, v)
	}}
}

// Remove takes away the entry of a list or the key of a mapping at a path,
// with the comment on its lines and directly above it.
func Remove(path string) Amendment {
	return Amendment{path: path, model: func(e *editing, root *node) *node { return e.remove(root) }}
}

// Rename gives a new name to what kind says, where the file declares it and
// wherever it refers to it. It is refused when the new name is taken, and when
// the file does not have the old one at all: a policy of several files is
// renamed file by file, where [Mentions] finds it. The text of a when is not
// looked into; it is refused when it seems to name a connection.
func Rename(kind Kind, from, to string) Amendment {
	return Amendment{keys: true, model: func(e *editing, root *node) *node { return e.rename(root, kind, from, to) }}
}

// Edit changes a mapping file by splicing its text: one value that changes is
// one line that changes. Comments, blank lines, quotes and brackets stay as
// they are, new entries look like those before them. The file name is for
// messages alone.
//
// The result reads as YAML and differs from the text in nothing but the
// amendments; that is checked before it is returned. Whether it makes a good
// policy is for [Load] to say. One that makes no difference gives the
// text as it was, byte for byte. The error is [Problems]: the text is no YAML
// as mapping files have it, a path leads nowhere, or a value cannot stand in a
// file. Then nothing is changed at all.
func Edit(file string, text []byte, amendments ...Amendment) ([]byte, error) {
	d, err := openDocument(file, string(text))
	if err != nil {
		return nil, err
	}
	for _, c := range amendments {
		if c.model == nil {
			continue
		}
		if d, err = d.change(c); err != nil {
			return nil, err
		}
	}
	return []byte(d.text), nil
}

// Path writes the names of keys as a path, as [Set] and its like read it. The
// selector of an entry goes between two of them:
//
//	Path("rules") + Entry("id", id) + "." + Path("grant", "roles")
func Path(names ...string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = pathName(n)
	}
	return strings.Join(quoted, ".")
}

// Entry writes the selector of the entry of a list whose key holds a value;
// with an empty key, of the entry that is the value.
func Entry(key, value string) string { return "[" + pathName(key) + "=" + pathName(value) + "]" }

// maxRounds bounds how often one change is taken up again: each round makes
// one list or mapping longer or shorter at one place.
const maxRounds = 100

// document is a text that is being edited, with what it means and where each
// value stands. It is immutable.
type document struct {
	file, text string
	root       *node
	site       *site
	src        *source
}

func openDocument(file, text string) (*document, error) {
	src := newSource(file, text)
	d := &document{file: file, text: text, src: src}
	if d.root = parseYAML(src, text); len(src.found) > 0 {
		return nil, src.err()
	}
	if d.root == nil || d.root.kind != kindMap {
		src.fail(src.at(1, 1), "the file is no mapping; want a mapping file")
		return nil, src.err()
	}
	if d.site = surveyText(text, d.root); d.site == nil {
		src.fail(src.at(1, 1), "the places of the values in this file are not understood; edit the text by hand")
		return nil, src.err()
	}
	return d, nil
}

// change makes one change, in as many rounds as it takes.
func (d *document) change(c Amendment) (*document, error) {
	e := &editing{source: &source{d.src.text, &faults{}}, path: c.path}
	want := c.model(e, d.root)
	if err := e.err(); err != nil {
		return nil, err
	}
	if same(d.root, want) {
		return d, nil
	}
	now := d
	for range maxRounds {
		s := &splicer{document: now, keys: c.keys}
		s.value(place{value: now.site, root: true}, want)
		next, err := openDocument(d.file, s.apply())
		if s.refused != "" || err != nil || len(s.splices) == 0 {
			return nil, d.refuse(e, s.refused)
		}
		if now = next; same(now.root, want) {
			return now, nil
		}
	}
	return nil, d.refuse(e, "the lists and mappings there differ at too many places")
}

// refuse is the error for a change that cannot be spliced.
func (d *document) refuse(e *editing, why string) error {
	if why == "" {
		why = "the text there is written in a way that cannot be changed in place"
	}
	e.fail(e.near, "%s; edit the text by hand", why)
	return e.err()
}

// splice replaces a part of the text.
type splice struct {
	from, to int
	text     string
}

func (s *splicer) apply() string {
	slices.SortStableFunc(s.splices, func(a, b splice) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return a.to - b.to
	})
	var out bytes.Buffer
	at := 0
	for _, p := range s.splices {
		if p.from < at || p.to < p.from || p.to > len(s.text) {
			s.refuse("two changes touch in one place")
			return s.text
		}
		out.WriteString(s.text[at:p.from])
		out.WriteString(p.text)
		at = p.to
	}
	out.WriteString(s.text[at:])
	return out.String()
}

// same compares what two trees mean. The order of keys is no difference.
func same(a, b *node) bool {
	if a.kind != b.kind || a.text != b.text || len(a.items) != len(b.items) || len(a.fields) != len(b.fields) {
		return false
	}
	for i := range a.items {
		if !same(a.items[i], b.items[i]) {
			return false
		}
	}
	var byKey map[string]*node
	for i, f := range a.fields {
		if o := b.fields[i]; o.key.text == f.key.text {
			if !same(f.value, o.value) {
				return false
			}
			continue
		}
		if byKey == nil {
			byKey = make(map[string]*node, len(b.fields))
			for _, o := range b.fields {
				byKey[o.key.text] = o.value
			}
		}
		if o := byKey[f.key.text]; o == nil || !same(f.value, o) {
			return false
		}
	}
	return true
}
