package directory

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"portcullis/fault"
)

// Tree is all units of one organization, in the order in which a list shows
// them: each before those below it, and those by name.
type Tree []Unit

// newTree orders units. What is below none of them, which nobody can make, is
// left out.
func newTree(units []Unit) Tree {
	below := make(map[string][]Unit, len(units))
	for _, u := range units {
		below[u.Parent] = append(below[u.Parent], u)
	}
	out := make(Tree, 0, len(units))
	var walk func(string)
	walk = func(parent string) {
		level := below[parent]
		slices.SortFunc(level, func(a, b Unit) int { return strings.Compare(UnitKey(a.Name), UnitKey(b.Name)) })
		for _, u := range level {
			out = append(out, u)
			walk(u.ID)
		}
	}
	walk("")
	return out
}

// Find gives a unit by its id.
func (t Tree) Find(id string) (Unit, bool) {
	i := slices.IndexFunc(t, func(u Unit) bool { return u.ID == id })
	if i < 0 {
		return Unit{}, false
	}
	return t[i], true
}

// Below gives the ids of a unit and of all below it; none for one that is not
// in the tree. It is never nil.
func (t Tree) Below(id string) []string {
	out := []string{}
	if _, ok := t.Find(id); !ok {
		return out
	}
	in := map[string]bool{id: true}
	for _, u := range t { // parents come first
		if in[u.Parent] {
			in[u.ID] = true
		}
		if in[u.ID] {
			out = append(out, u.ID)
		}
	}
	return out
}

// Path gives the names from the top down to a unit.
func (t Tree) Path(id string) (names []string) {
	for u, ok := t.Find(id); ok && len(names) <= len(t); u, ok = t.Find(u.Parent) {
		names = append(names, u.Name)
	}
	slices.Reverse(names)
	return names
}

// height is how many levels a unit and those below it have.
func (t Tree) height(id string) int {
	top, most := len(t.Path(id)), 0
	for _, below := range t.Below(id) {
		most = max(most, len(t.Path(below))-top+1)
	}
	return most
}

// fits refuses a unit of some levels below a parent. It fails with
// fault.Invalid, and with fault.NotFound for a parent that is not there.
func (t Tree) fits(parent string, levels int) error {
	if _, ok := t.Find(parent); parent != "" && !ok {
		return errNoUnit
	}
	if len(t.Path(parent))+levels > MaxUnitDepth {
		return fault.New(fault.Invalid, "that would be deeper than %d levels", MaxUnitDepth)
	}
	return nil
}

var errNoUnit = fault.New(fault.NotFound, "there is no such sub-organization")

// unitName is a name as it is kept: invisible marks are dropped, spaces put in
// order. The fault is Invalid.
func unitName(text string) (string, error) {
	if !utf8.ValidString(text) || len(text) > 8*MaxUnitName {
		return "", errUnitName
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cf, r):
			return -1
		case unicode.IsControl(r), unicode.IsSpace(r):
			return ' '
		default:
			return r
		}
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if text == "" || utf8.RuneCountInString(text) > MaxUnitName || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return "", errUnitName
	}
	return text, nil
}

var errUnitName = fault.New(fault.Invalid, "name: want 1 to %d characters that can be seen", MaxUnitName)

// UnitKey is what names are compared by.
func UnitKey(name string) string { return strings.ToLower(name) }

// named gives the id of the unit that has a name; empty if there is none.
func (t Tree) named(name string) string {
	for _, u := range t {
		if UnitKey(u.Name) == UnitKey(name) {
			return u.ID
		}
	}
	return ""
}

// inWords is where a unit is, for the trail.
func (t Tree) inWords(id string) string {
	if id == Unplaced {
		return "(not placed)"
	}
	return strings.Join(t.Path(id), " / ")
}

// UnitTx is what a transaction does to sub-organizations.
type UnitTx interface {
	// LockUnits lets one transaction at a time change the units of an
	// organization by hand; fault.NotFound if there is no such organization.
	LockUnits(organization string) error
	Units(organization string) ([]Unit, error)        // in no order
	Unit(id string) (Unit, error)                     // it stays there until the transaction ends
	UnitNamed(organization, key string) (Unit, error) // likewise; key: the name in lower case
	UnitNames(ids []string) (map[string]string, error)
	// FrozenAmong gives those of some organizations that are frozen, and those
	// of some units that are closed.
	FrozenAmong(organizations, units []string) (frozen, closed []string, err error)
	UnitCounts(organization string) (map[string]int, error)   // people by unit
	ConnectionsIn(unit string, pushed bool) ([]string, error) // whose people, pushed or not, are in it
	InsertUnit(u Unit) error
	EnsureUnit(u Unit) (fresh bool, err error) // nothing if the name is there
	UpdateUnit(u Unit) error                   // its name, its parent, and who froze it
	// CloseUnits and OpenUnits set what Unit.Closed is since a time.
	CloseUnits(ids []string, since time.Time) error
	OpenUnits(ids []string, since time.Time) error
	UnitEffect(ids []string, at time.Time) (FreezeEffect, error)
	OrganizationEffect(name string, at time.Time) (FreezeEffect, error)
	// EndSessionsIn ends the sessions of those who are in some units, counts
	// them, and writes a [Change] for each who has one, or an API token.
	EndSessionsIn(ids []string, reason string, at time.Time) (ended int, err error)
	DeleteUnit(id string) error
	FormerUnit(id string) (parent string, err error) // of one that was deleted; empty if there is none
	// BuryUnit remembers under hashes which unit somebody was in; BuriedUnit
	// gives what was remembered last under one of them, empty if nothing was.
	// Unbury forgets it.
	BuryUnit(connection string, hashes []string, unit string, at time.Time) error
	BuriedUnit(connection string, hashes []string) (unit string, err error)
}
