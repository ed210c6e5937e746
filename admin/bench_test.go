package admin_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portcullis/mapping"
	"portcullis/store"
	"portcullis/store/storetest"
)

// crowded is a world of n people who are pushed to acme.
func crowded(b *testing.B, databaseURL string, n int, signIns bool) *world {
	b.Helper()
	db, err := store.Open(b.Context(), store.Config{URL: databaseURL})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	w := newWorld(b, db)
	storetest.Seed(b, databaseURL, "acme", "Acme", n)
	if signIns {
		storetest.SeedSignIns(b, databaseURL, "acme")
	}
	storetest.SeedList(b, databaseURL)
	return w
}

// eachDatabase runs a benchmark on both databases.
func eachDatabase(b *testing.B, f func(b *testing.B, databaseURL string)) {
	b.Helper()
	b.Run("sqlite", func(b *testing.B) { f(b, "sqlite:"+b.TempDir()+"/p.db") })
	b.Run("postgres", func(b *testing.B) { f(b, storetest.PostgresURL(b)) })
}

// manyRules is the mapping of the world with as many rules more.
func manyRules(n int) string {
	var text strings.Builder
	text.WriteString(rules())
	for i := range n {
		fmt.Fprintf(&text, "  - {id: more-%d, match: {connection: acme, groups: [{scim: Group %d}]}, grant: {roles: [helper]}}\n", i, 1+i)
	}
	return text.String()
}

// thinly reads what a preview reads of everybody, as thinly as the driver does:
// people, members and sign-ins at the same time, each value looked at and let
// go. It says how long the processors and the clock took.
func thinly(b *testing.B, db *sql.DB) (spent, took time.Duration) {
	b.Helper()
	spent, began := processor(b), time.Now()
	var reading sync.WaitGroup
	for _, query := range []string{
		"SELECT id, connection, user_name, email, email_verified, name, provisioned FROM people",
		"SELECT person_id, group_id FROM memberships", "SELECT person_id, facts FROM assertions",
	} {
		reading.Go(func() {
			rows, err := db.QueryContext(b.Context(), query)
			if err != nil {
				b.Error(err)
				return
			}
			defer rows.Close()
			columns, _ := rows.Columns()
			values, places := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
			for i := range values {
				places[i] = &values[i]
			}
			for rows.Next() {
				if err := rows.Scan(places...); err != nil {
					b.Error(err)
				}
			}
			if err := rows.Err(); err != nil {
				b.Error(err)
			}
		})
	}
	reading.Wait()
	return processor(b) - spent, time.Since(began)
}

// BenchmarkPreview is a check of a mapping of 1,000 rules over 100,000 people,
// from the request to the answer: the first one of a process, which reads
// everybody, held against the thinnest reading of the same rows just before;
// one when nothing has changed, and one after a sign-in. What is kept of
// everybody is counted in bytes per person.
func BenchmarkPreview(b *testing.B) {
	const people = 100_000
	eachDatabase(b, func(b *testing.B, databaseURL string) {
		b.Helper()
		w := crowded(b, databaseURL, people, true)
		writer := w.signIn("staff", "writer", mapping.GateMappingPropose, mapping.GateMappingView, mapping.GateUsersView)
		body, err := json.Marshal(map[string]any{"text": manyRules(1000)})
		if err != nil {
			b.Fatal(err)
		}
		var spent time.Duration
		checks := 0
		check := func(b *testing.B) {
			b.Helper()
			began := processor(b)
			defer func() {
				spent += processor(b) - began
				checks++
				b.ReportMetric(float64(spent.Milliseconds())/float64(checks), "cpu-ms/op")
			}()
			var v struct {
				Good   bool
				Effect *struct{ People, Gain int }
			}
			if status := writer.call(http.MethodPost, "/mapping/check", string(body), &v); status != http.StatusOK || v.Effect == nil || v.Effect.Gain != people {
				b.Fatalf("status = %d, %+v", status, v)
			}
		}
		b.Run("first", func(b *testing.B) {
			spent, checks = 0, 0
			raw := storetest.Raw(b, databaseURL)
			var floor, floorCPU, took time.Duration
			for b.Loop() {
				b.StopTimer()
				db, err := store.Open(b.Context(), store.Config{URL: databaseURL})
				if err != nil {
					b.Fatal(err)
				}
				writer.w = newWorld(b, db) // as after a start: nothing is prepared, and no connection open
				ctx, stop := context.WithCancel(b.Context())
				var running sync.WaitGroup
				running.Go(func() { _ = writer.w.console.Run(ctx) })
				cpu, wall := thinly(b, raw)
				floor, floorCPU = floor+wall, floorCPU+cpu
				before, began := heap(), time.Now()
				b.StartTimer()
				check(b)
				b.StopTimer()
				took += time.Since(began)
				b.ReportMetric(float64(heap()-before)/people, "B/person")
				stop()
				running.Wait()
				writer.w = w
				if err := db.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(took.Seconds()/floor.Seconds(), "x-floor")
			b.ReportMetric(spent.Seconds()/floorCPU.Seconds(), "x-floor-cpu")
			b.ReportMetric(float64(floorCPU.Milliseconds())/float64(checks), "floor-cpu-ms/op")
		})
		b.Run("again", func(b *testing.B) {
			spent, checks = 0, 0
			for b.Loop() {
				check(b)
			}
		})
		b.Run("after a change", func(b *testing.B) {
			spent, checks = 0, 0
			for b.Loop() {
				b.StopTimer()
				w.signIn("beta", "somebody")
				b.StartTimer()
				check(b)
			}
		})
	})
}

// processor is the time that this process has had of all processors.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// heap is what is in memory and in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkPeoplePage is the page of people, from the request to the answer.
func BenchmarkPeoplePage(b *testing.B) {
	for _, people := range []int{100_000, 1_000_000} {
		b.Run(strconv.Itoa(people), func(b *testing.B) {
			eachDatabase(b, func(b *testing.B, databaseURL string) {
				b.Helper()
				w := crowded(b, databaseURL, people, false)
				reader := w.signIn("staff", "reader", mapping.GateUsersView)
				for name, query := range map[string]url.Values{
					"first": {}, "by e-mail": {"sort": {"email"}}, "locked": {"state": {"locked"}}, "of one": {"organization": {"Acme"}},
					"one": {"q": {"seed4711@"}}, "some": {"q": {"seed471"}}, "everybody": {"q": {"example"}}, "nobody": {"q": {"zzz"}},
					"two words": {"q": {"ada seed99"}}, "two words, nobody": {"q": {"seed4711 seed4712"}},
				} {
					b.Run(name, func(b *testing.B) {
						for b.Loop() {
							if res := reader.page("/people?" + query.Encode()); res.StatusCode != http.StatusOK {
								b.Fatalf("status = %d", res.StatusCode)
							}
						}
					})
				}
			})
		})
	}
}
