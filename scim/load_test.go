package scim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
)

// BenchmarkAgainstTheFloor holds the endpoint against the [floor], in rounds
// that alternate: "of-floor" is the endpoint's share of the floor's requests
// per second, and "cpu-of-floor" how much of the CPU time that the endpoint
// takes for a request the floor takes, both with the client's part. Each is the median of
// the rounds, so that what else the machine does meanwhile counts for neither.
// The aim is 0.7, and 0.5 for pages. Both write with the durability of a
// deployment; what the endpoint writes behind its answers is within its rounds.
func BenchmarkAgainstTheFloor(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		b.Run(kind, func(b *testing.B) {
			d := newDuel(b, kind)
			for _, clients := range []int{1, 8} {
				b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
					d.clients = clients
					for _, tc := range contests() {
						b.Run(tc.name, func(b *testing.B) { d.run(b, tc) })
					}
				})
			}
		})
	}
}

// contest is one operation.
type contest struct {
	name    string
	size    int // requests of a round
	request func(s *side, i int) (method, path, body string)
	fresh   bool // each round has new people
}

func contests() []contest {
	off := `{"schemas":["` + patchURN + `"],"Operations":[{"op":"replace","path":"active","value":false}]}`
	return []contest{
		{name: "create", size: 300, request: func(s *side, _ int) (string, string, string) { return http.MethodPost, "/Users", s.next() }},
		{name: "filter", size: 1000, request: func(_ *side, i int) (string, string, string) {
			name := fmt.Sprintf("u%d@example.com", i*7919%known+1)
			return http.MethodGet, "/Users?filter=" + url.QueryEscape(`userName eq "`+name+`"`), ""
		}},
		{name: "get", size: 1000, request: func(s *side, i int) (string, string, string) {
			return http.MethodGet, "/Users/" + s.ids[i*7919%known], ""
		}},
		{name: "page of 100", size: 100, request: func(*side, int) (string, string, string) { return http.MethodGet, "/Users?count=100", "" }},
		{name: "deactivate", size: 300, fresh: true, request: func(s *side, i int) (string, string, string) {
			return http.MethodPatch, "/Users/" + s.ids[len(s.ids)-1-i], off
		}},
	}
}

// known is how many people there are from the beginning.
const known = 1000

// side is one of both servers, with the people that were made there.
type side struct {
	b      *testing.B
	url    string
	secret string
	made   atomic.Int64
	ids    []string
	client *http.Transport
	while  func() (stop func()) // what the server does beside its answers
}

// next is the body of somebody new.
func (s *side) next() string {
	raw, err := json.Marshal(user(fmt.Sprintf("u%d@example.com", s.made.Add(1))))
	if err != nil {
		s.b.Error(err)
	}
	return string(raw)
}

func (s *side) send(method, path, body string) []byte {
	req, err := http.NewRequestWithContext(s.b.Context(), method, s.url+"/scim/v2/acme"+path, strings.NewReader(body))
	if err != nil {
		s.b.Error(err)
		return nil
	}
	req.Header.Set("Content-Type", "application/scim+json")
	req.Header.Set("Authorization", "Bearer "+s.secret)
	res, err := s.client.RoundTrip(req)
	if err != nil {
		s.b.Error(err)
		return nil
	}
	raw, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || res.StatusCode > 299 {
		s.b.Errorf("%s %s%s = %d %s", method, s.url, path, res.StatusCode, raw)
	}
	return raw
}

// people makes people whose ids are known.
func (s *side) people(n int) {
	for range n {
		var doc struct{ ID string }
		if err := json.Unmarshal(s.send(http.MethodPost, "/Users", s.next()), &doc); err != nil || doc.ID == "" {
			s.b.Fatalf("nobody was made: %v", err)
		}
		s.ids = append(s.ids, doc.ID)
	}
}

// cost is what a round took, for each of its requests.
type cost struct{ wall, cpu time.Duration }

