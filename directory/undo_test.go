package directory_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store/storetest"
)

func TestADeletedGroupComesBackWithItsMembers(t *testing.T) {
	eachGuarded(t, func(t *testing.T, r *rig) {
		ids := r.staff(5)
		inner := r.group("Inner", ids[4])
		desk := r.group("Desk", append(slices.Clone(ids[:4]), inner.ID, "later-id")...)
		outer := r.group("Outer", desk.ID)
		before, err := r.Members(t.Context(), desk.ID, outer.ID)
		r.must(err)
		r.now = r.now.Add(time.Minute)
		r.must(r.DeleteGroup(t.Context(), scimActor, "alpha", desk.ID))
		m := r.undo(r.one().ID)
		if m.Restored != 6 || m.Skipped != 0 {
			t.Errorf("undone = %+v, %v, want the group and 5 members", m, r.outcomes(m.ID))
		}
		after, err := r.Members(t.Context(), desk.ID, outer.ID)
		r.must(err)
		if len(before[desk.ID]) != 5 || len(after[desk.ID]) != 5 || len(after[outer.ID]) != 1 {
			t.Errorf("members %v, want %v", after, before)
		}
		g, err := r.Group(t.Context(), "alpha", desk.ID)
		r.must(err)
		if g.Name != "Desk" || g.Version <= desk.Version || !g.Created.Equal(desk.Created) {
			t.Errorf("group = %+v, want Desk of then with a new version", g)
		}
		later := record("later")
		later.ExternalID = "later-id"
		r.members(desk.ID, append(slices.Clone(ids[:4]), inner.ID, r.push(later).ID)...) // the parked one is expected again
	})
}

func TestDeletedPeopleComeBackWhole(t *testing.T) {
	eachGuarded(t, func(t *testing.T, r *rig) {
		ids := r.staff(4)
		desk := r.group("Desk", ids...)
		says0 := says("u0")
		in := r.enter(says0)
		s := r.session(in)
		r.now = r.now.Add(time.Hour)
		r.revise(ids[0], func(rec *directory.Record) { rec.Name = "Later" })
		_, err := r.Lock(t.Context(), operator, ids[1], "lost device")
		r.must(err)
		then := r.now.Add(-time.Minute)
		past, err := r.LookAt(t.Context(), ids[0], then)
		r.must(err)
		before := r.pictures(ids...)
		r.now = r.now.Add(time.Hour)
		r.drop(ids...)
		r.refused(says0, fault.Forbidden, "your account was deleted by Alpha")
		if got, err := r.Find(t.Context(), "alpha", "u0@alpha.example"); err != nil || len(got) != 0 {
			t.Errorf("who is deleted is found: %v, %v", got, err)
		}
		r.now = r.now.Add(6 * 24 * time.Hour)
		r.must(r.EraseLosses(t.Context()))
		m := r.one()
		m = r.undo(m.ID)
		if m.Restored != 4 || m.Skipped != 0 {
			t.Fatalf("undone = %+v, %v, want all 4", m, r.outcomes(m.ID))
		}
		r.same(before, r.pictures(ids...))
		r.members(desk.ID, ids...)
		if alive, _ := r.alive(s); alive {
			t.Error("an undo brought a session back")
		}
		if again := r.enter(says0); again.Person.ID != ids[0] {
			t.Errorf("sign-in = %s, want the person of before", again.Person.ID)
		}
		r.refused(says("u1"), fault.Forbidden, "your account is locked")
		again, err := r.LookAt(t.Context(), ids[0], then)
		r.must(err)
		if again.Person.Name != past.Person.Name || len(again.Pushed) != 1 || again.Assertion.Subject != "u0" {
			t.Errorf("the past of who is back = %+v, want %+v", again, past)
		}
		if _, err := r.LookAt(t.Context(), ids[0], r.now.Add(-time.Hour)); !fault.Is(err, fault.NotFound) {
			t.Errorf("while deleted = %v, want not there", err)
		}
	})
}

