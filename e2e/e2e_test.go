//go:build e2e || interop

// Package e2e drives the built program from outside: the demo's story in a
// headless Chromium, and sign-ins at independent identity providers.
//
// It needs Node.js, Chromium, SimpleSAMLphp and the packages of package.json;
// "make e2e" installs the last. Screenshots go to build/screenshots.
package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portcullis/internal/freeport"
)

// gate is the path of the program under test.
var gate string // built once, by TestMain

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "portcullis-e2e-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		gate = filepath.Join(dir, "portcullis")
		build := exec.Command("go", "build", "-o", gate, "../cmd/portcullis")
		build.Stdout, build.Stderr = os.Stdout, os.Stderr
		if err := build.Run(); err != nil {
			return 1
		}
		return m.Run()
	}())
}

// program is one that runs until the test ends.
type program struct {
	out   *bufio.Reader
	log   *lines // what it said on standard error
	ended <-chan error
}

// start runs a program until the test ends and logs what it says. The
// processes that it starts end with it.
func start(t *testing.T, dir string, env []string, name string, args ...string) program {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.WaitDelay = 10 * time.Second
	logged := &lines{}
	cmd.Stderr = logged
	out, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = pipe
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pipe.Close()
	done := make(chan error, 1)
	finished := make(chan struct{})
	go func() {
		done <- cmd.Wait()
		close(finished)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // the group that we made, and nobody else
		select {
		case <-finished:
		case <-time.After(15 * time.Second):
			t.Errorf("%s does not end", filepath.Base(name))
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-finished
		out.Close()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(name), logged)
		}
	})
	return program{bufio.NewReader(out), logged, done}
}

// story runs one of the scripts to its end.
func story(t *testing.T, script string, env ...string) {
	t.Helper()
	if _, err := os.Stat("node_modules/playwright-core"); err != nil {
		t.Fatal("the packages are not installed: npm --prefix e2e install --ignore-scripts --no-audit --no-fund")
	}
	shots, err := filepath.Abs("../build/screenshots")
	if err != nil {
		t.Fatal(err)
	}
	env = append(env, "E2E_SHOTS="+filepath.Join(shots, strings.ReplaceAll(t.Name(), "/", "-")), "E2E_CHROMIUM="+browser(t))
	p := start(t, ".", env, "node", script)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for {
			line, err := p.out.ReadString('\n')
			if line != "" {
				t.Log(strings.TrimRight(line, "\n"))
			}
			if err != nil {
				return
			}
		}
	}()
	select {
	case err := <-p.ended:
		<-read
		if err != nil {
			t.Errorf("%s: %v", script, err)
		}
	case <-time.After(5 * time.Minute):
		t.Errorf("%s does not end", script)
	}
}

func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("no Chromium: want one in the PATH, or its path in CHROMIUM")
	return ""
}

