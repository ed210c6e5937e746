package saml

import (
	"errors"
	"strconv"
	"strings"
)

// unescape replaces the five entities that need no DTD and the character
// references.
func unescape(s string) (string, error) {
	if !strings.Contains(s, "&") {
		return s, nil
	}
	var b strings.Builder
	b.Grow(len(s))
	for {
		before, after, found := strings.Cut(s, "&")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		ref, _, found := strings.Cut(after[:min(len(after), 12)], ";")
		if !found {
			return "", errors.New("an ampersand that begins no reference")
		}
		c, err := reference(ref)
		if err != nil {
			return "", err
		}
		b.WriteRune(c)
		s = after[len(ref)+1:]
	}
}

func reference(ref string) (rune, error) {
	switch ref {
	case "lt":
		return '<', nil
	case "gt":
		return '>', nil
	case "amp":
		return '&', nil
	case "quot":
		return '"', nil
	case "apos":
		return '\'', nil
	}
	digits, base := strings.TrimPrefix(ref, "#"), 10
	if strings.HasPrefix(digits, "x") {
		digits, base = digits[1:], 16
	}
	c, err := strconv.ParseUint(digits, base, 21)
	if err != nil || !strings.HasPrefix(ref, "#") || strings.ContainsAny(digits, "+_") || !isChar(rune(c)) {
		return 0, errors.New("a reference to something that is not there")
	}
	return rune(c), nil
}

// isChar is the production Char of XML 1.0, section 2.2.
func isChar(c rune) bool {
	return c == '\t' || c == '\n' || c == '\r' || c >= ' ' && c <= 0xD7FF || c >= 0xE000 && c <= 0xFFFD || c >= 0x10000 && c <= 0x10FFFF
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func blank(s string) bool {
	for i := range len(s) {
		if !isSpace(s[i]) {
			return false
		}
	}
	return true
}

func isNameByte(c byte, first bool) bool {
	letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
	return letter || !first && (c >= '0' && c <= '9' || c == '-' || c == '.')
}

// isID is whether s may be an ID: an xs:NCName in ASCII.
func isID(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		if !isNameByte(s[i], i == 0) {
			return false
		}
	}
	return true
}