// picture is all that must be again as it was.
type picture struct {
	Person     directory.Person
	Groups     []string
	Identities []directory.Identity
	Assertion  directory.Assertion
}

// pictures gives what is known of people; of who is not there nothing.
func (r *rig) pictures(ids ...string) map[string]picture {
	r.t.Helper()
	out := make(map[string]picture)
	for _, id := range ids {
		s, err := r.Look(r.t.Context(), id)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		r.must(err)
		p := picture{Person: s.Person, Assertion: s.Assertion}
		p.Person.Version, p.Person.Modified = 0, time.Time{}
		for _, g := range s.Pushed {
			p.Groups = append(p.Groups, g.ID)
		}
		slices.Sort(p.Groups)
		r.update(func(tx directory.Tx) (err error) { p.Identities, err = tx.Identities(id); return err })
		out[id] = p
	}
	return out
}

func (r *rig) same(want, got map[string]picture) {
	r.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("people (-want +got):\n%s", diff)
	}
}

func TestAnUndoRespectsWhatWasDecidedSince(t *testing.T) {
	eachGuarded(t, func(t *testing.T, r *rig) {
		ids := r.staff(8)
		r.off(ids...)
		m := r.one()
		_, err := r.Lock(t.Context(), operator, ids[0], "lost device")
		r.must(err)
		_, err = r.Deactivate(t.Context(), operator, ids[1], "left")
		r.must(err)
		r.on(ids[2])
		r.now = r.now.Add(3 * time.Hour)
		r.off(ids[3]) // said again, long after
		r.on(ids[4])
		r.off(ids[4]) // turned on and off again, long after
		r.drop(ids[5])
		r.revise(ids[6], func(rec *directory.Record) { rec.Name = "Renamed" }) // says nothing about active
		r.examine()
		r.now = r.now.Add(2 * time.Hour)
		r.must(r.EraseLosses(t.Context())) // what was said since is remembered as long as it matters
		events := len(r.events())
		m = r.undo(m.ID)
		if m.Restored != 4 || m.Skipped != 4 {
			t.Errorf("undone = %+v, %v", m, r.outcomes(m.ID))
		}
		r.active(false, ids[0], ids[1], ids[3], ids[4])
		r.active(true, ids[2], ids[6], ids[7])
		s, err := r.Look(t.Context(), ids[0])
		r.must(err)
		if !s.Person.IDPActive || s.Person.Locked == nil {
			t.Errorf("who is locked = %+v, want only the lock to bar them", s.Person)
		}
		if got := r.outcomes(m.ID); got["the identity provider has said so again since"] != 2 || got["is active already"] != 1 || got["is not there any more"] != 1 {
			t.Errorf("outcomes = %v", got)
		}
		trail := r.events()[events:]
		if len(trail) != 5 || trail[4].Action != audit.MassLossUndone || trail[4].Actor != operator || trail[4].Detail["restored"] != "4" ||
			trail[0].Action != audit.PersonReactivated || trail[0].Actor != operator || trail[0].Detail["change"] == "" {
			t.Errorf("trail = %+v", trail)
		}
		w := r.during(nil, func() {
			if again := r.undo(m.ID); again != m {
				t.Errorf("undone again = %+v, want %+v and nothing done", again, m)
			}
		})
		r.wants(w, wrote{})
	})
}

// What an identity provider repeats within the mass loss belongs to it.
func TestARepetitionWithinAMassLossDoesNotOverruleItsUndo(t *testing.T) {
	eachGuarded(t, func(t *testing.T, r *rig) {
		ids := r.staff(4)
		desk := r.group("Desk", ids...)
		none := []string{}
		for range 2 {
			r.off(ids...)
			_, err := r.regroup(desk.ID, directory.GroupEdit{Replace: &none})
			r.must(err)
			_, err = r.regroup(desk.ID, directory.GroupEdit{Remove: ids})
			r.must(err)
			r.now = r.now.Add(time.Minute)
		}
		for _, m := range r.mass() {
			if m = r.undo(m.ID); m.Restored != 4 || m.Skipped != 0 {
				t.Errorf("undone = %+v, %v", m, r.outcomes(m.ID))
			}
		}
		r.active(true, ids...)
		r.members(desk.ID, ids...)
	})
}

