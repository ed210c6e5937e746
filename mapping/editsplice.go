package mapping

import (
	"slices"
	"strings"
)

// splicer finds the splices that bring a text nearer to what is wanted: every
// value that differs, and one list or mapping that gets longer or shorter.
type splicer struct {
	*document
	keys    bool // names of keys differ, at their places
	splices []splice
	grown   bool
	refused string
}

// place is a value where it stands.
type place struct {
	value   *site
	mark    int  // the end of the dash or colon before it
	flow    bool // it stands in brackets
	root    bool
	section bool // it is what a key of the file itself holds
}

func (s *splicer) refuse(why string) {
	if s.refused == "" {
		s.refused = why
	}
}

func (s *splicer) put(from, to int, text string) {
	s.splices = append(s.splices, splice{from, to, text})
}

func (s *splicer) writer() writer { return writer{s.text} }

// eol is the line end that the text uses.
func (s *splicer) eol() string {
	if i := strings.IndexByte(s.text, '\n'); i > 0 && s.text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// value changes a value to what is wanted.
func (s *splicer) value(p place, want *node) {
	now := p.value
	switch {
	case same(now.node, want):
	case now.names(want):
		s.keyed(p, want)
	case now.kind != want.kind || now.scalar():
		s.replace(p, want)
	case len(now.entries) == 0 || len(want.items)+len(want.fields) == 0:
		s.whole(p, want)
	case want.kind == kindList:
		s.list(p, want)
	default:
		s.mapping(p, want)
	}
}

// names reports whether a list has the keys of a mapping, and nothing else.
func (n *site) names(want *node) bool {
	if n.kind != kindList || want.kind != kindMap || len(n.items) != len(want.fields) {
		return false
	}
	return !slices.ContainsFunc(want.fields, func(f field) bool {
		return !slices.ContainsFunc(n.items, func(item *node) bool { return item.kind == kindString && item.text == f.key.text })
	})
}

// keyed makes a list of names a mapping that has something below each of them.
// Every name stays where it stands, and every comment.
func (s *splicer) keyed(p place, want *node) {
	now := p.value
	if now.style == styleFlow {
		s.put(now.from, now.from+1, "{")
		s.put(now.to-1, now.to, "}")
	}
	for _, e := range now.entries {
		if now.style != styleFlow {
			s.put(e.from, e.from+1, " ") // its dash
		}
		s.put(e.value.to, e.value.to, ": "+s.writer().flow(want.get(e.value.text), nil))
	}
}

// replace writes another value over one.
func (s *splicer) replace(p place, want *node) {
	now, w := p.value, s.writer()
	switch {
	case now.style == styleAbsent || now.style == styleBlock:
		s.whole(p, want)
	case !want.scalar():
		s.put(now.from, now.to, w.flow(want, nil))
	case want.kind == kindString && (now.style == styleLiteral || now.style == styleFolded):
		text, ok := w.blockText(want.text, now, s.eol())
		if !ok {
			text = w.scalar(want, styleDouble, p.flow)
		}
		s.put(now.from, now.to, text)
	default:
		s.put(now.from, now.to, w.scalar(want, now.style, p.flow))
	}
}

// whole writes a value where there is none, or an empty list or mapping, and
// the reverse.
func (s *splicer) whole(p place, want *node) {
	if s.grown {
		return
	}
	s.grown = true
	now, w := p.value, s.writer()
	empty := want.scalar() || len(want.items)+len(want.fields) == 0
	text := w.flow(want, nil)
	if want.scalar() && !p.flow {
		text = w.scalar(want, styleAbsent, false)
	}
	switch {
	case p.root:
		s.refuse("the file would be empty")
	case now.style == styleBlock:
		s.collapse(p, text)
	case p.section && !p.flow && !empty && s.blank(now.to):
		from := now.from
		for s.text[from-1] == ' ' {
			from--
		}
		s.put(from, now.to, "")
		levels := 1 // entries of a mapping are written in brackets
		if want.kind == kindList {
			levels = 2
		}
		end := s.contentEnd(now.to)
		s.put(end, end, s.lines(w.block(want, nil, 2, levels-1), false))
	case now.style != styleAbsent:
		s.put(now.from, now.to, text)
	case p.mark > 0 && strings.IndexByte(":-", s.text[p.mark-1]) < 0:
		s.put(p.mark, p.mark, ": "+text) // a key in brackets without a colon
	default:
		s.put(p.mark, p.mark, " "+text)
	}
}

// collapse writes a value on one line over a block.
func (s *splicer) collapse(p place, text string) {
	now := p.value
	if strings.Contains(s.text[p.mark:now.from], "\n") {
		first, last := s.extent(now, 0), s.extent(now, len(now.entries)-1)
		s.put(p.mark, p.mark, " "+text)
		s.put(s.contentEnd(first.from-1), s.contentEnd(last.to), "")
		return
	}
	s.put(now.from, now.to, text)
}

// list changes the entries of a list.
func (s *splicer) list(p place, want *node) {
	now := p.value.items
	i, to := 0, min(len(now), len(want.items))
	for i < to && same(now[i], want.items[i]) {
		i++
	}
	endNow, endWant := len(now), len(want.items)
	for endNow > i && endWant > i && same(now[endNow-1], want.items[endWant-1]) {
		endNow, endWant = endNow-1, endWant-1
	}
	kept := common(now[i:endNow], want.items[i:endWant])
	kept = append(kept, [2]int{endNow - i, endWant - i})
	a, b := i, i
	for _, k := range kept {
		nextA, nextB := i+k[0], i+k[1]
		for a < nextA && b < nextB {
			s.value(s.below(p, a), want.items[b])
			a, b = a+1, b+1
		}
		if a < nextA {
			s.removeEntries(p, a, nextA)
		}
		if b < nextB {
			s.insertItems(p, a, want.items[b:nextB])
		}
		a, b = nextA+1, nextB+1
	}
}

func (s *splicer) insertItems(p place, at int, items []*node) {
	s.insertEntries(p, at, func(like []*site, col, levels int) (lines, texts []string) {
		for _, item := range items {
			if p.value.style == styleFlow {
				texts = append(texts, s.writer().flow(item, like))
			} else {
				lines = append(lines, s.writer().item(item, like, col, levels)...)
			}
		}
		return lines, texts
	})
}

// common is a longest sequence of pairs of entries that are the same.
func common(a, b []*node) [][2]int {
	const most = 1 << 20 // pairs that are looked at; beyond it all are replaced
	if len(a)*len(b) > most {
		return nil
	}
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := range slices.Backward(a) {
		for j := range slices.Backward(b) {
			if same(a[i], b[j]) {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var pairs [][2]int
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case same(a[i], b[j]):
			pairs = append(pairs, [2]int{i, j})
			i, j = i+1, j+1
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return pairs
}

// below is the place of an entry's value.
func (s *splicer) below(p place, i int) place {
	e := &p.value.entries[i]
	return place{value: e.value, mark: e.mark, flow: p.flow || p.value.style == styleFlow, section: p.root}
}

// mapping changes the fields of a mapping.
func (s *splicer) mapping(p place, want *node) {
	now := p.value
	for i := range now.entries {
		e := &now.entries[i]
		if v := want.get(e.key.text); v != nil {
			s.value(s.below(p, i), v)
			continue
		}
		if s.keys && len(now.fields) == len(want.fields) {
			f := want.fields[s.renamed(now, want, i)]
			s.put(e.key.from, e.key.to, s.renamedKey(e.key, f.key.text, p.flow || now.style == styleFlow))
			s.value(s.below(p, i), f.value)
			continue
		}
		s.removeEntries(p, i, i+1)
	}
	if s.keys && len(now.fields) == len(want.fields) {
		return
	}
	for _, f := range want.fields {
		if now.get(f.key.text) == nil {
			s.insertField(p, f)
		}
	}
}

// renamed finds the field that has a new name for the key of an entry: the
// text and the tree may have them in another order.
func (s *splicer) renamed(now *site, want *node, i int) int {
	nth := 0
	for _, e := range now.entries[:i] {
		if want.get(e.key.text) == nil {
			nth++
		}
	}
	for j, f := range want.fields {
		if now.get(f.key.text) != nil {
			continue
		}
		if nth == 0 {
			return j
		}
		nth--
	}
	return i
}

func (s *splicer) renamedKey(key *site, to string, flow bool) string {
	w := s.writer()
	if key.style == styleSingle || key.style == styleDouble {
		return w.scalar(&node{kind: kindString, text: to}, key.style, flow)
	}
	return w.key(to, flow)
}

// insertField adds a field: keys of the language where people look for them,
// names at the end.
func (s *splicer) insertField(p place, f field) {
	now := p.value
	at := len(now.entries)
	if r := rank(f.key.text); r < unranked && !slices.ContainsFunc(now.fields, func(o field) bool { return rank(o.key.text) == unranked }) {
		for at > 1 && rank(now.entries[at-1].key.text) > r {
			at--
		}
	}
	s.insertEntries(p, at, func(like []*site, col, levels int) (lines, texts []string) {
		w := s.writer()
		if now.style == styleFlow {
			return nil, []string{w.key(f.key.text, true) + ": " + w.flow(f.value, like)}
		}
		if p.root && f.value.kind == kindList {
			levels = 2
		}
		return w.field(f, like, col, levels, s.pad(now, w.key(f.key.text, false), col)), nil
	})
}

// pad is the space behind the colon of a new key, when the values of its
// siblings stand below each other.
func (s *splicer) pad(now *site, key string, col int) string {
	at, wide := -1, false
	for i := range now.entries {
		e := &now.entries[i]
		if e.value.style == styleAbsent || e.value.style == styleBlock {
			return " "
		}
		value := s.columnOf(e.value.from)
		wide = wide || e.value.from > e.mark+1
		if at >= 0 && value != at {
			return " "
		}
		at = value
	}
	if width := at - col - runes(key) - 1; wide && width > 1 {
		return strings.Repeat(" ", width)
	}
	return " "
}
