package mapping

import (
	"slices"
	"strings"
	"unicode/utf8"
)

func runes(text string) int { return utf8.RuneCountInString(text) }

func (s *splicer) lineStart(at int) int {
	return strings.LastIndexByte(s.text[:max(min(at, len(s.text)), 0)], '\n') + 1
}

// contentEnd is the end of the line that a byte is on, without its line end.
func (s *splicer) contentEnd(at int) int {
	if at < 0 {
		return 0
	}
	end := len(s.text)
	if i := strings.IndexByte(s.text[at:], '\n'); i >= 0 {
		end = at + i
		if end > 0 && s.text[end-1] == '\r' {
			end--
		}
	}
	return end
}

// columnOf is how many characters stand before a byte on its line.
func (s *splicer) columnOf(at int) int { return runes(s.text[s.lineStart(at):at]) }

// line is the line that begins at a byte, without spaces around it, and how
// many spaces stand before it.
func (s *splicer) line(at int) (text string, indent int) {
	line := s.text[at:s.contentEnd(at)]
	return strings.TrimSpace(line), len(line) - len(strings.TrimLeft(line, " "))
}

// blank reports whether nothing but a comment follows on the line.
func (s *splicer) blank(at int) bool {
	rest := strings.TrimSpace(s.text[at:s.contentEnd(at)])
	return rest == "" || rest[0] == '#'
}

// lines joins new lines, each with a line end before it.
func (s *splicer) lines(lines []string, gap bool) string {
	if gap {
		lines = append([]string{""}, lines...)
	}
	return s.eol() + strings.Join(lines, s.eol())
}

// extent is the lines that belong to an entry of a block: its own, comments
// directly above it at its column, and comments below it that stand deeper.
// What stands above the first key is about the file.
type extent struct {
	from  int  // where the first line begins
	own   int  // where its own first line begins
	to    int  // a byte of the last line, at its end
	alone bool // nothing stands before the entry on its line
}

func (s *splicer) extent(block *site, i int) extent {
	e := &block.entries[i]
	x := extent{own: s.lineStart(e.from)}
	x.from = x.own
	col := e.from - x.own
	x.alone = strings.TrimLeft(s.text[x.own:e.from], " ") == ""
	for x.alone && x.from > 0 && (i > 0 || block != s.site) {
		above := s.lineStart(x.from - 1)
		text, indent := s.line(above)
		if !strings.HasPrefix(text, "#") || indent != col || i > 0 && above <= block.entries[i-1].to {
			break
		}
		x.from = above
	}
	x.to = s.contentEnd(e.to)
	for {
		next := s.nextLine(x.to)
		if next < 0 {
			return x
		}
		text, indent := s.line(next)
		if !strings.HasPrefix(text, "#") || indent <= s.columnOf(e.from) {
			return x
		}
		x.to = s.contentEnd(next)
	}
}

// nextLine is where the next line begins; -1 behind the last.
func (s *splicer) nextLine(at int) int {
	if i := strings.IndexByte(s.text[at:], '\n'); i >= 0 && at+i+1 < len(s.text) {
		return at + i + 1
	}
	return -1
}

func (s *splicer) emptyLine(at int) bool {
	text, _ := s.line(at)
	return text == ""
}

// gap reports whether a blank line stands above a line.
func (s *splicer) gap(from int) bool {
	if from == 0 {
		return false
	}
	return s.emptyLine(s.lineStart(from - 1))
}

// insertEntries adds entries before number i of a list or a mapping that is
// not empty. write gives their lines, or their texts in brackets.
func (s *splicer) insertEntries(p place, i int, write func(like []*site, col, levels int) (lines, texts []string)) {
	if s.grown {
		return
	}
	s.grown = true
	now := p.value
	if p.bare() {
		s.refuse("a pair in a list without braces around it cannot get longer")
		return
	}
	like := siblings(p, i)
	if now.style == styleFlow {
		_, texts := write(like, 0, 0)
		s.insertFlow(now, i, texts)
		return
	}
	first := s.extent(now, 0)
	levels := 0
	if p.root || p.section && now.kind == kindList {
		levels = 1
	}
	lines, _ := write(like, s.columnOf(now.from), levels)
	if i > 0 {
		x := s.extent(now, i-1)
		beside := i - 1
		if i < len(now.entries) {
			beside = i
		}
		s.put(x.to, x.to, s.lines(lines, beside > 0 && s.gap(s.extent(now, beside).from)))
		return
	}
	if first.alone {
		text := strings.Join(lines, s.eol()) + s.eol()
		if len(now.entries) > 1 && s.gap(s.extent(now, 1).from) {
			text += s.eol()
		}
		s.put(first.from, first.from, text)
		return
	}
	// Behind a dash: the new entry takes its place.
	col := s.columnOf(now.from)
	s.put(now.from, now.from, strings.TrimLeft(strings.Join(lines, s.eol()), " ")+s.eol()+strings.Repeat(" ", col))
}

// bare reports whether a mapping stands in brackets without its own: [a: b].
func (p place) bare() bool { return p.flow && p.value.style == styleBlock }

