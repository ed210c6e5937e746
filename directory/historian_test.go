package directory_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portcullis/directory"
	"portcullis/fault"
)

// world is what Look said of everybody of one run at one moment.
type world map[string]directory.Standing

// historian records the world after each verb, the naive way.
type historian struct {
	r      *rig
	rt     *rapid.T
	prefix string
	pushed map[string]string // subject → id of the pushed record
	signed map[string]string // subject → id of the record that a sign-in made
	groups []string
	worlds map[time.Time]world
}

var subjects = []string{"ada", "bob", "cyd"}

// verbs change something of a subject, or fail with a fault.
var verbs = map[string]func(h *historian, s string) error{
	"sign in": func(h *historian, s string) error { return h.signIn(s, true) },
	"sign in without groups": func(h *historian, s string) error {
		return h.signIn(s, false)
	},
	"push": func(h *historian, s string) error { return h.push(s, "x-"+h.prefix+s) },
	"push with another link": func(h *historian, s string) error {
		return h.push(s, "y-"+h.prefix+s)
	},
	"link": func(h *historian, s string) error {
		return h.revise(s, func(r *directory.Record) { r.ExternalID = "x-" + h.prefix + s })
	},
	"rename": func(h *historian, s string) error { return h.revise(s, func(r *directory.Record) { r.Name += "!" }) },
	"turn active": func(h *historian, s string) error {
		return h.revise(s, func(r *directory.Record) { r.Active = !r.Active })
	},
	"attributes": func(h *historian, s string) error {
		return h.revise(s, func(r *directory.Record) { r.Attributes = map[string]any{"title": h.stamp()} })
	},
	"lock": func(h *historian, s string) error {
		_, err := h.r.Lock(h.r.t.Context(), operator, h.someone(s), "why")
		return err
	},
	"unlock": func(h *historian, s string) error {
		return h.r.Unlock(h.r.t.Context(), operator, h.someone(s), "")
	},
	"deactivate": func(h *historian, s string) error {
		_, err := h.r.Deactivate(h.r.t.Context(), operator, h.someone(s), "why")
		return err
	},
	"delete": func(h *historian, s string) error {
		return h.r.Delete(h.r.t.Context(), scimActor, "alpha", h.pushed[s])
	},
	"new group": func(h *historian, s string) error {
		g, err := h.r.ProvisionGroup(h.r.t.Context(), scimActor, "alpha", h.prefix+s+h.stamp(), "g-"+s, h.everybody())
		if err == nil {
			h.groups = append(h.groups, g.ID)
		}
		return err
	},
	"join": func(h *historian, s string) error {
		return h.regroup(directory.GroupEdit{Add: []string{h.pushed[s], h.prefix + s}})
	},
	"leave": func(h *historian, s string) error {
		return h.regroup(directory.GroupEdit{Remove: []string{h.pushed[s]}})
	},
	"replace": func(h *historian, s string) error {
		return h.regroup(directory.GroupEdit{Replace: &[]string{h.pushed[s]}})
	},
	"nest": func(h *historian, _ string) error {
		return h.regroup(directory.GroupEdit{Add: []string{h.group()}})
	},
	"unnest": func(h *historian, _ string) error {
		return h.regroup(directory.GroupEdit{Remove: []string{h.group(), h.group()}})
	},
	"rename group": func(h *historian, s string) error {
		name := h.prefix + "renamed " + s + h.stamp()
		return h.regroup(directory.GroupEdit{Name: &name})
	},
	"delete group": func(h *historian, _ string) error {
		return h.r.DeleteGroup(h.r.t.Context(), scimActor, "alpha", h.group())
	},
	"freeze": func(h *historian, s string) error {
		h.r.update(func(tx directory.Tx) error {
			return tx.PutOrganization(directory.Organization{Name: "Alpha", Disabled: s == "ada"}, h.r.now)
		})
		return nil
	},
	"rehome": func(h *historian, s string) error {
		h.r.update(func(tx directory.Tx) error {
			_, err := tx.Rehome("alpha", map[string]string{"ada": "Beta"}[s]+map[string]string{"bob": "Alpha", "cyd": "Alpha"}[s], h.r.now)
			return err
		})
		return nil
	},
}

func (h *historian) signIn(s string, complete bool) error {
	a := says(h.prefix + s)
	a.GroupsIncomplete = !complete
	a.Name = fmt.Sprint("Name at ", h.r.now.UnixMicro())
	in, err := h.r.signIn(a)
	if err == nil && in.Person.ID != h.pushed[s] {
		h.signed[s] = in.Person.ID
	}
	return err
}

func (h *historian) push(s, link string) error {
	rec := record(h.prefix + s)
	rec.ExternalID = link
	p, err := h.r.Provision(h.r.t.Context(), scimActor, "alpha", rec)
	if err == nil {
		h.pushed[s] = p.ID
	}
	return err
}

func (h *historian) revise(s string, edit func(*directory.Record)) error {
	_, err := h.r.Revise(h.r.t.Context(), scimActor, "alpha", h.pushed[s], func(_ directory.Person, rec directory.Record) (directory.Record, error) {
		edit(&rec)
		return rec, nil
	})
	return err
}

