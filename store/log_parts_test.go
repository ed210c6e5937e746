package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"portcullis/directory"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
)

// The latest mass losses of some connections are those of each in turn.
func TestTheLatestMassLossesAreThoseOfEachConnection(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		now := start.Add(2 * directory.UndoLife)
		update(t, db, func(tx directory.Tx) error {
			for i := range 200 {
				m := directory.MassLoss{Connection: fmt.Sprint("c", i*i%17), Began: start, Last: now.Add(-time.Duration(i*i%7) * directory.UndoLife / 4), Closed: true}
				id, err := tx.InsertMassLoss(m)
				if err != nil {
					return err
				}
				if m.ID = id; i%5 == 0 {
					m.Undone, m.UndoneBy = now, "op"
				}
				if err := tx.UpdateMassLoss(m); err != nil {
					return err
				}
			}
			return nil
		})
		d := directory.New(directory.Config{Store: db.Directory(), Now: func() time.Time { return now }})
		rapid.Check(t, func(r *rapid.T) {
			connections := rapid.SliceOfNDistinct(rapid.Map(rapid.IntRange(0, 20), func(i int) string { return fmt.Sprint("c", i) }), 0, 21, rapid.ID[string]).Draw(r, "connections")
			q := directory.MassLossQuery{Undoable: rapid.Bool().Draw(r, "undoable"), Limit: rapid.IntRange(1, 30).Draw(r, "limit")}
			all := rapid.Bool().Draw(r, "all")
			each := connections
			if all {
				each, connections = []string{""}, nil
			}
			var want []directory.MassLoss
			for _, q.Connection = range each {
				page, err := d.MassLosses(t.Context(), q)
				if err != nil {
					r.Fatal(err)
				}
				want = append(want, page.Items...)
			}
			got, err := d.LatestMassLosses(t.Context(), connections, q.Undoable, q.Limit)
			if err != nil {
				r.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				r.Errorf("%v (-each +read):\n%s", connections, diff)
			}
		})
	})
}

// A page of the provisioning log about a part of an organization is what the
// whole log holds of its people, however many they are.
func TestTheProvisioningLogOfAPartIsThatPartOfTheWhole(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		seed(t, db)
		const people, few = 250, 10
		id := func(i int) string { return fmt.Sprintf("%036d", i) }
		var requests []scim.Entry
		update(t, db, func(tx directory.Tx) error {
			for i := range people {
				if err := tx.InsertPerson(person(id(i), fmt.Sprint("u", i)), ""); err != nil {
					return err
				}
			}
			return nil
		})
		for i := range 1000 {
			requests = append(requests, scim.Entry{
				At: start, Connection: fmt.Sprint("c", i*i%13), Method: "PUT", Path: "/Users/" + id(i*7%(people+50)) + strings.Repeat("/x", i%2), Status: 200 + 209*(i%3/2),
			})
		}
		if err := db.Journal().AppendJournal(t.Context(), requests); err != nil {
			t.Fatal(err)
		}
		raw := storetest.Raw(t, databaseURL)
		for unit, condition := range map[string]string{"few": "id < '" + id(few) + "'", "many": "id >= '" + id(few) + "'"} {
			if _, err := raw.ExecContext(t.Context(), "UPDATE people SET unit = '"+unit+"' WHERE "+condition); err != nil {
				t.Fatal(err)
			}
		}
		whole, err := db.Journal().Journal(t.Context(), scim.JournalQuery{Limit: 2000})
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(r *rapid.T) {
			units := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"few", "many", "none"}), rapid.ID[string]).Draw(r, "units")
			q := scim.JournalQuery{
				Connections: rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 14), func(i int) string { return fmt.Sprint("c", i) }), 0, 15).Draw(r, "connections"),
				Refused:     rapid.Bool().Draw(r, "refused"), Before: rapid.SampledFrom([]int64{0, 1, 400, 5000}).Draw(r, "before"),
				Limit: rapid.SampledFrom([]int{1, 7, 51, 1000}).Draw(r, "limit"),
			}
			if rapid.Bool().Draw(r, "all") {
				q.Connections = nil
			}
			want := kept(whole, q.Limit, func(e scim.Entry) bool {
				unit := "few"
				of := e.Path[len("/Users/"):][:36]
				switch {
				case of >= id(people):
					unit = ""
				case of >= id(few):
					unit = "many"
				}
				return slices.Contains(units, unit) && (q.Connections == nil || slices.Contains(q.Connections, e.Connection)) &&
					(!q.Refused || e.Status >= 400) && (q.Before == 0 || e.Seq < q.Before)
			})
			got, err := db.Admin().RequestsIn(t.Context(), units, q)
			if err != nil {
				r.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				r.Errorf("%v, %+v (-by hand +read):\n%s", units, q, diff)
			}
		})
	})
}
