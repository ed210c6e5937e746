package saml

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// attributes reads the rest of a start tag, resolves its names and says
// whether the element ended with it.
func (r *reader) attributes(n *node) (bool, error) {
	for {
		spaced := r.space()
		if r.take(">") {
			return false, r.resolve(n)
		}
		if r.take("/>") {
			return true, r.resolve(n)
		}
		if !spaced {
			return false, errors.New("no white space before an attribute")
		}
		if len(n.attrs)+len(n.bindings) == maxAttributes {
			return false, fmt.Errorf("more than %d attributes on %s", maxAttributes, n.local)
		}
		prefix, local, err := r.qname()
		if err != nil {
			return false, err
		}
		value, err := r.quoted()
		if err != nil {
			return false, err
		}
		switch {
		case prefix == "xmlns":
			err = r.bind(n, local, value)
		case prefix == "" && local == "xmlns":
			err = r.bind(n, "", value)
		default:
			n.attrs = append(n.attrs, attr{prefix: prefix, name: name{local: local}, value: value})
		}
		if err != nil {
			return false, err
		}
	}
}

// quoted reads = and an attribute's value, with the white space that
// XML 1.0, section 3.3.3, makes of line ends and tabs.
func (r *reader) quoted() (string, error) {
	r.space()
	if !r.take("=") {
		return "", errors.New("an attribute without a value")
	}
	r.space()
	quote := `"`
	if !r.take(quote) {
		if quote = "'"; !r.take(quote) {
			return "", errors.New("an attribute without quotes")
		}
	}
	value, err := r.until(quote)
	if err != nil {
		return "", err
	}
	if strings.Contains(value, "<") {
		return "", errors.New("an angle bracket within an attribute")
	}
	if strings.ContainsAny(value, "\t\n") {
		value = strings.NewReplacer("\t", " ", "\n", " ").Replace(value)
	}
	return unescape(value)
}

// bind takes a namespace declaration. Only absolute URIs in plain ASCII are
// taken: a relative one has no canonical form (Canonical XML 1.0, section
// 4.1), and programs differ in what they do instead.
func (r *reader) bind(n *node, prefix, space string) error {
	switch {
	case prefix == "xml" || prefix == "xmlns" || space == nsXML || space == "http://www.w3.org/2000/xmlns/":
		return errors.New("a reserved prefix or namespace is declared")
	case space == "" && prefix != "":
		return errors.New("a prefix is declared to mean nothing")
	case space != "" && !isNamespace(space):
		return errors.New("a namespace that is not an absolute uri")
	case len(r.bindings) == maxBindings:
		return fmt.Errorf("more than %d namespace declarations in force", maxBindings)
	}
	for _, b := range n.bindings {
		if b.prefix == prefix {
			return fmt.Errorf("prefix %q is declared twice on %s", prefix, n.local)
		}
	}
	n.bindings = append(n.bindings, binding{prefix, space})
	r.bindings = append(r.bindings, binding{prefix, space})
	return nil
}

// isNamespace is whether s begins with a scheme and has only characters that
// are written the same way everywhere.
func isNamespace(s string) bool {
	scheme, _, found := strings.Cut(s, ":")
	if !found || scheme == "" || len(s) > maxName {
		return false
	}
	for i := range len(scheme) {
		if c := scheme[i] | 0x20; (c < 'a' || c > 'z') && (i == 0 || !strings.Contains("0123456789+-.", scheme[i:i+1])) {
			return false
		}
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7F || strings.IndexByte("\"'<>&\\^`{|}", c) >= 0 {
			return false
		}
	}
	return true
}

func (r *reader) lookup(prefix string) (string, bool) {
	if prefix == "xml" {
		return nsXML, true
	}
	for _, b := range slices.Backward(r.bindings) {
		if b.prefix == prefix {
			return b.space, true
		}
	}
	return "", prefix == "" // no default namespace declared: no namespace
}

// resolve gives the names of a start tag their namespaces and looks for what
// is there twice.
func (r *reader) resolve(n *node) error {
	var ok bool
	if n.space, ok = r.lookup(n.prefix); !ok || n.prefix == "xml" {
		return fmt.Errorf("prefix %q of %s is not declared", n.prefix, n.local)
	}
	for i := range n.attrs {
		a := &n.attrs[i]
		if a.prefix != "" { // the default namespace is not for attributes
			if a.space, ok = r.lookup(a.prefix); !ok {
				return fmt.Errorf("prefix %q of attribute %s is not declared", a.prefix, a.local)
			}
		}
		if r.twice(n.attrs, i) {
			return fmt.Errorf("attribute %s is there twice", a.local)
		}
		if err := r.identify(a); err != nil {
			return err
		}
	}
	return nil
}

// few is up to how many attributes are compared one by one. Real elements
// have no more; with each other, all of 64 on each of 660 elements would cost
// as much as the rest of the judgement together.
const few = 8

// twice is whether attribute i has the name of one before it. It is asked of
// each attribute of an element in turn.
func (r *reader) twice(attrs []attr, i int) bool {
	if len(attrs) <= few {
		return slices.ContainsFunc(attrs[:i], func(b attr) bool { return b.name == attrs[i].name })
	}
	if i == 0 {
		if r.seen == nil {
			r.seen = make(map[name]struct{}, maxAttributes)
		}
		clear(r.seen)
	}
	before := len(r.seen)
	r.seen[attrs[i].name] = struct{}{}
	return len(r.seen) == before
}

// identify takes note of whatever any program may take for an ID: in
// whichever case it is written, and without a namespace, since no ID of
// SAML's has one.
func (r *reader) identify(a *attr) error {
	if !strings.EqualFold(a.local, "id") {
		return nil
	}
	if a.prefix != "" {
		return errors.New("an ID in a namespace")
	}
	if !isID(a.value) {
		return errors.New("an ID that is not a name")
	}
	if _, taken := r.ids[a.value]; taken {
		return errors.New("two elements have one ID")
	}
	r.ids[a.value] = struct{}{}
	return nil
}