func TestDemo(t *testing.T) {
	out := start(t, t.TempDir(), nil, gate, "demo", "--listen", freeport.Address(t)).out
	var text strings.Builder
	for !strings.Contains(text.String(), "Ctrl-C") {
		line, err := out.ReadString('\n')
		text.WriteString(line)
		if err != nil {
			t.Fatalf("the demo ended: %v\n%s", err, &text)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	link := func(what string) string {
		t.Helper()
		m := regexp.MustCompile(what + ` +(http://[0-9.:]+)`).FindStringSubmatch(text.String())
		if m == nil {
			t.Fatalf("no link to %q in\n%s", what, &text)
		}
		return m[1]
	}
	story(t, "demo.mjs", "E2E_PORTAL="+link("The portal, behind the gate"),
		"E2E_ALPHA="+link("Alpha's directory, as its IT"), "E2E_BETA="+link("Beta's directory, as its IT"),
		"E2E_GAMMA="+link("Gamma's directory, as its IT"))
}

const mapping = `version: 1
connections:
  independent: {ceiling: {roles: [viewer, manager], where: {account: {prefix: ALP}}}}
roles:
  viewer:  {tasks: [account.view]}
  manager: {inherits: [viewer], tasks: [report.view]}
attributes:
  account: {type: string, onMissing: none}
permissionGroups:
  all: {where: {account: "*"}}
rules:
  - {id: managers, match: {connection: independent, groups: [{name: Portfolio-Managers}]}, grant: {roles: [manager], permissionGroups: [all]}}
  - {id: accounts, match: {connection: independent, groups: [{name: Accounts-*}]}, grant: {roles: [viewer], permissionGroups: [all]}}
`

// deployment is a gate before an independent identity provider and a portal
// that says who asked.
type deployment struct {
	program
	dir, ops    string
	public, idp string   // addresses
	env         []string // for the stories
}

// prepare writes the files of one, with a connection to the provider at idp.
func prepare(t *testing.T, idp, connection string) *deployment {
	t.Helper()
	listen := freeport.Address(t)
	d := &deployment{dir: t.TempDir(), ops: freeport.Address(t), public: "http://" + listen, idp: "http://" + idp}
	portal := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_ = json.NewEncoder(w).Encode(map[string]string{
			"user": r.Header.Get("X-Portcullis-User"), "roles": r.Header.Get("X-Portcullis-Roles"),
		})
	}))
	t.Cleanup(portal.Close)
	d.write(t, "mapping.yaml", mapping)
	d.write(t, "client.secret", secret)
	d.write(t, "portcullis.yaml", fmt.Sprintf(`public_url: %[1]s
listen: %[2]s
ops_listen: %[3]s
upstream: {url: %[4]q}
database: {url: "sqlite:portcullis.db"}
mapping: {file: mapping.yaml}
connections:
  - id: independent
    organization: Independent
    domains: [alpha.example]
    %[5]s
`, d.public, listen, d.ops, portal.URL, connection))
	d.env = []string{"E2E_GATE=" + d.public, "E2E_ISSUER=" + d.idp, "E2E_SECRET=" + secret, "NODE_NO_WARNINGS=1"}
	return d
}

func (d *deployment) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serve starts the gate.
func (d *deployment) serve(t *testing.T) {
	t.Helper()
	d.program = start(t, d.dir, nil, gate, "serve")
	await(t, "http://"+d.ops+"/readyz")
}

const secret = "a-secret-of-this-run-alone-0123456789"

// overOpenID is the connection to an OpenID Connect provider.
func overOpenID(issuer string) string {
	return fmt.Sprintf("oidc: {issuer: %q, client_id: portcullis, client_secret_file: client.secret}", issuer)
}

// deploy starts a gate before oidc-provider. conform says whether claims are
// at the userinfo endpoint alone.
func deploy(t *testing.T, conform string) *deployment {
	t.Helper()
	idp := freeport.Address(t)
	d := prepare(t, idp, overOpenID("http://"+idp))
	d.env = append(d.env, "E2E_CONFORM="+conform)
	d.serve(t)
	start(t, ".", d.env, "node", "provider.mjs")
	await(t, d.idp+"/.well-known/openid-configuration")
	return d
}

// TestIndependentProvider signs in at oidc-provider, with claims in the ID
// token, and with claims at the userinfo endpoint alone.
func TestIndependentProvider(t *testing.T) {
	for name, conform := range map[string]string{"claims in the ID token": "no", "claims at userinfo": "yes"} {
		t.Run(name, func(t *testing.T) {
			story(t, "signin.mjs", deploy(t, conform).env...)
		})
	}
}

// await polls an address until it answers 200.
func await(t *testing.T, url string) {
	t.Helper()
	awaitFor(t, time.Minute, url)
}

func awaitFor(t *testing.T, patience time.Duration, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s does not answer", url)
		case <-tick.C:
		}
	}
}

// fetch gives what an address answers.
func fetch(t *testing.T, url string) string {
	t.Helper()
	await(t, url)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// lines keeps what a program says.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
