package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/websocket"
)

// portal is a portal behind the gate: it says what it was told, streams, and
// can be slow.
type portal struct {
	*httptest.Server

	mu       sync.Mutex
	uploaded int64
	slow     chan struct{} // closed lets the answers of /slow go
	waiting  chan struct{} // one for each request that has come to /slow
}

func newPortal(t testing.TB) *portal {
	t.Helper()
	p := &portal{slow: make(chan struct{}), waiting: make(chan struct{}, 1000)}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"path": r.RequestURI, "header": r.Header})
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		p.waiting <- struct{}{}
		<-p.slow
		_, _ = io.WriteString(w, "done at last")
	})
	mux.HandleFunc("/bytes/{n}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.PathValue("n"))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", r.PathValue("n"))
		_, _ = w.Write(make([]byte, n))
	})
	mux.HandleFunc("/upload", func(_ http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.uploaded = n
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := io.WriteString(w, "data: alive\n\n"); err != nil {
				return
			}
			if http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
		}
	})
	mux.Handle("/ws", websocket.Server{Handler: func(c *websocket.Conn) { _, _ = io.Copy(c, c) }})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(func() { p.CloseClientConnections(); p.Close() })
	return p
}

// browser is somebody's browser: it keeps cookies, follows redirects, and
// presses buttons.
type browser struct {
	*world

	http *http.Client
}

func (w *world) browser(t testing.TB) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{world: w, http: &http.Client{Jar: jar, Timeout: 30 * time.Second, Transport: &http.Transport{}}}
}

// screen is what a browser shows.
type screen struct {
	status    int
	url       *url.URL
	body      string
	reference string
}

func (b *browser) do(t testing.TB, req *http.Request) screen {
	t.Helper()
	res, err := b.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s: %v", req.URL, err)
	}
	return screen{res.StatusCode, res.Request.URL, string(body), res.Header.Get("X-Portcullis-Reference")}
}

// open types an address.
func (b *browser) open(t testing.TB, target string) screen {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.absolute(target), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	return b.do(t, req)
}

// script asks as a page's script does.
func (b *browser) script(t testing.TB, target string) screen {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.absolute(target), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Sec-Fetch-Mode", "cors")
	return b.do(t, req)
}

func (b *browser) absolute(target string) string {
	if strings.HasPrefix(target, "/") {
		return b.public + target
	}
	return target
}

// press sends the first form of a page, with its hidden fields and what is
// given.
func (b *browser) press(t testing.TB, s screen, fields url.Values) screen {
	t.Helper()
	action, hidden, ok := form(s.body)
	if !ok {
		t.Fatalf("no form at %s:\n%s", s.url, s.body)
	}
	maps.Copy(hidden, fields)
	to, err := s.url.Parse(action)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to.String(), strings.NewReader(hidden.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "text/html")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	return b.do(t, req)
}

// form finds the first form that is sent with POST.
func form(page string) (action string, hidden url.Values, ok bool) {
	z := html.NewTokenizer(strings.NewReader(page))
	hidden = url.Values{}
	for z.Next() != html.ErrorToken {
		token := z.Token()
		attr := map[string]string{}
		for _, a := range token.Attr {
			attr[a.Key] = a.Val
		}
		switch {
		case token.Type == html.StartTagToken && token.Data == "form" && strings.EqualFold(attr["method"], "post"):
			action, ok = attr["action"], true
		case token.Data == "input" && ok && attr["type"] == "hidden":
			hidden.Add(attr["name"], attr["value"])
		case token.Type == html.EndTagToken && token.Data == "form" && ok:
			return action, hidden, true
		}
	}
	return action, hidden, ok
}

// signIn opens a page as somebody who has to sign in first, and picks who
// they are at the identity provider.
func (b *browser) signIn(t testing.TB, person, target string) screen {
	t.Helper()
	s := b.open(t, target)
	if s.url.Path != "/authorize" {
		t.Fatalf("opening %s led to %s (%d), want the identity provider\n%s", target, s.url, s.status, s.body)
	}
	return b.press(t, s, url.Values{"person": {person}})
}

// mustSignIn is signIn of somebody who gets in.
func (b *browser) mustSignIn(t *testing.T, person string) {
	t.Helper()
	if s := b.signIn(t, person, "/"); s.status != http.StatusOK || !strings.HasPrefix(s.url.String(), b.public) {
		t.Fatalf("signing in as %s ended at %s with %d\n%s", person, s.url, s.status, s.body)
	}
}

// whoami is what the gate says of a browser.
type whoami struct {
	Subject, Connection, Organization, Email, Name string
	Roles, Tasks                                   []string
	Permissions                                    struct {
		Unrestricted bool
		AnyOf, AllOf []map[string]any
	}
	Expires time.Time
}

func (b *browser) whoami(t *testing.T) (int, whoami) {
	t.Helper()
	s := b.script(t, "/.portcullis/whoami")
	var who whoami
	if s.status == http.StatusOK {
		if err := json.Unmarshal([]byte(s.body), &who); err != nil {
			t.Fatal(err)
		}
	}
	return s.status, who
}

// stream opens the event stream and a WebSocket, waits for the first sign of
// life on each, and gives channels that receive when they end.
func (b *browser) stream(t *testing.T) (events, socket <-chan time.Time) {
	t.Helper()
	return b.events(t), b.socket(t)
}

func (b *browser) events(t *testing.T) <-chan time.Time {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.public+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: b.http.Jar, Transport: &http.Transport{}}
	res, err := client.Do(req) //nolint:bodyclose // by the reader below
	if err != nil {
		t.Fatal(err)
	}
	body := bufio.NewReader(res.Body)
	if line, err := body.ReadString('\n'); err != nil || line != "data: alive\n" {
		t.Fatalf("first line of the stream (%d) = %q, %v", res.StatusCode, line, err)
	}
	ended := make(chan time.Time, 1)
	go func() {
		_, _ = io.Copy(io.Discard, body)
		_ = res.Body.Close()
		ended <- time.Now()
	}()
	return ended
}

func (b *browser) socket(t *testing.T) <-chan time.Time {
	t.Helper()
	c, err := websocket.NewConfig(strings.Replace(b.public, "http", "ws", 1)+"/ws", b.public)
	if err != nil {
		t.Fatal(err)
	}
	here, err := url.Parse(b.public)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range b.http.Jar.Cookies(here) {
		c.Header.Add("Cookie", cookie.String())
	}
	conn, err := c.DialContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var echo string
	if err := errors.Join(websocket.Message.Send(conn, "hello"), websocket.Message.Receive(conn, &echo)); err != nil || echo != "hello" {
		t.Fatalf("echo = %q, %v", echo, err)
	}
	ended := make(chan time.Time, 1)
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		ended <- time.Now()
	}()
	return ended
}

// endWithin waits for the end of streams and gives the longest time since
// began.
func endWithin(t *testing.T, began time.Time, limit time.Duration, ends ...<-chan time.Time) time.Duration {
	t.Helper()
	var longest time.Duration
	timeout := time.After(limit)
	for _, end := range ends {
		select {
		case at := <-end:
			longest = max(longest, at.Sub(began))
		case <-timeout:
			t.Fatalf("a stream is still open %s after the right to be inside ended", limit)
		}
	}
	return longest
}
