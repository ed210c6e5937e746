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

// Where the last statements of a transaction fail, it is over: whoever takes no
// heed of that is not told that it was done, and does nothing outside of it.
func TestWhatFailedAtItsEndIsNotDone(t *testing.T) {
	databaseURL := storetest.MigratedPostgresURL(t) // SQLite has savepoints
	db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	seed(t, db)
	arrival := directory.Arrival{
		Person: person("p1", "one"), Graves: []string{"g"}, Names: []string{"p1"}, Event: audit.Event{At: start, Action: audit.PersonCreated, Person: "p1"},
	}
	update(t, db, func(tx directory.Tx) error {
		_, err := tx.Welcome(arrival)
		return err
	})
	welcome := func(then func(directory.Tx) error) error {
		return db.Directory().Update(t.Context(), func(tx directory.Tx) error {
			if _, err := tx.Welcome(arrival); !fault.Is(err, fault.Conflict) {
				t.Errorf("Welcome of somebody who is there = %v, want a conflict", err)
			}
			return then(tx)
		})
	}
	if err := welcome(func(directory.Tx) error { return nil }); err == nil {
		t.Error("a transaction that came to nothing is told as done")
	}
	refused := errors.New("refused")
	err = welcome(func(tx directory.Tx) error {
		err := tx.InsertPerson(person("p2", "two"), "")
		_, _ = tx.Person("p2") // sends it
		return errors.Join(refused, err)
	})
	if !errors.Is(err, refused) {
		t.Errorf("error = %v, want that of the caller", err)
	}
	var people, events int
	row := storetest.Raw(t, databaseURL).QueryRowContext(t.Context(), "SELECT (SELECT count(*) FROM people), (SELECT count(*) FROM audit_events)")
	if err := row.Scan(&people, &events); err != nil || people != 1 || events != 1 {
		t.Errorf("%d people and %d events are stored (%v), want 1 and 1: something was committed by itself", people, events, err)
	}
}