// round sends the requests of a round from some clients at once.
func (s *side) round(c contest, clients int) cost {
	runtime.GC() // the other side's garbage is not this one's
	var sent atomic.Int64
	var all sync.WaitGroup
	busy, began := cpuTime(s.b), time.Now()
	stop := s.while()
	for range clients {
		all.Go(func() {
			for i := int(sent.Add(1)) - 1; i < c.size; i = int(sent.Add(1)) - 1 {
				s.send(c.request(s, i))
			}
		})
	}
	all.Wait()
	wall := time.Since(began)
	stop()
	return cost{wall: wall / time.Duration(c.size), cpu: (cpuTime(s.b) - busy) / time.Duration(c.size)}
}

// cpuTime is the CPU time of this process.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// duel is the endpoint and the floor, side by side.
type duel struct {
	ours, floor side
	settle      func() // does what the endpoint has left to do behind its answers
	clock       *clock
	clients     int
}

func newDuel(b *testing.B, kind string) *duel {
	b.Helper()
	at, floorAt := freshURL(b, kind), freshURL(b, kind)
	db, err := store.Open(b.Context(), store.Config{URL: at})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	r := newRigOn(b, db, func(c *scim.Config) {
		c.Limit, c.Journal = scim.Limit{PerSecond: 1e9, Burst: 1e9}, db.Journal()
	})
	endpoint, thin := httptest.NewServer(r.handler), httptest.NewServer(newFloor(b, floorAt))
	b.Cleanup(func() { endpoint.Close(); thin.Close() })
	d := &duel{clock: r.clock}
	for s, url := range map[*side]string{&d.ours: endpoint.URL, &d.floor: thin.URL} {
		s.b, s.url, s.secret, s.client = b, url, r.secret, &http.Transport{MaxIdleConnsPerHost: 16}
		b.Cleanup(s.client.CloseIdleConnections)
		s.while = func() func() { return func() {} }
	}
	d.ours.people(known)
	d.floor.people(known)
	if kind != "sqlite" {
		for _, at := range []string{at, floorAt} { // as a server does by itself once in a while
			if _, err := storetest.Raw(b, at).ExecContext(b.Context(), "ANALYZE"); err != nil {
				b.Fatal(err)
			}
		}
	}
	d.ours.while = func() func() { return running(d.ours.b, r, db) }
	d.settle = func() {
		if err := r.handler.(*scim.Endpoint).Flush(d.ours.b.Context()); err != nil { //nolint:forcetypeassert // see running
			d.ours.b.Fatal(err)
		}
		for more := true; more; {
			var err error
			if more, err = db.Admin().List(d.ours.b.Context(), 50); err != nil {
				d.ours.b.Fatal(err)
			}
		}
	}
	return d
}

func (d *duel) run(b *testing.B, c contest) {
	b.Helper()
	d.ours.b, d.floor.b = b, b
	var wall, cpu, ours, floors, busy []float64
	for turn := 0; b.Loop(); turn++ {
		d.clock.turn(time.Second) // so that who was made before has a past
		if c.fresh {
			b.StopTimer()
			d.ours.people(c.size)
			d.floor.people(c.size)
			d.settle() // that somebody was made is not part of what is measured
			d.clock.turn(time.Second)
			b.StartTimer()
		}
		var a, f cost
		if turn%2 == 0 {
			a, f = d.ours.round(c, d.clients), d.floor.round(c, d.clients)
		} else {
			f, a = d.floor.round(c, d.clients), d.ours.round(c, d.clients)
		}
		wall, cpu = append(wall, float64(f.wall)/float64(a.wall)), append(cpu, float64(f.cpu)/float64(a.cpu))
		busy = append(busy, float64(a.cpu.Microseconds()))
		ours, floors = append(ours, float64(time.Second)/float64(a.wall)), append(floors, float64(time.Second)/float64(f.wall))
	}
	b.ReportMetric(median(wall), "of-floor")
	b.ReportMetric(median(cpu), "cpu-of-floor")
	b.ReportMetric(median(busy), "cpu-us/request")
	b.ReportMetric(median(ours), "requests/s")
	b.ReportMetric(median(floors), "floor-requests/s")
	b.ReportMetric(0, "ns/op") // of both sides together: it says nothing
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
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
