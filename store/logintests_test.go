package store_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/login"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/trace"
)

func TestADryRunIsOpenedOnceAndReportsOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs, ctx := []*store.DB{open(), open()}, t.Context()
		want, _ := login.NewTest("alpha", audit.Actor{Kind: "operator", ID: "1", Name: "ops"}, start)
		event := audit.Event{At: start, Action: audit.SignInTested, Actor: audit.Gate()}
		if err := dbs[0].Login().InsertTest(ctx, want, event); err != nil {
			t.Fatal(err)
		}
		if _, err := dbs[0].Login().OpenTest(ctx, want.LinkHash, want.Expires); !fault.Is(err, fault.NotFound) {
			t.Errorf("expired = %v, want not found", err)
		}
		if got, r, err := dbs[1].Login().FindTest(ctx, want.ID); r != nil || err != nil || !got.Opened.IsZero() || got.Connection != "alpha" {
			t.Errorf("before it is opened = %+v, %v, %v", got, r, err)
		}
		want.Opened = start // by whoever is first
		var given atomic.Int32
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				got, err := dbs[i%2].Login().OpenTest(ctx, want.LinkHash, start)
				if fault.Is(err, fault.NotFound) {
					return
				}
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("test, %v (-want +got):\n%s", err, diff)
				}
				given.Add(1)
			})
		}
		wg.Wait()
		if given.Load() != 1 {
			t.Errorf("opened %d times, want once", given.Load())
		}
		if got, r, err := dbs[1].Login().FindTest(ctx, want.ID); r != nil || err != nil || !got.Opened.Equal(start) {
			t.Errorf("before the end = %+v, %v, %v", got, r, err)
		}
		for _, reason := range []string{"first", "second"} {
			r := trace.Record{Reference: "R", Started: start, Finished: start, Outcome: trace.Tested, Reason: reason}
			if err := dbs[0].Login().FinishTest(ctx, want.ID, r, event); err != nil {
				t.Fatal(err)
			}
		}
		if _, r, err := dbs[1].Login().FindTest(ctx, want.ID); err != nil || r == nil || r.Reason != "first" {
			t.Errorf("report = %+v, %v, want the first", r, err)
		}
		if err := dbs[0].Login().DeleteTests(ctx, want.Expires.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := dbs[1].Login().FindTest(ctx, want.ID); !fault.Is(err, fault.NotFound) {
			t.Errorf("after DeleteTests = %v, want not found", err)
		}
	})
}
