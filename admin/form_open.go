package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"portcullis/mapping"
)

// digestOf tells apart what a page shows: the same again, and nothing else, has
// the same digest.
func digestOf(parts ...any) string {
	text, err := json.Marshal(parts)
	if err != nil {
		panic(err) // impossible: parts are texts, and lists of them
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// digest is that of what is filled in.
func (f *formView) digest() string { return digestOf(f.filled()...) }

// changed reports whether something else is filled in than what the form was
// opened with, whatever has become of the text meanwhile.
func (f *formView) changed() bool { return f.Opened != f.digest() }

// filled is what is filled in, as it is sent back: what [formView.sent] reads.
func (f *formView) filled() []any {
	switch f.Kind {
	case formRule:
		return f.filledRule()
	case formRole:
		return []any{flat(f.ID), written(f.Tasks), on(f.Inherits), on(f.Assignable), f.Privileged, f.Organization}
	case formGroup:
		return []any{flat(f.ID), written(f.Params), f.Unrestricted, limitsFilled(f.Limits)}
	case formAttribute:
		return []any{flat(f.ID), flat(f.Attribute.Pattern), flat(f.Attribute.Source), f.Attribute.Missing.shown()}
	case formConnection:
		return []any{flat(f.ID), f.Ceiling.Unrestricted, on(f.Ceiling.Roles), limitsFilled(f.Ceiling.Limits)}
	case formConstraint:
		c := f.Constraint
		return []any{flat(f.ID), c.Cap, written(c.Note), on(c.Exclusive), c.Role, flat(c.MaxUsers), c.Violation.shown()}
	case formVariable:
		out := []any{flat(f.ID)}
		for _, row := range f.Variable {
			out = append(out, flat(row.Environment), flat(row.Value))
		}
		return out
	case formTest:
		return append(f.Test.filled(f.Fragment), flat(f.ID))
	default:
		var out []any
		for _, word := range f.Defaults {
			out = append(out, word.shown())
		}
		return out
	}
}

func (f *formView) filledRule() []any {
	out := []any{
		flat(f.ID), written(f.Note), written(f.AppRoles), written(f.Domains), written(f.UserType), written(f.Claims), written(f.When), flat(f.From), flat(f.Until),
		f.Effect, on(f.Roles), on(f.Groups), written(f.Calls), f.DenyLogin, flat(f.DenyReason),
	}
	if !f.Fragment {
		out = append(out, picks(f.Connection, f.Connections))
	}
	for _, row := range f.Selectors {
		out = append(out, row.Kind, flat(row.Value), flat(row.Label))
	}
	return out
}

func (t *testForm) filled(fragment bool) []any {
	out := []any{
		flat(t.At), flat(t.Env), written(t.Groups), written(t.AppRoles), written(t.Claims), written(t.Attributes), t.Unverified, t.Incomplete,
		t.KnowsLast, written(t.Last), t.Pushes, t.Login.shown(), written(t.Can), written(t.Cannot),
	}
	if !fragment {
		out = append(out, picks(t.Connection, t.Connections))
	}
	for _, x := range t.Texts {
		out = append(out, flat(x.Value))
	}
	for _, row := range t.Pushed {
		out = append(out, flat(row.Name), flat(row.ExternalID))
	}
	for _, x := range t.Lists {
		out = append(out, x.On, written(x.Values))
	}
	return out
}

func limitsFilled(limits []limit) (out []any) {
	for _, l := range limits {
		out = append(out, l.Attribute, l.Form, written(l.Values))
	}
	return out
}

// on are the names that are ticked.
func on(all []choice) (names []string) {
	for _, c := range all {
		if c.On {
			names = append(names, c.Name)
		}
	}
	slices.Sort(names)
	return names
}

// picks is the one of some that a browser shows as chosen: the first, where
// none is.
func picks(one string, all []string) string {
	if slices.Contains(all, one) || len(all) == 0 {
		return one
	}
	return all[0]
}

// shown is picks for words of the language.
func (c chosen) shown() string {
	var all []string
	for _, o := range c.All {
		all = append(all, o.Name)
	}
	return picks(c.At, all)
}

// anotherForm opens an entry in its form in the place of the one that was sent.
// Where something was filled in there, it asks first what is to become of that.
func (c *Console) anotherForm(d *draft, what string, form url.Values) (f *formView, problem string, err error) {
	if f = formAgain(d, c.choices(), form); f != nil && f.changed() {
		f.Next = what
		return f, "", nil
	}
	return c.shownForm(d, what)
}

// nextOf is what was to be opened before it was asked, under the name that it
// has now that the form is put in.
func nextOf(form url.Values) string {
	next, kind, old := form.Get("next"), form.Get("kind"), form.Get("old")
	if old != "" && next == kind+":"+old {
		return kind + ":" + strings.TrimSpace(form.Get("id"))
	}
	return next
}

// shownForm is [Console.openedForm] for a page that keeps its text where there
// is nothing to open.
func (c *Console) shownForm(d *draft, what string) (f *formView, problem string, err error) {
	if f, err = c.openedForm(d, what); err != nil {
		problem, err = inPage(err)
	}
	return f, problem, err
}

// entryInWords says what opens.
func entryInWords(what string) string {
	kind, name, _ := strings.Cut(what, ":")
	s, _ := shapeOf(kind)
	switch {
	case kind == formDefaults:
		return "what holds where nothing is said"
	case name == "":
		return "the form for " + oneOf(s.one)
	default:
		return "the " + s.one + " " + name
	}
}

// standing is where a mistake stands.
type standing struct {
	spot mapping.Spot
	path string // of the entry; empty: of none
	open string // what opens that in a form
}

// entriesAt says for each mistake which entry it stands in; the text of the
// draft holds m.
func (d *draft) entriesAt(m map[string]any, problems mapping.Problems) []standing {
	out, open := make([]standing, len(problems)), openers(m)
	for i, spot := range d.spots(problems) {
		out[i].spot = spot
		for end := 1; end <= len(spot.Path) && out[i].open == ""; end++ {
			if end == len(spot.Path) || spot.Path[end] == '.' || spot.Path[end] == '[' {
				out[i].path, out[i].open = spot.Path[:end], open[spot.Path[:end]]
			}
		}
		if out[i].open == "" {
			out[i].path = ""
		}
	}
	return out
}

// openers are what is opened to change an entry, by its path.
func openers(m map[string]any) map[string]string {
	out := map[string]string{formDefaults: formDefaults + ":"}
	for _, s := range shapes() {
		section := mapping.Path(s.section)
		for name := range child(m, s.section) {
			out[mapping.Path(s.section, name)] = s.kind + ":" + name
		}
		items, _ := m[s.section].([]any)
		for i, item := range items {
			e, _ := item.(map[string]any)
			name := text(e, s.key)
			if s.key == "" {
				name, _ = item.(string) // a connection in the short form
			}
			if name != "" {
				out[section+"["+strconv.Itoa(i)+"]"] = s.kind + ":" + name
			}
		}
	}
	return out
}
