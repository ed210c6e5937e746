package mapping

// Spot is what of a mapping file stands at a place.
type Spot struct {
	Path string // as [Set] reads it, entries of lists by their number; empty: nothing is known to stand there
	Key  bool   // it is the key at the end of the path, and not what the key holds
}

// Spots says of each problem what of the file it is about. Of other files, and
// where the text is no YAML as mapping files have it, nothing is known. A block
// begins at its first key: what is wrong with a block as a whole stands there.
func Spots(file string, text []byte, problems Problems) []Spot {
	out := make([]Spot, len(problems))
	root := parseYAML(newSource(file, string(text)), string(text))
	if root == nil {
		return out
	}
	for i, p := range problems {
		if p.File == file {
			out[i] = root.spot(p.Line, p.Column)
		}
	}
	return out
}

// spot finds the innermost value that begins at a place or before it: a
// problem never stands behind the value that it is about.
func (n *node) spot(line, col int) (s Spot) {
	before := func(at pos) bool { return at.line < line || at.line == line && at.col <= col }
	for n != nil {
		var inside *node
		for i := len(n.fields) - 1; i >= 0 && inside == nil; i-- {
			if f := n.fields[i]; before(f.key.at) {
				inside, s.Path = f.value, join(s.Path, pathName(f.key.text))
				s.Key = f.value.at == f.key.at || !before(f.value.at)
			}
		}
		for i := len(n.items) - 1; i >= 0 && inside == nil; i-- {
			if before(n.items[i].at) {
				inside, s.Path, s.Key = n.items[i], s.Path+step{index: i, entry: true}.String(), false
			}
		}
		if n = inside; s.Key {
			break
		}
	}
	return s
}
