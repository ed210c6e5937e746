package admin

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"portcullis/mapping"
)

// breach is an entry with the mistakes that another one's form would make
// there.
type breach struct {
	Open  string // what opens it; empty where it has no form in this file
	Texts []string
}

// Removes reports whether it is by removing the entry that something breaks.
func (f *formView) Removes() bool { return strings.HasPrefix(f.Sure, "remove ") }

// breakingForm gives a form again that would break other entries of the text,
// as it was in old, and takes it back out; nil if it does not, or if somebody is
// sure: they were shown this form, this text, and what breaks.
func (c *Console) breakingForm(d, old *draft, form url.Values, do, sure string) *formView {
	own := form.Get("kind") + ":"
	if do != "remove" {
		own += strings.TrimSpace(form.Get("id"))
	}
	breaks := c.breaches(d, old, own)
	if len(breaks) == 0 {
		return nil
	}
	f := formAgain(old, c.choices(), form)
	shown := digestOf(f.Kind, f.Old, f.filled(), old.text, breaks)
	if sure == shown {
		return nil
	}
	*d = *old
	f.Breaks, f.Sure = breaks, do+" "+shown
	if do == "on" {
		f.Next = form.Get("next")
	}
	return f
}

// misfit is a mistake in a text, to be told from others.
type misfit struct {
	file string // empty: the draft's own
	open string
	lapse
}

// breaches are the mistakes of a draft that are not in old, but for those of the
// entry that a form is about.
func (c *Console) breaches(d, old *draft, own string) (out []breach) {
	after := c.misfits(d)
	if len(after) == 0 {
		return nil
	}
	known := c.misfits(old)
	looked := reach(known)
	for _, x := range after {
		if x.open == own || reach([]misfit{x}) > looked || slices.ContainsFunc(known, x.same) {
			continue
		}
		text := x.text // in another file it begins with the place
		if x.file == "" {
			text = sentence(strings.TrimPrefix(text, "this: "))
		}
		if i := slices.IndexFunc(out, func(b breach) bool { return b.Open == x.open }); i >= 0 {
			out[i].Texts = append(out[i].Texts, text)
		} else {
			out = append(out, breach{x.open, []string{text}})
		}
	}
	return out
}

// misfits are all mistakes of a draft. Tests that fail are none: the check
// shows them, and whoever changes a rule may mean to change its tests next.
func (c *Console) misfits(d *draft) (out []misfit) {
	_, _, err := c.examine(d)
	problems, _ := errors.AsType[mapping.Problems](err)
	m, err := mapping.Read(d.file.Name, []byte(d.text))
	if err != nil {
		return nil
	}
	for i, at := range d.entriesAt(m, problems) {
		switch p := problems[i]; {
		case isFailure(p):
		case at.spot.Path == "":
			out = append(out, misfit{file: p.File, lapse: lapse{text: inWords(p)}})
		case at.open == "":
			out = append(out, misfit{lapse: lapse{text: p.Message}})
		default:
			out = append(out, misfit{open: at.open, lapse: lapseAt(at.spot, at.path, p)})
		}
	}
	return out
}

// reach is how far a check came that found mistakes: it stops at variables, and
// at what all files share, before it looks at the rest.
func reach(found []misfit) int {
	far := 2
	for _, x := range found {
		if strings.HasPrefix(x.open, formVariable+":") {
			return 0
		}
		if x.file == "" {
			far = 1
		}
	}
	return far
}

func (m misfit) same(o misfit) bool {
	return m.file == o.file && m.open == o.open && m.lapse.same(o.lapse)
}
