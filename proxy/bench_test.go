package proxy_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"portcullis/proxy"
)

// BenchmarkProxy compares an authenticated request for 1 KB through the gate
// with the same through a plain ReverseProxy that has the same transport and
// buffers. Both run in turns in one process, so that whatever else the
// machine does falls on both alike. It counts CPU time of the process
// (getrusage): client, proxy and portal together. The first and the last cost
// the same on both sides and are in both numbers, so the ratio of the proxies
// alone is somewhat larger; direct-cpu-ns/req, the client talking to the portal
// with nothing between, is what to take off both sides: own-ratio does. The
// ratios are medians over the rounds.
func BenchmarkProxy(b *testing.B) {
	body := bytes.Repeat([]byte("x"), 1024)
	upstream := portal(b, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	plain := listening(b, plainProxy(b, parse(b, upstream)))
	g := open(b, upstream, func(c *proxy.Config) { c.Log = slog.New(slog.DiscardHandler) })
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	b.Cleanup(client.CloseIdleConnections)

	const batch = 1000
	run := func(base string) time.Duration {
		before := cpu(b)
		var next atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for next.Add(1) <= batch {
					fetch(b, client, base, len(body))
				}
			})
		}
		all.Wait()
		return cpu(b) - before
	}
	for _, base := range []string{g.url, plain, upstream} {
		run(base) // connections are dialed, the assertion is signed
	}
	var gate, bare, direct, ratio, own []float64
	for b.Loop() {
		g, p, d := run(g.url), run(plain), run(upstream)
		gate, bare, direct = append(gate, float64(g)/batch), append(bare, float64(p)/batch), append(direct, float64(d)/batch)
		ratio, own = append(ratio, float64(g)/float64(p)), append(own, float64(g-d)/float64(p-d))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(gate), "gate-cpu-ns/req")
	b.ReportMetric(median(bare), "plain-cpu-ns/req")
	b.ReportMetric(median(direct), "direct-cpu-ns/req")
	b.ReportMetric(median(ratio), "ratio")
	b.ReportMetric(median(own), "own-ratio")
}

// BenchmarkForwardAuth compares the answer to a proxy in front with an
// endpoint that answers 204 to everybody, in the same way as
// [BenchmarkProxy]: CPU of the whole process, both in turns, client included.
func BenchmarkForwardAuth(b *testing.B) {
	bare := listening(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	g := open(b, bare, func(c *proxy.Config) { c.Log = slog.New(slog.DiscardHandler) }, trusting("127.0.0.1/32"))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	b.Cleanup(client.CloseIdleConnections)
	const batch = 2000
	run := func(target string, want int) time.Duration {
		before := cpu(b)
		for range batch {
			r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
			if err != nil {
				b.Fatal(err)
			}
			r.Header.Set("Cookie", "portcullis="+annToken)
			r.Header.Set("X-Original-Uri", "/data")
			res, err := client.Do(r)
			if err != nil {
				b.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != want {
				b.Fatalf("%s = %d", target, res.StatusCode)
			}
		}
		return cpu(b) - before
	}
	run(g.url+authURL, http.StatusOK)
	run(bare+"/x", http.StatusNoContent)
	var ratio []float64
	for b.Loop() {
		ratio = append(ratio, float64(run(g.url+authURL, http.StatusOK))/float64(run(bare+"/x", http.StatusNoContent)))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ratio), "ratio")
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

func fetch(b *testing.B, client *http.Client, base string, want int) {
	b.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, base+"/data", nil)
	if err != nil {
		b.Error(err)
		return
	}
	r.Header.Set("Cookie", "portcullis="+annToken)
	res, err := client.Do(r)
	if err != nil {
		b.Error(err)
		return
	}
	n, err := io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if err != nil || int(n) != want || res.StatusCode != http.StatusOK {
		b.Errorf("answer = %d, %d bytes, %v", res.StatusCode, n, err)
	}
}

type pool struct{ sync.Pool }

func (p *pool) Get() []byte {
	if buf, ok := p.Pool.Get().(*[]byte); ok {
		return *buf
	}
	return make([]byte, 32<<10)
}

func (p *pool) Put(buf []byte) { p.Pool.Put(&buf) }

// plainProxy is the reverse proxy of the standard library with a transport
// like the gate's.
func plainProxy(b *testing.B, to *url.URL) http.Handler {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 512, IdleConnTimeout: 4 * time.Second, ResponseHeaderTimeout: 2 * time.Minute, DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)
	return &httputil.ReverseProxy{
		Transport: transport, BufferPool: &pool{},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.SetXForwarded()
		},
	}
}

func listening(b *testing.B, h http.Handler) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	serve(b, l, h, slog.New(slog.DiscardHandler))
	return "http://" + l.Addr().String()
}

// cpu is the CPU time that the process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
