package admin

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/web"
)

// verb is something that is done to a person.
type verb struct {
	Name   string // in the path
	Title  string // on the button
	right  string
	many   bool // can be done to several at once
	wants  bool // a reason is required
	ends   bool // every session ends with it
	effect string
	bar    directory.State // that it sets or lifts; empty: neither
	lifts  bool
	do     func(r *request, d Directory, id, why string) (int, error)
}

func verbs() []verb {
	bars := func(what directory.State) func(*request, Directory, string, string) (int, error) {
		return func(r *request, d Directory, id, why string) (int, error) {
			return d.BarWithin(r.ctx, r.actor(), r.bounds(), what, id, why)
		}
	}
	lifts := func(what directory.State) func(*request, Directory, string, string) (int, error) {
		return func(r *request, d Directory, id, why string) (int, error) {
			return 0, d.LiftWithin(r.ctx, r.actor(), r.bounds(), what, id, why)
		}
	}
	return []verb{
		{
			"lock", "Lock", mapping.GateUsersLock, true, true, true,
			"They are out at once and cannot sign in until somebody here unlocks them. Their profile stays whole.",
			directory.Locked, false, bars(directory.Locked),
		},
		{
			"unlock", "Unlock", mapping.GateUsersLock, true, false, false,
			"They can sign in again. Sessions that ended do not come back.",
			directory.Locked, true, lifts(directory.Locked),
		},
		{
			"deactivate", "Deactivate", mapping.GateUsersEdit, true, true, true,
			"They are out at once and cannot sign in until somebody here reactivates them, whatever their identity provider says.",
			directory.Deactivated, false, bars(directory.Deactivated),
		},
		{
			"reactivate", "Reactivate", mapping.GateUsersEdit, true, false, false,
			"They can sign in again. Sessions that ended do not come back.",
			directory.Deactivated, true, lifts(directory.Deactivated),
		},
		{
			"sign-out", "End all sessions", mapping.GateUsersLock, false, false, true,
			"They are out at once, and can sign in again.",
			"", false, func(r *request, d Directory, id, why string) (int, error) {
				return d.SignOut(r.ctx, r.actor(), id, why)
			},
		},
		{
			"delete", "Delete", mapping.GateUsersDelete, false, true, true,
			"Their profile, sign-ins and past are erased for good; the audit trail stays. Whoever the mapping still lets in begins anew at their next sign-in, in the part of the organization that they are in now; who is locked or deactivated now stays that then.",
			"", false, func(r *request, d Directory, id, why string) (int, error) {
				return 0, d.Remove(r.ctx, r.actor(), id, why)
			},
		},
	}
}

// verbLink is a verb as a page offers it.
type verbLink struct{ Name, Title string }

// many are the verbs that a visitor may do to several people at once.
func (v *visitor) many() (links []verbLink) {
	for _, verb := range verbs() {
		if verb.many && v.may(verb.right) {
			links = append(links, verbLink{verb.Name, verb.Title})
		}
	}
	return links
}

// offered are the verbs that a visitor may do to somebody, and that would
// change anything.
func (c *Console) offered(ctx context.Context, v *visitor, p *directory.Person) (links []verbLink, err error) {
	for _, verb := range verbs() {
		if !v.reaches(verb.right, p) {
			continue
		}
		if verb.Name == "delete" && c.directory.Removable(*p) != nil || v.is(p.ID) && verb.ends && verb.Name != "sign-out" {
			continue
		}
		title, fits := verb.Title, true
		if verb.bar != "" {
			of, gate := v.reach(verb.right)
			hold, err := c.directory.HoldOn(ctx, of.bounds(), *p, verb.bar)
			if err != nil {
				return nil, err
			}
			switch {
			case verb.lifts:
				fits = hold.Bar != nil
			case !hold.Over:
				fits = hold.Bar == nil
			case gate:
				title += " as the gate"
			default:
				title += " as well"
			}
		}
		if fits {
			links = append(links, verbLink{verb.Name, title})
		}
	}
	return links, nil
}

// confirmView asks before something is done.
type confirmView struct {
	Verb     verbLink
	Effect   string
	People   []personJSON
	Over     []overView // of those, whom somebody barred already whose decision this takes the place of
	Sessions int        // that would end
	Streams  int        // of those, with a page or stream open on this gate
	Ends     bool       // whether sessions end with it
	Wants    bool       // a reason is required
	Action   string
	Back     string
}

// overView is a decision that another one takes the place of.
type overView struct{ Label, By, State string }

// ask shows what a verb would do to somebody.
func (v verb) ask(c *Console, r *request) (any, error) {
	s, err := c.standing(r)
	if err != nil {
		return nil, err
	}
	if err := c.forbids(r, v, &s.Person); err != nil {
		return nil, err
	}
	if v.lifts {
		// Asked again by what lifts it.
		hold, err := c.directory.HoldOn(r.ctx, r.bounds(), s.Person, v.bar)
		if err == nil {
			err = hold.Kept
		}
		if err != nil {
			return nil, err
		}
	}
	return c.confirm(r, v, []directory.Person{s.Person}, web.ConsolePrefix+"/people/"+s.Person.ID)
}

