package keys_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/keys"
	"portcullis/store"
	"portcullis/store/storetest"
)

// signedBy gives the kid of what a signer signs, and holds it against its own
// key set.
func signedBy(t *testing.T, s interface {
	Sign(claims any) (string, error)
	JWKS() []byte
},
) string {
	t.Helper()
	text, err := s.Sign(map[string]any{"sub": "ada"})
	must(t, err)
	_, kid := claims(t, s.JWKS(), text)
	return kid
}

func publishes(t *testing.T, jwks []byte, kid string) bool {
	t.Helper()
	var set jose.JSONWebKeySet
	must(t, json.Unmarshal(jwks, &set))
	return len(set.Key(kid)) > 0
}

func TestAWithdrawnKeyIsOutOfUseOnEveryReplica(t *testing.T) {
	storetest.Each(t, func(t *testing.T, openDB func() *store.DB) {
		file := filepath.Join(t.TempDir(), "gate.key")
		var forgotten atomic.Int32
		here := open(t, openDB(), file)
		there, err := keys.Open(t.Context(), keys.Config{Store: openDB().Keys(), File: file, Withdrawn: func() { forgotten.Add(1) }})
		must(t, err)
		by := audit.Actor{Kind: "operator", Name: "olga"}
		withdraw := func(kid string) string {
			t.Helper()
			replacement, err := here.Withdraw(t.Context(), by, kid, "it leaked")
			must(t, err)
			must(t, there.Refresh(t.Context()))
			if publishes(t, there.JWKS(), kid) || signedBy(t, there) == kid {
				t.Errorf("%s is in use on the other replica", kid)
			}
			return replacement
		}

		first := signedBy(t, there)
		second := withdraw(first)
		if second == "" || signedBy(t, there) != second || forgotten.Load() != 1 {
			t.Errorf("%q replaces it, %s signs, statements were forgotten %d times", second, signedBy(t, there), forgotten.Load())
		}
		next, err := here.Rotate(t.Context(), by, keys.Assertion, time.Hour)
		must(t, err)
		must(t, there.Refresh(t.Context()))
		if forgotten.Load() != 1 || signedBy(t, there) != second {
			t.Error("a rotation is taken for a withdrawal")
		}
		if third := withdraw(second); third != next.ID || signedBy(t, there) != next.ID {
			t.Errorf("%q replaces it, want the one that waited, %s", third, next.ID)
		}
		waiting, err := here.Rotate(t.Context(), by, keys.Assertion, time.Hour)
		must(t, err)
		if none := withdraw(waiting.ID); none != "" || signedBy(t, there) != next.ID {
			t.Errorf("%q replaces one that only waited", none)
		}
		if _, err := here.Withdraw(t.Context(), by, first, "again"); !fault.Is(err, fault.NotFound) {
			t.Errorf("Withdraw again = %v, want not found", err)
		}
	})
}

func TestAClientKeyRotatesAndIsWithdrawn(t *testing.T) {
	storetest.Each(t, func(t *testing.T, openDB func() *store.DB) {
		now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		file := filepath.Join(t.TempDir(), "gate.key")
		var forgotten atomic.Int32
		ring, err := keys.Open(t.Context(), keys.Config{
			Store: openDB().Keys(), File: file, Create: true, Now: func() time.Time { return now }, Withdrawn: func() { forgotten.Add(1) },
		})
		must(t, err)
		client, err := ring.Client(t.Context(), "acme")
		must(t, err)
		operators, err := keys.Open(t.Context(), keys.Config{Store: openDB().Keys(), File: file, Now: func() time.Time { return now }})
		must(t, err)
		if _, err := operators.Rotate(t.Context(), audit.Gate(), keys.ClientPurpose("beta"), 0); !fault.Is(err, fault.NotFound) {
			t.Errorf("Rotate at a connection without a key = %v", err)
		}
		first := signedBy(t, client)
		k, err := operators.Rotate(t.Context(), audit.Gate(), keys.ClientPurpose("acme"), time.Hour)
		must(t, err)
		must(t, ring.Refresh(t.Context()))
		if signedBy(t, client) != first || !publishes(t, client.JWKS(), k.ID) {
			t.Error("the next key signs at once, or is not published")
		}
		now = now.Add(time.Hour)
		if signedBy(t, client) != k.ID {
			t.Error("the next key does not sign in its time")
		}
		replacement, err := operators.Withdraw(t.Context(), audit.Gate(), k.ID, "it leaked")
		must(t, err)
		must(t, ring.Refresh(t.Context()))
		if publishes(t, client.JWKS(), k.ID) || signedBy(t, client) != replacement || replacement == first {
			t.Errorf("after the withdrawal %s signs, want %s", signedBy(t, client), replacement)
		}
		if forgotten.Load() != 0 {
			t.Error("assertions were forgotten for a key that signs none")
		}
	})
}

func TestThePairOfASAMLConnectionIsNotWithdrawn(t *testing.T) {
	db := storetest.SQLite(t)
	r := open(t, db, filepath.Join(t.TempDir(), "gate.key"))
	_, err := r.Pairs(t.Context(), "acme", maker(t))
	must(t, err)
	stored, err := db.Keys().Keys(t.Context(), "saml acme")
	must(t, err)
	_, err = r.Withdraw(t.Context(), audit.Gate(), stored[0].ID, "it leaked")
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.Message(err), "connection rollover") {
		t.Errorf("Withdraw = %v", err)
	}
}

// away is a store whose database can go away.
type away struct {
	keys.Store

	kept []keys.Stored
	gone atomic.Bool
}

func (a *away) Keys(ctx, string) ([]keys.Stored, error) {
	if a.gone.Load() {
		return nil, fault.New(fault.Unavailable, "the database is away")
	}
	return a.kept, nil
}

func TestAGateThatIsCutOffPublishesNoKeys(t *testing.T) {
	db := storetest.SQLite(t)
	file := filepath.Join(t.TempDir(), "gate.key")
	open(t, db, file)
	stored, err := db.Keys().Keys(t.Context(), keys.Assertion)
	must(t, err)
	synctest.Test(t, func(t *testing.T) {
		s := &away{kept: stored}
		r, err := keys.Open(t.Context(), keys.Config{Store: s, File: file})
		must(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		<-time.After(time.Minute)
		if r.JWKS() == nil {
			t.Error("nothing is published while the database answers")
		}
		s.gone.Store(true)
		began := time.Now()
		for r.JWKS() != nil && time.Since(began) < time.Minute {
			<-time.After(10 * time.Millisecond)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("keys that nobody can vouch for were published for %v", took)
		}
		s.gone.Store(false)
		<-time.After(time.Second)
		if r.JWKS() == nil {
			t.Error("nothing is published after the database came back")
		}
		cancel()
		must(t, <-done)
	})
}
