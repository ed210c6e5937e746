package scim_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"portcullis/admin"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
)

// floor is the thinnest server that could do the same: JSON in, one prepared statement,
// JSON out, over a database of the same kind. It checks and knows nothing.
type floor struct {
	db                                 *sql.DB
	insert, byID, byName, off, hundred *sql.Stmt
}

func newFloor(b *testing.B, db *sql.DB, postgres bool) http.Handler {
	b.Helper()
	serial, mark := "INTEGER PRIMARY KEY AUTOINCREMENT", func(q string) string { return q }
	if postgres {
		serial = "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
		mark = func(q string) string {
			for i := 1; strings.Contains(q, "?"); i++ {
				q = strings.Replace(q, "?", fmt.Sprintf("$%d", i), 1)
			}
			return q
		}
	}
	if _, err := db.ExecContext(b.Context(), "CREATE TABLE floor_people (seq "+serial+", id TEXT UNIQUE, user_name TEXT UNIQUE, active BOOLEAN, doc TEXT)"); err != nil {
		b.Fatal(err)
	}
	f := &floor{db: db}
	for to, q := range map[**sql.Stmt]string{
		&f.insert: "INSERT INTO floor_people (id, user_name, active, doc) VALUES (?, ?, TRUE, ?)", &f.byID: "SELECT doc FROM floor_people WHERE id = ?",
		&f.byName: "SELECT doc FROM floor_people WHERE user_name = ?", &f.off: "UPDATE floor_people SET active = FALSE WHERE id = ? RETURNING doc",
		&f.hundred: "SELECT doc, (SELECT count(*) FROM floor_people) FROM floor_people ORDER BY seq LIMIT 100",
	} {
		s, err := db.PrepareContext(b.Context(), mark(q))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { s.Close() })
		*to = s
	}
	return f
}

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/scim/v2/acme/Users"), "/")
	var doc map[string]any
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		raw, _ := io.ReadAll(r.Body)
		if json.Unmarshal(raw, &doc) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	var err error
	var text string
	w.Header().Set("Content-Type", "application/scim+json")
	switch {
	case r.Method == http.MethodPost:
		name, _ := doc["userName"].(string)
		doc["id"] = name
		raw, _ := json.Marshal(doc)
		text = string(raw)
		_, err = f.insert.ExecContext(r.Context(), name, name, text)
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodPatch:
		err = f.off.QueryRowContext(r.Context(), id).Scan(&text)
	case r.URL.Query().Get("filter") != "":
		name := strings.Trim(strings.TrimPrefix(r.URL.Query().Get("filter"), "userName eq "), `"`)
		err = f.byName.QueryRowContext(r.Context(), name).Scan(&text)
		text = `{"totalResults":1,"Resources":[` + text + `]}`
	case id != "":
		err = f.byID.QueryRowContext(r.Context(), id).Scan(&text)
	default:
		text, err = f.page(r)
	}
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, text)
}

func (f *floor) page(r *http.Request) (string, error) {
	rows, err := f.hundred.QueryContext(r.Context())
	if err != nil {
		return "", err
	}
	var n int
	defer rows.Close()
	var docs []string
	for rows.Next() {
		var doc string
		if err := rows.Scan(&doc, &n); err != nil {
			return "", err
		}
		docs = append(docs, doc)
	}
	return fmt.Sprintf(`{"totalResults":%d,"Resources":[%s]}`, n, strings.Join(docs, ",")), rows.Err()
}

