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
	"pgregory.net/rapid"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

// unit makes a sub-organization of Alpha.
func (r *rig) unit(parent, name string) string {
	r.t.Helper()
	u, err := r.AddUnit(r.t.Context(), operator, "Alpha", parent, name)
	r.must(err)
	return u.ID
}

// tree is the sub-organizations of an organization as paths, with how many
// people are in each.
func (r *rig) tree(organization string) (out []string) {
	r.t.Helper()
	tree, err := r.Units(r.t.Context(), organization)
	r.must(err)
	counts, err := r.UnitCounts(r.t.Context(), organization)
	r.must(err)
	for _, u := range tree {
		out = append(out, fmt.Sprintf("%s %d", strings.Join(tree.Path(u.ID), "/"), counts[u.ID]))
	}
	return out
}

// place is the path of where somebody is.
func (r *rig) place(id string) string {
	r.t.Helper()
	s, err := r.Look(r.t.Context(), id)
	r.must(err)
	if s.Person.Unit == directory.Unplaced {
		return directory.Unplaced
	}
	tree, err := r.Units(r.t.Context(), s.Person.Organization)
	r.must(err)
	return strings.Join(tree.Path(s.Person.Unit), "/")
}

func (r *rig) fails(err error, kind fault.Kind, words string) {
	r.t.Helper()
	if fault.KindOf(err) != kind || !strings.Contains(fault.Message(err), words) {
		r.t.Errorf("err = %v, want %v with %q", err, kind, words)
	}
}

func TestATreeOfSubOrganizations(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		europe := r.unit("", "Europe")
		nordics := r.unit(europe, " Nordics \u200b")
		r.unit("", "Asia")
		desk := r.unit(nordics, "Desk")
		deep := r.unit(r.unit(desk, "four"), "five")
		_, err := r.AddUnit(t.Context(), operator, "Alpha", deep, "six")
		r.fails(err, fault.Invalid, "deeper than 5 levels")
		_, err = r.AddUnit(t.Context(), operator, "Alpha", desk, "NORDICS")
		r.fails(err, fault.Conflict, "of that name already")
		_, err = r.AddUnit(t.Context(), operator, "Nobody", "", "x")
		r.fails(err, fault.NotFound, "no organization")
		_, err = r.AddUnit(t.Context(), operator, "Beta", europe, "x")
		r.fails(err, fault.NotFound, "no such sub-organization")
		if _, err = r.AddUnit(t.Context(), operator, "Beta", "", "Europe"); err != nil {
			t.Errorf("the same name elsewhere: %v", err)
		}
		r.fails(r.MoveUnit(t.Context(), operator, "Alpha", europe, desk), fault.Invalid, "below itself")
		r.fails(r.MoveUnit(t.Context(), operator, "Alpha", europe, europe), fault.Invalid, "below itself")
		r.fails(r.MoveUnit(t.Context(), operator, "Beta", europe, ""), fault.NotFound, "no such sub-organization")
		asia := r.unit("", "Asia 2")
		r.fails(r.MoveUnit(t.Context(), operator, "Alpha", nordics, r.unit(asia, "Far East")), fault.Invalid, "deeper than 5 levels")
		r.must(r.MoveUnit(t.Context(), operator, "Alpha", nordics, asia))
		r.fails(r.RemoveUnit(t.Context(), operator, "Alpha", nordics), fault.Conflict, "others below it")
		r.fails(r.RenameUnit(t.Context(), operator, "Alpha", nordics, "asia"), fault.Conflict, "of that name already")
		r.must(r.RenameUnit(t.Context(), operator, "Alpha", nordics, "nordics"))
		r.must(r.RemoveUnit(t.Context(), operator, "Alpha", europe))
		want := []string{"Asia 0", "Asia 2 0", "Asia 2/Far East 0", "Asia 2/nordics 0", "Asia 2/nordics/Desk 0", "Asia 2/nordics/Desk/four 0", "Asia 2/nordics/Desk/four/five 0"}
		if diff := cmp.Diff(want, r.tree("Alpha")); diff != "" {
			t.Errorf("tree (-want +got):\n%s", diff)
		}
		last := r.events()[len(r.events())-1]
		if last.Action != audit.UnitRemoved || last.Subject != "Europe" || last.Detail["organization"] != "Alpha" || last.Actor != operator {
			t.Errorf("event = %+v", last)
		}
	})
}

