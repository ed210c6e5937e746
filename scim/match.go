package scim

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/elimity-com/scim/schema"
	filter "github.com/scim2/filter-parser/v2"
)

// predicate judges a document, or one element of a multi-valued attribute.
type predicate func(doc map[string]any) bool

// operand is an attribute of a condition.
type operand struct {
	values func(doc map[string]any) []any // those that are assigned
	attr   schema.CoreAttribute           // what the values are
}

// resolver finds the attribute that a path names.
type resolver func(filter.AttributePath) (operand, error)

// compileElement makes a predicate over the elements of a multi-valued
// attribute: what stands between the brackets.
func compileElement(expr filter.Expression, a schema.CoreAttribute) (predicate, error) {
	resolve := func(p filter.AttributePath) (operand, error) {
		sub, ok := a.SubAttributes().ContainsAttribute(p.AttributeName)
		if !ok || p.SubAttribute != nil || p.URIPrefix != nil {
			return operand{}, errCondition(p.String())
		}
		return operand{attr: sub, values: func(m map[string]any) []any { return listOf(m[sub.Name()]) }}, nil
	}
	return compile(expr, resolve, func(e *filter.ValuePath) (predicate, error) {
		return nil, errCondition(e.AttributePath.String())
	})
}

func compile(expr filter.Expression, resolve resolver, path func(*filter.ValuePath) (predicate, error)) (predicate, error) {
	switch e := expr.(type) {
	case *filter.AttributeExpression:
		o, err := resolve(e.AttributePath)
		if err != nil {
			return nil, err
		}
		return o.compare(e.Operator, e.CompareValue)
	case *filter.LogicalExpression:
		left, err := compile(e.Left, resolve, path)
		if err != nil {
			return nil, err
		}
		right, err := compile(e.Right, resolve, path)
		if err != nil {
			return nil, err
		}
		if e.Operator == filter.AND {
			return func(d map[string]any) bool { return left(d) && right(d) }, nil
		}
		return func(d map[string]any) bool { return left(d) || right(d) }, nil
	case *filter.NotExpression:
		inner, err := compile(e.Expression, resolve, path)
		if err != nil {
			return nil, err
		}
		return func(d map[string]any) bool { return !inner(d) }, nil
	case *filter.ValuePath:
		return path(e)
	default:
		return nil, invalid(typeFilter, "the filter is not supported")
	}
}

func errCondition(path string) error {
	return invalid(typeFilter, "the filter is not supported: %s cannot be compared", clip(path))
}

func listOf(v any) []any {
	switch l := v.(type) {
	case nil:
		return nil
	case []any:
		return l
	default:
		return []any{l}
	}
}

// compare makes the predicate of one condition, or refuses an operator that
// the attribute's type does not have.
func (o operand) compare(op filter.CompareOperator, want any) (predicate, error) {
	present := func(doc map[string]any) bool {
		return slices.ContainsFunc(o.values(doc), func(v any) bool { return v != "" })
	}
	switch {
	case op == filter.PR, want == nil && op == filter.NE:
		return present, nil
	case want == nil && op == filter.EQ:
		return func(doc map[string]any) bool { return !present(doc) }, nil
	}
	negate := op == filter.NE
	if negate {
		op = filter.EQ
	}
	test := o.test(op, want)
	if test == nil {
		return nil, invalid(typeFilter, "the filter is not supported: %s is %s, which %q cannot compare with that value",
			o.attr.Name(), o.attr.AttributeType(), string(op))
	}
	return func(doc map[string]any) bool {
		return slices.ContainsFunc(o.values(doc), test) != negate
	}, nil
}

// test compares one value; nil if the types do not allow it.
func (o operand) test(op filter.CompareOperator, want any) func(any) bool {
	switch o.attr.AttributeType() {
	case "boolean":
		b, ok := asBool(want)
		if !ok || op != filter.EQ {
			return nil
		}
		return func(v any) bool { got, ok := v.(bool); return ok && got == b }
	case "integer", "decimal":
		w, ok := asFloat(want)
		if !ok {
			return nil
		}
		return ordered(op, func(v any) (int, bool) {
			got, ok := asFloat(v)
			return compareFloat(got, w), ok
		})
	case "dateTime":
		s, _ := want.(string)
		w, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return nil
		}
		return ordered(op, func(v any) (int, bool) {
			s, _ := v.(string)
			got, err := time.Parse(time.RFC3339, s)
			return got.Compare(w), err == nil
		})
	case "complex":
		return nil
	default:
		w, ok := want.(string)
		if !ok {
			return nil
		}
		return o.testText(op, w)
	}
}

func (o operand) testText(op filter.CompareOperator, want string) func(any) bool {
	fold := strings.ToLower
	if o.attr.CaseExact() {
		fold = func(s string) string { return s }
	}
	want = fold(want)
	text := func(f func(string) bool) func(any) bool {
		return func(v any) bool { s, ok := v.(string); return ok && f(fold(s)) }
	}
	switch op {
	case filter.CO:
		return text(func(s string) bool { return strings.Contains(s, want) })
	case filter.SW:
		return text(func(s string) bool { return strings.HasPrefix(s, want) })
	case filter.EW:
		return text(func(s string) bool { return strings.HasSuffix(s, want) })
	default:
		return ordered(op, func(v any) (int, bool) {
			s, ok := v.(string)
			return strings.Compare(fold(s), want), ok
		})
	}
}

// ordered is a comparison by order; nil for an operator that is none.
func ordered(op filter.CompareOperator, compare func(any) (int, bool)) func(any) bool {
	var holds func(int) bool
	switch op {
	case filter.EQ:
		holds = func(c int) bool { return c == 0 }
	case filter.GT:
		holds = func(c int) bool { return c > 0 }
	case filter.GE:
		holds = func(c int) bool { return c >= 0 }
	case filter.LT:
		holds = func(c int) bool { return c < 0 }
	case filter.LE:
		holds = func(c int) bool { return c <= 0 }
	default:
		return nil
	}
	return func(v any) bool { c, ok := compare(v); return ok && holds(c) }
}

func compareFloat(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

func asFloat(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	}
	return 0, false
}
