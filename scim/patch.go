package scim

import (
	"slices"
	"strings"

	"github.com/elimity-com/scim/schema"
	filter "github.com/scim2/filter-parser/v2"
)

// Bounds on one PATCH, which is applied while others wait to write. The
// operations count as they are resolved: one for each member of a value. Those
// on a user cost as much as their attributes have values, and the conditions
// in paths, in bytes, are slow to parse and are judged for each value.
const (
	maxOps        = 5000
	maxUserOps    = 1000
	maxConditions = 8 << 10
)

// verb is what an operation does.
type verb string

const (
	opAdd     verb = "add"
	opRemove  verb = "remove"
	opReplace verb = "replace"
)

// op is one operation of a PATCH, resolved: a path-less one becomes one for
// each member of its value.
type op struct {
	verb     verb
	target   target
	value    any
	hasValue bool
}

// target is what a path names.
type target struct {
	extension string // the path is an extension's URN; nothing else is set then
	field     field
	sub       *schema.CoreAttribute // nil: the whole attribute
	match     predicate             // nil: no value filter
	equal     map[string]any        // what the value filter asks for with eq, if that is all it asks
	values    []string              // what the value filter allows value to be, if that can be listed
}

// patch is a PATCH request, understood.
type patch struct {
	ops     []op
	ignored []string // attributes that no schema knows

	conditions int // bytes of them
}

// names reports whether an operation is about an attribute of the core.
func (p patch) names(attribute string) bool {
	return slices.ContainsFunc(p.ops, func(o op) bool {
		return o.target.extension == "" && o.target.field.urn == "" && o.target.field.attr.Name() == attribute
	})
}

// onlyActive reports whether nothing but active is changed, as by whoever
// lets people go.
func (p patch) onlyActive() bool {
	return len(p.ops) > 0 && !slices.ContainsFunc(p.ops, func(o op) bool {
		return o.target.extension != "" || o.target.field.urn != "" || o.target.field.attr.Name() != "active"
	})
}

// dismisses reports whether a PATCH makes whoever it is about inactive, and
// does nothing else.
func (p patch) dismisses() bool {
	doc := map[string]any{"active": true}
	return p.onlyActive() && p.apply(doc) == nil && doc["active"] == false
}

// parsePatch reads the body of RFC 7644, section 3.5.2 in every client's
// dialect: names in any case, operations in any case, paths as keys.
func (t *resourceType) parsePatch(body map[string]any) (patch, error) {
	raw, _ := member(body, "Operations")
	list, ok := raw.([]any)
	if !ok || len(list) == 0 {
		return patch{}, invalid(typeValue, "Operations is a list of at least one operation")
	}
	if len(list) > maxOps {
		return patch{}, invalid(typeValue, "more than %d operations", maxOps)
	}
	var p patch
	for _, raw := range list {
		m, ok := raw.(map[string]any)
		if !ok {
			return patch{}, invalid(typeSyntax, "an operation is an object")
		}
		if err := t.parseOp(&p, m); err != nil {
			return patch{}, err
		}
	}
	return p, nil
}

func (t *resourceType) parseOp(p *patch, m map[string]any) error {
	name, _ := member(m, "op")
	text, _ := name.(string)
	v := verb(strings.ToLower(text))
	if v != opAdd && v != opRemove && v != opReplace {
		return invalid(typeSyntax, "op is add, remove or replace")
	}
	value, hasValue := member(m, "value")
	rawPath, hasPath := member(m, "path")
	path, isText := rawPath.(string)
	if hasPath && rawPath != nil && !isText {
		return invalid(typePath, "path is a string")
	}
	if path = strings.TrimSpace(path); path != "" {
		return t.parsePathOp(p, v, path, value, hasValue)
	}
	if v == opRemove {
		return invalid(typeNoTarget, "remove needs a path")
	}
	doc, ok := value.(map[string]any)
	if !ok {
		return invalid(typeValue, "an operation without a path has an object as its value")
	}
	for _, key := range sortedKeys(doc) {
		if err := t.parseKey(p, v, key, doc[key]); err != nil {
			return err
		}
	}
	return nil
}