func TestMembersWhoAreSaidToBeOutLaterStayOut(t *testing.T) {
	eachGuarded(t, func(t *testing.T, r *rig) {
		ids := r.staff(6)
		desk, hall := r.group("Desk", ids...), r.group("Hall", ids...)
		edit := func(g directory.Group, e directory.GroupEdit) {
			t.Helper()
			_, err := r.regroup(g.ID, e)
			r.must(err)
		}
		edit(desk, directory.GroupEdit{Remove: ids[:5]})
		edit(hall, directory.GroupEdit{Remove: ids[:5]})
		all := r.mass()
		r.now = r.now.Add(3 * time.Hour)
		edit(desk, directory.GroupEdit{Remove: ids[:1]})                    // not a member, and said not to be
		edit(desk, directory.GroupEdit{Add: ids[1:2]})                      // a member again
		edit(hall, directory.GroupEdit{Replace: &[]string{ids[0], ids[5]}}) // all others are not
		r.examine()
		for _, m := range all {
			r.undo(m.ID)
		}
		r.members(desk.ID, ids[1:]...)
		r.members(hall.ID, ids[0], ids[5])
	})
}

func TestWhoWasMadeAgainIsLeftAlone(t *testing.T) {
	eachGuarded(t, func(t *testing.T, r *rig) {
		ids := r.staff(5)
		r.drop(ids...)
		m := r.one()
		r.now = r.now.Add(2 * time.Hour)
		same := r.push(record("u0")) // the same person
		twice := r.push(record("u1"))
		r.drop(twice.ID) // and deleted again: a later statement
		other := record("u2")
		other.ExternalID = "x-somebody-else" // another person of the same name
		taken := r.push(other)
		link := record("u3")
		link.UserName = "renamed@alpha.example" // the same person under another name
		r.push(link)
		m = r.undo(m.ID)
		if m.Restored != 1 || m.Skipped != 4 {
			t.Errorf("undone = %+v, %v, want u4 alone", m, r.outcomes(m.ID))
		}
		r.active(true, ids[4], same.ID, taken.ID)
		for _, id := range ids[:4] {
			if _, err := r.Person(t.Context(), "alpha", id); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s = %v, want not there", id, err)
			}
		}
		r.refused(says("u1"), fault.Forbidden, "your account was deleted by Alpha")
	})
}

func TestOnlyThoseOfUsUndo(t *testing.T) {
	r := newRig(t, storetest.SQLite(t), guarded)
	r.off(r.staff(3)...)
	if _, err := r.UndoMassLoss(t.Context(), scimActor, r.one().ID, nil); !fault.Is(err, fault.Forbidden) {
		t.Errorf("undo by an identity provider = %v, want forbidden", err)
	}
	if _, err := r.UndoMassLoss(t.Context(), operator, 4711, nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("undo of nothing = %v, want not found", err)
	}
}

func TestLossesDuringAnUndoAreAnotherMatter(t *testing.T) {
	eachGuarded(t, func(t *testing.T, r *rig) {
		ids := r.staff(450)
		r.off(ids[:440]...)
		first := r.one()
		steps := 0
		ctx, stop := context.WithCancel(t.Context())
		_, err := r.UndoMassLoss(ctx, operator, first.ID, func(done, _ int) {
			steps++
			if steps == 1 {
				if done != 200 {
					t.Errorf("first step: %d done, want 200", done)
				}
				stop() // as if the machine went down
			}
		})
		if err == nil {
			t.Fatal("an undo that is interrupted says that it is done")
		}
		r.off(ids[440:]...)
		m := r.undo(first.ID)
		if m.Restored != 440 || m.Deactivated != 440 {
			t.Errorf("undone = %+v, want the 440 and none of what came later", m)
		}
		r.active(false, ids[440:]...)
	})
}
