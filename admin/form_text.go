package admin

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// How values of a mapping file stand in the fields of a form: one on each line
// or in a row, and as they are wherever that is not misread. What is, or
// cannot be seen, stands in quotes as in JSON.

// quoted writes a text in quotes, and shows what cannot be seen in it.
func quoted(s string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out.WriteString(`\` + string(r))
		case unicode.IsPrint(r):
			out.WriteRune(r)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				hex := strconv.FormatUint(uint64(unit), 16)
				out.WriteString(`\u` + strings.Repeat("0", 4-len(hex)) + hex)
			}
		}
	}
	return out.String() + `"`
}

// unquoted reads what quoted writes; whatever else is given is the text itself.
func unquoted(s string) string {
	var out string
	if strings.HasPrefix(s, `"`) && json.Unmarshal([]byte(s), &out) == nil {
		return out
	}
	return s
}

// visible reports whether a text can be read back from a line as it is.
func visible(s string) bool {
	return s != "" && s == strings.TrimSpace(s) && s[0] != '"' && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func line(s string) string {
	if visible(s) {
		return s
	}
	return quoted(s)
}

// lines writes a list with one text on each line.
func lines(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = line(s)
	}
	return strings.Join(out, "\n")
}

// rows reads what lines writes.
func rows(text string) []any {
	out := []any{}
	for row := range strings.Lines(text) {
		if row = strings.TrimSpace(row); row != "" {
			out = append(out, unquoted(row))
		}
	}
	return out
}

// value writes any value on a line: text as it is, where it is not misread.
func value(v any) string {
	if s, ok := v.(string); ok {
		if visible(s) && !json.Valid([]byte(s)) {
			return s
		}
		return quoted(s)
	}
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // what a mapping file holds can be written as JSON
	return strings.TrimSpace(out.String())
}

// unvalue reads what value writes.
func unvalue(s string) any {
	var v any
	if json.Unmarshal([]byte(s), &v) == nil {
		return v
	}
	return s
}

// pair is a name with what it is set to.
type pair struct {
	name  string
	value any
}

// pairs writes a mapping with one name on each line; of a list there is a line
// for each of its values where apart says so.
func pairs(m map[string]any, apart bool) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		values := []any{m[name]}
		if list, ok := m[name].([]any); ok && apart && len(list) > 0 {
			values = list
		}
		for _, v := range values {
			out = append(out, asWord(name, "=")+" = "+value(v))
		}
	}
	return strings.Join(out, "\n")
}

// unpairs reads what pairs writes.
func unpairs(text string) (out []pair) {
	for row := range strings.Lines(text) {
		if row = strings.TrimSpace(row); row == "" {
			continue
		}
		name, rest := cutWord(row, "=")
		out = append(out, pair{unquoted(strings.TrimSpace(name)), unvalue(strings.TrimSpace(strings.TrimPrefix(rest, "=")))})
	}
	return out
}

// asWord writes a text in quotes where it holds what ends a word.
func asWord(s, ends string) string {
	if visible(s) && !strings.ContainsAny(s, ends) {
		return s
	}
	return quoted(s)
}

// cutWord cuts off the text before the first of the characters that end a
// word and do not stand in quotes.
func cutWord(s, ends string) (head, rest string) {
	inside := false
	for i := 0; i < len(s); i++ {
		switch {
		case inside && s[i] == '\\':
			i++
		case s[i] == '"' && (inside || i == 0):
			inside = !inside
		case !inside && strings.IndexByte(ends, s[i]) >= 0:
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// assigned writes names and texts in a row: account=ABC0001 country=US.
func assigned(m map[string]any) string {
	out := make([]string, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		s, ok := m[name].(string)
		if !ok {
			s = value(m[name])
		}
		out = append(out, asWord(name, "= ")+"="+asWord(s, " "))
	}
	return strings.Join(out, " ")
}

// unassigned reads what assigned writes.
func unassigned(row string) map[string]any {
	out := make(map[string]any)
	for row = strings.TrimSpace(row); row != ""; row = strings.TrimSpace(row) {
		var name, v string
		name, row = cutWord(row, "= ")
		if strings.HasPrefix(row, "=") {
			v, row = cutWord(row[1:], " ")
		}
		out[unquoted(name)] = unquoted(v)
	}
	return out
}

// written gives a field as it was before a browser ended its lines as on
// Windows.
func written(field string) string {
	return strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(field, "\r\n", "\n"), "\r", "\n"))
}

// alikeFields reports whether a field says what it was shown with. One line
// of input holds no ends of lines, so they do not count there.
func alikeFields(shown, sent string, oneLine bool) bool {
	if oneLine {
		return flat(shown) == flat(sent)
	}
	return written(shown) == written(sent)
}

// flat is written for one line of input.
func flat(field string) string { return strings.ReplaceAll(written(field), "\n", "") }
