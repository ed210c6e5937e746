package scim

import (
	"strings"
	"unicode/utf8"

	"portcullis/document"
)

// sense is what the name of a member of a body says of the texts in it.
type sense byte

const (
	hidden   sense = iota // of a text only that it was there
	shown                 // texts stand in the log
	secret                // nothing does, be it a text or not
	asMember              // values in it are identifiers
	asValue               // it depends on where it stands
)

// senses are those of names in lower case. Shown is what a request is made of,
// and what resources are looked up by.
var senses = map[string]sense{ //nolint:gochecknoglobals // never written
	"schemas": shown, "op": shown, "method": shown, "bulkid": shown, "username": shown, "externalid": shown, "id": shown,
	"type": shown, "active": shown, "version": shown, "filter": shown, "sortby": shown, "sortorder": shown, "attributes": shown, "excludedattributes": shown,
	"password": secret, "members": asMember, "value": asValue,
}

// senseOf finds the sense of a name in any case, without memory for the lower one.
func senseOf(name string) sense {
	var room [32]byte // more than a name that has a sense
	lower := room[:0]
	for i := range len(name) {
		c := name[i]
		if c >= utf8.RuneSelf { // of some letters the lower case is ASCII
			return senses[strings.ToLower(name)]
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower = append(lower, c)
	}
	return senses[string(lower)]
}

const (
	redacted       = "[redacted]"
	redactedValues = 50 // of a list that are shown
)

// redact makes a body fit for the log. Identifiers stay; of every other text,
// passwords first, only that it was there.
func redact(doc map[string]any) string {
	return plain(string(appendRedacted(make([]byte, 0, 512), hidden, "", doc)), journalBody)
}

// appendRedacted appends a value: in is the sense of the member it stands in,
// path what the operation around it changes. Of what the log has no room for
// anyway it leaves some out.
func appendRedacted(b []byte, in sense, path string, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		return appendRedactedObject(b, in, path, v)
	case []any:
		b = append(b, '[')
		for i, e := range v[:min(len(v), redactedValues)] {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendRedacted(b, in, path, e)
		}
		if len(v) > redactedValues {
			b = append(b, `,"…"`...)
		}
		return append(b, ']')
	case string:
		if in == shown {
			return document.AppendText(b, plain(v, 256))
		}
	default:
		if in != secret {
			b, _ = document.Append(b, v) // a number, a boolean or null, as it was read
			return b
		}
	}
	return append(b, `"`+redacted+`"`...)
}

func appendRedactedObject(b []byte, in sense, path string, m map[string]any) []byte {
	var room [16]string
	names := document.Names(room[:0], m)
	for _, name := range names {
		if strings.EqualFold(name, "path") { // of several the exact one, which is the last
			path, _ = m[name].(string)
		}
	}
	b = append(b, '{')
	for i, name := range names {
		if len(b) > journalBody {
			break
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(document.AppendText(b, name), ':')
		if strings.EqualFold(name, "path") {
			s, _ := m[name].(string)
			b = document.AppendText(b, quotesOut(s))
			continue
		}
		of := senseOf(name)
		if of == asValue {
			of = senseOfValue(in, path)
		}
		b = appendRedacted(b, of, path, m[name])
	}
	return append(b, '}')
}

// senseOfValue is the sense of a value in a member, or of what an operation
// writes to a path, which may begin with a schema (RFC 7644, section 3.10).
func senseOfValue(in sense, path string) sense {
	switch {
	case in == asMember || ofMembers(path) || senseOf(path) == shown:
		return shown
	case senseOf(path[strings.LastIndexByte(path, ':')+1:]) == secret:
		return secret
	}
	return hidden
}

// ofMembers reports whether a path leads to the members of a group.
func ofMembers(path string) bool {
	const name = "members"
	return len(path) >= len(name) && strings.EqualFold(path[:len(name)], name)
}

// quotesOut hides the compare values of a path, except those of members, which
// are identifiers.
func quotesOut(path string) string {
	open := strings.IndexByte(path, '"')
	end := strings.LastIndexByte(path, '"')
	if open < 0 || end == open || ofMembers(path) {
		return plain(path, 256)
	}
	return plain(path[:open]+redacted+path[end+1:], 256)
}
