package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
	"portcullis/mapping"
)

// What may be sent to the console, in bytes; drafts of a mapping are longer,
// see [maxDraft].
const (
	maxForm = 256 << 10 // of what is done about people, and any form without a file
	maxBody = 1 << 20   // of what is done about connections, metadata included
)

// limit bounds what a script may send to a route.
func (r *Route) limit() int64 {
	switch {
	case r.Right == mapping.GateMappingPropose, r.inquiries():
		return maxDraft
	case membersOf(r) != nil:
		return maxBody
	default:
		return maxForm
	}
}

// order is what somebody wants done. Where nothing is to be done, it is empty.
type order struct {
	form  url.Values
	edits []editJSON // of a text

	inquiry inquiryJSON // about mapping files that were sent
}

// hear admits a call, and reads what is to be done. Whoever sends it takes
// their time, in which a session can end, a link be withdrawn and somebody be
// moved: they are judged before any of it is read, as strangers get no further,
// and once more when all of it is there. Only that counts for what is done.
func (c *Console) hear(g *gin.Context, route Route, inAPI bool) (*request, error) {
	r, err := c.admit(g, route, inAPI)
	if err != nil {
		return nil, err
	}
	var o order
	switch {
	case inAPI && route.Verb != http.MethodGet:
		err = o.readBody(g, &route)
	case !inAPI && route.Method == http.MethodPost:
		err = o.readForm(g, route.limit())
	default:
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if r, err = c.admit(g, route, inAPI); err != nil {
		return nil, err
	}
	r.order = o
	return r, nil
}

// readBody reads what a script wants done, as a form would send it: a true
// member is "yes", a false or empty one is not there.
func (o *order) readBody(g *gin.Context, route *Route) error {
	limit := route.limit()
	body, err := io.ReadAll(http.MaxBytesReader(g.Writer, g.Request.Body, limit))
	if err != nil {
		return fault.Wrap(fault.TooLarge, err, "the body is longer than %d bytes", limit)
	}
	o.form = url.Values{"confirmed": {"yes"}}
	takes := membersOf(route)
	switch {
	case len(body) == 0:
		return nil
	case route.inquiries():
		return o.readInquiry(body)
	case takes == nil:
		return o.readOrder(body)
	default:
		return readMembers(o.form, body, append(slices.Clip(takes), "reason"))
	}
}

// orderJSON is what a script wants done about people or the mapping.
type orderJSON struct {
	Reason string   `json:"reason"`
	IDs    []string `json:"ids"`
	Role   string   `json:"role"`            // of an exception
	Until  string   `json:"until"`           // likewise
	Unit   string   `json:"subOrganization"` // where people are put; empty: in the organization itself
	draftJSON
}

func (o *order) readOrder(body []byte) error {
	var in orderJSON
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return fault.Wrap(fault.Invalid, err, `the body is not {"reason": "…", "ids": ["…"]}, or what the call wants`)
	}
	if d.More() {
		return fault.New(fault.Invalid, "there is something behind the body")
	}
	o.form = url.Values{"reason": {in.Reason}, "id": in.IDs, "role": {in.Role}, "until": {in.Until}, "subOrganization": {in.Unit}, "confirmed": {"yes"}}
	in.values(o.form)
	o.edits = in.Edits
	return nil
}

// readMembers reads an object of the members that takes names.
func readMembers(out url.Values, body []byte, takes []string) error {
	var members map[string]any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&members); err != nil || d.More() {
		return fault.New(fault.Invalid, "the body is not one JSON object")
	}
	for name, value := range members {
		if !slices.Contains(takes, name) {
			return fault.New(fault.Invalid, "the body has the member %q; want of: %s", clip(name), strings.Join(takes, ", "))
		}
		texts, ok := textsOf(value)
		if !ok {
			return fault.New(fault.Invalid, "%s: want text, a number, true or false, or a list of texts", name)
		}
		if _, several := value.([]any); several || len(texts) > 0 { // none of several is something to say
			out[name] = texts
		}
	}
	return nil
}

func textsOf(value any) (out []string, ok bool) {
	switch v := value.(type) {
	case nil:
		return nil, true
	case string:
		return []string{v}, true
	case json.Number:
		return []string{v.String()}, true
	case bool:
		if v {
			out = []string{"yes"}
		}
		return out, true
	case []any:
		for _, item := range v {
			text, ok := item.(string)
			if !ok {
				return nil, false
			}
			out = append(out, text)
		}
		return out, true
	default:
		return nil, false
	}
}

// readForm reads what a browser wants done, of at most limit bytes. A file that
// comes with it counts as the text of its field, where the field itself is
// empty.
func (o *order) readForm(g *gin.Context, limit int64) error {
	r := g.Request
	r.Body = http.MaxBytesReader(g.Writer, r.Body, limit)
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		if err := r.ParseForm(); err != nil {
			return fault.Wrap(fault.Invalid, err, "the form cannot be read")
		}
		o.form = r.PostForm
		return nil
	}
	if err := r.ParseMultipartForm(limit); err != nil {
		return fault.Wrap(fault.Invalid, err, "the form cannot be read")
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }() // all of it was in memory
	o.form = r.MultipartForm.Value
	for name, files := range r.MultipartForm.File {
		if len(files) == 0 || files[0].Size == 0 || o.form.Get(name) != "" {
			continue
		}
		f, err := files[0].Open()
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "the file cannot be read")
		}
		text, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return fault.Wrap(fault.Invalid, err, "the file cannot be read")
		}
		o.form.Set(name, string(text))
	}
	return nil
}
