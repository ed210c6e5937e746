package keys_test

import (
	"context"
	"encoding/json"
	"path/filepath"
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
			_, replacement, err := here.Withdraw(t.Context(), by, kid, "it leaked", nil)
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
		if _, _, err := here.Withdraw(t.Context(), by, first, "again", nil); !fault.Is(err, fault.NotFound) {
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
		_, replacement, err := operators.Withdraw(t.Context(), audit.Gate(), k.ID, "it leaked", nil)
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

// The pair of a SAML connection that leaked is out of use on a running gate, and
// what takes its place signs without notice.
func TestAPairThatLeakedIsOutOfUse(t *testing.T) {
	storetest.Each(t, func(t *testing.T, openDB func() *store.DB) {
		now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		clock := func() time.Time { return now }
		file, pair := filepath.Join(t.TempDir(), "gate.key"), maker(t)
		here, err := keys.Open(t.Context(), keys.Config{Store: openDB().Keys(), File: file, Create: true, Now: clock})
		must(t, err)
		there, err := keys.Open(t.Context(), keys.Config{Store: openDB().Keys(), File: file, Now: clock})
		must(t, err)
		shown := func() []keys.Pair {
			t.Helper()
			pairs, err := there.Pairs(t.Context(), "acme", pair)
			must(t, err)
			return pairs
		}
		id := func(created time.Time) string {
			t.Helper()
			list, err := keys.List(t.Context(), openDB().Keys(), now)
			must(t, err)
			for _, k := range list {
				if k.Purpose == "saml acme" && k.Created.Equal(created) {
					return k.ID
				}
			}
			t.Fatalf("no pair of %v", created)
			return ""
		}
		withdraw := func(leaked keys.Pair) string {
			t.Helper()
			purpose, replacement, err := here.Withdraw(t.Context(), audit.Gate(), id(leaked.Created), "it leaked", pair)
			must(t, err)
			if purpose != "saml acme" {
				t.Errorf("the purpose is %q", purpose)
			}
			for _, p := range shown() {
				if p.Certificate.Equal(leaked.Certificate) {
					t.Error("a pair that leaked is in use")
				}
			}
			return replacement
		}

		first := shown()[0]
		now = now.Add(time.Hour)
		if replacement := withdraw(first); len(shown()) != 1 || replacement != id(now) {
			t.Errorf("%q replaces the only pair, %d are shown", replacement, len(shown()))
		}
		second := shown()[0]
		now = now.Add(time.Hour)
		must(t, here.NextPair(t.Context(), "acme", audit.Gate(), pair))
		third := now
		if p := shown(); len(p) != 2 || !p[0].Created.Equal(second.Created) {
			t.Fatalf("the next pair signs at once: %v", p)
		}
		now = now.Add(time.Hour)
		if replacement := withdraw(second); replacement != id(third) || len(shown()) != 1 || !shown()[0].Created.Equal(third) {
			t.Errorf("%q replaces it, want the pair that waited", replacement)
		}
		must(t, here.NextPair(t.Context(), "acme", audit.Gate(), pair))
		if p := shown(); len(p) != 2 || !p[0].Created.Equal(third) {
			t.Fatalf("one that was made after a withdrawal signs at once: %v", p)
		}
		if none := withdraw(shown()[1]); none != "" || !shown()[0].Created.Equal(third) {
			t.Errorf("%q replaces one that only waited", none)
		}
		if _, _, err := here.Withdraw(t.Context(), audit.Gate(), "nothing", "it leaked", pair); !fault.Is(err, fault.NotFound) {
			t.Errorf("Withdraw of nothing = %v", err)
		}
	})
}

// A running gate does not ask the database for its pairs each time, and one
// that is cut off gives none that nobody can vouch for.
func TestARunningGateKnowsItsPairs(t *testing.T) {
	db := storetest.SQLite(t)
	file := filepath.Join(t.TempDir(), "gate.key")
	pair := maker(t)
	_, err := open(t, db, file).Pairs(t.Context(), "acme", pair)
	must(t, err)
	stored, err := db.Keys().Keys(t.Context(), "")
	must(t, err)
	synctest.Test(t, func(t *testing.T) {
		s := &away{kept: stored}
		r, err := keys.Open(t.Context(), keys.Config{Store: s, File: file})
		must(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		<-time.After(time.Minute)
		asked := s.asked.Load()
		if pairs, err := r.Pairs(ctx, "acme", pair); err != nil || len(pairs) != 1 || s.asked.Load() != asked {
			t.Errorf("%d pairs, %v, after %d questions", len(pairs), err, s.asked.Load()-asked)
		}
		s.gone.Store(true)
		<-time.After(time.Second)
		if pairs, err := r.Pairs(ctx, "acme", pair); !fault.Is(err, fault.Unavailable) {
			t.Errorf("cut off there are %d pairs, %v", len(pairs), err)
		}
		cancel()
		must(t, <-done)
	})
}

// away is a store whose database can go away.
type away struct {
	keys.Store

	kept  []keys.Stored
	gone  atomic.Bool
	asked atomic.Int32 // how often for one purpose
}

func (a *away) Keys(_ context.Context, purpose string) ([]keys.Stored, error) {
	if a.gone.Load() {
		return nil, fault.New(fault.Unavailable, "the database is away")
	}
	if purpose == "" {
		return a.kept, nil
	}
	a.asked.Add(1)
	var out []keys.Stored
	for _, k := range a.kept {
		if k.Purpose == purpose {
			out = append(out, k)
		}
	}
	return out, nil
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
