package mapping

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// writer writes values as they stand in a file. Siblings of what it writes
// say how it should look.
type writer struct{ text string }

// key writes the key of a mapping.
func (w writer) key(key string, flow bool) string {
	return w.quoted(key, stylePlain, func(c string) (string, func(*node) *node) {
		if flow {
			return "{" + c + ": v}", firstKey
		}
		return c + ": v", firstKey
	})
}

func firstKey(n *node) *node {
	if n.kind != kindMap || len(n.fields) != 1 {
		return n
	}
	return &node{kind: kindString, text: n.fields[0].key.text}
}

// scalar writes a value in the style of another one; styleAbsent for none.
func (w writer) scalar(n *node, like style, flow bool) string {
	if n.kind != kindString {
		return n.text
	}
	if flow && strings.Contains(n.text, ":") && !unmistaken.MatchString(n.text) {
		like = styleDouble // before a bracket the parser may take it for a key
	}
	return w.quoted(n.text, like, func(c string) (string, func(*node) *node) {
		if flow {
			return "[" + c + ", v]", func(n *node) *node {
				if n.kind != kindList || len(n.items) != 2 {
					return n
				}
				return n.items[0]
			}
		}
		return "k: " + c, func(n *node) *node {
			if v := n.get("k"); v != nil {
				return v
			}
			return n
		}
	})
}

// quoted takes the first way to write a text, beginning with the style that is
// wanted, that is read back as that text.
func (w writer) quoted(text string, like style, within func(string) (string, func(*node) *node)) string {
	double := doubleQuoted(text)
	var candidates []string
	switch like {
	case styleSingle:
		candidates = []string{"'" + strings.ReplaceAll(text, "'", "''") + "'"}
	case styleDouble:
	default:
		if plain(text) {
			candidates = []string{text}
		}
	}
	for _, c := range candidates {
		if strings.ContainsFunc(c, hidden) {
			continue
		}
		doc, pick := within(c)
		src := newSource("", doc)
		n := parseYAML(src, doc)
		if n == nil || len(src.found) > 0 {
			continue
		}
		if v := pick(n); v.kind == kindString && v.text == text {
			return c
		}
	}
	return double
}

// hidden reports what is written as an escape: line ends, and characters that
// a reader does not see or a file must not have.
func hidden(r rune) bool { return r != ' ' && !unicode.IsPrint(r) }

var (
	// otherwise is what other readers of YAML, 1.1 above all, take for
	// something else than text.
	otherwise = regexp.MustCompile(`(?i)^(y|n|yes|no|on|off|true|false|null|~|[-+.]?[0-9][0-9a-fxo_.,:+-]*|[-+]?\.(inf|nan)|<<|=)$`)
	// unmistaken look like numbers for a while and are none for anybody: ids of
	// groups, and times.
	unmistaken = regexp.MustCompile(`^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[-+][0-9]{2}:[0-9]{2}))$`)
)

// plain reports whether a text may stand without quotes, as far as looks go.
func plain(text string) bool {
	if text == "" || strings.TrimSpace(text) != text || strings.HasPrefix(text, "...") || strings.HasSuffix(text, ":") {
		return false
	}
	if first, _ := utf8.DecodeRuneInString(text); strings.ContainsRune("-?:,[]{}#&*!|>'\"%@`=<~", first) {
		return false
	}
	return unmistaken.MatchString(text) || !otherwise.MatchString(text) && !strings.Contains(text, ": ") && !strings.Contains(text, " #")
}

func doubleQuoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case hidden(r) && r <= 0xffff:
			fmt.Fprintf(&b, `\u%04X`, r)
		case hidden(r):
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// blockText writes a text of several lines in place of another one that is
// written with | or >. It reports false when that is not possible.
func (w writer) blockText(text string, old *site, eol string) (string, bool) {
	body := strings.TrimSuffix(text, "\n")
	chomp := "-"
	if body != text {
		chomp = ""
	}
	sign := "|"
	if old.style == styleFolded {
		if strings.Contains(body, "\n") {
			return "", false // a line end would be a space
		}
		sign = ">"
	}
	if body == "" || strings.HasSuffix(body, "\n") || strings.ContainsAny(body[:1], " \n") ||
		strings.ContainsFunc(body, func(r rune) bool { return r != '\n' && hidden(r) }) {
		return "", false
	}
	_, lines, found := strings.Cut(w.text[old.from:old.to], "\n")
	if !found {
		return "", false
	}
	lines = strings.TrimLeft(lines, "\r\n")
	indent := lines[:len(lines)-len(strings.TrimLeft(lines, " "))]
	var b strings.Builder
	b.WriteString(sign + chomp)
	for line := range strings.SplitSeq(body, "\n") {
		b.WriteString(eol)
		if line != "" {
			b.WriteString(indent + line)
		}
	}
	doc := "k: " + b.String() + eol
	src := newSource("", doc)
	read := parseYAML(src, doc)
	return b.String(), read != nil && read.get("k") != nil && read.get("k").text == text
}