func (c *Console) confirm(r *request, v verb, people []directory.Person, back string) (any, error) {
	view := &confirmView{
		Verb: verbLink{v.Name, v.Title}, Effect: v.effect, Ends: v.ends, Wants: v.wants, Back: back,
		Action: web.ConsolePrefix + "/people/all/" + v.Name,
	}
	for i := range people {
		view.People = append(view.People, personWire(&people[i]))
		if !v.ends {
			continue
		}
		if v.bar != "" {
			hold, err := c.directory.HoldOn(r.ctx, r.bounds(), people[i], v.bar)
			if err != nil {
				return nil, err
			}
			if hold.Over {
				view.Over = append(view.Over, overView{view.People[i].Label(), hold.Bar.By, string(v.bar)})
			}
		}
		rows, err := c.sessions.Of(r.ctx, people[i].ID)
		if err != nil {
			return nil, err
		}
		view.Sessions += len(rows)
		view.Streams += c.sessions.Streams(people[i].ID)
	}
	if back != web.ConsolePrefix+"/people" {
		view.Action = back + "/" + v.Name
	}
	return view, c.tellPlaces(r, view.People)
}

// one does a verb to somebody.
func (v verb) one(c *Console, r *request) (any, error) {
	s, err := c.standing(r)
	if err != nil {
		return nil, err
	}
	why, err := r.reason(v.wants)
	if err != nil {
		return nil, err
	}
	ended, err := c.do(r, v, &s.Person, why)
	if err != nil {
		return nil, err
	}
	to := "/people/" + s.Person.ID
	if v.Name == "delete" {
		to = "/people"
	}
	return done{to: to, Done: v.Name, Ended: ended, Count: 1}, nil
}

// maxMany bounds to how many people something is done at once.
const maxMany = 500

// several finds the people that an order is about.
func (c *Console) several(r *request) ([]directory.Person, error) {
	ids := slices.Compact(slices.Sorted(slices.Values(r.form["id"])))
	if len(ids) == 0 || len(ids) > maxMany {
		return nil, fault.New(fault.Invalid, "want 1 to %d people, got %d", maxMany, len(ids))
	}
	people := make([]directory.Person, 0, len(ids))
	for _, id := range ids {
		s, err := c.find(r, id)
		if err != nil {
			return nil, err
		}
		people = append(people, s.Person)
	}
	return people, nil
}

// all does a verb to several people, each in a transaction of their own. In a
// browser it asks first.
func (v verb) all(c *Console, r *request) (any, error) {
	people, err := c.several(r)
	if err != nil {
		return nil, err
	}
	if r.form.Get("confirmed") != "yes" {
		return c.confirm(r, v, people, web.ConsolePrefix+"/people")
	}
	why, err := r.reason(v.wants)
	if err != nil {
		return nil, err
	}
	out := done{to: "/people", Done: v.Name}
	for i := range people {
		switch ended, err := c.do(r, v, &people[i], why); {
		case err == nil:
			out.Count++
			out.Ended += ended
		case fault.Is(err, fault.Conflict), fault.Is(err, fault.NotFound), fault.Is(err, fault.Forbidden):
			out.Left++
		default:
			return nil, err
		}
	}
	return out, nil
}

func (c *Console) do(r *request, v verb, p *directory.Person, why string) (int, error) {
	if err := c.forbids(r, v, p); err != nil {
		return 0, err
	}
	return v.do(r, c.directory, p.ID, why)
}

// forbids says why a verb is not for this visitor to do to somebody.
func (c *Console) forbids(r *request, v verb, p *directory.Person) error {
	if v.Name == "delete" {
		if err := c.directory.Removable(*p); err != nil {
			return err
		}
	}
	if v.ends && v.Name != "sign-out" && r.is(p.ID) {
		return fault.New(fault.Conflict, "you cannot do this to yourself")
	}
	return nil
}

// maxReason bounds a reason, in bytes.
const maxReason = 1000

func (r *request) reason(wanted bool) (string, error) {
	why := strings.TrimSpace(r.form.Get("reason"))
	switch {
	case wanted && why == "":
		return "", fault.New(fault.Invalid, "a reason is wanted, for the audit trail")
	case len(why) > maxReason:
		return "", fault.New(fault.TooLarge, "the reason is longer than %d bytes", maxReason)
	case !utf8.ValidString(why) || strings.ContainsRune(why, 0):
		return "", fault.New(fault.Invalid, "the reason is not text")
	default:
		return why, nil
	}
}

// location is where a browser goes on, with what it says there.
func (d done) location() string {
	if d.Done == "closed" {
		return d.to
	}
	q := url.Values{"done": {d.Done}}
	if d.with != "" {
		q.Set("organization", d.with)
	}
	for name, n := range map[string]int{"count": d.Count, "ended": d.Ended, "left": d.Left} {
		if n > 0 {
			q.Set(name, strconv.Itoa(n))
		}
	}
	return web.ConsolePrefix + d.to + "?" + q.Encode()
}
