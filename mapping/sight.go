package mapping

import (
	"maps"
	"slices"
	"strings"
)

// Sees says whether rows that have some values are visible, whatever the others
// are. narrower lists what else such a row must meet, one
// alternative each; nil means nothing else.
func (p Permissions) Sees(row map[string]string) (narrower []string, sees bool) {
	alternatives := p.AnyOf
	if p.Unrestricted {
		alternatives = []Where{{}}
	}
	for _, w := range alternatives {
		rest, ok := Within(append([]Where{w}, p.AllOf...), row)
		if !ok {
			continue
		}
		if rest == "" {
			return nil, true
		}
		narrower, sees = append(narrower, rest), true
	}
	slices.Sort(narrower)
	return slices.Compact(narrower), sees
}

// Within holds the values of a row against conditions that must all hold, and
// gives those on other attributes in words; false if nothing can meet them.
func Within(all []Where, row map[string]string) (rest string, possible bool) {
	open := make(map[string][]Constraint)
	for _, w := range all {
		for attribute, c := range w {
			value, given := row[attribute]
			switch {
			case given && !c.Allows(value, true):
				return "", false
			case !given && !c.Any:
				open[attribute] = append(open[attribute], c)
			}
		}
	}
	var words []string
	for _, attribute := range slices.Sorted(maps.Keys(open)) {
		if !meetable(open[attribute]) {
			return "", false
		}
		for _, c := range open[attribute] {
			words = append(words, attribute+": "+c.String())
		}
	}
	return strings.Join(slices.Compact(words), ", "), true
}

// meetable reports whether one value can meet all of some constraints.
func meetable(constraints []Constraint) bool {
	allows := func(value string) bool {
		return !slices.ContainsFunc(constraints, func(c Constraint) bool { return !c.Allows(value, true) })
	}
	longest := ""
	for _, c := range constraints {
		if c.Prefix == "" && len(c.Not) == 0 && !c.Any {
			return slices.ContainsFunc(c.In, allows)
		}
		if len(c.Prefix) > len(longest) {
			longest = c.Prefix
		}
	}
	// Of the values that begin so, finitely many are excluded.
	return !slices.ContainsFunc(constraints, func(c Constraint) bool { return !strings.HasPrefix(longest, c.Prefix) })
}
