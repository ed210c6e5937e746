package admin

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
)

// draft is one file of the mapping as somebody would have it, over what is in
// force.
type draft struct {
	base  revision.Revision // in force; zero while nothing is
	file  revision.Text     // which of its files
	text  string            // what it is to be
	fresh bool              // it is a new file: nothing is in force yet
	seen  *examined         // what came of the last look at the text
}

// examined is a text that was compiled and tested.
type examined struct {
	text   string
	policy *mapping.Policy
	report mapping.Report
	err    error
}

// firstFile is what a mapping is called that does not exist yet.
const firstFile = "mapping.yaml"

// firstText is what somebody begins with who has no mapping yet.
const firstText = `version: 1
connections: {}
roles: {}
rules: []
tests: []
`

// draft gives a file of what is in force, to be written at. An empty name
// means the base.
func (c *Console) draft(ctx context.Context, name string) (*draft, error) {
	base, _, err := c.ledger.InForce(ctx)
	if err != nil {
		return nil, err
	}
	if len(base.Texts) == 0 {
		return &draft{file: revision.Text{Name: firstFile}, text: firstText, fresh: true}, nil
	}
	d := &draft{base: base, file: base.Texts[0]}
	if name != "" {
		i := slices.IndexFunc(base.Texts, func(t revision.Text) bool { return filepath.ToSlash(t.Name) == name || filepath.Base(t.Name) == name })
		if i < 0 {
			return nil, fault.New(fault.NotFound, "the mapping in force has no file %s", clip(name))
		}
		d.file = base.Texts[i]
	}
	d.text = string(d.file.Body)
	return d, nil
}

// write puts in what somebody sent. Browsers end lines as on Windows: the
// lines end as they did.
func (d *draft) write(text string) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if strings.Contains(string(d.file.Body), "\r\n") {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	d.text = text
}

// same reports whether nothing was changed.
func (d *draft) same() bool { return !d.fresh && d.text == string(d.file.Body) }

// texts is what is proposed: the whole mapping, or the fragment alone.
func (d *draft) texts() []revision.Text {
	changed := d.file
	changed.Body = []byte(d.text)
	if changed.Connection != "" {
		return []revision.Text{changed}
	}
	if d.fresh {
		return []revision.Text{changed}
	}
	texts := slices.Clone(d.base.Texts)
	for i := range texts {
		if texts[i].Name == d.file.Name {
			texts[i] = changed
		}
	}
	return texts
}

// faultJSON is a mistake in a text.
type faultJSON struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Excerpt string `json:"excerpt,omitempty"`

	Open string `json:"-"` // what opens it in a form, where it is in one
}

func faultsWire(ps mapping.Problems) []faultJSON {
	out := make([]faultJSON, len(ps))
	for i, p := range ps {
		out[i] = faultJSON{File: filepath.Base(p.File), Line: p.Line, Column: p.Column, Message: p.Message, Excerpt: p.Excerpt}
	}
	return out
}

