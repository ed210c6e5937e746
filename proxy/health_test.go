package proxy_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/proxy"
)

// eventually polls until what is true, and fails if that takes too long.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatal(what)
		}
		<-tick.C
	}
}

// While an upstream says that it is not well nobody waits for it, and nobody
// else is kept waiting.
func TestAnUpstreamThatIsNotWell(t *testing.T) {
	var sick atomic.Bool
	var asked atomic.Int64
	up := portal(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			asked.Add(1)
			return
		}
		if r.Header.Get("Cookie") != "" || r.Header.Get("X-Portcullis-User") != "" {
			t.Error("the question is of nobody")
		}
		if sick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	g := open(t, record(t).url, func(c *proxy.Config) { c.ProbeEvery = time.Millisecond }, routes(
		proxy.Route{Path: "/sick/", Upstream: &proxy.Upstream{URL: parse(t, up), Health: "/healthz"}},
	))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	if res := g.get(t, "/sick/", "ann"); res.Code != 200 {
		t.Errorf("well = %d", res.Code)
	}
	sick.Store(true)
	eventually(t, "it still counts as well", func() bool { return g.get(t, "/sick/", "ann").Code == 503 })
	before := asked.Load()
	if res := g.get(t, "/sick/", "ann", "page"); res.Header.Get("Retry-After") == "" || !strings.Contains(res.Text, res.Header.Get("X-Portcullis-Reference")) {
		t.Errorf("answer = %d %v", res.Code, res.Header)
	}
	if res := g.get(t, "/sick/"); res.Code != 401 {
		t.Errorf("a stranger is told %d", res.Code)
	}
	if res := g.get(t, "/x", "ann"); res.Code != 200 {
		t.Errorf("the other portal = %d", res.Code)
	}
	if asked.Load() != before {
		t.Error("the portal was asked")
	}
	h := g.Health()
	if len(h) != 2 || h[0].Probed || !h[0].Well || !h[1].Probed || h[1].Well || h[1].Origin != up {
		t.Errorf("Health() = %+v", h)
	}
	sick.Store(false)
	eventually(t, "it is well and nobody believes it", func() bool { return g.get(t, "/sick/", "ann").Code == 200 })
	for _, text := range []string{"upstream is not well", "upstream is well again"} {
		if n := strings.Count(g.log.String(), text); n != 1 {
			t.Errorf("the log says %q %d times", text, n)
		}
	}
}
