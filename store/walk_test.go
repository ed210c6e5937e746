package store_test

import (
	"strconv"
	"testing"

	"portcullis/audit"
	"portcullis/store"
	"portcullis/store/storetest"
)

// The sealer runs while the trail is read.
func TestAWalkMissesNothingThatIsSealedMeanwhile(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		record := func(n int) {
			t.Helper()
			if err := db.Audit().Record(t.Context(), audit.Event{At: start, Action: audit.SignIn, Subject: strconv.Itoa(n)}); err != nil {
				t.Fatal(err)
			}
		}
		seal := func() {
			t.Helper()
			if _, err := audit.NewSealer(db.Audit(), nil).Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		record(0)
		seal()
		record(1)
		times, chain := make(map[string]int), int64(0)
		err := db.Audit().Walk(t.Context(), func(e audit.Event, s audit.Seal) error {
			if times[e.Subject]++; e.Subject == "0" {
				record(2)
				seal()
				record(3)
			}
			if s.Position > 0 {
				if chain++; s.Position != chain {
					t.Errorf("position %d came in place %d", s.Position, chain)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []string{"0", "1", "2", "3"} {
			if times[n] != 1 {
				t.Errorf("event %s came %d times, want once", n, times[n])
			}
		}
		if r, err := audit.Verify(t.Context(), db.Audit()); err != nil || len(r.Broken) > 0 {
			t.Errorf("Verify = %+v, %v, want whole", r, err)
		}
	})
}
