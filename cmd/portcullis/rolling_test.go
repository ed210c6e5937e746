package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// balancer is a load balancer as it stands in front of gates: one after the
// other, those that say they are ready, over connections that it keeps.
type balancer struct {
	http.Handler

	gates []*gateway
	ready []atomic.Bool
	next  atomic.Int64
}

func (f *fleet) balance(t *testing.T) *balancer {
	t.Helper()
	b := &balancer{gates: f.gates, ready: make([]atomic.Bool, len(f.gates))}
	targets := make([]*url.URL, len(f.gates))
	for i, g := range f.gates {
		var err error
		if targets[i], err = url.Parse(g.public); err != nil {
			t.Fatal(err)
		}
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	b.Handler = &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			for range b.gates {
				if i := int(b.next.Add(1)) % len(b.gates); b.ready[i].Load() {
					r.SetURL(targets[i])
					break
				}
			}
			r.Out.Host = r.In.Host
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i, g := range f.gates {
		status, _ := fetch(g.ops + "/readyz")
		b.ready[i].Store(status == http.StatusOK)
		wg.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				status, _ := fetch(g.ops + "/readyz")
				b.ready[i].Store(status == http.StatusOK)
			}
		})
	}
	t.Cleanup(func() { cancel(); wg.Wait() })
	return b
}

// Each of three gates is restarted while requests and changes come in over
// kept connections: none fails, and everybody stays signed in.
func TestRollingRestartLosesNothing(t *testing.T) {
	t.Parallel()
	f := newFleet(t, terrain{shutdown: "{delay: 2s}"}, 3)
	people := f.gates[0].seated(t, f.server.URL(), 12)
	front := &http.Server{Addr: strings.TrimPrefix(f.public, "http://"), Handler: f.balance(t), ReadHeaderTimeout: time.Minute}
	go func() { _ = front.ListenAndServe() }()
	t.Cleanup(func() { _ = front.Close() })
	eventually(t, "the balancer answers", patience, func() bool { return people[0].ask(quick, f.public+"/.portcullis/whoami") == http.StatusOK })

	var (
		wg     sync.WaitGroup
		served atomic.Int64
		client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	)
	over, stop := context.WithCancel(context.Background())
	finish := sync.OnceFunc(func() { stop(); wg.Wait() })
	t.Cleanup(finish)
	for c := range 6 {
		wg.Go(func() {
			tick := time.NewTicker(15 * time.Millisecond)
			defer tick.Stop()
			for n := c; over.Err() == nil; n++ {
				// A POST is never sent twice: neither client nor balancer may
				// hide that one was lost.
				req, err := http.NewRequest(http.MethodPost, f.public+"/page", strings.NewReader("sum=1000"))
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Cookie", "portcullis="+people[n%len(people)].token)
				res, err := client.Do(req)
				if err != nil {
					t.Errorf("a request was lost: %v", err)
					return
				}
				if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
					t.Errorf("a request was answered %d, %v", res.StatusCode, err)
				}
				_ = res.Body.Close()
				served.Add(1)
				<-tick.C
			}
		})
	}
	for _, g := range f.gates {
		stream := people[0].watch(t, g)
		began := time.Now()
		g.process.end(t, syscall.SIGTERM)
		if code := g.process.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit code = %d, want 0", code)
		}
		t.Logf("a gate left after %s, its stream after %s", time.Since(began), endWithin(t, began, patience, stream))
		g.process = g.spawn(t)
		t.Logf("ready again after %s", g.process.took)
	}
	finish()
	t.Logf("%d requests were served", served.Load())
	for _, g := range f.gates {
		for _, s := range people {
			if status := s.ask(quick, g.public+"/.portcullis/whoami"); status != http.StatusOK {
				t.Errorf("whoami after the restart of every gate = %d, want 200", status)
			}
		}
	}
}
