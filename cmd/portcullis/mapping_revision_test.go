package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/config"
	"portcullis/directory"
	"portcullis/revision"
	"portcullis/store"
)

const readers = `version: 1
connections: {alpha: {ceiling: {roles: [viewer]}}}
roles: {viewer: {tasks: [view]}}
rules: [{id: readers, match: {connection: alpha, groups: [{scim: Readers}]}, grant: {roles: [viewer]}}]
tests: [{name: others, given: {connection: alpha}, expect: {login: deny}}]
`

// everybody lets everybody of Alpha in.
var everybody = strings.NewReplacer(", groups: [{scim: Readers}]", "", "login: deny", "login: allow").Replace(readers)

// desk is a folder with a configuration, where operators sit.
type desk struct {
	t   *testing.T
	dir string
}

func newDesk(t *testing.T, mapping string) *desk {
	t.Helper()
	d := &desk{t: t, dir: t.TempDir()}
	d.write("secret", "sample")
	d.write("readers.yaml", readers)
	d.write("everybody.yaml", everybody)
	d.write("portcullis.yaml", `public_url: http://127.0.0.1:8080
ops_listen: off
upstream: {url: "http://127.0.0.1:3000"}
database: {url: "sqlite:portcullis.db"}
mapping: `+mapping+`
connections:
  - {id: alpha, oidc: {issuer: "http://127.0.0.1:1", client_id: portcullis, client_secret_file: secret}, scim: {enabled: true}}
`)
	return d
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *desk) write(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(d.path(name), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// as runs a mapping command as somebody and wants its exit code.
func (d *desk) as(who string, code int, args ...string) (stdout, stderr string) {
	d.t.Helper()
	var out, errs bytes.Buffer
	c := &cli{
		in: strings.NewReader(""), out: &out, err: &errs,
		signer: func() revision.Signer {
			return revision.Signer{Actor: audit.Actor{Kind: "operator", ID: "id of " + who, Name: who}}
		},
		now: time.Now,
	}
	args = append([]string{"mapping", "-c", d.path("portcullis.yaml")}, args...)
	if got := c.execute(d.t.Context(), args); got != code {
		d.t.Fatalf("%s: %q exits %d, want %d\n%s%s", who, args[3:], got, code, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// hash takes the hash out of what propose or apply said.
func hash(t *testing.T, out string) string {
	t.Helper()
	_, h, ok := strings.Cut(strings.TrimSpace(out), ", ")
	if !ok || len(h) != 64 {
		t.Fatalf("no hash in %q", out)
	}
	return h
}

func wants(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s: want %q in:\n%s", what, p, text)
		}
	}
}

// push makes people of Alpha, some of them Readers.
func (d *desk) push(people int, members ...int) {
	d.t.Helper()
	cfg, err := config.Load(d.path("portcullis.yaml"), os.LookupEnv)
	if err != nil {
		d.t.Fatal(err)
	}
	db, err := store.Open(d.t.Context(), store.Config{URL: cfg.Database.URL.Reveal()})
	if err != nil {
		d.t.Fatal(err)
	}
	defer db.Close()
	dir := directory.New(directory.Config{Store: db.Directory(), Connections: connections(cfg)})
	if err := dir.Reconcile(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	var ids []string
	for i := range people {
		name := string(rune('a' + i))
		p, err := dir.Provision(d.t.Context(), audit.Gate(), "alpha", directory.Record{UserName: name, ExternalID: name, Active: true})
		if err != nil {
			d.t.Fatal(err)
		}
		ids = append(ids, p.ID)
	}
	var in []string
	for _, i := range members {
		in = append(in, ids[i])
	}
	if _, err := dir.ProvisionGroup(d.t.Context(), audit.Gate(), "alpha", "Readers", "", in); err != nil {
		d.t.Fatal(err)
	}
}

func TestTwoOperatorsBringAMappingIntoForce(t *testing.T) {
	d := newDesk(t, "{managed: database, approval: {when: [always]}}")
	_, errs := d.as("ada", 1, "apply", d.path("readers.yaml"))
	wants(t, "apply without a proposal", errs, "needs the approval of a second person", "propose it first")
	d.as("ada", 2, "propose", d.path("readers.yaml"))
	out, errs := d.as("ada", 0, "propose", d.path("readers.yaml"), "--reason", "the first one")
	wants(t, "propose", out, "proposed revision 1, ")
	wants(t, "propose", errs, "needs an approval: every change", "next: portcullis mapping approve ")
	h := hash(t, out)
	_, errs = d.as("ada", 1, "approve", h)
	wants(t, "approve by the author", errs, "somebody else must approve it")
	_, errs = d.as("ben", 1, "approve", "1")
	wants(t, "approve a number", errs, "an approval is for a hash")
	_, errs = d.as("ada", 1, "apply", h)
	wants(t, "apply unapproved", errs, "is proposed by ada and not approved")
	out, _ = d.as("ben", 0, "approve", h[:12])
	wants(t, "approve", out, "approved revision 1, "+h, "proposed by ada: the first one")
	out, _ = d.as("cleo", 0, "history")
	wants(t, "history", out, "proposal", "approved", h[:12], "the first one")
	out, _ = d.as("ada", 0, "apply", h)
	wants(t, "apply", out, "in force: revision 1, "+h)
	_, errs = d.as("ada", 0, "apply", d.path("readers.yaml"))
	wants(t, "apply again", errs, "in force already")
	out, errs = d.as("cleo", 0, "show", h[:12])
	if out != readers {
		t.Errorf("show = %q, want the text as it was", out)
	}
	wants(t, "show", errs, "revision 1, "+h, "by ada", "the first one", "apply by ada")

	// Going back asks for two people, too.
	out, _ = d.as("ben", 0, "propose", d.path("everybody.yaml"), "--reason", "open day")
	d.as("ada", 0, "approve", hash(t, out))
	d.as("ben", 0, "apply", hash(t, out))
	_, errs = d.as("ben", 1, "rollback", "1")
	wants(t, "rollback alone", errs, "cannot roll back", "needs the approval of a second person")
	d.as("ben", 0, "propose", h, "--reason", "the day is over")
	d.as("ada", 0, "approve", h)
	out, _ = d.as("ben", 0, "rollback", "1")
	wants(t, "rollback", out, "in force: revision 1, "+h)

	var list []historyJSON
	out, _ = d.as("cleo", 0, "history", "--json")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	type line struct {
		What, State, By, Reason string
		Revision                int64
	}
	var got []line
	for _, w := range list {
		got = append(got, line{w.What, w.State, w.By, w.Reason, w.Revision})
	}
	want := []line{
		{"rollback", "in force", "ben", "the day is over", 1},
		{"apply", "past", "ben", "open day", 2},
		{"apply", "past", "ada", "the first one", 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestTheCountsAreOfThePeopleInTheDirectory(t *testing.T) {
	d := newDesk(t, `{managed: database, approval: {when: ["people>50%"]}}`)
	d.push(4, 0)
	out, errs := d.as("ada", 0, "apply", d.path("readers.yaml"), "--json")
	var w historyJSON
	if err := json.Unmarshal([]byte(out), &w); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&countsJSON{People: 4, Changed: 1, Gained: 1, LetIn: 1}, w.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s\n%s", diff, errs)
	}
	_, errs = d.as("ada", 1, "apply", d.path("everybody.yaml"))
	wants(t, "apply", errs, "changes the access of 3 of 4 people, more than 50 %")
	_, errs = d.as("ada", 0, "propose", d.path("everybody.yaml"), "--reason", "open day")
	wants(t, "propose", errs, "of 4 people 3 change: 3 gain, 0 lose, 3 may come in now, 0 no more")
}

func TestWhatIsBrokenIsNotApplied(t *testing.T) {
	d := newDesk(t, "{managed: database}")
	d.write("bad.yaml", strings.Replace(readers, "tasks", "taskz", 1))
	_, errs := d.as("ada", 1, "apply", d.path("bad.yaml"))
	wants(t, "apply", errs, "bad.yaml:3:", "unknown key")
	d.as("ada", 1, "propose", d.path("bad.yaml"), "--reason", "r")
	_, errs = d.as("ada", 3, "apply", d.path("nowhere.yaml"))
	wants(t, "apply a file that is not there", errs, "nowhere.yaml", "want a FILE", "HASH of a revision")
	_, errs = d.as("ada", 1, "apply", strings.Repeat("ab", 32))
	wants(t, "apply a hash that is not there", errs, "no revision abab")
	_, errs = d.as("ada", 1, "rollback", "7")
	wants(t, "rollback", errs, "no revision 7")
	if out, _ := d.as("ada", 0, "history", "--json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("history = %s, want none", out)
	}
}

func TestAFileUnderGitIsNotTheToolsToChange(t *testing.T) {
	d := newDesk(t, "{file: readers.yaml}")
	g := d.gate()
	h := g.keeper.Status().Hash
	for _, args := range [][]string{
		{"propose", d.path("everybody.yaml"), "--reason", "r"},
		{"approve", h},
		{"apply", d.path("everybody.yaml")},
		{"apply", h},
		{"propose", "abc", "--reason", "r"},
		{"apply", "abc"},
		{"apply", strings.Repeat("ab", 32), "--fragment", "acme"},
		{"rollback", "1"},
		{"rollback"},
		{"rollback", "1", "--fragment", "acme"},
	} {
		_, errs := d.as("ada", 1, args...)
		wants(t, args[0], errs, "the mapping is the file "+d.path("readers.yaml"), "Git")
	}
	out, _ := d.as("ada", 0, "history")
	wants(t, "history", out, "file", "in force", h[:12], "portcullis")
	out, _ = d.as("ada", 0, "show", "1")
	if out != readers {
		t.Errorf("show = %q, want the file", out)
	}
}

// gate opens the gate of the desk, without listening.
func (d *desk) gate() *gate {
	d.t.Helper()
	cfg, err := config.Load(d.path("portcullis.yaml"), os.LookupEnv)
	if err != nil {
		d.t.Fatal(err)
	}
	g, err := openGate(d.t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		_ = g.sessions.Run(ctx)
	}()
	d.t.Cleanup(func() { stop(); <-heard; g.proxy.Close(); g.db.Close() })
	eventually(d.t, "changes are heard", patience, g.sessions.Trusted)
	return g
}

// asks gives what the operations listener of a gate answers.
func asks(g *gate, path string) (int, string) {
	w := httptest.NewRecorder()
	g.ops.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestAManagedGateWaitsForItsFirstMappingAndReportsIt(t *testing.T) {
	d := newDesk(t, "{managed: database}")
	g := d.gate()
	code, text := asks(g, "/readyz")
	if code != 503 {
		t.Errorf("/readyz = %d %s before anything was applied, want 503", code, text)
	}
	wants(t, "/readyz", text, "sign-ins are refused")
	var first bytes.Buffer
	run(t.Context(), []string{"doctor", "-c", d.path("portcullis.yaml")}, strings.NewReader(""), &first, io.Discard)
	wants(t, "doctor", first.String(), "runs no mapping: no mapping was applied yet")
	out, _ := d.as("ada", 0, "apply", d.path("readers.yaml"), "--reason", "the first one")
	g.keeper.Check(t.Context())
	if code, text := asks(g, "/readyz"); code != 200 {
		t.Errorf("/readyz = %d %s, want 200", code, text)
	}
	_, text = asks(g, "/metrics")
	wants(t, "/metrics", text, `portcullis_mapping_info{revision="`+hash(t, out)+`"} 1`, "portcullis_mapping_broken 0")
	var list []replicaJSON
	text, _ = d.as("ada", 0, "history", "--replicas", "--json")
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 1 || list[0].State != "current" || list[0].Hash != hash(t, out) {
		t.Errorf("replicas = %s (%v), want one that is current", text, err)
	}
	// The checks need no more than what is there.
	var found bytes.Buffer
	if code := run(t.Context(), []string{"check", "-c", d.path("portcullis.yaml")}, strings.NewReader(""), io.Discard, &found); code != 0 {
		t.Errorf("check exits %d: %s", code, found.String())
	}
	run(t.Context(), []string{"doctor", "-c", d.path("portcullis.yaml")}, strings.NewReader(""), &found, io.Discard) // the provider is not there
	wants(t, "doctor", found.String(), "in the database, 1 test, revision "+hash(t, out)[:12])
	// Applied, and not followed yet.
	d.as("ada", 0, "apply", d.path("everybody.yaml"))
	text, _ = d.as("ada", 0, "history", "--replicas")
	wants(t, "history --replicas", text, "behind", hash(t, out)[:12])
	found.Reset()
	run(t.Context(), []string{"doctor", "-c", d.path("portcullis.yaml")}, strings.NewReader(""), &found, io.Discard)
	wants(t, "doctor", found.String(), "runs revision "+hash(t, out)[:12])
}

func TestARestartWithABrokenFileIsNoOutage(t *testing.T) {
	d := newDesk(t, "{file: readers.yaml}")
	before := d.gate().keeper.Status().Hash
	d.write("readers.yaml", "version: 1\nrules: [\n")
	g := d.gate()
	code, text := asks(g, "/readyz")
	if got := g.keeper.Status(); code != 200 || got.Hash != before || got.Problem == nil {
		t.Errorf("/readyz = %d %s, status %+v, want the revision before in force", code, text, got)
	}
	wants(t, "/readyz", text, "the file is broken; the last good revision is in force")
	_, text = asks(g, "/metrics")
	wants(t, "/metrics", text, "portcullis_mapping_broken 1", "portcullis_mapping_in_force 1")
}

func TestALoginSurvivesSudo(t *testing.T) {
	for text, want := range map[string]string{"1001\n": "1001", "0": "0", "4294967295": "", "4294967295\n": "", "": ""} {
		if got := loginID(text); got != want {
			t.Errorf("loginID(%q) = %q, want %q", text, got, want)
		}
	}
	if s := systemSigner(); s.ID == "" || s.Kind != "operator" {
		t.Errorf("systemSigner() = %+v, want a user of the operating system", s)
	}
}

func TestUserShowStandsOnTheLastGoodRevision(t *testing.T) {
	d := newDesk(t, "{managed: database}")
	d.push(1, 0)
	show := func(code int) string {
		t.Helper()
		var out, errs bytes.Buffer
		if got := run(t.Context(), []string{"user", "show", "a", "-c", d.path("portcullis.yaml")}, strings.NewReader(""), &out, &errs); got != code {
			t.Fatalf("user show exits %d, want %d\n%s", got, code, errs.String())
		}
		return out.String() + errs.String()
	}
	wants(t, "user show without a mapping", show(3), "no mapping was applied yet: portcullis mapping apply FILE")
	d.as("ada", 0, "apply", d.path("readers.yaml"))
	wants(t, "user show", show(0), "viewer", "readers")
}

// With a file for the client, check, test, apply and serve read the same.
func TestAFileMayIncludeAnotherEverywhere(t *testing.T) {
	head, rules, _ := strings.Cut(readers, "rules:")
	rules, test, _ := strings.Cut(rules, "tests:")
	client := "connection: alpha\nrules:" + rules + "tests:" + test
	for _, kept := range []string{"{file: base.yaml}", "{managed: database}"} {
		d := newDesk(t, kept)
		d.write("base.yaml", strings.Replace(head, "version: 1\n", "version: 1\ninclude: [client-*.yaml]\n", 1))
		d.write("client-alpha.yaml", client)
		d.as("ada", 0, "check", d.path("base.yaml"))
		out, _ := d.as("ada", 0, "test", d.path("base.yaml"))
		wants(t, "test", out, "1 test ran, 0 failed")
		if strings.Contains(kept, "managed") {
			d.as("ada", 0, "apply", d.path("base.yaml"))
		}
		g := d.gate()
		if s := g.keeper.Status(); s.Problem != nil || g.keeper.Policy() == nil {
			t.Fatalf("%s: status %+v, want it in force", kept, s)
		}
		out, _ = d.as("ada", 0, "show", "1")
		wants(t, "show", out, "-- base.yaml --\nversion: 1", "-- client-alpha.yaml --\nconnection: alpha")
		var found bytes.Buffer
		run(t.Context(), []string{"doctor", "-c", d.path("portcullis.yaml")}, strings.NewReader(""), &found, io.Discard)
		wants(t, "doctor", found.String(), "revision "+g.keeper.Status().Hash[:12])
		d.write("client-alpha.yaml", strings.Replace(client, "match", "metch", 1))
		_, errs := d.as("ada", 1, "test", d.path("base.yaml"))
		wants(t, "test of a broken client", errs, "client-alpha.yaml:2:", "metch")
	}
}
