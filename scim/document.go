package scim

import (
	"bytes"
	"encoding/json"
	"strings"
)

// documentReader reads a document that [json.Valid] has passed, so that it looks only
// for what is valid JSON and not welcome: a member twice, a NUL, depth.
// Numbers stay as written.
type documentReader struct {
	raw []byte
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
	end := start + 1 + bytes.IndexByte(p.raw[start+1:], '"')
	inner := p.raw[start+1 : end]
	if bytes.IndexByte(inner, '\\') < 0 {
		p.at = end + 1
		return string(inner), nil
	}
	for end = start + 1; p.raw[end] != '"'; end++ {
		if p.raw[end] == '\\' {
			end++
		}
	}
	p.at = end + 1
	var s string
	if json.Unmarshal(p.raw[start:p.at], &s) != nil {
		return "", errJSON()
	}
	return s, nil
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
