package web

import (
	"strings"
	"unicode/utf8"

	"portcullis/fault"
)

// maxPath bounds the path of a request, in bytes as they came.
const maxPath = 8 << 10

// maxDecodings bounds how often a path is percent-decoded: nobody encodes
// five times without wanting to hide something.
const maxDecodings = 5

// DecodePath judges the path of a request target, as it came: percent-encoded
// and without its query. It refuses, with [fault.Invalid], every path that two
// programs might read differently: "." and ".." segments, empty segments, ";",
// "#", "\", control characters and invalid UTF-8, each also when percent-encoded
// once or more, "/" when percent-encoded, and malformed percent-encoding.
//
// What it accepts means the same however often anybody decodes and cleans it.
// It gives the path that the bytes stand for, decoded until nothing is left
// to decode: what rules are matched against.
func DecodePath(path string) (string, error) {
	switch {
	case path == "" || path[0] != '/':
		return "", fault.New(fault.Invalid, "the address does not begin with a slash")
	case len(path) > maxPath:
		return "", fault.New(fault.Invalid, "the address is too long")
	case simple(path):
		return path, nil
	}
	for n := 0; ; n++ {
		if why := ambiguous(path); why != "" {
			return "", fault.New(fault.Invalid, "the address is ambiguous: it has %s", why)
		}
		decoded, ok := unescape(path, n == 0)
		switch {
		case !ok:
			return "", fault.New(fault.Invalid, "the address is ambiguous: it has malformed percent-encoding or an encoded slash")
		case decoded == path:
			return path, nil
		case n == maxDecodings:
			return "", fault.New(fault.Invalid, "the address is percent-encoded too often")
		}
		path = decoded
	}
}

// simple reports whether a path is one of the many in which nothing can be
// ambiguous: every request asks. It may deny it of others that are plain.
func simple(path string) bool {
	for i := range len(path) {
		switch c := path[i]; {
		case c <= ' ', c >= 0x7f, c == '%', c == ';', c == '#', c == '\\', c == '.' && path[max(i-1, 0)] == '/', c == '/' && i > 0 && path[i-1] == '/':
			return false
		}
	}
	return true
}

// ambiguous says in words what about a path, at one level of encoding, could
// be read in two ways; it is empty for a path that is plain.
func ambiguous(path string) string {
	if !utf8.ValidString(path) {
		return "invalid UTF-8"
	}
	for _, r := range path {
		switch {
		case r < 0x20 || 0x7f <= r && r < 0xa0:
			return "a control character"
		case r == '\\':
			return "a backslash"
		case r == ';':
			return "a semicolon"
		case r == '#':
			return "a number sign"
		}
	}
	if strings.Contains(path, "//") {
		return "an empty segment"
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "a dot segment"
		}
	}
	return ""
}

// unescape decodes each %XX once. It refuses an encoded slash, and on the
// first level a "%" that is not followed by two hexadecimal digits; deeper
// down such a "%" is plain text ("100%" encoded once) and stays.
func unescape(path string, first bool) (string, bool) {
	i := strings.IndexByte(path, '%')
	if i < 0 {
		return path, true
	}
	b := make([]byte, 0, len(path))
	b = append(b, path[:i]...)
	for ; i < len(path); i++ {
		if path[i] != '%' {
			b = append(b, path[i])
			continue
		}
		if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
			if first {
				return "", false
			}
			b = append(b, '%')
			continue
		}
		c := unhex(path[i+1])<<4 | unhex(path[i+2])
		if c == '/' {
			return "", false
		}
		b = append(b, c)
		i += 2
	}
	return string(b), true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	default:
		return c - 'A' + 10
	}
}

// Reserved reports whether a decoded path is the gate's own: [Prefix] and
// everything below it, in any case.
func Reserved(decoded string) bool { return Below(decoded, Prefix) }

// Below reports whether a decoded path is prefix, in any case, or has it as
// its first segments.
func Below(path, prefix string) bool {
	if len(path) < len(prefix) || !strings.EqualFold(path[:len(prefix)], prefix) {
		return false
	}
	return len(path) == len(prefix) || path[len(prefix)] == '/'
}
