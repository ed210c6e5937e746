package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// file writes a file that lies here and there.
func (d *distance) file(name, text string) {
	d.t.Helper()
	for _, dir := range []string{d.dir, d.away} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			d.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			d.t.Fatal(err)
		}
	}
}

// twoWays is both for people and for programs.
func (d *distance) twoWays(code int, args ...string) {
	d.t.Helper()
	d.both(code, args...)
	d.both(code, append(args, "--json")...)
}

// An attempt to sign in is told the same through a gate.
func TestAnAttemptIsToldTheSameThroughAGate(t *testing.T) {
	t.Parallel()
	d := newDistance(t)
	var list []struct{ Reference string }
	eventually(t, "the traces are written", patience, func() bool {
		return json.Unmarshal([]byte(d.cli(t, exitFine, "login", "traces", "--json")), &list) == nil && len(list) > 0
	})
	d.twoWays(exitFine, "login", "trace", list[0].Reference)
	d.both(exitFound, "login", "trace", "NOTHERE")
	d.both(exitFound, "login", "trace", "")
}

// What is asked of a mapping is answered through a gate as where it runs.
func TestAMappingIsAskedTheSameThroughAGate(t *testing.T) {
	t.Parallel()
	d := newDistance(t)
	push := d.pusher(t)
	cleo, dan := push.user(t, "cleo"), push.user(t, "dan")
	push.user(t, "eve")
	push.must(t, 201, http.MethodPost, "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Pushed-Managers","members":[{"value":"`+cleo+`"},{"value":"`+dan+`"}]}`)
	push.active(t, dan, "False")
	past := time.Now().UTC().Format(time.RFC3339Nano)
	d.file("facts.json", `{"connection": "alpha", "groups": ["Accounts-1"]}`)
	d.file("bad.json", `{"groups": 1}`)
	d.file("old.yaml", farRules())
	d.file("new.yaml", strings.NewReplacer("tasks: [account.view]", "tasks: [account.view, account.close]", "Portfolio-Managers", "Nobody-*").Replace(farRules()))
	d.file("broken.yaml", farRules()+"  - {}\n")
	d.file("many.yaml", "include: [clients/*.yaml]\n"+farRules())
	d.file("clients/alpha.yaml", "version: 1\nconnection: alpha\nrules:\n  - {id: never, match: {groups: [{name: Never}]}, grant: {roles: [viewer]}}\n")

	d.twoWays(exitFine, "mapping", "who", "--role", "manager")
	d.twoWays(exitFine, "mapping", "who", "--task", "gate.audit.view", "--role", "viewer")
	d.twoWays(exitFine, "mapping", "who", "--row", "account=ALP0001")
	d.twoWays(exitFine, "mapping", "who", "--row", "account=ALP0009", "--at", past)
	d.both(exitUsage, "mapping", "who")
	d.both(exitFound, "mapping", "who", "--role", "manager", "--at", "2020-01-31")
	for _, user := range []string{"ada@alpha.example", "ben@alpha.example", cleo, dan} {
		d.twoWays(exitFine, "mapping", "explain", "--user", user)
		d.twoWays(exitFine, "mapping", "explain", "--user", user, "--at", past)
	}
	d.twoWays(exitFine, "mapping", "explain", "new.yaml", "--user", "ada@alpha.example")
	d.twoWays(exitFine, "mapping", "explain", "many.yaml", "--user", "ada@alpha.example")
	d.twoWays(exitFine, "mapping", "explain", "--facts", "facts.json")
	d.twoWays(exitFine, "mapping", "explain", "new.yaml", "--facts", "facts.json")
	d.both(exitFound, "mapping", "explain", "--facts", "bad.json")
	d.twoWays(exitFound, "mapping", "explain", "broken.yaml", "--user", "ada@alpha.example")
	d.both(exitFound, "mapping", "explain", "--user", "nobody")
	d.both(exitFound, "mapping", "explain", "--user", cleo, "--at", "2020-01-31")

	d.twoWays(exitFound, "mapping", "diff", "old.yaml", "new.yaml")
	d.twoWays(exitFine, "mapping", "diff", "old.yaml", "old.yaml")
	d.twoWays(exitFine, "mapping", "diff", "old.yaml", "new.yaml", "--fail-on", "privileged")
	d.twoWays(exitFound, "mapping", "diff", "old.yaml", "new.yaml", "--fail-on", "lose, cap")
	d.twoWays(exitFine, "mapping", "diff", "old.yaml", "many.yaml")
	d.twoWays(exitFound, "mapping", "diff", "old.yaml", "broken.yaml")
	d.twoWays(exitFound, "mapping", "diff", "broken.yaml", "old.yaml")
	d.both(exitUsage, "mapping", "diff", "old.yaml", "new.yaml", "--fail-on", "x")
	for _, file := range []string{"old.yaml", "new.yaml", "many.yaml"} {
		d.twoWays(exitFine, "mapping", "coverage", file)
		d.twoWays(exitFine, "mapping", "coverage", file, "--tests-only")
	}
	d.twoWays(exitFound, "mapping", "coverage", "broken.yaml")

	d.cli(t, exitFine, "organization", "add", "Alpha", "Sales")
	d.cli(t, exitFine, "user", "move", cleo, "--to", "Sales")
	d.cli(t, exitFine, "organization", "freeze", "Alpha", "--part", "Sales", "--reason", "broken into")
	if out := d.both(exitFine, "mapping", "explain", "--user", cleo); !strings.Contains(out, "of a suspended organization and may not come in") {
		t.Errorf("explain somebody of a frozen part: %s, want what keeps them out", out)
	}

	if code, _, errs := d.call(true, "mapping", "who", "old.yaml", "--role", "viewer"); code != exitUsage || !strings.Contains(errs, "by its own mapping") {
		t.Errorf("who by a file: exit code %d, %s, want that the gate answers by its own", code, errs)
	}
	_, d.secret = d.apiToken(t, "--user", "ada@alpha.example", "--scope", "gate.mapping.propose")
	code, out, errs := d.call(true, "mapping", "diff", "old.yaml", "new.yaml")
	if code != exitFound || strings.Contains(out, "ada") || !strings.Contains(out, "people are touched") || !strings.Contains(errs, "gate.users.view") {
		t.Errorf("diff without seeing people: exit code %d, %s%s, want numbers alone", code, out, errs)
	}
}
