package scim

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	filter "github.com/scim2/filter-parser/v2"

	"portcullis/directory"
)

// The detail error keywords of RFC 9865, section 2.1.
const (
	typeCursor = "invalidCursor"
	typeCount  = "invalidCount"
)

// maxCursor bounds a cursor, in bytes: a sort value is at most as long as a
// body.
const maxCursor = 64 << 10

// cursor is the place behind a page. It holds nothing that its client has not
// seen, and opens nothing: the connection, the filter and the order come from
// the request, and have to be those that it was made for.
type cursor struct {
	after *directory.Cursor // nil: the start
	total int               // when the client started
	types []wirePlace       // of a list of all types: the place in each; nil: the start
}

// wirePlace is a place in a list of one type, as it is written down.
type wirePlace struct {
	Seq   int64  `json:"s"`
	Value string `json:"v,omitempty"`
	None  bool   `json:"n,omitempty"`
	Start bool   `json:"b,omitempty"` // of a list of all types: nothing of this one was shown
	Done  bool   `json:"e,omitempty"` // likewise: all of it was
}

// wireCursor is what is written into the text of a cursor.
type wireCursor struct {
	wirePlace

	For   []byte      `json:"f"` // hash of what the list is of
	Total int         `json:"t"`
	Types []wirePlace `json:"r,omitempty"`
}

func placeOf(c *directory.Cursor) wirePlace {
	return wirePlace{Seq: c.Seq, Value: c.Value, None: c.None}
}

func (p wirePlace) cursor() *directory.Cursor {
	return &directory.Cursor{Seq: p.Seq, Value: p.Value, None: p.None}
}

// pageCursor reads the cursor parameter. Index paging is what a client gets
// that does not ask for a cursor.
func (c *call) pageCursor(p *page) error {
	if !c.query.Has("cursor") {
		return nil
	}
	if c.query.Has("startIndex") {
		return invalid(typeValue, "startIndex and cursor are two ways to page: send one of them")
	}
	if text := c.query.Get("count"); strings.TrimSpace(text) != "" && p.count == 0 {
		return invalid(typeCount, "a page by cursor has at least one resource")
	}
	text, err := c.once("cursor", typeCursor)
	if err != nil {
		return err
	}
	p.cursor = &cursor{}
	if text == "" {
		return nil
	}
	if len(text) > maxCursor {
		return errCursor()
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return errCursor()
	}
	var wire wireCursor
	if json.Unmarshal(raw, &wire) != nil || wire.Seq < 0 || wire.Total < 0 {
		return errCursor()
	}
	if string(wire.For) != string(c.fingerprint(*p)) {
		return invalid(typeCursor, "the cursor was made for another list: send the same filter, sortBy and sortOrder again")
	}
	p.cursor.total, p.cursor.after, p.cursor.types = wire.Total, wire.cursor(), wire.Types
	return nil
}

func errCursor() error { return invalid(typeCursor, "the cursor is none that was given out") }

// fingerprint names what a list is of.
func (c *call) fingerprint(p page) []byte {
	h := sha256.New()
	for _, part := range []string{c.site.connection, c.endpoint, p.filter, p.sortBy, strconv.FormatBool(p.descending)} {
		h.Write([]byte(strconv.Itoa(len(part)) + ":" + part))
	}
	return h.Sum(nil)[:16]
}

// answerCursor answers with a page by cursor. The total is of the moment when
// the client started: to count again would cost more than the page.
func (c *call) answerCursor(p page, resources []any, total int, next *directory.Cursor) error {
	if next == nil {
		return c.answerPage(p, resources, total, nil)
	}
	return c.answerPage(p, resources, total, &wireCursor{wirePlace: placeOf(next)})
}

// answerPage completes the cursor behind a page; nil: it is the last one.
func (c *call) answerPage(p page, resources []any, total int, next *wireCursor) error {
	if p.cursor.after != nil {
		total = p.cursor.total
	}
	doc := map[string]any{
		"schemas": []string{listSchema}, "totalResults": total, "itemsPerPage": len(resources), "Resources": resources,
	}
	if next != nil {
		next.For, next.Total = c.fingerprint(p), total
		raw, err := json.Marshal(next)
		if err != nil {
			return err
		}
		doc["nextCursor"] = base64.RawURLEncoding.EncodeToString(raw)
	}
	c.write(c.ctx(), c.w, http.StatusOK, doc)
	return nil
}

// sort translates sortBy. An attribute that cannot be sorted by is refused
// (RFC 7644, section 3.4.2.3).
func (tr translator) sort(by string, descending bool) (*directory.Sort, error) {
	urn, rest := tr.t.splitURN(by)
	path, ok := attrPath(rest)
	if !ok || path.URIPrefix != nil {
		return nil, errSort(by)
	}
	if urn != "" {
		path.URIPrefix = &urn
	}
	f, ok := tr.t.field(path.URI(), path.AttributeName)
	if !ok && tr.other != nil {
		if _, known := tr.other.field(path.URI(), path.AttributeName); known {
			return nil, nil // nothing here has a value: the order of creation
		}
	}
	if !ok || f.urn == "" && (f.attr.Name() == "members" || f.attr.Name() == "groups") {
		return nil, errSort(by)
	}
	one, err := tr.comparison(&filter.AttributeExpression{AttributePath: path, Operator: filter.PR})
	if err != nil || one.Op != directory.Pr || one.Attr.Kind == directory.Complex {
		return nil, errSort(by)
	}
	return &directory.Sort{Attr: one.Attr, Descending: descending}, nil
}

func errSort(by string) error { return invalid(typeValue, "cannot sort by %q", clip(by)) }
