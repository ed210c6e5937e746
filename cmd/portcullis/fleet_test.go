package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/store/storetest"
)

// fleet is several gates on one PostgreSQL, each the real program in a
// process of its own, with a relay of its own to the database. They share the
// public URL of the world, behind which a test may balance the load.
type fleet struct {
	*world

	server *storetest.Server
	gates  []*gateway
}

// gateway is one gate of a fleet.
type gateway struct {
	*world

	process *process
	relay   *relay
}

func newFleet(t *testing.T, c terrain, gates int) *fleet {
	t.Helper()
	server := storetest.NewServer(t)
	c.database = server.URL()
	f := &fleet{world: newWorld(t, c), server: server}
	for range gates {
		r, url := newRelay(t, server.URL())
		g := &gateway{world: f.replicate(t), relay: r}
		g.configure(t, server.URL(), url)
		g.write(t, "mapping.yaml", worldMapping)
		g.process = g.spawn(t)
		f.gates = append(f.gates, g)
	}
	return f
}

// seat is somebody who was pushed and is signed in.
type seat struct {
	person, token string
}

// seats copies somebody who was pushed and is signed in, with a session each.
func seats(t testing.TB, databaseURL, person string, n int) []seat {
	t.Helper()
	db := storetest.Raw(t, databaseURL)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	people := copying(t, tx, "people", "id", "id", "external_id", "user_name", "user_name_key", "link", "attributes")
	facts := copying(t, tx, "assertions", "person_id", "id", "person_id")
	sessions := copying(t, tx, "sessions", "person_id", "id", "person_id", "assertion_id", "token_hash")
	out := make([]seat, n)
	for i := range out {
		id := "seat-" + strconv.Itoa(i)
		out[i] = seat{id, strings.Repeat("S", 40) + id}
		hash := sha256.Sum256([]byte(out[i].token))
		for _, err := range []error{
			people(person, id, id, id+"@alpha.example", id+"@alpha.example", id, id+"@"), facts(person, id, id), sessions(person, id, id, id, hash[:]),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return out
}

// copying prepares a statement that copies the newest row of a table, in which key is a
// value, with other values in some columns.
func copying(t testing.TB, tx *sql.Tx, table, key string, columns ...string) func(args ...any) error {
	t.Helper()
	rows, err := tx.QueryContext(t.Context(), "SELECT * FROM "+table+" LIMIT 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all, err := rows.Columns()
	if err != nil || rows.Err() != nil {
		t.Fatal(err, rows.Err())
	}
	all = slices.DeleteFunc(all, func(c string) bool { return c == "seq" })
	values := slices.Clone(all)
	for i, c := range values {
		if at := slices.Index(columns, c); at >= 0 {
			values[i] = "$" + strconv.Itoa(at+2)
			if c == "attributes" { // what was pushed, the userName in it
				values[i] = "replace(attributes, 'ada@', " + values[i] + ")"
			}
		}
	}
	_ = rows.Close()
	order := map[string]string{"people": "seq", "assertions": "seq", "sessions": "created"}[table]
	statement, err := tx.PrepareContext(t.Context(), fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s WHERE %s = $1 ORDER BY %s DESC LIMIT 1",
		table, strings.Join(all, ", "), strings.Join(values, ", "), table, key, order))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = statement.Close() })
	return func(args ...any) error {
		res, err := statement.ExecContext(t.Context(), args...)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return fmt.Errorf("%d rows of %s copied, %w", n, table, err)
		}
		return nil
	}
}

// seated fills the database of a gate: somebody is pushed and signs in for real,
// and the others are copies.
func (w *world) seated(t testing.TB, databaseURL string, n int) []seat {
	t.Helper()
	return seats(t, databaseURL, w.original(t), n)
}

// original pushes somebody, has them sign in, and gives their id.
func (w *world) original(t testing.TB) (id string) {
	t.Helper()
	p := w.pusher(t)
	id = p.user(t, "ada")
	b := w.browser(t)
	answer := b.answerOf(t, "ada")
	b.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if s := b.open(t, w.public+"/.portcullis/oidc/alpha/callback?"+answer.RawQuery); s.status != http.StatusSeeOther {
		t.Fatalf("the sign-in = %d at %s\n%s", s.status, s.url, s.body)
	}
	return id
}

