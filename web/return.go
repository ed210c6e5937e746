package web

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// maxReturn bounds a return target, in bytes: it travels in a URL.
const maxReturn = 4 << 10

// SafeReturn gives the local path and query of raw, a return_to, when a
// browser that follows it stays at the public origin whatever it makes of
// slashes, spaces and control characters (URL Standard, section 4.4); and "/"
// otherwise. An absolute URL counts when it begins with the public origin,
// letter by letter. A fragment is dropped: it never reaches a server. No
// target lies below [Prefix], so that nobody is sent into signing out or in
// again, but for the console's ([ConsolePrefix]), where reading changes
// nothing, and the way on to another host of ours. Only the path is judged: the
// query may hold URLs.
func SafeReturn(publicURL *url.URL, raw string) string {
	const nowhere = "/"
	if publicURL != nil && publicURL.Host != "" {
		origin := publicURL.Scheme + "://" + publicURL.Host
		if rest, ok := strings.CutPrefix(raw, origin); ok && (rest == "" || strings.ContainsRune("/?#", rune(rest[0]))) {
			if raw = rest; raw == "" || raw[0] != '/' {
				raw = "/" + raw
			}
		}
	}
	raw, _, _ = strings.Cut(raw, "#")
	if len(raw) > maxReturn {
		return nowhere
	}
	raw, ok := asASCII(raw)
	if !ok {
		return nowhere
	}
	path, _, _ := strings.Cut(raw, "?")
	if !plainReturn(path) && !oddReturn(path) {
		return nowhere
	}
	return raw
}

// plainReturn reports whether a path means one thing, and none of ours.
func plainReturn(path string) bool {
	decoded, err := DecodePath(path)
	return err == nil && (!Reserved(decoded) || strings.HasPrefix(decoded, ConsolePrefix+"/") || path == Prefix+"/hand-over")
}

// oddReturn reports whether a path with encoded slashes or semicolons is
// nothing of ours however it is read. Whether a route lets it through is
// judged when the browser comes there.
func oddReturn(path string) bool {
	slash, semicolon := HasEncodedSlash(path), strings.IndexByte(path, ';') >= 0
	if !slash && !semicolon {
		return false
	}
	readings, err := Readings(path, slash, semicolon)
	if err != nil {
		return false
	}
	return !slices.ContainsFunc(readings, func(r Reading) bool { return Reserved(r.Once) || Reserved(r.Fully) })
}

// asASCII percent-encodes letters, marks and digits beyond ASCII, as a
// browser would. Any other rune beyond ASCII, a space or control character is
// refused: among them are all that look like a slash or like nothing.
func asASCII(s string) (string, bool) {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r <= ' ' || r == 0x7f:
			return "", false
		case r < 0x7f:
			b.WriteByte(s[i])
		case r != unicode.ReplacementChar && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r)):
			b.WriteString(url.PathEscape(string(r)))
		default:
			return "", false
		}
	}
	return b.String(), true
}