// failureJSON is a test that failed.
type failureJSON struct {
	Test     string `json:"test"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
	Look     string `json:"look,omitempty"`
}

// placeJSON is something of a mapping.
type placeJSON struct {
	Name string `json:"name"`
	File string `json:"file"`
	Line int    `json:"line"`
}

// idleJSON is something of a mapping that is not in use.
type idleJSON struct {
	placeJSON

	Column     int    `json:"column"`
	Connection string `json:"connection,omitempty"` // whose fragment it is in, or whose group it is
}

func placesWire(places []mapping.Place, name func(file string) string) []idleJSON {
	out := make([]idleJSON, len(places))
	for i, p := range places {
		out[i] = idleJSON{placeJSON{p.Name, name(p.File), p.Line}, p.Column, p.Connection}
	}
	return out
}

// checkJSON is what the gate says of a draft.
type checkJSON struct {
	Good     bool          `json:"good"` // it may be proposed
	Same     bool          `json:"inForceAlready"`
	Faults   []faultJSON   `json:"faults"`
	Warnings []faultJSON   `json:"warnings"`
	Tests    int           `json:"tests"`
	Failures []failureJSON `json:"failures"`
	Untested []idleJSON    `json:"untested"` // rules that no test hits
	Needs    []string      `json:"needsApproval"`
	Effect   *effectJSON   `json:"effect"` // null while there are faults
}

// Passed is how many of the tests hold.
func (v *checkJSON) Passed() int {
	failed := make(map[string]bool)
	for _, f := range v.Failures {
		failed[f.Test] = true
	}
	return v.Tests - len(failed)
}

// shiftJSON counts people by a role or a permission group.
type shiftJSON struct {
	Name   string `json:"name"`
	Before int    `json:"before"`
	Now    int    `json:"now"`
	Gain   int    `json:"gain"`
	Lose   int    `json:"lose"`
}

// gainJSON is what changes for one person.
type gainJSON struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Gains  []string `json:"gains"`
	Loses  []string `json:"loses"`
	Reason string   `json:"reason,omitempty"` // why they may no longer come in
	Flags  []string `json:"flags"`
}

// effectJSON is who gains and who loses.
type effectJSON struct {
	AsOf       time.Time   `json:"asOf"` // of what is known of the people
	People     int         `json:"people"`
	Touched    int         `json:"touched"`
	Gain       int         `json:"gain"`
	Lose       int         `json:"lose"`
	Admitted   int         `json:"admitted"`
	Refused    int         `json:"refused"`
	Data       int         `json:"otherData"`
	Privileged int         `json:"privileged"`
	Everything int         `json:"unrestricted"`
	Flags      []string    `json:"flags"`
	Roles      []shiftJSON `json:"roles"`
	Groups     []shiftJSON `json:"permissionGroups"`
	Changes    []gainJSON  `json:"changes"` // names, where they are asked for
	More       int         `json:"more"`    // people that are touched and not named

	Bound  bool `json:"ofThoseYouMaySee,omitempty"` // all of this is about no others
	MaySee bool `json:"-"`                          // whether the visitor may see who it is
}

// maxNamed bounds how many people a preview names.
const maxNamed = 200

// check compiles a draft, runs its tests, and holds everybody against it.
func (c *Console) check(r *request, d *draft, names bool) (*checkJSON, error) {
	v := &checkJSON{
		Same: d.same(), Faults: []faultJSON{}, Warnings: []faultJSON{}, Failures: []failureJSON{}, Untested: []idleJSON{}, Needs: []string{},
	}
	c.crowds.begin()
	after, report, err := c.examine(d)
	if problems, ok := errors.AsType[mapping.Problems](err); ok {
		v.Faults = faultsWire(problems)
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	v.Tests = report.Ran
	for _, f := range report.Failures {
		v.Failures = append(v.Failures, failureJSON{f.Test, filepath.Base(f.File), f.Line, f.Column, f.Expected, f.Got, f.Look})
	}
	v.Good = len(v.Failures) == 0
	v.Warnings = faultsWire(after.WarningsAt(c.now()))
	v.Untested = placesWire(after.Coverage(c.now(), nil).Untested, filepath.Base)
	effect, counts, err := c.effect(r, c.keeper.Policy(), after, names)
	if err != nil {
		return nil, err
	}
	v.Effect = effect
	if !v.Same {
		v.Needs = append(v.Needs, c.ledger.Needs(c.keeper.Policy(), after, counts)...)
	}
	return v, nil
}

// examine compiles a draft and runs its tests, once for each text.
func (c *Console) examine(d *draft) (*mapping.Policy, mapping.Report, error) {
	if d.seen == nil || d.seen.text != d.text {
		after, report, err := c.compiled(d)
		d.seen = &examined{d.text, after, report, err}
	}
	return d.seen.policy, d.seen.report, d.seen.err
}

// compiled is [Console.examine] itself. What other clients' fragments are like
// is nothing to that of one.
func (c *Console) compiled(d *draft) (*mapping.Policy, mapping.Report, error) {
	if d.file.Connection == "" {
		return c.ledger.Examine(d.texts())
	}
	now := c.keeper.Policy()
	if now == nil {
		return nil, mapping.Report{}, fault.New(fault.Unavailable, "no mapping is in force")
	}
	after, err := now.Replace(filepath.ToSlash(d.file.Name), []byte(d.text))
	if err != nil {
		return nil, mapping.Report{}, err
	}
	return after, after.Test(), nil
}

// effect holds everybody whom the visitor is told of against two mappings. The
// counts are of everybody, and nil where that is not for the visitor to know.
func (c *Console) effect(r *request, before, after *mapping.Policy, names bool) (*effectJSON, *revision.Counts, error) {
	all, bound, err := c.crowd(r)
	if err != nil {
		return nil, nil, err
	}
	_, may := r.within(mapping.GateUsersView)
	v, err := c.effectOn(r.ctx, all, before, after, names && may, may)
	if err != nil {
		return nil, nil, err
	}
	if v.Bound = bound; bound {
		return v, nil, nil
	}
	return v, &revision.Counts{People: v.People, Changed: v.Touched, Gained: v.Gain, Lost: v.Lose, LetIn: v.Admitted, ShutOut: v.Refused}, nil
}

// effectOn is [Console.effect] for people who are known.
func (c *Console) effectOn(ctx context.Context, all *crowd, before, after *mapping.Policy, names, may bool) (*effectJSON, error) {
	var failed error
	d := mapping.Diff(before, after, c.now(), all.people(ctx, &failed))
	if failed != nil {
		return nil, failed
	}
	v := &effectJSON{
		AsOf: all.at, People: d.People, Touched: d.Touched, Gain: d.Gain, Lose: d.Lose, Admitted: d.Admitted, Refused: d.Refused, Data: d.Data,
		Privileged: d.Privileged, Everything: d.Everything, Flags: []string{}, Roles: shiftsWire(d.Roles), Groups: shiftsWire(d.Groups),
		Changes: []gainJSON{}, More: d.Touched, MaySee: may,
	}
	for _, f := range d.Flags() {
		v.Flags = append(v.Flags, string(f))
	}
	if names {
		for _, x := range d.Changes[:min(len(d.Changes), maxNamed)] {
			v.Changes = append(v.Changes, gainWire(x, all.label(ctx, x.Person)))
		}
		v.More = d.Touched - len(v.Changes)
	}
	return v, nil
}

func shiftsWire(shifts []mapping.Shift) []shiftJSON {
	out := []shiftJSON{} // of those that change
	for _, s := range shifts {
		if s.Gain > 0 || s.Lose > 0 {
			out = append(out, shiftJSON(s))
		}
	}
	return out
}

func gainWire(x mapping.Change, label string) gainJSON {
	w := gainJSON{ID: x.Person, Name: label, Gains: []string{}, Loses: []string{}, Flags: []string{}}
	name := func(to *[]string, kind string, names []string) {
		for _, n := range names {
			*to = append(*to, kind+" "+n)
		}
	}
	if x.Admitted {
		w.Gains = append(w.Gains, "may come in")
	}
	if x.Refused {
		w.Loses, w.Reason = append(w.Loses, "may come in"), x.Reason
	}
	name(&w.Gains, "role", x.RolesGained)
	name(&w.Gains, "task", x.TasksGained)
	name(&w.Gains, "permission group", x.GroupsGained)
	name(&w.Loses, "role", x.RolesLost)
	name(&w.Loses, "task", x.TasksLost)
	name(&w.Loses, "permission group", x.GroupsLost)
	for _, f := range []struct {
		yes  bool
		text string
	}{{x.Data, "sees other data"}, {x.Privileged, "gains a privileged role"}, {x.Everything, "sees everything"}} {
		if f.yes {
			w.Flags = append(w.Flags, f.text)
		}
	}
	return w
}
