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
)

func TestAnAssertionCountsOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs, ctx := []*store.DB{open(), open()}, t.Context()
		var counted atomic.Int32
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				switch err := dbs[i%2].Login().UseAssertion(ctx, "acme", []byte("hash"), start.Add(time.Minute)); {
				case err == nil:
					counted.Add(1)
				case !fault.Is(err, fault.Conflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if counted.Load() != 1 {
			t.Errorf("it counted %d times", counted.Load())
		}
		if err := dbs[0].Login().UseAssertion(ctx, "beta", []byte("hash"), start.Add(time.Hour)); err != nil {
			t.Errorf("at another connection: %v", err)
		}
		if err := dbs[0].Login().DeleteAssertions(ctx, start.Add(2*time.Minute)); err != nil {
			t.Fatal(err)
		}
		if err := dbs[1].Login().UseAssertion(ctx, "acme", []byte("hash"), start.Add(time.Hour)); err != nil {
			t.Errorf("after it was forgotten: %v", err)
		}
		if err := dbs[1].Login().UseAssertion(ctx, "beta", []byte("hash"), start.Add(time.Hour)); !fault.Is(err, fault.Conflict) {
			t.Errorf("one that has not expired was forgotten: %v", err)
		}
	})
}

func TestMetadataIsWrittenInTurns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs, ctx := []*store.DB{open(), open()}, t.Context()
		if _, err := dbs[0].Login().Metadata(ctx, "acme"); !fault.Is(err, fault.NotFound) {
			t.Errorf("Metadata of none = %v", err)
		}
		want := login.Metadata{Connection: "acme", Source: "https://id.example/m", Accepted: []byte("<a/>"), AcceptedAt: start}
		event := audit.Event{At: start, Action: audit.MetadataAccepted, Actor: audit.Gate(), Connection: "acme"}
		if err := dbs[0].Login().SaveMetadata(ctx, want, event); err != nil {
			t.Fatal(err)
		}
		if err := dbs[1].Login().SaveMetadata(ctx, want, event); !fault.Is(err, fault.Conflict) {
			t.Errorf("a second first one = %v, want a conflict", err)
		}
		got, err := dbs[1].Login().Metadata(ctx, "acme")
		want.Version = 1
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("metadata, %v (-want +got):\n%s", err, diff)
		}
		got.Pending, got.PendingAt = []byte("<b/>"), start.Add(time.Hour)
		if err := dbs[1].Login().SaveMetadata(ctx, got); err != nil {
			t.Fatal(err)
		}
		want.Accepted = []byte("<c/>")
		if err := dbs[0].Login().SaveMetadata(ctx, want, event); !fault.Is(err, fault.Conflict) {
			t.Errorf("what was read before = %v, want a conflict", err)
		}
		got.Version = 2
		if after, err := dbs[0].Login().Metadata(ctx, "acme"); err != nil || cmp.Diff(got, after) != "" {
			t.Errorf("metadata = %+v, %v", after, err)
		}
	})
}
