package admin

import (
	"errors"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"portcullis/count"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
)

// fileRef is one file of the mapping, to choose from.
type fileRef struct {
	Name       string
	Connection string
	Here       bool
}

// entryRef is an entry of a file, to open in a form.
type entryRef struct {
	Name string
	Open string // what the form is called
}

// editorView is the page on which somebody changes the mapping.
type editorView struct {
	Files   []fileRef
	File    string
	First   string // the connection whose first file it is; empty for a file that is there
	Base    string // hash of what is in force, over which it is written
	Text    string
	Managed bool
	Names   bool
	Reason  string
	Check   *checkJSON
	Lines   []diffLine // what was changed
	Patch   string
	Error   string // why it was not proposed
	Moved   bool   // something else came into force meanwhile
	Note    string
	Form    *formView
	Entries []entryList
	Open    bool // the file may have defaults
	New     bool // nothing is in force yet
}

// editor opens a file of the mapping, as it is in force.
func (c *Console) editor(r *request) (any, error) {
	c.crowds.soon()
	d, note, err := c.opened(r.ctx, r.query("file"), r.query("connection"))
	if err != nil {
		return nil, err
	}
	v := &editorView{Base: d.base.Hash, Note: note}
	if id := r.query("person"); id != "" {
		if v.Note, err = c.record(r, d, id); err != nil {
			return nil, err
		}
	}
	if err := c.fill(r, d, v); err != nil {
		return nil, err
	}
	if open := r.query("open"); open != "" {
		v.Form, err = c.openedForm(d, open)
	}
	return v, err
}

// fill puts a draft with its check on the page.
func (c *Console) fill(r *request, d *draft, v *editorView) (err error) {
	v.File, v.Text, v.New, v.Managed, v.First = filepath.ToSlash(d.file.Name), d.text, d.fresh, c.keeper.Status().Managed, d.first()
	for _, t := range d.base.Texts {
		v.Files = append(v.Files, fileRef{filepath.ToSlash(t.Name), t.Connection, t.Name == d.file.Name})
	}
	v.Lines = diff(string(d.file.Body), d.text)
	if !d.same() || d.fresh {
		if v.Check, err = c.check(r, d, v.Names); err != nil {
			return err
		}
		if !v.Managed && len(v.Check.Faults) == 0 {
			v.Patch = patch(filepath.Base(d.file.Name), string(d.file.Body), d.text)
		}
	}
	m, err := mapping.Read(d.file.Name, []byte(d.text))
	if err != nil {
		return nil //nolint:nilerr // the check says what is wrong; there is nothing to open in a form
	}
	v.Entries, v.Open = entries(m, d.file.Connection != ""), d.file.Connection == ""
	if v.Check == nil || len(v.Check.Faults) == 0 {
		return nil
	}
	_, _, err = c.examine(d)
	problems, _ := errors.AsType[mapping.Problems](err)
	for i, at := range d.entriesAt(m, problems) {
		v.Check.Faults[i].Open = at.open
	}
	return nil
}

// edit is what the page's buttons do: check, open a form and take it over,
// and propose.
func (c *Console) edit(r *request) (any, error) {
	d, err := c.sentDraft(r)
	if err != nil {
		return nil, err
	}
	d.write(r.form.Get("text"))
	v := &editorView{Base: d.base.Hash, Reason: r.form.Get("reason"), Names: r.form.Get("names") == "yes"}
	base := r.form.Get("base")
	v.Moved = base != "" && base != d.base.Hash && !d.unmoved(r, c, base)
	do, sure, _ := strings.Cut(r.form.Get("do"), " ")
	switch open := r.form.Get("open"); {
	case do == "propose" && !v.Moved:
		out, err := c.proposeDraft(r, d)
		if err == nil {
			return out, nil
		}
		if v.Error, err = inPage(err); err != nil {
			return nil, err
		}
		v.Form = formAgain(d, c.choices(), r.form)
	case do == "take" || do == "remove" || do == "on":
		v.Form, v.Error, err = c.takeSent(d, r.form, do, sure)
	case do == "check" || do == "names" || do == "propose" || do == "stay":
		v.Names = v.Names || do == "names"
		v.Form = formAgain(d, c.choices(), r.form)
	case do == "drop":
		v.Form, v.Error, err = c.shownForm(d, r.form.Get("next"))
	case open != "" && do == "":
		v.Form, v.Error, err = c.anotherForm(d, open, r.form)
	}
	if err != nil {
		return nil, err
	}
	return v, c.fill(r, d, v)
}

// takeSent puts a form that was sent into a draft, and goes on to the next. One
// that cannot be, that would make a mistake, or that would break something else
// without anybody being sure of it, is given again.
func (c *Console) takeSent(d *draft, form url.Values, do, sure string) (again *formView, problem string, err error) {
	old := *d
	again, err = takeForm(d, c.choices(), form, do == "remove")
	if err == nil && do != "remove" {
		again = c.refusedForm(d, &old, form)
	}
	if err == nil && again == nil {
		again = c.breakingForm(d, &old, form, do, sure)
	}
	switch {
	case err == nil && again == nil && do == "on":
		return c.shownForm(d, nextOf(form))
	case err != nil:
		problem, err = inPage(err)
	}
	if again != nil {
		problem = "" // which the form says itself
	}
	return again, problem, err
}

