package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"portcullis/internal/freeport"
	"portcullis/proxy"
)

// floor is a program of its own: what the gate's cost is held against. It
// takes the address to listen on and the URL of a portal. /empty answers 204
// to everybody; whatever else goes through the reverse proxy of the standard
// library, with the server, transport and buffers that the gate has.
func floor() {
	portal, err := url.Parse(os.Args[2])
	if err != nil {
		panic(err)
	}
	log := slog.New(slog.DiscardHandler)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	plain := &httputil.ReverseProxy{
		Transport: &http.Transport{
			Protocols: protocols, MaxIdleConnsPerHost: 512, IdleConnTimeout: 4 * time.Second, ResponseHeaderTimeout: 2 * time.Minute,
			ExpectContinueTimeout: time.Second, MaxResponseHeaderBytes: 1 << 20, DisableCompression: true,
		},
		BufferPool: &pool{},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(portal)
			r.SetXForwarded()
		},
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/empty" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		plain.ServeHTTP(w, r)
	})
	if err := proxy.Server(os.Args[1], handler, log).ListenAndServe(); err != nil {
		panic(err)
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

// startFloor runs the floor until the benchmark ends, and gives its URL.
func startFloor(b *testing.B, portal string) (string, *exec.Cmd) {
	b.Helper()
	address := freeport.Address(b)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "floor", address, portal)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cancel(); _ = cmd.Wait() })
	eventually(b, "the floor answers", time.Minute, func() bool {
		status, _ := fetch("http://" + address + "/empty")
		return status == http.StatusNoContent
	})
	return "http://" + address, cmd
}

// processor is the processor time that a process has used, by its clock
// (clock_getcpuclockid(3)).
func processor(b *testing.B, cmd *exec.Cmd) time.Duration {
	b.Helper()
	var at syscall.Timespec
	clock := ^uintptr(cmd.Process.Pid)<<3 | 2
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&at)), 0); errno != 0 {
		b.Fatal(errno)
	}
	return time.Duration(at.Nano())
}

// BenchmarkCost is what the gate costs: processor time of its process for each
// request, held against the plain reverse proxy of the standard library and
// against an endpoint that only answers 204. Each of them is the real program
// in a process of its own; client and portal are in a third. All are asked in turns,
// so that whatever else the machine does falls on all alike; the ratios are
// medians over the rounds.
func BenchmarkCost(b *testing.B) {
	w := newWorld(b, terrain{})
	w.trustLoopback(b)
	p := w.spawn(b)
	id := w.original(b)
	p.end(b, syscall.SIGTERM)
	people := seats(b, "sqlite:"+w.dir+"/portcullis.db", id, 1)
	p = w.spawn(b)
	base, floor := startFloor(b, w.portal.URL)
	for _, tc := range []struct {
		name, gate, floor string
		batch             int
	}{
		{"1KB", "/bytes/1024", "/bytes/1024", 2000},
		{"100KB", "/bytes/102400", "/bytes/102400", 1000},
		{"ForwardAuth", "/.portcullis/auth", "/empty", 4000},
	} {
		b.Run(tc.name, func(b *testing.B) {
			asked := func(url string, cmd *exec.Cmd) float64 {
				before := processor(b, cmd)
				ask(b, url, people[0].token, tc.batch)
				return float64(processor(b, cmd)-before) / float64(tc.batch)
			}
			asked(w.public+tc.gate, p.Cmd) // connections are dialed, the assertion is signed
			asked(base+tc.floor, floor)
			var gate, plain, ratio []float64
			for b.Loop() {
				g, f := asked(w.public+tc.gate, p.Cmd), asked(base+tc.floor, floor)
				gate, plain, ratio = append(gate, g), append(plain, f), append(ratio, g/f)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(middle(gate), "gate-cpu-ns/req")
			b.ReportMetric(middle(plain), "floor-cpu-ns/req")
			b.ReportMetric(middle(ratio), "ratio")
		})
	}
}

// trustLoopback lets proxies in front ask from this machine.
func (w *world) trustLoopback(b *testing.B) {
	b.Helper()
	text, err := os.ReadFile(w.dir + "/portcullis.yaml")
	if err != nil {
		b.Fatal(err)
	}
	w.write(b, "portcullis.yaml", string(text)+"trusted_proxies: [127.0.0.1/32]\n")
}

func middle(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// ask sends a number of requests over eight connections that are kept.
func ask(b *testing.B, target, token string, n int) {
	b.Helper()
	u, err := url.Parse(target)
	if err != nil {
		b.Fatal(err)
	}
	head := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: application/json\r\n"+
		"Accept-Language: en\r\nAccept-Encoding: gzip\r\nSec-Fetch-Mode: cors\r\nX-Original-Uri: /reports/1\r\nCookie: theme=dark; portcullis=%s\r\n\r\n", u.Path, u.Host, token)
	var sent atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", u.Host)
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			r := bufio.NewReader(conn)
			for sent.Add(1) <= int64(n) {
				if _, err := io.WriteString(conn, head); err != nil {
					b.Error(err)
					return
				}
				res, err := http.ReadResponse(r, nil)
				if err != nil {
					b.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode >= http.StatusMultipleChoices {
					b.Errorf("%s = %s, %v", target, res.Status, err)
					return
				}
			}
		})
	}
	all.Wait()
}
