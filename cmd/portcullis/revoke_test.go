package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/store/storetest"
)

// patience is how long a test waits for what has to happen within a second.
// It is loose: a machine under load must not fail; the time is printed.
const patience = 10 * time.Second

// losing takes somebody's right away and measures how long what they had
// open lives on.
func losing(t *testing.T, b *browser, what string, take func()) {
	t.Helper()
	events, socket := b.stream(t)
	take()
	began := time.Now()
	if status, _ := b.whoami(t); status != http.StatusUnauthorized {
		eventually(t, "requests are refused after "+what, patience, func() bool {
			status, _ := b.whoami(t)
			return status == http.StatusUnauthorized
		})
		t.Logf("%s: requests are refused after %s", what, time.Since(began))
	}
	t.Logf("%s: streams ended after %s", what, endWithin(t, began, patience, events, socket))
	if s := b.open(t, "/"); s.url.Path != "/authorize" {
		t.Errorf("%s: the next page is %s (%d), want to sign in again", what, s.url, s.status)
	}
}

func TestDeactivationAndDeletionEndEverything(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database})
			w.start(t)
			p := w.pusher(t)
			id := p.user(t, "ada")
			other := w.browser(t)
			other.mustSignIn(t, "ben")
			others, _ := other.stream(t)

			b := w.browser(t)
			b.mustSignIn(t, "ada")
			losing(t, b, "deactivation", func() { p.active(t, id, "False") })
			if s := b.signIn(t, "ada", "/"); s.status != http.StatusForbidden || !strings.Contains(s.body, s.reference) {
				t.Fatalf("sign-in while deactivated = %d at %s, want a 403 page with a reference", s.status, s.url)
			}

			p.active(t, id, "True")
			if status, _ := b.whoami(t); status != http.StatusUnauthorized {
				t.Errorf("whoami after reactivation = %d, want 401: sessions do not come back", status)
			}
			b.mustSignIn(t, "ada")

			losing(t, b, "deletion", func() { p.must(t, http.StatusNoContent, http.MethodDelete, "/Users/"+id, "") })
			if s := b.signIn(t, "ada", "/"); s.status != http.StatusForbidden {
				t.Fatalf("sign-in after deletion = %d, want 403: it does not bring them back", s.status)
			}
			p.user(t, "ada")
			b.mustSignIn(t, "ada")

			w.open(t, "of somebody else", others)
			if status, _ := other.whoami(t); status != http.StatusOK {
				t.Errorf("whoami of somebody else = %d, want 200", status)
			}
		})
	}
}

func TestLockOnTheCommandLineIsSeenByARunningGate(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database})
			w.start(t)
			b := w.browser(t)
			b.mustSignIn(t, "ada")
			losing(t, b, "user lock", func() {
				if out := w.cli(t, exitFine, "user", "lock", "ada@alpha.example", "--reason", "left her badge"); !strings.Contains(out, "1 session ended") {
					t.Errorf("user lock says %q", out)
				}
			})
			if s := b.signIn(t, "ada", "/"); s.status != http.StatusForbidden {
				t.Errorf("sign-in while locked = %d, want 403", s.status)
			}
			w.cli(t, exitFine, "user", "unlock", "ada@alpha.example")
			b.mustSignIn(t, "ada")
			var list []struct{ ID, Device, Address, Connection string }
			if err := json.Unmarshal([]byte(w.cli(t, exitFine, "user", "sessions", "alpha-ada", "--json")), &list); err != nil || len(list) != 1 ||
				list[0].Connection != "alpha" || list[0].Address != "127.0.0.1" || list[0].Device != "Go-http-client/1.1" {
				t.Fatalf("user sessions = %+v, %v", list, err)
			}
			losing(t, b, "user sign-out --session", func() {
				if out := w.cli(t, exitFine, "user", "sign-out", "alpha-ada", "--session", list[0].ID); !strings.Contains(out, "1 session ended") {
					t.Errorf("user sign-out --session says %q", out)
				}
			})
			w.cli(t, exitFound, "user", "sign-out", "alpha-ada", "--session", list[0].ID)
			b.mustSignIn(t, "ada")
			losing(t, b, "user sign-out", func() { w.cli(t, exitFine, "user", "sign-out", "alpha-ada") })
			b.mustSignIn(t, "ada")
			losing(t, b, "user deactivate", func() { w.cli(t, exitFine, "user", "deactivate", "ada@alpha.example") })
			w.cli(t, exitFine, "user", "reactivate", "ada@alpha.example")
			b.mustSignIn(t, "ada")
		})
	}
}

