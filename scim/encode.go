package scim

import (
	"bytes"
	"net/url"
	"strconv"
	"time"

	"portcullis/directory"
	"portcullis/document"
)

// Resources that are shown whole are written as text at once: to put a
// document together first and to marshal it then takes as long as all the rest
// of a request.

func appendTime(b []byte, t time.Time) []byte {
	return append(t.UTC().AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}

func (s *site) appendLocation(b []byte, t *resourceType, id string) []byte {
	if !plainID(id) {
		return document.AppendText(b, s.base+"/"+t.endpoint+"/"+url.PathEscape(id))
	}
	b = append(append(append(append(b, s.baseText...), '/'), t.endpoint...), '/')
	return append(append(b, id...), '"')
}

// plainID reports whether an identifier stands in a URL and in JSON as it is.
func plainID(id string) bool {
	for i := range len(id) {
		if c := id[i]; c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

func (s *site) appendMeta(b []byte, t *resourceType, id string, version int64, created, modified time.Time) []byte {
	b = append(append(b, `"meta":{"resourceType":"`...), t.name...)
	b = append(b, `","created":`...)
	from := len(b)
	b = appendTime(b, created)
	to := len(b)
	b = append(b, `,"lastModified":`...)
	if modified.Equal(created) { // as of most people
		b = append(b, b[from:to]...)
	} else {
		b = appendTime(b, modified)
	}
	b = s.appendLocation(append(b, `,"location":`...), t, id)
	b = strconv.AppendInt(append(b, `,"version":"W/\"`...), version, 10)
	return append(b, `\""}`...)
}

func (s *site) appendGroups(b []byte, groups []directory.Group) []byte {
	b = append(b, `"groups":[`...)
	for i, g := range groups {
		if i > 0 {
			b = append(b, ',')
		}
		b = document.AppendText(append(b, `{"value":`...), g.ID)
		b = s.appendLocation(append(b, `,"$ref":`...), s.group, g.ID)
		b = document.AppendText(append(b, `,"display":`...), g.Name)
		kind := "direct"
		if g.Indirect {
			kind = "indirect"
		}
		b = append(append(append(b, `,"type":"`...), kind...), `"}`...)
	}
	return append(b, ']')
}

// keysOf are the extensions of a resource as its JSON names them. A quote within
// a text is escaped there, so that what looks like a name is one.
func keysOf(t *resourceType) [][]byte {
	keys := make([][]byte, len(t.extensions))
	for i, x := range t.extensions {
		keys[i] = []byte(`"` + x.ID + `":{`)
	}
	return keys
}

// roomBeside is what a person's document usually needs beside what is stored.
const roomBeside = 512

// appendUser appends the document of a person, put together without reading
// what is stored: that is a JSON object without id, active, meta, schemas and
// groups (see [directory.Record]).
func (s *site) appendUser(b []byte, p *directory.Person, groups []directory.Group) []byte {
	b = append(append(append(b, `{"schemas":["`...), s.user.core.ID...), '"')
	for i, key := range s.extensionKeys {
		if bytes.Contains(p.Attributes, key) {
			b = append(append(append(b, `,"`...), s.user.extensions[i].ID...), '"')
		}
	}
	b = document.AppendText(append(b, `],"id":`...), p.ID)
	b = strconv.AppendBool(append(b, `,"active":`...), p.IDPActive)
	b = s.appendMeta(append(b, ','), s.user, p.ID, p.Version, p.Created, p.Modified)
	if len(groups) > 0 {
		b = s.appendGroups(append(b, ','), groups)
	}
	rest := bytes.TrimSpace(p.Attributes)
	if len(rest) <= len("{}") || rest[0] != '{' {
		return append(b, '}')
	}
	return append(append(b, ','), rest[1:]...)
}