// BenchmarkAgainstTheFloor alternates requests over HTTP between the endpoint
// and the floor. "of-floor" is the endpoint's share of the floor's requests per
// second: the aim is 0.7, and 0.5 for pages. Both write with the durability of
// a deployment, which on PostgreSQL is fsync; a server without it is measured
// for what the work costs beside the disk.
func BenchmarkAgainstTheFloor(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres", "postgres that forgets"} {
		b.Run(kind, func(b *testing.B) {
			var bare *sql.DB
			var db *store.DB
			var err error
			if kind != "sqlite" {
				fresh := storetest.DurablePostgresURL
				if kind != "postgres" {
					fresh = storetest.PostgresURL
				}
				at := fresh(b)
				if db, err = store.Open(b.Context(), store.Config{URL: at}); err == nil {
					bare, err = sql.Open("pgx", at)
				}
			} else {
				db = storetest.SQLite(b)
				q := "?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
				bare, err = sql.Open("sqlite", "file:"+b.TempDir()+"/floor.db"+q)
			}
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { bare.Close(); db.Close() })
			r := newRigOn(b, db, func(c *scim.Config) {
				c.Limit, c.Journal = scim.Limit{PerSecond: 1e9, Burst: 1e9}, db.Journal()
			})
			stop := running(b, r, db)
			defer stop()
			endpoint, thin := httptest.NewServer(r.handler), httptest.NewServer(newFloor(b, bare, kind != "sqlite"))
			b.Cleanup(func() { endpoint.Close(); thin.Close() })
			ids := map[string]string{}
			send := func(base, method, path, body string) (took time.Duration, doc map[string]any) {
				req, err := http.NewRequestWithContext(b.Context(), method, base+"/scim/v2/acme"+path, strings.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("Content-Type", "application/scim+json")
				req.Header.Set("Authorization", "Bearer "+r.secret)
				start := time.Now()
				res, err := http.DefaultTransport.RoundTrip(req)
				if err != nil {
					b.Fatal(err)
				}
				raw, _ := io.ReadAll(res.Body)
				res.Body.Close()
				took = time.Since(start)
				if res.StatusCode > 299 || json.Unmarshal(raw, &doc) != nil {
					b.Fatalf("%s %s%s = %d %s", method, base, path, res.StatusCode, raw)
				}
				return took, doc
			}
			create := func(i int) (a, f time.Duration) {
				name := fmt.Sprintf("u%d@example.com", i)
				raw, err := json.Marshal(user(name))
				if err != nil {
					b.Fatal(err)
				}
				a, doc := send(endpoint.URL, http.MethodPost, "/Users", string(raw))
				f, _ = send(thin.URL, http.MethodPost, "/Users", string(raw))
				ids[name], _ = doc["id"].(string)
				return a, f
			}
			for i := range 1000 {
				create(-i - 1)
			}
			made := 0
			name := func(i int) string { return fmt.Sprintf("u-%d@example.com", i%1000+1) }
			off := `{"schemas":["` + patchURN + `"],"Operations":[{"op":"replace","path":"active","value":false}]}`
			for _, tc := range []struct {
				name string
				do   func(i int) (a, f time.Duration)
			}{
				{"create", func(int) (time.Duration, time.Duration) { made++; return create(made) }},
				{"filter", func(i int) (time.Duration, time.Duration) {
					path := "/Users?filter=" + url.QueryEscape(`userName eq "`+name(i)+`"`)
					a, _ := send(endpoint.URL, http.MethodGet, path, "")
					f, _ := send(thin.URL, http.MethodGet, path, "")
					return a, f
				}},
				{"get", func(i int) (time.Duration, time.Duration) {
					a, _ := send(endpoint.URL, http.MethodGet, "/Users/"+ids[name(i)], "")
					f, _ := send(thin.URL, http.MethodGet, "/Users/"+name(i), "")
					return a, f
				}},
				{"page of 100", func(int) (time.Duration, time.Duration) {
					a, _ := send(endpoint.URL, http.MethodGet, "/Users?count=100", "")
					f, _ := send(thin.URL, http.MethodGet, "/Users?count=100", "")
					return a, f
				}},
				{"deactivate", func(i int) (time.Duration, time.Duration) {
					a, _ := send(endpoint.URL, http.MethodPatch, "/Users/"+ids[name(i)], off)
					f, _ := send(thin.URL, http.MethodPatch, "/Users/"+name(i), off)
					return a, f
				}},
			} {
				b.Run(tc.name, func(b *testing.B) {
					var ours, floors []time.Duration
					for b.Loop() {
						a, f := tc.do(len(ours))
						ours, floors = append(ours, a), append(floors, f)
					}
					total, median := share(b, ours, floors)
					b.ReportMetric(total, "of-floor")
					b.ReportMetric(median, "median-of-floor")
				})
			}
		})
	}
}

// share gives how many requests the endpoint answers in the time that the floor
// takes for one: by all of the time, and by the medians, which do not count what
// else the machine did meanwhile.
func share(b *testing.B, ours, floors []time.Duration) (total, median float64) {
	b.Helper()
	sum := func(list []time.Duration) (all time.Duration) {
		for _, d := range list {
			all += d
		}
		return all
	}
	total = float64(sum(floors)) / float64(sum(ours))
	slices.Sort(ours)
	slices.Sort(floors)
	a, f := ours[len(ours)/2], floors[len(floors)/2]
	b.ReportMetric(float64(a.Nanoseconds()), "endpoint-ns")
	b.ReportMetric(float64(f.Nanoseconds()), "floor-ns")
	return total, float64(f) / float64(a)
}

// running lets the endpoint write its log down meanwhile, and whoever was
// pushed be listed for the console, as in service.
func running(b *testing.B, r *rig, db *store.DB) (stop func()) {
	b.Helper()
	endpoint, ok := r.handler.(*scim.Endpoint)
	if !ok {
		b.Fatalf("the handler is %T", r.handler)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- endpoint.Run(ctx) }()
	console := admin.New(admin.Config{Store: db.Admin()})
	listed := make(chan error, 1)
	go func() { listed <- console.Run(ctx) }()
	return func() {
		cancel()
		if err := <-listed; err != nil {
			b.Error(err)
		}
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}
