package directory_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

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
		s, err := r.Look(r.t.Context(), id)
		r.must(err)
		if (s.Person.State() == directory.Active) != want {
			r.t.Errorf("%s is %s, want active: %v", s.Person.UserName, s.Person.State(), want)
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