// ask is a request of somebody at one gate; 0 when there is no answer.
func (s seat) ask(client *http.Client, url string) (status int) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	req.Header.Set("Cookie", "portcullis="+s.token)
	req.Header.Set("Sec-Fetch-Mode", "cors")
	res, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0
	}
	return res.StatusCode
}

// watch opens an event stream and gives when it ended.
func (s seat) watch(t *testing.T, g *gateway) <-chan time.Time {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.public+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", "portcullis="+s.token)
	transport := &http.Transport{}
	res, err := transport.RoundTrip(req) //nolint:bodyclose // by the reader below
	if err != nil {
		t.Error(err)
		return nil
	}
	body := bufio.NewReader(res.Body)
	if line, err := body.ReadString('\n'); err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("a stream of %s = %d, %q, %v", s.person, res.StatusCode, line, err)
	}
	ended := make(chan time.Time, 1)
	go func() {
		_, _ = io.Copy(io.Discard, body)
		_ = res.Body.Close()
		transport.CloseIdleConnections()
		ended <- time.Now()
	}()
	return ended
}

// outlives is how long somebody lives on at a gate whose right ended at a
// time: until the last request began that was answered, or the stream ended.
func (s seat) outlives(t *testing.T, g *gateway, ended time.Time, stream <-chan time.Time) (took time.Duration) {
	t.Helper()
	eventually(t, s.person+" is refused", patience, func() bool {
		asked := time.Now()
		status := s.ask(quick, g.public+"/.portcullis/whoami")
		if status == http.StatusOK {
			took = max(took, asked.Sub(ended))
		}
		return status == http.StatusUnauthorized
	})
	return max(took, endWithin(t, ended, patience, stream))
}

// revoke deactivates people over SCIM, a few at a time and at one gate after the
// other, and gives how long each lived on at each of some gates.
func (f *fleet) revoke(t *testing.T, pushers []*pusher, people []seat, at ...*gateway) []time.Duration {
	t.Helper()
	var (
		mu    sync.Mutex
		took  []time.Duration
		wg    sync.WaitGroup
		slots = make(chan struct{}, 8)
	)
	for i, s := range people {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			streams := make([]<-chan time.Time, len(at))
			for j, g := range at {
				streams[j] = s.watch(t, g)
			}
			if t.Failed() {
				return
			}
			status, body, err := pushers[i%len(pushers)].try(http.MethodPatch, "/Users/"+s.person, off)
			ended := time.Now()
			if err != nil || status != http.StatusOK {
				t.Errorf("deactivation = %d %v\n%s", status, err, body)
				return
			}
			var each sync.WaitGroup
			for j, g := range at {
				each.Go(func() {
					d := s.outlives(t, g, ended, streams[j])
					mu.Lock()
					defer mu.Unlock()
					took = append(took, d)
				})
			}
			each.Wait()
		})
	}
	wg.Wait()
	return took
}

const off = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`

// holdsBound holds times against the bound of the contract.
func holdsBound(t *testing.T, what string, took []time.Duration) {
	t.Helper()
	if len(took) == 0 {
		t.Fatalf("%s: nothing was measured", what)
	}
	slices.Sort(took)
	p := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))] }
	t.Logf("%s, %d times: median %s, p99 %s, longest %s", what, len(took), p(.5), p(.99), p(1))
	if p(.99) > time.Second {
		t.Errorf("%s: p99 %s, want a second at most", what, p(.99))
	}
}

// load asks at every gate for as many people until the test is over, and counts
// the answers.
func (f *fleet) load(t *testing.T, people []seat) (answers func() map[int]int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	count := map[int]int{}
	var wg sync.WaitGroup
	for i, g := range f.gates {
		client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}
		wg.Go(func() {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			defer client.CloseIdleConnections()
			for n := i; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				status := people[n%len(people)].ask(client, g.public+"/page")
				mu.Lock()
				count[status]++
				mu.Unlock()
			}
		})
	}
	t.Cleanup(func() { cancel(); wg.Wait() })
	return func() map[int]int {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(count)
	}
}

// pushers gives one for each gate, with one token.
func (f *fleet) pushers(t *testing.T) []*pusher {
	t.Helper()
	first := f.pusher(t)
	out := make([]*pusher, len(f.gates))
	for i, g := range f.gates {
		out[i] = &pusher{g.public + "/scim/v2/alpha", first.token, first.http}
	}
	return out
}
