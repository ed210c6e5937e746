package scim

import (
	"net/url"
	"strings"
)

// loggedParameters are those of a query that mean something here (RFC 7644,
// section 3.4.2, and RFC 9865). Others may be anything, a secret by mistake too.
var loggedParameters = [...]string{ //nolint:gochecknoglobals // an array that nothing writes
	"filter", "sortBy", "sortOrder", "startIndex", "count", "cursor", "attributes", "excludedAttributes",
}

// ownPrefixes begin the secrets that are the gate's: those of this package, and
// API tokens.
var ownPrefixes = [...]string{bearerPrefix, clientPrefix, accessPrefix, "pct_"} //nolint:gochecknoglobals // an array that nothing writes

// loggedQuery gives a query as it may stand in the log: of each parameter that
// has no meaning here, and of one that cannot be read, only that it was there.
func loggedQuery(raw string) string {
	var b strings.Builder
	b.Grow(min(len(raw), journalPath))
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		if b.Len() > journalPath {
			break
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(loggedParameter(pair))
	}
	return b.String()
}

func loggedParameter(pair string) string {
	name, value, _ := strings.Cut(pair, "=")
	if !isLogged(name) || strings.Contains(value, ";") { // with which some begin another parameter
		return "…"
	}
	text, err := url.QueryUnescape(value)
	if err != nil {
		return "…"
	}
	if cut := withoutSecrets(text); cut != text { // it may have been spelled with escapes
		return name + "=" + url.QueryEscape(cut)
	}
	return pair
}

func isLogged(name string) bool {
	for _, known := range loggedParameters {
		if strings.EqualFold(name, known) {
			return true
		}
	}
	return false
}

// withoutSecrets cuts out what follows the prefix of one of the gate's secrets,
// which somebody put where it does not belong.
func withoutSecrets(text string) string {
	var b strings.Builder
	from := 0
	for at := 0; ; {
		i := strings.IndexByte(text[at:], '_')
		if i < 0 {
			break
		}
		if at += i + 1; !endsInPrefix(text[:at]) {
			continue
		}
		end := at
		for end < len(text) && isSecretByte(text[end]) {
			end++
		}
		if end == at {
			continue
		}
		b.WriteString(text[from:at])
		b.WriteString(redacted)
		from, at = end, end
	}
	if from == 0 {
		return text
	}
	b.WriteString(text[from:])
	return b.String()
}

// endsInPrefix reports whether a text ends in what a secret begins with. The
// case says nothing: it can be put right.
func endsInPrefix(text string) bool {
	for _, prefix := range ownPrefixes {
		if start := len(text) - len(prefix); start >= 0 && strings.EqualFold(text[start:], prefix) {
			return true
		}
	}
	return false
}

// isSecretByte reports whether a secret may hold a byte.
func isSecretByte(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
