package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/internal/freeport"
	"portcullis/store/storetest"
)

func TestBrokenMappingAtStartRefusesSignInsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{mapping: "version: 1\nrules: oh no\n"})
	w.start(t)
	status, state := w.ready(t)
	if status != http.StatusServiceUnavailable || state["mapping"] != "no good revision; sign-ins are refused" {
		t.Errorf("readyz = %d %v, want 503 that names the mapping", status, state)
	}
	if got := w.metric(t, "portcullis_mapping_in_force"); got != "0" {
		t.Errorf("portcullis_mapping_in_force = %s, want 0", got)
	}
	b := w.browser(t)
	if s := b.signIn(t, "ada", "/"); s.status != http.StatusServiceUnavailable || !strings.Contains(s.body, s.reference) {
		t.Errorf("sign-in = %d at %s, want a 503 page with a reference", s.status, s.url)
	}
	p := w.pusher(t)
	id := p.user(t, "ada")
	p.active(t, id, "False")
	p.active(t, id, "True")
	w.write(t, "mapping.yaml", worldMapping)
	eventually(t, "the mended file is in force", patience, func() bool {
		status, _ := w.ready(t)
		return status == http.StatusOK
	})
	b.mustSignIn(t, "ada")
}

func TestProviderDownAtStartHeals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{idpDown: true})
	w.start(t)
	eventually(t, "the log says so", patience, func() bool {
		return strings.Contains(w.log.String(), `"connection":"alpha"`) && strings.Contains(w.log.String(), "connection refused")
	})
	b := w.browser(t)
	s := b.open(t, "/")
	if s.status != http.StatusServiceUnavailable || !strings.Contains(s.body, s.reference) || !strings.Contains(s.body, "identity provider") {
		t.Errorf("a page while the provider is down = %d at %s, want a 503 that names the provider\n%s", s.status, s.url, s.body)
	}
	w.startIDP(t)
	b.mustSignIn(t, "ada")
}

// relay stands between the gate and its database and can be cut, which is
// what a database looks like that is stopped or out of reach.
type relay struct {
	target, address string

	flow  sync.RWMutex // held while nothing gets through
	mu    sync.Mutex
	deaf  bool              // nobody may listen for notifications
	ears  map[net.Conn]bool // those who listen
	l     net.Listener
	conns map[net.Conn]bool
}

func newRelay(t *testing.T, databaseURL string) (*relay, string) {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{target: u.Host, address: freeport.Address(t)}
	r.mend(t)
	t.Cleanup(r.cut)
	u.Host = r.address
	return r, u.String()
}

func (r *relay) mend(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", r.address)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.l, r.conns = l, map[net.Conn]bool{}
	go r.serve(l)
}

func (r *relay) serve(l net.Listener) {
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", r.target)
		if err != nil {
			near.Close()
			continue
		}
		r.mu.Lock()
		if r.l != l { // cut in the meantime
			near.Close()
			far.Close()
		}
		r.conns[near], r.conns[far] = true, true
		r.mu.Unlock()
		for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
			go func() {
				_, _ = io.Copy(held{pair[0], r}, pair[1])
				near.Close()
				far.Close()
			}()
		}
	}
}

// held is a writer that waits while the flow is held.
type held struct {
	net.Conn

	relay *relay
}

func (h held) Write(p []byte) (int, error) {
	h.relay.flow.RLock()
	defer h.relay.flow.RUnlock()
	if bytes.Contains(p, []byte("LISTEN portcullis")) && h.relay.listens(h.Conn) {
		return 0, io.ErrClosedPipe
	}
	return h.Conn.Write(p)
}

// listens notes a connection that listens for notifications, and says whether
// that is forbidden.
func (r *relay) listens(c net.Conn) (forbidden bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ears == nil {
		r.ears = map[net.Conn]bool{}
	}
	r.ears[c] = true
	return r.deaf
}

// deafen lets no notification through any more. All else goes on.
func (r *relay) deafen() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deaf = true
	for c := range r.ears {
		c.Close()
	}
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.l != nil {
		r.l.Close()
	}
	r.l = nil
	for c := range r.conns {
		c.Close()
	}
}

