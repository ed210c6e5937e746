package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis/mapping"
	"portcullis/store/storetest"
)

// farRules make Ada an administrator of the gate.
func farRules() string {
	var tasks []string
	for _, t := range mapping.GateTasks() {
		tasks = append(tasks, t.Name)
	}
	return strings.NewReplacer(
		"alpha: {ceiling: {roles: [viewer, manager], where: {account: {prefix: ALP}}}}", "alpha: {ceiling: unrestricted}",
		"tasks: [report.view]}", "tasks: [report.view, "+strings.Join(tasks, ", ")+"]}",
	).Replace(worldMapping)
}

// distance is a world whose gate is asked both ways: where it runs, and from a
// folder that holds nothing, as Ada.
type distance struct {
	*world

	t      *testing.T
	away   string // a folder without a configuration
	secret string
}

// newDistance starts one; more are further connections of its configuration.
func newDistance(t *testing.T, more ...string) *distance {
	t.Helper()
	w := newWorld(t, terrain{mapping: farRules()})
	text, err := os.ReadFile(filepath.Join(w.dir, "portcullis.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "portcullis.yaml", strings.NewReplacer(
		"{file: mapping.yaml}", "{managed: database}", "scim: {enabled: true}", "scim: {enabled: true, guard: {percent: 10, people: 1}}",
	).Replace(string(text))+"  - {id: beta, organization: Beta, domains: [beta.example], scim: {enabled: true}}\n"+strings.Join(more, ""))
	w.start(t)
	w.cli(t, exitFine, "mapping", "apply", filepath.Join(w.dir, "mapping.yaml"), "--reason", "the first one")
	eventually(t, "the gate is ready", patience, func() bool {
		status, _ := w.ready(t)
		return status == http.StatusOK
	})
	for _, person := range []string{"ada", "ben"} {
		b := w.browser(t)
		if s := b.press(t, b.open(t, "/.portcullis/sign-in/alpha"), url.Values{"person": {person}}); s.status != http.StatusOK {
			t.Fatalf("%s does not come in: %d at %s", person, s.status, s.url)
		}
	}
	d := &distance{world: w, t: t, away: t.TempDir()}
	d.secret = d.token()
	return d
}

// token makes a token of Ada's for everything that the gate lets her do.
func (d *distance) token() string {
	d.t.Helper()
	args := []string{"--user", "ada@alpha.example"}
	for _, task := range mapping.GateTasks() {
		args = append(args, "--scope", task.Name)
	}
	_, secret := d.apiToken(d.t, args...)
	return secret
}

// call runs the real program; from afar it has an address and a token alone.
func (d *distance) call(far bool, args ...string) (code int, out, errs string) {
	d.t.Helper()
	cmd := program(d.t.Context(), d.dir, args...)
	if far {
		cmd.Dir = d.away
		cmd.Env = append(os.Environ(), "PORTCULLIS_GATE="+d.public, "PORTCULLIS_TOKEN="+d.secret)
	}
	return runProgram(d.t, cmd)
}

// runProgram runs a program to its end.
func runProgram(t *testing.T, cmd *exec.Cmd) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
}

// varying is what differs from call to call, or between an operator and Ada.
var varying = []struct {
	pattern *regexp.Regexp
	becomes string
}{
	{regexp.MustCompile(`[0-9a-f]{64}|\b[0-9a-f]{12}\b`), "HASH"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`), "TIME"},
	{regexp.MustCompile(`evision"?:? \d+`), "evision N"},
	{regexp.MustCompile(`"(by|proposedBy)": "[^"]*"`), `"$1": "SOMEBODY"`},
	{regexp.MustCompile(`"file": "[^"]*"`), `"file": "FILE"`},
}

func settled(text string) string {
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.becomes)
	}
	return text
}

// both calls the program both ways, and wants the same answer and exit code.
func (d *distance) both(code int, args ...string) (out string) {
	d.t.Helper()
	near, there, nearErrs := d.call(false, args...)
	far, from, farErrs := d.call(true, args...)
	if near != code || far != code {
		d.t.Errorf("portcullis %v: exit code %d here and %d from afar, want %d\n%s%s", args, near, far, code, nearErrs, farErrs)
	}
	if diff := cmp.Diff(settled(there), settled(from)); diff != "" {
		d.t.Errorf("portcullis %v (-here +from afar):\n%s", args, diff)
	}
	if code == exitFine && there == "" {
		d.t.Errorf("portcullis %v says nothing", args)
	}
	return from
}

