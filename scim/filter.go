package scim

import (
	"slices"
	"strings"
	"time"

	"github.com/elimity-com/scim/schema"
	filter "github.com/scim2/filter-parser/v2"

	"portcullis/directory"
)

// translator makes a filter of the directory out of one of RFC 7644. What it
// does not understand is refused as invalidFilter.
type translator struct {
	site *site
	t    *resourceType
	// other is the second resource type of a search at the root. What that one
	// alone knows has no value here (RFC 7644, section 3.4.2.1).
	other *resourceType
}

// search translates the text of a filter.
func (tr translator) search(text string) (*directory.Filter, error) {
	expr, err := parseFilter(text)
	if err != nil {
		return nil, err
	}
	f, err := tr.expression(expr)
	return &f, err
}

func never() directory.Filter  { return directory.Filter{Op: directory.Or} }
func always() directory.Filter { return directory.Filter{Op: directory.And} }

func not(f directory.Filter) directory.Filter {
	return directory.Filter{Op: directory.Not, All: []directory.Filter{f}}
}

// expression translates what stands outside of brackets.
func (tr translator) expression(expr filter.Expression) (directory.Filter, error) {
	return tree(expr, tr.comparison, tr.valuePath)
}

// tree translates "and", "or" and "not".
func tree(expr filter.Expression, one func(*filter.AttributeExpression) (directory.Filter, error),
	path func(*filter.ValuePath) (directory.Filter, error),
) (directory.Filter, error) {
	switch e := expr.(type) {
	case *filter.AttributeExpression:
		return one(e)
	case *filter.ValuePath:
		return path(e)
	case *filter.NotExpression:
		inner, err := tree(e.Expression, one, path)
		return not(inner), err
	case *filter.LogicalExpression:
		out := directory.Filter{Op: directory.And}
		if e.Operator == filter.OR {
			out.Op = directory.Or
		}
		for _, part := range operands(e, e.Operator) {
			f, err := tree(part, one, path)
			if err != nil {
				return f, err
			}
			out.All = append(out.All, f)
		}
		return out, nil
	default:
		return directory.Filter{}, invalid(typeFilter, "the filter is not supported")
	}
}

// operands are what one operator joins, from left to right.
func operands(expr filter.Expression, op filter.LogicalOperator) []filter.Expression {
	var right []filter.Expression
	for {
		l, ok := expr.(*filter.LogicalExpression)
		if !ok || l.Operator != op {
			break
		}
		right = append(right, l.Right)
		expr = l.Left
	}
	out := []filter.Expression{expr}
	for _, r := range slices.Backward(right) {
		out = append(out, operands(r, op)...)
	}
	return out
}

// conjuncts are the conditions that a filter joins with "and".
func conjuncts(expr filter.Expression) []filter.Expression { return operands(expr, filter.AND) }

// comparison translates one comparison.
func (tr translator) comparison(e *filter.AttributeExpression) (directory.Filter, error) {
	f, ok := tr.t.field(e.AttributePath.URI(), e.AttributePath.AttributeName)
	if !ok {
		if tr.other != nil {
			if _, known := tr.other.field(e.AttributePath.URI(), e.AttributePath.AttributeName); known {
				return outcome(e.Operator, e.CompareValue, never()), nil
			}
		}
		return never(), errCondition(e.AttributePath.String())
	}
	sub := e.AttributePath.SubAttributeName()
	if f.urn == "" {
		switch special, done, err := tr.special(f.attr.Name(), sub, e); {
		case err != nil:
			return never(), err
		case done:
			return special, nil
		}
	}
	attr := directory.Attr{Extension: f.urn, Name: f.attr.Name(), Many: f.attr.MultiValued()}
	leaf := f.attr
	switch {
	case f.attr.HasSubAttributes():
		name := sub
		if name == "" {
			name = "value" // a complex attribute stands for its value
		}
		found, ok := f.attr.SubAttributes().ContainsAttribute(name)
		if !ok && sub != "" {
			return never(), errCondition(e.AttributePath.String())
		}
		if ok {
			attr.Sub, leaf = found.Name(), found
		}
	case sub != "":
		return never(), errCondition(e.AttributePath.String())
	}
	attr.Kind = kindOf(leaf)
	if f.urn == "" && (attr.Name == "groups" || attr.Name == "members") && attr.Sub == "value" {
		attr.Kind = directory.Exact
	}
	return compare(attr, e.Operator, e.CompareValue)
}

