package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/trace"
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
	if s := d.browser(t).signIn(t, "dan", "/"); s.status != http.StatusForbidden {
		t.Fatalf("dan comes in: %d", s.status)
	}
	var list []struct{ Reference string }
	eventually(t, "the traces are written", patience, func() bool {
		return json.Unmarshal([]byte(d.cli(t, exitFine, "login", "traces", "--json")), &list) == nil && len(list) == 3
	})
	d.twoWays(exitFine, "login", "traces")
	if out := d.both(exitFine, "login", "traces", "--failed", "--connection", "alpha"); !strings.Contains(out, list[0].Reference) || strings.Contains(out, list[1].Reference) {
		t.Errorf("those that failed: %s, want dan's alone", out)
	}
	d.twoWays(exitFine, "login", "traces", "--limit", "2")
	d.twoWays(exitFine, "login", "traces", "--connection", "beta")
	d.manyTraces()
	d.both(exitUsage, "login", "traces", "--connection", "nowhere")
	d.both(exitUsage, "login", "traces", "--limit", "0")
	d.twoWays(exitFine, "login", "trace", list[0].Reference)
	d.both(exitFound, "login", "trace", "NOTHERE")
	d.both(exitFound, "login", "trace", "")
}

// whoByOthers asks who has something by mappings that are not in force.
func (d *distance) whoByOthers(past string) {
	d.t.Helper()
	d.file("env.yaml", strings.Replace(farRules(), "name: Portfolio-Managers", "name: '${team}'", 1)+"vars: {team: {prod: Portfolio-Managers, uat: Nobody}}\n")
	for _, file := range []string{"old.yaml", "new.yaml", "many.yaml", "env.yaml"} {
		d.twoWays(exitFine, "mapping", "who", file, "--role", "viewer")
		d.both(exitFine, "mapping", "who", file, "--row", "account=ALP0009", "--at", past)
	}
	ada := func(want bool, args ...string) {
		d.t.Helper()
		if out := d.both(exitFine, append([]string{"mapping", "who", "--role", "manager"}, args...)...); strings.Contains(out, "ada@alpha.example") != want {
			d.t.Errorf("who %v: %s, want Ada in it: %t", args, out, want)
		}
	}
	ada(true, "env.yaml")
	ada(false, "new.yaml")
	ada(false, "env.yaml", "--env", "uat")
	d.twoWays(exitFound, "mapping", "who", "broken.yaml", "--role", "viewer")
	d.both(exitBroken, "mapping", "who", "nowhere.yaml", "--role", "viewer")
	d.both(exitUsage, "mapping", "who", "old.yaml", "--role", "nobody")
	d.both(exitUsage, "mapping", "who", "--role", "nobody")

	d.cli(d.t, exitFine, "mapping", "apply", filepath.Join(d.dir, "env.yaml"), "--reason", "by environment")
	eventually(d.t, "the gate knows the environments", patience, func() bool {
		code, out, _ := d.call(true, "mapping", "who", "--role", "manager", "--env", "uat")
		return code == exitFine && !strings.Contains(out, "ada@alpha.example")
	})
	ada(true)
	ada(false, "--env", "uat")
	d.both(exitFine, "mapping", "explain", "--user", "ada@alpha.example", "--env", "uat")
	d.both(exitFound, "mapping", "who", "--role", "manager", "--env", "nowhere")
}

// boundToTheirs asks as somebody who is told of the people of their own
// organization alone.
func (d *distance) boundToTheirs() {
	d.t.Helper()
	const note = "note: this is of the people whom you may see, and of nobody else"
	noted := func(want bool, args ...string) bool {
		code, _, errs := d.call(true, args...)
		return code <= exitFound && strings.Contains(errs, note) == want
	}
	diff, coverage := []string{"mapping", "diff", "old.yaml", "new.yaml"}, []string{"mapping", "coverage", "new.yaml"}
	for _, args := range [][]string{diff, coverage} {
		if !noted(false, args...) {
			d.t.Errorf("%v of everybody says that it is not, or nothing", args)
		}
	}
	d.file("bound.yaml", strings.NewReplacer("manager: {", "author: {tasks: [gate.mapping.propose]}\n  manager: {scope: organization, ", "roles: [manager]", "roles: [manager, author]").Replace(farRules()))
	d.cli(d.t, exitFine, "mapping", "apply", filepath.Join(d.dir, "bound.yaml"), "--reason", "for their own organization")
	for _, args := range [][]string{diff, coverage} {
		eventually(d.t, strings.Join(args, " ")+" says of whom it is", patience, func() bool { return noted(true, args...) })
	}
}

// What was in force of one client's file, and which gate runs what, is told the
// same through a gate.
func TestAFragmentAndTheGatesAreToldTheSameThroughAGate(t *testing.T) {
	t.Parallel()
	d := newDistance(t)
	d.file("many.yaml", "include: [clients/*.yaml]\n"+farRules())
	fragment := func(group string) {
		d.file("clients/alpha.yaml", "version: 1\nconnection: alpha\nrules:\n  - {id: theirs, match: {groups: [{name: "+group+"}]}, grant: {roles: [viewer]}}\n")
	}
	fragment("One")
	d.cli(t, exitFine, "mapping", "apply", filepath.Join(d.dir, "many.yaml"), "--reason", "with a fragment")
	fragment("Two")
	alone := filepath.Join(d.dir, "clients", "alpha.yaml")
	d.cli(t, exitFine, "mapping", "apply", "--fragment", "alpha", alone, "--reason", "their list")
	fragment("Three")
	d.cli(t, exitFine, "mapping", "propose", "--fragment", "alpha", alone, "--reason", "another list")
	out := d.both(exitFine, "mapping", "history", "--fragment", "alpha")
	for _, reason := range []string{"with a fragment", "their list", "another list"} {
		if !strings.Contains(out, reason) {
			t.Errorf("history of the fragment: %s, want %q", out, reason)
		}
	}
	d.both(exitFine, "mapping", "history", "--fragment", "alpha", "--json")
	d.both(exitFine, "mapping", "history", "--fragment", "alpha", "--limit", "1", "--json")
	d.both(exitFound, "mapping", "history", "--fragment", "beta")
	eventually(t, "the gate runs it", patience, func() bool {
		return strings.Contains(d.cli(t, exitFine, "mapping", "history", "--replicas"), " current ")
	})
	d.twoWays(exitFine, "mapping", "history", "--replicas")
}

