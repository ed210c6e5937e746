package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Whoever may no longer be inside is out by every door: what they had open,
// what they hold, and what they try next, a sign-in among it that was under way.
func TestWhoIsDeadStaysDead(t *testing.T) {
	t.Parallel()
	for _, database := range databases() {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, terrain{database: database})
			w.start(t)
			p := w.pusher(t)
			id := p.user(t, "ada")
			for _, part := range [][]string{{"Europe"}, {"Nordics", "--below", "Europe"}, {"Asia"}} {
				w.cli(t, exitFine, append([]string{"organization", "add", "Alpha"}, part...)...)
			}
			w.cli(t, exitFine, "user", "move", "ada@alpha.example", "--to", "Nordics")
			for _, death := range []struct {
				what         string
				kill, revive func()
			}{
				{"deactivated by the directory", func() { p.active(t, id, "False") }, func() { p.active(t, id, "True") }},
				{
					"locked",
					func() { w.cli(t, exitFine, "user", "lock", "ada@alpha.example") },
					func() { w.cli(t, exitFine, "user", "unlock", "ada@alpha.example") },
				},
				{
					"deactivated by an administrator",
					func() { w.cli(t, exitFine, "user", "deactivate", "ada@alpha.example") },
					func() { w.cli(t, exitFine, "user", "reactivate", "ada@alpha.example") },
				},
				{
					"of a frozen organization",
					func() { w.cli(t, exitFine, "organization", "freeze", "Alpha") },
					func() { w.cli(t, exitFine, "organization", "unfreeze", "Alpha") },
				},
				{
					"of a frozen part of an organization",
					func() {
						w.cli(t, exitFine, "organization", "freeze", "Alpha", "--part", "Europe", "--reason", "broken into")
					},
					func() { w.cli(t, exitFine, "organization", "unfreeze", "Alpha", "--part", "Europe") },
				},
				{
					"put into a frozen part of an organization",
					func() {
						w.cli(t, exitFine, "organization", "freeze", "Alpha", "--part", "Asia")
						w.cli(t, exitFine, "user", "move", "ada@alpha.example", "--to", "Asia")
					},
					func() { w.cli(t, exitFine, "organization", "unfreeze", "Alpha", "--part", "Asia") },
				},
				{
					"deleted",
					func() { p.must(t, http.StatusNoContent, http.MethodDelete, "/Users/"+id, "") },
					func() { id = p.user(t, "ada") },
				},
			} {
				w.diesAt(t, death.what, death.kill)
				death.revive()
			}
		})
	}
}

// diesAt lets somebody in by every door, kills them and tries each again.
func (w *world) diesAt(t *testing.T, what string, kill func()) {
	t.Helper()
	b := w.browser(t)
	b.mustSignIn(t, "ada")
	events, socket := b.stream(t)
	_, secret := w.apiToken(t, "--user", "ada@alpha.example", "--scope", "*")
	program := w.programStream(t, secret)
	away := w.browser(t)
	answer := away.answerOf(t, "ada") // proved to the provider, and not back yet

	const portal, asked = "/page", "/.portcullis/auth"
	doors := map[string]func() int{
		"a page":                  func() int { return b.script(t, portal).status },
		"forward-auth":            func() int { return b.script(t, asked).status },
		"whoami":                  func() int { return b.script(t, "/.portcullis/whoami").status },
		"forward-auth, a program": func() int { status, _, _ := w.program(t, secret, asked); return status },
	}
	for door, try := range doors {
		strict := strings.HasPrefix(door, "forward-auth") // nobody who is trusted asks
		if status := try(); status != http.StatusOK && (!strict || status != http.StatusForbidden) {
			t.Fatalf("%s before they are %s = %d", door, what, status)
		}
	}
	here, err := url.Parse(w.public)
	if err != nil {
		t.Fatal(err)
	}
	held := b.http.Jar.Cookies(here)
	kill()
	began := time.Now()
	for door, try := range doors {
		eventually(t, door+" of somebody who is "+what, patience, func() bool { return try() == http.StatusUnauthorized })
	}
	dead(t, w, secret, program, what)
	t.Logf("%s: streams ended after %s", what, endWithin(t, began, patience, events, socket))
	for _, cookie := range held {
		if strings.Contains(w.log.String(), cookie.Value) {
			t.Errorf("%s: the log holds a cookie %s", what, cookie.Name)
		}
	}
	if s := away.open(t, w.public+"/.portcullis/oidc/alpha/callback?"+answer.RawQuery); s.status != http.StatusForbidden {
		t.Errorf("a sign-in that was under way of somebody who is %s = %d at %s", what, s.status, s.url)
	}
	if s := w.browser(t).signIn(t, "ada", "/"); s.status != http.StatusForbidden {
		t.Errorf("a sign-in of somebody who is %s = %d", what, s.status)
	}
}
