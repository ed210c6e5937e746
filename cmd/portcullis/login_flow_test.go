package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/store/storetest"
)

// configure changes the configuration of a world that has not started.
func (w *world) configure(t *testing.T, old, changed string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "portcullis.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		t.Fatalf("the configuration does not hold %q", old)
	}
	w.write(t, "portcullis.yaml", strings.Replace(string(text), old, changed, 1))
}

// traced waits for the trace of a reference, which is written aside.
func (w *world) traced(t *testing.T, reference string) string {
	t.Helper()
	var out bytes.Buffer
	eventually(t, "the trace is there", patience, func() bool {
		out.Reset()
		return run(t.Context(), []string{"login", "trace", reference, "-c", filepath.Join(w.dir, "portcullis.yaml")},
			strings.NewReader(""), &out, io.Discard) == exitFine
	})
	return out.String()
}

func TestTheReferenceOfAPageLeadsToItsTrace(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database})
			w.start(t)
			s := w.browser(t).signIn(t, "dan", "/")
			text := w.traced(t, s.reference)
			for _, want := range []string{
				"outcome     refused", "connection  alpha (oidc)", "FAILED  access", "ok      nonce", "e-mail           dan@alpha.example",
				"decision  refused: no rule that grants matched", "signed by   key ",
			} {
				if !strings.Contains(text, want) {
					t.Errorf("the trace lacks %q:\n%s", want, text)
				}
			}
			var doc struct{ Reference, Start string }
			if err := json.Unmarshal([]byte(w.cli(t, exitFine, "login", "trace", s.reference, "--json")), &doc); err != nil || doc.Reference != s.reference {
				t.Errorf("as JSON: %+v, %v", doc, err)
			}
			if again := w.cli(t, exitFine, "login", "trace", strings.ToLower(doc.Start)); again != text {
				t.Errorf("the reference of the beginning leads to something else:\n%s", again)
			}
			w.browser(t).mustSignIn(t, "ada")
			eventually(t, "both are listed", patience, func() bool {
				return strings.Count(w.cli(t, exitFine, "login", "traces"), "alpha") == 2
			})
			if list := w.cli(t, exitFine, "login", "traces", "--failed", "--connection", "alpha", "--limit", "5"); strings.Contains(list, "signed in") || !strings.Contains(list, s.reference) {
				t.Errorf("those that failed:\n%s", list)
			}
			w.cli(t, exitFound, "login", "trace", "NOTHINGTHERE")
			w.cli(t, exitUsage, "login", "traces", "--connection", "nobody")
			w.cli(t, exitUsage, "login", "traces", "--limit", "0")
			w.cli(t, exitUsage, "login", "test")
		})
	}
}

// lineWriter gives the first line that is written to it, and keeps the rest.
type lineWriter struct {
	syncBuffer

	once  sync.Once
	first chan string
}

func (l *lineWriter) Write(p []byte) (int, error) {
	n, err := l.syncBuffer.Write(p)
	if line, _, ok := strings.Cut(l.String(), "\n"); ok {
		l.once.Do(func() { l.first <- line })
	}
	return n, err
}

func TestADryRunOnTheCommandLine(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database})
			w.start(t)
			for person, want := range map[string]struct {
				code int
				text string
			}{"ada": {exitFine, "role              manager"}, "dan": {exitFound, "no rule that grants matched"}} {
				out, code := &lineWriter{first: make(chan string, 1)}, make(chan int, 1)
				go func() {
					args := []string{"login", "test", "--connection", "alpha", "-c", filepath.Join(w.dir, "portcullis.yaml")}
					code <- run(t.Context(), args, strings.NewReader(""), out, io.Discard)
				}()
				b := w.browser(t)
				s := b.press(t, b.open(t, <-out.first), url.Values{"person": {person}})
				if s.status != http.StatusOK || !strings.Contains(s.body, "It was a test") {
					t.Errorf("%s sees %d at %s:\n%s", person, s.status, s.url, s.body)
				}
				if got := <-code; got != want.code || !strings.Contains(out.String(), want.text) {
					t.Errorf("%s: exit code %d, want %d with %q:\n%s", person, got, want.code, want.text, out)
				}
				if status, _ := b.whoami(t); status != http.StatusUnauthorized {
					t.Errorf("%s: whoami = %d after a dry run", person, status)
				}
			}
			if people := w.cli(t, exitFine, "user", "list"); strings.Contains(people, "ada") {
				t.Errorf("a dry run has made a person:\n%s", people)
			}
			if trail := w.cli(t, exitFine, "audit", "export"); strings.Count(trail, "sign-in.tested") != 4 || strings.Contains(trail, `"sign-in"`) {
				t.Errorf("the trail must tell of two links and two runs, and of no sign-in:\n%s", trail)
			}
		})
	}
}

