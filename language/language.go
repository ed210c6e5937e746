// Package language holds what the pages that everybody meets say, in each of
// their languages, and finds the one that somebody reads.
//
// English is what the templates and the code are written in, and the key to every
// other language: a catalogue is one file, catalogues/TAG.json, in which each
// English text has its translation. Who adds a language adds that file, and
// nothing else.
//
// A text is a format of package fmt. Code that makes a text itself asks
// [Language.Say]. What was made elsewhere, as the message of a fault or a reason
// that was written down, is a sentence already: [Language.Tell] finds the text
// that it was made of, and puts its values into the translation.
//
// Invariants:
//   - A translation takes the values of its text: all of them, each once, and
//     no others.
//   - Nothing in a catalogue is markup, and nothing here makes any: whoever puts
//     a text into a page escapes it, values and all.
//   - What cannot be told whole is not told at all, so that no page mixes
//     languages.
//
// The package knows nothing of pages, requests or people.
package language

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

//go:embed catalogues/*.json
var catalogues embed.FS

// Language is one in which pages are shown. It does not change, and is safe for
// concurrent use. There is one *Language for each, so that they can be compared.
type Language struct {
	tag, name string
	texts     map[string]text // by the English one; nil in English
	shapes    []shape         // of the texts that have values
}

// Tag is the language tag (RFC 5646), as it stands in lang="…".
func (l *Language) Tag() string { return l.tag }

// Name is what the language calls itself.
func (l *Language) Name() string { return l.name }

// all is every language, English first, then by tag.
var all = sync.OnceValue(func() []*Language {
	files, err := fs.Glob(catalogues, "catalogues/*.json")
	if err != nil {
		panic(err) // impossible: the pattern is good
	}
	out := []*Language{{tag: "en", name: "English"}}
	for _, file := range files {
		data, err := catalogues.ReadFile(file)
		if err != nil {
			panic(err) // impossible: the file is embedded
		}
		l, err := Parse(strings.TrimSuffix(path.Base(file), ".json"), data)
		if err != nil {
			panic(err) // impossible: the files are embedded and tested
		}
		out = append(out, l)
	}
	return out
})

// All gives every language in the order in which they are offered.
func All() []*Language { return slices.Clone(all()) }

// English is the language that every text is there in.
func English() *Language { return all()[0] }

// Named gives the language of a tag, and nil if there is none.
func Named(tag string) *Language {
	for _, l := range all() {
		if l.tag == tag {
			return l
		}
	}
	return nil
}

// Say gives a text with its values in it. One that the catalogue lacks is said
// in English.
func (l *Language) Say(english string, values ...any) string {
	if t, ok := l.texts[english]; ok {
		english = t.format
	}
	if len(values) == 0 {
		return english
	}
	return fmt.Sprintf(english, values...)
}

// Tell gives the translation of a finished English text, and whether there is
// one. In English everything is told as it is.
func (l *Language) Tell(english string) (told string, ok bool) {
	if l.texts == nil || english == "" {
		return english, true
	}
	return l.tell(english, maxDepth)
}

// maxDepth bounds how many texts may stand in one another, as a reason does in
// what it is the reason of.
const maxDepth = 8

func (l *Language) tell(english string, depth int) (string, bool) {
	if t, ok := l.texts[english]; ok && len(t.parts) == 0 {
		return t.format, true
	}
	if depth == 0 {
		return "", false
	}
	for i := range l.shapes { // those that begin with words of their own, the most definite one first
		s := &l.shapes[i]
		values, fits := s.match(english)
		for j := 0; fits && j < len(values); j++ {
			if s.verbs[j] == 'w' {
				values[j], fits = l.tell(values[j], depth-1)
			}
		}
		if fits {
			return s.fill(values), true
		}
	}
	return "", false
}
