package keys_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/keys"
	"portcullis/store"
	"portcullis/store/storetest"
)

// maker makes pairs that are good for a year, all of one key: keys are slow to
// make.
func maker(t *testing.T) keys.MakePair {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return func(now time.Time) (*rsa.PrivateKey, *x509.Certificate, error) {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(now.Unix()), Subject: pkix.Name{CommonName: "gate.example"}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0),
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			return nil, nil, err
		}
		c, err := x509.ParseCertificate(der)
		return key, c, err
	}
}

func TestPairsRollOverInTime(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		ring, err := keys.Open(t.Context(), keys.Config{
			Store: open().Keys(), File: filepath.Join(t.TempDir(), "k"), Create: true, Now: func() time.Time { return now },
		})
		if err != nil {
			t.Fatal(err)
		}
		pair := maker(t)
		const day = 24 * time.Hour
		first := now
		for _, step := range []struct {
			after  time.Duration
			shown  int
			signer time.Duration // when the one that signs was made
		}{
			{0, 1, 0},
			{304 * day, 1, 0},
			{306 * day, 2, 0},        // made ahead, shown, not used
			{306*day + 29*day, 2, 0}, // still
			{306*day + 30*day, 2, 306 * day},
			{306*day + 300*day, 2, 306 * day},
		} {
			now = first.Add(step.after)
			pairs, err := ring.Pairs(t.Context(), "acme", pair)
			if err != nil {
				t.Fatal(err)
			}
			if len(pairs) != step.shown || !pairs[0].Created.Equal(first.Add(step.signer)) || pairs[0].Private == nil {
				t.Errorf("after %v: %d pairs, the first of %v; want %d, of %v", step.after, len(pairs), pairs[0].Created, step.shown, first.Add(step.signer))
			}
		}
		if err := ring.NextPair(t.Context(), "acme", audit.Actor{Kind: "operator"}, pair); err != nil {
			t.Fatal(err)
		}
		pairs, err := ring.Pairs(t.Context(), "acme", pair)
		if err != nil || len(pairs) != 3 || !pairs[0].Created.Equal(first.Add(306*day)) {
			t.Errorf("made before its time: %d pairs, %v", len(pairs), err)
		}
		if other, err := ring.Pairs(t.Context(), "beta", pair); err != nil || len(other) != 1 {
			t.Errorf("another connection has %d pairs, %v", len(other), err)
		}
	})
}

func TestReplicasAgreeOnAPair(t *testing.T) {
	storetest.Each(t, func(t *testing.T, opened func() *store.DB) {
		file, pair := filepath.Join(t.TempDir(), "k"), maker(t)
		rings := []*keys.Ring{open(t, opened(), file), open(t, opened(), file)}
		got := make([]keys.Pair, 6)
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() {
				pairs, err := rings[i%2].Pairs(t.Context(), "acme", pair)
				if err != nil || len(pairs) != 1 {
					t.Errorf("%d pairs, %v", len(pairs), err)
					return
				}
				got[i] = pairs[0]
			})
		}
		wg.Wait()
		for _, p := range got[1:] {
			if p.Certificate == nil || !p.Certificate.Equal(got[0].Certificate) {
				t.Errorf("two first pairs: %v and %v", p.Created, got[0].Created)
			}
		}
	})
}
