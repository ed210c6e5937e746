package store_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/admin"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/trace"
)

// The chart of sign-ins adds up what each hour counted, and counts what the log
// holds: a reference once, no dry run, nothing that there was no room for. What
// an older gate has written is counted when the database is brought up to date.
func TestTheChartCountsWhatTheLogHolds(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		began := time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
		caps := trace.Caps{trace.Stranger: 7, trace.Inside: 100, trace.Vouched: 100}
		outcomes := []trace.Outcome{trace.SignedIn, trace.Refused, trace.Tested, trace.Failed}
		var records []trace.Record
		for i := range 200 {
			r := traced(i%190, outcomes[i%4], began.Add(time.Duration(i%190)*17*time.Minute)) // some come twice
			r.Connection = []string{"acme", "beta", "gamma"}[i%190%3]
			if r.In() {
				r.Person = "p"
			}
			records = append(records, r)
		}
		for some := range slices.Chunk(records, 30) {
			if err := db.Traces().InsertTraces(t.Context(), some, []trace.Loss{{Hour: began, Connection: "acme", Count: 3}}, caps); err != nil {
				t.Fatal(err)
			}
		}
		for name, connections := range map[string][]string{"all": nil, "one": {"acme"}, "two": {"acme", "gamma"}, "none": {}, "nobody's": {"other"}} {
			for _, failed := range []bool{false, true} {
				log, err := db.Admin().SignIns(t.Context(), admin.SignInQuery{Connections: connections, Failed: failed, Limit: 1000})
				if err != nil {
					t.Fatal(err)
				}
				var want, got []int64
				all, err := db.Admin().SignIns(t.Context(), admin.SignInQuery{Limit: 1000})
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range all {
					if (connections == nil || slices.Contains(connections, r.Connection)) && (!failed || !r.In()) {
						want = append(want, r.Number)
					}
				}
				for _, r := range log {
					got = append(got, r.Number)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s, failed: %v: the log (-by hand +read):\n%s", name, failed, diff)
				}
				var paged []int64
				for q := (admin.SignInQuery{Connections: connections, Failed: failed, Limit: 7}); ; q.Before = paged[len(paged)-1] {
					page, err := db.Admin().SignIns(t.Context(), q)
					if err != nil {
						t.Fatal(err)
					}
					for _, r := range page {
						paged = append(paged, r.Number)
					}
					if len(page) < q.Limit {
						break
					}
				}
				if diff := cmp.Diff(want, paged); diff != "" {
					t.Errorf("%s, failed: %v: its pages (-by hand +read):\n%s", name, failed, diff)
				}
			}
		}
		chart := func(connections ...string) []admin.Span {
			spans, err := db.Admin().SignInSpans(t.Context(), admin.SignInQuery{Connections: connections}, began, 6*time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			return spans
		}
		byHand := func(connections ...string) []admin.Span {
			log, err := db.Admin().SignIns(t.Context(), admin.SignInQuery{Connections: connections, Limit: 1000})
			if err != nil {
				t.Fatal(err)
			}
			of := make(map[time.Time]*admin.Span)
			var out []admin.Span
			for _, r := range log {
				at := r.Finished.Truncate(6 * time.Hour)
				if of[at] == nil {
					of[at] = &admin.Span{Began: at}
				}
				if r.Outcome == trace.SignedIn {
					of[at].In++
				} else if !r.In() {
					of[at].Failed++
				}
			}
			for _, s := range of {
				if s.In+s.Failed > 0 {
					out = append(out, *s)
				}
			}
			slices.SortFunc(out, func(a, b admin.Span) int { return a.Began.Compare(b.Began) })
			return out
		}
		check := func(when string) {
			t.Helper()
			for _, connections := range [][]string{nil, {"acme"}, {"acme", "gamma"}, {"other"}} {
				if diff := cmp.Diff(byHand(connections...), chart(connections...)); diff != "" {
					t.Errorf("%s: %v (-by hand +charted):\n%s", when, connections, diff)
				}
			}
		}
		check("as it was written")
		faresCount(t, db, began.Add(20*time.Hour))

		dialect, _, _ := strings.Cut(databaseURL, ":")
		if dialect != "sqlite" {
			dialect = "postgres"
		}
		migration, err := os.ReadFile("migrations/" + dialect + "/0031_sign_in_counts.sql")
		if err != nil {
			t.Fatal(err)
		}
		_, counts, _ := strings.Cut(string(migration), "INSERT")
		counts, _, _ = strings.Cut(counts, ";")
		raw := storetest.Raw(t, databaseURL)
		for _, statement := range []string{"UPDATE login_trace_counts SET came = 0, failed = 0", "INSERT" + counts} {
			if _, err := raw.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		check("of what was there")
	})
}

// faresCount holds what is counted of each connection against its log: since a
// time on the hour, and within one.
func faresCount(t *testing.T, db *store.DB, at time.Time) {
	t.Helper()
	log, err := db.Admin().SignIns(t.Context(), admin.SignInQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, since := range []time.Time{at, at.Add(time.Microsecond), at.Add(24 * time.Minute), at.Add(time.Hour - time.Microsecond)} {
		want := map[string]admin.Fare{"acme": {}, "beta": {}, "gamma": {}, "other": {}}
		for _, r := range log {
			f := want[r.Connection]
			recent := !r.Finished.Before(since)
			if r.Outcome == trace.SignedIn && r.Finished.After(f.SignedIn) {
				f.SignedIn = r.Finished
			}
			if r.Outcome == trace.SignedIn && recent {
				f.In++
			}
			if !r.In() && recent {
				f.Failed++
			}
			want[r.Connection] = f
		}
		got, err := db.Admin().Fares(t.Context(), slices.Sorted(maps.Keys(want)), since)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("since %s (-by hand +counted):\n%s", since, diff)
		}
	}
}
