package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"portcullis/admin"
	"portcullis/audit"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/trace"
)

// spoken writes the logs: in turns of one connection and of many, where some
// have much and some have little, and seals two events of three.
func spoken(t *testing.T, db *store.DB, databaseURL string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	actions := []audit.Action{audit.PersonUpdated, audit.PersonUpdated, audit.SignIn, audit.PersonLocked}
	var records []trace.Record
	var requests []scim.Entry
	at := time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	for i := range 600 {
		of := random.IntN(1 + random.IntN(40))
		if i%200 > 150 {
			of = i / 200
		}
		r := traced(i, []trace.Outcome{trace.SignedIn, trace.SignedIn, trace.Refused}[random.IntN(3)], at.Add(time.Duration(i)*time.Minute))
		r.Connection, r.Person = fmt.Sprint("c", of), "p"
		records = append(records, r)
		e := audit.Event{At: r.Finished, Action: actions[random.IntN(len(actions))], Actor: audit.Gate(), Person: fmt.Sprint("p", i%7), Connection: r.Connection}
		if err := db.Audit().Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		requests = append(requests, scim.Entry{
			At: r.Finished, Connection: r.Connection, Method: "PUT", Path: fmt.Sprintf("/Users/%036d", i%7), Status: 200 + 209*random.IntN(2),
		})
	}
	if err := db.Journal().AppendJournal(t.Context(), requests); err != nil {
		t.Fatal(err)
	}
	if err := db.Traces().InsertTraces(t.Context(), records, nil, trace.Caps{trace.Inside: 1000, trace.Vouched: 1000, trace.Stranger: 1000}); err != nil {
		t.Fatal(err)
	}
	raw := storetest.Raw(t, databaseURL)
	if _, err := raw.ExecContext(t.Context(), "UPDATE audit_events SET sealed = TRUE WHERE seq % 3 <> 0"); err != nil {
		t.Fatal(err)
	}
}

// A page of a log of some connections is what the whole log holds of them,
// however many they are and whatever else is asked.
func TestALogOfConnectionsIsThatPartOfTheWhole(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		spoken(t, db, databaseURL)
		signIns, err := db.Admin().SignIns(t.Context(), admin.SignInQuery{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		events, err := db.Admin().Events(t.Context(), admin.EventQuery{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		requests, err := db.Journal().Journal(t.Context(), scim.JournalQuery{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(r *rapid.T) {
			connections := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 44), func(i int) string { return fmt.Sprint("c", i) }), 0, 60).Draw(r, "connections")
			before := rapid.SampledFrom([]int64{0, 1, 20, 300, 601, 10_000}).Draw(r, "before")
			limit := rapid.SampledFrom([]int{1, 2, 7, 51, 1000}).Draw(r, "limit")
			want := func(seq int64, connection string) bool {
				return slices.Contains(connections, connection) && (before == 0 || seq < before)
			}

			failed := rapid.Bool().Draw(r, "failed")
			wanted := kept(signIns, limit, func(s admin.SignIn) bool { return want(s.Number, s.Connection) && (!failed || !s.In()) })
			got, err := db.Admin().SignIns(t.Context(), admin.SignInQuery{Connections: connections, Failed: failed, Before: before, Limit: limit})
			if err != nil {
				r.Fatal(err)
			}
			if diff := cmp.Diff(wanted, got, cmpopts.EquateEmpty()); diff != "" {
				r.Errorf("sign-ins (-by hand +read):\n%s", diff)
			}

			asked := kept(requests, limit, func(e scim.Entry) bool { return want(e.Seq, e.Connection) && (!failed || e.Status >= 400) })
			answered, err := db.Journal().Journal(t.Context(), scim.JournalQuery{Connections: connections, Refused: failed, Before: before, Limit: limit})
			if err != nil {
				r.Fatal(err)
			}
			if diff := cmp.Diff(asked, answered, cmpopts.EquateEmpty()); diff != "" {
				r.Errorf("requests (-by hand +read):\n%s", diff)
			}

			q := admin.EventQuery{Connections: connections, Before: before, Limit: limit}
			q.Action = rapid.SampledFrom([]string{"", string(audit.SignIn), string(audit.PersonLocked)}).Draw(r, "action")
			q.Person = rapid.SampledFrom([]string{"", "", "p3"}).Draw(r, "person")
			happened := kept(events, limit, func(e admin.Event) bool {
				return want(e.Seq, e.Connection) && (q.Action == "" || string(e.Action) == q.Action) && (q.Person == "" || e.Person == q.Person)
			})
			told, err := db.Admin().Events(t.Context(), q)
			if err != nil {
				r.Fatal(err)
			}
			if diff := cmp.Diff(happened, told, cmpopts.EquateEmpty()); diff != "" {
				r.Errorf("events (-by hand +read):\n%s", diff)
			}
		})
	})
}

// kept is as many of a log as are wanted of those that are.
func kept[R any](log []R, limit int, wanted func(R) bool) (out []R) {
	for _, row := range log {
		if len(out) < limit && wanted(row) {
			out = append(out, row)
		}
	}
	return out
}

// Each connection's part of a log is looked up in the index that has it in
// order, on PostgreSQL even where all that was there when it looked at the
// table was of one connection.
func TestALogOfConnectionsIsReadByTheirIndex(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		raw := storetest.Raw(t, databaseURL)
		numbers := "generate_series(1, 20000) AS n (i)"
		explain := "EXPLAIN "
		if sqlite := strings.HasPrefix(databaseURL, "sqlite:"); sqlite {
			numbers = "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n)"
			explain = "EXPLAIN QUERY PLAN "
		}
		for _, statement := range []string{
			`INSERT INTO login_traces (reference, start_ref, connection, finished, came_in, body, person)
				SELECT 'R' || i, '', 'acme', i, i % 3 <> 0, '{}', 'p' FROM ` + numbers,
			`INSERT INTO scim_log (at, connection, token, address, method, path, status, cause, body, took)
				SELECT i, 'acme', 't', '', 'PUT', '/Users/p', 200 + 209 * (i % 2), '', '', 1000 FROM ` + numbers,
			`INSERT INTO audit_events (at, action, actor_kind, actor_id, actor_name, address, person, subject, connection, reason, reference, detail, sealed)
				SELECT i, 'sign-in', '', '', '', '', '', '', 'acme', '', '', 'null', TRUE FROM ` + numbers,
			"ANALYZE",
		} {
			if _, err := raw.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		conn, err := raw.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		for index, query := range store.MergeQueries(db, []string{"beta", "gamma", "delta"}, 15_000, 51) {
			plan := explained(t, conn, explain+query)
			for line := range strings.Lines(plan) {
				scan := strings.Contains(line, " on login_traces") || strings.Contains(line, " on audit_events") || strings.Contains(line, " on scim_log") || strings.Contains(line, "SEARCH t ") || strings.Contains(line, "SCAN t")
				if scan && !strings.Contains(line, index+" ") && !strings.Contains(line, "_pkey") {
					t.Errorf("%s is not used:\n%s", index, plan)
				}
			}
			if !strings.Contains(plan, index) {
				t.Errorf("%s is not used:\n%s", index, plan)
			}
		}
	})
}
