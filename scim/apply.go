package scim

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/elimity-com/scim/schema"
)

// clone copies a document as deep as operations write into it.
func clone(v any) any {
	switch x := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			out[k] = clone(e)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = clone(e)
		}
		return out
	default:
		return v
	}
}

// apply applies the operations in order to a normalised document, in place. On
// an error the document is not to be used. It may be called again with another
// document: operations are not changed.
func (p patch) apply(doc map[string]any) error {
	for _, o := range p.ops {
		if err := o.apply(doc); err != nil {
			return err
		}
	}
	return nil
}

func (o op) apply(doc map[string]any) error {
	if o.target.extension != "" {
		delete(doc, o.target.extension)
		return nil
	}
	a := o.target.field.attr
	if a.Name() == "active" && (o.verb == opRemove || o.value == nil) {
		return invalid(typeMutability, "active is true or false, and cannot be taken away")
	}
	// Null unassigns (RFC 7643, section 2.5).
	v := o.verb
	if v != opRemove && o.value == nil {
		if v == opAdd {
			return nil
		}
		o.verb, v, o.hasValue = opRemove, opRemove, false
	}
	if v == opRemove && a.Required() && o.target.sub == nil {
		return invalid(typeMutability, "%s is required", a.Name())
	}
	place := o.target.field.container(doc, v != opRemove)
	if place == nil {
		return nil // nothing is there to be removed
	}
	var err error
	switch {
	case o.target.match != nil:
		err = o.applyMatching(place)
	case o.target.sub != nil:
		err = o.applySub(place)
	default:
		err = o.applyWhole(place)
	}
	if o.target.field.urn != "" && len(place) == 0 {
		delete(doc, o.target.field.urn)
	}
	return err
}

// applyWhole works on an attribute as such.
func (o op) applyWhole(place map[string]any) error {
	a := o.target.field.attr
	name := a.Name()
	if o.verb == opRemove {
		if !a.MultiValued() || !o.hasValue || o.value == nil {
			delete(place, name)
			return nil
		}
		// Without aadOptscim062020, Entra ID lists what is to go.
		gone, err := coerce(a, o.value)
		if err != nil {
			return err
		}
		rest := slices.DeleteFunc(listOf(place[name]), func(e any) bool {
			return slices.ContainsFunc(listOf(gone), func(g any) bool { return covers(e, g) })
		})
		setList(place, name, rest)
		return nil
	}
	v, err := coerce(a, o.value)
	if err != nil {
		return err
	}
	switch {
	case v == nil:
		if o.verb == opReplace {
			delete(place, name)
		}
	case a.MultiValued():
		if o.verb == opReplace {
			place[name] = v
			return nil
		}
		return addValues(place, a, listOf(v))
	case a.HasSubAttributes(): // RFC 7644, section 3.5.2.3: the sub-attributes that are named
		part, _ := v.(map[string]any)
		if old, ok := place[name].(map[string]any); ok {
			if name == "manager" && old["value"] != part["value"] {
				delete(old, "$ref") // it pointed at the one before
			}
			maps.Copy(old, part)
			return nil
		}
		place[name] = part
	default:
		place[name] = v
	}
	return nil
}

// applySub works on one sub-attribute, in all values if there are several.
func (o op) applySub(place map[string]any) error {
	a, sub := o.target.field.attr, *o.target.sub
	name := a.Name()
	var v any
	if o.verb != opRemove {
		var err error
		if v, err = coerceScalar(sub, unwrapScalar(o.value)); err != nil {
			return err
		}
	}
	elements := listOf(place[name])
	if len(elements) == 0 && o.verb != opRemove {
		fresh := map[string]any{sub.Name(): v}
		if a.MultiValued() {
			place[name] = []any{fresh}
		} else {
			place[name] = fresh
		}
		return nil
	}
	var kept []any
	for _, e := range elements {
		m, ok := e.(map[string]any)
		if !ok {
			continue
		}
		if o.verb == opRemove {
			delete(m, sub.Name())
		} else {
			m[sub.Name()] = v
		}
		if len(m) > 0 {
			kept = append(kept, m)
		}
	}
	if a.MultiValued() {
		setList(place, name, kept)
	} else if len(kept) == 0 {
		delete(place, name)
	}
	return nil
}

