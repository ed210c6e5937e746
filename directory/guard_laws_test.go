package directory_test

import (
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

// wary is a guard that trips above one person.
var wary = directory.Connection{ID: "alpha", Organization: "Alpha", Guard: directory.Guard{Percent: 1, People: 1}}

// throng are the people and groups of one run.
type throng struct {
	*rig
	rt     *rapid.T
	people []string
	groups []directory.Group
	spare  []string // people who are in every group, and are lost last, so that every loss is part of a mass loss
}

func (c *throng) person() string         { return rapid.SampledFrom(c.people).Draw(c.rt, "person") }
func (c *throng) group() directory.Group { return rapid.SampledFrom(c.groups).Draw(c.rt, "group") }
func (c *throng) coin(what string) bool  { return rapid.Bool().Draw(c.rt, what) }
func (c *throng) some(of []string) []string {
	return slices.DeleteFunc(slices.Clone(of), func(string) bool { return c.coin("out") })
}

// check tries a law; on PostgreSQL, where a run takes longer, and on SQLite
// less often than rapid would.
func check(t *testing.T, f func(rt *rapid.T, run int)) {
	t.Helper()
	run, every := 0, 2
	if strings.HasSuffix(t.Name(), "postgres") {
		every = 6
	}
	rapid.Check(t, func(rt *rapid.T) {
		if run++; run%every == 0 {
			f(rt, run)
		}
	})
}

// throngOf pushes people and groups of one run, some of them inactive, locked
// or signed in.
func throngOf(rt *rapid.T, r *rig, run, people, groups int) *throng {
	c := &throng{rig: r, rt: rt}
	name := func(i int) string { return fmt.Sprintf("r%d-%d", run, i) }
	for i := range people + 2 {
		id := r.push(record(name(i))).ID
		if i >= people {
			c.spare = append(c.spare, id)
			continue
		}
		c.people = append(c.people, id)
		if c.coin("signed in") {
			r.enter(says(name(i)))
		}
		if c.coin("locked") {
			_, err := r.Lock(r.t.Context(), operator, id, "before")
			r.must(err)
		}
	}
	for i := range groups {
		c.groups = append(c.groups, r.group(fmt.Sprintf("R%d-%d", run, i), slices.Concat(c.some(c.people), c.spare)...))
	}
	return c
}

// leave makes room for the next run, behind the guard's back.
func (c *throng) leave() {
	c.now = c.now.Add(2 * directory.UndoLife)
	c.must(c.EraseLosses(c.t.Context()))
	c.update(func(tx directory.Tx) error {
		page, err := tx.People(directory.Query{Connection: "alpha", Limit: 1000})
		if err != nil {
			return err
		}
		for _, p := range page.Items {
			if err := tx.DeletePerson(p.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestAnUndoGivesBackExactlyWhatWasThere takes away at random, while the gate
// decides things of its own, and undoes it all in any order: what is there
// then is what was there before, with what the gate decided.
func TestAnUndoGivesBackExactlyWhatWasThere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newRig(t, open(), wary)
		check(t, func(rt *rapid.T, run int) {
			c := throngOf(rt, r, run, 4, 2)
			defer c.leave()
			if c.coin("nested") {
				_, err := r.regroup(c.groups[0].ID, directory.GroupEdit{Add: []string{c.groups[1].ID}})
				r.must(err)
			}
			r.now = r.now.Add(2 * time.Hour) // what came before counts no more
			r.examine()
			everybody := slices.Concat(c.people, c.spare)
			want, begun := r.pictures(everybody...), r.now
			for range rapid.IntRange(1, 10).Draw(rt, "steps") {
				r.now = r.now.Add(time.Duration(rapid.IntRange(0, 200).Draw(rt, "seconds")) * time.Second)
				if c.coin("gate") {
					c.decide(want)
				} else {
					c.lose()
				}
				if c.coin("pass") {
					r.examine()
				}
			}
			c.loseSpare()
			var undo []directory.MassLoss
			for _, m := range r.mass() {
				if !m.Began.Before(begun) {
					undo = append(undo, m)
				}
			}
			for _, m := range rapid.Permutation(undo).Draw(rt, "order") {
				r.undo(m.ID)
			}
			if diff := cmp.Diff(want, r.pictures(everybody...)); diff != "" {
				rt.Errorf("people (-before +after):\n%s", diff)
			}
			for _, g := range c.groups {
				if _, err := r.Group(t.Context(), "alpha", g.ID); err != nil {
					rt.Errorf("group %s: %v", g.Name, err)
				}
			}
		})
	})
}

// decide is a step of the gate, whose result is wanted in the end.
func (c *throng) decide(want map[string]picture) {
	id := c.person()
	var err error
	switch rapid.SampledFrom([]string{"lock", "unlock", "deactivate", "reactivate"}).Draw(c.rt, "decision") {
	case "lock":
		_, err = c.Lock(c.t.Context(), operator, id, "since")
	case "unlock":
		err = c.Unlock(c.t.Context(), operator, id, "since")
	case "deactivate":
		_, err = c.Deactivate(c.t.Context(), operator, id, "since")
	default:
		err = c.Reactivate(c.t.Context(), operator, id, "since")
	}
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) { // deleted, or the identity provider's to undo
		return
	}
	c.must(err)
	w := want[id]
	p := c.pictures(id)[id].Person
	w.Person.Locked, w.Person.Deactivated = p.Locked, p.Deactivated
	want[id] = w
}

// lose is a step of the identity provider.
func (c *throng) lose() {
	ctx, id, g := c.t.Context(), c.person(), c.group()
	var err error
	switch rapid.SampledFrom([]string{"off", "off again", "drop", "remove", "replace", "drop group"}).Draw(c.rt, "loss") {
	case "off", "off again":
		_, err = c.Revise(ctx, scimActor, "alpha", id, func(_ directory.Person, rec directory.Record) (directory.Record, error) {
			rec.Active, rec.Insists = false, true
			return rec, nil
		})
	case "drop":
		err = c.Delete(ctx, scimActor, "alpha", id)
	case "remove":
		_, err = c.regroup(g.ID, directory.GroupEdit{Remove: append(c.some(c.people), c.groups[1].ID)})
	case "replace":
		members, e := c.Members(ctx, g.ID)
		c.must(e)
		keep := []string{}
		for _, m := range members[g.ID] {
			if c.coin("keep") {
				keep = append(keep, m.ID)
			}
		}
		_, err = c.regroup(g.ID, directory.GroupEdit{Replace: &keep})
	default:
		err = c.DeleteGroup(ctx, scimActor, "alpha", g.ID)
	}
	if !fault.Is(err, fault.NotFound) {
		c.must(err)
	}
}

// loseSpare brings every scope above the bounds.
func (c *throng) loseSpare() {
	for _, g := range c.groups {
		err := c.DeleteGroup(c.t.Context(), scimActor, "alpha", g.ID)
		if !fault.Is(err, fault.NotFound) {
			c.must(err)
		}
	}
	c.drop(c.spare...)
}

// said is one thing that the identity provider said.
type said struct {
	at     int64
	group  string // empty: about being active
	yes    []string
	no     []string
	others bool // no one else
}

// TestAnUndoNeverGivesMoreThanWasSaid: nobody is active, or a member, who
// would not be if the identity provider had said the same but for what was
// undone; whatever is said, counted and undone when.
func TestAnUndoNeverGivesMoreThanWasSaid(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		db, err := store.Open(t.Context(), store.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		r, raw := newRig(t, db, wary), storetest.Raw(t, url)
		check(t, func(rt *rapid.T, run int) {
			c := throngOf(rt, r, run, 3, 1)
			defer c.leave()
			desk := c.groups[0].ID
			first, err := r.regroup(desk, directory.GroupEdit{Replace: &c.people})
			r.must(err)
			r.now = r.now.Add(2 * time.Hour)
			r.examine()
			all := []said{{yes: c.people}, {group: first.ID, yes: c.people}}
			for range rapid.IntRange(4, 14).Draw(rt, "steps") {
				r.now = r.now.Add(time.Duration(rapid.SampledFrom([]int{1, 1, 1, 40, 61}).Draw(rt, "minutes")) * time.Minute)
				all = append(all, c.speak(desk))
				if c.coin("pass") {
					r.examine()
				}
				if c.coin("erase") {
					r.must(r.EraseLosses(t.Context()))
				}
				if page, err := r.MassLosses(t.Context(), directory.MassLossQuery{Limit: 100, Undoable: true}); err != nil {
					rt.Fatal(err)
				} else if len(page.Items) > 0 && c.coin("undo") {
					r.undo(rapid.SampledFrom(page.Items).Draw(rt, "which").ID)
				}
				active, in := replay(all, undone(rt, raw))
				for id, p := range r.pictures(c.people...) {
					if p.Person.IDPActive && !active[id] {
						rt.Fatalf("%s is active, and was said not to be: %+v", p.Person.UserName, all)
					}
					if slices.Contains(p.Groups, desk) && !in[id] {
						rt.Fatalf("%s is a member, and was said not to be: %+v", p.Person.UserName, all)
					}
				}
			}
		})
	})
}

// speak is a step of the identity provider, in any direction.
func (c *throng) speak(desk string) said {
	id := c.person()
	s := said{at: c.now.UnixMicro()}
	var edit directory.GroupEdit
	switch what := rapid.SampledFrom([]string{"off", "on", "add", "remove", "replace", "nothing"}).Draw(c.rt, "said"); what {
	case "off":
		s.no = c.some(c.people)
		c.off(s.no...)
		return s
	case "on":
		s.yes = []string{id}
		c.on(id)
		return s
	case "add":
		s.yes, edit.Add = []string{id}, []string{id}
	case "remove":
		s.no = c.some(c.people)
		edit.Remove = s.no
	case "replace":
		s.yes, s.others = c.some(c.people), true
		edit.Replace = &s.yes
	}
	s.group = desk
	_, err := c.regroup(desk, edit)
	c.must(err)
	return s
}

type row struct {
	at            int64
	group, member string
}

// undone reads which statements are part of a mass loss that was undone.
func undone(rt *rapid.T, raw *sql.DB) map[row]bool {
	rows, err := raw.Query("SELECT at, group_id, member FROM losses WHERE mass IN (SELECT id FROM mass_losses WHERE undone <> 0)")
	if err != nil {
		rt.Fatal(err)
	}
	defer rows.Close()
	out := make(map[row]bool)
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.at, &r.group, &r.member); err != nil {
			rt.Fatal(err)
		}
		out[r] = true
	}
	if err := rows.Err(); err != nil {
		rt.Fatal(err)
	}
	return out
}

// replay is the naive way: what was said in order, but for what was undone.
func replay(all []said, undone map[row]bool) (active, in map[string]bool) {
	active, in = make(map[string]bool), make(map[string]bool)
	for _, s := range all {
		state := active
		if s.group != "" {
			state = in
		}
		no := s.no
		if s.others {
			no = slices.DeleteFunc(slices.Collect(maps.Keys(state)), func(id string) bool {
				return slices.Contains(s.yes, id) || undone[row{s.at, s.group, ""}]
			})
		}
		for _, id := range no {
			if !undone[row{s.at, s.group, id}] {
				state[id] = false
			}
		}
		for _, id := range s.yes {
			state[id] = true
		}
	}
	return active, in
}