// special are the attributes that are not in a column or a resource as they
// are.
func (tr translator) special(name, sub string, e *filter.AttributeExpression) (f directory.Filter, done bool, err error) {
	text := func(values ...string) (directory.Filter, bool, error) {
		f, err := constant(e, values...)
		return f, true, err
	}
	located := func(attr directory.Attr, t *resourceType) (directory.Filter, bool, error) {
		attr.Kind, attr.Prefix = directory.Exact, tr.site.location(t, "")
		f, err := compare(attr, e.Operator, e.CompareValue)
		return f, true, err
	}
	sub = strings.ToLower(sub)
	switch {
	case name == "password":
		return f, true, errCondition(name)
	case name == "schemas":
		f, err := tr.schemas(e)
		return f, true, err
	case name == "meta" && sub == "resourcetype":
		return text(tr.t.name)
	case name == "meta" && sub == "location":
		return located(directory.Attr{Name: "id"}, tr.t)
	case name == "meta" && sub == "":
		if e.Operator == filter.PR {
			return always(), true, nil
		}
	case name == "groups" && sub == "$ref":
		return located(directory.Attr{Name: "groups", Sub: "value", Many: true}, tr.site.group)
	case name == "members" && sub == "$ref":
		return tr.memberRef(e)
	}
	return f, false, nil
}

// memberRef compares the location of a member, which is a user or a group.
func (tr translator) memberRef(e *filter.AttributeExpression) (directory.Filter, bool, error) {
	op, negate := positive(e.Operator, e.CompareValue)
	either := never()
	for _, t := range []*resourceType{tr.site.user, tr.site.group} {
		ref, err := compare(directory.Attr{Name: "value", Kind: directory.Exact, Prefix: tr.site.location(t, "")}, op, e.CompareValue)
		if err != nil {
			return ref, true, err
		}
		kind := directory.Filter{Op: directory.Eq, Attr: directory.Attr{Name: "type"}, Value: t.name}
		either.All = append(either.All, directory.Filter{
			Op: directory.Any, Attr: directory.Attr{Name: "members", Many: true},
			All: []directory.Filter{{Op: directory.And, All: []directory.Filter{kind, ref}}},
		})
	}
	if negate {
		return not(either), true, nil
	}
	return either, true, nil
}

// schemas compares the URNs of a resource: its core's, and those of the
// extensions that it has values of.
func (tr translator) schemas(e *filter.AttributeExpression) (directory.Filter, error) {
	op, negate := positive(e.Operator, e.CompareValue)
	either := never()
	add := func(urn string, present directory.Filter) error {
		f, err := constant(&filter.AttributeExpression{Operator: op, CompareValue: e.CompareValue}, urn)
		if err == nil && len(f.All) == 0 && f.Op == directory.And {
			either.All = append(either.All, present)
		}
		return err
	}
	if err := add(tr.t.core.ID, always()); err != nil {
		return never(), err
	}
	for _, x := range tr.t.extensions {
		if err := add(x.ID, directory.Filter{Op: directory.Pr, Attr: directory.Attr{Name: x.ID, Kind: directory.Complex}}); err != nil {
			return never(), err
		}
	}
	if negate {
		return not(either), nil
	}
	return either, nil
}

// constant compares with values that are known here, without regard to case.
func constant(e *filter.AttributeExpression, values ...string) (directory.Filter, error) {
	o := operand{attr: schema.SimpleCoreAttribute(schema.SimpleStringParams(schema.StringParams{Name: "constant"})), values: func(map[string]any) []any {
		out := make([]any, len(values))
		for i, v := range values {
			out[i] = v
		}
		return out
	}}
	p, err := o.compare(e.Operator, e.CompareValue)
	if err != nil {
		return never(), err
	}
	if p(nil) {
		return always(), nil
	}
	return never(), nil
}

// positive takes the negation out of an operator.
func positive(op filter.CompareOperator, value any) (filter.CompareOperator, bool) {
	switch {
	case op == filter.NE && value == nil:
		return filter.PR, false
	case op == filter.EQ && value == nil:
		return filter.PR, true
	case op == filter.NE:
		return filter.EQ, true
	default:
		return op, false
	}
}

