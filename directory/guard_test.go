package directory_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

// guarded is a connection whose guard trips above 2 people and 50 percent.
var guarded = directory.Connection{
	ID: "alpha", Organization: "Alpha", Domains: []string{"alpha.example"}, Guard: directory.Guard{Percent: 50, People: 2},
}

// eachGuarded runs a test on both databases, with the guard of guarded.
func eachGuarded(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, open func() *store.DB) { f(t, newRig(t, open(), guarded)) })
}

// staff pushes people u0, u1, …
func (r *rig) staff(n int) []string {
	r.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = r.push(record(fmt.Sprintf("u%d", i))).ID
	}
	return ids
}

func (r *rig) off(ids ...string) {
	r.t.Helper()
	for _, id := range ids {
		r.revise(id, func(rec *directory.Record) { rec.Active, rec.Insists = false, true })
	}
}

func (r *rig) on(ids ...string) {
	r.t.Helper()
	for _, id := range ids {
		r.revise(id, func(rec *directory.Record) { rec.Active, rec.Insists = true, true })
	}
}

func (r *rig) drop(ids ...string) {
	r.t.Helper()
	for _, id := range ids {
		r.must(r.Delete(r.t.Context(), scimActor, "alpha", id))
	}
}

// examine is one pass of the guard; it gives how many mass losses are new.
func (r *rig) examine() int {
	r.t.Helper()
	begun, err := r.ExamineLosses(r.t.Context())
	r.must(err)
	return len(begun)
}

// mass gives the mass losses, the newest first.
func (r *rig) mass() []directory.MassLoss {
	r.t.Helper()
	r.examine()
	page, err := r.MassLosses(r.t.Context(), directory.MassLossQuery{Limit: 100})
	r.must(err)
	return page.Items
}

// one gives the only mass loss.
func (r *rig) one() directory.MassLoss {
	r.t.Helper()
	all := r.mass()
	if len(all) != 1 {
		r.t.Fatalf("%d mass losses, want 1: %+v", len(all), all)
	}
	return all[0]
}

func (r *rig) undo(id int64) directory.MassLoss {
	r.t.Helper()
	m, err := r.UndoMassLoss(r.t.Context(), operator, id, nil)
	r.must(err)
	return m
}

// outcomes counts what became of the losses.
func (r *rig) outcomes(id int64) map[string]int {
	r.t.Helper()
	page, err := r.Losses(r.t.Context(), id, nil, 1000)
	r.must(err)
	out := make(map[string]int)
	for _, l := range page.Items {
		out[l.Outcome]++
	}
	return out
}

func (r *rig) active(want bool, ids ...string) {
	r.t.Helper()
	for _, id := range ids {
		p, err := r.Person(r.t.Context(), "alpha", id)
		r.must(err)
		if (p.State() == directory.Active) != want {
			r.t.Errorf("%s is %s, want active: %v", p.UserName, p.State(), want)
		}
	}
}

func TestALossIsAMassLossAboveBothBounds(t *testing.T) {
	eachGuarded(t, func(t *testing.T, r *rig) {
		ids := r.staff(10)
		r.off(ids[0], ids[1], ids[2], ids[3], ids[4]) // 50 percent are not above 50 percent
		if got := r.mass(); len(got) != 0 {
			t.Fatalf("half of the people: %+v, want no mass loss", got)
		}
		r.now = r.now.Add(30 * time.Minute)
		r.drop(ids[5])
		m := r.one()
		if m.Connection != "alpha" || m.Deactivated != 5 || m.Deleted != 1 || m.Population != 10 || m.Closed ||
			!m.Began.Equal(r.now.Add(-30*time.Minute)) || !m.Last.Equal(r.now) {
			t.Errorf("mass loss = %+v, want the 5 and the 1 of 10 together", m)
		}
		if last := r.events()[len(r.events())-1]; last.Action != audit.MassLossFound || last.Detail["deactivated"] != "5" || last.Detail["deleted"] != "1" {
			t.Errorf("trail ends with %+v, want the mass loss", last)
		}
		r.now = r.now.Add(time.Minute)
		r.off(ids[6])
		if m := r.one(); m.Deactivated != 6 {
			t.Errorf("what follows makes %+v, want it in the same mass loss", m)
		}
		r.now = r.now.Add(2 * time.Hour) // another hour, another matter
		r.off(ids[7])
		if m := r.one(); m.Deactivated != 6 || !m.Closed {
			t.Errorf("two hours later %+v, want it closed and as it was", m)
		}
	})
}

func TestAFewOfFewAreNoMassLoss(t *testing.T) {
	eachGuarded(t, func(t *testing.T, r *rig) {
		ids := r.staff(2)
		r.drop(ids...) // all of them, and yet not more than 2 people
		// The same person twice is one.
		again := r.push(record("again")).ID
		r.off(again)
		r.on(again)
		r.off(again)
		r.now = r.now.Add(61 * time.Minute)
		r.staff(2)
		if got := r.mass(); len(got) != 1 || got[0].Deleted != 2 || got[0].Deactivated != 2 {
			t.Errorf("%+v, want one of three people", got)
		}
	})
}

