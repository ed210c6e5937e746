package scim

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	filter "github.com/scim2/filter-parser/v2"

	"portcullis/directory"
)

const maxFilter = 4 << 10 // bytes

// parseFilter parses a filter of RFC 7644, section 3.4.2.2. Length and nesting
// are judged before the parser sees it: its descent has no bound of its own.
// Compare values that are strings come back as they were meant.
func parseFilter(text string) (filter.Expression, error) {
	if expr, ok := plainCondition(text); ok {
		return expr, nil
	}
	r := rewriter{text: text}
	if err := r.rewrite(); err != nil {
		return nil, err
	}
	expr, err := filter.ParseFilter([]byte(r.out.String()))
	if err != nil {
		return nil, invalid(typeFilter, "the filter cannot be read")
	}
	r.restore(expr)
	return expr, nil
}

// plainCondition is a filter of the form value eq "…", which needs no parser:
// clients name each member by one.
func plainCondition(text string) (filter.Expression, bool) {
	name, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	operator, rest, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	rest = strings.TrimLeft(rest, " ")
	if !strings.EqualFold(name, "value") || !strings.EqualFold(operator, "eq") || !strings.HasPrefix(rest, `"`) || len(text) > maxFilter {
		return nil, false
	}
	var value string
	if !utf8.ValidString(rest) || json.Unmarshal([]byte(rest), &value) != nil || strings.ContainsRune(value, 0) {
		return nil, false
	}
	return &filter.AttributeExpression{
		AttributePath: filter.AttributePath{AttributeName: name}, Operator: filter.EQ, CompareValue: value,
	}, true
}

// rewriter puts a filter into what the parser reads: each string as its number
// in the list of strings (the parser leaves escapes in, refuses lower-case
// \u00fc, and takes microseconds for each character), and Entra ID's
// emails[type eq "work"].value eq "x" as emails[type eq "work" and value eq "x"].
type rewriter struct {
	text    string
	out     strings.Builder
	strings []string
}

func (r *rewriter) rewrite() error {
	if len(r.text) > maxFilter {
		return invalid(typeFilter, "the filter is longer than %d bytes", maxFilter)
	}
	if !utf8.ValidString(r.text) || strings.ContainsRune(r.text, 0) {
		return invalid(typeFilter, "the filter is not UTF-8 text")
	}
	depth := 0
	for i := 0; i < len(r.text); {
		c := r.text[i]
		var err error
		switch c {
		case '"':
			i, err = r.scanString(i)
		case ']':
			depth--
			i, err = r.scanTail(i + 1)
			r.out.WriteByte(c)
		case '(', '[':
			if depth++; depth > maxDepth {
				return invalid(typeFilter, "the filter is nested deeper than %d levels", maxDepth)
			}
			r.out.WriteByte(c)
			i++
		default:
			if c == ')' {
				depth--
			}
			r.out.WriteByte(c)
			i++
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scanString takes out the JSON string at i and gives where it ends.
func (r *rewriter) scanString(i int) (end int, err error) {
	end = i + 1
	for ; end < len(r.text) && r.text[end] != '"'; end++ {
		if r.text[end] == '\\' {
			end++
		}
	}
	if end >= len(r.text) {
		return 0, invalid(typeFilter, "a string of the filter does not end")
	}
	end++
	var value string
	if err := json.Unmarshal([]byte(r.text[i:end]), &value); err != nil || strings.ContainsRune(value, 0) {
		return 0, invalid(typeFilter, "a string of the filter is not a JSON string")
	}
	r.out.WriteString(strconv.Quote(strconv.Itoa(len(r.strings))))
	r.strings = append(r.strings, value)
	return end, nil
}

// scanTail reads ".value eq "x"" behind a closing bracket and writes it as one
// more condition inside. Nothing there is no condition.
func (r *rewriter) scanTail(i int) (end int, err error) {
	if i >= len(r.text) || r.text[i] != '.' {
		return i, nil
	}
	nameEnd := r.word(i + 1)
	opStart := r.space(nameEnd)
	opEnd := r.word(opStart)
	if nameEnd == i+1 || opStart == nameEnd || opEnd == opStart {
		return 0, errTail()
	}
	r.out.WriteString(" and " + r.text[i+1:nameEnd] + " " + r.text[opStart:opEnd])
	if strings.EqualFold(r.text[opStart:opEnd], "pr") {
		return opEnd, nil
	}
	start := r.space(opEnd)
	if start == opEnd || start >= len(r.text) {
		return 0, errTail()
	}
	r.out.WriteByte(' ')
	if r.text[start] == '"' {
		return r.scanString(start)
	}
	end = r.word(start)
	r.out.WriteString(r.text[start:end])
	return end, nil
}

func errTail() error { return invalid(typeFilter, "the filter cannot be read after ]") }

// word gives the end of the word at i, space the end of the spaces.
func (r *rewriter) word(i int) int {
	for i < len(r.text) && !strings.ContainsRune(` ()[]"`, rune(r.text[i])) {
		i++
	}
	return i
}

func (r *rewriter) space(i int) int {
	for i < len(r.text) && r.text[i] == ' ' {
		i++
	}
	return i
}

// restore puts the strings back.
func (r *rewriter) restore(expr filter.Expression) {
	switch e := expr.(type) {
	case *filter.AttributeExpression:
		if s, ok := e.CompareValue.(string); ok {
			if n, err := strconv.Atoi(s); err == nil && n < len(r.strings) {
				e.CompareValue = r.strings[n]
			}
		}
	case *filter.LogicalExpression:
		r.restore(e.Left)
		r.restore(e.Right)
	case *filter.NotExpression:
		r.restore(e.Expression)
	case *filter.ValuePath:
		r.restore(e.ValueFilter)
	}
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
		value, isText := e.CompareValue.(string)
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
			if value, isText := a.CompareValue.(string); isText {
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
