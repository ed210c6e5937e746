package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"portcullis/fault"
)

const (
	maxBody  = 1 << 20 // bytes
	maxDepth = 32      // of nested objects and lists in a body, and of parentheses in a filter
)

// readObject reads the one JSON object that the body has to be.
func readObject(w http.ResponseWriter, r *http.Request) (map[string]any, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || (kind != "application/scim+json" && kind != "application/json") {
		return nil, answered(http.StatusUnsupportedMediaType, "the content type is application/scim+json or application/json")
	}
	if r.ContentLength > maxBody {
		return nil, errBody()
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, errBody()
		}
		return nil, invalid(typeSyntax, "the body ended early")
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
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := parseValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid(typeSyntax, "something follows the JSON document")
	}
	doc, ok := v.(map[string]any)
	if !ok {
		return nil, invalid(typeSyntax, "the body is not a JSON object")
	}
	return doc, nil
}

func parseValue(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, errJSON()
	}
	switch t := token.(type) {
	case json.Delim:
		if depth >= maxDepth {
			return nil, invalid(typeSyntax, "the body is nested deeper than %d levels", maxDepth)
		}
		if t == '{' {
			return parseMembers(d, depth)
		}
		return parseElements(d, depth)
	case string:
		if strings.ContainsRune(t, 0) {
			return nil, invalid(typeValue, "a text holds the character U+0000")
		}
		return t, nil
	default: // bool, json.Number, nil
		return t, nil
	}
}

func parseMembers(d *json.Decoder, depth int) (any, error) {
	doc := make(map[string]any)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, errJSON()
		}
		name, ok := token.(string)
		if !ok || strings.ContainsRune(name, 0) {
			return nil, errJSON()
		}
		if _, twice := doc[name]; twice {
			return nil, invalid(typeSyntax, "the member %q stands twice in one object", clip(name))
		}
		if doc[name], err = parseValue(d, depth+1); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, errJSON()
	}
	return doc, nil
}

func parseElements(d *json.Decoder, depth int) (any, error) {
	list := []any{}
	for d.More() {
		v, err := parseValue(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	if _, err := d.Token(); err != nil {
		return nil, errJSON()
	}
	return list, nil
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
