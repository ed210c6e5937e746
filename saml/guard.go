package saml

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of the guard. They are far above what an identity provider sends
// (1,000 groups fit) and far below what hurts.
const (
	maxDecoded    = 256 << 10 // octets of a decoded answer, or of a decrypted assertion
	maxDepth      = 40
	maxElements   = 5000
	maxAttributes = 64  // of one element, namespace declarations included
	maxBindings   = 64  // namespace declarations in force at any one place
	maxName       = 256 // octets of a name, an ID or a namespace
)

// A node is an element as the guard read it: names resolved, references
// replaced, comments gone. Nothing in it is what encoding/xml made of it.
type node struct {
	parent *node
	prefix string
	name
	attrs    []attr
	bindings []binding // the namespace declarations written on this element
	kids     []kid
	els      []*node // the elements among kids
}

// A name is what an element is called once prefixes are out of the way.
type name struct{ space, local string }

type attr struct {
	prefix string
	name
	value string
}

type binding struct{ prefix, space string }

// A kid is an element, or text when el is nil.
type kid struct {
	el   *node
	text string
}

// text is what an element without elements holds.
func (n *node) text() string {
	if len(n.kids) == 0 {
		return ""
	}
	return n.kids[0].text // the pieces were joined while reading
}

// attr is the value of the attribute without a namespace that has that name.
func (n *node) attr(local string) (string, bool) {
	for _, a := range n.attrs {
		if a.space == "" && a.local == local {
			return a.value, true
		}
	}
	return "", false
}

// value is like attr, with an empty string for an attribute that is absent.
func (n *node) value(local string) string {
	v, _ := n.attr(local)
	return v
}

// child is the first child element of that name, or nil.
func (n *node) child(want name) *node {
	for _, el := range n.els {
		if el.name == want {
			return el
		}
	}
	return nil
}

// lookup is the namespace that a prefix stands for at n.
func (n *node) lookup(prefix string) (string, bool) {
	for ; n != nil; n = n.parent {
		for _, b := range n.bindings {
			if b.prefix == prefix {
				return b.space, true
			}
		}
	}
	return "", false
}

// reader reads one document. The language is XML 1.0 with namespaces, less
// what SAML forbids or has no use for: DTDs, processing instructions, names
// outside ASCII, relative namespaces, text next to elements, and comments in
// an element that has no elements.
type reader struct {
	src      string
	at       int
	elements int
	bindings []binding // in force here, innermost last
	ids      map[string]struct{}
	seen     map[name]struct{} // names of attributes, for elements with many
}

// read gives the one element of src. IDs must be new to ids, which collects
// them: a decrypted assertion must not repeat one of its envelope.
func read(src string, ids map[string]struct{}) (*node, error) {
	if !utf8.ValidString(src) {
		return nil, errors.New("the text is not UTF-8")
	}
	for i := range len(src) {
		if c := src[i]; c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return nil, fmt.Errorf("control character at octet %d", i)
		}
	}
	if strings.Contains(src, "\uFFFE") || strings.Contains(src, "\uFFFF") {
		return nil, errors.New("a character that XML does not have")
	}
	if strings.Contains(src, "\r") { // XML 1.0, section 2.11
		src = strings.ReplaceAll(strings.ReplaceAll(src, "\r\n", "\n"), "\r", "\n")
	}
	r := &reader{src: strings.TrimPrefix(src, "\uFEFF"), ids: ids}
	root, err := r.document()
	if err != nil {
		return nil, fmt.Errorf("%w at octet %d", err, r.at)
	}
	return root, nil
}

var errCut = errors.New("the text ends early")

func (r *reader) rest() string { return r.src[r.at:] }

// take steps over s if it comes next.
func (r *reader) take(s string) bool {
	if strings.HasPrefix(r.rest(), s) {
		r.at += len(s)
		return true
	}
	return false
}

// space steps over white space and says whether there was any.
func (r *reader) space() bool {
	from := r.at
	for r.at < len(r.src) && isSpace(r.src[r.at]) {
		r.at++
	}
	return r.at > from
}

// until steps behind the next end and gives what stands before it.
func (r *reader) until(end string) (string, error) {
	i := strings.Index(r.rest(), end)
	if i < 0 {
		return "", errCut
	}
	s := r.src[r.at : r.at+i]
	r.at += i + len(end)
	return s, nil
}

func (r *reader) document() (*node, error) {
	if err := r.declaration(); err != nil {
		return nil, err
	}
	r.space()
	for r.take("<!--") {
		if err := r.comment(); err != nil {
			return nil, err
		}
		r.space()
	}
	if !r.take("<") {
		return nil, errors.New("no element where the root should be")
	}
	root, err := r.element(nil, 1)
	if err != nil {
		return nil, err
	}
	r.space()
	if r.at != len(r.src) {
		return nil, errors.New("something follows the root element")
	}
	return root, nil
}

