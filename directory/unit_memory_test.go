package directory_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/store"
	"portcullis/store/storetest"
)

// comeback is a way in which somebody is deleted and comes back. back gives the
// id of who is there again; between the two happens whatever else does.
type comeback struct {
	what   string
	pushed bool
	back   func(r *rig, name string, p directory.Person, meanwhile func()) string
}

func comebacks() []comeback {
	return []comeback{
		{"deleted here, signs in", false, func(r *rig, name string, p directory.Person, meanwhile func()) string {
			r.must(r.Remove(r.t.Context(), operator, p.ID, ""))
			meanwhile()
			return r.enter(says(name)).Person.ID
		}},
		{"deleted here, pushed", false, func(r *rig, name string, p directory.Person, meanwhile func()) string {
			r.must(r.Remove(r.t.Context(), operator, p.ID, ""))
			meanwhile()
			return r.push(record(name)).ID
		}},
		{"deleted over SCIM, pushed", true, func(r *rig, name string, p directory.Person, meanwhile func()) string {
			r.must(r.Delete(r.t.Context(), scimActor, "alpha", p.ID))
			meanwhile()
			return r.push(record(name)).ID
		}},
		{"deleted over SCIM, pushed without the link, which comes later", true, func(r *rig, name string, p directory.Person, meanwhile func()) string {
			r.must(r.Delete(r.t.Context(), scimActor, "alpha", p.ID))
			meanwhile()
			rec := record(name)
			rec.ExternalID = ""
			id := r.push(rec).ID
			r.revise(id, func(rec *directory.Record) { rec.ExternalID = "x-" + name })
			return id
		}},
		{"deleted here with others who are pushed, signs in to the record", false, func(r *rig, name string, p directory.Person, meanwhile func()) string {
			r.must(r.Remove(r.t.Context(), operator, p.ID, ""))
			meanwhile()
			rec := record(name)
			rec.ExternalID = "y-" + name // the link value is another one since
			id := r.push(rec).ID
			a := says(name)
			a.Link = rec.ExternalID
			if in := r.enter(a); in.Person.ID != id {
				r.t.Errorf("signed in as %s, want %s", in.Person.ID, id)
			}
			return id
		}},
		{"deleted over SCIM, which is undone", true, func(r *rig, name string, p directory.Person, meanwhile func()) string {
			r.now = r.now.Add(2 * time.Hour) // what was lost before is another matter
			too := r.push(record(name + " too"))
			r.must(r.Delete(r.t.Context(), scimActor, "alpha", too.ID))
			r.must(r.Delete(r.t.Context(), scimActor, "alpha", p.ID))
			meanwhile()
			_, err := r.ExamineLosses(r.t.Context())
			r.must(err)
			found, err := r.MassLosses(r.t.Context(), directory.MassLossQuery{Limit: 1})
			r.must(err)
			_, err = r.UndoMassLoss(r.t.Context(), operator, found.Items[0].ID, nil)
			r.must(err)
			return p.ID
		}},
	}
}

// arrives makes somebody who can go and come back in such a way.
func (c comeback) arrives(r *rig, name string) directory.Person {
	if c.pushed {
		return r.push(record(name))
	}
	return r.enter(says(name)).Person
}

// nervous is Alpha's connection where the loss of two can be undone.
func nervous() []directory.Connection {
	conns := slices.Clone(connections)
	conns[0].Guard = directory.Guard{Percent: 1, People: 1}
	return conns
}

// Whoever is deleted and comes back is in the part of the organization that
// they were in, however both happened; and the trail says so.
func TestDeletingTakesNobodyOutOfTheirPart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newRig(t, open(), nervous()...)
		desk := r.unit(r.unit("", "Europe"), "Desk")
		for i, c := range comebacks() {
			name := fmt.Sprint("p", i)
			p := c.arrives(r, name)
			r.must(r.Place(t.Context(), operator, p.ID, desk, ""))
			id := c.back(r, name, p, func() {})
			if got := r.place(id); got != "Europe/Desk" {
				t.Errorf("%s: in %q, want Europe/Desk", c.what, got)
			}
			told := slices.ContainsFunc(r.events(), func(e audit.Event) bool {
				return e.Person == id && (e.Action == audit.PersonMoved && e.Actor == audit.Gate() && e.Detail["to"] == "Europe / Desk" || e.Action == audit.PersonRestored)
			})
			if !told {
				t.Errorf("%s: the trail does not tell", c.what)
			}
		}
	})
}

