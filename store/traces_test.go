package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/trace"
)

func traced(i int, o trace.Outcome, at time.Time) trace.Record {
	return trace.Record{
		Reference: fmt.Sprintf("REF%09d", i), Start: fmt.Sprintf("BEGIN%07d", i), Connection: "acme", Protocol: "oidc",
		Started: at.Add(-time.Second), Finished: at, Outcome: o, Reason: "why", Skew: 3 * time.Second, Measured: true,
		Checks: []trace.Check{{Name: "nonce", OK: true, Want: "a", Got: "b"}}, Claims: []trace.Field{{Name: "name", Values: []string{"A"}, More: 2}},
	}
}

func TestTraces(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db, at := open(), time.Date(2026, 3, 4, 12, 30, 0, 0, time.UTC)
		s, ctx := db.Traces(), t.Context()
		caps := trace.Caps{trace.Stranger: 5, trace.Inside: 100}
		records := []trace.Record{traced(1, trace.SignedIn, at), traced(2, trace.Refused, at), traced(3, trace.Failed, at.Add(-8*24*time.Hour))}
		for range 2 { // as after an answer that was lost
			if err := s.InsertTraces(ctx, records, nil, caps); err != nil {
				t.Fatal(err)
			}
		}
		for _, reference := range []string{records[1].Reference, records[1].Start, "  ref000000002 "} {
			got, err := s.FindTrace(ctx, reference)
			if diff := cmp.Diff(records[1], got); err != nil || diff != "" {
				t.Errorf("FindTrace(%q): %v, (-want +got):\n%s", reference, err, diff)
			}
		}
		for _, reference := range []string{"", "REF", "nothing"} {
			if _, err := s.FindTrace(ctx, reference); !fault.Is(err, fault.NotFound) {
				t.Errorf("FindTrace(%q) = %v, want not found", reference, err)
			}
		}
		for _, tc := range []struct {
			q    trace.Query
			want []string
		}{
			{trace.Query{Limit: 10}, []string{records[1].Reference, records[0].Reference, records[2].Reference}},
			{trace.Query{Limit: 1}, []string{records[1].Reference}},
			{trace.Query{Limit: 10, Failed: true, Connection: "acme"}, []string{records[1].Reference, records[2].Reference}},
			{trace.Query{Limit: 10, Connection: "beta"}, nil},
		} {
			list, err := s.Traces(ctx, tc.q)
			var got []string
			for _, r := range list {
				got = append(got, r.Reference)
			}
			if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
				t.Errorf("Traces(%+v): %v, (-want +got):\n%s", tc.q, err, diff)
			}
		}
		if err := s.DeleteTraces(ctx, at.Add(-trace.Keep)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindTrace(ctx, records[2].Reference); !fault.Is(err, fault.NotFound) {
			t.Errorf("a trace of eight days ago: %v, want it forgotten", err)
		}
	})
}

func TestAnHourKeepsABoundedNumberOfTracesOnEveryReplica(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		one, other, at := open(), open(), time.Date(2026, 3, 4, 12, 30, 0, 0, time.UTC)
		ctx, caps := t.Context(), trace.Caps{trace.Stranger: 5, trace.Inside: 100}
		var wg sync.WaitGroup
		for n := range 20 {
			db := one
			if n%2 == 1 {
				db = other
			}
			wg.Go(func() {
				batch := []trace.Record{traced(10*n, trace.Refused, at), traced(10*n+1, trace.SignedIn, at)}
				if err := db.Traces().InsertTraces(ctx, batch, nil, caps); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := one.Traces().InsertTraces(ctx, nil, []trace.Loss{{Hour: at.Truncate(time.Hour), Connection: "acme", Count: 7}}, caps); err != nil {
			t.Fatal(err)
		}
		all, err := one.Traces().Traces(ctx, trace.Query{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		in := 0
		for _, r := range all {
			if r.In() {
				in++
			}
		}
		if in != 20 || len(all) != 25 {
			t.Errorf("%d kept, %d of them signed in, want 25 and 20", len(all), in)
		}
		lost, err := other.Traces().LostTraces(ctx, at.Add(-time.Hour))
		want := []trace.Loss{{Hour: at.Truncate(time.Hour), Connection: "acme", Count: 22}}
		if diff := cmp.Diff(want, lost); err != nil || diff != "" {
			t.Errorf("lost: %v, (-want +got):\n%s", err, diff)
		}
		if err := one.Traces().InsertTraces(ctx, []trace.Record{traced(999, trace.Refused, at.Add(time.Hour))}, nil, caps); err != nil {
			t.Fatal(err)
		}
		if _, err := one.Traces().FindTrace(ctx, "REF000000999"); err != nil {
			t.Errorf("the next hour keeps nothing: %v", err)
		}
	})
}