// Whatever is asked and done through a gate is answered as where it runs.
func TestCommandsAnswerTheSameThroughAGate(t *testing.T) {
	t.Parallel()
	d := newDistance(t)
	push := d.pusher(t)
	ids := []string{push.user(t, "cleo"), push.user(t, "dan"), push.must(t, 201, http.MethodPost, "/Users", userJSONOf("x", "=cmd()@alpha.example"))}
	push.must(t, 201, http.MethodPost, "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Pushed-Managers","members":[{"value":"`+ids[0]+`"}]}`)
	push.active(t, ids[1], "False")
	push.active(t, ids[2], "False")
	if status, _, err := push.try(http.MethodGet, "/Users/nobody", ""); err != nil || status != http.StatusNotFound {
		t.Fatalf("status = %d, %v", status, err)
	}
	mustChange := func() bool { return strings.Contains(d.cli(t, exitFine, "scim", "changes"), "open") }
	eventually(t, "the loss is found", patience, mustChange)
	eventually(t, "the log is written", patience, func() bool { return strings.Contains(d.cli(t, exitFine, "scim", "log"), "404") })

	for _, json := range []string{"", "--json"} {
		with := func(args ...string) []string {
			if json != "" {
				args = append(args, json)
			}
			return args
		}
		d.both(exitFine, with("user", "list")...)
		d.both(exitFine, with("user", "list", "--connection", "alpha")...)
		for _, name := range []string{"ada@alpha.example", "alpha-ben", ids[0], "dan@alpha.example"} {
			d.both(exitFine, with("user", "show", name)...)
			d.both(exitFine, with("user", "sessions", name)...)
		}
		d.both(exitFine, with("mapping", "history")...)
		d.both(exitFine, with("mapping", "history", "--limit", "1")...)
		d.both(exitFine, with("mapping", "show", "1")...)
		d.both(exitFine, with("scim", "log")...)
		d.both(exitFine, with("scim", "log", "--refused", "--connection", "alpha", "--limit", "2")...)
		d.both(exitFine, with("scim", "changes", "--connection", "alpha", "--open")...)
		d.both(exitFine, with("scim", "changes", "1")...)
		d.both(exitFine, with("token", "list")...)
		d.both(exitFine, with("token", "list", "--connection", "alpha")...)
		d.both(exitFine, with("connection", "list")...)
	}
	d.both(exitFound, "user", "show", "nobody")
	d.both(exitFound, "user", "lock", "nobody", "--reason", "x")
	d.both(exitUsage, "user", "list", "--connection", "other")
	d.both(exitUsage, "scim", "log", "--connection", "other")
	d.both(exitUsage, "scim", "log", "--limit", "0")
	d.both(exitUsage, "scim", "changes", "x")
	d.both(exitFound, "scim", "changes", "99")
	d.both(exitFound, "mapping", "show", "99")
	d.both(exitFound, "token", "revoke", "nobody")
	d.both(exitUsage, "token", "create")
	d.both(exitUsage, "user", "frobnicate")
	d.verbs(ids)
	d.revisions()

	eventually(t, "every event is sealed", patience, func() bool {
		code, there, _ := d.call(false, "audit", "export")
		farCode, from, errs := d.call(true, "audit", "export")
		if code != 0 || farCode != 0 {
			t.Fatalf("audit export: %d, %d %s", code, farCode, errs)
		}
		return there == from
	})
	eventually(t, "the trail rests", patience, func() bool { return strings.Contains(d.cli(t, exitFine, "audit", "verify"), " 0 not yet") })
	d.both(exitFine, "audit", "verify")
	d.both(exitFine, "audit", "verify", "--json")
	raw := storetest.Raw(t, "sqlite:"+filepath.Join(d.dir, "portcullis.db"))
	if _, err := raw.ExecContext(t.Context(), "UPDATE audit_events SET reason = 'other' WHERE seq = 2"); err != nil {
		t.Fatal(err)
	}
	if out := d.both(exitFound, "audit", "verify"); !strings.Contains(out, "event 2 or its seal was altered") {
		t.Errorf("audit verify: %s, want that event 2 was altered", out)
	}
	d.both(exitFound, "audit", "verify", "--json")
}

// verbs does to people what can be done, first here and then from afar.
func (d *distance) verbs(ids []string) {
	d.t.Helper()
	for _, verb := range [][]string{
		{"user", "lock"},
		{"user", "unlock"},
		{"user", "deactivate"},
		{"user", "reactivate"},
		{"user", "sign-out"},
	} {
		undo := map[string]string{"lock": "unlock", "deactivate": "reactivate"}[verb[1]]
		do := map[string]string{"unlock": "lock", "reactivate": "deactivate"}[verb[1]]
		var answers []string
		for _, far := range []bool{false, true} {
			if do != "" {
				d.cli(d.t, exitFine, "user", do, "ben@alpha.example", "--reason", "y")
			} else {
				d.browser(d.t).mustSignIn(d.t, "ben")
			}
			code, out, errs := d.call(far, append(verb, "ben@alpha.example", "--reason", "because", "--json")...)
			if code != exitFine {
				d.t.Fatalf("%v, from afar = %v: exit code %d\n%s", verb, far, code, errs)
			}
			answers = append(answers, regexp.MustCompile(`"sessionsEnded": [1-9]`).ReplaceAllString(out, "some ended"))
			if undo != "" {
				d.cli(d.t, exitFine, "user", undo, "ben@alpha.example")
			}
		}
		if answers[0] != answers[1] {
			d.t.Errorf("%v: %q here, %q from afar", verb, answers[0], answers[1])
		}
	}
	d.browser(d.t).mustSignIn(d.t, "ben")
	var list []struct{ ID string }
	if err := json.Unmarshal([]byte(d.both(exitFine, "user", "sessions", "alpha-ben", "--json")), &list); err != nil || len(list) == 0 {
		d.t.Fatalf("sessions: %v %v", list, err)
	}
	if code, out, errs := d.call(true, "user", "sign-out", "alpha-ben", "--session", list[0].ID); code != exitFine || !strings.Contains(out, "1 session ended") {
		d.t.Errorf("one session: exit code %d, %s%s", code, out, errs)
	}
	// Undone from afar; a second time it does nothing, here or there.
	if code, out, errs := d.call(true, "scim", "undo", "1"); code != exitFine || out != "undone: 2 restored, 0 left alone\n" {
		d.t.Errorf("undo: exit code %d, %s%s", code, out, errs)
	}
	d.both(exitFine, "scim", "undo", "1", "--json")
	d.both(exitFine, "scim", "changes", "1", "--json")

	code, out, errs := d.call(true, "token", "create", "--connection", "alpha", "--expires", "240h", "--note", "far", "--json")
	var made tokenJSON
	if err := json.Unmarshal([]byte(out), &made); code != exitFine || err != nil || !strings.HasPrefix(made.Secret, "pcs_") || made.Kind != "bearer" || made.Note != "far" {
		d.t.Errorf("token create: exit code %d, %s%s", code, out, errs)
	}
	d.both(exitFine, "token", "list", "--json")
	for _, far := range []bool{true, false} { // of a revoked one both say the same
		if code, _, errs := d.call(far, "token", "revoke", made.ID, "--connection", "alpha"); code != exitFine || !strings.Contains(errs, "revoked "+made.ID) {
			d.t.Errorf("token revoke, from afar = %v: exit code %d, %s", far, code, errs)
		}
	}
	if trail := d.cli(d.t, exitFine, "audit", "export"); !regexp.MustCompile(`"action":"person.locked","actor":\{"kind":"person","id":"[^"]+","name":"Ada Alder by API token t-[a-z0-9]+"`).MatchString(trail) {
		d.t.Errorf("the trail does not name Ada and her token:\n%s", trail)
	}
}