func (h *historian) regroup(e directory.GroupEdit) error {
	_, err := h.r.ReviseGroup(h.r.t.Context(), scimActor, "alpha", h.group(), func(directory.Group) (directory.GroupEdit, error) { return e, nil })
	return err
}

// someone is one of the records of a subject.
func (h *historian) someone(s string) string {
	if id := h.signed[s]; id != "" && rapid.Bool().Draw(h.rt, "of the sign-in") {
		return id
	}
	return h.pushed[s]
}

func (h *historian) group() string {
	if len(h.groups) == 0 {
		return "none"
	}
	return rapid.SampledFrom(h.groups).Draw(h.rt, "group")
}

// everybody is who was pushed, and somebody who was not yet.
func (h *historian) everybody() []string {
	return append(slices.Sorted(maps.Values(h.pushed)), h.prefix+"bob@alpha.example")
}

func (h *historian) step(verb, subject string) {
	h.rt.Helper()
	switch err := verbs[verb](h, subject); fault.KindOf(err) {
	case fault.NotFound, fault.Conflict, fault.Forbidden, fault.Invalid:
	default:
		if err != nil {
			h.rt.Fatalf("%s: %v", verb, err)
		}
	}
	// Whoever only the mapping refused is there all the same.
	found, err := h.r.Find(h.r.t.Context(), "alpha", h.prefix+subject)
	h.r.must(err)
	for _, p := range found {
		if !p.Provisioned {
			h.signed[subject] = p.ID
		}
	}
}

// record keeps what is seen now; a later verb of the same moment replaces it.
func (h *historian) record() {
	w := make(world)
	for _, ids := range []map[string]string{h.pushed, h.signed} {
		for _, id := range ids {
			s, err := h.r.Look(h.r.t.Context(), id)
			if fault.Is(err, fault.NotFound) {
				continue
			}
			h.r.must(err)
			w[id] = s
		}
	}
	h.worlds[h.r.now] = w
}

// compare asks for the past of everybody who is still there.
func (h *historian) compare() {
	today := h.worlds[h.r.now]
	for at, w := range h.worlds {
		want := make(world)
		for _, s := range subjects {
			pushed, signed := h.pushed[s], h.signed[s]
			for _, id := range []string{pushed, signed} {
				if _, alive := today[id]; !alive {
					continue
				}
				if then, ok := w[id]; ok {
					want[id] = lasting(then)
				}
			}
			// Whoever signed in and was absorbed stands for the record that did.
			if then, ok := w[signed]; ok && !has(today, signed) && has(today, pushed) {
				then.Person.ID = pushed
				want[pushed] = lasting(then)
			}
		}
		for id := range today {
			got, err := h.r.LookAt(h.r.t.Context(), id, at)
			if wanted, ok := want[id]; !ok {
				if !fault.Is(err, fault.NotFound) {
					h.rt.Fatalf("LookAt(%s, %v) = %+v, %v, want not found", id, at, got, err)
				}
			} else if diff := cmp.Diff(wanted, lasting(got)); err != nil || diff != "" {
				h.rt.Fatalf("LookAt(%s, %v): %v (-want +got):\n%s", id, at, err, diff)
			}
		}
		h.everybodyAt(at, want)
	}
	for id, want := range today {
		got, err := h.r.LookAt(h.r.t.Context(), id, time.Time{})
		want.Pushed = byID(want.Pushed)
		got.Pushed = byID(got.Pushed)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			h.rt.Fatalf("LookAt(%s) of now: %v (-want +got):\n%s", id, err, diff)
		}
	}
}

func (h *historian) everybodyAt(at time.Time, want world) {
	got := make(world)
	err := h.r.Standings(h.r.t.Context(), at, func(s directory.Standing) error {
		if _, twice := got[s.Person.ID]; twice {
			return fmt.Errorf("%s comes twice", s.Person.ID)
		}
		if strings.HasPrefix(s.Person.UserName, h.prefix) {
			got[s.Person.ID] = lasting(s)
		}
		return nil
	})
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		h.rt.Fatalf("Standings(%v): %v (-want +got):\n%s", at, err, diff)
	}
}

func has(w world, id string) bool {
	_, ok := w[id]
	return ok
}

// lasting leaves out what is not kept of the past.
func lasting(s directory.Standing) directory.Standing {
	s.Person.LastActive = time.Time{}
	s.Pushed = byID(s.Pushed)
	for i := range s.Pushed {
		s.Pushed[i].Version, s.Pushed[i].Modified = 0, time.Time{}
	}
	return s
}

func byID(groups []directory.Group) []directory.Group {
	groups = slices.Clone(groups)
	slices.SortFunc(groups, func(a, b directory.Group) int { return strings.Compare(a.ID, b.ID) })
	if len(groups) == 0 {
		return nil
	}
	return groups
}

// stamp is another text at each moment.
func (h *historian) stamp() string { return strconv.FormatInt(h.r.now.UnixMicro(), 10) }
