//go:build e2e

package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// resident is the memory of a process, in MB: its own, and what is mapped from
// the file of the program, which the system takes back when it is short.
func (p *process) resident(t *testing.T) (own, file float64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		t.Fatal(err) // a measurement of Linux, which CI runs on
	}
	read := func(key string) float64 {
		_, rest, _ := strings.Cut(string(text), key+":")
		kB, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			t.Fatal(err)
		}
		return float64(kB) / 1000
	}
	return read("RssAnon"), read("RssFile")
}

// What the gate holds in memory, idle and with a hundred thousand sessions that
// are all in use.
func TestMemoryWithAHundredThousandSessions(t *testing.T) {
	const sessions = 100_000
	w := newWorld(t, terrain{})
	p := w.spawn(t)
	id := w.original(t)
	p.end(t, syscall.SIGTERM)
	people := seats(t, "sqlite:"+w.dir+"/portcullis.db", id, sessions)
	p = w.spawn(t)
	var own, file float64
	eventually(t, "the start is forgotten", patience, func() bool {
		own, file = p.resident(t)
		return own+file <= 40
	})
	t.Logf("idle: %.0f MB, and %.0f MB of the program's file; the second start took %s", own, file, p.took)

	next := make(chan seat)
	var wg sync.WaitGroup
	began := time.Now()
	for range 8 {
		client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{}}
		wg.Go(func() {
			defer client.CloseIdleConnections()
			for s := range next {
				if status := s.ask(client, w.public+"/page"); status != http.StatusOK {
					t.Errorf("%s gets %d", s.person, status)
				}
			}
		})
	}
	highest := 0.0
	for i, s := range people {
		next <- s
		if i%1000 == 0 {
			own, file := p.resident(t)
			highest = max(highest, own+file)
		}
	}
	close(next)
	wg.Wait()
	own, file = p.resident(t)
	t.Logf("%d requests of as many sessions in %s; cached: %s, assertions: %s bytes", sessions, time.Since(began),
		w.metric(t, "portcullis_sessions_cached"), w.metric(t, "portcullis_assertions_cached_bytes"))
	t.Logf("highest: %.0f MB resident, at the end %.0f MB, and %.0f MB of the program's file", highest, own, file)
	// The aim is 120; the program of a test has more in its file than the gate,
	// and how high it stands when depends on when the collector ran.
	if highest = max(highest, own+file); highest > 200 {
		t.Errorf("with %d sessions: %.0f MB, want 200 at most", sessions, highest)
	}
}
