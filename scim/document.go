package scim

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// documentReader reads a document that [json.Valid] has passed, so that it looks only
// for what is valid JSON and not welcome: a member twice, a NUL, depth.
// Numbers stay as written. Names and texts share the memory of the document.
type documentReader struct {
	raw string
	at  int
}

// next skips white space and gives the byte that follows.
func (p *documentReader) next() byte {
	for {
		switch c := p.raw[p.at]; c {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return c
		}
	}
}

func (p *documentReader) value(depth int) (any, error) {
	switch c := p.next(); c {
	case '{', '[':
		if depth >= maxDepth {
			return nil, invalid(typeSyntax, "the body is nested deeper than %d levels", maxDepth)
		}
		if p.at++; c == '{' {
			return p.members(depth)
		}
		return p.elements(depth)
	case '"':
		s, err := p.text()
		if err == nil && strings.IndexByte(s, 0) >= 0 {
			err = invalid(typeValue, "a text holds the character U+0000")
		}
		return s, err
	case 't':
		p.at += len("true")
		return true, nil
	case 'f':
		p.at += len("false")
		return false, nil
	case 'n':
		p.at += len("null")
		return nil, nil
	default:
		start := p.at
		for p.at < len(p.raw) && strings.IndexByte("+-.eE0123456789", p.raw[p.at]) >= 0 {
			p.at++
		}
		return json.Number(p.raw[start:p.at]), nil
	}
}

// text reads a text from quote to quote.
func (p *documentReader) text() (string, error) {
	start := p.at
	end := start + 1 + strings.IndexByte(p.raw[start+1:], '"')
	inner := p.raw[start+1 : end]
	if strings.IndexByte(inner, '\\') < 0 {
		p.at = end + 1
		return inner, nil
	}
	for end = start + 1; p.raw[end] != '"'; end++ {
		if p.raw[end] == '\\' {
			end++
		}
	}
	inner = p.raw[start+1 : end]
	p.at = end + 1
	if halfPair(inner) { // encoding/json makes one character of all of them
		return "", invalid(typeSyntax, "a text holds half of a surrogate pair")
	}
	var s string
	if json.Unmarshal([]byte(p.raw[start:p.at]), &s) != nil {
		return "", errJSON()
	}
	return s, nil
}

// halfPair reports whether a text in JSON has an escape that is half of a
// character (RFC 8259, section 8.2).
func halfPair(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if i++; text[i] != 'u' {
			continue
		}
		r := escaped(text[i+1:])
		i += 4
		if !utf16.IsSurrogate(r) {
			continue
		}
		rest := text[i+1:]
		if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' || utf16.DecodeRune(r, escaped(rest[2:])) == utf8.RuneError {
			return true
		}
		i += 6
	}
	return false
}

// escaped reads the four digits of an escape.
func escaped(digits string) rune {
	r, err := strconv.ParseUint(digits[:4], 16, 16)
	if err != nil {
		return utf8.RuneError // impossible: the document is valid
	}
	return rune(r)
}

func (p *documentReader) members(depth int) (any, error) {
	doc := make(map[string]any)
	for p.next() != '}' {
		if p.raw[p.at] == ',' {
			p.at++
			p.next()
		}
		name, err := p.text()
		if err != nil || strings.IndexByte(name, 0) >= 0 {
			return nil, errJSON()
		}
		if _, twice := doc[name]; twice {
			return nil, invalid(typeSyntax, "the member %q stands twice in one object", clip(name))
		}
		p.next()
		p.at++ // the colon
		if doc[name], err = p.value(depth + 1); err != nil {
			return nil, err
		}
	}
	p.at++
	return doc, nil
}

func (p *documentReader) elements(depth int) (any, error) {
	list := []any{}
	for p.next() != ']' {
		if p.raw[p.at] == ',' {
			p.at++
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	p.at++
	return list, nil
}
