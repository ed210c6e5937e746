package store_test

import (
	"context"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

func TestConnectionsOfTheConsole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		s, now := db.Made(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		event := audit.Event{At: now, Action: audit.ConnectionCreated, Actor: audit.Gate()}
		put := func(m admin.Made) error {
			_, err := s.Put(context.WithoutCancel(t.Context()), m, false, func(int) audit.Event { return event })
			return err
		}
		m := admin.Made{ID: "omega", Document: []byte("{}"), Sealed: []byte("sealed"), Created: now, Changed: now, Author: "ada"}
		if v, err := s.Version(t.Context()); v != 0 || err != nil {
			t.Fatalf("version = %d, %v", v, err)
		}
		if err := put(m); err != nil {
			t.Fatal(err)
		}
		if err := put(m); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second of that id: %v, want a conflict", err)
		}
		all, version, err := s.All(t.Context())
		if err != nil || len(all) != 1 || version != 1 || string(all[0].Sealed) != "sealed" || all[0].Version != 1 {
			t.Fatalf("all = %+v, %d, %v", all, version, err)
		}
		// Two who changed the same state: the second is told.
		m = all[0]
		if err := put(m); err != nil {
			t.Fatal(err)
		}
		if err := put(m); !fault.Is(err, fault.Conflict) {
			t.Errorf("a change of an old state: %v, want a conflict", err)
		}
		// What is sealed is wrapped anew with all the rest.
		var seen []string
		_, err = db.Keys().Rewrap(t.Context(), func(purpose string, sealed []byte) ([]byte, error) {
			seen = append(seen, purpose+"="+string(sealed))
			return []byte("anew"), nil
		}, func(int) audit.Event { return event })
		if err != nil || len(seen) != 1 || seen[0] != admin.SecretsPurpose+"omega=sealed" {
			t.Errorf("rewrapped = %v, %v", seen, err)
		}
		if all, _, _ = s.All(t.Context()); string(all[0].Sealed) != "anew" {
			t.Errorf("sealed = %s", all[0].Sealed)
		}
		if _, err := s.Remove(t.Context(), "omega", false, now, func(int) audit.Event { return event }); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Remove(t.Context(), "omega", false, now, func(int) audit.Event { return event }); !fault.Is(err, fault.NotFound) {
			t.Errorf("removing it again: %v, want not found", err)
		}
		all, version, err = s.All(t.Context())
		if err != nil || version != 3 || all[0].Removed.IsZero() || all[0].Sealed != nil {
			t.Errorf("afterwards: %+v, %d, %v", all, version, err)
		}
		// An id that people are known by is never given to somebody else.
		m.Version = 0
		if err := put(m); !fault.Is(err, fault.Conflict) {
			t.Errorf("the id of one that was removed: %v, want a conflict", err)
		}
		err = db.Directory().Update(t.Context(), func(tx directory.Tx) error {
			if err := tx.PutOrganization(directory.Organization{Name: "Alpha"}, now); err != nil {
				return err
			}
			return tx.PutConnection(directory.Connection{ID: "alpha", Organization: "Alpha", Link: "externalId"})
		})
		if err != nil {
			t.Fatal(err)
		}
		m.ID = "alpha"
		if err := put(m); !fault.Is(err, fault.Conflict) {
			t.Errorf("the id of one of the configuration: %v, want a conflict", err)
		}
	})
}
