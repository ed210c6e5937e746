package keys_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/keys"
	"portcullis/session"
	"portcullis/store"
	"portcullis/store/storetest"
)

func published(t *testing.T, r *keys.Ring) int {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(r.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	return len(set.Keys)
}

// A portal that keeps the key set for five minutes verifies every assertion
// that is at most six minutes old, at every moment of a rotation, from any
// replica.
func TestRotationLosesNoAssertion(t *testing.T) {
	storetest.Each(t, func(t *testing.T, openDB func() *store.DB) {
		now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		file := filepath.Join(t.TempDir(), "gate.key")
		rings := make([]*keys.Ring, 2)
		for i := range rings {
			var err error
			rings[i], err = keys.Open(t.Context(), keys.Config{Store: openDB().Keys(), File: file, Create: true, Now: func() time.Time { return now }})
			must(t, err)
		}
		type copied struct {
			at   time.Time
			text string
		}
		var sets, signed []copied
		kids := map[string]bool{}
		for minute := range 60 {
			if minute == 10 {
				_, err := rings[0].Rotate(t.Context(), audit.Gate(), keys.Assertion, keys.PublishAhead)
				must(t, err)
				if _, err := rings[1].Rotate(t.Context(), audit.Gate(), keys.Assertion, 0); !fault.Is(err, fault.Conflict) {
					t.Errorf("Rotate while a key waits = %v, want conflict", err)
				}
			}
			for _, r := range rings {
				must(t, r.Refresh(t.Context()))
				text, err := r.Sign(map[string]any{"sub": "ada"})
				must(t, err)
				signed = append(signed, copied{now, text})
				sets = append(sets, copied{now, string(r.JWKS())})
			}
			for _, set := range sets {
				for _, s := range signed {
					if now.Sub(set.at) <= 5*time.Minute && now.Sub(s.at) <= 6*time.Minute {
						_, kid := claims(t, []byte(set.text), s.text)
						kids[kid] = true
					}
				}
			}
			now = now.Add(time.Minute)
		}
		if len(kids) != 2 || published(t, rings[0]) != 1 || published(t, rings[1]) != 1 {
			t.Errorf("%d keys signed, %d are published at the end, want 2 and 1", len(kids), published(t, rings[0]))
		}
		// The next rotation forgets the key that nobody needs any more.
		_, err := rings[0].Rotate(t.Context(), audit.Gate(), keys.Assertion, 0)
		must(t, err)
		list, err := keys.List(t.Context(), openDB().Keys(), now)
		must(t, err)
		var states []string
		for _, k := range list {
			states = append(states, k.Purpose+" "+k.State)
		}
		if diff := cmp.Diff([]string{"assertion signing", "assertion published"}, states); diff != "" {
			t.Errorf("List (-want +got):\n%s", diff)
		}
		if _, err := rings[0].Rotate(t.Context(), audit.Gate(), "nothing", 0); !fault.Is(err, fault.NotFound) {
			t.Errorf("Rotate of what has no key = %v, want not found", err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fill stores somebody's living session with a sealed token of each kind.
func fill(t *testing.T, r *keys.Ring, db *store.DB) {
	t.Helper()
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	idToken, err := r.Seal(session.IDTokenPurpose, []byte("id"))
	must(t, err)
	refresh, err := r.Seal(session.RefreshPurpose, []byte("refresh"))
	must(t, err)
	must(t, db.Directory().Update(t.Context(), func(tx directory.Tx) error {
		return errors.Join(tx.PutOrganization(directory.Organization{Name: "Alpha"}, at),
			tx.InsertPerson(directory.Person{ID: "p1", Connection: "alpha", Organization: "Alpha", IDPActive: true, Version: 1}, ""))
	}))
	must(t, db.Sessions().InsertSession(t.Context(), session.Row{
		ID: "s1", TokenHash: []byte("h"), Person: "p1", Connection: "alpha", IDToken: idToken, Refresh: refresh, Created: at, Expires: at.Add(time.Hour),
	}))
}

// Two machines with a key file each.
func TestTheWrappingKeyIsReplacedUnderRunningReplicas(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		openDB := func() *store.DB {
			db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
			must(t, err)
			t.Cleanup(func() { must(t, db.Close()) })
			return db
		}
		here, there := filepath.Join(t.TempDir(), "gate.key"), filepath.Join(t.TempDir(), "gate.key")
		db := openDB()
		a := open(t, db, here)
		old, err := os.ReadFile(here)
		must(t, err)
		must(t, os.WriteFile(there, old, 0o600))
		b := open(t, openDB(), there)
		before := string(a.JWKS())
		client, err := a.Client(t.Context(), "alpha")
		must(t, err)
		raw := storetest.Raw(t, databaseURL)
		fill(t, a, db)

		fresh := filepath.Join(t.TempDir(), "new.key")
		changed, err := a.Rewrap(t.Context(), audit.Gate(), fresh)
		if err != nil || changed != 4 {
			t.Fatalf("Rewrap = %d, %v, want two keys and two tokens", changed, err)
		}
		// The other machine has not got the new file yet: it goes on, and says so.
		if err := b.Refresh(t.Context()); !fault.Is(err, fault.Invalid) {
			t.Errorf("Refresh without the new key = %v, want invalid", err)
		}
		if _, err := b.Sign(map[string]any{}); err != nil {
			t.Errorf("Sign without the new key = %v", err)
		}
		late, err := b.Seal(session.RefreshPurpose, []byte("late"))
		must(t, err)
		key, err := os.ReadFile(fresh)
		must(t, err)
		must(t, os.WriteFile(there+".next", key, 0o600))
		must(t, b.Refresh(t.Context()))

		var kept []byte
		must(t, raw.QueryRowContext(t.Context(), "SELECT refresh_token FROM sessions WHERE id = 's1'").Scan(&kept))
		for _, r := range []*keys.Ring{a, b, open(t, db, here), open(t, openDB(), there)} {
			if plain, err := r.Open(session.RefreshPurpose, kept); err != nil || string(plain) != "refresh" {
				t.Errorf("Open = %q, %v", plain, err)
			}
			if string(r.JWKS()) != before {
				t.Error("the signing key is another one")
			}
		}
		if again, err := open(t, db, here).Client(t.Context(), "alpha"); err != nil || string(again.JWKS()) != string(client.JWKS()) {
			t.Errorf("client key: %v", err)
		}
		if plain, err := b.Open(session.RefreshPurpose, late); err != nil || string(plain) != "late" {
			t.Errorf("what was sealed in between: %q, %v", plain, err)
		}
		refuses(t, db, oldFile(t, old), false, "is not the key file that wrapped the keys in this database")
		if kept, err := os.ReadFile(here + ".old"); err != nil || string(kept) != string(old) {
			t.Errorf("the former key is not kept: %v", err)
		}
		if changed, err := a.Rewrap(t.Context(), audit.Gate(), here); err != nil || changed != 0 {
			t.Errorf("Rewrap again = %d, %v, want nothing to do", changed, err)
		}
		// Something that neither key opens: nothing changes at all.
		_, err = raw.ExecContext(t.Context(), "UPDATE sessions SET refresh_token = id_token WHERE id = 's1'")
		must(t, err)
		if _, err := a.Rewrap(t.Context(), audit.Gate(), filepath.Join(t.TempDir(), "third.key")); !fault.Is(err, fault.Invalid) {
			t.Errorf("Rewrap over what nothing opens = %v, want invalid", err)
		}
		open(t, db, here)
	})
}

func oldFile(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "old.key")
	must(t, os.WriteFile(path, text, 0o600))
	return path
}

func TestRunTakesUpARotatedKey(t *testing.T) {
	db := storetest.SQLite(t)
	file := filepath.Join(t.TempDir(), "gate.key")
	r := open(t, db, file)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	_, err := open(t, db, file).Rotate(t.Context(), audit.Gate(), keys.Assertion, 0)
	must(t, err)
	deadline := time.NewTimer(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for published(t, r) != 2 {
		select {
		case <-deadline.C:
			t.Fatal("the new key is not seen")
		case <-tick.C:
		}
	}
	cancel()
	must(t, <-done)
}