func TestAFrozenClientIsOutUntilItIsUnfrozen(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database})
			w.start(t)
			p := w.pusher(t)
			b := w.browser(t)
			b.mustSignIn(t, "ada")
			losing(t, b, "organization freeze", func() {
				if out := w.cli(t, exitFine, "organization", "freeze", "Alpha", "--reason", "breach"); !strings.Contains(out, "1 session ended") {
					t.Errorf("organization freeze says %q", out)
				}
			})
			if s := b.signIn(t, "ada", "/"); s.status != http.StatusForbidden {
				t.Errorf("sign-in while frozen = %d, want 403", s.status)
			}
			p.must(t, http.StatusForbidden, http.MethodPost, "/Users", userJSONOf("alpha-new", "new@alpha.example"))
			out := w.cli(t, exitFine, "organization", "list")
			if !strings.Contains(out, "frozen") || !strings.Contains(out, "breach") {
				t.Errorf("organization list says %q", out)
			}
			w.cli(t, exitFine, "organization", "unfreeze", "Alpha")
			if status, _ := b.whoami(t); status != http.StatusUnauthorized {
				t.Errorf("whoami after unfreeze = %d, want 401: sessions do not come back", status)
			}
			b.mustSignIn(t, "ada")
			w.cli(t, exitFound, "organization", "freeze", "Nobody")
		})
	}
}

func TestMappingEditTakesEverythingAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.start(t)
	b, ben := w.browser(t), w.browser(t)
	b.mustSignIn(t, "ada")
	ben.mustSignIn(t, "ben")
	bens := ben.events(t)
	without := strings.Replace(worldMapping, "groups: [{name: Portfolio-Managers}]", "groups: [{name: Nobody}]", 1)
	losing(t, b, "a mapping edit", func() { w.write(t, "mapping.yaml", without) })
	if s := b.signIn(t, "ada", "/"); s.status != http.StatusForbidden {
		t.Errorf("sign-in under the new mapping = %d, want 403", s.status)
	}
	w.open(t, "whose rights are the same under the new mapping", bens)
	if status, _ := ben.whoami(t); status != http.StatusOK {
		t.Errorf("whoami of somebody whom the edit does not touch = %d, want 200", status)
	}
	// Put in force by a rename, as editors and configuration management do.
	w.write(t, "mapping.new", worldMapping)
	if err := os.Rename(filepath.Join(w.dir, "mapping.new"), filepath.Join(w.dir, "mapping.yaml")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the former mapping is in force again", patience, func() bool {
		s := b.open(t, "/")
		return s.url.Path == "/authorize" && b.press(t, s, map[string][]string{"person": {"ada"}}).status == http.StatusOK
	})
}

func TestBrokenMappingEditChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.start(t)
	b := w.browser(t)
	b.mustSignIn(t, "ada")
	events, socket := b.stream(t)
	for _, broken := range []string{
		"version: 1\nrules: [", "", "\x00\xff", worldMapping + "surprise: true\n",
		strings.Replace(worldMapping, "roles: [manager]", "roles: [manger]", 1),
	} {
		w.write(t, "mapping.yaml", broken)
		eventually(t, "the broken file is reported", patience, func() bool { return w.metric(t, "portcullis_mapping_broken") == "1" })
		status, state := w.ready(t)
		want := map[string]string{"status": "ready", "database": "fine", "feed": "fine", "mapping": "the file is broken; the last good revision is in force"}
		if diff := cmp.Diff(want, state); status != http.StatusOK || diff != "" {
			t.Errorf("readyz = %d (-want +got):\n%s", status, diff)
		}
		if status, _ := b.whoami(t); status != http.StatusOK {
			t.Errorf("whoami under a broken edit = %d, want 200", status)
		}
		w.browser(t).mustSignIn(t, "ben")
		w.write(t, "mapping.yaml", worldMapping)
		eventually(t, "the mended file is in force", patience, func() bool { return w.metric(t, "portcullis_mapping_broken") == "0" })
	}
	w.open(t, "though every edit was broken", events, socket)
	if !strings.Contains(w.cli(t, exitFine, "audit", "export"), `"mapping.refused"`) {
		t.Error("the audit trail does not say that an edit was refused")
	}
}

// Two gates on one database: what one is told ends what the other holds open.
func TestReplicasAgreeOnRevocation(t *testing.T) {
	t.Parallel()
	databaseURL := storetest.MigratedPostgresURL(t)
	one := newWorld(t, terrain{database: databaseURL})
	one.start(t)
	two := newWorld(t, terrain{database: databaseURL})
	key, err := os.ReadFile(filepath.Join(one.dir, "gate.key"))
	if err != nil {
		t.Fatal(err)
	}
	two.write(t, "gate.key", string(key))
	two.start(t)
	p := one.pusher(t)
	id := p.user(t, "ada")
	b := one.browser(t)
	b.mustSignIn(t, "ada")
	there := &browser{two, b.http} // cookies know no ports
	if status, who := there.whoami(t); status != http.StatusOK || who.Subject != "alpha-ada" {
		t.Fatalf("whoami at the other gate = %d %+v", status, who)
	}
	losing(t, there, "deactivation at the other gate", func() { p.active(t, id, "False") })
	if status, _ := b.whoami(t); status != http.StatusUnauthorized {
		t.Errorf("whoami at the first gate = %d, want 401", status)
	}
}
