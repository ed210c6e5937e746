package scim_test

import (
	"database/sql"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
)

// sized is a rig over a database of a kind with so many people in acme.
func sized(tb testing.TB, kind string, people int) (*rig, string) {
	tb.Helper()
	at := "sqlite:" + tb.TempDir() + "/portcullis.db"
	if kind == "postgres" {
		at = storetest.PostgresURL(tb)
	}
	db, err := store.Open(tb.Context(), store.Config{URL: at})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	r := newRigOn(tb, db, func(c *scim.Config) { c.Limit = scim.Limit{PerSecond: 1e9, Burst: 1e9} })
	storetest.Seed(tb, at, "acme", "Acme", people)
	return r, at
}

// memberCosts gives what it takes to add one member to a group of each size,
// with as many people in the connection, and to remove them again: the least
// of some tries, in turns, so that what else the machine does is not counted.
func memberCosts(tb testing.TB, kind string, sizes []int, tries int) []time.Duration {
	tb.Helper()
	least := make([]time.Duration, len(sizes))
	turns := make([]func(), len(sizes))
	for i, size := range sizes {
		r, at := sized(tb, kind, size)
		one, group := r.create("one@example.com"), r.group("large")
		storetest.SeedMembers(tb, at, group, size)
		least[i] = time.Hour
		turns[i] = func() {
			began := time.Now()
			r.want(r.patch("/Groups/"+group, `[{"op":"Add","path":"members","value":[{"value":"`+one+`"}]}]`), 204)
			r.want(r.patch("/Groups/"+group, `[{"op":"remove","path":"members[value eq \"`+one+`\"]"}]`), 204)
			least[i] = min(least[i], time.Since(began))
			r.clock.turn(time.Second)
		}
	}
	for range tries {
		for _, turn := range turns {
			turn()
		}
	}
	return least
}

// TestOneMemberCostsTheSameInAGroupOfAnySize: Entra ID sends members one by
// one. The bound is loose; BenchmarkOneMember gives figures.
func TestOneMemberCostsTheSameInAGroupOfAnySize(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			costs := memberCosts(t, kind, []int{10, 20_000}, 20)
			if costs[1] > 5*costs[0] {
				t.Errorf("one member takes %v in a group of 20,000 and %v in one of 10", costs[1], costs[0])
			}
		})
	}
}

// BenchmarkOneMember gives the cost of one member in a group of 100,000 as a
// multiple of that in a group of 10: the aim is 1.3.
func BenchmarkOneMember(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			costs := memberCosts(b, kind, []int{10, 100_000}, max(b.N, 100))
			b.ReportMetric(float64(costs[0].Microseconds()), "µs/10")
			b.ReportMetric(float64(costs[1].Microseconds()), "µs/100000")
			b.ReportMetric(float64(costs[1])/float64(costs[0]), "large/small")
		})
	}
}

// TestSeededPeopleAreLikePushedOnes: what the benchmarks measure is what the
// endpoint would have stored.
func TestSeededPeopleAreLikePushedOnes(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r, _ := sized(t, kind, 100)
			pushed := r.want(r.send("GET", "/Users/"+r.create("seed0@example.com"), nil), 200).raw
			seeded := r.want(r.send("GET", "/Users"+find(`userName eq "`+storetest.SeededName(7)+`"`), nil), 200)
			got := r.want(r.send("GET", "/Users/"+storetest.SeededID(7), nil), 200).raw
			if len(seeded.list("Resources")) != 1 || seeded.list("Resources")[0]["id"] != storetest.SeededID(7) {
				t.Errorf("by userName: %s", seeded.raw)
			}
			_, want, _ := strings.Cut(strings.ReplaceAll(pushed, "seed0@", "seed7@"), `"version"`)
			if _, got, _ := strings.Cut(got, `"version"`); got != want {
				t.Errorf("attributes = %s, want %s", got, want)
			}
		})
	}
}

// BenchmarkSize holds look-ups among many people against those among 1,000:
// "growth" is by how much each takes longer, and "of-floor" what of that the
// bare look-up of the same row does not explain: the aim is 1.2, and for pages
// by cursor a growth of 1. PORTCULLIS_BENCH_PEOPLE says how many; the default
// is 100,000, and 1,000,000 take a minute or two to seed.
func BenchmarkSize(b *testing.B) {
	many := 100_000
	if text := os.Getenv("PORTCULLIS_BENCH_PEOPLE"); text != "" {
		var err error
		if many, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			sizes := []int{1000, many}
			rigs, bare, cursors := make([]*rig, 2), make([]*sql.DB, 2), make([]string, 2)
			for i, size := range sizes {
				r, at := sized(b, kind, size)
				rigs[i], bare[i] = r, storetest.Raw(b, at)
				first := r.want(r.send("GET", "/Users?count=100&cursor", nil), 200)
				cursors[i] = "/Users?count=100&cursor=" + first.text("nextCursor")
			}
			mark := map[string]string{"sqlite": "?", "postgres": "$1"}[kind]
			for _, tc := range []struct{ name, path, bare string }{
				{"get", "/Users/%[1]s", "SELECT attributes FROM people WHERE id = " + mark},
				{"filter", "/Users?filter=userName+eq+%%22%[2]s%%22", "SELECT attributes FROM people WHERE connection = 'acme' AND provisioned AND user_name_key = " + mark},
				{"page by cursor", "", ""},
			} {
				b.Run(tc.name, func(b *testing.B) {
					var ours, floors [2]time.Duration
					n := 0
					for b.Loop() {
						for i, r := range rigs {
							who := n*7919%sizes[i] + 1
							id, name := storetest.SeededID(who), storetest.SeededName(who)
							path := cursors[i]
							if tc.path != "" {
								path = fmt.Sprintf(tc.path, id, name)
							}
							began := time.Now()
							r.want(r.send("GET", path, nil), 200)
							ours[i] += time.Since(began)
							if tc.bare == "" {
								continue
							}
							// Somebody else: whoever was just looked up is in memory.
							who = (who+sizes[i]/2)%sizes[i] + 1
							key, doc := storetest.SeededID(who), ""
							if tc.name == "filter" {
								key = storetest.SeededName(who)
							}
							began = time.Now()
							if err := bare[i].QueryRowContext(b.Context(), tc.bare, key).Scan(&doc); err != nil {
								b.Fatal(err)
							}
							floors[i] += time.Since(began)
						}
						n++
					}
					growth := float64(ours[1]) / float64(ours[0])
					b.ReportMetric(growth, "growth")
					if tc.bare != "" {
						b.ReportMetric(growth/(float64(floors[1])/float64(floors[0])), "of-floor")
					}
				})
			}
		})
	}
}