// revisions brings mappings into force, first here and then from afar.
func (d *distance) revisions() {
	d.t.Helper()
	var told [2][]string
	for i, far := range []bool{false, true} {
		name := filepath.Join(d.away, "mapping.yaml")
		text := strings.Replace(farRules(), "id: accounts", "id: accounts-"+[]string{"near", "far"}[i], 1)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			d.t.Fatal(err)
		}
		say := func(want int, args ...string) string {
			code, out, errs := d.call(far, args...)
			if code != want {
				d.t.Fatalf("portcullis %v, from afar = %v: exit code %d, want %d\n%s%s", args, far, code, want, out, errs)
			}
			told[i] = append(told[i], settled(out))
			return out
		}
		var p struct{ Hash string }
		if err := json.Unmarshal([]byte(say(exitFine, "mapping", "propose", name, "--reason", "a name", "--json")), &p); err != nil {
			d.t.Fatal(err)
		}
		say(exitFine, "mapping", "propose", p.Hash, "--reason", "a name")
		d.both(exitFine, "mapping", "history", "--json")
		say(exitFine, "mapping", "apply", p.Hash, "--json")
		say(exitFine, "mapping", "apply", p.Hash) // nothing is done
		say(exitFine, "mapping", "rollback", "1", "--reason", "back")
		say(exitFound, "mapping", "rollback", "1", "--reason", "again")
		say(exitFine, "mapping", "rollback", "--reason", "and forth", "--json")
		say(exitFine, "mapping", "rollback", "1", "--reason", "back")
		d.both(exitFine, "mapping", "show", p.Hash, "--json")
		d.both(exitFine, "mapping", "show", p.Hash)

		if err := os.WriteFile(name, []byte(strings.Replace(text, "account: [ALP0001]", "account: [ALP1]", 1)+"  - {}\n"), 0o600); err != nil {
			d.t.Fatal(err)
		}
		if out := say(exitFound, "mapping", "propose", name, "--reason", "broken", "--json"); !strings.Contains(out, `"line"`) {
			d.t.Errorf("a broken mapping: %s", out)
		}
		say(exitUsage, "mapping", "propose", name)
	}
	if diff := cmp.Diff(told[0], told[1]); diff != "" {
		d.t.Errorf("revisions (-here +from afar):\n%s", diff)
	}
	// Whoever made Ada's token is no second person beside it.
	name := filepath.Join(d.away, "mapping.yaml")
	if err := os.WriteFile(name, []byte(strings.Replace(farRules(), "id: accounts", "id: accounts-of-ada", 1)), 0o600); err != nil {
		d.t.Fatal(err)
	}
	_, out, _ := d.call(true, "mapping", "propose", name, "--reason", "hers")
	d.both(exitFound, "mapping", "approve", hash(d.t, out))
}
