package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestScripts runs testdata/script/*.txtar, each in a folder of its own with
// the files of the archive. The language is that of testscript, as far as the
// scripts need it, with commands for what stands around a gate:
//
//	exec portcullis ARG…     run the real program; it exits 0
//	exits N portcullis ARG…  run it; it exits N
//	[!] stdout RE            the output of the last program (does not) match
//	[!] stderr RE            so does what it said beside
//	cmp stdout FILE          the output is the file, exactly
//	stdin FILE               what the next program reads
//	save NAME                keep the output as $NAME
//	capture NAME stdout|stderr RE  keep what the group in RE matches as $NAME
//	env NAME=VALUE           set a variable, for the script and the programs
//	[!] exists FILE          the file is (not) there
//	chmod OCTAL FILE, rm FILE, cp FILE FILE
//	sql STATEMENT            run it on portcullis.db, as somebody with the file would
//	gate, stop               start "portcullis serve" and wait until it is ready; end it with SIGTERM
//	push STATUS METHOD PATH [FILE]  send SCIM to $BASE with the token $TOKEN
//
// Files and lines know $PUBLIC, $OPS, $IDP and $UPSTREAM, addresses of which
// the last two answer, and $LISTEN, $OPS_LISTEN, $NOWHERE without a scheme.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			runScript(t, file, string(text))
		})
	}
}

// script is a script that runs.
type script struct {
	t              *testing.T
	dir            string
	vars           map[string]string
	stdin          []byte
	stdout, stderr string
	gate           *process
}

func runScript(t *testing.T, file, text string) {
	w := newWorld(t, terrain{}) // for its addresses; the files are the script's own
	s := &script{t: t, dir: t.TempDir(), vars: map[string]string{
		"PUBLIC": w.public, "OPS": w.ops, "IDP": "http://" + w.idpAddress, "UPSTREAM": w.portal.URL, "NOWHERE": freeAddress(t),
		"LISTEN": strings.TrimPrefix(w.public, "http://"), "OPS_LISTEN": strings.TrimPrefix(w.ops, "http://"),
	}}
	lines, files := archive(text)
	for name, body := range files {
		path := filepath.Join(s.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(s.expand(body)), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := s.run(s.words(line)); err != nil {
			t.Fatalf("%s:%d: %s\n%v\nstdout:\n%sstderr:\n%s", file, i+1, line, err, s.stdout, s.stderr)
		}
	}
}

// archive splits a txtar archive into its comment and its files.
func archive(text string) (lines []string, files map[string]string) {
	files = map[string]string{}
	marker := regexp.MustCompile(`^-- (\S+) --\n?$`)
	name := ""
	for line := range strings.Lines(text) {
		switch m := marker.FindStringSubmatch(line); {
		case m != nil:
			name = m[1]
			files[name] = ""
		case name != "":
			files[name] += line
		default:
			lines = append(lines, line)
		}
	}
	return lines, files
}

func (s *script) expand(text string) string {
	return regexp.MustCompile(`\$[A-Z_]+`).ReplaceAllStringFunc(text, func(name string) string {
		if v, ok := s.vars[name[1:]]; ok {
			return v
		}
		return name
	})
}

// words splits a line; single quotes hold a word together, and what is in
// them stays as it is.
func (s *script) words(line string) (words []string) {
	for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
		if strings.HasPrefix(m[0], "'") {
			words = append(words, m[1])
		} else {
			words = append(words, s.expand(m[2]))
		}
	}
	return words
}

func (s *script) run(words []string) error {
	want := words[0] != "!"
	if !want {
		words = words[1:]
	}
	args := words[1:]
	switch words[0] {
	case "exec":
		return s.program(0, args)
	case "exits":
		code, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		return s.program(code, args[1:])
	case "stdout", "stderr":
		text := map[string]string{"stdout": s.stdout, "stderr": s.stderr}[words[0]]
		re, err := regexp.Compile("(?m)" + args[0])
		if err == nil && re.MatchString(text) != want {
			err = fmt.Errorf("match = %t, want %t", !want, want)
		}
		return err
	case "exists":
		if _, err := os.Stat(s.path(args[0])); (err == nil) != want {
			return fmt.Errorf("stat: %w", err)
		}
		return nil
	case "save":
		s.vars[args[0]] = strings.TrimSpace(s.stdout)
		return nil
	case "capture":
		m := regexp.MustCompile("(?m)" + args[2]).FindStringSubmatch(map[string]string{"stdout": s.stdout, "stderr": s.stderr}[args[1]])
		if len(m) != 2 {
			return errors.New("no match with one group")
		}
		s.vars[args[0]] = m[1]
		return nil
	case "env":
		name, value, _ := strings.Cut(args[0], "=")
		s.vars[name] = value
		return nil
	default:
		return s.more(words[0], args)
	}
}

func (s *script) path(name string) string { return filepath.Join(s.dir, name) }

func (s *script) more(command string, args []string) error {
	switch command {
	case "stdin":
		var err error
		s.stdin, err = os.ReadFile(s.path(args[0]))
		return err
	case "cmp":
		want, err := os.ReadFile(s.path(args[1]))
		if err == nil && s.stdout != string(want) {
			err = fmt.Errorf("want exactly\n%s", want)
		}
		return err
	case "chmod":
		mode, err := strconv.ParseUint(args[0], 8, 32)
		if err != nil {
			return err
		}
		return os.Chmod(s.path(args[1]), os.FileMode(mode))
	case "rm":
		return os.Remove(s.path(args[0]))
	case "cp":
		text, err := os.ReadFile(s.path(args[0]))
		if err != nil {
			return err
		}
		return os.WriteFile(s.path(args[1]), text, 0o600)
	case "sql":
		db, err := sql.Open("sqlite", s.path("portcullis.db"))
		if err != nil {
			return err
		}
		_, err = db.ExecContext(s.t.Context(), strings.ReplaceAll(args[0], `"`, "'"))
		return errors.Join(err, db.Close())
	case "gate":
		w := &world{dir: s.dir, ops: s.vars["OPS"], log: &syncBuffer{}}
		s.gate = w.spawn(s.t)
		return nil
	case "stop":
		return s.stop()
	case "push":
		return s.push(args)
	}
	return fmt.Errorf("no command %q", command)
}

// program runs portcullis and keeps what it said.
func (s *script) program(code int, args []string) error {
	if args[0] != "portcullis" {
		return fmt.Errorf("no program %q", args[0])
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := program(ctx, s.dir, args[1:]...)
	for k, v := range s.vars {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(s.stdin), &out, &errs
	s.stdin = nil
	err := cmd.Run()
	s.stdout, s.stderr = out.String(), errs.String()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		return err
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		return fmt.Errorf("exit code %d, want %d", got, code)
	}
	return nil
}

func (s *script) stop() error {
	s.gate.end(s.t, syscall.SIGTERM)
	if code := s.gate.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the gate ended with code %d, want 0", code)
	}
	return nil
}

// push sends SCIM; its answer is what stdout speaks of.
func (s *script) push(args []string) error {
	want, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	var body []byte
	if len(args) > 3 {
		if body, err = os.ReadFile(s.path(args[3])); err != nil {
			return err
		}
		body = []byte(s.expand(string(body)))
	}
	p := &pusher{s.vars["BASE"], s.vars["TOKEN"], &http.Client{Timeout: 30 * time.Second}}
	status, answer, err := p.try(args[1], args[2], string(body))
	s.stdout, s.stderr = string(answer), ""
	if err == nil && status != want {
		err = fmt.Errorf("status %d, want %d", status, want)
	}
	return err
}