// Time passes for a session by changing when its person proved themselves.
func TestAPageThatWantsARecentProof(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database})
			w.configure(t, "routes: [", "routes: [{path: /recent/, require: {max_age: 5m}}, {path: /gold/, require: {acr: gold}}, ")
			g := w.start(t)
			b := w.browser(t)
			if s := b.signIn(t, "ada", "/recent/a?next=https://a.b/c"); s.status != http.StatusOK || s.url.Path != "/recent/a" {
				t.Fatalf("a fresh sign-in ends at %s with %d", s.url, s.status)
			}
			here, _ := url.Parse(w.public)
			old := b.http.Jar.Cookies(here)
			g.stop(t)
			w.age(t)
			w.start(t)
			if s := b.script(t, "/recent/api"); s.status != http.StatusUnauthorized || !strings.Contains(s.body, `"max_age":300`) {
				t.Errorf("a script is told %d %s", s.status, s.body)
			}
			if s := b.open(t, "/"); s.status != http.StatusOK {
				t.Errorf("the rest of the portal = %d", s.status)
			}
			s := b.open(t, "/recent/a?next=https://a.b/c")
			if s.url.Path != "/authorize" || s.url.Query().Get("prompt") != "login" || s.url.Query().Get("max_age") != "300" {
				t.Fatalf("an old proof leads to %s (%d)", s.url, s.status)
			}
			if s = b.press(t, s, url.Values{"person": {"ada"}}); s.status != http.StatusOK || s.url.RequestURI() != "/recent/a?next=https://a.b/c" {
				t.Errorf("afterwards: %d at %s", s.status, s.url)
			}
			fresh := b.http.Jar.Cookies(here)
			b.http.Jar.SetCookies(here, old)
			if status, _ := b.whoami(t); status != http.StatusUnauthorized {
				t.Errorf("the session from before the step-up is alive: %d", status)
			}
			b.http.Jar.SetCookies(here, fresh)
			if s = b.signIn(t, "ada", "/gold/x"); s.status != http.StatusForbidden || !strings.Contains(s.body, "does not say how you signed in") {
				t.Errorf("a class that the provider does not know ends at %s with %d", s.url, s.status)
			}
			if status, _ := b.whoami(t); status != http.StatusOK {
				t.Errorf("who falls short loses their session: %d", status)
			}
			if text := w.traced(t, s.reference); !strings.Contains(text, "FAILED  step-up") || !strings.Contains(text, "asked for   acr gold") {
				t.Errorf("the trace does not say why:\n%s", text)
			}
		})
	}
}

// age makes everybody's proof an hour old.
func (w *world) age(t *testing.T) {
	t.Helper()
	db := w.raw(t)
	rows, err := db.QueryContext(t.Context(), "SELECT id, facts FROM assertions")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	aged := map[string]string{}
	for rows.Next() {
		var id, text string
		if err := rows.Scan(&id, &text); err != nil {
			t.Fatal(err)
		}
		var facts map[string]any
		if err := json.Unmarshal([]byte(text), &facts); err != nil {
			t.Fatal(err)
		}
		facts["AuthTime"] = time.Now().Add(-time.Hour).UTC()
		out, err := json.Marshal(facts)
		if err != nil {
			t.Fatal(err)
		}
		aged[id] = string(out)
	}
	if err := rows.Err(); err != nil || len(aged) == 0 {
		t.Fatalf("%d assertions, %v", len(aged), err)
	}
	for id, facts := range aged {
		if _, err := db.ExecContext(t.Context(), "UPDATE assertions SET facts = $1 WHERE id = $2", facts, id); err != nil {
			t.Fatal(err)
		}
	}
}

// raw opens the database of a world behind its back.
func (w *world) raw(t *testing.T) *sql.DB {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "portcullis.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `database: {url: "`)
	address, _, _ := strings.Cut(rest, `"`)
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		address = "sqlite:" + filepath.Join(w.dir, path)
	}
	return storetest.Raw(t, address)
}