// outcome is the negation of f if the operator has one.
func outcome(op filter.CompareOperator, value any, f directory.Filter) directory.Filter {
	if _, negate := positive(op, value); negate {
		return not(f)
	}
	return f
}

// valuePath translates a condition on one value of a multi-valued attribute.
func (tr translator) valuePath(e *filter.ValuePath) (directory.Filter, error) {
	f, ok := tr.t.field(e.AttributePath.URI(), e.AttributePath.AttributeName)
	if !ok && tr.other != nil {
		if _, known := tr.other.field(e.AttributePath.URI(), e.AttributePath.AttributeName); known {
			return never(), nil
		}
	}
	if !ok || e.AttributePath.SubAttribute != nil || !f.attr.MultiValued() || !f.attr.HasSubAttributes() {
		return never(), errCondition(e.AttributePath.String())
	}
	rows := f.urn == "" && (f.attr.Name() == "groups" || f.attr.Name() == "members")
	inner, err := tree(e.ValueFilter, func(one *filter.AttributeExpression) (directory.Filter, error) {
		sub, ok := f.attr.SubAttributes().ContainsAttribute(one.AttributePath.AttributeName)
		if !ok || one.AttributePath.SubAttribute != nil || one.AttributePath.URIPrefix != nil {
			return never(), errCondition(one.AttributePath.String())
		}
		attr := directory.Attr{Name: sub.Name(), Kind: kindOf(sub)}
		switch {
		case rows && sub.Name() == "value":
			attr.Kind = directory.Exact
		case rows && sub.Name() == "$ref" && f.attr.Name() == "groups":
			attr = directory.Attr{Name: "value", Kind: directory.Exact, Prefix: tr.site.location(tr.site.group, "")}
		case rows && sub.Name() == "$ref":
			return never(), errCondition(one.AttributePath.String())
		}
		return compare(attr, one.Operator, one.CompareValue)
	}, func(inner *filter.ValuePath) (directory.Filter, error) {
		return never(), errCondition(inner.AttributePath.String())
	})
	if err != nil {
		return never(), err
	}
	attr := directory.Attr{Extension: f.urn, Name: f.attr.Name(), Kind: directory.Complex, Many: true}
	return directory.Filter{Op: directory.Any, Attr: attr, All: []directory.Filter{inner}}, nil
}

// kindOf is how values of an attribute compare.
func kindOf(a schema.CoreAttribute) directory.Kind {
	switch {
	case a.HasSubAttributes():
		return directory.Complex
	case a.AttributeType() == "boolean":
		return directory.Boolean
	case a.AttributeType() == "integer", a.AttributeType() == "decimal":
		return directory.Number
	case a.AttributeType() == "dateTime":
		return directory.Time
	case a.CaseExact():
		return directory.Exact
	default:
		return directory.Folded
	}
}

// compare translates an operator and its value, or refuses what the type of
// the attribute does not have.
func compare(attr directory.Attr, op filter.CompareOperator, value any) (directory.Filter, error) {
	op, negate := positive(op, value)
	f := directory.Filter{Op: directory.Op(op), Attr: attr}
	if op == filter.PR {
		if negate {
			return not(f), nil
		}
		return f, nil
	}
	ordered := op == filter.GT || op == filter.GE || op == filter.LT || op == filter.LE
	ok := false
	switch attr.Kind {
	case directory.Folded, directory.Exact:
		f.Value, ok = value.(string)
	case directory.Boolean:
		f.Value, ok = asBool(value)
		ok = ok && op == filter.EQ
	case directory.Number:
		f.Value, ok = value.(float64)
		ok = ok && (ordered || op == filter.EQ)
	case directory.Time:
		s, _ := value.(string)
		at, err := time.Parse(time.RFC3339, s)
		f.Value, ok = at, err == nil && (ordered || op == filter.EQ)
	default:
	}
	if !ok {
		return never(), invalid(typeFilter, "the filter is not supported: %q cannot compare %s with that value", string(op), clip(attr.Name+"."+attr.Sub))
	}
	if negate {
		return not(f), nil
	}
	return f, nil
}
