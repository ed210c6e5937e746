package scim

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	filter "github.com/scim2/filter-parser/v2"

	"portcullis/directory"
)

const maxFilter = 4 << 10 // bytes

// parseFilter parses a filter of RFC 7644, section 3.4.2.2. Length and nesting
// are judged before the parser sees it: its descent has no bound of its own.
func parseFilter(text string) (filter.Expression, error) {
	text, err := rewriteFilter(text)
	if err != nil {
		return nil, err
	}
	expr, err := filter.ParseFilter([]byte(text))
	if err != nil {
		return nil, invalid(typeFilter, "the filter cannot be read")
	}
	return expr, nil
}

// rewriteFilter puts a filter into what the parser reads: each string with the
// escapes it knows (it refuses lower-case \u00fc), and Entra ID's
// emails[type eq "work"].value eq "x" as emails[type eq "work" and value eq "x"].
func rewriteFilter(text string) (string, error) {
	if len(text) > maxFilter {
		return "", invalid(typeFilter, "the filter is longer than %d bytes", maxFilter)
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return "", invalid(typeFilter, "the filter is not UTF-8 text")
	}
	var out strings.Builder
	depth := 0
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case '"':
			end, s, err := scanString(text, i)
			if err != nil {
				return "", err
			}
			out.WriteString(s)
			i = end
			continue
		case '(', '[':
			if depth++; depth > maxDepth {
				return "", invalid(typeFilter, "the filter is nested deeper than %d levels", maxDepth)
			}
			out.WriteByte(c)
		case ')':
			depth--
			out.WriteByte(c)
		case ']':
			depth--
			end, condition, err := scanTail(text, i+1)
			if err != nil {
				return "", err
			}
			out.WriteString(condition)
			out.WriteByte(c)
			i = end
			continue
		default:
			out.WriteByte(c)
		}
		i++
	}
	return out.String(), nil
}

// scanString reads the JSON string at i and gives it in the parser's spelling.
func scanString(text string, i int) (end int, s string, err error) {
	end = i + 1
	for ; end < len(text) && text[end] != '"'; end++ {
		if text[end] == '\\' {
			end++
		}
	}
	if end >= len(text) {
		return 0, "", invalid(typeFilter, "a string of the filter does not end")
	}
	end++
	var value string
	if err := json.Unmarshal([]byte(text[i:end]), &value); err != nil || strings.ContainsRune(value, 0) {
		return 0, "", invalid(typeFilter, "a string of the filter is not a JSON string")
	}
	return end, quote(value), nil
}

// quote writes a string with the escapes that the parser knows.
func quote(s string) string {
	const hex = "0123456789ABCDEF"
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r < 0x20:
			out.WriteString(`\u00`)
			out.WriteByte(hex[r>>4])
			out.WriteByte(hex[r&15])
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return out.String()
}

// scanTail reads ".value eq "x"" behind a closing bracket and gives it as one
// more condition inside. Nothing there is no condition.
func scanTail(text string, i int) (end int, condition string, err error) {
	if i >= len(text) || text[i] != '.' {
		return i, "", nil
	}
	word := func(from int) int {
		to := from
		for to < len(text) && !strings.ContainsRune(` ()[]"`, rune(text[to])) {
			to++
		}
		return to
	}
	space := func(from int) int {
		for from < len(text) && text[from] == ' ' {
			from++
		}
		return from
	}
	nameEnd := word(i + 1)
	opStart := space(nameEnd)
	opEnd := word(opStart)
	if nameEnd == i+1 || opStart == nameEnd || opEnd == opStart {
		return 0, "", invalid(typeFilter, "the filter cannot be read after ]")
	}
	condition = " and " + text[i+1:nameEnd] + " " + text[opStart:opEnd]
	if strings.EqualFold(text[opStart:opEnd], "pr") {
		return opEnd, condition, nil
	}
	start := space(opEnd)
	if start == opEnd || start >= len(text) {
		return 0, "", invalid(typeFilter, "the filter cannot be read after ]")
	}
	if text[start] == '"' {
		end, s, err := scanString(text, start)
		if err != nil {
			return 0, "", err
		}
		return end, condition + " " + s, nil
	}
	end = word(start)
	return end, condition + " " + text[start:end], nil
}

