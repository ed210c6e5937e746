package store_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/directory"
	"portcullis/store"
	"portcullis/store/storetest"
)

// Events join the indexes of the trail when they are sealed; until then they
// are found all the same, in one order with the others.
func TestEventsAreFoundBeforeTheyAreSealed(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		for i := range 6 {
			e := audit.Event{
				At: start.Add(time.Duration(i) * time.Minute), Action: audit.PersonLocked, Actor: audit.Gate(),
				Person: fmt.Sprint("p", i%2), Subject: strconv.Itoa(i), Connection: "alpha",
			}
			if err := db.Audit().Record(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		unsealed, err := db.Audit().Unsealed(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		for n, of := range []int{1, 2, 4} { // not in order, as concurrent transactions may be
			err := db.Audit().AppendSeals(t.Context(), []audit.Seal{{Position: int64(n + 1), Event: unsealed[of].Seq}})
			if err != nil {
				t.Fatal(err)
			}
		}
		for name, tc := range map[string]struct {
			query admin.EventQuery
			want  string
		}{
			"all":           {admin.EventQuery{}, "5 4 3 2 1 0"},
			"of a person":   {admin.EventQuery{Person: "p0"}, "4 2 0"},
			"of an action":  {admin.EventQuery{Action: string(audit.PersonLocked), Before: unsealed[5].Seq}, "4 3 2 1 0"},
			"of a time":     {admin.EventQuery{From: start.Add(time.Minute), To: start.Add(4 * time.Minute)}, "3 2 1"},
			"of connection": {admin.EventQuery{Connections: []string{"alpha", "beta"}}, "5 4 3 2 1 0"},
			"of none":       {admin.EventQuery{Connections: []string{"beta"}}, ""},
		} {
			for limit := 1; limit <= 7; limit++ {
				tc.query.Limit = limit
				events, err := db.Admin().Events(t.Context(), tc.query)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, e := range events {
					got = append(got, e.Subject)
				}
				want := strings.Fields(tc.want)
				want = want[:min(limit, len(want))]
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s, at most %d: %v, want %v", name, limit, got, want)
				}
			}
		}
	})
}

// Losses join the indexes of the ledger when they are counted; what is said
// again of somebody, and what stands against an undo, is known at once.
func TestLossesAreKnownBeforeTheyAreCounted(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		later := func(kind directory.LossKind, group, member string) directory.Loss {
			return directory.Loss{At: start.Add(time.Second), Connection: "alpha", Group: group, Kind: kind, Member: member, Weight: 1}
		}
		for _, counted := range []bool{false, true} {
			group, member := fmt.Sprint("g-", counted), fmt.Sprint("p-", counted)
			overruled := func(want bool) {
				t.Helper()
				update(t, db, func(tx directory.Tx) error {
					got, err := tx.Overruled(directory.Loss{Connection: "alpha", Seq: 1, Mass: 7}, group, member)
					if err == nil && got != want {
						t.Errorf("counted %t: overruled is %t, want %t", counted, got, want)
					}
					return err
				})
			}
			count := func() {
				t.Helper()
				if counted {
					update(t, db, func(tx directory.Tx) error { _, err := tx.TakePending(); return err })
				}
			}
			update(t, db, func(tx directory.Tx) error { return tx.InsertLoss(later(directory.Removal, "", "somebody")) })
			overruled(false)
			update(t, db, func(tx directory.Tx) error { return tx.InsertLoss(later(directory.Removal, "other", member)) })
			count()
			update(t, db, func(tx directory.Tx) error {
				return tx.InsertRestatement(later(directory.Restatement, group, ""), []string{member, "never lost"})
			})
			count()
			overruled(true)
			member = "another"
			overruled(false)
			update(t, db, func(tx directory.Tx) error { return tx.InsertRestatement(later(directory.Replacement, group, ""), nil) })
			count()
			overruled(true)
		}
	})
}

// A pass counts what it has taken, however soon the next loss comes.
func TestAPassCountsWhatItTook(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		lose := func(member string) {
			t.Helper()
			update(t, db, func(tx directory.Tx) error {
				return tx.InsertLoss(directory.Loss{At: start, Connection: "alpha", Kind: directory.Deactivation, Member: member, Weight: 1})
			})
		}
		pass := func(want int) {
			t.Helper()
			update(t, db, func(tx directory.Tx) error {
				if _, err := tx.TakePending(); err != nil {
					return err
				}
				if err := tx.InsertLoss(directory.Loss{At: start, Connection: "alpha", Kind: directory.Deactivation, Member: fmt.Sprint("late", want), Weight: 1}); err != nil {
					return err
				}
				n, err := tx.CountLosses("alpha", "", start.Add(-time.Hour), start)
				if err == nil && n != want {
					t.Errorf("counted %d, want %d", n, want)
				}
				return err
			})
		}
		lose("p1")
		lose("p2")
		pass(2)
		lose("p3")
		pass(4) // with the one that came late
	})
}
