package oidc

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep foreign JSON may nest. No real token comes near.
const maxDepth = 32

// decodeObject reads one JSON object out of foreign bytes. It gives what
// encoding/json gives for a map, but refuses what two readers may understand
// differently: a member that stands twice (RFC 8259, section 4, leaves the
// meaning open), invalid UTF-8, a NUL, deep nesting. Names are exact: SUB is
// not sub. It is a reader of its own because encoding/json tells nobody of a
// member that stands twice, and because a list of groups costs it more than
// the signature does.
func decodeObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	d := decoder{data: data}
	d.space()
	if d.at == len(data) || data[d.at] != '{' {
		return nil, errors.New("not a JSON object")
	}
	object, err := d.object(1)
	if err != nil {
		return nil, err
	}
	if d.space(); d.at != len(data) {
		return nil, errSyntax
	}
	return object, nil
}

var (
	errSyntax = errors.New("not JSON")
	errNUL    = errors.New("a NUL character")
)

// decoder reads a text from front to back, each byte once.
type decoder struct {
	data []byte
	at   int // of the next byte
}

// space passes over white space (RFC 8259, section 2).
func (d *decoder) space() {
	for ; d.at < len(d.data); d.at++ {
		switch d.data[d.at] {
		case ' ', '\t', '\r', '\n':
		default:
			return
		}
	}
}

// next passes over white space and gives the byte behind it; 0 at the end.
func (d *decoder) next() byte {
	d.space()
	if d.at == len(d.data) {
		return 0
	}
	return d.data[d.at]
}

// is passes over a byte if it comes next.
func (d *decoder) is(b byte) bool {
	if d.next() != b {
		return false
	}
	d.at++
	return true
}

// object reads an object, whose brace comes next, at a depth.
func (d *decoder) object(depth int) (map[string]any, error) {
	d.at++
	object := make(map[string]any)
	if d.is('}') {
		return object, nil
	}
	for {
		if d.next() != '"' {
			return nil, errSyntax
		}
		name, err := d.text()
		if err != nil {
			return nil, err
		}
		if _, twice := object[name]; twice {
			return nil, errors.New("a member that stands twice")
		}
		if !d.is(':') {
			return nil, errSyntax
		}
		if object[name], err = d.value(depth); err != nil {
			return nil, err
		}
		if d.is('}') {
			return object, nil
		}
		if !d.is(',') {
			return nil, errSyntax
		}
	}
}

// array reads an array, whose bracket comes next, at a depth.
func (d *decoder) array(depth int) ([]any, error) {
	d.at++
	list := []any{}
	if d.is(']') {
		return list, nil
	}
	for {
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if d.is(']') {
			return list, nil
		}
		if !d.is(',') {
			return nil, errSyntax
		}
	}
}

// value reads whatever comes next inside of something at a depth.
func (d *decoder) value(depth int) (any, error) {
	switch b := d.next(); {
	case b == '"':
		return d.text()
	case b == '{', b == '[':
		if depth++; depth > maxDepth {
			return nil, fmt.Errorf("nested deeper than %d", maxDepth)
		}
		if b == '{' {
			return d.object(depth)
		}
		return d.array(depth)
	case b == '-', isDigit(b):
		return d.number()
	case d.word("true"):
		return true, nil
	case d.word("false"):
		return false, nil
	case d.word("null"):
		return nil, nil
	default:
		return nil, errSyntax
	}
}

func (d *decoder) word(w string) bool {
	if !bytes.HasPrefix(d.data[d.at:], []byte(w)) {
		return false
	}
	d.at += len(w)
	return true
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// number reads a number (RFC 8259, section 6).
func (d *decoder) number() (float64, error) {
	begin := d.at
	digits := func() bool {
		from := d.at
		for d.at < len(d.data) && isDigit(d.data[d.at]) {
			d.at++
		}
		return d.at > from
	}
	one := func(set string) bool {
		if d.at == len(d.data) || bytes.IndexByte([]byte(set), d.data[d.at]) < 0 {
			return false
		}
		d.at++
		return true
	}
	one("-")
	if !one("0") && !digits() || one(".") && !digits() {
		return 0, errSyntax
	}
	if one("eE") {
		one("+-")
		if !digits() {
			return 0, errSyntax
		}
	}
	n, err := strconv.ParseFloat(string(d.data[begin:d.at]), 64)
	if err != nil {
		return 0, errors.New("a number that is too large")
	}
	return n, nil
}

// text reads a string, whose quote comes next.
func (d *decoder) text() (string, error) {
	d.at++
	begin := d.at
	for ; d.at < len(d.data); d.at++ {
		switch b := d.data[d.at]; {
		case b == '"':
			d.at++
			return string(d.data[begin : d.at-1]), nil
		case b == '\\':
			return d.escaped(begin)
		case b < ' ':
			return "", errSyntax
		}
	}
	return "", errSyntax
}

// escaped reads the rest of a string that began at begin, from its first
// backslash on.
func (d *decoder) escaped(begin int) (string, error) {
	out := bytes.Clone(d.data[begin:d.at])
	for d.at < len(d.data) {
		b := d.data[d.at]
		d.at++
		switch {
		case b == '"':
			return string(out), nil
		case b < ' ':
			return "", errSyntax
		case b != '\\':
			out = append(out, b)
			continue
		}
		if d.at == len(d.data) {
			break
		}
		b = d.data[d.at]
		d.at++
		if i := bytes.IndexByte([]byte(`"\/bfnrt`), b); i >= 0 {
			out = append(out, "\"\\/\b\f\n\r\t"[i])
			continue
		}
		r, ok := d.unit()
		switch {
		case b != 'u', !ok:
			return "", errSyntax
		case r == 0:
			return "", errNUL
		}
		out = utf8.AppendRune(out, d.paired(r))
	}
	return "", errSyntax
}

// unit reads four hexadecimal digits.
func (d *decoder) unit() (rune, bool) {
	if len(d.data)-d.at < 4 {
		return 0, false
	}
	var r rune
	for _, b := range d.data[d.at : d.at+4] {
		switch {
		case isDigit(b):
			b -= '0'
		case b >= 'a' && b <= 'f':
			b -= 'a' - 10
		case b >= 'A' && b <= 'F':
			b -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(b)
	}
	d.at += 4
	return r, true
}

// paired joins a surrogate with the one that follows; one that stands alone
// is no character.
func (d *decoder) paired(r rune) rune {
	if !utf16.IsSurrogate(r) {
		return r
	}
	back := d.at
	if bytes.HasPrefix(d.data[d.at:], []byte(`\u`)) {
		d.at += 2
		if low, ok := d.unit(); ok {
			if joined := utf16.DecodeRune(r, low); joined != utf8.RuneError {
				return joined
			}
		}
	}
	d.at = back
	return utf8.RuneError
}

// Strings reads a claim that is an array of strings or a single string, as
// aud is (RFC 7519, section 4.1.3); nil holds none. It is false for any other
// shape.
func Strings(v any) ([]string, bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case string:
		return []string{v}, true
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, false
			}
			out = append(out, s)
		}
		return out, true
	default:
		return nil, false
	}
}
