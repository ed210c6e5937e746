package mapping

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"unicode/utf8"
)

const factsFile = "facts" // stands for the file name in problems with facts

// LoadFacts reads the facts of a person as JSON, with the keys of a test's
// "given": connection, subject, userName, email, emailVerified, name, groups,
// groupsIncomplete, lastKnownGroups, appRoles, userType, claims, attributes, received and
// pushed, a list of {name, externalId}.
// The groups count as asserted and as pushed unless pushed is given; the
// e-mail counts as verified unless emailVerified is false. An unknown key is
// an error, and so is anything that is not exactly one JSON object. The error
// is [Problems] with the place of each mistake.
func LoadFacts(text []byte) (Facts, error) {
	src := newSource(factsFile, string(text))
	root := parseJSON(src, text)
	if err := src.err(); err != nil {
		return Facts{}, err
	}
	d := decoder{source: src, holes: true}
	if root.kind != kindMap {
		d.fail(root.at, "facts are %s; want an object with at least connection", root.kind)
		return Facts{}, src.err()
	}
	f, _ := d.given(root, "facts")
	if err := src.err(); err != nil {
		return Facts{}, err
	}
	return f, nil
}

// parseJSON reads one JSON value as a node, or notes a problem and returns nil.
func parseJSON(src *source, text []byte) *node {
	if len(text) > maxBytes {
		src.fail(src.at(1, 1), "the facts have %d bytes; want at most %d (4 MiB)", len(text), maxBytes)
		return nil
	}
	if !utf8.Valid(text) {
		src.fail(src.at(1, 1), "the facts are not UTF-8")
		return nil
	}
	j := &jsonReader{src: src, text: text, d: json.NewDecoder(bytes.NewReader(text)), starts: []int{0}}
	j.d.UseNumber()
	for i, c := range text {
		if c == '\n' {
			j.starts = append(j.starts, i+1)
		}
	}
	n, err := j.value(0)
	if err == nil {
		if _, end := j.d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("text after the end of the object")
		}
	}
	if err != nil {
		src.fail(j.here(), "not JSON: %s", jsonMessage(err))
		return nil
	}
	return n
}

func jsonMessage(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends too early"
	}
	return err.Error()
}

type jsonReader struct {
	src    *source
	text   []byte
	d      *json.Decoder
	starts []int // offsets at which lines begin
}

// here is the place of the next token: after what was read, and after the
// spaces and punctuation that the decoder swallows.
func (j *jsonReader) here() pos {
	offset := int(j.d.InputOffset())
	for offset < len(j.text) && bytes.IndexByte([]byte(" \t\r\n,:"), j.text[offset]) >= 0 {
		offset++
	}
	line := sort.SearchInts(j.starts, offset+1)
	start := j.starts[line-1]
	return j.src.at(line, 1+utf8.RuneCount(j.text[start:min(offset, len(j.text))]))
}

func (j *jsonReader) value(depth int) (*node, error) {
	n := &node{at: j.here()}
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d levels deep", maxDepth)
	}
	token, err := j.d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case string:
		n.kind, n.text = kindString, t
	case json.Number:
		n.kind, n.text = kindNumber, t.String()
	case bool:
		n.kind, n.text = kindBool, strconv.FormatBool(t)
	case nil:
		n.kind = kindNull
	case json.Delim:
		if t == '[' {
			return n, j.list(n, depth)
		}
		return n, j.object(n, depth)
	}
	return n, nil
}

func (j *jsonReader) list(n *node, depth int) error {
	n.kind = kindList
	for j.d.More() {
		item, err := j.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	_, err := j.d.Token()
	return err
}

func (j *jsonReader) object(n *node, depth int) error {
	n.kind = kindMap
	for j.d.More() {
		at := j.here()
		token, err := j.d.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string) // the decoder allows nothing else here
		value, err := j.value(depth + 1)
		if err != nil {
			return err
		}
		n.fields = append(n.fields, field{name{text: key, at: at}, value})
	}
	tree{j.src}.duplicates(n)
	_, err := j.d.Token()
	return err
}
