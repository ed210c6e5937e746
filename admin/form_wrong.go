package admin

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"portcullis/fault"
	"portcullis/mapping"
)

// formField is a field of a form about an entry of the mapping.
type formField struct {
	at    string // where in the entry what it says stands; empty: the entry as a whole
	id    string // of its element; of the first, where there is one for each value
	title string
}

const nameField = "f-id"

// formFields are the fields in the order of the form, with what stands in the
// file at no field of its own where it is decided. Of several the one that says
// more closely where it stands counts.
func formFields(kind string) []formField {
	name := formField{"", nameField, "Name"}
	switch kind {
	case formRule:
		fields := []formField{
			{"id", nameField, "Name"},
			{"note", "f-note", "Note"},
			{"match.connection", "f-conn", "Connection"},
			{"match", "f-conn", "Connection"},
			{"match.groups", "f-value", "Group"},
			{"match.appRoles", "f-app", "Application roles"},
			{"match.emailDomain", "f-dom", "E-mail address at"},
			{"match.userType", "f-type", "Is a"},
			{"match.claims", "f-claims", "Claims"},
			{"match.when", "f-when", "Expression"},
			{"valid.from", "f-from", "From"},
			{"valid", "f-from", "From"},
			{"valid.until", "f-until", "Until"},
		}
		for _, effect := range []string{"grant", "restrict", "deny"} {
			fields = append(fields, formField{effect, "f-effect", "What the rule does"}, formField{effect + ".roles", "f-roles", "Roles"},
				formField{effect + ".permissionGroups", "f-groups", "Permission groups"})
		}
		return append(fields, formField{"deny.login", "f-login", "May not come in at all"}, formField{"deny.reason", "f-why", "Reason"})
	case formRole:
		return []formField{
			name,
			{"tasks", "f-tasks", "Tasks"},
			{"inherits", "f-inherits", "Inherits"},
			{"assignableBy", "f-assignable", "Handed out by holders of"},
			{"privileged", "f-privileged", "Privileged"},
			{"scope", "f-organization", "Own organization alone"},
		}
	case formGroup:
		return []formField{{"", "f-unrestricted", "Shows every row"}, {"params", "f-params", "Parameters"}, {"unrestricted", "f-unrestricted", "Shows every row"}, {"where", "f-values", "Rows"}}
	case formAttribute:
		return []formField{name, {"pattern", "f-pattern", "Values look like"}, {"source", "f-source", "Values come from"}, {"onMissing", "f-onMissing", "Not mentioned"}}
	case formConnection:
		return []formField{name, {"ceiling", "f-unrestricted", "Can give anything"}, {"ceiling.roles", "f-roles", "Roles"}, {"ceiling.where", "f-values", "Rows"}}
	case formConstraint:
		return []formField{
			{"id", nameField, "Name"},
			{"note", "f-note", "Note"},
			{"", "f-sort", "What it is"},
			{"exclusive", "f-exclusive", "Roles that exclude each other"},
			{"role", "f-role", "Role"},
			{"maxUsers", "f-max", "At most so many people"},
			{"onViolation", "f-onViolation", "Whoever violates it"},
		}
	case formVariable:
		return []formField{{"", "f-stands", "Stands for"}}
	case formTest:
		return testFields()
	default:
		return []formField{
			{"noMatch", "f-noMatch", "Whom no rule matches"},
			{"noPermissionGroup", "f-noPermissionGroup", "Whoever has no permission group"},
			{"incompleteGroups", "f-incompleteGroups", "Where the identity provider leaves groups out"},
		}
	}
}

func testFields() []formField {
	fields := []formField{
		{"name", nameField, "Name"},
		{"at", "f-at", "Time"},
		{"env", "f-env", "Environment"},
		{"given.connection", "f-conn", "Connection"},
		{"given", "f-conn", "Connection"},
		{"given.groups", "f-asserted", "Groups"},
		{"given.appRoles", "f-app", "Application roles"},
		{"given.claims", "f-claims", "Claims"},
		{"given.attributes", "f-attributes", "Attributes"},
	}
	for _, x := range testTexts() {
		fields = append(fields, formField{"given." + x[0], "f-given-" + x[0], x[1]})
	}
	fields = append(fields, formField{"given.emailVerified", "f-unverified", "Address not verified"}, formField{"given.groupsIncomplete", "f-incomplete", "Groups came incomplete"},
		formField{"given.lastKnownGroups", "f-last", "Last known groups"}, formField{"given.pushed", "f-pushed", "Pushed groups"},
		formField{"", "f-login", "They"}, formField{"expect", "f-login", "They"}, formField{"expect.login", "f-login", "They"})
	for _, x := range testLists() {
		fields = append(fields, formField{"expect." + x[0], "f-expected-" + x[0], x[1]})
	}
	return append(fields, formField{"because", "f-expected-because", "Rules that match"}, formField{"can", "f-can", "They can see"}, formField{"cannot", "f-cannot", "They cannot see"})
}

