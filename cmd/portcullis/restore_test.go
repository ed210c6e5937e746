package main

import (
	"bytes"
	"database/sql"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/store/storetest"
)

const rivalKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"

func TestARestoredGateTrustsNothingThatMayHaveEnded(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			restoredGate(t, database)
		})
	}
}

// copies is how an operator backs up a database and brings it back.
type copies struct {
	take    func()
	restore func() (says string) // while no gate runs
}

func (w *world) copies(t *testing.T, url string) copies {
	t.Helper()
	backup := filepath.Join(t.TempDir(), "gate.backup")
	if url == "" {
		return copies{
			take: func() {
				w.cli(t, exitFine, "backup", backup)
				w.cli(t, exitFound, "backup", backup)
				info, err := os.Stat(backup)
				if err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("mode of the backup = %v, %v, want 0600", info.Mode(), err)
				}
			},
			restore: func() string {
				out := w.cli(t, exitFine, "restore", backup)
				if _, err := os.Stat(filepath.Join(w.dir, "portcullis.db.before-restore")); err != nil {
					t.Errorf("the database that was there is not kept: %v", err)
				}
				return out
			},
		}
	}
	tool := func(name string, args ...string) {
		if out, err := exec.CommandContext(t.Context(), storetest.Tool(t, name), args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	return copies{
		take: func() { tool("pg_dump", "--format=custom", "--file="+backup, url) },
		restore: func() string {
			w.cli(t, exitUsage, "restore", backup)
			tool("pg_restore", "--clean", "--if-exists", "--single-transaction", "--dbname="+url, backup)
			return w.cli(t, exitFine, "restore", "--mark")
		},
	}
}

func restoredGate(t *testing.T, database string) {
	url := ""
	if database == "postgres" {
		url = storetest.PostgresURL(t)
		database = url
	}
	w := newWorld(t, terrain{database: database})
	disk := w.copies(t, url)
	g := w.start(t)
	p := w.pusher(t)
	ada, ben := p.user(t, "ada"), p.user(t, "ben")
	b, bens := w.browser(t), w.browser(t)
	b.mustSignIn(t, "ada")
	bens.mustSignIn(t, "ben")
	_, secret := w.apiToken(t, "--user", "ada@alpha.example", "--scope", "*")
	disk.take()               // under the running gate
	p.active(t, ben, "False") // after the backup
	if url == "" {
		w.cli(t, exitUsage, "restore")
		w.cli(t, exitFound, "restore", filepath.Join(w.dir, "portcullis.db")) // it runs
	}
	g.stop(t)

	out := disk.restore()
	if !strings.Contains(out, "2 sessions ended") || !strings.Contains(out, "1 API token revoked") || !strings.Contains(out, "2 people stay out") {
		t.Errorf("restore says %q", out)
	}
	w.start(t)
	for _, somebody := range []*browser{b, bens} {
		if status, _ := somebody.whoami(t); status != http.StatusUnauthorized {
			t.Errorf("whoami with a session of the backup = %d, want 401", status)
		}
	}
	if status, _, _ := w.program(t, secret, "/"); status != http.StatusUnauthorized {
		t.Errorf("API token of the backup = %d, want 401", status)
	}
	for who, somebody := range map[string]*browser{"ada": b, "ben": bens} {
		if s := somebody.signIn(t, who, "/"); s.status != http.StatusForbidden || !strings.Contains(s.body, "has not confirmed your account") {
			t.Errorf("sign-in of %s before any synchronisation = %d, want 403 that says why", who, s.status)
		}
	}
	if n := w.metric(t, `portcullis_unconfirmed_people{connection="alpha"}`); n != "2" {
		t.Errorf("metric = %s, want 2", n)
	}
	if out := w.cli(t, exitFine, "doctor"); !strings.Contains(out, "2 people stay out until") {
		t.Errorf("doctor says %q", out)
	}
	// A list of everybody says nothing of anybody; to be looked up, or written, does.
	p.must(t, http.StatusOK, http.MethodGet, "/Users", "")
	if s := b.signIn(t, "ada", "/"); s.status != http.StatusForbidden {
		t.Errorf("sign-in after a list of everybody = %d, want 403", s.status)
	}
	p.must(t, http.StatusOK, http.MethodGet, "/Users?filter=externalId%20eq%20%22alpha-ada%22", "")
	b.mustSignIn(t, "ada")
	p.active(t, ben, "False")
	if s := bens.signIn(t, "ben", "/"); s.status != http.StatusForbidden || strings.Contains(s.body, "has not confirmed") {
		t.Errorf("sign-in of somebody who was deactivated again = %d", s.status)
	}
	p.active(t, ben, "True")
	bens.mustSignIn(t, "ben")

	w.cli(t, exitFine, "restore", "--mark")
	if status, _ := b.whoami(t); status != http.StatusUnauthorized {
		eventually(t, "sessions end at a running gate", patience, func() bool { status, _ := b.whoami(t); return status == http.StatusUnauthorized })
	}
	if out := w.cli(t, exitFine, "connection", "confirm", "alpha"); !strings.Contains(out, "2 people") {
		t.Errorf("connection confirm says %q", out)
	}
	b.mustSignIn(t, "ada")
	p.must(t, http.StatusOK, http.MethodGet, "/Users/"+ada, "")
	w.cli(t, exitFine, "restore", "--mark", "--believe-people")
	eventually(t, "sessions end again", patience, func() bool { status, _ := b.whoami(t); return status == http.StatusUnauthorized })
	b.mustSignIn(t, "ada")
	w.cli(t, exitUsage, "restore")
	w.cli(t, exitUsage, "connection", "confirm", "nobody")
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// A backup without the key file opens nothing: another key is refused, and no
// secret stands in it in the clear.
func TestABackupOpensNothingWithoutTheKeyFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	g := w.start(t)
	b := w.browser(t)
	b.mustSignIn(t, "ada")
	_, secret := w.apiToken(t, "--user", "ada@alpha.example", "--scope", "*")
	token := w.pusher(t).token
	backup := filepath.Join(w.dir, "gate.backup")
	w.cli(t, exitFine, "backup", backup)
	g.stop(t)
	text, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(w.dir, "gate.key"))
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{secret, token, strings.TrimSpace(string(key)), "PRIVATE KEY", "eyJhbGciOi"}
	for _, c := range b.http.Jar.Cookies(mustURL(t, w.public)) {
		secrets = append(secrets, c.Value)
	}
	for _, s := range secrets {
		if bytes.Contains(text, []byte(s)) {
			t.Errorf("the backup holds %.12q…", s)
		}
	}
	w.write(t, "gate.key", rivalKey)
	w.cli(t, exitFine, "restore", backup)
	w.cli(t, exitFound, "keys", "rotate")
	w.cli(t, exitFound, "serve")
}

// The command line leaves the schema to the gate.
func TestTheCommandLineDoesNotChangeAnotherVersionsSchema(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.cli(t, exitFine, "user", "list") // where there is nothing yet, it makes it
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "portcullis.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, tc := range []struct{ change, back string }{
		{"INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)", "DELETE FROM goose_db_version WHERE version_id = 9999"},
		{"DELETE FROM goose_db_version WHERE version_id = 13", "INSERT INTO goose_db_version (version_id, is_applied) VALUES (13, 1)"},
	} {
		if _, err := db.ExecContext(t.Context(), tc.change); err != nil {
			t.Fatal(err)
		}
		w.cli(t, exitFound, "user", "list")
		w.cli(t, exitFound, "token", "create", "--connection", "alpha")
		if out := w.cli(t, exitFound, "doctor"); !strings.Contains(out, "schema") {
			t.Errorf("doctor says %q", out)
		}
		if _, err := db.ExecContext(t.Context(), tc.back); err != nil {
			t.Fatal(err)
		}
	}
	w.cli(t, exitFine, "user", "list")
}