func (t *resourceType) parsePathOp(p *patch, v verb, path string, value any, hasValue bool) error {
	if strings.IndexByte(path, '[') >= 0 && !plainPath(path) {
		if p.conditions += len(path); p.conditions > maxConditions {
			return invalid(typePath, "the conditions of the paths have more than %d bytes in all", maxConditions)
		}
	}
	to, known, err := t.parsePath(path)
	switch {
	case err != nil:
		return err
	case !known:
		p.ignored = append(p.ignored, clip(path))
		return nil
	case to.extension != "":
		return t.parseExtension(p, v, to.extension, value)
	case to.field.attr.Name() == "schemas" || to.field.attr.Name() == "password":
		return nil // the endpoint's own, and what it never keeps
	case readOnly(to.field.attr), to.sub != nil && readOnly(*to.sub):
		return invalid(typeMutability, "%s is read-only", to.field.attr.Name())
	}
	if v != opRemove && !hasValue {
		return invalid(typeValue, "%s of %s has no value", v, clip(path))
	}
	most := maxOps
	if t.name == "User" {
		most = maxUserOps
	}
	if len(p.ops) >= most {
		return invalid(typeValue, "more than %d operations", most)
	}
	p.ops = append(p.ops, op{verb: v, target: to, value: value, hasValue: hasValue})
	return nil
}

// plainPath reports whether a path has the one condition that costs nothing:
// members[value eq "id"].
func plainPath(path string) bool {
	_, condition, _, err := cutPath(path)
	return err == nil && plainCondition(condition)
}

// parseKey takes one member of a path-less value. A key may be a path of its
// own: name.familyName, an extension's URN with or without an attribute. What
// the endpoint writes itself is passed over, as in a PUT: Okta sends the id of
// a group along with its new name.
func (t *resourceType) parseKey(p *patch, v verb, key string, value any) error {
	to, known, err := t.parsePath(key)
	if err != nil {
		if strings.ContainsAny(key, "[]") {
			return err
		}
		known = false
	}
	if known && to.extension == "" && readOnly(to.field.attr) {
		if list, ok := value.([]any); to.field.attr.Name() == "groups" && (!ok || len(list) > 0) {
			return invalid(typeMutability, "groups is read-only: patch the members of the group")
		}
		return nil
	}
	if !known {
		p.ignored = append(p.ignored, clip(key))
		return nil
	}
	return t.parsePathOp(p, v, key, value, true)
}

// parseExtension takes an operation on a whole extension.
func (t *resourceType) parseExtension(p *patch, v verb, urn string, value any) error {
	if v == opRemove || value == nil {
		p.ops = append(p.ops, op{verb: opRemove, target: target{extension: urn}})
		return nil
	}
	doc, ok := value.(map[string]any)
	if !ok {
		return invalid(typeValue, "%s is an object", urn)
	}
	for _, key := range sortedKeys(doc) {
		if prefix, _ := t.splitURN(key); prefix != "" {
			return invalid(typePath, "%s cannot stand inside an extension", clip(key))
		}
		if err := t.parseKey(p, v, urn+":"+key, doc[key]); err != nil {
			return err
		}
	}
	return nil
}

