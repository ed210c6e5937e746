package scim

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"portcullis/fault"
)

const (
	maxBody  = 1 << 20 // bytes
	maxDepth = 32      // of nested objects and lists in a body, and of parentheses in a filter
)

// readBody reads a body that is neither too large nor too slow: who sends a
// byte a minute holds a connection no longer than others.
func (e *Endpoint) readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	rc, done := http.NewResponseController(w), make(chan struct{})
	late := time.AfterFunc(e.bodyWithin, func() {
		defer close(done)
		_ = rc.SetReadDeadline(time.Unix(1, 0))
	})
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if !late.Stop() {
		<-done // w is not to be used once the request is over
	}
	switch {
	case err == nil:
		return raw, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close") // the rest of the body is not worth reading
		return nil, answered(http.StatusRequestTimeout, "the body took longer than %s", e.bodyWithin)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, fault.New(fault.TooLarge, "the body is larger than %d bytes", most)
	}
	return nil, invalid(typeSyntax, "the body ended early")
}

// readObject reads the one JSON object that the body has to be.
func (e *Endpoint) readObject(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || (kind != "application/scim+json" && kind != "application/json") {
		return nil, answered(http.StatusUnsupportedMediaType, "the content type is application/scim+json or application/json")
	}
	if r.ContentLength > maxBody {
		return nil, errBody()
	}
	raw, err := e.readBody(w, r, maxBody)
	if err != nil {
		return nil, err
	}
	return parseObject(raw)
}

func errBody() error {
	return fault.New(fault.TooLarge, "the body is larger than %d bytes", maxBody)
}

// parseObject parses one JSON object, strictly: UTF-8 without NUL, no member
// twice, nothing after it, at most maxDepth deep. Numbers stay as written.
func parseObject(raw []byte) (map[string]any, error) {
	if !utf8.Valid(raw) {
		return nil, invalid(typeSyntax, "the body is not UTF-8")
	}
	if !json.Valid(raw) {
		return nil, errJSON()
	}
	v, err := (&documentReader{raw: string(raw)}).value(0)
	if err != nil {
		return nil, err
	}
	doc, ok := v.(map[string]any)
	if !ok {
		return nil, invalid(typeSyntax, "the body is not a JSON object")
	}
	return doc, nil
}

func errJSON() error { return invalid(typeSyntax, "the body is not valid JSON") }

// clip shortens foreign text for a message.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// member finds a member of a JSON object without regard to case (RFC 7643,
// section 2.1), the exact name first.
func member(doc map[string]any, name string) (any, bool) {
	if v, ok := doc[name]; ok {
		return v, true
	}
	for k, v := range doc {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	return nil, false
}
