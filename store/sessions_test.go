package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/keys"
	"portcullis/login"
	"portcullis/session"
	"portcullis/store"
	"portcullis/store/storetest"
)

var happened = audit.Event{At: start, Action: audit.SessionEnded, Actor: audit.Gate(), Subject: "s"}

// actions counts the events in the trail.
func actions(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	err := db.Audit().Walk(t.Context(), func(audit.Event, audit.Seal) error { n++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// seedSession makes a person with an assertion and gives a session of theirs.
func seedSession(t *testing.T, db *store.DB, id string) session.Row {
	t.Helper()
	r := session.Row{
		ID: "s-" + id, TokenHash: []byte("hash of " + id), Person: id, Connection: "alpha", IDToken: []byte{0, 1, 2},
		Issuer: "https://id.example", Subject: "sub of " + id, ProviderSession: "sid of " + id,
		Refresh: []byte("refresh of " + id), RefreshDue: start.Add(10 * time.Minute),
		Client:  session.Client{Address: "192.0.2.1", UserAgent: "UA"},
		Created: start, LastSeen: start, Expires: start.Add(time.Hour),
	}
	update(t, db, func(tx directory.Tx) error {
		if err := tx.InsertPerson(person(id, id), ""); err != nil {
			return err
		}
		var err error
		r.AssertionID, err = tx.InsertAssertion(id, directory.Assertion{Subject: id, Groups: []string{"g"}, Received: start})
		return err
	})
	return r
}

func TestSessionSurvivesARoundTrip(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		want := seedSession(t, db, "p1")
		s := db.Sessions()
		if err := s.InsertSession(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		check := func() directory.Standing {
			t.Helper()
			got, standing, err := s.FindSession(t.Context(), want.TokenHash)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("session (-want +got):\n%s", diff)
			}
			return standing
		}
		if st := check(); st.Organization.Name != "Alpha" || st.Person.ID != "p1" || st.Assertion.Groups[0] != "g" || !st.Person.LastActive.Equal(start) {
			t.Errorf("standing = %+v", st)
		}
		if err := s.InsertSession(t.Context(), want); !fault.Is(err, fault.Conflict) {
			t.Errorf("the same session again = %v, want conflict", err)
		}

		want.LastSeen = start.Add(time.Minute)
		for _, at := range []time.Time{want.LastSeen, start, start.Add(-time.Hour)} { // forward, never back
			if err := s.Touch(t.Context(), map[string]time.Time{want.ID: at, "nobody's": at}); err != nil {
				t.Fatal(err)
			}
		}
		if st := check(); !st.Person.LastActive.Equal(want.LastSeen) {
			t.Errorf("last active = %v, want %v", st.Person.LastActive, want.LastSeen)
		}

		for range 2 { // ended once, however often
			if err := s.EndSession(t.Context(), want.ID, "why", start.Add(time.Second), happened); err != nil {
				t.Fatal(err)
			}
			want.Ended, want.EndReason = start.Add(time.Second), "why"
			check()
		}
		changes, _, err := s.Changes(t.Context(), 0)
		if err != nil || len(changes) != 1 || changes[0].Session != want.ID || !changes[0].Loss {
			t.Errorf("changes = %+v, %v, want one loss of the session", changes, err)
		}
		if n := actions(t, db); n != 1 {
			t.Errorf("%d events, want one", n)
		}
		if rows, err := s.SessionsOf(t.Context(), "p1", start); err != nil || len(rows) != 0 {
			t.Errorf("living sessions = %v, %v, want none", rows, err)
		}
		if err := s.DeleteSessions(t.Context(), start.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.FindSession(t.Context(), want.TokenHash); !fault.Is(err, fault.NotFound) {
			t.Errorf("after DeleteSessions = %v, want not found", err)
		}
	})
}

func TestNobodyBarredGetsASession(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		for name, bar := range map[string]func(*directory.Person){
			"locked":      func(p *directory.Person) { p.Locked = &directory.Bar{At: start} },
			"deactivated": func(p *directory.Person) { p.Deactivated = &directory.Bar{At: start} },
			"idp":         func(p *directory.Person) { p.IDPActive = false },
		} {
			r := seedSession(t, db, name)
			update(t, db, func(tx directory.Tx) error {
				p, err := tx.Person(name)
				bar(&p)
				return errors.Join(err, tx.UpdatePerson(p, ""))
			})
			if err := db.Sessions().InsertSession(t.Context(), r); !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s: %v, want forbidden", name, err)
			}
		}
		gone := seedSession(t, db, "gone")
		update(t, db, func(tx directory.Tx) error { return tx.DeletePerson("gone") })
		if err := db.Sessions().InsertSession(t.Context(), gone); !fault.Is(err, fault.Forbidden) {
			t.Errorf("deleted: %v, want forbidden", err)
		}
	})
}

