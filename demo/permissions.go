package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// permissions says which rows a person may see:
//
//	visible(row) = (unrestricted OR anyOf[0](row) OR anyOf[1](row) …) AND allOf[0](row) AND …
//
// A portal keeps this shape. Merging the anyOf entries attribute by attribute
// would show more: {US, equity} and {GB, bonds} do not make US bonds visible.
type permissions struct {
	Unrestricted bool    `json:"unrestricted"`
	AnyOf        []where `json:"anyOf"`
	AllOf        []where `json:"allOf"`
}

// UnmarshalJSON reads the whole or nothing: a member that this portal does
// not know may be one that takes rows away.
func (p *permissions) UnmarshalJSON(b []byte) error {
	type plain permissions
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode((*plain)(p)); err != nil {
		return fmt.Errorf("read permissions: %w", err)
	}
	return nil
}

// visible reports whether a row with these attributes may be shown.
func (p permissions) visible(row map[string]string) bool {
	holds := func(w where) bool { return w.holds(row) }
	if !p.Unrestricted && !slices.ContainsFunc(p.AnyOf, holds) {
		return false
	}
	return !slices.ContainsFunc(p.AllOf, func(w where) bool { return !holds(w) })
}

// where is one constraint for each attribute that it mentions; all must hold.
type where map[string]constraint

func (w where) holds(row map[string]string) bool {
	for attribute, c := range w {
		value, ok := row[attribute]
		if !c.holds(value, ok) {
			return false
		}
	}
	return true
}

// String puts the constraints into words, in a stable order.
func (w where) String() string {
	var parts []string
	for _, attribute := range slices.Sorted(maps.Keys(w)) {
		parts = append(parts, attribute+" "+w[attribute].String())
	}
	return strings.Join(parts, " and ")
}

// constraint limits one attribute, in one of the forms "*", ["a","b"],
// {"prefix":"a"} and {"not":["a"]}. The zero value is met by nothing.
type constraint struct {
	any    bool
	in     []string
	prefix string
	not    []string
}

// UnmarshalJSON fails on any form that it does not know.
func (c *constraint) UnmarshalJSON(b []byte) error {
	*c = constraint{}
	var star string
	if json.Unmarshal(b, &star) == nil && star == "*" {
		c.any = true
		return nil
	}
	if b[0] == '[' {
		return json.Unmarshal(b, &c.in)
	}
	var form struct {
		Prefix string   `json:"prefix"`
		Not    []string `json:"not"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&form); err != nil {
		return err
	}
	if (form.Prefix == "") == (form.Not == nil) {
		return errors.New("constraint: want one of prefix and not")
	}
	c.prefix, c.not = form.Prefix, form.Not
	return nil
}

// holds judges one value. A row that lacks the attribute meets "*" alone.
func (c constraint) holds(value string, ok bool) bool {
	switch {
	case c.any:
		return true
	case !ok:
		return false
	case c.prefix != "":
		return strings.HasPrefix(value, c.prefix)
	case c.not != nil:
		return !slices.Contains(c.not, value)
	default:
		return slices.Contains(c.in, value)
	}
}

// MarshalJSON gives the form that the assertion carried.
func (c constraint) MarshalJSON() ([]byte, error) {
	switch {
	case c.any:
		return json.Marshal("*")
	case c.prefix != "":
		return json.Marshal(map[string]string{"prefix": c.prefix})
	case c.not != nil:
		return json.Marshal(map[string][]string{"not": c.not})
	case c.in == nil:
		return []byte("[]"), nil
	default:
		return json.Marshal(c.in)
	}
}

func (c constraint) String() string {
	switch {
	case c.any:
		return "is anything"
	case c.prefix != "":
		return "begins with " + c.prefix
	case c.not != nil:
		return "is none of " + strings.Join(c.not, ", ")
	case len(c.in) == 0:
		return "is nothing"
	case len(c.in) == 1:
		return "is " + c.in[0]
	default:
		return "is one of " + strings.Join(c.in, ", ")
	}
}
