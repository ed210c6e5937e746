package audit_test

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/store"
	"portcullis/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// trail is a database, opened twice: as the gate does, and as somebody who
// tampers with it.
type trail struct {
	t   *testing.T
	db  *store.DB
	raw *sql.DB
	url string
}

// each runs a test on both databases.
func each(t *testing.T, f func(t *testing.T, tr *trail)) {
	t.Helper()
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		f(t, &trail{t: t, db: open(t, databaseURL), raw: storetest.Raw(t, databaseURL), url: databaseURL})
	})
}

func open(t *testing.T, databaseURL string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func (tr *trail) insert(events ...audit.Event) {
	tr.t.Helper()
	for _, e := range events {
		if err := tr.db.Directory().Update(context.WithoutCancel(tr.t.Context()), func(tx directory.Tx) error { return tx.Audit(e) }); err != nil {
			tr.t.Error(err)
		}
	}
}

func (tr *trail) seal() int {
	tr.t.Helper()
	n, err := audit.NewSealer(tr.db.Audit(), nil).Seal(tr.t.Context())
	if err != nil {
		tr.t.Fatal(err)
	}
	return n
}

func (tr *trail) verify() audit.Report {
	tr.t.Helper()
	r, err := audit.Verify(tr.t.Context(), tr.db.Audit())
	if err != nil {
		tr.t.Fatal(err)
	}
	return r
}

func event(i int) audit.Event {
	return audit.Event{
		At: time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC).Add(time.Duration(i) * time.Second), Action: audit.PersonLocked,
		Actor:  audit.Actor{Kind: "operator", ID: "op", Name: "op", Address: "192.0.2.1"},
		Person: fmt.Sprint("p", i), Subject: "ada", Connection: "alpha", Reason: "why", Reference: "ref", Detail: map[string]string{"n": strconv.Itoa(i)},
	}
}

func events(n int) (out []audit.Event) {
	for i := range n {
		out = append(out, event(i))
	}
	return out
}

// TestTheHashOfAnEventIsHeld: a chain of years is worth nothing once the
// next release computes other hashes over the same events.
func TestTheHashOfAnEventIsHeld(t *testing.T) {
	e := event(1)
	e.Seq = 42
	first, err := audit.Next([32]byte{}, e)
	if err != nil {
		t.Fatal(err)
	}
	e.Detail = nil
	second, err := audit.Next(first, e)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		got  [32]byte
		want string
	}{
		{first, "7bc1f22fa26bfbca8a26d7c1385f0330d61c18300ad4c0a1dad97ff8450330f5"},
		{second, "8d33bc27d862086ea613c5fc89c97a2bd3fffd541ad2b2373e532cb37c80b461"},
	} {
		if got := hex.EncodeToString(tc.got[:]); got != tc.want {
			t.Errorf("hash = %s, want %s", got, tc.want)
		}
	}
}

func TestHashesAreTheSameAfterARoundTrip(t *testing.T) {
	each(t, func(t *testing.T, tr *trail) {
		plain := event(0)
		zone := event(1)
		zone.At = zone.At.In(time.FixedZone("X", 5*3600+1800))
		empty, none, odd := event(2), event(3), event(4)
		empty.Detail, none.Detail = map[string]string{}, nil
		odd.Subject, odd.Reason = "żółć \u2028 <&> \U0001F600 e\u0301", "line\nbreak\ttab \"quoted\" \\ \x7f"
		odd.Detail = map[string]string{"": "", "ключ": "значение", "b": "<script>", "a": "\ufffd"}
		want := []audit.Event{plain, zone, empty, none, odd}
		tr.insert(want...)
		i := 0
		err := tr.db.Audit().Walk(t.Context(), func(got audit.Event, _ audit.Seal) error {
			want[i].Seq = got.Seq
			a, err := audit.Next([32]byte{1}, want[i])
			if err != nil {
				return err
			}
			b, err := audit.Next([32]byte{1}, got)
			if a != b {
				t.Errorf("event %d hashes differently after a round trip:\n%s", i, cmp.Diff(want[i], got))
			}
			i++
			return err
		})
		if err != nil || i != len(want) {
			t.Errorf("walked %d events, %v, want %d", i, err, len(want))
		}
	})
}

func TestTheChainIsWholeWhateverRunsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, tr *trail) {
		second := open(t, tr.url)
		const writers, each = 6, 30
		var writing, sealing sync.WaitGroup
		for range writers {
			writing.Go(func() { tr.insert(events(each)...) })
		}
		done := make(chan struct{})
		for _, db := range []*store.DB{tr.db, second} {
			sealer := audit.NewSealer(db.Audit(), nil)
			sealing.Go(func() {
				for {
					if _, err := sealer.Seal(t.Context()); err != nil {
						t.Error(err)
					}
					select {
					case <-done:
						return
					default:
					}
				}
			})
		}
		writing.Wait()
		close(done)
		sealing.Wait()
		tr.seal()
		r := tr.verify()
		if r.Sealed != writers*each || r.Unsealed != 0 || len(r.Broken) != 0 {
			t.Errorf("report = %+v, want %d sealed and nothing broken", r, writers*each)
		}
	})
}

func TestManyEventsAreSealedInBatches(t *testing.T) {
	each(t, func(t *testing.T, tr *trail) {
		err := tr.db.Directory().Update(t.Context(), func(tx directory.Tx) error {
			for i := range 1100 {
				if err := tx.Audit(event(i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := tr.seal(); n != 1100 {
			t.Errorf("sealed %d, want 1100", n)
		}
		tr.insert(event(0))
		if r := tr.verify(); r.Sealed != 1100 || r.Unsealed != 1 || len(r.Broken) != 0 {
			t.Errorf("report = %+v", r)
		}
		for _, limit := range []int{400, 1000, 1100, 5000} {
			if diff := cmp.Diff(tr.verify(), tr.parts(limit)); diff != "" {
				t.Errorf("in parts of %d (-whole +parts):\n%s", limit, diff)
			}
		}
	})
}

func TestTamperingIsReported(t *testing.T) {
	for name, tc := range map[string]struct {
		do   []string
		want string // in one of the breaks
	}{
		"event altered":          {[]string{"UPDATE audit_events SET reason = 'other' WHERE person = 'p3'"}, "position 4: event 4 or its seal was altered"},
		"time altered":           {[]string{"UPDATE audit_events SET at = at + 1 WHERE person = 'p3'"}, "position 4: event 4 or its seal was altered"},
		"detail altered":         {[]string{`UPDATE audit_events SET detail = '{"n":"4"}' WHERE person = 'p3'`}, "position 4: event 4 or its seal was altered"},
		"detail made unreadable": {[]string{"UPDATE audit_events SET detail = '{' WHERE person = 'p3'"}, "position 4: event 4 or its seal was altered"},
		"event deleted":          {[]string{"DELETE FROM audit_events WHERE person = 'p3'"}, "position 4: event 4 is missing"},
		"seal deleted":           {[]string{"DELETE FROM audit_seals WHERE position = 4"}, "position 5: the seal before it is missing"},
		"both deleted": {
			[]string{"DELETE FROM audit_events WHERE person = 'p3'", "DELETE FROM audit_seals WHERE position = 4"},
			"position 5: the seal before it is missing",
		},
		"first deleted": {
			[]string{"DELETE FROM audit_events WHERE person = 'p0'", "DELETE FROM audit_seals WHERE position = 1"},
			"position 2: the seal before it is missing",
		},
		"last seal deleted": {[]string{"DELETE FROM audit_seals WHERE position = 9"}, "event 9 claims to be sealed and is not in the chain"},
		"closed up after a deletion": {
			[]string{
				"DELETE FROM audit_events WHERE person = 'p3'", "DELETE FROM audit_seals WHERE position = 4",
				"UPDATE audit_seals SET position = 4 WHERE position = 5", "UPDATE audit_seals SET position = 5 WHERE position = 6",
				"UPDATE audit_seals SET position = 6 WHERE position = 7", "UPDATE audit_seals SET position = 7 WHERE position = 8",
				"UPDATE audit_seals SET position = 8 WHERE position = 9",
			},
			"position 4: event 5 or its seal was altered",
		},
		"events swapped": {
			[]string{
				"UPDATE audit_events SET person = 'x' WHERE person = 'p3'", "UPDATE audit_events SET person = 'p3' WHERE person = 'p4'",
				"UPDATE audit_events SET person = 'p4' WHERE person = 'x'",
			},
			"position 4: event 4 or its seal was altered",
		},
		"seals swapped": {
			[]string{
				"UPDATE audit_seals SET position = 100 WHERE position = 4", "UPDATE audit_seals SET position = 4 WHERE position = 5",
				"UPDATE audit_seals SET position = 5 WHERE position = 100",
			},
			"position 4: event 5 or its seal was altered",
		},
		"seal's hash altered":  {[]string{"UPDATE audit_seals SET hash = (SELECT hash FROM audit_seals WHERE position = 5) WHERE position = 4"}, "position 4"},
		"seal's hash longer":   {[]string{"UPDATE audit_seals SET hash = hash || hash WHERE position = 4"}, "position 4"},
		"inserted, not sealed": {[]string{insertEvent("TRUE")}, "event 10 claims to be sealed and is not in the chain"},
		"inserted with a seal": {
			[]string{
				insertEvent("TRUE"),
				"INSERT INTO audit_seals (position, event, hash) SELECT 10, 10, hash FROM audit_seals WHERE position = 9",
			},
			"position 10: event 10 or its seal was altered",
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, tr *trail) {
				tr.insert(events(9)...)
				tr.seal()
				whole := tr.verify()
				if len(whole.Broken) != 0 || whole.Sealed != 9 {
					t.Fatalf("before: %+v", whole)
				}
				for _, statement := range tc.do {
					if _, err := tr.raw.ExecContext(t.Context(), statement); err != nil {
						t.Fatal(err)
					}
				}
				r := tr.verify()
				if !strings.Contains(strings.Join(r.Broken, "\n"), tc.want) {
					t.Errorf("broken = %q, want %q among them", r.Broken, tc.want)
				}
				tr.sameInParts()
				// The trail goes on all the same.
				tr.insert(event(20))
				if n := tr.seal(); n != 1 {
					t.Errorf("sealed %d after that, want 1", n)
				}
			})
		})
	}
}

func insertEvent(sealed string) string {
	return `INSERT INTO audit_events (at, action, actor_kind, actor_id, actor_name, address, person, subject, connection, reason, reference, detail, sealed)
		VALUES (1, 'x', '', '', '', '', 'p', '', '', '', '', 'null', ` + sealed + `)`
}

func TestAChainCutShortShowsInItsHead(t *testing.T) {
	each(t, func(t *testing.T, tr *trail) {
		tr.insert(events(5)...)
		tr.seal()
		before := tr.verify().Head
		for _, statement := range []string{"DELETE FROM audit_seals WHERE position = 5", "DELETE FROM audit_events WHERE person = 'p4'"} {
			if _, err := tr.raw.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		if tr.verify().Head == before {
			t.Error("the head is the same after the end was cut off")
		}
	})
}

func TestAFlagTakenBackStopsNoSealer(t *testing.T) {
	each(t, func(t *testing.T, tr *trail) {
		tr.insert(events(3)...)
		tr.seal()
		if _, err := tr.raw.ExecContext(t.Context(), "UPDATE audit_events SET sealed = FALSE"); err != nil {
			t.Fatal(err)
		}
		tr.insert(event(3))
		if n := tr.seal(); n != 1 {
			t.Errorf("sealed %d, want the new one", n)
		}
		if r := tr.verify(); r.Sealed != 4 || len(r.Broken) != 0 {
			t.Errorf("report = %+v, want four sealed, nothing broken", r)
		}
	})
}

func TestTheSealerRunsAndSealsWhatIsLeft(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	db, err := store.Open(t.Context(), store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "p.db")})
	if err != nil {
		t.Fatal(err)
	}
	tr := &trail{t: t, db: db}
	tr.insert(events(3)...)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- audit.NewSealer(db.Audit(), nil).Run(ctx) }()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for tr.verify().Sealed != 3 {
		select {
		case <-deadline:
			t.Fatal("not sealed in time")
		case <-tick.C:
		}
	}
	tr.insert(event(3))
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if r := tr.verify(); r.Sealed != 4 {
		t.Errorf("report = %+v, want all four sealed when it stopped", r)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
