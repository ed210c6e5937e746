package directory_test

import (
	"sync"
	"testing"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
)

// manager is somebody of Alpha who manages what is around them.
type manager struct {
	audit.Actor

	in *directory.Bounds
}

func (r *rig) manager(subject, unit string) manager {
	r.t.Helper()
	p := r.enter(says(subject)).Person
	if unit != "" {
		r.must(r.Place(r.t.Context(), operator, p.ID, unit, ""))
	}
	organization, units, err := r.Reach(r.t.Context(), p.ID)
	r.must(err)
	return manager{audit.Actor{Kind: "person", ID: p.ID, Name: subject}, &directory.Bounds{Organization: organization, Units: units}}
}

// What somebody bars takes the place of what somebody decided who stands lower,
// and nobody lower takes it back.
func TestABarIsOfWhoeverStandsHighest(t *testing.T) {
	for what, kept := range map[directory.State]func(directory.Person) *directory.Bar{
		directory.Locked:      func(p directory.Person) *directory.Bar { return p.Locked },
		directory.Deactivated: func(p directory.Person) *directory.Bar { return p.Deactivated },
	} {
		t.Run(string(what), func(t *testing.T) {
			each(t, func(t *testing.T, r *rig) {
				europe := r.unit("", "Europe")
				nordics := r.unit(europe, "Nordics")
				whole, second := r.manager("whole", ""), r.manager("second", "")
				boss, mate, low := r.manager("boss", europe), r.manager("mate", europe), r.manager("low", nordics)
				ben := r.manager("ben", nordics).ID
				gate := manager{audit.Actor{Kind: "person", ID: whole.ID, Name: "staff"}, nil} // for the gate, and of Alpha
				bar := func(by manager, before string) {
					t.Helper()
					n := len(r.events())
					_, err := r.BarWithin(t.Context(), by.Actor, by.in, what, ben, "by "+by.Name)
					r.must(err)
					s, err := r.Look(t.Context(), ben)
					r.must(err)
					events := r.events()[n:]
					switch b := kept(s.Person); {
					case b == nil:
						t.Fatalf("%s: nothing stands", by.Name)
					case before == "nothing":
						if len(events) != 0 || b.By == by.Name {
							t.Errorf("%s: bar = %+v, events = %+v, want nothing to happen", by.Name, b, events)
						}
					case len(events) != 1 || b.By != by.Name || b.Reason != "by "+by.Name || events[0].Actor != by.Actor || events[0].Reason != b.Reason ||
						events[0].Detail[string(what)+"_before_by"] != before:
						t.Errorf("%s: bar = %+v, events = %+v, want one in place of that of %q", by.Name, b, events, before)
					}
				}
				lift := func(by manager, ok bool) {
					t.Helper()
					err := r.LiftWithin(t.Context(), by.Actor, by.in, what, ben, "")
					if ok != (err == nil) || !ok && !fault.Is(err, fault.Forbidden) {
						t.Errorf("%s: lifting = %v, want it to succeed: %v", by.Name, err, ok)
					}
				}
				bar(low, "")
				bar(boss, "low")
				lift(low, false)
				bar(mate, "nothing")
				lift(mate, true)
				lift(low, true) // there is nothing
				bar(boss, "")
				bar(whole, "boss")
				bar(second, "nothing")
				bar(boss, "nothing")
				lift(boss, false)
				lift(second, true)
				bar(boss, "")
				lift(whole, true)

				bar(whole, "")
				bar(gate, "whole")
				bar(manager{operator, nil}, "nothing")
				bar(second, "nothing")
				for _, m := range []manager{whole, second, boss} {
					lift(m, false)
				}
				lift(gate, true)

				// Who is gone may have been anybody: the gate decides.
				bar(second, "")
				r.must(r.Remove(t.Context(), operator, second.ID, ""))
				lift(whole, false)
				bar(gate, "second")
				lift(manager{operator, nil}, true)
			})
		})
	}
}

// A decision that came with another account is not the one that somebody took
// here once.
func TestABarThatCameAlongIsTheGates(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		whole := r.manager("whole", "")
		later, ada := r.push(record("later")), r.push(record("ada"))
		_, err := r.BarWithin(t.Context(), whole.Actor, whole.in, directory.Locked, later.ID, "x")
		r.must(err)
		r.must(r.LiftWithin(t.Context(), whole.Actor, whole.in, directory.Locked, later.ID, ""))
		_, err = r.Lock(t.Context(), operator, ada.ID, "x")
		r.must(err)
		r.must(r.Delete(t.Context(), scimActor, "alpha", ada.ID))
		if p := r.revise(later.ID, func(rec *directory.Record) { rec.ExternalID = "x-ada" }); p.Locked == nil {
			t.Fatal("the lock was lost")
		}
		if err := r.LiftWithin(t.Context(), whole.Actor, whole.in, directory.Locked, later.ID, ""); !fault.Is(err, fault.Forbidden) {
			t.Errorf("lifting = %v, want forbidden", err)
		}
	})
}

// Whatever comes first, the gate's lock or the client's unlocking of their own:
// the gate's stands.
func TestNoRaceLiftsTheGatesLock(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		whole := r.manager("whole", "")
		id := r.enter(says("ada")).Person.ID
		for range 20 {
			_, err := r.BarWithin(t.Context(), whole.Actor, whole.in, directory.Locked, id, "x")
			r.must(err)
			var both sync.WaitGroup
			both.Go(func() {
				if _, err := r.Lock(t.Context(), operator, id, "x"); err != nil {
					t.Error(err)
				}
			})
			both.Go(func() {
				err := r.LiftWithin(t.Context(), whole.Actor, whole.in, directory.Locked, id, "")
				if err != nil && !fault.Is(err, fault.Forbidden) {
					t.Error(err)
				}
			})
			both.Wait()
			if s, err := r.Look(t.Context(), id); err != nil || s.Person.Locked == nil || s.Person.Locked.By != operator.Name {
				t.Fatalf("lock = %+v, %v, want the gate's", s.Person.Locked, err)
			}
			r.must(r.Unlock(t.Context(), operator, id, ""))
		}
	})
}
