package scim

import (
	"iter"
	"net/http"
	"slices"
	"strings"

	"portcullis/fault"
)

// How a reference to what another operation makes begins (RFC 7644, section
// 3.7.2): in a document, in a filter there, and in a path.
const (
	bulkRef   = "bulkId:"
	quotedRef = `"` + bulkRef
	pathRef   = "/" + bulkRef
)

// references gives the bulkIds that a text of a document refers to, each with
// where the reference begins: the text as a whole, or what stands in quotation
// marks in it, as in members[value eq "bulkId:x"].
func references(text string) iter.Seq2[int, string] {
	if ref, whole := strings.CutPrefix(text, bulkRef); whole {
		return func(yield func(int, string) bool) { yield(0, ref) }
	}
	return referencesAfter(quotedRef, text)
}

// referencesAfter gives those that begin after the first byte of open, and end
// before the next such byte. It passes over the text once.
func referencesAfter(open, text string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for at := 0; ; {
			i := strings.Index(text[at:], open)
			if i < 0 {
				return
			}
			at += i + 1
			ref, _, _ := strings.Cut(text[at+len(bulkRef):], open[:1])
			if !yield(at, ref) {
				return
			}
			at += len(bulkRef) + len(ref)
		}
	}
}

// neededBy gives the bulkIds that a path and a document refer to, each once.
func neededBy(path string, doc map[string]any) []string {
	needs := neededIn(doc, nil)
	for _, ref := range referencesAfter(pathRef, path) {
		needs = append(needs, ref)
	}
	slices.Sort(needs)
	return slices.Compact(needs)
}

func neededIn(v any, to []string) []string {
	switch v := v.(type) {
	case string:
		if strings.Contains(v, bulkRef) {
			for _, ref := range references(v) {
				to = append(to, ref)
			}
		}
	case []any:
		for _, e := range v {
			to = neededIn(e, to)
		}
	case map[string]any:
		for _, e := range v {
			to = neededIn(e, to)
		}
	}
	return to
}

// resolve puts identifiers in the place of references.
func (o *bulkOp) resolve(makers map[string]*bulkOp) error {
	if len(o.needs) == 0 {
		return nil
	}
	for _, ref := range o.needs {
		m := makers[ref]
		if m == nil {
			return invalid(typeValue, "no operation of the request has the bulkId %q", clip(ref))
		}
		if m.id == "" {
			return &refusal{status: http.StatusConflict, err: fault.New(fault.Conflict, "the operation with the bulkId %q made nothing", clip(ref))}
		}
	}
	o.path = replaced(o.path, referencesAfter(pathRef, o.path), makers)
	o.data, _ = resolved(o.data, makers).(map[string]any)
	return nil
}

// resolved resolves the references of a document, in place. Every one is known
// and has been made.
func resolved(v any, makers map[string]*bulkOp) any {
	switch v := v.(type) {
	case string:
		if strings.Contains(v, bulkRef) {
			return replaced(v, references(v), makers)
		}
	case []any:
		for i := range v {
			v[i] = resolved(v[i], makers)
		}
	case map[string]any:
		for k := range v {
			v[k] = resolved(v[k], makers)
		}
	}
	return v
}

func replaced(text string, refs iter.Seq2[int, string], makers map[string]*bulkOp) string {
	var b strings.Builder
	from := 0
	for at, ref := range refs {
		b.WriteString(text[from:at])
		b.WriteString(makers[ref].id)
		from = at + len(bulkRef) + len(ref)
	}
	if from == 0 {
		return text
	}
	b.WriteString(text[from:])
	return b.String()
}

// plan is the order in which operations are carried out.
type plan struct {
	ops   []*bulkOp
	ready []int // those that wait for nothing, the next one last
	first int   // none before it is still to come
}

func newPlan(ops []*bulkOp, makers map[string]*bulkOp) *plan {
	p := &plan{ops: ops}
	for i, o := range ops {
		for _, ref := range o.needs {
			if m := makers[ref]; m != nil {
				m.awaitedBy = append(m.awaitedBy, i)
				o.waits++
			}
		}
	}
	for i, o := range slices.Backward(ops) {
		if o.waits == 0 {
			p.ready = append(p.ready, i)
		}
	}
	return p
}

// next takes the first operation that needs none that is still to come; nil:
// all are done. If there is none, what is left waits for itself, and the first
// of them comes with that as its error. An operation that is taken is done when
// the next one is asked for.
func (p *plan) next() (*bulkOp, error) {
	if last := len(p.ready) - 1; last >= 0 {
		o := p.ops[p.ready[last]]
		p.ready = p.ready[:last]
		p.release(o)
		return o, nil
	}
	for p.first < len(p.ops) && p.ops[p.first].done {
		p.first++
	}
	if p.first == len(p.ops) {
		return nil, nil //nolint:nilnil // nothing is left, and that is no fault
	}
	o := p.ops[p.first]
	p.release(o)
	return o, &refusal{
		status: http.StatusConflict, err: fault.New(fault.Conflict, "the operation waits for one that waits for it: their bulkIds go round in a circle"),
	}
}

// release lets those come that waited for an operation last.
func (p *plan) release(o *bulkOp) {
	o.done = true
	for _, i := range o.awaitedBy {
		waiting := p.ops[i]
		if waiting.waits--; waiting.waits > 0 || waiting.done {
			continue
		}
		at, _ := slices.BinarySearchFunc(p.ready, i, func(one, other int) int { return other - one })
		p.ready = slices.Insert(p.ready, at, i)
	}
}
