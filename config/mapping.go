package config

import (
	"strconv"
	"strings"
)

const managedByDatabase = "database"

// mapping reads where the mapping is kept: exactly one of a file and the
// database.
func (s section) mapping() Mapping {
	s.missing("mapping", "a mapping such as {file: mapping.yaml} or {managed: database}")
	m := s.sub("mapping", shape{keys: []string{"file", "managed", "approval"}})
	file := m.text("file", "the path of the mapping file", "", fileName)
	managed := m.text("managed", managedByDatabase, "", func(v string) bool { return v == managedByDatabase })
	approval := m.approval()
	switch {
	case m.has("file") && m.has("managed"):
		n := m.values["managed"]
		s.r.problem(n.line, n.col, "%s: want one of file and managed, got both", m.key("managed"))
	case m.has("file") && m.has("approval"):
		n := m.values["approval"]
		s.r.problem(n.line, n.col, "%s: want managed: database with it (a file is approved where it is kept), got file", m.key("approval"))
	case !m.has("managed"):
		m.missing("file", "the path of the mapping file, or managed: database")
	}
	if file != "" {
		file = s.r.resolve(file)
	}
	return Mapping{File: file, Managed: managed != "", Approval: approval}
}

// approval reads when a second person is asked.
func (s section) approval() (out Approval) {
	const want = `a list such as [privileged, "people>5%"]`
	if !s.has("approval") {
		return out
	}
	a := s.sub("approval", shape{keys: []string{"when"}})
	a.missing("when", want)
	if n := a.get("when"); n != nil && n.kind == list && len(n.items) == 0 {
		a.r.problem(n.line, n.col, "%s: want at least one of always, privileged and people>5%%, got an empty list", a.key("when"))
	}
	each := func(v string) (string, bool) {
		switch v {
		case "always":
			out.Always = true
		case "privileged":
			out.Privileged = true
		default:
			percent, ok := share(v)
			if !ok {
				return "", false
			}
			if out.PeopleOver == nil || percent < *out.PeopleOver {
				out.PeopleOver = &percent // the stricter of two
			}
		}
		return v, true
	}
	a.texts("when", want, "always, privileged, or a share such as people>5%", each)
	return out
}

// share reads "people>5%".
func share(v string) (float64, bool) {
	v, ok := strings.CutPrefix(v, "people>")
	digits, percent := strings.CutSuffix(v, "%")
	if !ok || !percent || strings.Trim(digits, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(digits, 64)
	return n, err == nil && n <= 100
}
