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

// readBody reads what a script wants done, as a form would send it: a true
// member is "yes", a false or empty one is not there.
func (r *request) readBody(route *Route) error {
	limit := route.limit()
	body, err := io.ReadAll(http.MaxBytesReader(r.gin.Writer, r.gin.Request.Body, limit))
	if err != nil {
		return fault.Wrap(fault.TooLarge, err, "the body is longer than %d bytes", limit)
	}
	r.form = url.Values{"confirmed": {"yes"}}
	takes := membersOf(route)
	switch {
	case len(body) == 0:
		return nil
	case route.inquiries():
		return r.readInquiry(body)
	case takes == nil:
		return r.readOrder(body)
	default:
		return readMembers(r.form, body, append(slices.Clip(takes), "reason"))
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

func (r *request) readOrder(body []byte) error {
	var o orderJSON
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return fault.Wrap(fault.Invalid, err, `the body is not {"reason": "…", "ids": ["…"]}, or what the call wants`)
	}
	if d.More() {
		return fault.New(fault.Invalid, "there is something behind the body")
	}
	r.form = url.Values{"reason": {o.Reason}, "id": o.IDs, "role": {o.Role}, "until": {o.Until}, "subOrganization": {o.Unit}, "confirmed": {"yes"}}
	o.values(r.form)
	r.edits = o.Edits
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
func readForm(g *gin.Context, limit int64) (url.Values, error) {
	r := g.Request
	r.Body = http.MaxBytesReader(g.Writer, r.Body, limit)
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		if err := r.ParseForm(); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "the form cannot be read")
		}
		return r.PostForm, nil
	}
	if err := r.ParseMultipartForm(limit); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the form cannot be read")
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }() // all of it was in memory
	form := url.Values(r.MultipartForm.Value)
	for name, files := range r.MultipartForm.File {
		if len(files) == 0 || files[0].Size == 0 || form.Get(name) != "" {
			continue
		}
		f, err := files[0].Open()
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "the file cannot be read")
		}
		text, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "the file cannot be read")
		}
		form.Set(name, string(text))
	}
	return form, nil
}