// below cuts the path of a value off that of what stands in it.
func below(path, at string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, at)
	return rest, ok && (at == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// lapse is a mistake within an entry of a text.
type lapse struct {
	at   string // in the entry
	key  bool   // about the key there
	text string
}

// elsewhere is what the words of a mistake owe to the rest of the text: what
// stands where, and what was expected.
var elsewhere = regexp.MustCompile(`; .*|on line \d+|\[\d+\]`)

// same reports whether two mistakes, in two texts, are one.
func (l lapse) same(o lapse) bool {
	l.text, o.text = elsewhere.ReplaceAllString(l.text, ""), elsewhere.ReplaceAllString(o.text, "")
	return l == o
}

// lapses are the mistakes within an entry of a draft, as it is. Tests that fail
// are none: whoever writes one may mean to change the rules next.
func (c *Console) lapses(d *draft, s shape, name string) (e map[string]any, out []lapse) {
	_, _, err := c.examine(d)
	problems, ok := errors.AsType[mapping.Problems](err)
	m, err := mapping.Read(d.file.Name, []byte(d.text))
	if !ok || err != nil {
		return nil, nil
	}
	e, path := s.find(m, name)
	if e == nil {
		return nil, nil
	}
	for i, spot := range d.spots(problems) {
		if _, ok := below(spot.Path, path); ok && spot.Path != "" && !isFailure(problems[i]) {
			out = append(out, lapseAt(spot, path, problems[i]))
		}
	}
	return e, out
}

// isFailure reports whether a mistake is a test that fails.
func isFailure(p mapping.Problem) bool { return strings.HasPrefix(p.Message, `test "`) }

// lapseAt is a mistake as it is said of the entry at a path.
func lapseAt(spot mapping.Spot, path string, p mapping.Problem) lapse {
	rest, _ := below(spot.Path, path)
	text := p.Message
	if rest != "" {
		text = strings.ReplaceAll(text, spot.Path, "this")
	}
	text = strings.NewReplacer(path+".", "", path, "this").Replace(text)
	return lapse{strings.TrimPrefix(rest, "."), spot.Key, text}
}

// spots says what of the draft's file mistakes are about.
func (d *draft) spots(problems mapping.Problems) []mapping.Spot {
	own := slices.Clone(problems)
	for i, p := range own {
		if d.file.Connection != "" && strings.HasSuffix(p.File, "/"+d.file.Name) {
			own[i].File = d.file.Name // those of a fragment stand with its folder
		}
	}
	return mapping.Spots(d.file.Name, []byte(d.text), own)
}

// refusedForm gives a form again that would put a new mistake into the text, as
// it was in old, and takes it back out; nil if it does not. What was wrong there
// before need not be mended at once.
func (c *Console) refusedForm(d, old *draft, form url.Values) *formView {
	s, _ := shapeOf(form.Get("kind"))
	e, after := c.lapses(d, s, strings.TrimSpace(form.Get("id")))
	if len(after) == 0 {
		return nil
	}
	_, known := c.lapses(old, s, form.Get("old"))
	if !slices.ContainsFunc(after, func(l lapse) bool { return !slices.ContainsFunc(known, l.same) }) {
		return nil
	}
	*d = *old
	f := formAgain(d, c.choices(), form)
	f.Refused, f.Again = f.place(e, after), true
	return f
}

// openedForm opens an entry in its form, with what is wrong there already.
func (c *Console) openedForm(d *draft, what string) (*formView, error) {
	f, err := openForm(d, c.choices(), what)
	if f == nil || f.Old == "" || d.same() {
		return f, err
	}
	s, _ := shapeOf(f.Kind)
	e, lapses := c.lapses(d, s, f.Old)
	f.Refused = f.place(e, lapses)
	return f, err
}

// place puts mistakes of an entry at the fields that are meant, in the order of
// the form; what has none comes first.
func (f *formView) place(e map[string]any, lapses []lapse) refusal {
	fields := formFields(f.Kind)
	var out refusal
	order := make(map[string]int)
	for _, l := range lapses {
		meant := f.meant(fields, l)
		w := wrong{Field: meant.id, Title: meant.title, Text: sentence(strings.TrimPrefix(l.text, "this: "))}
		if rest, _ := below(l.at, meant.at); meant.id != "" {
			w.Field, w.Here = f.element(meant, e, rest, l)
		}
		if order[w.Field] = -1; w.Here {
			order[w.Field] = slices.IndexFunc(fields, func(o formField) bool { return o.id == meant.id })
		}
		out = append(out, w)
	}
	slices.SortStableFunc(out, func(a, b wrong) int { return cmp.Compare(order[a.Field], order[b.Field]) })
	return out
}

// meant finds the field that a mistake is about; without an id there is none.
func (f *formView) meant(fields []formField, l lapse) (meant formField) {
	at, named := l.at, f.Kind != formRule && f.Kind != formConstraint && f.Kind != formTest
	if i := max(strings.LastIndexByte(at, '.'), 0); l.key && at != "" && f.Kind != formVariable && slices.Contains(blocks(), at[:i]) {
		if at = at[:i]; at == "" && named || strings.HasPrefix(l.text, "unknown key") {
			return formField{}
		}
	}
	for _, o := range fields {
		if _, ok := below(at, o.at); ok && (o.at != "" || at == "" || f.Kind == formVariable) && (meant.id == "" || len(o.at) > len(meant.at)) {
			meant = o
		}
	}
	if (f.Kind == formGroup || f.Kind == formVariable) && at == "" && strings.HasPrefix(l.text, "this:") {
		return formField{id: nameField, title: "Name"}
	}
	return meant
}

// blocks are the mappings of an entry whose keys the language knows. Such a
// block begins at its first key, so a mistake there is about the block.
func blocks() []string {
	return []string{"", "match", "valid", "grant", "restrict", "deny", "ceiling", "given", "expect"}
}

// element is the one of a field's elements that holds what stands further down
// in the entry; here is false where the form shows none.
func (f *formView) element(o formField, e map[string]any, rest string, l lapse) (id string, here bool) {
	n := 0
	number := -1
	if _, err := fmt.Sscanf(rest, "[%d]", &number); err != nil {
		number = -1
	}
	row := func(said func(i int) bool, count int) (string, bool) {
		for i := range count {
			if !said(i) {
				continue
			}
			if n == number {
				return o.id + "-" + strconv.Itoa(i), true
			}
			n++
		}
		return o.id + "-0", count > 0
	}
	ticks := map[string][]choice{"f-roles": f.Roles, "f-groups": f.Groups, "f-inherits": f.Inherits, "f-assignable": f.Assignable}
	limits := f.Limits
	if f.Ceiling != nil {
		ticks["f-roles"], limits = f.Ceiling.Roles, f.Ceiling.Limits
	}
	if f.Constraint != nil {
		ticks["f-exclusive"] = f.Constraint.Exclusive
	}
	switch all, ticked := ticks[o.id]; {
	case ticked:
		item := itemAt(e, o.at, number)
		if _, call := item.(map[string]any); call && o.id == "f-groups" {
			return "f-calls", true
		}
		i := slices.IndexFunc(all, func(c choice) bool { return any(c.Name) == item })
		return o.id + "-" + strconv.Itoa(max(i, 0)), len(all) > 0
	case o.id == "f-value":
		id, here = row(func(i int) bool { return !blank(f.Selectors[i].Value) }, len(f.Selectors))
		if strings.HasSuffix(rest, ".label") {
			id = strings.Replace(id, "f-value", "f-label", 1)
		}
		return id, here
	case o.id == "f-pushed":
		return row(func(i int) bool { return !blank(f.Test.Pushed[i].Name, f.Test.Pushed[i].ExternalID) }, len(f.Test.Pushed))
	case o.id == "f-values":
		i := slices.IndexFunc(limits, func(x limit) bool {
			_, ok := below(strings.TrimPrefix(rest, "."), mapping.Path(x.Attribute))
			return ok
		})
		return o.id + "-" + strconv.Itoa(max(i, 0)), i >= 0 || rest == "" && len(limits) > 0
	case o.id == "f-stands":
		i := slices.IndexFunc(f.Variable, func(x spread) bool {
			return !blank(x.Environment) && mapping.Path(strings.TrimSpace(x.Environment)) == l.at
		})
		if l.key && i >= 0 {
			return "f-environment-" + strconv.Itoa(i), true
		}
		return o.id + "-" + strconv.Itoa(max(i, 0)), true
	case o.id == nameField:
		return o.id, f.Kind != formDefaults
	case o.id == "f-conn":
		return o.id, !f.Fragment
	}
	return o.id, true
}

// itemAt is an item of a list that an entry holds; nil if it has none.
func itemAt(e map[string]any, at string, number int) any {
	keys := strings.Split(at, ".")
	for _, key := range keys[:len(keys)-1] {
		e = child(e, key)
	}
	items, _ := e[keys[len(keys)-1]].([]any)
	if number < 0 || number >= len(items) {
		return nil
	}
	return items[number]
}

// turnedDown is a form that cannot be put into a text at all; field is the one
// that is meant, if there is one.
func (f *formView) turnedDown(field string, err error) (*formView, error) {
	w := wrong{Field: field, Here: field != "", Text: sentence(fault.Message(err))}
	problems, inText := errors.AsType[mapping.Problems](err)
	switch {
	case field == nameField && inText:
		w.Title, w.Text = "Name", sentence(problems[0].Message)
	case field == nameField:
		w.Title = "Name"
	case inText:
		w.Text = fault.Message(err) // it begins with the place
	}
	f.Refused, f.Again = refusal{w}, true
	return f, err
}
