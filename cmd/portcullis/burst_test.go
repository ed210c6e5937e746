package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestKillInAPushBurst kills the gate in the middle of pushes and holds every
// answer that it gave against what is there afterwards.
func TestKillInAPushBurst(t *testing.T) {
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database})
			gate := w.spawn(t)
			p := w.pusher(t)
			fates := newFates(150)
			stop := fates.push(p, p, p, p, p, p)
			fates.await(t)
			gate.end(t, syscall.SIGKILL)
			stop()

			w.spawn(t)
			fates.hold(t, w)
			p.user(t, "ada")
		})
	}
}

// fates is what became of people who were pushed, as far as it was answered:
// "active", "inactive" or "gone", by userName.
type fates struct {
	mu      sync.Mutex
	of      map[string]string
	enough  int
	reached chan struct{}
}

func newFates(enough int) *fates {
	return &fates{of: map[string]string{}, enough: enough, reached: make(chan struct{}, 1)}
}

func (f *fates) set(name, fate string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of[name] = fate; len(f.of) == f.enough {
		select {
		case f.reached <- struct{}{}:
		default:
		}
	}
}

// await waits until enough people were answered for.
func (f *fates) await(t *testing.T) {
	t.Helper()
	select {
	case <-f.reached:
	case <-time.After(2 * time.Minute):
		t.Error("the burst does not get on")
	}
}

// push has pushers push people, each through a part of a life, until a request
// fails or stop is called, which waits for them.
func (f *fates) push(pushers ...*pusher) (stop func()) {
	var wg sync.WaitGroup
	over := make(chan struct{})
	for c, p := range pushers {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				default:
				}
				name := fmt.Sprintf("burst-%d-%d@alpha.example", c, n)
				if !burst(p, name, n, func(fate string) { f.set(name, fate) }) {
					return
				}
			}
		})
	}
	return func() { close(over); wg.Wait() }
}

// hold compares the answers with what is there.
func (f *fates) hold(t *testing.T, w *world) {
	t.Helper()
	var people []userJSON
	if err := json.Unmarshal([]byte(w.cli(t, exitFine, "user", "list", "--json")), &people); err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for _, u := range people {
		if have[u.UserName] != "" {
			t.Errorf("%s is there twice", u.UserName)
		}
		have[u.UserName] = map[bool]string{true: "active", false: "inactive"}[u.State != "deactivated"]
	}
	lost := 0
	for name, fate := range f.of {
		got := have[name]
		if got == "" {
			got = "gone"
		}
		if !strings.Contains(fate, got) {
			t.Errorf("%s is %s, want %s: the answer was a promise", name, got, fate)
			lost++
		}
	}
	t.Logf("%d people were answered for, %d lost; %d are there", len(f.of), lost, len(people))
	eventually(t, "the trail is sealed", patience, func() bool {
		return strings.Contains(w.cli(t, exitFine, "audit", "verify", "--json"), `"unsealed": 0`)
	})
	events := strings.Count(w.cli(t, exitFine, "audit", "export"), `"person.created"`)
	if events < len(f.of) {
		t.Errorf("the trail holds %d creations, want one for each of at least %d", events, len(f.of))
	}
}

// burst pushes one person through a part of a life and says after each answer
// what is so. While a request is under way, what was and what is asked for
// are both right.
func burst(p *pusher, name string, n int, fate func(string)) (alive bool) {
	status, body, err := p.try(http.MethodPost, "/Users", userJSONOf("x-"+name, name))
	if err != nil || status != http.StatusCreated {
		return false
	}
	fate("active")
	var made struct{ ID string }
	if json.Unmarshal(body, &made) != nil {
		return false
	}
	switch n % 3 {
	case 1:
		fate("active or inactive")
		status, _, err = p.try(http.MethodPatch, "/Users/"+made.ID,
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`)
		if err != nil || status != http.StatusOK {
			return false
		}
		fate("inactive")
	case 2:
		fate("active or gone")
		status, _, err = p.try(http.MethodDelete, "/Users/"+made.ID, "")
		if err != nil || status != http.StatusNoContent {
			return false
		}
		fate("gone")
	}
	return true
}
