package main

import (
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"portcullis/internal/freeport"
)

// TestScripts runs testdata/script/*.txtar with the real program. Beyond what
// testscript knows there are
//
//	exits N portcullis ARG…         run it; it exits N
//	save NAME                       keep the last output as $NAME
//	capture NAME FILE RE            keep what the group in RE matches as $NAME; FILE may be stdout or stderr
//	gate, stop                      start "portcullis serve" and wait until it is ready; end it with SIGTERM
//	push STATUS METHOD PATH [FILE]  send SCIM to $BASE with the token $TOKEN; the answer is stdout
//	sql STATEMENT                   run it on portcullis.db, as whoever has the file can; " stands for '
//
// Files of an archive know $PUBLIC, $OPS, $IDP and $UPSTREAM, of which the
// last two answer, $LISTEN and $OPS_LISTEN without a scheme, and $NOWHERE,
// where nobody listens.
func TestScripts(t *testing.T) {
	testscript.RunT(scriptT{t}, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			inner := env.T().(scriptT).T
			w := newWorld(inner, terrain{})
			gate := &scriptGate{world: &world{dir: env.WorkDir, public: w.public, ops: w.ops, log: w.log}, t: inner}
			env.Values[gateKey{}] = gate
			for name, value := range map[string]string{
				"PUBLIC": w.public, "OPS": w.ops, "IDP": "http://" + w.idpAddress, "UPSTREAM": w.portal.URL, "NOWHERE": freeport.Address(inner),
				"LISTEN": strings.TrimPrefix(w.public, "http://"), "OPS_LISTEN": strings.TrimPrefix(w.ops, "http://"),
			} {
				env.Setenv(name, value)
			}
			return expandFiles(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "save": save, "capture": capture, "push": push, "soon": pushSoon, "sql": runSQL, "gate": startGate, "stop": stopGate,
		},
	})
}

// scriptT is a test as testscript wants it, from which the test can be had
// back.
type scriptT struct{ *testing.T }

func (t scriptT) Run(name string, f func(testscript.T)) {
	t.T.Run(name, func(t *testing.T) { f(scriptT{t}) })
}

func (scriptT) Verbose() bool { return testing.Verbose() }

type gateKey struct{}

// scriptGate is the gate of one script.
type scriptGate struct {
	*world

	t       *testing.T
	process *process
}

var variable = regexp.MustCompile(`\$[A-Z_]+`)

// expand replaces variables that are set.
func expand(text string, get func(string) string) string {
	return variable.ReplaceAllStringFunc(text, func(name string) string {
		if v := get(name[1:]); v != "" {
			return v
		}
		return name
	})
}

func expandFiles(env *testscript.Env) error {
	files, err := filepath.Glob(filepath.Join(env.WorkDir, "*.*"))
	for _, name := range files {
		text, e := os.ReadFile(name)
		if info, e := os.Stat(name); e == nil && info.IsDir() {
			continue
		}
		// Ours alone, so that no warning is about the machine that tests.
		err = errors.Join(err, e, os.WriteFile(name, []byte(expand(string(text), env.Getenv)), 0o600), os.Chmod(name, 0o600))
	}
	return err
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func save(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

func capture(ts *testscript.TestScript, _ bool, args []string) {
	re, err := regexp.Compile("(?m)" + args[2])
	ts.Check(err)
	m := re.FindStringSubmatch(ts.ReadFile(args[1]))
	if len(m) != 2 {
		ts.Fatalf("no match with one group in %s", args[1])
	}
	ts.Setenv(args[0], m[1])
}

func push(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	body := ""
	if len(args) > 3 {
		body = expand(ts.ReadFile(args[3]), ts.Getenv)
	}
	p := &pusher{ts.Getenv("BASE"), ts.Getenv("TOKEN"), quick}
	status, answer, err := p.try(args[1], args[2], body)
	ts.Check(err)
	_, err = ts.Stdout().Write(answer)
	ts.Check(err)
	if status != want {
		ts.Fatalf("status %d, want %d: %s", status, want, answer)
	}
}

// pushSoon asks until the status is the wanted one, for a second.
func pushSoon(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	p := &pusher{ts.Getenv("BASE"), ts.Getenv("TOKEN"), quick}
	for began := time.Now(); ; {
		status, _, err := p.try(args[1], args[2], "")
		ts.Check(err)
		if status == want {
			return
		}
		if time.Since(began) > time.Second {
			ts.Fatalf("status %d after a second, want %d", status, want)
		}
	}
}

func runSQL(ts *testscript.TestScript, _ bool, args []string) {
	db, err := sql.Open("sqlite", ts.MkAbs("portcullis.db"))
	ts.Check(err)
	_, err = db.Exec(strings.ReplaceAll(args[0], `"`, "'"))
	ts.Check(errors.Join(err, db.Close()))
}

func startGate(ts *testscript.TestScript, _ bool, _ []string) {
	g, _ := ts.Value(gateKey{}).(*scriptGate)
	g.process = g.spawn(g.t)
}

func stopGate(ts *testscript.TestScript, _ bool, _ []string) {
	g, _ := ts.Value(gateKey{}).(*scriptGate)
	g.process.end(g.t, syscall.SIGTERM)
	if code := g.process.ProcessState.ExitCode(); code != 0 {
		ts.Fatalf("the gate ended with code %d, want 0", code)
	}
}