// siblings say how a new entry looks: what stands before it, then what stands
// behind it. The keys of a file are written in brackets when they are short;
// those that have lines of their own are the ones to look like.
func siblings(p place, i int) []*site {
	var like []*site
	take := func(e entry) {
		if !p.root || e.value.style == styleBlock {
			like = append(like, e.value)
		}
	}
	for _, e := range slices.Backward(p.value.entries[:i]) {
		take(e)
	}
	for _, e := range p.value.entries[i:] {
		take(e)
	}
	return like
}

// insertFlow adds entries in brackets.
func (s *splicer) insertFlow(now *site, i int, texts []string) {
	text := strings.Join(texts, ", ")
	if i == 0 {
		at := now.entries[0].from
		s.put(at, at, text+", ")
		return
	}
	before := &now.entries[i-1]
	if start := s.lineStart(before.from); strings.TrimSpace(s.text[start:before.from]) == "" && start > now.from && s.closed(now, before.to) {
		// Each entry has a line of its own.
		indent := s.text[start:before.from]
		comma := s.comma(now, before.to)
		text = strings.Join(texts, ","+s.eol()+indent)
		if comma < 0 {
			s.put(before.to, before.to, ",")
			s.put(s.contentEnd(before.to), s.contentEnd(before.to), s.eol()+indent+text)
			return
		}
		s.put(s.contentEnd(comma), s.contentEnd(comma), s.eol()+indent+text+",")
		return
	}
	s.put(before.to, before.to, ", "+text)
}

// comma finds the comma behind an entry in brackets; -1 for none.
func (s *splicer) comma(now *site, at int) int {
	for at < now.to {
		switch s.text[at] {
		case ',':
			return at
		case '#':
			at = s.contentEnd(at)
		case ' ', '\t', '\r', '\n':
			at++
		default:
			return -1
		}
	}
	return -1
}

// closed reports whether a line ends behind an entry in brackets, but for its
// comma and a comment.
func (s *splicer) closed(now *site, at int) bool {
	if comma := s.comma(now, at); comma >= 0 && comma < s.contentEnd(at) {
		at = comma + 1
	}
	return s.blank(at)
}

// removeEntries takes entries from number i to before number j away.
func (s *splicer) removeEntries(p place, i, j int) {
	if s.grown {
		return
	}
	now := p.value
	if len(now.entries) == j-i {
		s.whole(p, &node{kind: now.kind})
		return
	}
	s.grown = true
	switch {
	case p.bare():
		s.refuse("a pair in a list without braces around it cannot get shorter")
	case now.style == styleFlow:
		s.removeFlow(now, i, j)
	default:
		s.removeLines(now, i, j)
	}
}

func (s *splicer) removeLines(now *site, i, j int) {
	x := s.extent(now, i)
	if !x.alone {
		// It stands behind a dash; the next entry takes its place.
		if s.extent(now, j).from != s.lineStart(now.entries[j].from) {
			s.refuse("what stands behind the dash cannot be taken away, for the comments below it")
			return
		}
		s.put(now.entries[i].from, now.entries[j].from, "")
		return
	}
	from, end := x.from, s.extent(now, j-1).to
	if s.endsBlock(now, j-1, end) {
		for from > 0 && s.gap(from) {
			above := s.lineStart(from - 1)
			if i > 0 && above <= now.entries[i-1].to {
				break
			}
			from = above
		}
	}
	if from == 0 || i == 0 && from == x.from {
		// The blank lines below the first entry go with it.
		to := s.nextLine(end)
		for next := to; next >= 0 && s.emptyLine(next); next = s.nextLine(next) {
			to = max(s.nextLine(next), next)
		}
		s.put(from, max(to, 0), "")
		return
	}
	s.put(s.contentEnd(s.lineStart(from-1)), end, "")
}

// endsBlock reports whether a blank line, or the end of the block, follows an
// entry, so that the blank lines above it go with it.
func (s *splicer) endsBlock(now *site, i, to int) bool {
	next := s.nextLine(to)
	if next < 0 || i == len(now.entries)-1 {
		return true
	}
	text, _ := s.line(next)
	return text == ""
}

func (s *splicer) removeFlow(now *site, i, j int) {
	from, to := now.entries[i].from, now.entries[j-1].to
	last := j == len(now.entries)
	sameLine := func(from, to int) bool { return !strings.Contains(s.text[from:to], "\n") }
	comma := s.comma(now, to)
	switch {
	case !last && sameLine(to, now.entries[j].from):
		s.put(from, now.entries[j].from, "")
	case i > 0 && sameLine(now.entries[i-1].to, from):
		s.put(now.entries[i-1].to, to, "")
	case strings.TrimSpace(s.text[s.lineStart(from):from]) == "" && s.closed(now, to):
		if last && comma < 0 && i > 0 {
			c := s.comma(now, now.entries[i-1].to)
			s.put(c, c+1, "")
		}
		s.put(s.contentEnd(s.lineStart(from)-1), s.contentEnd(max(to, comma)), "")
	case comma >= 0:
		s.put(from, comma+1, "")
	case i > 0 && !strings.Contains(s.text[now.entries[i-1].to:from], "#"):
		s.put(now.entries[i-1].to, to, "")
	default:
		s.put(from, to, "")
	}
}
