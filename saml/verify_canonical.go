package saml

import (
	"cmp"
	"errors"
	"slices"
	"strings"
)

// canonical is the exclusive canonical form of apex without comments
// (https://www.w3.org/TR/xml-exc-c14n/), with the element omit left out: the
// signature that the enveloped-signature transform removes. The prefixes in
// inclusive are treated as the specification's InclusiveNamespaces are.
//
// Namespace declarations are repeated wherever a sibling needs them, so the
// form can be longer than what was sent; limit bounds it.
func canonical(apex, omit *node, inclusive []string, limit int) (string, error) {
	w := canonicalizer{omit: omit, inclusive: inclusive, limit: limit}
	w.out = make([]byte, 0, min(limit, 4<<10))
	if err := w.element(apex, true); err != nil {
		return "", err
	}
	return string(w.out), nil
}

type canonicalizer struct {
	out       []byte
	omit      *node
	inclusive []string
	limit     int
	rendered  []binding // in force in the output, innermost last
	attrs     []*attr   // scratch
}

func (w *canonicalizer) element(n *node, apex bool) error {
	if len(w.out) > w.limit {
		return errors.New("the canonical form is too long")
	}
	outer := len(w.rendered)
	w.out = append(w.out, '<')
	w.tag(n)
	w.namespaces(n, apex)
	w.attributes(n)
	w.out = append(w.out, '>')
	for _, k := range n.kids {
		switch {
		case k.el == nil:
			w.escape(k.text, textEscapes)
		case k.el != w.omit:
			if err := w.element(k.el, false); err != nil {
				return err
			}
		}
	}
	w.out = append(w.out, '<', '/')
	w.tag(n)
	w.out = append(w.out, '>')
	w.rendered = w.rendered[:outer]
	return nil
}

func (w *canonicalizer) tag(n *node) {
	if n.prefix != "" {
		w.out = append(append(w.out, n.prefix...), ':')
	}
	w.out = append(w.out, n.local...)
}

// namespaces writes the declarations that n visibly uses, and those of
// inclusive prefixes, less what the output has in force already.
func (w *canonicalizer) namespaces(n *node, apex bool) {
	first := len(w.rendered)
	w.render(binding{n.prefix, n.space})
	for i := range n.attrs {
		if a := &n.attrs[i]; a.prefix != "" && a.prefix != "xml" {
			w.render(binding{a.prefix, a.space})
		}
	}
	for _, prefix := range w.inclusive {
		if apex {
			if space, ok := n.lookup(prefix); ok {
				w.render(binding{prefix, space})
			}
			continue
		}
		for _, b := range n.bindings {
			if b.prefix == prefix {
				w.render(b)
			}
		}
	}
	added := w.rendered[first:]
	slices.SortFunc(added, func(a, b binding) int { return strings.Compare(a.prefix, b.prefix) })
	for _, b := range added {
		w.out = append(w.out, " xmlns"...)
		if b.prefix != "" {
			w.out = append(append(w.out, ':'), b.prefix...)
		}
		w.out = append(w.out, '=', '"')
		w.escape(b.space, valueEscapes)
		w.out = append(w.out, '"')
	}
}

// render puts b in force unless it is so already. xmlns="" is written only
// where a default namespace is to be taken back.
func (w *canonicalizer) render(b binding) {
	before := binding{prefix: b.prefix}
	for _, r := range slices.Backward(w.rendered) {
		if r.prefix == b.prefix {
			before = r
			break
		}
	}
	if before.space != b.space {
		w.rendered = append(w.rendered, b)
	}
}

// attributes writes n's attributes by namespace, then by name.
func (w *canonicalizer) attributes(n *node) {
	w.attrs = w.attrs[:0]
	for i := range n.attrs {
		w.attrs = append(w.attrs, &n.attrs[i])
	}
	slices.SortFunc(w.attrs, func(a, b *attr) int {
		return cmp.Or(strings.Compare(a.space, b.space), strings.Compare(a.local, b.local))
	})
	for _, a := range w.attrs {
		w.out = append(w.out, ' ')
		if a.prefix != "" {
			w.out = append(append(w.out, a.prefix...), ':')
		}
		w.out = append(append(w.out, a.local...), '=', '"')
		w.escape(a.value, valueEscapes)
		w.out = append(w.out, '"')
	}
}

const (
	textEscapes  = "&<>\r"
	valueEscapes = "&<\"\t\n\r"
)

func (w *canonicalizer) escape(s, special string) {
	for {
		i := strings.IndexAny(s, special)
		if i < 0 {
			w.out = append(w.out, s...)
			return
		}
		w.out = append(w.out, s[:i]...)
		switch s[i] {
		case '&':
			w.out = append(w.out, "&amp;"...)
		case '<':
			w.out = append(w.out, "&lt;"...)
		case '>':
			w.out = append(w.out, "&gt;"...)
		case '"':
			w.out = append(w.out, "&quot;"...)
		case '\t':
			w.out = append(w.out, "&#x9;"...)
		case '\n':
			w.out = append(w.out, "&#xA;"...)
		default:
			w.out = append(w.out, "&#xD;"...)
		}
		s = s[i+1:]
	}
}
