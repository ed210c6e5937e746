// Package languagetest looks at pages as somebody who reads one language.
package languagetest

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// Reader knows what a language says. It is made for one test.
type Reader struct {
	tag   string
	says  map[string]bool
	forms []form
}

// form is a translation with values.
type form struct {
	shape *regexp.Regexp
	verbs string
}

var verb = regexp.MustCompile(`%(?:\\\[\d\\\])?([sqvdw])`)

// Texts reads a catalogue as it is written, from a folder beside that of package
// language.
func Texts(t testing.TB, tag string) map[string]string {
	t.Helper()
	data, err := os.ReadFile("../language/catalogues/" + tag + ".json") //nolint:gosec // G304: a file of this repository, for a test
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Texts map[string]string }
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	return f.Texts
}

// Read makes a reader of a language other than English.
func Read(t testing.TB, tag string) *Reader {
	t.Helper()
	r := &Reader{tag: tag, says: make(map[string]bool)}
	for _, text := range Texts(t, tag) {
		text = plain(text)
		r.says[text], r.says[sentence(text)], r.says[strings.TrimSuffix(sentence(text), ".")] = true, true, true
		quoted := regexp.QuoteMeta(text)
		found := verb.FindAllStringSubmatch(quoted, -1)
		if len(found) == 0 {
			continue
		}
		f := form{}
		for _, m := range found {
			f.verbs += m[1]
		}
		f.shape = regexp.MustCompile(`(?is)^` + verb.ReplaceAllString(quoted, `(.*?)`) + `\.?$`)
		r.forms = append(r.forms, f)
	}
	return r
}

// plain makes one of all spaces.
func plain(text string) string { return strings.Join(strings.Fields(text), " ") }

func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[size:], ".") + "."
}

// Rest gives what of a page is neither of the language nor one of the data: texts
// that are seen or read aloud. What stands in an element of another language is
// not looked at.
func (r *Reader) Rest(t testing.TB, page string, data ...string) (rest []string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var walk func(*html.Node)
	look := func(text string) {
		for piece := range strings.SplitSeq(text, "·") {
			if piece = plain(strings.Trim(piece, "✓✗ ")); !r.understands(piece, data) {
				rest = append(rest, piece)
			}
		}
	}
	walk = func(n *html.Node) {
		switch {
		case n.Type == html.TextNode:
			look(n.Data)
			return
		case n.Type == html.ElementNode && (n.Data == "script" || n.Data == "style"):
			return
		}
		for _, a := range n.Attr {
			switch a.Key {
			case "lang":
				if a.Val != r.tag && n.Data != "html" {
					return
				}
				if a.Val != r.tag {
					rest = append(rest, "lang="+a.Val)
				}
			case "aria-label", "alt", "placeholder":
				look(a.Val)
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(doc)
	return rest
}

func (r *Reader) understands(text string, data []string) bool {
	if r.says[text] || slices.Contains(data, text) || !strings.ContainsFunc(text, unicode.IsLetter) {
		return true
	}
	for _, f := range r.forms {
		values := f.shape.FindStringSubmatch(text)
		fits := values != nil
		for i := 0; fits && i < len(f.verbs); i++ {
			fits = f.verbs[i] != 'w' && !strings.ContainsFunc(values[i+1], unicode.IsLetter) || r.understands(values[i+1], data)
		}
		if fits {
			return true
		}
	}
	return false
}