// declaration reads the XML declaration, which may name UTF-8 and no other
// encoding.
func (r *reader) declaration() error {
	if !r.take("<?xml") {
		return nil
	}
	if !r.space() {
		return errors.New("a processing instruction")
	}
	text, err := r.until("?>")
	if err != nil {
		return err
	}
	rest := strings.ReplaceAll(strings.TrimRight(text, " \t\n"), "'", `"`)
	rest, ok := strings.CutPrefix(rest, `version="1.0"`)
	if encoding, found := strings.CutPrefix(rest, ` encoding="`); found {
		encoding, rest, _ = strings.Cut(encoding, `"`)
		ok = ok && strings.EqualFold(encoding, "utf-8")
	}
	if !ok || rest != "" && rest != ` standalone="yes"` && rest != ` standalone="no"` {
		return errors.New("an XML declaration other than version 1.0 in UTF-8")
	}
	return nil
}

// comment steps over a comment whose opening has been taken.
func (r *reader) comment() error {
	text, err := r.until("-->")
	if err == nil && (strings.Contains(text, "--") || strings.HasSuffix(text, "-")) {
		err = errors.New("two hyphens within a comment")
	}
	return err
}

// element reads an element whose "<" has been taken.
func (r *reader) element(parent *node, depth int) (*node, error) {
	r.elements++
	switch {
	case depth > maxDepth:
		return nil, fmt.Errorf("more than %d elements deep", maxDepth)
	case r.elements > maxElements:
		return nil, fmt.Errorf("more than %d elements", maxElements)
	}
	from := r.at
	n := &node{parent: parent}
	var err error
	if n.prefix, n.local, err = r.qname(); err != nil {
		return nil, err
	}
	tag := r.src[from:r.at]
	outer := len(r.bindings)
	empty, err := r.attributes(n)
	if err != nil {
		return nil, err
	}
	if !empty {
		if err := r.content(n, depth); err != nil {
			return nil, err
		}
		if !r.take(tag) {
			return nil, fmt.Errorf("the end tag of %s is another's", n.local)
		}
		r.space()
		if !r.take(">") {
			return nil, errors.New("an end tag that does not end")
		}
	}
	r.bindings = r.bindings[:outer]
	return n, nil
}

// content reads up to and with the "</" of n's end tag.
func (r *reader) content(n *node, depth int) error {
	commented := false
	for {
		text, err := r.until("<")
		if err != nil {
			return err
		}
		if strings.Contains(text, "]]>") {
			return errors.New("the end of a CDATA section in text")
		}
		if text, err = unescape(text); err != nil {
			return err
		}
		n.addText(text)
		switch {
		case r.take("/"):
			return n.settle(commented)
		case r.take("!--"):
			commented = true
			err = r.comment()
		case r.take("![CDATA["):
			if text, err = r.until("]]>"); err == nil {
				n.addText(text)
			}
		case r.take("!"), r.take("?"):
			err = errors.New("a declaration or processing instruction")
		default:
			var el *node
			if el, err = r.element(n, depth+1); err == nil {
				n.kids = append(n.kids, kid{el: el})
				n.els = append(n.els, el)
			}
		}
		if err != nil {
			return err
		}
	}
}

// settle holds a whole element against the two rules on what may stand
// side by side. A value with a comment in it reads differently in different
// programs, and text next to elements has no meaning in SAML.
func (n *node) settle(commented bool) error {
	if len(n.els) == 0 {
		if commented {
			return fmt.Errorf("a comment within the value of %s", n.local)
		}
		n.join()
		return nil
	}
	for _, k := range n.kids {
		if k.el == nil && !blank(k.text) {
			return fmt.Errorf("text next to elements in %s", n.local)
		}
	}
	return nil
}

func (n *node) addText(text string) {
	if text != "" {
		n.kids = append(n.kids, kid{text: text})
	}
}

// join makes one text of the pieces that CDATA sections leave.
func (n *node) join() {
	if len(n.kids) < 2 {
		return
	}
	var b strings.Builder
	for _, k := range n.kids {
		b.WriteString(k.text)
	}
	n.kids = append(n.kids[:0], kid{text: b.String()})
}

// qname reads a name and its prefix.
func (r *reader) qname() (prefix, local string, err error) {
	if local, err = r.ncname(); err == nil && r.take(":") {
		prefix = local
		local, err = r.ncname()
	}
	return prefix, local, err
}

func (r *reader) ncname() (string, error) {
	from := r.at
	for r.at < len(r.src) && isNameByte(r.src[r.at], r.at == from) {
		r.at++
	}
	if r.at == from || r.at-from > maxName {
		return "", errors.New("something that is not a name of ours")
	}
	return r.src[from:r.at], nil
}
