package store_test

import (
	"errors"
	"testing"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

// Whoever nothing waits for is stored with the event at once; where something
// waits nothing is, and the transaction goes on.
func TestAnArrivalIsStoredUnlessSomethingWaits(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		arrive := func(id string, a directory.Arrival, otherwise func(directory.Tx) error) (welcome bool, err error) {
			a.Person = person(id, "name of "+id)
			a.Attributes = []byte(`{"emails":[{"value":"` + id + `@one.example"},{"value":"` + id + `@two.example"}]}`)
			a.Names = append(a.Names, id)
			a.Graves = append(a.Graves, "none")
			a.Event = audit.Event{At: start, Action: audit.PersonCreated, Person: id}
			err = db.Directory().Update(t.Context(), func(tx directory.Tx) (err error) {
				if welcome, err = tx.Welcome(a); err != nil || welcome {
					return err
				}
				return otherwise(tx)
			})
			return welcome, err
		}
		there := func(id string) (people, events int) {
			err := db.Directory().View(t.Context(), func(tx directory.Tx) error {
				page, err := tx.People(directory.Query{Connection: "alpha", Limit: 5, Filter: &directory.Filter{
					Op: directory.Eq, Attr: directory.Attr{Name: "emails", Sub: "value", Many: true}, Value: id + "@two.example",
				}})
				people = page.Total
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			err = db.Audit().Walk(t.Context(), func(e audit.Event, _ audit.Seal) error {
				if e.Person == id {
					events++
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return people, events
		}
		if welcome, err := arrive("new", directory.Arrival{Link: "l"}, nil); err != nil || !welcome {
			t.Fatalf("Welcome of somebody new = %v, %v, want true", welcome, err)
		}
		if people, events := there("new"); people != 1 || events != 1 {
			t.Errorf("%d people and %d events are stored, want 1 and 1", people, events)
		}
		if _, err := arrive("new", directory.Arrival{}, nil); !fault.Is(err, fault.Conflict) {
			t.Errorf("Welcome of somebody who is there = %v, want a conflict", err)
		}
		update(t, db, func(tx directory.Tx) error {
			_, err := tx.Bury("alpha", []string{"grave"}, start)
			return err
		})
		awaited := directory.Arrival{Graves: []string{"grave"}}
		if welcome, err := arrive("back", awaited, func(directory.Tx) error { return nil }); err != nil || welcome {
			t.Fatalf("Welcome of somebody awaited = %v, %v, want false", welcome, err)
		}
		if people, events := there("back"); people != 0 || events != 0 {
			t.Errorf("%d people and %d events are stored, want none", people, events)
		}
		refused := fault.New(fault.Invalid, "refused")
		for _, result := range []error{refused, nil} {
			_, err := arrive("back", awaited, func(tx directory.Tx) error {
				if err := tx.InsertPerson(person("back", "back"), ""); err != nil {
					return err
				}
				return result
			})
			if (err == nil) != (result == nil) {
				t.Errorf("after Welcome the transaction gives %v, want %v", err, result)
			}
			err = db.Directory().View(t.Context(), func(tx directory.Tx) error {
				_, err := tx.Person("back")
				return err
			})
			if fault.Is(err, fault.NotFound) != (result != nil) {
				t.Errorf("after %v the person is %v", result, err)
			}
		}
	})
}

// Somebody may be awaited in three ways, each by several values, and in one
// connection alone.
func TestAnArrivalIsAwaitedByItsConnection(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		store.Fill(t, db, []string{
			"INSERT INTO connections (id, organization, link) VALUES ('beta', 'Alpha', 'externalId')",
			"INSERT INTO tombstones (connection, hash, burial, at) VALUES ('alpha', 'grave a', 'b1', 1), ('beta', 'grave b', 'b2', 1)",
			`INSERT INTO pushed_groups (id, connection, name, name_key, external_id, version, created, modified)
				VALUES ('ga', 'alpha', 'ga', 'ga', '', 1, 1, 1), ('gb', 'beta', 'gb', 'gb', '', 1, 1, 1)`,
			"INSERT INTO parked_members (group_id, connection, value) VALUES ('ga', 'alpha', 'name a'), ('gb', 'beta', 'name b')",
		})
		update(t, db, func(tx directory.Tx) error {
			err := tx.InsertPerson(person("known", "known"), "")
			for _, of := range []string{"a", "b"} {
				connection := map[string]string{"a": "alpha", "b": "beta"}[of]
				err = errors.Join(err, tx.InsertIdentity(directory.Identity{
					Connection: connection, Issuer: "i", Subject: of, Link: "link " + of, Person: "known", Created: start,
				}))
			}
			return err
		})
		for name, tc := range map[string]struct {
			arrival directory.Arrival
			want    bool
		}{
			"nothing":      {directory.Arrival{Graves: []string{"1", "2"}, Names: []string{"3", "4", "5"}, Link: "6"}, true},
			"no link":      {directory.Arrival{Graves: []string{"1"}, Names: []string{"2"}}, true},
			"first grave":  {directory.Arrival{Graves: []string{"grave a", "2"}, Names: []string{"3"}}, false},
			"last grave":   {directory.Arrival{Graves: []string{"1", "grave a"}, Names: []string{"3"}, Link: "4"}, false},
			"first name":   {directory.Arrival{Graves: []string{"1"}, Names: []string{"name a", "2", "3"}}, false},
			"last name":    {directory.Arrival{Graves: []string{"1"}, Names: []string{"2", "3", "name a"}}, false},
			"link":         {directory.Arrival{Graves: []string{"1", "2"}, Names: []string{"3"}, Link: "link a"}, false},
			"of beta":      {directory.Arrival{Graves: []string{"grave b"}, Names: []string{"name b"}, Link: "link b"}, true},
			"another kind": {directory.Arrival{Graves: []string{"name a", "link a"}, Names: []string{"grave a", "link a"}, Link: "name a"}, true},
		} {
			tc.arrival.Person = person(name, name)
			tc.arrival.Event = audit.Event{At: start, Action: audit.PersonCreated, Person: name}
			var welcome bool
			update(t, db, func(tx directory.Tx) (err error) {
				welcome, err = tx.Welcome(tc.arrival)
				return err
			})
			if welcome != tc.want {
				t.Errorf("%s: welcome = %t, want %t", name, welcome, tc.want)
			}
		}
	})
}

// The number of a list is right after every change, whoever makes it, though it
// is not counted anew each time.
func TestAListIsCountedAnewAfterAChange(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		one, two := open(), open()
		seed(t, one)
		total := func() (n int) {
			err := one.Directory().Glance(t.Context(), func(tx directory.Tx) error {
				page, err := tx.People(directory.Query{Connection: "alpha", Pushed: true, Limit: 1})
				n = page.Total
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		before := total()
		for i, db := range []*store.DB{one, one, two, two, one} {
			id := string(rune('a' + i))
			update(t, db, func(tx directory.Tx) error { return tx.InsertPerson(person("more-"+id, "more-"+id), "") })
			for range 12 { // each of the connections that read
				if n := total(); n != before+i+1 {
					t.Fatalf("total = %d after %d more, want %d", n, i+1, before+i+1)
				}
			}
		}
	})
}