// parsePath reads a path of RFC 7644, section 3.5.2. It is not known if no
// schema has such an attribute, which is an error only where the path looks
// inside of it.
func (t *resourceType) parsePath(path string) (to target, known bool, err error) {
	if len(path) > maxFilter {
		return to, false, invalid(typePath, "the path is longer than %d bytes", maxFilter)
	}
	urn, rest := t.splitURN(path)
	if urn != "" && rest == "" {
		if urn == t.core.ID {
			return to, false, invalid(typePath, "the path is the resource itself")
		}
		return target{extension: urn}, true, nil
	}
	name, condition, tail, err := cutPath(rest)
	if err != nil {
		return to, false, err
	}
	attr, sub, foreign, ok := splitAttrPath(name)
	if !ok {
		return to, false, errPath(path)
	}
	if foreign {
		return to, false, nil // a schema that is not ours
	}
	f, ok := t.field(urn, attr)
	if !ok {
		if condition != "" {
			return to, false, errPath(path)
		}
		return to, false, nil
	}
	to.field = f
	if tail != "" {
		if sub != "" {
			return to, false, errPath(path)
		}
		sub = tail
	}
	if sub != "" {
		a, ok := f.attr.SubAttributes().ContainsAttribute(sub)
		if !ok {
			return to, false, errPath(path)
		}
		to.sub = &a
	}
	if condition != "" {
		if err := to.condition(path, condition); err != nil {
			return to, false, err
		}
	}
	return to, true, nil
}

// splitAttrPath reads an attrPath of RFC 7644, section 3.10, by hand: the
// parser takes a thousand times as long, and a body holds many. foreign says
// that it begins with a URN.
func splitAttrPath(path string) (attr, sub string, foreign, ok bool) {
	if len(path) > 4 && strings.EqualFold(path[:4], "urn:") {
		bad := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"()[]\`, r) }
		return "", "", true, !strings.ContainsFunc(path, bad)
	}
	attr, sub, dotted := strings.Cut(path, ".")
	name := func(s string) bool { return attrName(strings.TrimPrefix(s, "$")) }
	return attr, sub, false, name(attr) && (!dotted || name(sub))
}

func errPath(path string) error {
	return invalid(typePath, "the path %q names nothing that can be patched", clip(path))
}

// cutPath cuts a path into what stands before, between and after its brackets.
func cutPath(path string) (name, condition, tail string, err error) {
	open := strings.IndexByte(path, '[')
	if open < 0 {
		return path, "", "", nil
	}
	end := strings.LastIndexByte(path, ']')
	if end < open {
		return "", "", "", errPath(path)
	}
	name, condition, tail = path[:open], strings.TrimSpace(path[open+1:end]), path[end+1:]
	if condition == "" {
		return "", "", "", errPath(path)
	}
	if tail != "" {
		if tail[0] != '.' || len(tail) == 1 {
			return "", "", "", errPath(path)
		}
		tail = tail[1:]
	}
	return name, condition, tail, nil
}

// condition reads what stands between the brackets.
func (to *target) condition(path, text string) error {
	a := to.field.attr
	if !a.MultiValued() || !a.HasSubAttributes() {
		return errPath(path)
	}
	expr, err := parseFilter(text)
	if err != nil {
		return errPath(path)
	}
	if to.match, err = compileElement(expr, a); err != nil {
		return errPath(path)
	}
	to.equal = make(map[string]any)
	for _, c := range conjuncts(expr) {
		e, ok := c.(*filter.AttributeExpression)
		if !ok || e.Operator != filter.EQ || e.CompareValue == nil {
			to.equal = nil
			break
		}
		sub, _ := a.SubAttributes().ContainsAttribute(e.AttributePath.AttributeName)
		v, err := coerceScalar(sub, e.CompareValue)
		if err != nil {
			return errPath(path)
		}
		to.equal[sub.Name()] = v
	}
	to.values = listValues(expr)
	return nil
}

// listValues lists what a value filter allows value to be: members[value eq
// "a" or value eq "b"]. It is nil if that cannot be listed.
func listValues(expr filter.Expression) []string {
	switch e := expr.(type) {
	case *filter.AttributeExpression:
		if s, ok := e.CompareValue.(string); ok && e.Operator == filter.EQ && strings.EqualFold(e.AttributePath.AttributeName, "value") {
			return []string{s}
		}
	case *filter.LogicalExpression:
		if left, right := listValues(e.Left), listValues(e.Right); e.Operator == filter.OR && left != nil && right != nil {
			return append(left, right...)
		}
	}
	return nil
}
