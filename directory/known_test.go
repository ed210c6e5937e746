package directory_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portcullis/directory"
	"portcullis/mapping"
)

// factsByID are the facts of people by their ids.
func factsByID(people []directory.Known) map[string]mapping.Facts {
	out := make(map[string]mapping.Facts, len(people))
	for _, k := range people {
		out[k.ID] = allRead(k.Facts)
	}
	return out
}

// allRead are facts with their claims, as a look at one person gives them.
func allRead(f mapping.Facts) mapping.Facts {
	f.Claims, f.Unread = f.AllClaims(), nil
	return f
}

// whole reads everybody, with a mark: on a server that others use too, a
// transaction of theirs may run on for a while.
func whole(ctx context.Context, d *directory.Directory) (map[string]mapping.Facts, directory.Mark, error) {
	for {
		people, mark, err := d.Everybody(ctx, 10)
		if err != nil || mark != nil {
			if err != nil {
				return nil, directory.Mark{}, err
			}
			return factsByID(people), *mark, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, directory.Mark{}, err
		}
	}
}

// Whatever is done, facts that follow what became of people are those that a
// look at everybody gives, and those of each of them.
func TestFactsThatFollowAreTheFactsOfNow(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		run := 0
		rapid.Check(t, func(rt *rapid.T) {
			run++
			h := &historian{
				r: r, rt: rt, prefix: fmt.Sprintf("k%d-", run), worlds: make(map[time.Time]world),
				pushed: make(map[string]string), signed: make(map[string]string),
			}
			warm, since, err := whole(t.Context(), r.Directory)
			r.must(err)
			next := since
			for range rapid.IntRange(1, 4).Draw(rt, "looks") {
				for range rapid.IntRange(0, 5).Draw(rt, "steps") {
					r.now = r.now.Add(time.Microsecond)
					subject := rapid.SampledFrom(subjects).Draw(rt, "subject")
					if rapid.IntRange(0, 9).Draw(rt, "exception") == 0 {
						h.except(subject)
						continue
					}
					h.step(rapid.SampledFrom(slices.Sorted(maps.Keys(verbs))).Draw(rt, "verb"), subject)
				}
				moved, err := r.MovedSince(t.Context(), since)
				r.must(err)
				if next.Settled(moved.Mark) {
					since, next = next, moved.Mark
				}
				if moved.Many {
					rt.Fatal("a few steps are many")
				}
				for _, k := range moved.People {
					warm[k.ID] = k.Facts
				}
				for _, id := range moved.Gone {
					delete(warm, id)
				}
				fresh, _, err := r.Everybody(t.Context(), 10)
				r.must(err)
				if diff := cmp.Diff(factsByID(fresh), warm); diff != "" {
					rt.Fatalf("facts that follow (-fresh +followed):\n%s", diff)
				}
			}
			r.must(r.Standings(t.Context(), time.Time{}, func(s directory.Standing) error {
				if diff := cmp.Diff(s.Facts(), warm[s.Person.ID]); diff != "" {
					rt.Fatalf("facts of %s (-alone +among all):\n%s", s.Person.ID, diff)
				}
				delete(warm, s.Person.ID)
				return nil
			}))
			if len(warm) > 0 {
				rt.Fatalf("nobody has the facts %+v", warm)
			}
		})
	})
}

// except grants somebody an exception, as [directory.Directory.Except] does
// where a mapping allows it.
func (h *historian) except(s string) {
	id := h.someone(s)
	if _, err := h.r.Look(h.r.t.Context(), id); err != nil {
		return
	}
	h.r.update(func(tx directory.Tx) error {
		x := mapping.Exception{ID: h.prefix + s + h.stamp(), Role: "helper", By: "root", From: h.r.now, Until: h.r.now.Add(time.Hour)}
		if err := tx.InsertException(directory.Exception{Exception: x, Person: id}); err != nil {
			return err
		}
		return tx.Change(directory.Change{At: h.r.now, Person: id})
	})
}

