package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis/internal/freeport"
)

// replicate makes a second gate on the database of a world.
func (w *world) replicate(t *testing.T) *world {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, "portcullis.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	other := *w
	other.dir = t.TempDir()
	listen, ops := freeport.Address(t), freeport.Address(t)
	other.public, other.ops = "http://"+listen, "http://"+ops
	other.write(t, "idp.secret", "sample-secret")
	other.write(t, "portcullis.yaml", strings.NewReplacer(
		"\nlisten: "+strings.TrimPrefix(w.public, "http://"), "\nlisten: "+listen,
		"ops_listen: "+strings.TrimPrefix(w.ops, "http://"), "ops_listen: "+ops,
		"gate.key", filepath.Join(w.dir, "gate.key"), "sqlite:portcullis.db", "sqlite:"+filepath.Join(w.dir, "portcullis.db"),
	).Replace(string(text)))
	return &other
}

// A mapping in the database: nobody gets in before the first is applied; then
// every replica follows each, for those who are signed in already.
func TestAnAppliedMappingHoldsOnEveryReplicaAtOnce(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, terrain{database: database})
			text, err := os.ReadFile(filepath.Join(w.dir, "portcullis.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			w.write(t, "portcullis.yaml", strings.Replace(string(text), "{file: mapping.yaml}", "{managed: database}", 1))
			w.start(t)
			second := w.replicate(t)
			second.start(t)
			b := w.browser(t)
			if s := b.signIn(t, "ada", "/"); s.status != http.StatusServiceUnavailable {
				t.Errorf("sign-in before anything was applied = %d, want 503", s.status)
			}
			file := filepath.Join(w.dir, "mapping.yaml")
			w.cli(t, exitFine, "mapping", "apply", file, "--reason", "the first one")
			ready := func() bool {
				one, _ := w.ready(t)
				two, _ := second.ready(t)
				return one == http.StatusOK && two == http.StatusOK
			}
			t.Logf("in force everywhere after %s", eventually(t, "both gates are ready", patience, ready))
			b.mustSignIn(t, "ada")
			there := &browser{world: second, http: b.http} // the same cookies at the other gate
			if status, who := there.whoami(t); status != http.StatusOK || len(who.Tasks) != 2 {
				t.Fatalf("whoami at the other gate = %d %v, want what Ada may do", status, who.Tasks)
			}
			events, socket := b.stream(t)
			elsewhere := there.events(t)
			without := strings.Replace(worldMapping, "groups: [{name: Portfolio-Managers}]", "groups: [{name: Nobody}]", 1)
			w.write(t, "mapping.yaml", without)
			began := time.Now()
			w.cli(t, exitFine, "mapping", "apply", file, "--reason", "no managers")
			applied := time.Now()
			eventually(t, "both gates refuse Ada", patience, func() bool {
				one, _ := b.whoami(t)
				two, _ := there.whoami(t)
				return one == http.StatusUnauthorized && two == http.StatusUnauthorized
			})
			t.Logf("applied in %s, refused everywhere %s later", applied.Sub(began), time.Since(applied))
			t.Logf("streams ended %s after it was applied", endWithin(t, applied, patience, events, socket, elsewhere))
			w.cli(t, exitFine, "mapping", "rollback", "1", "--reason", "managers after all")
			eventually(t, "the managers are back", patience, func() bool {
				s := b.open(t, "/")
				return s.url.Path == "/authorize" && b.press(t, s, map[string][]string{"person": {"ada"}}).status == http.StatusOK
			})
			eventually(t, "both gates report what they run", patience, func() bool {
				return strings.Count(w.cli(t, exitFine, "mapping", "history", "--replicas"), "current") == 2
			})
			if got := w.cli(t, exitFine, "audit", "export"); !strings.Contains(got, `"mapping.applied"`) || !strings.Contains(got, `"mapping.rolled-back"`) {
				t.Error("the audit trail does not say what was applied and rolled back")
			}
		})
	}
}
