package mapping

import "slices"

// Read gives what stands in a mapping file as it is written, with the keys and
// values of [Set]: variables are not filled in, and nothing is checked but
// that it is YAML as mapping files have it. The error is [Problems].
func Read(file string, text []byte) (map[string]any, error) {
	d, err := openDocument(file, string(text))
	if err != nil {
		return nil, err
	}
	m, _ := d.root.value().(map[string]any)
	return m, nil
}

// Line gives the line on which a name is declared in a file, 0 where it is
// not.
func Line(file string, text []byte, kind Kind, id string) int {
	mentions, err := Mentions(file, text, kind, id)
	if err != nil {
		return 0
	}
	if i := slices.IndexFunc(mentions, func(m Mention) bool { return m.Declares }); i >= 0 {
		return mentions[i].Line
	}
	return 0
}
