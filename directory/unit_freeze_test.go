package directory_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

const partFrozen = "access for your part of Alpha is frozen"

// Frozen, a part has nobody inside, nor has what is below it; the rest of the
// organization goes on.
func TestAFrozenPartHasNobodyInside(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		europe := r.unit("", "Europe")
		nordics := r.unit(europe, "Nordics")
		ada, ben, cleo := r.enter(says("ada")), r.enter(says("ben")), r.enter(says("cleo"))
		r.must(r.Place(t.Context(), operator, ada.Person.ID, nordics, ""))
		r.must(r.Place(t.Context(), operator, ben.Person.ID, europe, ""))
		who := map[string]string{ada.Person.ID: "ada", ben.Person.ID: "ben", cleo.Person.ID: "cleo"}
		in, in2, out := r.session(ada), r.session(ben), r.session(cleo)
		effect, err := r.UnitEffect(t.Context(), "Alpha", europe)
		r.must(err)
		if want := (directory.FreezeEffect{People: 2, Sessions: 2}); effect != want {
			t.Errorf("effect = %+v, want %+v", effect, want)
		}
		first, err := r.db.Sessions().LastChange(t.Context())
		r.must(err)
		got := r.during(who, func() {
			ended, err := r.FreezeUnit(t.Context(), operator, "Alpha", europe, "broken into")
			r.must(err)
			if ended != effect.Sessions {
				t.Errorf("%d sessions ended, want %d", ended, effect.Sessions)
			}
		})
		r.wants(got, wrote{Actions: []audit.Action{audit.UnitFrozen}})
		changes, _, err := r.db.Sessions().Changes(t.Context(), first)
		r.must(err)
		lost := map[string]bool{}
		for _, c := range changes {
			if c.Loss {
				lost[who[c.Person]] = true
			}
		}
		if len(lost) != 2 || !lost["ada"] || !lost["ben"] {
			t.Errorf("replicas are told of %v, want ada and ben", lost)
		}
		last := r.events()[len(r.events())-1]
		if last.Subject != "Europe" || last.Reason != "broken into" || last.Detail[directory.EndedKey] != "2" || last.Detail["unit"] != europe {
			t.Errorf("event = %+v", last)
		}
		for i, token := range [][]byte{in, in2, out} {
			if alive, _ := r.alive(token); alive != (i == 2) {
				t.Errorf("session %d is alive: %v", i, alive)
			}
		}
		r.refused(says("ada"), fault.Forbidden, partFrozen)
		r.refused(says("ben"), fault.Forbidden, partFrozen)
		r.enter(says("cleo"))
		r.wants(r.during(nil, func() {
			_, err := r.FreezeUnit(t.Context(), operator, "Alpha", europe, "again")
			r.must(err)
		}), wrote{})
		// What is below has a decision of its own.
		_, err = r.FreezeUnit(t.Context(), operator, "Alpha", nordics, "them, too")
		r.must(err)
		r.now = r.now.Add(time.Minute)
		r.wants(r.during(nil, func() { r.must(r.UnfreezeUnit(t.Context(), operator, "Alpha", europe, "over")) }),
			wrote{Actions: []audit.Action{audit.UnitUnfrozen}})
		r.refused(says("ada"), fault.Forbidden, partFrozen)
		r.enter(says("ben"))
		r.must(r.UnfreezeUnit(t.Context(), operator, "Alpha", nordics, ""))
		r.enter(says("ada"))
		r.wants(r.during(nil, func() { r.must(r.UnfreezeUnit(t.Context(), operator, "Alpha", nordics, "")) }), wrote{})
		_, err = r.FreezeUnit(t.Context(), operator, "Beta", europe, "")
		r.fails(err, fault.NotFound, "no such sub-organization")
		r.fails(r.UnfreezeUnit(t.Context(), operator, "Alpha", "nowhere", ""), fault.NotFound, "no such sub-organization")
		then, err := r.LookAt(t.Context(), ada.Person.ID, r.now.Add(-time.Second))
		r.must(err)
		if now, err := r.Look(t.Context(), ada.Person.ID); err != nil || !then.PartFrozen || now.PartFrozen {
			t.Errorf("frozen a second ago: %v, now: %v (%v); want yes and no", then.PartFrozen, now.PartFrozen, err)
		}
	})
}