func TestGroupsAreCountedByThemselves(t *testing.T) {
	eachGuarded(t, func(t *testing.T, r *rig) {
		ids := r.staff(20)
		desk := r.group("Desk", ids[:4]...)
		r.group("Other", ids...)
		none := []string{}
		_, err := r.regroup(desk.ID, directory.GroupEdit{Replace: &none})
		r.must(err)
		m := r.one()
		if m.Group != desk.ID || m.GroupName != "Desk" || m.Removed != 4 || m.Population != 4 {
			t.Errorf("mass loss = %+v, want 4 of 4 members of Desk", m)
		}
		var calls [][2]int
		m, err = r.UndoMassLoss(t.Context(), operator, m.ID, func(done, total int) { calls = append(calls, [2]int{done, total}) })
		r.must(err)
		if m.Restored != 4 || m.Skipped != 0 || m.Undone.IsZero() || m.UndoneBy != "op" || calls[len(calls)-1] != [2]int{4, 4} {
			t.Errorf("undone = %+v, progress %v", m, calls)
		}
		r.members(desk.ID, ids[:4]...)
	})
}

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
		p, err := r.Person(t.Context(), "alpha", ids[0])
		r.must(err)
		if !p.IDPActive || p.Locked == nil {
			t.Errorf("who is locked = %+v, want only the lock to bar them", p)
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

func TestLaterIsTooLateAndNothingIsKept(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		db, err := store.Open(t.Context(), store.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		r := newRig(t, db, guarded)
		raw := storetest.Raw(t, url)
		kept := func() (n int) {
			t.Helper()
			r.must(raw.QueryRowContext(t.Context(), "SELECT count(*) FROM losses WHERE snapshot LIKE '%alpha.example%'").Scan(&n))
			return n
		}
		ids := r.staff(8)
		r.drop(ids[0]) // an ordinary one
		if kept() != 1 {
			t.Fatal("a deletion keeps nothing")
		}
		r.examine()
		r.now = r.now.Add(65*time.Minute + time.Second)
		r.must(r.EraseLosses(t.Context()))
		if n := kept(); n != 0 {
			t.Errorf("after the hour the data of %d are kept", n)
		}
		r.drop(ids[1:7]...)
		m := r.one()
		r.now = r.now.Add(directory.UndoLife - time.Minute)
		r.must(r.EraseLosses(t.Context()))
		if n := kept(); n != 6 {
			t.Errorf("before 7 days are over the data of %d are kept, want 6", n)
		}
		r.now = r.now.Add(time.Minute + time.Second)
		r.must(r.EraseLosses(t.Context()))
		var rows int
		r.must(raw.QueryRowContext(t.Context(), "SELECT count(*) FROM losses").Scan(&rows))
		if rows != 0 {
			t.Errorf("after 7 days %d losses are kept", rows)
		}
		if _, err := r.UndoMassLoss(t.Context(), operator, m.ID, nil); !fault.Is(err, fault.Conflict) {
			t.Errorf("undo after 7 days = %v, want a conflict", err)
		}
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

// While replicas count, and while one is undoing, losses go through.
func TestCountingHoldsUpNoLoss(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		if strings.HasPrefix(url, "sqlite:") {
			return // has one writer at a time, whoever writes
		}
		db, err := store.Open(t.Context(), store.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		r := newRig(t, db, guarded)
		ids := r.staff(8)
		desk := r.group("Desk", ids...)
		r.off(ids[0], ids[1], ids[2], ids[3], ids[4])
		m := r.one()
		r.update(func(tx directory.Tx) error {
			if err := tx.LockLedger(); err != nil {
				return err
			}
			if _, err := tx.TakePending(); err != nil {
				return err
			}
			if _, err := tx.MassLoss(m.ID); err != nil { // locked, as an undo does
				return err
			}
			r.off(ids[5])
			r.drop(ids[6])
			_, err := r.regroup(desk.ID, directory.GroupEdit{Remove: ids[:3]})
			return err
		})
		r.active(false, ids[5])
		if m := r.one(); m.Deactivated != 6 || m.Deleted != 1 {
			t.Errorf("mass loss = %+v, want what came meanwhile in it", m)
		}
	})
}

func TestReplicasFindAMassLossOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newRig(t, open(), guarded)
		others := []*rig{newRig(t, open(), guarded), newRig(t, open(), guarded)}
		ids := r.staff(6)
		for round, id := range ids {
			r.off(id)
			found := make([]int, len(others))
			var wg sync.WaitGroup
			for i, o := range others {
				wg.Go(func() {
					begun, err := o.ExamineLosses(t.Context())
					if err != nil {
						t.Error(err)
					}
					found[i] = len(begun)
				})
			}
			wg.Wait()
			if want := map[bool]int{true: 1}[round == 3]; found[0]+found[1] != want { // the fourth of six is more than half
				t.Errorf("after %d losses the replicas found %v, want %d in all", round+1, found, want)
			}
		}
		if m := r.one(); m.Deactivated != 6 {
			t.Errorf("mass loss = %+v, want all 6", m)
		}
	})
}
