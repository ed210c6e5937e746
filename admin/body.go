package admin

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"portcullis/fault"
)

// readBody reads what a script wants done, as a form would send it: a true
// member is "yes", a false or empty one is not there. takes names the members; nil stands
// for those of an order about people.
func readBody(g *gin.Context, takes []string) (url.Values, error) {
	if takes == nil {
		return readOrder(g)
	}
	takes = append(slices.Clip(takes), "reason")
	body, err := io.ReadAll(http.MaxBytesReader(g.Writer, g.Request.Body, maxBody))
	if err != nil {
		return nil, fault.Wrap(fault.TooLarge, err, "the body is longer than %d bytes", maxBody)
	}
	out := url.Values{"confirmed": {"yes"}}
	if len(body) == 0 {
		return out, nil
	}
	var members map[string]any
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	if err := d.Decode(&members); err != nil || d.More() {
		return nil, fault.New(fault.Invalid, "the body is not one JSON object")
	}
	for name, value := range members {
		if !slices.Contains(takes, name) {
			return nil, fault.New(fault.Invalid, "the body has the member %q; want of: %s", clip(name), strings.Join(takes, ", "))
		}
		texts, ok := textsOf(value)
		if !ok {
			return nil, fault.New(fault.Invalid, "%s: want text, a number, true or false, or a list of texts", name)
		}
		if len(texts) > 0 {
			out[name] = texts
		}
	}
	return out, nil
}

// maxBody bounds what a script may send, metadata included.
const maxBody = 1 << 20

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

// readForm reads what a browser wants done. A file that comes with it counts
// as the text of its field, where the field itself is empty.
func readForm(g *gin.Context) (url.Values, error) {
	r, limit := g.Request, int64(maxForm)
	upload := strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data")
	if upload {
		limit = maxBody
	}
	r.Body = http.MaxBytesReader(g.Writer, r.Body, limit)
	if !upload {
		if err := r.ParseForm(); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "the form cannot be read")
		}
		return r.PostForm, nil
	}
	if err := r.ParseMultipartForm(maxBody); err != nil {
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
