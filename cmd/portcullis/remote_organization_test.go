package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// told runs calls here and then from afar, each with the exit code that it is to
// have, and wants the same answers. "WAY" in a call becomes near or far.
func (d *distance) told(calls ...[]any) {
	d.t.Helper()
	var told [2][]string
	for i, far := range []bool{false, true} {
		way := []string{"near", "far"}[i]
		for _, call := range calls {
			var args []string
			for _, word := range call[1:] {
				args = append(args, strings.ReplaceAll(fmt.Sprint(word), "WAY", way))
			}
			code, out, errs := d.call(far, args...)
			if code != call[0] {
				d.t.Fatalf("portcullis %v, %s: exit code %d, want %v\n%s%s", args, way, code, call[0], out, errs)
			}
			told[i] = append(told[i], strings.ReplaceAll(settled(out), way, "WAY"))
		}
	}
	if diff := cmp.Diff(told[0], told[1]); diff != "" {
		d.t.Errorf("(-here +from afar):\n%s", diff)
	}
}

// Organizations and what is below them are the same through a gate.
func TestOrganizationsAreTheSameThroughAGate(t *testing.T) {
	t.Parallel()
	d := newDistance(t)
	for _, form := range [][]string{nil, {"--json"}} {
		d.both(exitFine, append([]string{"organization", "list"}, form...)...)
	}
	d.told(
		[]any{exitFine, "organization", "add", "Alpha", "Europe WAY"},
		[]any{exitFine, "organization", "add", "Alpha", "Nordics WAY", "--below", "europe WAY", "--json"},
		[]any{exitFound, "organization", "add", "Alpha", "nordics WAY"},
		[]any{exitFound, "organization", "add", "Alpha", "x", "--below", "nowhere"},
		[]any{exitFine, "organization", "rename", "Alpha", "nordics WAY", "North WAY"},
		[]any{exitFine, "organization", "add", "Alpha", "Other WAY"},
		[]any{exitFine, "organization", "move", "Alpha", "North WAY", "--below", "Other WAY"},
		[]any{exitFine, "user", "move", "ben@alpha.example", "--to", "north WAY", "--reason", "new job"},
		[]any{exitFound, "organization", "remove", "Alpha", "North WAY"},
		[]any{exitFound, "user", "move", "ben@alpha.example", "--to", "nowhere"},
		[]any{exitFine, "user", "move", "ben@alpha.example", "--json"},
		[]any{exitFine, "organization", "freeze", "Alpha", "--part", "other WAY", "--reason", "WAY", "--json"},
		[]any{exitFound, "organization", "freeze", "Alpha", "--part", "nowhere", "--reason", "WAY"},
		[]any{exitFound, "organization", "move", "Alpha", "North WAY"},
		[]any{exitFine, "organization", "unfreeze", "Alpha", "--part", "other WAY"},
		[]any{exitFine, "organization", "remove", "Alpha", "Europe WAY"},
		[]any{exitFound, "organization", "remove", "Alpha", "Europe WAY"},
		[]any{exitFound, "organization", "rename", "Gamma", "x", "y"},
	)
	for _, form := range [][]string{nil, {"--json"}} {
		d.both(exitFine, append([]string{"organization", "tree", "Alpha"}, form...)...)
	}
	if code, _, errs := d.call(true, "organization", "freeze", "Alpha", "--part", "other far", "--reason", "x"); code != exitFine {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	if out := d.both(exitFine, "organization", "tree", "Alpha"); !strings.Contains(out, "frozen") {
		t.Errorf("organization tree: %s, want a part frozen", out)
	}
	d.both(exitFound, "organization", "tree", "Gamma")
	d.both(exitFound, "organization", "tree", "")
	d.told(
		[]any{exitFine, "organization", "freeze", "Beta", "--reason", "WAY", "--json"},
		[]any{exitFine, "organization", "freeze", "Beta", "--reason", "again"},
		[]any{exitFound, "organization", "freeze", "Gamma", "--reason", "WAY"},
		[]any{exitFine, "organization", "unfreeze", "Beta"},
		[]any{exitFine, "organization", "unfreeze", "Beta"},
	)
	if code, _, errs := d.call(true, "organization", "freeze", "Beta", "--reason", "a breach"); code != exitFine {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	for _, form := range [][]string{nil, {"--json"}} {
		if out := d.both(exitFine, append([]string{"organization", "list"}, form...)...); !strings.Contains(out, "a breach") || !strings.Contains(out, "frozen") {
			t.Errorf("organization list: %s, want Beta frozen", out)
		}
	}
	// Nobody shuts themselves out from afar: nobody could open the door again.
	if code, _, errs := d.call(true, "organization", "freeze", "Alpha", "--reason", "x"); code != exitFound || !strings.Contains(errs, "your own organization") {
		t.Errorf("one's own organization: exit code %d, %s", code, errs)
	}
	d.cli(t, exitFine, "audit", "verify")
}

// API tokens are seen and ended through a gate, and made where it runs.
func TestAPITokensAreSeenAndEndedThroughAGate(t *testing.T) {
	t.Parallel()
	d := newDistance(t)
	other, _ := d.apiToken(t, "--service", "nightly", "--connection", "alpha", "--group", "Accounts-1", "--scope", "viewer", "--note", "=cmd()")
	ended, _ := d.apiToken(t, "--user", "ben@alpha.example", "--scope", "*")
	eventually(t, "every use is written", patience, func() bool {
		for _, form := range [][]string{nil, {"--json"}} {
			_, near, _ := d.call(false, append([]string{"api-token", "list"}, form...)...)
			_, far, _ := d.call(true, append([]string{"api-token", "list"}, form...)...)
			if near == "" || settled(near) != settled(far) || !strings.Contains(far, other) {
				return false
			}
		}
		return true
	})
	for i, far := range []bool{false, true} {
		id := []string{other, ended}[i]
		if code, out, errs := d.call(far, "api-token", "revoke", id, "--reason", "lost"); code != exitFine || out != "" || !strings.HasSuffix(errs, "revoked "+id+"\n") {
			t.Errorf("revoke, from afar = %v: exit code %d, %q %q", far, code, out, errs)
		}
	}
	d.both(exitFound, "api-token", "revoke", "nobody")
	if code, _, errs := d.call(true, "api-token", "create", "--user", "ada@alpha.example", "--scope", "*"); code != exitUsage || !strings.Contains(errs, "makes no API tokens") {
		t.Errorf("create from afar: exit code %d, %s, want that it is not done there", code, errs)
	}
	_, d.secret = d.apiToken(t, "--user", "ada@alpha.example", "--scope", "gate.users.view")
	if code, out, errs := d.call(true, "api-token", "list"); code != exitFine || strings.Contains(out, other) || !strings.Contains(errs, "your own") {
		t.Errorf("list without the task: exit code %d, %s%s, want her own and a word that they are", code, out, errs)
	}
	if code, _, _ := d.call(true, "api-token", "revoke", ended); code != exitFound {
		t.Errorf("somebody else's without the task: exit code %d, want 1", code)
	}
}