// literal is a compare value as it was meant. The parser leaves the escapes in
// a string.
func literal(v any) any {
	s, ok := v.(string)
	if !ok {
		return v
	}
	var out string
	if err := json.Unmarshal([]byte(`"`+s+`"`), &out); err != nil {
		return s
	}
	return out
}

// search is a filter for the store, and what is left of it to judge here.
type search struct {
	where *directory.Filter
	rest  predicate // nil: the store's answer is the answer
}

// search translates a filter. At least one of its conditions has to be one
// that the store can look up, and the rest is judged on what that finds; a
// filter without such a condition is refused, for an empty list would be a lie
// and reading everybody has no bound.
func (t *resourceType) search(text string) (search, error) {
	expr, err := parseFilter(text)
	if err != nil {
		return search{}, err
	}
	var s search
	var all []directory.Filter
	var rest []predicate
	for _, c := range conjuncts(expr) {
		f, exact, ok := t.lookup(c)
		if ok {
			all = append(all, f)
		}
		if ok && exact {
			continue
		}
		p, err := t.compile(c)
		if err != nil {
			return search{}, err
		}
		rest = append(rest, p)
	}
	switch len(all) {
	case 0:
		return search{}, invalid(typeFilter,
			"the filter is not supported: it needs id, userName, externalId, displayName, emails or members eq a value")
	case 1:
		s.where = &all[0]
	default:
		s.where = &directory.Filter{Op: directory.And, All: all}
	}
	if len(rest) > 0 {
		s.rest = func(doc map[string]any) bool {
			return !slices.ContainsFunc(rest, func(p predicate) bool { return !p(doc) })
		}
	}
	return s, nil
}

// conjuncts are the conditions that a filter joins with "and".
func conjuncts(expr filter.Expression) []filter.Expression {
	if l, ok := expr.(*filter.LogicalExpression); ok && l.Operator == filter.AND {
		return append(conjuncts(l.Left), conjuncts(l.Right)...)
	}
	return []filter.Expression{expr}
}

// lookup is the store's form of a condition, if it has one. It is exact if
// whatever the store finds meets the condition.
func (t *resourceType) lookup(expr filter.Expression) (f directory.Filter, exact, ok bool) {
	switch e := expr.(type) {
	case *filter.AttributeExpression:
		value, isText := literal(e.CompareValue).(string)
		if e.Operator != filter.EQ || !isText {
			return f, false, false
		}
		found, known := t.field(e.AttributePath.URI(), e.AttributePath.AttributeName)
		if !known || found.urn != "" {
			return f, false, false
		}
		attr, exact := t.column(found.attr.Name(), e.AttributePath.SubAttributeName())
		return directory.Filter{Op: directory.Eq, Attr: attr, Value: value}, exact, attr != ""
	case *filter.ValuePath:
		found, known := t.field(e.AttributePath.URI(), e.AttributePath.AttributeName)
		if !known || found.urn != "" || e.AttributePath.SubAttribute != nil {
			return f, false, false
		}
		inner := conjuncts(e.ValueFilter)
		for _, c := range inner {
			a, isAttr := c.(*filter.AttributeExpression)
			if !isAttr || a.Operator != filter.EQ || !strings.EqualFold(a.AttributePath.String(), "value") {
				continue
			}
			if value, isText := literal(a.CompareValue).(string); isText {
				attr, exact := t.column(found.attr.Name(), "value")
				return directory.Filter{Op: directory.Eq, Attr: attr, Value: value}, exact && len(inner) == 1, attr != ""
			}
		}
	}
	return f, false, false
}

// column names what the store can look up. A person's name is found under
// displayName whatever it was made of, so that one is looked at again.
func (t *resourceType) column(attr, sub string) (name string, exact bool) {
	user := t.name == "User"
	sub = strings.ToLower(sub)
	switch {
	case attr == "id" && sub == "", attr == "externalId" && sub == "":
		return attr, true
	case attr == "displayName" && sub == "":
		return attr, !user
	case user && attr == "userName" && sub == "":
		return attr, true
	case user && attr == "emails" && (sub == "" || sub == "value"):
		return "email", true
	case !user && attr == "members" && (sub == "" || sub == "value"):
		return "member", true
	default:
		return "", false
	}
}
