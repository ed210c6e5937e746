package scim

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	filter "github.com/scim2/filter-parser/v2"
)

const maxFilter = 4 << 10 // bytes

// parseFilter parses a filter of RFC 7644, section 3.4.2.2, into the syntax
// tree of the library. The library's own parser has no bound on its descent,
// leaves escapes in strings, cannot read a URN with a hyphen, and takes
// microseconds for each character. Here length and depth are bounded, operators
// may be written in any case, and Entra ID's emails[type eq "work"].value eq
// "x" is read as emails[type eq "work" and value eq "x"].
func parseFilter(text string) (filter.Expression, error) {
	if len(text) > maxFilter {
		return nil, invalid(typeFilter, "the filter is longer than %d bytes", maxFilter)
	}
	if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		return nil, invalid(typeFilter, "the filter is not UTF-8 text")
	}
	p := parser{text: text}
	expr, err := p.either()
	if err != nil {
		return nil, err
	}
	if p.space(); p.at < len(p.text) {
		return nil, p.unexpected()
	}
	return expr, nil
}

// parser descends through a filter from left to right.
type parser struct {
	text  string
	at    int
	depth int
	value bool // inside of brackets
}

func (p *parser) unexpected() error {
	if p.at >= len(p.text) {
		return invalid(typeFilter, "the filter ends too early")
	}
	return invalid(typeFilter, "the filter cannot be read from %q on", clip(p.text[p.at:]))
}

func (p *parser) space() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
}

// peek gives the word that stands next; an empty one before a bracket.
func (p *parser) peek() string {
	p.space()
	end := p.at
	for end < len(p.text) && !strings.ContainsRune(` ()[]"`, rune(p.text[end])) {
		end++
	}
	return p.text[p.at:end]
}

// keyword takes a word if it stands next, in any case.
func (p *parser) keyword(word string) bool {
	if next := p.peek(); !strings.EqualFold(next, word) {
		return false
	}
	p.at += len(word)
	return true
}

// sign takes one character if it stands next.
func (p *parser) sign(c byte) bool {
	p.space()
	if p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// either reads conditions that are joined by "or", which binds weaker than
// "and".
func (p *parser) either() (filter.Expression, error) {
	return p.chain("or", filter.OR, func() (filter.Expression, error) {
		return p.chain("and", filter.AND, p.term)
	})
}

func (p *parser) chain(word string, op filter.LogicalOperator, next func() (filter.Expression, error)) (filter.Expression, error) {
	left, err := next()
	for err == nil && p.keyword(word) {
		var right filter.Expression
		if right, err = next(); err == nil {
			left = &filter.LogicalExpression{Left: left, Right: right, Operator: op}
		}
	}
	return left, err
}

// term reads what "and" and "or" join.
func (p *parser) term() (filter.Expression, error) {
	if p.sign('(') {
		return p.nested(')', p.either)
	}
	word := p.peek()
	if strings.EqualFold(word, "not") {
		before := p.at
		p.at += len(word)
		if p.sign('(') {
			inner, err := p.nested(')', p.either)
			if err != nil {
				return nil, err
			}
			return &filter.NotExpression{Expression: inner}, nil
		}
		p.at = before
	}
	path, ok := attrPath(word)
	if !ok {
		return nil, p.unexpected()
	}
	p.at += len(word)
	if p.at < len(p.text) && p.text[p.at] == '[' {
		if p.value {
			return nil, p.unexpected()
		}
		p.at++
		return p.brackets(path)
	}
	return p.comparison(path)
}

// nested reads what stands between parentheses or brackets.
func (p *parser) nested(end byte, inner func() (filter.Expression, error)) (filter.Expression, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, invalid(typeFilter, "the filter is nested deeper than %d levels", maxDepth)
	}
	expr, err := inner()
	if err != nil {
		return nil, err
	}
	if !p.sign(end) {
		return nil, p.unexpected()
	}
	p.depth--
	return expr, nil
}

