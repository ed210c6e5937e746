package mapping

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// form is which of its forms a constraint uses.
type form int

const (
	formIn form = iota
	formAny
	formPrefix
	formNot
)

func (c Constraint) form() form {
	switch {
	case c.Any:
		return formAny
	case c.Prefix != "":
		return formPrefix
	case len(c.Not) > 0:
		return formNot
	default:
		return formIn
	}
}

// Allows reports whether a value meets the constraint. A row that lacks the
// attribute meets "*" alone, as NULL does in SQL.
func (c Constraint) Allows(value string, present bool) bool {
	switch c.form() {
	case formAny:
		return true
	case formPrefix:
		return present && strings.HasPrefix(value, c.Prefix)
	case formNot:
		return present && !slices.Contains(c.Not, value)
	default:
		return present && slices.Contains(c.In, value)
	}
}

// String is the constraint as it stands in a mapping file.
func (c Constraint) String() string {
	switch c.form() {
	case formAny:
		return `"*"`
	case formPrefix:
		return fmt.Sprintf("{prefix: %s}", c.Prefix)
	case formNot:
		return fmt.Sprintf("{not: [%s]}", strings.Join(c.Not, ", "))
	default:
		return "[" + strings.Join(c.In, ", ") + "]"
	}
}

// Allows reports whether every constraint holds for the row.
func (w Where) Allows(row map[string]string) bool {
	for attribute, c := range w {
		value, present := row[attribute]
		if !c.Allows(value, present) {
			return false
		}
	}
	return true
}

// String lists the constraints in alphabetical order of their attributes.
func (w Where) String() string {
	parts := make([]string, 0, len(w))
	for attribute, c := range w {
		parts = append(parts, attribute+": "+c.String())
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ", ") + "}"
}

// Allows reports whether the row, given as its attributes' values, is
// visible.
func (p Permissions) Allows(row map[string]string) bool {
	if !p.Unrestricted && !slices.ContainsFunc(p.AnyOf, func(w Where) bool { return w.Allows(row) }) {
		return false
	}
	for _, w := range p.AllOf {
		if !w.Allows(row) {
			return false
		}
	}
	return true
}

// permissionsJSON is the form that portals read: a contract, told in
// docs/guides/portal.md.
type permissionsJSON struct {
	Unrestricted bool    `json:"unrestricted"`
	AnyOf        []Where `json:"anyOf"`
	AllOf        []Where `json:"allOf"`
}

// MarshalJSON gives {"unrestricted": …, "anyOf": […], "allOf": […]}. The
// arrays are never null and attributes are sorted, so equal permissions have
// equal bytes.
func (p Permissions) MarshalJSON() ([]byte, error) {
	return json.Marshal(permissionsJSON{p.Unrestricted, listed(p.AnyOf), listed(p.AllOf)})
}

func listed(ws []Where) []Where {
	out := make([]Where, len(ws))
	for i, w := range ws {
		if out[i] = w; w == nil {
			out[i] = Where{}
		}
	}
	return out
}

// UnmarshalJSON reads what MarshalJSON writes, and nothing else: a key or a
// form that it does not know might narrow what is visible, so it is an error.
func (p *Permissions) UnmarshalJSON(text []byte) error {
	var w permissionsJSON
	if err := strict(text, &w); err != nil {
		return fmt.Errorf("permissions: %w", err)
	}
	*p = Permissions{Unrestricted: w.Unrestricted, AnyOf: absent(w.AnyOf), AllOf: absent(w.AllOf)}
	for _, w := range slices.Concat(w.AnyOf, w.AllOf) {
		if w == nil {
			return errors.New("permissions: null where constraints should be")
		}
	}
	return nil
}

func absent(ws []Where) []Where {
	if len(ws) == 0 {
		return nil
	}
	return ws
}

func strict(text []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the value")
	}
	return nil
}

type prefixJSON struct {
	Prefix string `json:"prefix"`
}

type notJSON struct {
	Not []string `json:"not"`
}

// MarshalJSON gives "*", ["one", "of"], {"prefix": "…"} or {"not": ["…"]}.
func (c Constraint) MarshalJSON() ([]byte, error) {
	switch c.form() {
	case formAny:
		return []byte(`"*"`), nil
	case formPrefix:
		return json.Marshal(prefixJSON{c.Prefix})
	case formNot:
		return json.Marshal(notJSON{c.Not})
	default:
		return json.Marshal(append([]string{}, c.In...))
	}
}

// UnmarshalJSON reads what MarshalJSON writes, and nothing else.
func (c *Constraint) UnmarshalJSON(text []byte) error {
	*c = Constraint{}
	switch text = bytes.TrimSpace(text); {
	case string(text) == `"*"`:
		c.Any = true
		return nil
	case len(text) > 0 && text[0] == '[':
		if err := strict(text, &c.In); err != nil {
			return fmt.Errorf("constraint: %w", err)
		}
		if len(c.In) == 0 {
			c.In = nil
		}
		return nil
	}
	var form struct {
		Prefix *string  `json:"prefix"`
		Not    []string `json:"not"`
	}
	if err := strict(text, &form); err != nil {
		return fmt.Errorf("constraint: %w", err)
	}
	switch {
	case form.Prefix != nil && *form.Prefix != "" && form.Not == nil:
		c.Prefix = *form.Prefix
	case form.Prefix == nil && len(form.Not) > 0:
		c.Not = form.Not
	default:
		return fmt.Errorf(`constraint %s: want a list, "*", {"prefix": …} or {"not": […]}`, clip(string(text)))
	}
	return nil
}
