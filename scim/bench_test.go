package scim_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// BenchmarkCreate holds a create through the endpoint against the bare INSERT
// of the same document into the same kind of database, in one run. The metric
// "of-floor" is the endpoint's share of the floor's requests per second.
func BenchmarkCreate(b *testing.B) {
	r := newRig(b)
	q := "?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	floor, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "floor.db")+q)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = floor.Close() })
	if _, err := floor.ExecContext(b.Context(), "CREATE TABLE people (id TEXT PRIMARY KEY, user_name TEXT UNIQUE, doc TEXT)"); err != nil {
		b.Fatal(err)
	}
	insert, err := floor.PrepareContext(b.Context(), "INSERT INTO people VALUES (?, ?, ?)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = insert.Close() })
	doc := r.want(r.send("POST", "/Users", user("sample@example.com")), 201).raw
	var endpoint, bare time.Duration
	i := 0
	for b.Loop() {
		i++
		name := fmt.Sprintf("u%d@example.com", i)
		start := time.Now()
		r.want(r.send("POST", "/Users", user(name)), 201)
		endpoint += time.Since(start)
		start = time.Now()
		if _, err := insert.ExecContext(b.Context(), name, name, doc); err != nil {
			b.Fatal(err)
		}
		bare += time.Since(start)
		r.clock.turn(10 * time.Millisecond) // so that the rate limit does not bite
	}
	b.ReportMetric(float64(endpoint.Nanoseconds())/float64(i), "endpoint-ns/op")
	b.ReportMetric(float64(bare.Nanoseconds())/float64(i), "insert-ns/op")
	b.ReportMetric(float64(bare)/float64(endpoint), "of-floor")
}

// BenchmarkPatchMembers adds one member to groups of growing size: the cost is
// to stay.
func BenchmarkPatchMembers(b *testing.B) {
	for _, size := range []int{10, 2000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			r := newRig(b)
			ids := make([]string, size)
			for i := range ids {
				ids[i] = r.create(fmt.Sprintf("u%d@example.com", i))
			}
			r.clock.turn(time.Minute)
			group, one := r.group("g", ids...), r.create("one@example.com")
			add := `[{"op":"Add","path":"members","value":[{"value":"` + one + `"}]}]`
			remove := `[{"op":"remove","path":"members[value eq \"` + one + `\"]"}]`
			for b.Loop() {
				r.want(r.patch("/Groups/"+group, add), 204)
				r.want(r.patch("/Groups/"+group, remove), 204)
				r.clock.turn(time.Second)
			}
		})
	}
}
