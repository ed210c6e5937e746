package proxy_test

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"portcullis/proxy"
)

// A gate that is about to stop ends what has no end, cleanly, and nothing
// else.
func TestDrainEndsStreamsAndNothingElse(t *testing.T) {
	url, _ := chatty(t)
	asked := make(chan struct{})
	answer := make(chan struct{})
	slow := portal(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "begun ")
		_ = http.NewResponseController(w).Flush()
		close(asked)
		<-answer
		_, _ = io.WriteString(w, "and done")
	})
	g := open(t, url, routes(proxy.Route{Path: "/public/", Public: true}))
	patient := open(t, slow)

	_, _, events := g.begin(t, "/events", "ann")                 //nolint:bodyclose // begin closes it
	_, socket, _ := g.begin(t, "/ws", append(upgrade, "ann")...) //nolint:bodyclose // begin closes it
	_, public, _ := g.begin(t, "/public/ws", upgrade...)         //nolint:bodyclose // begin closes it
	_, _, under := patient.begin(t, "/report", "ann")            //nolint:bodyclose // begin closes it
	<-asked
	if got := g.Streams(); got != 3 {
		t.Errorf("Streams = %d, want 3", got)
	}
	if got := patient.Streams(); got != 0 {
		t.Errorf("Streams = %d while an ordinary answer is under way, want 0", got)
	}

	g.Drain()
	patient.Drain()
	mustEnd(t, socket)
	mustEnd(t, public)
	if rest, err := io.ReadAll(events.Body); err != nil {
		t.Errorf("the event stream ended with %q, %v; want a whole response", rest, err)
	}
	close(answer)
	if text, err := io.ReadAll(under.Body); err != nil || string(text) != "begun and done" {
		t.Errorf("the answer under way = %q, %v", text, err)
	}
	for range 3 {
		<-g.over
	}
	if got := g.Streams(); got != 0 {
		t.Errorf("Streams = %d after all have ended", got)
	}
	late := dial(t, g.addr)
	defer late.Close()
	_, _ = io.WriteString(late, g.request("GET", "/ws", append(upgrade, "ann")...))
	mustEnd(t, late)
}

func TestTheObserverHearsOfThePortalsAnswers(t *testing.T) {
	var mu sync.Mutex
	var heard []int
	observe := func(c *proxy.Config) {
		c.Observe = func(status int, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			if took <= 0 {
				t.Errorf("the portal took %s", took)
			}
			heard = append(heard, status)
		}
	}
	url := portal(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	g := open(t, url, observe)
	g.get(t, "/x", "ann")
	g.get(t, "/x") // nobody: the portal hears nothing of it
	gone := open(t, "http://127.0.0.1:1", observe)
	gone.get(t, "/x", "ann")
	mu.Lock()
	defer mu.Unlock()
	if len(heard) != 2 || heard[0] != http.StatusTeapot || heard[1] != 0 {
		t.Errorf("heard %v, want 418 and 0", heard)
	}
}
