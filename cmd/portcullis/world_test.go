package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"portcullis/demo"
	"portcullis/internal/freeport"
	"portcullis/store/storetest"
)

// TestMain lets the test binary be the real program, too: it is found as
// "portcullis" in the PATH of everything that tests start.
func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"portcullis": main, "floor": floor})
}

type tests struct{ m *testing.M }

func (t tests) Run() int { return storetest.Main(t.m) }

// program is a call of the real program, in a process of its own. It does not
// outlive the test binary.
func program(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "portcullis", args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

const worldMapping = `version: 1
connections:
  alpha: {ceiling: {roles: [viewer, manager], where: {account: {prefix: ALP}}}}
roles:
  viewer:  {tasks: [account.view]}
  manager: {inherits: [viewer], tasks: [report.view]}
attributes:
  account: {type: string, pattern: "^[A-Z]{3}[0-9]{4}$", onMissing: none}
permissionGroups:
  all: {where: {account: "*"}}
  one: {where: {account: [ALP0001]}}
rules:
  - id: managers
    match: {connection: alpha, groups: [{name: Portfolio-Managers}]}
    grant: {roles: [manager], permissionGroups: [all]}
  - id: pushed-managers
    match: {connection: alpha, groups: [{scim: Pushed-Managers}]}
    grant: {roles: [manager], permissionGroups: [all]}
  - id: accounts
    match: {connection: alpha, groups: [{name: Accounts-*}]}
    grant: {roles: [viewer], permissionGroups: [one]}
`

// world is everything around one gate, all of it real and on loopback: an
// identity provider, a portal, a database and the files of an operator.
type world struct {
	dir        string // of the configuration
	public     string // URL of the gate
	ops        string // URL of its operations listener
	idpAddress string
	idp        *demo.IDP
	portal     *portal
	log        *syncBuffer // of every gate of this world
}

// terrain is what a test changes about a world before anything starts.
type terrain struct {
	database   string // sqlite, beside the configuration; postgres; or a URL; defaults to sqlite
	connection string // further keys of the connection, as in "provisioning: scim,"
	mapping    string // defaults to worldMapping
	shutdown   string // defaults to {delay: 0s}: nobody balances the load
	idpDown    bool   // the identity provider is not up
}

func newWorld(t testing.TB, c terrain) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), portal: newPortal(t), log: &syncBuffer{}, idpAddress: freeport.Address(t)}
	listen, ops := freeport.Address(t), freeport.Address(t)
	w.public, w.ops = "http://"+listen, "http://"+ops
	switch c.database {
	case "", "sqlite":
		c.database = "sqlite:portcullis.db"
		storetest.SQLiteFile(t, filepath.Join(w.dir, "portcullis.db"))
	case "postgres":
		c.database = storetest.MigratedPostgresURL(t)
	}
	if c.shutdown == "" {
		c.shutdown = "{delay: 0s}"
	}
	if c.mapping == "" {
		c.mapping = worldMapping
	}
	w.write(t, "idp.secret", "sample-secret")
	w.write(t, "mapping.yaml", c.mapping)
	w.write(t, "portcullis.yaml", fmt.Sprintf(`public_url: %s
listen: %s
ops_listen: %s
upstream: {url: %q}
database: {url: %q}
keys: {file: gate.key}
mapping: {file: mapping.yaml}
limits: {scim: 100000/s, sign_in: 100000/s}
shutdown: %s
routes: [{path: /public/, public: true}, {path: /reports, require: {tasks: [report.view]}}]
connections:
  - {id: alpha, organization: Alpha, domains: [alpha.example], %s
     oidc: {issuer: "http://%s", client_id: portcullis, client_secret_file: idp.secret}, scim: {enabled: true}}
`, w.public, listen, ops, w.portal.URL, c.database, c.shutdown, c.connection, w.idpAddress))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the gate:\n%s", w.log)
		}
	})
	if !c.idpDown {
		w.startIDP(t)
	}
	return w
}