// brackets reads a value filter, and the comparison that Entra ID writes
// behind one.
func (p *parser) brackets(path filter.AttributePath) (filter.Expression, error) {
	p.value = true
	inner, err := p.nested(']', p.either)
	p.value = false
	if err != nil {
		return nil, err
	}
	if p.at < len(p.text) && p.text[p.at] == '.' {
		p.at++
		word := p.peek()
		tail, ok := attrPath(word)
		if !ok || tail.URIPrefix != nil || tail.SubAttribute != nil {
			return nil, p.unexpected()
		}
		p.at += len(word)
		more, err := p.comparison(tail)
		if err != nil {
			return nil, err
		}
		inner = &filter.LogicalExpression{Left: inner, Right: more, Operator: filter.AND}
	}
	return &filter.ValuePath{AttributePath: path, ValueFilter: inner}, nil
}

func (p *parser) comparison(path filter.AttributePath) (filter.Expression, error) {
	word := p.peek()
	e := &filter.AttributeExpression{AttributePath: path, Operator: filter.CompareOperator(strings.ToLower(word))}
	switch e.Operator {
	case filter.PR:
		p.at += len(word)
		return e, nil
	case filter.EQ, filter.NE, filter.CO, filter.SW, filter.EW, filter.GT, filter.GE, filter.LT, filter.LE:
		p.at += len(word)
	default:
		return nil, p.unexpected()
	}
	if p.at >= len(p.text) || p.text[p.at] != ' ' {
		return nil, p.unexpected()
	}
	p.space()
	var err error
	e.CompareValue, err = p.compareValue()
	return e, err
}

// compareValue reads a JSON string, number, boolean or null.
func (p *parser) compareValue() (any, error) {
	if p.at < len(p.text) && p.text[p.at] == '"' {
		return p.compareText()
	}
	word := p.peek()
	switch strings.ToLower(word) {
	case "true", "false":
		p.at += len(word)
		return len(word) == len("true"), nil
	case "null":
		p.at += len(word)
		return nil, nil
	}
	n, err := strconv.ParseFloat(word, 64)
	if err != nil || !json.Valid([]byte(word)) {
		return nil, p.unexpected()
	}
	p.at += len(word)
	return n, nil
}

func (p *parser) compareText() (any, error) {
	end := p.at + 1
	plain := true
	for ; end < len(p.text) && p.text[end] != '"'; end++ {
		if p.text[end] == '\\' {
			plain = false
			end++
		}
		if end < len(p.text) && p.text[end] < ' ' {
			plain = false
		}
	}
	if end >= len(p.text) {
		return nil, invalid(typeFilter, "a string of the filter does not end")
	}
	value := p.text[p.at+1 : end]
	if !plain {
		if err := json.Unmarshal([]byte(p.text[p.at:end+1]), &value); err != nil || strings.IndexByte(value, 0) >= 0 {
			return nil, invalid(typeFilter, "a string of the filter is not a JSON string")
		}
	}
	p.at = end + 1
	return value, nil
}

// attrPath reads [URN:]attribute[.sub-attribute].
func attrPath(word string) (filter.AttributePath, bool) {
	var p filter.AttributePath
	if i := strings.LastIndexByte(word, ':'); i >= 0 {
		urn := word[:i]
		p.URIPrefix, word = &urn, word[i+1:]
	}
	name, sub, dotted := strings.Cut(word, ".")
	p.AttributeName = name
	if dotted {
		if !attrName(sub) && sub != "$ref" {
			return p, false
		}
		p.SubAttribute = &sub
	}
	return p, attrName(name) || name == "$ref"
}

func attrName(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || s[i] != '-' && s[i] != '_' && (s[i] < '0' || s[i] > '9')) {
			return false
		}
	}
	return s != ""
}

// plainCondition reports whether a filter has the form value eq "…": clients
// name each member by one.
func plainCondition(text string) bool {
	expr, err := parseFilter(text)
	e, ok := expr.(*filter.AttributeExpression)
	return err == nil && ok && e.Operator == filter.EQ && strings.EqualFold(e.AttributePath.String(), "value")
}