// A sign-in is tried through a gate as where it runs.
func TestADryRunThroughAGate(t *testing.T) {
	t.Parallel()
	d := newDistance(t)
	mask := regexp.MustCompile(`\b[A-Z2-7]{12}\b|https?://\S+|\d+(\.\d+)?[mµ]?s (ahead|behind)|[0-9a-f-]{23}-HASH|\b1\d{9}\b`)
	try := func(far bool, person string) (code int, out string) {
		cmd := program(t.Context(), d.dir, "login", "test", "--connection", "alpha")
		if far {
			cmd.Dir = d.away
			cmd.Env = append(os.Environ(), "PORTCULLIS_GATE="+d.public, "PORTCULLIS_TOKEN="+d.secret)
		}
		stdout := &lineWriter{first: make(chan string, 1)}
		cmd.Stdout = stdout
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		b := d.browser(t)
		if s := b.press(t, b.open(t, <-stdout.first), url.Values{"person": {person}}); s.status != http.StatusOK || !strings.Contains(s.body, "It was a test") {
			t.Errorf("%s sees %d at %s:\n%s", person, s.status, s.url, s.body)
		}
		if err := cmd.Wait(); cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), mask.ReplaceAllString(settled(stdout.String()), "…")
	}
	for person, want := range map[string]int{"ada": exitFine, "dan": exitFound} {
		near, there := try(false, person)
		far, from := try(true, person)
		if near != want || far != want {
			t.Errorf("%s: exit code %d here and %d from afar, want %d", person, near, far, want)
		}
		if diff := cmp.Diff(there, from); diff != "" {
			t.Errorf("%s (-here +from afar):\n%s", person, diff)
		}
	}
	d.both(exitUsage, "login", "test")
	d.both(exitUsage, "login", "test", "--connection", "nowhere")
	d.both(exitFound, "login", "test", "--connection", "beta")
}

// manyTraces lists more of them than a gate gives at a time, of which some were
// not kept.
func (d *distance) manyTraces() {
	d.t.Helper()
	var records []trace.Record
	began := time.Now().Add(-time.Hour)
	for i := range maxFarTraces + 50 {
		at := began.Add(time.Duration(i) * time.Second)
		records = append(records, trace.Begin(trace.Record{Reference: fmt.Sprint("MANY", i), Connection: "beta", Started: at}).End(at, trace.Refused, "no", ""))
	}
	lost := []trace.Loss{{Hour: began.Truncate(time.Hour), Connection: "beta", Count: 7}, {Hour: began.Truncate(time.Hour), Connection: "alpha", Count: 9}}
	if err := d.database().Traces().InsertTraces(d.t.Context(), records, lost, trace.Caps{trace.Stranger: 1000}); err != nil {
		d.t.Fatal(err)
	}
	if out := d.both(exitFine, "login", "traces", "--connection", "beta", "--limit", "230"); strings.Count(out, "MANY") != 230 || !strings.Contains(out, "MANY249 ") || strings.Contains(out, "MANY19 ") {
		d.t.Errorf("more than a gate gives at a time: %s", out)
	}
	d.both(exitFine, "login", "traces", "--limit", "1000", "--json")
	if _, _, errs := d.call(true, "login", "traces", "--connection", "beta"); strings.Count(errs, "7 traces of \"beta\" lost") != 1 || strings.Contains(errs, "alpha") {
		d.t.Errorf("what was not kept: %s", errs)
	}
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
	if out := d.both(exitFine, "mapping", "explain", "--user", cleo); !strings.Contains(out, "of a frozen sub-organization and may not come in") {
		t.Errorf("explain somebody of a frozen part: %s, want what keeps them out", out)
	}
	for _, tc := range []struct{ verb, user, want string }{{"show", cleo, "Alpha / Sales"}, {"list", "", "frozen"}} {
		words := slices.DeleteFunc([]string{"user", tc.verb, tc.user}, func(s string) bool { return s == "" })
		if out := d.both(exitFine, words...); !strings.Contains(out, tc.want) {
			t.Errorf("user %s: %s, want %q", tc.verb, out, tc.want)
		}
		if out := d.both(exitFine, append(words, "--json")...); !strings.Contains(out, `"frozen": "Alpha / Sales"`) || !strings.Contains(out, `"subOrganization": "Sales"`) {
			t.Errorf("user %s --json: %s, want the part and that it is frozen", tc.verb, out)
		}
	}

	d.whoByOthers(past)
	d.boundToTheirs()
	_, d.secret = d.apiToken(t, "--user", "ada@alpha.example", "--scope", "gate.mapping.propose")
	code, out, errs := d.call(true, "mapping", "diff", "old.yaml", "new.yaml")
	if code != exitFound || strings.Contains(out, "ada") || !strings.Contains(out, "touched: ") || !strings.Contains(errs, "gate.users.view") {
		t.Errorf("diff without seeing people: exit code %d, %s%s, want numbers alone", code, out, errs)
	}
}