func TestAPersonIsPlacedByHand(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		europe := r.unit("", "Europe")
		ada := r.enter(says("ada")).Person
		before := r.now
		r.now = r.now.Add(time.Hour)
		got := r.during(map[string]string{ada.ID: "ada"}, func() { r.must(r.Place(t.Context(), operator, ada.ID, europe, "new job")) })
		r.wants(got, wrote{Actions: []audit.Action{audit.PersonMoved}, Changes: []string{"ada"}})
		r.wants(r.during(nil, func() { r.must(r.Place(t.Context(), operator, ada.ID, europe, "again")) }), wrote{})
		last := r.events()[len(r.events())-1]
		if last.Detail["from"] != "" || last.Detail["to"] != "Europe" || last.Reason != "new job" || last.Person != ada.ID {
			t.Errorf("event = %+v", last)
		}
		r.enter(says("ada"))
		if got := r.place(ada.ID); got != "Europe" {
			t.Errorf("after another sign-in: %q, want Europe", got)
		}
		then, err := r.LookAt(t.Context(), ada.ID, before)
		r.must(err)
		if then.Person.Unit != "" || then.Unit != europe {
			t.Errorf("an hour ago: in %q, today in %q; want none and Europe", then.Person.Unit, then.Unit)
		}
		r.fails(r.RemoveUnit(t.Context(), operator, "Alpha", europe), fault.Conflict, "1 person is in it")
		other, err := r.AddUnit(t.Context(), operator, "Beta", "", "Theirs")
		r.must(err)
		r.fails(r.Place(t.Context(), operator, ada.ID, other.ID, ""), fault.NotFound, "no such sub-organization")
		r.fails(r.Place(t.Context(), operator, ada.ID, "nowhere", ""), fault.NotFound, "no such sub-organization")
		// Whoever is met by a pushed record stays where they are.
		p := r.push(record("ada"))
		if got := r.place(p.ID); got != "Europe" {
			t.Errorf("after the push: %q, want Europe", got)
		}
		_, err = r.Freeze(t.Context(), operator, "Alpha", "unpaid")
		r.must(err)
		r.refused(says("ada"), fault.Forbidden, "access for Alpha is frozen")
	})
}

// managed is Alpha's connection where the identity provider says who is where.
func managed() []directory.Connection {
	conns := slices.Clone(connections)
	conns[0].Units = directory.UnitSource{Attribute: "division", Claim: "division"}
	return conns
}

const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

func inDivision(subject string, division any) directory.Record {
	r := record(subject)
	r.Attributes = map[string]any{"title": "T", enterprise: map[string]any{"division": division}}
	return r
}

func TestTheIdentityProviderSaysWhoIsWhere(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newRig(t, open(), managed()...)
		europe := r.unit("", "Europe")
		nordics := r.unit(europe, "Nordics")
		ada := r.push(inDivision("ada", "nordics"))
		ben := r.push(inDivision("ben", "Sales"))
		r.push(inDivision("cleo", "sales "))
		if got := []string{r.place(ada.ID), r.place(ben.ID)}; !slices.Equal(got, []string{"Europe/Nordics", "Sales"}) {
			t.Errorf("places = %q", got)
		}
		if diff := cmp.Diff([]string{"Europe 0", "Europe/Nordics 1", "Sales 2"}, r.tree("Alpha")); diff != "" {
			t.Errorf("tree (-want +got):\n%s", diff)
		}
		r.fails(r.Place(t.Context(), operator, ada.ID, europe, ""), fault.Conflict, `connection "alpha"`)
		r.fails(r.RenameUnit(t.Context(), operator, "Alpha", nordics, "North"), fault.Conflict, `connection "alpha"`)
		r.must(r.MoveUnit(t.Context(), operator, "Alpha", nordics, "")) // where it is, is for people to say
		got := r.during(map[string]string{ada.ID: "ada"}, func() {
			r.revise(ada.ID, func(rec *directory.Record) { *rec = inDivision("ada", "Sales") })
		})
		r.wants(got, wrote{Actions: []audit.Action{audit.PersonUpdated, audit.PersonMoved}, Changes: []string{"ada"}})
		for value, want := range map[any]string{"": "", nil: "", 7: directory.Unplaced, "\u202e": directory.Unplaced, strings.Repeat("x", 101): directory.Unplaced, "Sales\t": "Sales"} {
			r.revise(ada.ID, func(rec *directory.Record) { *rec = inDivision("ada", value) })
			if got := r.place(ada.ID); got != want {
				t.Errorf("division %q: in %q, want %q", value, got, want)
			}
		}
		// Those who only sign in, by the claim.
		dan := says("dan")
		dan.Claims = map[string]any{"division": []any{"Sales"}}
		in := r.enter(dan)
		if got := r.place(in.Person.ID); got != "Sales" {
			t.Errorf("by the claim: %q, want Sales", got)
		}
		dan.Claims = map[string]any{"division": []any{"Sales", "Other"}}
		r.enter(dan)
		if got := r.place(in.Person.ID); got != directory.Unplaced {
			t.Errorf("by two values: %q, want to be not placed", got)
		}
		if _, units, err := r.Reach(t.Context(), in.Person.ID); err != nil || units == nil || len(units) != 0 {
			t.Errorf("who is not placed reaches %v (%v), want nobody", units, err)
		}
	})
}