// Nobody comes out of what is frozen by being put elsewhere, with or without
// their part, nor by being deleted.
func TestNobodyComesOutOfAFrozenPart(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		top := r.unit("", "Top")
		europe := r.unit(top, "Europe")
		nordics := r.unit(europe, "Nordics")
		ada := r.enter(says("ada")).Person
		r.must(r.Place(t.Context(), operator, ada.ID, nordics, ""))
		_, err := r.FreezeUnit(t.Context(), operator, "Alpha", europe, "")
		r.must(err)
		r.fails(r.Place(t.Context(), operator, ada.ID, top, ""), fault.Conflict, "unfreeze it first")
		r.fails(r.Place(t.Context(), operator, ada.ID, "", ""), fault.Conflict, "unfreeze it first")
		r.fails(r.MoveUnit(t.Context(), operator, "Alpha", nordics, top), fault.Conflict, "unfreeze it first")
		r.must(r.Remove(t.Context(), operator, ada.ID, ""))
		r.fails(r.RemoveUnit(t.Context(), operator, "Alpha", nordics), fault.Conflict, "unfreeze it first")
		r.refused(says("ada"), fault.Forbidden, partFrozen)
		r.must(r.Place(t.Context(), operator, r.found("ada").ID, europe, "")) // from one to the other
		r.refused(says("ada"), fault.Forbidden, partFrozen)
		r.must(r.MoveUnit(t.Context(), operator, "Alpha", europe, "")) // it takes its own along
		r.refused(says("ada"), fault.Forbidden, partFrozen)

		// In it, everything new is frozen, too.
		ben := r.enter(says("ben"))
		token := r.session(ben)
		fresh := r.unit(europe, "Fresh")
		got := r.during(map[string]string{ben.Person.ID: "ben"}, func() { r.must(r.Place(t.Context(), operator, ben.Person.ID, fresh, "")) })
		r.wants(got, wrote{Actions: []audit.Action{audit.PersonMoved}, Changes: []string{"ben!"}})
		if alive, _ := r.alive(token); alive {
			t.Error("whoever is put into a frozen part has a session")
		}
		if last := r.events()[len(r.events())-1]; last.Detail[directory.EndedKey] != "1" {
			t.Errorf("event = %+v", last)
		}
		r.refused(says("ben"), fault.Forbidden, partFrozen)
		cleo := r.enter(says("cleo"))
		token = r.session(cleo)
		asia := r.unit("", "Asia")
		r.must(r.Place(t.Context(), operator, cleo.Person.ID, asia, ""))
		r.must(r.MoveUnit(t.Context(), operator, "Alpha", asia, europe))
		if alive, _ := r.alive(token); alive {
			t.Error("whoever is moved below a frozen part, with theirs, has a session")
		}
	})
}

// An identity provider puts people in and out.
func TestAProviderPutsSomebodyIntoAFrozenPart(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newRig(t, open(), managed()...)
		sales := r.unit("", "Sales")
		p := r.push(inDivision("ada", "Desk"))
		token := r.session(r.enter(says("ada")))
		_, err := r.FreezeUnit(t.Context(), operator, "Alpha", sales, "")
		r.must(err)
		got := r.during(map[string]string{p.ID: "ada"}, func() {
			r.revise(p.ID, func(rec *directory.Record) { *rec = inDivision("ada", "Sales") })
		})
		r.wants(got, wrote{Actions: []audit.Action{audit.PersonUpdated, audit.PersonMoved}, Changes: []string{"ada!"}})
		if alive, _ := r.alive(token); alive {
			t.Error("the session goes on")
		}
		r.refused(says("ada"), fault.Forbidden, partFrozen)
		r.revise(p.ID, func(rec *directory.Record) { *rec = inDivision("ada", "Desk") })
		r.enter(says("ada"))
	})
}

