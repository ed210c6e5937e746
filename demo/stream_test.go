package demo_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

// stream opens the portal's event stream on a real server.
func stream(t *testing.T, g *gate, p http.Handler, claims map[string]any) (next func() (name, data string), leave func(), ended <-chan struct{}) {
	t.Helper()
	done := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.ServeHTTP(w, r)
		close(done)
	}))
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/live/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Portcullis-Assertion", sign(t, jose.ES256, g.key, g.claims(claims)))
	res, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("Content-Type = %q, want text/event-stream", got)
	}
	lines := bufio.NewReader(res.Body)
	next = func() (name, data string) {
		for {
			line, err := lines.ReadString('\n')
			if err == io.EOF {
				return "", ""
			}
			if err != nil {
				t.Fatal(err)
			}
			line = strings.TrimSuffix(line, "\n")
			if line == "" {
				return name, data
			}
			if v, ok := strings.CutPrefix(line, "event: "); ok {
				name = v
			} else if v, ok := strings.CutPrefix(line, "data: "); ok {
				data = v
			}
		}
	}
	return next, cancel, done
}

func TestStreamShowsVisibleRowsUntilTheReaderIsCutOff(t *testing.T) {
	g := newGate(t)
	beat := make(chan time.Time)
	p := g.portal(t, func(context.Context) <-chan time.Time { return beat })
	next, leave, ended := stream(t, g, p, nil)
	for range 3 {
		name, data := next()
		var u struct {
			Time  string
			Ticks []struct{ ID, Price, Way string }
		}
		if err := json.Unmarshal([]byte(data), &u); err != nil || name != "update" {
			t.Fatalf("event %q %q: %v", name, data, err)
		}
		var ids []string
		for _, tick := range u.Ticks {
			ids = append(ids, tick.ID)
		}
		if diff := cmp.Diff([]string{"h101", "h102", "h103", "h104"}, ids); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		g.pass(time.Second)
		beat <- g.clock()
	}
	leave()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the stream goes on without its reader")
	}
}

func TestStreamEndsWithItsStatement(t *testing.T) {
	g := newGate(t)
	beat := make(chan time.Time)
	p := g.portal(t, func(context.Context) <-chan time.Time { return beat })
	next, _, ended := stream(t, g, p, nil)
	if name, _ := next(); name != "update" {
		t.Fatalf("first event = %q, want update", name)
	}
	g.pass(4 * time.Minute)
	beat <- g.clock()
	if name, _ := next(); name != "renew" {
		t.Errorf("event = %q, want renew", name)
	}
	<-ended
}

func TestStreamEndsWithItsTicker(t *testing.T) {
	g := newGate(t)
	beat := make(chan time.Time)
	close(beat)
	p := g.portal(t, func(context.Context) <-chan time.Time { return beat })
	w := g.as(t, p, "GET", "/live/events", nil)
	if n := strings.Count(w.Body.String(), "event: update"); n != 1 {
		t.Errorf("updates = %d, want 1", n)
	}
}