// Too many names make nobody one of the whole organization, and nothing that
// is pushed is refused for them.
func TestSubOrganizationsAreBounded(t *testing.T) {
	r := newRig(t, storetest.SQLite(t), managed()...)
	r.update(func(tx directory.Tx) error {
		for i := range directory.MaxUnits {
			err := tx.InsertUnit(directory.Unit{ID: fmt.Sprint("u", i), Organization: "Alpha", Name: fmt.Sprint("unit ", i), Created: r.now})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if got := r.place(r.push(inDivision("ada", "one more")).ID); got != directory.Unplaced {
		t.Errorf("place = %q, want not placed", got)
	}
	if got := r.place(r.push(inDivision("ben", "unit 7")).ID); got != "unit 7" {
		t.Errorf("place = %q, want unit 7", got)
	}
	_, err := r.AddUnit(t.Context(), operator, "Alpha", "", "one more")
	r.fails(err, fault.Conflict, "1000")
}

// A connection that begins to read the attribute, or that goes to another
// organization, takes its people along.
func TestPeopleAreSettledWithTheirConnection(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newRig(t, open())
		ada, ben := r.push(inDivision("ada", "Sales")), r.push(record("ben"))
		dan := r.enter(says("dan")).Person
		r.must(r.Place(t.Context(), operator, dan.ID, r.unit("", "Desk"), ""))
		r.must(r.SetConnections(t.Context(), managed()))
		if got := []string{r.place(ada.ID), r.place(ben.ID), r.place(dan.ID)}; !slices.Equal(got, []string{"Sales", "", "Desk"}) {
			t.Errorf("places = %q", got)
		}
		r.fails(r.Place(t.Context(), operator, ben.ID, "", ""), fault.Conflict, "identity provider")
		elsewhere := managed()
		elsewhere[0].Organization = "Gamma"
		r.must(r.SetConnections(t.Context(), elsewhere))
		if got := []string{r.place(ada.ID), r.place(ben.ID), r.place(dan.ID)}; !slices.Equal(got, []string{"Sales", "", directory.Unplaced}) {
			t.Errorf("places in the other organization = %q", got)
		}
		if diff := cmp.Diff([]string{"Sales 1"}, r.tree("Gamma")); diff != "" {
			t.Errorf("tree (-want +got):\n%s", diff)
		}
	})
}

// Whoever is brought back is where they were, or nowhere.
func TestAnUndoPutsPeopleBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		conns := slices.Clone(connections)
		conns[0].Guard = directory.Guard{Percent: 1, People: 1}
		r := newRig(t, open(), conns...)
		kept, gone := r.unit("", "Kept"), r.unit("", "Gone")
		ids := map[string]string{}
		for i, unit := range []string{kept, gone, ""} {
			p := r.push(record(fmt.Sprint("p", i)))
			r.must(r.Place(t.Context(), operator, p.ID, unit, ""))
			ids[unit] = p.ID
		}
		r.now = r.now.Add(time.Minute)
		for _, id := range ids {
			r.must(r.Delete(t.Context(), scimActor, "alpha", id))
		}
		r.must(r.RemoveUnit(t.Context(), operator, "Alpha", gone))
		_, err := r.ExamineLosses(t.Context())
		r.must(err)
		found, err := r.MassLosses(t.Context(), directory.MassLossQuery{Limit: 5})
		r.must(err)
		if len(found.Items) != 1 {
			t.Fatalf("%d mass losses, want 1", len(found.Items))
		}
		_, err = r.UndoMassLoss(t.Context(), operator, found.Items[0].ID, nil)
		r.must(err)
		if got := []string{r.place(ids[kept]), r.place(ids[gone]), r.place(ids[""])}; !slices.Equal(got, []string{"Kept", directory.Unplaced, ""}) {
			t.Errorf("places = %q", got)
		}
	})
}