// What is remembered is what was last: whoever was put elsewhere since then
// comes back there.
func TestAPlaceIsRememberedOnce(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		desk, sales := r.unit("", "Desk"), r.unit("", "Sales")
		p := r.enter(says("ada")).Person
		for _, unit := range []string{desk, "", sales, desk, directory.Unplaced, ""} {
			if unit == directory.Unplaced { // as where an identity provider gave no name that is one
				p.Unit = unit
				p.Version++
				r.update(func(tx directory.Tx) error { return tx.UpdatePerson(p, "") })
			} else {
				r.must(r.Place(t.Context(), operator, p.ID, unit, ""))
			}
			r.now = r.now.Add(time.Minute)
			r.must(r.Remove(t.Context(), operator, p.ID, ""))
			p = r.enter(says("ada")).Person
			if p.Unit != unit {
				t.Errorf("in %q, want %q", p.Unit, unit)
			}
			r.enter(says("ada"))
		}
	})
}

// Where an identity provider says who is where, that counts; what is
// remembered is not kept for later.
func TestAProviderIsStrongerThanWhatIsRemembered(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newRig(t, open())
		desk := r.unit("", "Desk")
		leave := func() {
			p := r.push(inDivision("ada", "Sales"))
			r.must(r.Place(t.Context(), operator, p.ID, desk, ""))
			r.must(r.Delete(t.Context(), scimActor, "alpha", p.ID))
		}
		leave()
		r.must(r.SetConnections(t.Context(), managed()))
		p := r.push(inDivision("ada", "Sales"))
		if got := r.place(p.ID); got != "Sales" {
			t.Errorf("in %q, want Sales", got)
		}
		r.revise(p.ID, func(rec *directory.Record) { *rec = inDivision("ada", "") })
		r.must(r.Delete(t.Context(), scimActor, "alpha", p.ID))
		if got := r.place(r.push(inDivision("ada", nil)).ID); got != "" {
			t.Errorf("in %q, where the provider says the whole organization", got)
		}

		// In another organization nothing of it is left, nor are they of the whole.
		r = newRig(t, r.db)
		r.must(r.Delete(t.Context(), scimActor, "alpha", r.pushed("ada").ID))
		leave()
		elsewhere := slices.Clone(connections)
		elsewhere[0].Organization = "Gamma"
		r.must(r.SetConnections(t.Context(), elsewhere))
		if got := r.place(r.push(record("ada")).ID); got != directory.Unplaced {
			t.Errorf("in %q of another organization, want not placed", got)
		}
	})
}

// pushed is the pushed record of a subject.
func (r *rig) pushed(subject string) (p directory.Person) {
	r.t.Helper()
	r.update(func(tx directory.Tx) (err error) {
		p, err = tx.PersonByLink("alpha", "x-"+subject)
		return err
	})
	return p
}

// Whatever is done to a tree while somebody is away, they come back to the part
// that they were in or to the nearest above it that is left, and to nobody's
// part if none is; never to the whole organization, which they were not of.
func TestWhoComesBackGainsNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newRig(t, open(), nervous()...)
		ways, rounds := comebacks(), 0
		rapid.Check(t, func(rt *rapid.T) {
			if rounds++; rounds > 40 {
				return
			}
			parent, were := map[string]string{}, map[string]string{} // of what is there; of what was
			ids := []string{""}
			for i := range rapid.IntRange(1, 6).Draw(rt, "units") {
				at := rapid.SampledFrom(ids).Draw(rt, "parent")
				if u, err := r.AddUnit(t.Context(), operator, "Alpha", at, fmt.Sprintf("r%d u%d", rounds, i)); err == nil {
					ids, parent[u.ID] = append(ids, u.ID), at
				}
			}
			name, way := fmt.Sprint("p", rounds), rapid.SampledFrom(ways).Draw(rt, "way")
			home := rapid.SampledFrom(ids).Draw(rt, "home")
			p := way.arrives(r, name)
			r.must(r.Place(t.Context(), operator, p.ID, home, ""))
			id := way.back(r, name, p, func() {
				for range rapid.IntRange(0, 8).Draw(rt, "steps") {
					a, b := rapid.SampledFrom(ids).Draw(rt, "a"), rapid.SampledFrom(ids).Draw(rt, "b")
					if rapid.Bool().Draw(rt, "remove") {
						if r.RemoveUnit(t.Context(), operator, "Alpha", a) == nil {
							were[a] = parent[a]
							delete(parent, a)
						}
					} else if r.MoveUnit(t.Context(), operator, "Alpha", a, b) == nil && a != "" {
						parent[a] = b
					}
				}
			})
			want := home
			for {
				up, gone := were[want]
				if !gone {
					break
				}
				want = up
			}
			if home != "" && want == "" {
				want = directory.Unplaced
			}
			s, err := r.Look(t.Context(), id)
			r.must(err)
			if s.Person.Unit != want {
				rt.Errorf("%s: in %q, want %q", way.what, s.Person.Unit, want)
			}
		})
	})
}
