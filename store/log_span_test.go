package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"portcullis/admin"
	"portcullis/store"
	"portcullis/store/storetest"
)

// Events of a time are found by their numbers, and none is missed where clocks
// differ by as much as an hour.
func TestEventsOfATimeAreThoseOfTheWholeTrail(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		const n, step = 50_000, 20 * time.Second
		raw := storetest.Raw(t, databaseURL)
		numbers := fmt.Sprintf("generate_series(1, %d) AS n (i)", n)
		if strings.HasPrefix(databaseURL, "sqlite:") {
			numbers = fmt.Sprintf("(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i FROM n)", n)
		}
		_, err = raw.ExecContext(t.Context(), fmt.Sprintf(`INSERT INTO audit_events
			(at, action, actor_kind, actor_id, actor_name, address, person, subject, connection, reason, reference, detail, sealed)
			SELECT %d + CAST(i AS BIGINT) * %d + CAST(i AS BIGINT) * 7919 %% 3600 * 1000000, CASE WHEN i %% 1000 = 0 OR i < 2000 AND i %% 3 = 0 THEN 'person.locked' ELSE 'person.updated' END,
				'', '', '', '', 'p' || i %% 7, '', 'c' || i %% 11, '', '', 'null', i %% 5 <> 0 OR i < 45000 FROM %s WHERE i %% 17 <> 0 ORDER BY i`,
			start.UnixMicro(), step.Microseconds(), numbers))
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(r *rapid.T) {
			at := func(label string) time.Time {
				return start.Add(time.Duration(rapid.IntRange(-1000, n+1000).Draw(r, label)) * step)
			}
			q := admin.EventQuery{Limit: rapid.SampledFrom([]int{1, 7, 51, 300}).Draw(r, "limit"), Before: rapid.SampledFrom([]int64{0, 1, 20_000, 40_000}).Draw(r, "before")}
			condition := "1 = 1"
			add := func(format string, args ...any) { condition += " AND " + fmt.Sprintf(format, args...) }
			if rapid.Bool().Draw(r, "from?") {
				q.From = at("from")
				add("at >= %d", q.From.UnixMicro())
			}
			if rapid.Bool().Draw(r, "to?") {
				q.To = at("to")
				add("at < %d", q.To.UnixMicro())
			}
			if q.Before > 0 {
				add("seq < %d", q.Before)
			}
			if q.Action = rapid.SampledFrom([]string{"", "person.locked", "person.updated"}).Draw(r, "action"); q.Action != "" {
				add("action = '%s'", q.Action)
			}
			if q.Person = rapid.SampledFrom([]string{"", "", "p3"}).Draw(r, "person"); q.Person != "" {
				add("person = '%s'", q.Person)
			}
			if rapid.Bool().Draw(r, "connections?") {
				q.Connections = []string{"c1", "c5", "nobody"}
				add("connection IN ('c1', 'c5')")
			}
			rows, err := raw.QueryContext(t.Context(), fmt.Sprintf("SELECT seq FROM audit_events WHERE %s ORDER BY seq DESC LIMIT %d", condition, q.Limit))
			if err != nil {
				r.Fatal(err)
			}
			defer rows.Close()
			var want, got []int64
			for rows.Next() {
				var seq int64
				if err := rows.Scan(&seq); err != nil {
					r.Fatal(err)
				}
				want = append(want, seq)
			}
			if err := rows.Err(); err != nil {
				r.Fatal(err)
			}
			events, err := db.Admin().Events(t.Context(), q)
			if err != nil {
				r.Fatal(err)
			}
			for _, e := range events {
				got = append(got, e.Seq)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				r.Errorf("%+v (-by hand +read):\n%s", q, diff)
			}
		})
	})
}
