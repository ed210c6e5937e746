package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
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

// BenchmarkPreview is a check of a mapping of 1,000 rules over 100,000 people,
// from the request to the answer: the first one, which reads everybody, one
// when nothing has changed, and one after a sign-in. What is kept of everybody is counted
// in bytes per person.
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
			for b.Loop() {
				b.StopTimer()
				w.mount(w.mounted)
				before := heap()
				b.StartTimer()
				check(b)
				b.StopTimer()
				b.ReportMetric(float64(heap()-before)/people, "B/person")
				b.StartTimer()
			}
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