// More than can be named is said to be much; and so is a change for everybody,
// and a database that is not the one of the mark.
func TestManyWhoMovedAreNotNamed(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		_, mark, err := whole(t.Context(), r.Directory)
		r.must(err)
		many := func(m directory.Mark) bool {
			t.Helper()
			moved, err := r.MovedSince(t.Context(), m)
			r.must(err)
			return moved.Many
		}
		if many(mark) {
			t.Error("nothing is many")
		}
		r.update(func(tx directory.Tx) error {
			return tx.Change(directory.Change{At: r.now, Organization: "Alpha", Loss: true})
		})
		if many(mark) {
			t.Error("an organization that is frozen changes nobody's facts")
		}
		r.update(func(tx directory.Tx) error { return crowd(tx, 2001, r.now) })
		if !many(mark) {
			t.Error("2001 new people are named")
		}
		_, mark, err = whole(t.Context(), r.Directory)
		r.must(err)
		r.update(func(tx directory.Tx) error { return tx.Change(directory.Change{At: r.now}) })
		if !many(mark) {
			t.Error("a change for everybody is not")
		}
		mark.Changes += 1_000_000_000
		if !many(mark) {
			t.Error("a mark of another database is taken")
		}
	})
}

// Of people with many sign-ins the newest counts, however it is found, and the
// newest with all groups beside it.
func TestTheNewestSignInIsFoundAmongMany(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		r.update(func(tx directory.Tx) error { return crowd(tx, 3, r.now) })
		for i := range 30 {
			r.update(func(tx directory.Tx) error {
				a := says(strconv.Itoa(i))
				a.Groups, a.GroupsIncomplete = []string{fmt.Sprint("g", i)}, i >= 28
				_, err := tx.InsertAssertion(fmt.Sprintf("%036d", i%2), a)
				return err
			})
			if i != 9 && i != 29 {
				continue
			}
			people, _, err := r.Everybody(t.Context(), 10)
			r.must(err)
			for _, k := range people {
				s, err := r.Look(t.Context(), k.ID)
				r.must(err)
				if diff := cmp.Diff(s.Facts(), allRead(k.Facts)); diff != "" {
					t.Errorf("after %d sign-ins, %s (-alone +among all):\n%s", i, k.ID, diff)
				}
			}
		}
	})
}

// Everybody is read in the order in which they were made and each with what is
// theirs, whoever beside them is gone, nameless or in no group.
func TestEverybodyIsReadAsEachOfThemIs(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		const people = 700
		id := func(i int) string { return fmt.Sprintf("%036d", (i*7919)%people) } // in another order than they are made
		r.update(func(tx directory.Tx) error {
			for _, g := range []string{"g1", "g2", "all"} {
				if err := tx.InsertGroup(directory.Group{ID: g, Connection: "alpha", Name: g, Version: 1, Created: r.now, Modified: r.now}); err != nil {
					return err
				}
			}
			if _, err := tx.Nest("all", []string{"g1"}, r.now); err != nil {
				return err
			}
			for i := range people {
				p := directory.Person{
					ID: id(i), Connection: "alpha", Organization: "Alpha", UserName: fmt.Sprint("user", i), EmailVerified: i%2 == 0, Provisioned: i%3 != 0, IDPActive: true, Version: 1,
				}
				if i%5 != 0 {
					p.Name, p.Email = "Zoë, the "+strconv.Itoa(i), fmt.Sprintf("u%d@example.com", i)
				}
				if p.Provisioned && i%4 != 0 {
					p.Attributes = fmt.Appendf(nil, `{"userName":"user%d"}`, i)
				}
				if p.Provisioned && i%11 == 0 {
					p.Attributes = fmt.Appendf(nil, `{%q:{"desk":"%d"}}`, directory.PortalURN, i)
				}
				if err := tx.InsertPerson(p, ""); err != nil {
					return err
				}
				if i%2 == 0 {
					a := says(strconv.Itoa(i))
					a.Received, a.GroupsIncomplete = r.now, i%14 == 0
					if _, err := tx.InsertAssertion(p.ID, a); err != nil {
						return err
					}
				}
				if g := fmt.Sprint("g", 1+i%4); p.Provisioned && i%4 < 2 {
					if _, err := tx.AddMembers(g, []string{p.ID}, r.now); err != nil {
						return err
					}
				}
			}
			return nil
		})
		for _, gone := range [][2]int{{0, 1}, {60, 70}, {127, 129}, {200, 450}, {690, people}} {
			r.update(func(tx directory.Tx) error {
				for i := gone[0]; i < gone[1]; i++ {
					if err := tx.DeletePerson(id(i)); err != nil {
						return err
					}
				}
				return nil
			})
			var want []directory.Known
			r.must(r.Standings(t.Context(), time.Time{}, func(s directory.Standing) error {
				want = append(want, directory.Known{ID: s.Person.ID, Facts: s.Facts()})
				return nil
			}))
			got, _, err := r.Everybody(t.Context(), len(want))
			r.must(err)
			for i := range got {
				got[i].Facts = allRead(got[i].Facts)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("without %v (-one by one +together):\n%s", gone, diff)
			}
		}
	})
}