// A sign-in that is under way while its part is frozen makes no session that
// stays, whichever comes first.
func TestAFreezeMeetsASignIn(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		unit := r.unit("", "Desk")
		in := r.enter(says("ada"))
		r.must(r.Place(t.Context(), operator, in.Person.ID, unit, ""))
		for range 8 {
			token := fmt.Appendf(nil, "%032d", r.n)
			row := r.row(in, token)
			var wait sync.WaitGroup
			wait.Go(func() { _ = r.db.Sessions().InsertSession(context.WithoutCancel(t.Context()), row) })
			wait.Go(func() { _, _ = r.FreezeUnit(context.WithoutCancel(t.Context()), operator, "Alpha", unit, "") })
			wait.Wait()
			if alive, _ := r.alive(token); alive {
				t.Fatal("a session outlives the freeze")
			}
			r.must(r.UnfreezeUnit(t.Context(), operator, "Alpha", unit, ""))
		}
	})
}

// Whatever is frozen, unfrozen, made and moved: somebody is kept out exactly
// where a part that they are in is frozen, now and as it was at each step.
func TestFreezingLaws(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newRig(t, open())
		rounds := 0
		rapid.Check(t, func(rt *rapid.T) {
			if rounds++; rounds > 15 {
				return
			}
			parent, frozen := map[string]string{}, map[string]bool{}
			ids := []string{""}
			closed := func(unit string) bool {
				for ; unit != ""; unit = parent[unit] {
					if frozen[unit] {
						return true
					}
				}
				return false
			}
			p := r.enter(says(fmt.Sprint("p", rounds))).Person
			at, then := "", map[time.Time]bool{}
			for step := range rapid.IntRange(1, 20).Draw(rt, "steps") {
				r.now = r.now.Add(time.Minute)
				a, b := rapid.SampledFrom(ids).Draw(rt, "a"), rapid.SampledFrom(ids).Draw(rt, "b")
				switch rapid.IntRange(0, 5).Draw(rt, "what") {
				case 0, 1:
					if u, err := r.AddUnit(t.Context(), operator, "Alpha", a, fmt.Sprintf("r%d u%d", rounds, step)); err == nil {
						ids, parent[u.ID] = append(ids, u.ID), a
					}
				case 2:
					if r.MoveUnit(t.Context(), operator, "Alpha", a, b) == nil && a != "" {
						was := closed(a)
						if parent[a] = b; was && !closed(a) {
							rt.Fatal("a part came out of a frozen one")
						}
					}
				case 3:
					if r.Place(t.Context(), operator, p.ID, a, "") == nil {
						if closed(at) && !closed(a) {
							rt.Fatal("somebody came out of a frozen part")
						}
						at = a
					}
				case 4:
					if _, err := r.FreezeUnit(t.Context(), operator, "Alpha", a, ""); err == nil {
						frozen[a] = true
					}
				default:
					if r.UnfreezeUnit(t.Context(), operator, "Alpha", a, "") == nil {
						frozen[a] = false
					}
				}
				s, err := r.Look(t.Context(), p.ID)
				r.must(err)
				if then[r.now] = closed(at); s.PartFrozen != closed(at) {
					rt.Fatalf("step %d: frozen: %v, want %v", step, s.PartFrozen, closed(at))
				}
			}
			for moment, want := range then {
				s, err := r.LookAt(t.Context(), p.ID, moment)
				r.must(err)
				if s.PartFrozen != want {
					rt.Fatalf("at %v frozen: %v, want %v", moment, s.PartFrozen, want)
				}
			}
			for id := range frozen {
				r.must(r.UnfreezeUnit(t.Context(), operator, "Alpha", id, ""))
			}
		})
	})
}