// applyMatching works on the values that a filter picks. If there is none, the
// filter says what to make: a client that writes emails[type eq "work"].value
// for somebody without a work address means to give them one.
func (o op) applyMatching(place map[string]any) error {
	a := o.target.field.attr
	name := a.Name()
	elements := listOf(place[name])
	if o.verb == opRemove {
		return o.removeMatching(place, elements)
	}
	part, err := o.elementPart()
	if err != nil {
		return err
	}
	found := false
	for _, e := range elements {
		m, ok := e.(map[string]any)
		if !ok || !o.target.match(m) {
			continue
		}
		found = true
		maps.Copy(m, part)
		if isPrimary(part) {
			demote(elements, m)
		}
	}
	if found {
		return nil
	}
	if o.target.equal == nil {
		return invalid(typeNoTarget, "no value of %s matches the filter of the path", name)
	}
	fresh := maps.Clone(o.target.equal)
	maps.Copy(fresh, part)
	if len(elements) >= maxValues {
		return invalid(typeValue, "%s has more than %d values", name, maxValues)
	}
	if isPrimary(fresh) {
		demote(elements, fresh)
	}
	place[name] = append(elements, fresh)
	return nil
}

// elementPart is what the operation writes into each value it picks.
func (o op) elementPart() (map[string]any, error) {
	if o.target.sub != nil {
		v, err := coerceScalar(*o.target.sub, unwrapScalar(o.value))
		if err != nil {
			return nil, err
		}
		return map[string]any{o.target.sub.Name(): v}, nil
	}
	v, err := coerceOne(o.target.field.attr, unwrap(o.value))
	if err != nil {
		return nil, err
	}
	part, ok := v.(map[string]any)
	if !ok {
		return nil, invalid(typeValue, "%s has no value", o.target.field.attr.Name())
	}
	return part, nil
}

func (o op) removeMatching(place map[string]any, elements []any) error {
	var kept []any
	for _, e := range elements {
		m, ok := e.(map[string]any)
		switch {
		case !ok || !o.target.match(m):
			kept = append(kept, e)
		case o.target.sub != nil:
			delete(m, o.target.sub.Name())
			if len(m) > 0 {
				kept = append(kept, m)
			}
		}
	}
	setList(place, o.target.field.attr.Name(), kept)
	return nil
}

// addValues adds values to a multi-valued attribute. One that is there already
// is brought up to date instead, so that a push that is repeated changes
// nothing (RFC 7644, section 3.5.2.1).
func addValues(place map[string]any, a schema.CoreAttribute, values []any) error {
	list := listOf(place[a.Name()])
	for _, v := range values {
		m, ok := v.(map[string]any)
		if !ok {
			continue
		}
		at := slices.IndexFunc(list, func(e any) bool { return sameValue(e, m) })
		if at < 0 {
			if len(list) >= maxValues {
				return invalid(typeValue, "%s has more than %d values", a.Name(), maxValues)
			}
			list = append(list, m)
		} else if old, ok := list[at].(map[string]any); ok {
			maps.Copy(old, m)
			m = old
		}
		if isPrimary(m) {
			demote(list, m)
		}
	}
	setList(place, a.Name(), list)
	return nil
}

// sameValue reports whether two values of an attribute are the same one: the
// same value of the same type or, where there is no value, the same in all.
func sameValue(e any, m map[string]any) bool {
	old, ok := e.(map[string]any)
	if !ok {
		return false
	}
	if m["value"] == nil && old["value"] == nil {
		return covers(old, m)
	}
	return equalFold(old["value"], m["value"]) && equalFold(old["type"], m["type"])
}

// covers reports whether e has all that part says. A part with a value is
// named by that alone.
func covers(e, part any) bool {
	m, ok := e.(map[string]any)
	p, isMap := part.(map[string]any)
	if !ok || !isMap {
		return reflect.DeepEqual(e, part)
	}
	for k, v := range p {
		if (k == "display" || k == "$ref") && p["value"] != nil {
			continue
		}
		if !equalFold(m[k], v) {
			return false
		}
	}
	return true
}

func equalFold(a, b any) bool {
	s, ok := a.(string)
	t, isText := b.(string)
	if ok && isText {
		return strings.EqualFold(s, t)
	}
	return reflect.DeepEqual(a, b)
}

// demote leaves keep as the only primary value (RFC 7644, section 3.5.2).
func demote(list []any, keep map[string]any) {
	for _, e := range list {
		m, ok := e.(map[string]any)
		if ok && isPrimary(m) && reflect.ValueOf(m).UnsafePointer() != reflect.ValueOf(keep).UnsafePointer() {
			m["primary"] = false
		}
	}
}

func setList(place map[string]any, name string, list []any) {
	if len(list) == 0 {
		delete(place, name)
		return
	}
	place[name] = list
}

// unwrapScalar takes a single value out of [{"value": x}] and {"value": x}.
func unwrapScalar(v any) any {
	v = unwrap(v)
	if m, ok := v.(map[string]any); ok {
		if inner, ok := member(m, "value"); ok {
			return inner
		}
	}
	return v
}