// flow writes a value on one line.
func (w writer) flow(n *node, like []*site) string {
	if n.scalar() {
		return w.scalar(n, scalarStyle(like), true)
	}
	open, end := "[", "]"
	if n.kind == kindMap {
		open, end = "{", "}"
	}
	pad := ""
	for _, s := range like {
		if s.style == styleFlow && s.kind == n.kind && len(s.entries) > 0 {
			if w.text[s.from+1] == ' ' {
				pad = " "
			}
			break
		}
	}
	parts := make([]string, 0, len(n.items)+len(n.fields))
	for _, item := range n.items {
		parts = append(parts, w.flow(item, children(like, "")))
	}
	for _, f := range n.fields {
		parts = append(parts, w.key(f.key.text, true)+": "+w.flow(f.value, children(like, f.key.text)))
	}
	if len(parts) == 0 {
		return open + end
	}
	return open + pad + strings.Join(parts, ", ") + pad + end
}

// scalarStyle is how siblings are quoted that need no quotes.
func scalarStyle(like []*site) style {
	for _, s := range like {
		switch {
		case s.kind != kindString || !plain(s.text):
		case s.style == styleSingle || s.style == styleDouble:
			return s.style
		default:
			return styleAbsent
		}
	}
	return styleAbsent
}

// children are what siblings have under a key, or as their entries.
func children(like []*site, key string) []*site {
	const enough = 50
	var out []*site
	for _, s := range like {
		for i := len(s.entries) - 1; i >= 0 && len(out) < enough; i-- {
			e := &s.entries[i]
			if (e.key == nil && key == "") || (e.key != nil && e.key.text == key) {
				out = append(out, e.value)
			}
		}
	}
	return out
}

// block writes the entries of a list or a mapping on lines of their own, with
// the given number of spaces before them. Levels is how many levels of what
// has no siblings to look like are written like this.
func (w writer) block(n *node, like []*site, col, levels int) []string {
	var lines []string
	for _, item := range n.items {
		lines = append(lines, w.item(item, children(like, ""), col, levels)...)
	}
	for _, f := range n.fields {
		lines = append(lines, w.field(f, children(like, f.key.text), col, levels, "")...)
	}
	return lines
}

func (w writer) item(n *node, like []*site, col, levels int) []string {
	indent := strings.Repeat(" ", col)
	if !w.inBlock(n, like, levels) {
		return []string{indent + "- " + w.inline(n, like)}
	}
	lines := w.block(n, like, col+2, levels-1)
	lines[0] = indent + "- " + lines[0][col+2:]
	return lines
}

// field writes a key and its value. The pad is what stands before a value
// that is on the same line.
func (w writer) field(f field, like []*site, col, levels int, pad string) []string {
	key := strings.Repeat(" ", col) + w.key(f.key.text, false) + ":"
	if !w.inBlock(f.value, like, levels) {
		if pad == "" {
			pad = " "
		}
		return []string{key + pad + w.inline(f.value, like)}
	}
	return append([]string{key}, w.block(f.value, like, col+w.step(f.value, like, col), levels-1)...)
}

// step is how far a block is indented.
func (w writer) step(n *node, like []*site, col int) int {
	for _, s := range like {
		if s.style == styleBlock && s.kind == n.kind {
			at := s.from - (strings.LastIndexByte(w.text[:s.from], '\n') + 1)
			for e := s.from - 1; e >= 0 && w.text[e] != '\n'; e-- {
				if w.text[e] != ' ' {
					return 2
				}
			}
			if at > col || at == col && n.kind == kindList {
				return at - col
			}
		}
	}
	return 2
}

func (w writer) inline(n *node, like []*site) string {
	if n.scalar() {
		return w.scalar(n, scalarStyle(like), false)
	}
	return w.flow(n, like)
}

// inBlock decides how a value is written: as its siblings are, and else by the
// level.
func (w writer) inBlock(n *node, like []*site, levels int) bool {
	if n.scalar() || len(n.items)+len(n.fields) == 0 {
		return false
	}
	for _, s := range like {
		if s.kind == n.kind && len(s.entries) > 0 {
			return s.style == styleBlock
		}
	}
	return levels > 0
}