func TestDatabaseGoneRefusesAndLosesNothing(t *testing.T) {
	t.Parallel()
	r, databaseURL := newRelay(t, storetest.MigratedPostgresURL(t))
	w := newWorld(t, terrain{database: databaseURL})
	w.start(t)
	p := w.pusher(t)
	id := p.user(t, "ada")
	b := w.browser(t)
	b.mustSignIn(t, "ada")
	events, socket := b.stream(t)

	r.cut()
	began := time.Now()
	t.Logf("streams ended %s after the database was gone", endWithin(t, began, 30*time.Second, events, socket))
	eventually(t, "requests are refused", 30*time.Second, func() bool {
		status, _ := b.whoami(t)
		return status == http.StatusServiceUnavailable
	})
	t.Logf("requests were refused %s after the database was gone", time.Since(began))
	if s := b.open(t, "/"); s.status != http.StatusServiceUnavailable || !strings.Contains(s.body, s.reference) {
		t.Errorf("a page without the database = %d, want a 503 page with a reference", s.status)
	}
	if status, state := w.ready(t); status != http.StatusServiceUnavailable || state["database"] != "does not answer" {
		t.Errorf("readyz = %d %v, want 503 that names the database", status, state)
	}
	if status, body, err := p.try(http.MethodPost, "/Users", userJSONOf("alpha-ben", "ben@alpha.example")); err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("a push without the database = %d %v, want 503\n%s", status, err, body)
	}
	if status, _ := fetch(w.ops + "/healthz"); status != http.StatusOK {
		t.Errorf("healthz = %d, want 200: the process is alive", status)
	}

	r.mend(t)
	eventually(t, "the gate is ready again", 60*time.Second, func() bool {
		status, _ := w.ready(t)
		return status == http.StatusOK
	})
	eventually(t, "the session is good again", 60*time.Second, func() bool {
		status, _ := b.whoami(t)
		return status == http.StatusOK
	})
	var people []userJSON
	if err := json.Unmarshal([]byte(w.cli(t, exitFine, "user", "list", "--json")), &people); err != nil {
		t.Fatal(err)
	}
	if len(people) != 1 || people[0].ID != id {
		t.Errorf("people = %+v, want the one whose push was answered", people)
	}
	losing(t, b, "deactivation after the database came back", func() { p.active(t, id, "False") })
	w.cli(t, exitFine, "audit", "verify")
}

// A network that swallows everything is worse than a database that is gone:
// no connection breaks, nothing answers.
func TestSilentDatabaseEndsStreamsAndRefuses(t *testing.T) {
	t.Parallel()
	r, databaseURL := newRelay(t, storetest.MigratedPostgresURL(t))
	w := newWorld(t, terrain{database: databaseURL})
	w.start(t)
	b := w.browser(t)
	b.mustSignIn(t, "ada")
	events, socket := b.stream(t)

	r.flow.Lock()
	held := true
	release := func() {
		if held {
			held = false
			r.flow.Unlock()
		}
	}
	defer release()
	began := time.Now()
	t.Logf("streams ended %s after the database fell silent", endWithin(t, began, 30*time.Second, events, socket))
	asked := time.Now()
	if s := b.open(t, "/"); s.status != http.StatusServiceUnavailable {
		t.Errorf("a page while the database is silent = %d, want 503", s.status)
	}
	t.Logf("a page was refused after %s", time.Since(asked))
	asked = time.Now()
	if status, state := w.ready(t); status != http.StatusServiceUnavailable || state["database"] != "does not answer" {
		t.Errorf("readyz = %d %v, want 503 that names the database", status, state)
	}
	t.Logf("readyz answered after %s", time.Since(asked))
	release()
	eventually(t, "the session is good again", 60*time.Second, func() bool {
		status, _ := b.whoami(t)
		return status == http.StatusOK
	})
}

func TestBadPushesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.start(t)
	p := w.pusher(t)
	for _, tc := range []struct {
		name, token, method, path, body string
		want                            int
	}{
		{"no token", "", "GET", "/Users", "", 401},
		{"another token", "pcs_" + strings.Repeat("a", 52), "GET", "/Users", "", 401},
		{"half a token", p.token[:20], "GET", "/Users", "", 401},
		{"long token", p.token + strings.Repeat("a", 4000), "GET", "/Users", "", 401},
		{"not JSON", p.token, "POST", "/Users", "{", 400},
		{"two documents", p.token, "POST", "/Users", userJSONOf("x", "x@alpha.example") + "{}", 400},
		{"no userName", p.token, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]}`, 400},
		{"too large", p.token, "POST", "/Users", `{"x":"` + strings.Repeat("y", 2<<20) + `"}`, 413},
		{"deep filter", p.token, "GET", "/Users?filter=" + strings.Repeat("(", 2000) + "a" + strings.Repeat(")", 2000), "", 400},
		{"unknown filter", p.token, "GET", "/Users?filter=nonsense", "", 400},
		{"nobody", p.token, "DELETE", "/Users/nobody", "", 404},
		{"other connection", p.token, "GET", "/../beta/Users", "", 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := &pusher{p.base, tc.token, p.http}
			status, body, err := p.try(tc.method, tc.path, tc.body)
			if err != nil || status != tc.want {
				t.Errorf("%s %.60s = %d, %v; want %d\n%.300s", tc.method, tc.path, status, err, tc.want, body)
			}
			if strings.Contains(string(body), "panic") || tc.token != "" && strings.Contains(string(body), tc.token) {
				t.Errorf("the answer says too much: %.300s", body)
			}
		})
	}
	res, err := p.http.Post(strings.Replace(p.base, "alpha", "beta", 1)+"/Users", "application/scim+json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized || res.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("a connection that is not there = %d %v, want 401 like any stranger", res.StatusCode, res.Header)
	}
	if strings.Contains(w.log.String(), p.token) {
		t.Error("the log holds a token")
	}
}

func TestLargeBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.start(t)
	b := w.browser(t)
	res, err := b.http.Post(w.public+"/.portcullis/sign-in", "application/x-www-form-urlencoded", strings.NewReader("email="+strings.Repeat("a", 1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a megabyte sent to the sign-in page = %d, want 400 or 413", res.StatusCode)
	}
	b.mustSignIn(t, "ada")
	const size = 20 << 20
	upload, err := b.http.Post(w.public+"/upload", "application/octet-stream", io.LimitReader(zeros{}, size))
	if err != nil {
		t.Fatal(err)
	}
	defer upload.Body.Close()
	w.portal.mu.Lock()
	defer w.portal.mu.Unlock()
	if upload.StatusCode != http.StatusOK || w.portal.uploaded != size {
		t.Errorf("an upload of %d bytes = %d, the portal got %d", size, upload.StatusCode, w.portal.uploaded)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Somebody who holds the SQLite file locked keeps nobody from reading what
// they may read, and loses nothing of what is written meanwhile.
func TestLockedSQLiteFileLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.start(t)
	p := w.pusher(t)
	b := w.browser(t)
	b.mustSignIn(t, "ada")
	// It waits for its turn: the gate writes the trace of the sign-in.
	conn, err := storetest.Raw(t, "sqlite:"+filepath.Join(w.dir, "portcullis.db")).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		status int
		err    error
	}
	pushed := make(chan answer, 1)
	began := time.Now()
	go func() {
		status, _, err := p.try(http.MethodPost, "/Users", userJSONOf("alpha-ben", "ben@alpha.example"))
		pushed <- answer{status, err}
	}()
	if status, _ := b.whoami(t); status != http.StatusOK {
		t.Errorf("whoami while the file is locked = %d, want 200", status)
	}
	select {
	case a := <-pushed:
		t.Logf("a push was answered %d after %s while the file was locked", a.status, time.Since(began))
		if a.err != nil || a.status != http.StatusServiceUnavailable {
			t.Errorf("a push while the file is locked = %d %v, want 503", a.status, a.err)
		}
	case <-time.After(20 * time.Second):
		t.Error("a push waits for ever while the file is locked")
	}
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	p.user(t, "ben")
}
