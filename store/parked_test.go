package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/store"
	"portcullis/store/storetest"
)

// A group that parks a member and that member's arrival, neither committed when
// the other begins, do not miss each other, whichever comes first.
func TestWhoArrivesAndWhoWaitsForThemMeet(t *testing.T) {
	databaseURL := storetest.MigratedPostgresURL(t) // SQLite has one writer at a time
	db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	seed(t, db)
	// meet runs both in transactions that overlap, and gives who is in the group.
	meet := func(name string, first, second func(directory.Tx) error) []string {
		t.Helper()
		firstIn, go1 := make(chan struct{}), make(chan struct{})
		ended := make(chan error, 2)
		go func() {
			ended <- db.Directory().Update(t.Context(), func(tx directory.Tx) error {
				err := first(tx)
				close(firstIn)
				<-go1
				return err
			})
		}()
		<-firstIn
		secondDone := make(chan struct{})
		go func() {
			defer close(secondDone)
			ended <- db.Directory().Update(t.Context(), second)
		}()
		awaitLock(t, databaseURL, secondDone)
		close(go1)
		for range 2 {
			if err := <-ended; err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		var in []string
		err := db.Directory().View(t.Context(), func(tx directory.Tx) error {
			members, err := tx.Members("g-" + name)
			for _, m := range members {
				in = append(in, m.ID)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	for _, link := range []string{"", "l"} {
		for _, by := range []string{"id", "userName", "externalId"} {
			for _, groupFirst := range []bool{true, false} {
				name := fmt.Sprint(by, groupFirst, link)
				p := person("p-"+name, "U."+name)
				park := func(tx directory.Tx) error {
					g := directory.Group{ID: "g-" + name, Connection: "alpha", Name: name, Version: 1, Created: start, Modified: start}
					if err := tx.InsertGroup(g); err != nil {
						return err
					}
					value := map[string]string{"id": p.ID, "userName": p.UserName, "externalId": p.ExternalID}[by]
					arrived, err := tx.Park(g.ID, []string{value, "nobody"})
					if err == nil {
						_, err = tx.AddMembers(g.ID, arrived, start)
					}
					return err
				}
				claim := func(tx directory.Tx) error {
					groups, err := tx.ClaimParked(p.Connection, []string{p.ID, p.UserName, p.ExternalID})
					for _, g := range groups {
						if _, err := tx.AddMembers(g, []string{p.ID}, start); err != nil {
							return err
						}
					}
					return err
				}
				arrive := func(tx directory.Tx) error {
					welcome, err := tx.Welcome(directory.Arrival{
						Person: p, Link: link, Names: []string{p.ID, p.UserName, p.ExternalID}, Graves: []string{"none"},
						Event: audit.Event{At: start, Action: audit.PersonCreated, Person: p.ID},
					})
					if err != nil || welcome {
						return err
					}
					if err := tx.InsertPerson(p, link); err != nil {
						return err
					}
					return claim(tx)
				}
				first, second := park, arrive
				if !groupFirst { // Welcome commits at once: in a longer transaction
					first, second = func(tx directory.Tx) error {
						if err := tx.InsertPerson(p, link); err != nil {
							return err
						}
						return claim(tx)
					}, park
				}
				if in := meet(name, first, second); !slices.Equal(in, []string{p.ID}) {
					t.Errorf("by %s, the group first: %t, link %q: in the group is %q, want %q", by, groupFirst, link, in, p.ID)
				}
			}
		}
	}
	var parked int
	if err := storetest.Raw(t, databaseURL).QueryRowContext(t.Context(), "SELECT count(*) FROM parked_members WHERE value <> 'nobody'").Scan(&parked); err != nil || parked > 0 {
		t.Errorf("%d members are parked still (%v), want none", parked, err)
	}
}

// awaitLock waits until somebody waits for a lock of the database, or is done.
func awaitLock(t *testing.T, databaseURL string, done <-chan struct{}) {
	t.Helper()
	awaitLocks(t, databaseURL, 1, done)
}

// awaitLocks waits until some wait for a lock, or done.
func awaitLocks(t *testing.T, databaseURL string, some int, done <-chan struct{}) {
	t.Helper()
	raw := storetest.Raw(t, databaseURL)
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); {
		var n int
		err := raw.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n >= some {
			return
		}
		select {
		case <-done:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
	t.Fatal("nobody waits and nobody is done")
}