// TestALockThatASessionRacesWins: whichever comes first, afterwards no
// session of a locked person lives.
func TestALockThatASessionRacesWins(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := open(), open()
		seed(t, a)
		for i := range 15 {
			r := seedSession(t, a, fmt.Sprint("p", i))
			var wg sync.WaitGroup
			wg.Go(func() { _ = a.Sessions().InsertSession(t.Context(), r) })
			wg.Go(func() {
				err := b.Directory().Update(t.Context(), func(tx directory.Tx) error {
					p, err := tx.Person(r.Person)
					if err != nil {
						return err
					}
					p.Locked = &directory.Bar{At: start}
					if err := tx.UpdatePerson(p, ""); err != nil {
						return err
					}
					_, err = tx.EndSessions(r.Person, "locked", start)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			if rows, err := a.Sessions().SessionsOf(t.Context(), r.Person, start); err != nil || len(rows) != 0 {
				t.Errorf("round %d: a locked person has %d sessions, %v", i, len(rows), err)
			}
		}
	})
}

func TestManyTouchesOfTwoReplicasAllLand(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		a, b := open(), open()
		seed(t, a)
		seen := make(map[string]time.Time)
		for i := range 450 {
			r := seedSession(t, a, fmt.Sprint("p", i))
			if err := a.Sessions().InsertSession(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			seen[r.ID] = start.Add(time.Minute)
		}
		var wg sync.WaitGroup
		for _, db := range []*store.DB{a, b, a, b} {
			wg.Go(func() {
				if err := db.Sessions().Touch(t.Context(), seen); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for i := range 450 {
			if r, _, err := a.Sessions().FindSession(t.Context(), []byte(fmt.Sprint("hash of p", i))); err != nil || !r.LastSeen.Equal(start.Add(time.Minute)) {
				t.Fatalf("session %d last seen %v, %v", i, r.LastSeen, err)
			}
		}
	})
}

func TestChangesComeInOrderAndAreDeleted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db, other := open(), open()
		write := func(person string) {
			update(t, db, func(tx directory.Tx) error { return tx.Change(directory.Change{At: start, Person: person}) })
		}
		write("before")
		s := other.Sessions()
		cursor, err := s.LastChange(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		write("a")
		write("b")
		changes, next, err := s.Changes(t.Context(), cursor)
		if err != nil || len(changes) != 2 || changes[0].Person != "a" || changes[1].Person != "b" || changes[0].Seq >= changes[1].Seq {
			t.Errorf("changes = %+v, %v, want a and b", changes, err)
		}
		if changes, _, err := s.Changes(t.Context(), next); err != nil || len(changes) != 0 {
			t.Errorf("changes after that = %+v, %v, want none", changes, err)
		}
		if err := s.DeleteChanges(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		changes, same, err := s.Changes(t.Context(), next)
		if err != nil || len(changes) != 0 || same < next {
			t.Errorf("after deletion: %+v, cursor %d, %v, want none and at least %d", changes, same, err, next)
		}
		select {
		case <-db.Sessions().Woken():
		case <-time.After(10 * time.Second):
			t.Error("nobody was woken")
		}
	})
}

func TestAnotherReplicaIsWoken(t *testing.T) {
	databaseURL := storetest.MigratedPostgresURL(t)
	var dbs []*store.DB
	for range 2 {
		db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		dbs = append(dbs, db)
	}
	deadline := time.After(10 * time.Second)
	for { // until it listens
		update(t, dbs[0], func(tx directory.Tx) error { return tx.Change(directory.Change{At: start}) })
		tick := time.NewTimer(20 * time.Millisecond)
		select {
		case <-dbs[1].Sessions().Woken():
			return
		case <-deadline:
			t.Fatal("the other replica was not woken")
		case <-tick.C:
		}
	}
}

func TestAnAttemptIsConsumedOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		want := login.Attempt{
			StateHash: []byte{1, 0, 255}, BrowserHash: []byte{2}, Connection: "alpha", Nonce: "n", Verifier: "v", ReturnTo: "/x?y=z", Reference: "r",
			Created: start, Expires: start.Add(time.Minute), Address: "192.0.2.1", Test: "t", Replaces: []byte{3},
			Demand: session.Demand{ACR: []string{"gold", "urn:x"}, MaxAge: 5 * time.Minute},
		}
		if err := dbs[0].Login().InsertAttempt(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if err := dbs[0].Login().InsertAttempt(t.Context(), want); !fault.Is(err, fault.Conflict) {
			t.Errorf("the same state again = %v, want conflict", err)
		}
		if _, err := dbs[0].Login().ConsumeAttempt(t.Context(), want.StateHash, want.Expires); !fault.Is(err, fault.NotFound) {
			t.Errorf("expired = %v, want not found", err)
		}
		var given atomic.Int32
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				got, err := dbs[i%2].Login().ConsumeAttempt(t.Context(), want.StateHash, start)
				if fault.Is(err, fault.NotFound) {
					return
				}
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("attempt, %v (-want +got):\n%s", err, diff)
				}
				given.Add(1)
			})
		}
		wg.Wait()
		if given.Load() != 1 {
			t.Errorf("given %d times, want once", given.Load())
		}
		if err := dbs[0].Login().InsertAttempt(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		gone, err := dbs[0].Login().DeleteAttempts(t.Context(), want.Expires.Add(time.Second), 10)
		if diff := cmp.Diff([]login.Attempt{want}, gone); err != nil || diff != "" {
			t.Errorf("DeleteAttempts: %v, (-want +got):\n%s", err, diff)
		}
		if _, err := dbs[0].Login().ConsumeAttempt(t.Context(), want.StateHash, start); !fault.Is(err, fault.NotFound) {
			t.Errorf("after DeleteAttempts = %v, want not found", err)
		}
	})
}

func TestTheFirstKeyWins(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				k := keys.Stored{ID: fmt.Sprint("k", i), Purpose: "p", Created: start, Sealed: []byte{0, byte(i)}}
				if err := dbs[i%2].Keys().InsertFirstKey(context.WithoutCancel(t.Context()), k, happened); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got, err := dbs[0].Keys().Keys(t.Context(), "p")
		if err != nil || len(got) != 1 || actions(t, dbs[0]) != 1 {
			t.Errorf("keys = %v, %v with %d events, want one with one", got, err, actions(t, dbs[0]))
		}
		if other, err := dbs[0].Keys().Keys(t.Context(), "q"); err != nil || len(other) != 0 {
			t.Errorf("keys of another purpose = %v, %v, want none", other, err)
		}
	})
}
