package web

import (
	"net/url"
	"strings"

	"portcullis/fault"
)

// Reading is what somebody may take the path of a request for.
type Reading struct {
	Once  string // decoded once, as a portal does
	Fully string // decoded until nothing is left to decode
}

// Read gives the one reading of a path that is not ambiguous. It refuses what
// [DecodePath] refuses.
func Read(path string) (Reading, error) {
	fully, err := DecodePath(path)
	if err != nil {
		return Reading{}, err
	}
	once, err := url.PathUnescape(path)
	if err != nil { // impossible: it was decoded already
		return Reading{}, fault.Wrap(fault.Invalid, err, "the address is malformed")
	}
	return Reading{once, fully}, nil
}

// What stands for a sign of a path that is plain text to one reader and has a
// meaning to another. They are of Unicode's private use: no rule has them.
const (
	plainSlash     = "%EE%80%80" // U+E000
	plainSemicolon = "%EE%80%81" // U+E001
)

// HasEncodedSlash reports whether a path, as it came, has a "/" that is
// percent-encoded once.
func HasEncodedSlash(path string) bool {
	return strings.Contains(path, "%2F") || strings.Contains(path, "%2f")
}

// Readings gives every reading of a path that has encoded slashes, or
// semicolons, for a portal that wants them: an encoded slash separates
// segments or is text; a semicolon is text, ends its segment (RFC 3986,
// section 3.3, and Servlet's matrix parameters), or ends the path. It fails
// like [DecodePath] unless every one of them is plain by itself, and for what
// is encoded more than once, and for an encoded semicolon.
func Readings(path string, encodedSlash, semicolon bool) ([]Reading, error) {
	forms := []string{path}
	if encodedSlash {
		forms = []string{withSlashes(path, plainSlash), withSlashes(path, "/")}
	}
	if semicolon {
		bases := forms
		forms = nil
		for _, p := range bases {
			cut, _, _ := strings.Cut(p, ";")
			forms = append(forms, strings.ReplaceAll(p, ";", plainSemicolon), withoutParameters(p), cut)
		}
		if encodedSlash { // parameters that end before the slash in them is read
			forms = append(forms, withSlashes(withoutParameters(path), "/"))
		}
	}
	out := make([]Reading, 0, len(forms))
	for _, f := range forms {
		r, err := Read(f)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func withSlashes(path, by string) string {
	return strings.NewReplacer("%2F", by, "%2f", by).Replace(path)
}

// withoutParameters drops from each segment what stands behind a semicolon.
func withoutParameters(path string) string {
	var b strings.Builder
	for i, segment := range strings.Split(path, "/") {
		if i > 0 {
			b.WriteByte('/')
		}
		name, _, _ := strings.Cut(segment, ";")
		b.WriteString(name)
	}
	return b.String()
}
