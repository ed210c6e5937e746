package directory_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

// TestThePastIsWhatWasSeenThen runs random verbs and asks of every moment
// afterwards what was recorded when it was now.
func TestThePastIsWhatWasSeenThen(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newRig(t, open())
		run := 0
		rapid.Check(t, func(rt *rapid.T) {
			run++
			h := &historian{
				r: r, rt: rt, prefix: fmt.Sprintf("r%d-", run), worlds: make(map[time.Time]world),
				pushed: make(map[string]string), signed: make(map[string]string),
			}
			r.now = r.now.Add(time.Second)
			h.record()
			for range rapid.IntRange(2, 14).Draw(rt, "steps") {
				r.now = r.now.Add(time.Duration(rapid.IntRange(0, 2).Draw(rt, "pause")) * time.Microsecond)
				h.step(rapid.SampledFrom(slices.Sorted(maps.Keys(verbs))).Draw(rt, "verb"), rapid.SampledFrom(subjects).Draw(rt, "subject"))
				h.record()
			}
			h.compare()
			r.now = r.now.Add(time.Second)
			r.update(func(tx directory.Tx) error { // for the next run
				_, err := tx.Rehome("alpha", "Alpha", r.now)
				return errors.Join(err, tx.PutOrganization(directory.Organization{Name: "Alpha"}, r.now))
			})
		})
	})
}

// pages notes how much of the store is held at a time.
type pages struct {
	directory.Store
	sizes *[]int
}

type pagesTx struct {
	directory.Tx
	sizes *[]int
}

func (p pages) View(ctx context.Context, f func(directory.Tx) error) error {
	return p.Store.View(ctx, func(tx directory.Tx) error { return f(pagesTx{tx, p.sizes}) })
}

func (p pagesTx) Standings(at time.Time, after int64, limit int) ([]directory.Standing, int64, error) {
	page, next, err := p.Tx.Standings(at, after, limit)
	*p.sizes = append(*p.sizes, len(page))
	return page, next, err
}

func TestEverybodyIsReadInPagesOfOneSize(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		const people = 1300
		r.update(func(tx directory.Tx) error {
			for i := range people {
				p := directory.Person{
					ID: fmt.Sprint("p", i), Connection: "alpha", Organization: "Alpha", UserName: fmt.Sprint("u", i), Provisioned: true,
					IDPActive: true, Version: 1, Created: r.now, Modified: r.now,
				}
				if i%2 == 1 {
					p.Created = r.now.Add(time.Hour) // not there yet
					p.Modified = p.Created
				}
				if err := tx.InsertPerson(p, ""); err != nil {
					return err
				}
			}
			return nil
		})
		var sizes []int
		d := directory.New(directory.Config{Store: pages{r.db.Directory(), &sizes}, Connections: connections})
		for at, want := range map[time.Time]int{{}: people, r.now: people / 2, r.now.Add(-time.Hour): 0} {
			sizes = nil
			seen, last := 0, -1
			r.must(d.Standings(t.Context(), at, func(s directory.Standing) error {
				var n int
				if _, err := fmt.Sscanf(s.Person.ID, "p%d", &n); err != nil || n <= last {
					return fmt.Errorf("%s comes after p%d", s.Person.ID, last)
				}
				last, seen = n, seen+1
				return nil
			}))
			if seen != want {
				t.Errorf("Standings(%v) gave %d people, want %d", at, seen, want)
			}
			if len(sizes) < 3 || slices.Max(sizes) > 500 {
				t.Errorf("Standings(%v) read pages of %v, want several of at most 500", at, sizes)
			}
		}
		stop := errors.New("enough")
		if err := d.Standings(t.Context(), time.Time{}, func(directory.Standing) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("Standings = %v, want the error of its function", err)
		}
	})
}

func TestDeletionTakesThePastAlong(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		r := newRig(t, db)
		p := r.push(record("ada"))
		g, err := r.ProvisionGroup(t.Context(), scimActor, "alpha", "Desk", "", []string{p.ID})
		r.must(err)
		then := r.now
		r.now = r.now.Add(time.Hour)
		r.revise(p.ID, func(rec *directory.Record) { rec.Name = "Ada Secret" })
		_, err = r.ReviseGroup(t.Context(), scimActor, "alpha", g.ID, func(directory.Group) (directory.GroupEdit, error) {
			return directory.GroupEdit{Remove: []string{p.ID}}, nil
		})
		r.must(err)
		if s, err := r.LookAt(t.Context(), p.ID, then); err != nil || len(s.Pushed) != 1 || s.Person.Name != "Name of ada" {
			t.Fatalf("LookAt = %+v, %v, want the group and the name of then", s, err)
		}
		r.must(r.Delete(t.Context(), scimActor, "alpha", p.ID))
		if _, err := r.LookAt(t.Context(), p.ID, then); !fault.Is(err, fault.NotFound) {
			t.Errorf("LookAt of somebody deleted = %v, want not found", err)
		}
		raw := storetest.Raw(t, databaseURL)
		for _, table := range []string{"people_history", "memberships_history"} {
			var n int
			r.must(raw.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n))
			if n != 0 {
				t.Errorf("%s holds %d rows of somebody deleted", table, n)
			}
		}
	})
}

func TestAnotherLinkAttributeIsNoPast(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		r := newRig(t, db)
		p := r.push(record("ada"))
		r.now = r.now.Add(time.Hour)
		newRig(t, db, directory.Connection{ID: "alpha", Organization: "Alpha", Link: directory.LinkUserName})
		var n int
		r.must(storetest.Raw(t, databaseURL).QueryRowContext(t.Context(), "SELECT count(*) FROM people_history").Scan(&n))
		if s, err := r.LookAt(t.Context(), p.ID, p.Created); n != 0 || err != nil || s.Person.Name != p.Name {
			t.Errorf("after another link attribute: %d rows of history, LookAt = %+v, %v", n, s, err)
		}
	})
}

func TestGroupsInsideOfGroupsHaveAPast(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		p := r.push(record("ada"))
		group := func(name string, members ...string) string {
			g, err := r.ProvisionGroup(t.Context(), scimActor, "alpha", name, "", members)
			r.must(err)
			r.now = r.now.Add(time.Minute)
			return g.ID
		}
		inner := group("inner", p.ID)
		outer := group("outer", inner)
		group("outermost", outer)
		seen := make(map[time.Time][]directory.Group)
		see := func() {
			s, err := r.Look(t.Context(), p.ID)
			r.must(err)
			seen[r.now] = lasting(s).Pushed
			r.now = r.now.Add(time.Minute)
		}
		see()
		if len(seen[r.now.Add(-time.Minute)]) != 3 {
			t.Fatalf("groups = %v, want three", seen)
		}
		_, err := r.ReviseGroup(t.Context(), scimActor, "alpha", outer, func(directory.Group) (directory.GroupEdit, error) {
			return directory.GroupEdit{Remove: []string{inner}}, nil
		})
		r.must(err)
		see()
		_, err = r.ReviseGroup(t.Context(), scimActor, "alpha", outer, func(directory.Group) (directory.GroupEdit, error) {
			return directory.GroupEdit{Add: []string{inner}}, nil
		})
		r.must(err)
		see()
		r.must(r.DeleteGroup(t.Context(), scimActor, "alpha", outer))
		see()
		for at, want := range seen {
			s, err := r.LookAt(t.Context(), p.ID, at)
			if diff := cmp.Diff(want, byID(s.Pushed)); err != nil || diff != "" {
				t.Errorf("groups at %v: %v (-want +got):\n%s", at, err, diff)
			}
		}
	})
}