// Nobody is ever in a unit that is not there, however a removal and those who
// are placed meet.
func TestAUnitIsNotTakenFromUnderSomebody(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		people := make([]string, 6)
		for i := range people {
			people[i] = r.enter(says(fmt.Sprint("p", i))).Person.ID
		}
		for round := range 5 {
			unit := r.unit("", fmt.Sprint("round ", round))
			var wait sync.WaitGroup
			for _, id := range people {
				wait.Go(func() { _ = r.Place(context.WithoutCancel(t.Context()), operator, id, unit, "") })
			}
			wait.Go(func() { _ = r.RemoveUnit(context.WithoutCancel(t.Context()), operator, "Alpha", unit) })
			wait.Wait()
			tree, err := r.Units(t.Context(), "Alpha")
			r.must(err)
			for _, id := range people {
				s, err := r.Look(t.Context(), id)
				r.must(err)
				if _, ok := tree.Find(s.Person.Unit); !ok && s.Person.Unit != "" {
					t.Fatalf("round %d: somebody is in a unit that is gone", round)
				}
			}
		}
	})
}

// What is pushed at once makes a unit once.
func TestOneNameMakesOneUnit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		r := newRig(t, open(), managed()...)
		var wait sync.WaitGroup
		failed := make([]error, 8)
		for i := range failed {
			wait.Go(func() {
				_, failed[i] = r.Provision(context.WithoutCancel(t.Context()), scimActor, "alpha", inDivision(fmt.Sprint("p", i), "Sales"))
			})
		}
		wait.Wait()
		for _, err := range failed {
			r.must(err)
		}
		if diff := cmp.Diff([]string{"Sales 8"}, r.tree("Alpha")); diff != "" {
			t.Errorf("tree (-want +got):\n%s", diff)
		}
	})
}

// Whatever is done to a tree: names are unique, nothing is deeper than the
// bound, everything hangs together, and what is below a unit is what its
// parents say.
func TestTreeLaws(t *testing.T) {
	r := newRig(t, storetest.SQLite(t))
	rapid.Check(t, func(rt *rapid.T) {
		r.update(func(tx directory.Tx) error {
			units, err := tx.Units("Alpha")
			for _, u := range units {
				if err == nil {
					err = tx.DeleteUnit(u.ID)
				}
			}
			return err
		})
		ids := []string{""}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			a, b := rapid.SampledFrom(ids).Draw(rt, "a"), rapid.SampledFrom(ids).Draw(rt, "b")
			name := rapid.OneOf(rapid.SampledFrom([]string{"a", "B", "b", "ß", "\u202ea", " "}), rapid.String()).Draw(rt, "name")
			var err error
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0, 1:
				var u directory.Unit
				if u, err = r.AddUnit(t.Context(), operator, "Alpha", a, name); err == nil {
					ids = append(ids, u.ID)
				}
			case 2:
				err = r.MoveUnit(t.Context(), operator, "Alpha", a, b)
			default:
				err = r.RenameUnit(t.Context(), operator, "Alpha", a, name)
			}
			if fault.Is(err, fault.Internal) || fault.Is(err, fault.Unavailable) {
				rt.Fatal(err)
			}
		}
		tree, err := r.Units(t.Context(), "Alpha")
		r.must(err)
		if len(tree) != len(ids)-1 {
			rt.Fatalf("%d of %d units are in the tree", len(tree), len(ids)-1)
		}
		seen := map[string]bool{}
		for _, u := range tree {
			if key := directory.UnitKey(u.Name); seen[key] || strings.TrimSpace(u.Name) != u.Name || u.Name == "" {
				rt.Fatalf("name %q", u.Name)
			} else {
				seen[key] = true
			}
			if n := len(tree.Path(u.ID)); n > directory.MaxUnitDepth {
				rt.Fatalf("%d levels", n)
			}
			for _, v := range tree {
				inside := v.ID == u.ID
				for p := v; p.Parent != "" && !inside; inside = p.ID == u.ID {
					p, _ = tree.Find(p.Parent)
				}
				if slices.Contains(tree.Below(u.ID), v.ID) != inside {
					rt.Fatalf("%q below %q: %v, want %v", v.Name, u.Name, !inside, inside)
				}
			}
		}
	})
}
