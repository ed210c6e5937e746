package trace

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds in bytes, and of numbers of things.
const (
	maxWord   = 100
	maxValue  = 200
	maxCause  = 500
	maxFields = 64
	maxValues = 50
	maxDepth  = 3
)

const hidden = "[redacted]"

// clean makes foreign text printable on one line and bounds it: what could
// move a cursor, break a line or turn it around becomes a question mark.
func clean(s string, limit int) string {
	if len(s) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '?'
		}
		return r
	}, s)
}

// value is clean for a value that must not be a credential.
func value(s string) string {
	if credential(s) {
		return hidden
	}
	return clean(s, maxValue)
}

// credential recognizes what might let somebody in wherever it stands: signed
// or encrypted tokens, assertions, and what is sent in an Authorization
// header.
func credential(s string) bool {
	lower := strings.ToLower(s)
	for _, sign := range []string{"bearer ", "basic ", "-----begin", "<saml", "assertion>"} {
		if strings.Contains(lower, sign) {
			return true
		}
	}
	for rest := s; ; {
		i := strings.Index(rest, "eyJ") // {" in base64url: each JWS and JWE begins so
		if i < 0 {
			return false
		}
		if rest = rest[i+3:]; strings.Contains(rest, ".") && len(rest) > 16 {
			return true
		}
	}
}

// secretName recognizes the claims whose value nobody needs to see.
func secretName(name string) bool {
	lower := strings.ToLower(name)
	for _, part := range []string{"token", "secret", "passw", "nonce", "assertion", "credential", "cookie", "private", "_hash", "_claim_sources"} {
		if strings.Contains(lower, part) {
			return true
		}
	}
	return slices.Contains([]string{"jti", "sid", "code", "state", "session_state", "sessionindex", "key", "jwk", "cnf", "otp", "pin"}, lower)
}

// redact makes fields of claims, sorted by name. Claims inside of claims
// stand under both names, with a dot between them.
func redact(claims map[string]any, budget *int) []Field {
	var out []Field
	var walk func(prefix string, claims map[string]any, depth int)
	walk = func(prefix string, claims map[string]any, depth int) {
		for _, name := range slices.Sorted(maps.Keys(claims)) {
			if len(out) == maxFields {
				return
			}
			v, full := claims[name], prefix+name
			inner, nested := v.(map[string]any)
			switch {
			case secretName(name):
				out = append(out, Field{Name: clean(full, maxWord), Values: []string{hidden}})
			case nested && depth < maxDepth:
				walk(full+".", inner, depth+1)
			default:
				f := Field{Name: clean(full, maxWord)}
				f.Values, f.More = bounded(texts(v), budget)
				out = append(out, f)
			}
		}
	}
	walk("", claims, 1)
	return out
}

// texts shows a claim's value, or each of a list.
func texts(v any) []string {
	switch v := v.(type) {
	case []any:
		out := make([]string, len(v))
		for i := range v {
			out[i] = text(v[i])
		}
		return out
	case []string:
		return v
	default:
		return []string{text(v)}
	}
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case nil:
		return "null"
	case []any:
		return fmt.Sprintf("[list of %d]", len(v))
	default:
		return "[object]"
	}
}

// bounded keeps as many values as there is room for.
func bounded(values []string, budget *int) (kept []string, more int) {
	for _, v := range values {
		v = value(v)
		if len(kept) == maxValues || len(v) > *budget {
			break
		}
		*budget -= len(v)
		kept = append(kept, v)
	}
	return kept, len(values) - len(kept)
}

func moreText(n int) string { return fmt.Sprintf("… and %d more", n) }