// unmoved reports whether a file is in force as it was in another revision.
func (d *draft) unmoved(r *request, c *Console, base string) bool {
	old, _, err := c.ledger.Show(r.ctx, base)
	if err != nil {
		return false
	}
	same := func(a, b revision.Text) bool { return a.Name == b.Name && string(a.Body) == string(b.Body) }
	return slices.EqualFunc(old.Texts, d.base.Texts, same)
}

// inPage gives the words of an error that the page itself shows; what is not
// for people to see stays an error.
func inPage(err error) (string, error) {
	if problems, ok := errors.AsType[mapping.Problems](err); ok && len(problems) > 0 {
		return inWords(problems[0]), nil
	}
	if fault.Is(err, fault.Internal) || fault.Is(err, fault.Unavailable) {
		return "", err
	}
	return fault.Message(err), nil
}

// said makes mistakes of a text an answer rather than a failure of the gate.
func said(err error) error {
	if problems, ok := errors.AsType[mapping.Problems](err); ok && len(problems) > 0 {
		text := inWords(problems[0])
		if more := len(problems) - 1; more > 0 {
			text += "; and " + count.Of(more, "more mistake", "more mistakes")
		}
		return fault.Wrap(fault.Invalid, err, "%s", text)
	}
	return err
}

func (c *Console) proposeDraft(r *request, d *draft) (done, error) {
	why, err := r.reason(true)
	if err != nil {
		return done{}, err
	}
	p, err := c.ledger.Propose(r.ctx, r.signer(), d.texts(), why)
	if err != nil {
		return done{}, said(err)
	}
	return done{to: "/mapping/" + p.Hash, Done: "propose"}, nil
}

// checkText is the check of a text for scripts.
func (c *Console) checkText(r *request) (any, error) {
	d, err := c.sent(r)
	if err != nil {
		return nil, err
	}
	return c.check(r, d, r.form.Get("names") == "yes")
}

// proposeText proposes a text for scripts.
func (c *Console) proposeText(r *request) (any, error) {
	d, err := c.sent(r)
	if err != nil {
		return nil, err
	}
	if base := r.form.Get("base"); base != "" && base != d.base.Hash && !d.unmoved(r, c, base) {
		return nil, fault.New(fault.Conflict, "revision %d (%.12s) came into force since: look again", d.base.Number, d.base.Hash)
	}
	out, err := c.proposeDraft(r, d)
	if err != nil {
		return nil, err
	}
	rev, _, err := c.ledger.Show(r.ctx, strings.TrimPrefix(out.to, "/mapping/"))
	if err != nil {
		return nil, err
	}
	return c.revisionOf(r, rev)
}

// sent is the draft that a script sent.
func (c *Console) sent(r *request) (*draft, error) {
	d, err := c.sentDraft(r)
	if err != nil {
		return nil, err
	}
	if !r.form.Has("text") {
		return nil, fault.New(fault.Invalid, "text: want the text of the file")
	}
	d.text = r.form.Get("text")
	return d, nil
}

// amend edits a text for scripts, as the forms do.
func (c *Console) amend(r *request) (any, error) {
	d, err := c.sentDraft(r)
	if err != nil {
		return nil, err
	}
	if r.form.Has("text") {
		d.text = r.form.Get("text")
	}
	if id := r.form.Get("record"); id != "" {
		if r.form.Has("text") {
			return nil, fault.New(fault.Invalid, "record: a test is added to the mapping in force, so want no text beside it")
		}
		if _, err := c.record(r, d, id); err != nil {
			return nil, err
		}
	}
	var all []mapping.Amendment
	for _, e := range r.edits {
		switch {
		case e.Set != "":
			all = append(all, mapping.Set(e.Set, e.Value))
		case e.Add != "":
			all = append(all, mapping.Add(e.Add, e.Value))
		case e.Remove != "":
			all = append(all, mapping.Remove(e.Remove))
		default:
			return nil, fault.New(fault.Invalid, "edits: want each to have set, add or remove with a path")
		}
	}
	text, err := mapping.Edit(d.file.Name, []byte(d.text), all...)
	if err != nil {
		return nil, said(err)
	}
	return &amended{filepath.ToSlash(d.file.Name), string(text), patch(filepath.Base(d.file.Name), string(d.file.Body), string(text))}, nil
}

// amended is a text after its edits.
type amended struct {
	File  string `json:"file"`
	Text  string `json:"text"`
	Patch string `json:"patch"` // against what is in force
}

// editJSON is one edit of a text, by the path of package mapping.
type editJSON struct {
	Set    string `json:"set,omitempty"`
	Add    string `json:"add,omitempty"`
	Remove string `json:"remove,omitempty"`
	Value  any    `json:"value,omitempty"`
}

// draftJSON is a text that a script sends.
type draftJSON struct {
	File  string     `json:"file"`
	Of    string     `json:"connection"` // whose first file it is
	Text  *string    `json:"text"`
	Base  string     `json:"base"`
	Names bool       `json:"names"`
	Apply bool       `json:"apply"`
	Edits []editJSON `json:"edits"`

	Record string `json:"record"` // id of somebody who becomes a test
}

func (o *draftJSON) values(v url.Values) {
	v.Set("file", o.File)
	v.Set("firstOf", o.Of)
	v.Set("base", o.Base)
	v.Set("record", o.Record)
	if o.Text != nil {
		v.Set("text", *o.Text)
	}
	for name, yes := range map[string]bool{"names": o.Names, "apply": o.Apply} {
		if yes {
			v.Set(name, "yes")
		}
	}
}

// maxDraft bounds a form that holds a mapping file of 4 MiB.
const maxDraft = 12 << 20