func (w *world) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *world) startIDP(t testing.TB) {
	t.Helper()
	company := demo.Companies()[0]
	w.idp = demo.NewIDP(demo.IDPConfig{
		Issuer: "http://" + w.idpAddress, Company: company.Name, Domain: company.Domain,
		ClientID: "portcullis", ClientSecret: "sample-secret", RedirectURIs: []string{w.public + "/.portcullis/oidc/alpha/callback"},
		PostLogoutRedirectURIs: []string{w.public + "/.portcullis/sign-out"}, People: company.People, Groups: company.Groups,
	})
	l, err := net.Listen("tcp", w.idpAddress)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(w.idp)
	s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
}

// gateRun is a gate that runs in this process.
type gateRun struct {
	cancel context.CancelFunc
	done   chan struct{}
	code   int
}

// start runs "portcullis serve" in this process until the test ends.
func (w *world) start(t *testing.T) *gateRun {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g := &gateRun{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(g.done)
		g.code = run(ctx, []string{"serve", "-c", filepath.Join(w.dir, "portcullis.yaml")}, strings.NewReader(""), io.Discard, w.log)
	}()
	t.Cleanup(func() { g.stop(t) })
	w.awaitAlive(t, g.done)
	return g
}

// stop asks the gate to end, as SIGTERM does, and waits for it.
func (g *gateRun) stop(t *testing.T) {
	t.Helper()
	g.cancel()
	select {
	case <-g.done:
	case <-time.After(30 * time.Second):
		t.Error("the gate does not stop")
		return
	}
	if g.code != exitFine {
		t.Errorf("the gate ended with code %d, want 0", g.code)
	}
}

// awaitAlive waits until the gate answers, and fails at once if it ended.
func (w *world) awaitAlive(t testing.TB, ended <-chan struct{}) {
	t.Helper()
	eventually(t, "the gate answers", 60*time.Second, func() bool {
		select {
		case <-ended:
			t.Fatal("the gate ended by itself")
		default:
		}
		status, _ := fetch(w.ops + "/healthz")
		return status == http.StatusOK
	})
}

// cli calls the command line in this process, in the world of its database.
func (w *world) cli(t testing.TB, want int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	args = append(args, "-c", filepath.Join(w.dir, "portcullis.yaml"))
	if got := run(t.Context(), args, strings.NewReader(""), &out, &errs); got != want {
		t.Fatalf("portcullis %v: exit code %d, want %d\n%s%s", args, got, want, &out, &errs)
	}
	return out.String()
}

// metric reads one number of /metrics.
func (w *world) metric(t testing.TB, name string) string {
	t.Helper()
	value := w.counted(name)
	if value == "" {
		t.Fatalf("no metric %s", name)
	}
	return value
}

// ready asks /readyz.
func (w *world) ready(t testing.TB) (status int, state map[string]string) {
	t.Helper()
	status, body := fetch(w.ops + "/readyz")
	if status == 0 {
		return 0, nil
	}
	if err := json.Unmarshal([]byte(body), &state); err != nil {
		t.Fatalf("readyz: %v in %q", err, body)
	}
	return status, state
}

var quick = &http.Client{Timeout: 5 * time.Second}

// fetch gives status 0 when there is no answer.
func fetch(url string) (status int, body string) { return fetchBy(quick, url) }

func fetchBy(client *http.Client, url string) (status int, body string) {
	res, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(b)
}

// eventually polls until ok, and gives up after a time that is far beyond
// what a slow machine needs.
func eventually(t testing.TB, what string, within time.Duration, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(began) > within {
			t.Fatalf("not within %s: %s", within, what)
		}
		<-tick.C
	}
	return time.Since(began)
}

// open asserts that streams are still open. On a machine so busy that the gate
// did not hear from its database for a second it cut them itself, as it must:
// that says nothing about what the test did.
func (w *world) open(t *testing.T, which string, streams ...<-chan time.Time) {
	t.Helper()
	for _, s := range streams {
		select {
		case <-s:
			if strings.Contains(w.log.String(), "nothing cached is trusted") {
				t.Logf("a stream %s was cut because the database did not answer", which)
				continue
			}
			t.Errorf("a stream %s has ended", which)
		default:
		}
	}
}

// databases are what [terrain] takes for a test that runs on each.
func databases() []string { return []string{"sqlite", "postgres"} }

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
