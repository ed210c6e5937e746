package scim

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	liberrors "github.com/elimity-com/scim/errors"
	"github.com/elimity-com/scim/schema"

	"portcullis/document"
)

// maxValues bounds the elements of one multi-valued attribute of a user, and
// with it what comparing them costs.
const maxValues = 1000

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// normalise brings a resource as a client wrote it into the one shape that is
// stored: attributes in their own spelling, extensions under their URN, values
// of the right JSON type, no nulls and no empty lists. What the schemas do not
// know is left out (RFC 7644, section 3.3), as is what only the endpoint
// writes.
func (t *resourceType) normalise(doc map[string]any) (map[string]any, error) {
	var room [16]string
	out := make(map[string]any, len(doc))
	for _, key := range document.Names(room[:0], doc) {
		urn, name := t.splitURN(key)
		if urn != "" && name == "" {
			part, ok := doc[key].(map[string]any)
			if !ok {
				if doc[key] == nil {
					continue
				}
				return nil, invalid(typeValue, "%s is not an object", urn)
			}
			for _, inner := range sortedKeys(part) {
				if err := t.put(out, urn, inner, part[inner]); err != nil {
					return nil, err
				}
			}
			continue
		}
		if urn == "" {
			urn = t.core.ID
		}
		if err := t.put(out, urn, name, doc[key]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// put writes one member of a body. A name may be dotted: name.familyName.
func (t *resourceType) put(out map[string]any, urn, name string, value any) error {
	f, ok := t.field(urn, name)
	if !ok {
		if attr, sub, dotted := strings.Cut(name, "."); dotted {
			return t.putDotted(out, urn, attr, sub, value)
		}
		return nil
	}
	if readOnly(f.attr) {
		return nil
	}
	v, err := coerce(f.attr, value)
	if err != nil || v == nil {
		return err
	}
	place := f.container(out, true)
	if old, twice := place[f.attr.Name()]; twice {
		both, ok := old.(map[string]any)
		if part, isMap := v.(map[string]any); ok && isMap { // {"name": …, "name.givenName": …}
			maps.Copy(both, part)
			return nil
		}
		return invalid(typeSyntax, "%s stands twice in one object", f.attr.Name())
	}
	place[f.attr.Name()] = v
	return nil
}

func (t *resourceType) putDotted(out map[string]any, urn, attr, sub string, value any) error {
	f, ok := t.field(urn, attr)
	if !ok || f.attr.MultiValued() || !f.attr.HasSubAttributes() || value == nil {
		return nil
	}
	return t.put(out, urn, attr, map[string]any{sub: value})
}

// container is the object that the attribute stands in: the document, or the
// extension's part of it, which is made if asked for. It may be nil otherwise.
func (f field) container(doc map[string]any, make bool) map[string]any {
	if f.urn == "" {
		return doc
	}
	part, ok := doc[f.urn].(map[string]any)
	if !ok && make {
		part = map[string]any{}
		doc[f.urn] = part
	}
	return part
}

// coerce brings a value into the attribute's JSON type, as far as that loses
// nothing. It gives nil for what is unassigned (RFC 7643, section 2.5).
func coerce(a schema.CoreAttribute, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	if !a.MultiValued() {
		return coerceOne(a, unwrap(v))
	}
	list, ok := v.([]any)
	if !ok {
		one, ok := v.(map[string]any)
		if !ok {
			return nil, invalid(typeValue, "%s is a list", a.Name())
		}
		list = []any{one}
	}
	if len(list) > maxValues {
		return nil, invalid(typeValue, "%s has more than %d values", a.Name(), maxValues)
	}
	out := make([]any, 0, len(list))
	primary := false
	for _, e := range list {
		c, err := coerceOne(a, e)
		if err != nil {
			return nil, err
		}
		if c == nil {
			continue
		}
		if isPrimary(c) {
			if primary { // RFC 7643, section 2.4
				return nil, invalid(typeValue, "%s has more than one primary value", a.Name())
			}
			primary = true
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

func isPrimary(v any) bool {
	m, ok := v.(map[string]any)
	if !ok {
		return false
	}
	p, ok := m["primary"].(bool)
	return ok && p
}

// unwrap takes a single value out of the list of one object that Entra ID
// writes for it without aadOptscim062020.
func unwrap(v any) any {
	if list, ok := v.([]any); ok {
		switch len(list) {
		case 0:
			return nil
		case 1:
			if m, ok := list[0].(map[string]any); ok {
				return m
			}
		}
	}
	return v
}

// coerceOne brings one value into the type of an attribute or of one element
// of it.
func coerceOne(a schema.CoreAttribute, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	if !a.HasSubAttributes() {
		if m, ok := v.(map[string]any); ok {
			inner, ok := member(m, "value")
			if !ok {
				return nil, invalid(typeValue, "%s is not an object", a.Name())
			}
			if inner == nil {
				return nil, nil
			}
			v = inner
		}
		return coerceScalar(a, v)
	}
	value, hasValue := a.SubAttributes().ContainsAttribute("value")
	m, ok := v.(map[string]any)
	if !ok {
		if !hasValue {
			return nil, invalid(typeValue, "%s is an object", a.Name())
		}
		m = map[string]any{"value": v} // {"manager": "26118915"}
	}
	var room [8]string
	out := make(map[string]any, len(m))
	for _, key := range document.Names(room[:0], m) {
		sub, ok := a.SubAttributes().ContainsAttribute(key)
		if !ok || m[key] == nil {
			continue
		}
		if _, twice := out[sub.Name()]; twice {
			return nil, invalid(typeSyntax, "%s.%s stands twice in one object", a.Name(), sub.Name())
		}
		c, err := coerceScalar(sub, unwrap(m[key]))
		if err != nil {
			return nil, err
		}
		out[sub.Name()] = c
	}
	if hasValue && !a.MultiValued() && out[value.Name()] == "" {
		return nil, nil // a manager without an id is no manager
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

func coerceScalar(a schema.CoreAttribute, v any) (any, error) {
	switch a.AttributeType() {
	case "boolean":
		if b, ok := asBool(v); ok {
			return b, nil
		}
	case "integer":
		if n, ok := asNumber(v); ok {
			if _, err := n.Int64(); err == nil {
				return n, nil
			}
		}
	case "decimal":
		if n, ok := asNumber(v); ok {
			if f, err := n.Float64(); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
				return n, nil
			}
		}
	case "dateTime": // kept in UTC, where the order of texts is that of times
		s, _ := v.(string)
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
			if at, err := time.Parse(layout, s); err == nil {
				return at.UTC().Format(time.RFC3339Nano), nil
			}
		}
	default: // string, reference, binary
		if _, ok := v.(string); ok {
			return v, nil
		}
	}
	return nil, invalid(typeValue, "%s is not a value of type %s", a.Name(), a.AttributeType())
}

// asBool understands the strings that Entra ID writes for booleans.
func asBool(v any) (value, ok bool) {
	switch b := v.(type) {
	case bool:
		return b, true
	case string:
		switch {
		case strings.EqualFold(b, "true"):
			return true, true
		case strings.EqualFold(b, "false"):
			return false, true
		}
	}
	return false, false
}

func asNumber(v any) (json.Number, bool) {
	switch n := v.(type) {
	case json.Number:
		return n, true
	case float64: // of a stored document
		return json.Number(strconv.FormatFloat(n, 'f', -1, 64)), true
	case int64:
		return json.Number(strconv.FormatInt(n, 10)), true
	case string:
		if _, err := strconv.ParseFloat(n, 64); err == nil && json.Valid([]byte(n)) {
			return json.Number(n), true
		}
	}
	return "", false
}

// validate is the library's judgement on a normalised resource, in place: of
// what is there alone, for its own Validate looks for every attribute of a
// schema among all that a resource has.
func (t *resourceType) validate(doc map[string]any) error {
	if err := validateAll(t.judged.Attributes, doc); err != nil {
		return err
	}
	for i := range t.extensions {
		x := &t.extensions[i]
		part, ok := doc[x.ID].(map[string]any)
		if !ok {
			continue
		}
		if err := validateAll(x.Attributes, part); err != nil {
			return err
		}
	}
	return nil
}

func validateAll(attributes schema.Attributes, in map[string]any) error {
	for i := range attributes {
		a := &attributes[i]
		v, ok := in[a.Name()]
		switch {
		case !ok && a.Required():
			return libraryError(&liberrors.ScimErrorInvalidValue)
		case !ok:
			continue
		case a.Mutability() == "readOnly":
			delete(in, a.Name())
			continue
		}
		list, ok := v.([]any)
		if !ok {
			var err error
			if in[a.Name()], err = validateOne(a, v); err != nil {
				return err
			}
		}
		for i, e := range list {
			var err error
			if list[i], err = validateOne(a, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func validateOne(a *schema.CoreAttribute, v any) (any, error) {
	if m, ok := v.(map[string]any); ok && a.HasSubAttributes() {
		return m, validateAll(a.SubAttributes(), m)
	}
	valid, e := a.ValidateSingular(v)
	return valid, libraryError(e)
}

// checkSchemas refuses a body that says it is something else. One that says
// nothing is taken at its word.
func (t *resourceType) checkSchemas(doc map[string]any) error {
	v, _ := member(doc, "schemas")
	if v == nil {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		return invalid(typeValue, "schemas is a list")
	}
	for _, e := range list {
		if s, ok := e.(string); ok && strings.EqualFold(s, t.core.ID) {
			return nil
		}
	}
	if len(list) == 0 {
		return nil
	}
	return invalid(typeValue, "schemas does not name %s", t.core.ID)
}
