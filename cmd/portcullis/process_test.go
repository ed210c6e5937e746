package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"portcullis/store/storetest"
)

// process is the gate as the real program in a process of its own.
type process struct {
	*exec.Cmd

	took time.Duration // from start to ready
	done chan struct{}
}

// spawn starts the program and waits until it is ready.
func (w *world) spawn(t testing.TB) *process {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{Cmd: program(ctx, w.dir, "serve"), done: make(chan struct{})}
	p.Stderr = w.log
	began := time.Now()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-p.done
	})
	eventually(t, "the program is ready", time.Minute, func() bool {
		select {
		case <-p.done:
			t.Fatal("the program ended by itself")
		default:
		}
		status, _ := fetch(w.ops + "/readyz")
		return status == http.StatusOK
	})
	p.took = time.Since(began)
	return p
}

// end sends a signal and waits for the end of the process.
func (p *process) end(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		t.Fatal("the process does not end")
	}
}

func TestFirstStartIsQuick(t *testing.T) {
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database})
			p := w.spawn(t)
			t.Logf("start to ready, first run, migrations and keys included: %s", p.took)
			if p.took > 15*time.Second {
				t.Errorf("start to ready took %s, want 3 s, and 15 s on a machine under load", p.took)
			}
			p.end(t, syscall.SIGTERM)
			again := w.spawn(t)
			t.Logf("start to ready, second run: %s", again.took)
		})
	}
}

func TestTerminationLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	p := w.spawn(t)
	b := w.browser(t)
	b.mustSignIn(t, "ada")
	events, socket := b.stream(t)

	const load = 20
	answers := make(chan string, load)
	for range load {
		go func() {
			res, err := b.http.Get(w.public + "/slow")
			if err != nil {
				answers <- err.Error()
				return
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			answers <- fmt.Sprint(res.StatusCode, " ", string(body), " ", err)
		}()
	}
	for range load {
		<-w.portal.waiting
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	eventually(t, "no new connection is taken", patience, func() bool {
		status, _ := fetch(w.public + "/public/x")
		return status == 0
	})
	// They wait for nobody: requests are still under way.
	if took := endWithin(t, began, patience, events, socket); took > 4*time.Second {
		t.Errorf("streams ended %s after SIGTERM, want at once", took)
	} else {
		t.Logf("streams ended after %s", took)
	}
	close(w.portal.slow)
	for range load {
		if got := <-answers; got != "200 done at last <nil>" {
			t.Errorf("a request under way at SIGTERM was answered %q", got)
		}
	}
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		t.Fatal("the gate does not stop")
	}
	t.Logf("the gate stopped after %s", time.Since(began))
	if code := p.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code after SIGTERM = %d, want 0", code)
	}
	w.spawn(t)
	if status, _ := b.whoami(t); status != http.StatusOK {
		t.Errorf("whoami after a restart = %d, want 200: sessions outlive the process", status)
	}
}

// Two gates may not share what is theirs alone, and say so instead of hanging.
func TestSecondGateOnTheSameAddressEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, terrain{})
	w.spawn(t)
	var errs bytes.Buffer
	second := program(t.Context(), w.dir, "serve")
	second.Stderr = &errs
	err := second.Run()
	if second.ProcessState.ExitCode() != exitBroken || !strings.Contains(errs.String(), "address already in use") {
		t.Errorf("a second gate on the address: %v, code %d\n%s", err, second.ProcessState.ExitCode(), &errs)
	}
}

func TestLostKeyFileIsNotReplaced(t *testing.T) {
	t.Parallel()
	databaseURL := storetest.PostgresURL(t)
	w := newWorld(t, terrain{database: databaseURL})
	w.spawn(t).end(t, syscall.SIGTERM)
	other := newWorld(t, terrain{database: databaseURL})
	var errs bytes.Buffer
	second := program(t.Context(), other.dir, "serve")
	second.Stderr = &errs
	_ = second.Run()
	if code := second.ProcessState.ExitCode(); code != exitFound && code != exitBroken || !strings.Contains(errs.String(), "key file") {
		t.Errorf("a replica without the key file ends with code %d and %q, want a word about the key file", code, &errs)
	}
}
