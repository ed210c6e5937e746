package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeysAreRotatedWithoutSigningAnybodyOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	g := w.start(t)
	b := w.browser(t)
	b.mustSignIn(t, "ada")
	events, socket := b.stream(t)
	published := func() int {
		_, body := fetch(w.public + "/.portcullis/jwks.json")
		return strings.Count(body, `"kid"`)
	}
	if n := published(); n != 1 {
		t.Fatalf("%d keys are published, want one", n)
	}
	w.cli(t, exitFine, "keys", "rotate", "--after", "0s")
	eventually(t, "the new key is published by the running gate", 2*patience, func() bool { return published() == 2 })
	w.cli(t, exitUsage, "keys", "rotate", "client")
	w.cli(t, exitUsage, "keys", "rotate", "--wrapping")

	former, err := os.ReadFile(filepath.Join(w.dir, "gate.key"))
	if err != nil {
		t.Fatal(err)
	}
	out := w.cli(t, exitFine, "keys", "rotate", "--wrapping", "--new-file", filepath.Join(w.dir, "new.key"), "--settle", "10ms")
	if !strings.Contains(out, "wrapped 3 values") { // two keys and an ID token
		t.Errorf("keys rotate --wrapping says %q", out)
	}
	now, err := os.ReadFile(filepath.Join(w.dir, "gate.key"))
	if err != nil || string(now) == string(former) {
		t.Errorf("gate.key was not replaced: %v", err)
	}
	var list []struct{ Purpose, State string }
	if err := json.Unmarshal([]byte(w.cli(t, exitFine, "keys", "list", "--json")), &list); err != nil || len(list) != 2 || list[0].State != "signing" || list[1].State != "published" {
		t.Errorf("keys list = %+v, %v", list, err)
	}
	if status, _ := b.whoami(t); status != http.StatusOK {
		t.Errorf("whoami after both rotations = %d, want 200", status)
	}
	w.open(t, "after both rotations", events, socket)
	_, header := told(t, b.open(t, "/"))
	verified(t, w, header.Get("X-Portcullis-Assertion"))
	g.stop(t)
	w.start(t)
	if status, _ := b.whoami(t); status != http.StatusOK {
		t.Errorf("whoami after a restart = %d, want 200", status)
	}
	trail := w.cli(t, exitFine, "audit", "export")
	if !strings.Contains(trail, `"keys.rewrapped"`) || strings.Count(trail, `"key.created"`) != 2 {
		t.Error("the audit trail does not tell of the rotations")
	}
}
