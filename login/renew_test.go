package login_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"portcullis/login"
)

// run does the login's work in the background; stop ends it and waits.
func (g *gate) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.login.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// soon polls until something holds.
func soon(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline.C:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

// refreshing asks for refresh tokens, which are due at once.
func refreshing(r *rooms) func(*login.Config) {
	return func(c *login.Config) {
		r.use(c)
		c.Connections[0].OIDC.Provider.Offline = true
		c.Connections[0].OIDC.RefreshEvery = time.Millisecond
	}
}

func TestSessionThatTheProviderEndedEndsHere(t *testing.T) {
	r, p := newRooms(t), newIDP(t)
	g := newGate(t, refreshing(r), p)
	token := g.enter(t, "s-1")

	stop := g.run(t)
	soon(t, "the first refresh", func() bool { return p.count("/refreshed") > 0 })
	stop()
	if !alive(t, r.sessions, token) {
		t.Fatal("a session that lives at the provider was ended")
	}
	p.forgetSessions()
	stop = g.run(t) // the token that the first refresh brought is asked with
	soon(t, "the end", func() bool { return !alive(t, r.sessions, token) })
	stop()
	if n := p.count("/refreshed"); n != 1 {
		t.Errorf("%d refreshes were granted, want 1", n)
	}
}

func TestProviderThatIsAwayEndsNothing(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"unavailable", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }},
		{"broken", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"an error of ours", func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		}},
		{"nonsense", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, p := newRooms(t), newIDP(t)
			g := newGate(t, refreshing(r), p)
			token := g.enter(t, "s-1")
			p.handle("/token", tc.answer)
			stop := g.run(t)
			soon(t, "a refresh", func() bool { return p.count("/token") > 1 })
			stop()
			if !alive(t, r.sessions, token) {
				t.Error("the session was ended")
			}
		})
	}
}

func TestRefreshThatIsAboutSomebodyElseEndsTheSession(t *testing.T) {
	r, p := newRooms(t), newIDP(t)
	g := newGate(t, refreshing(r), p)
	token := g.enter(t, "s-1")
	p.claims = func(c map[string]any) { c["sub"] = "mallory" }
	stop := g.run(t)
	soon(t, "the end", func() bool { return !alive(t, r.sessions, token) })
	stop()
}

func TestRefreshTokensAreKeptOnlyWhereAskedFor(t *testing.T) {
	p := newIDP(t)
	p.answer = func(m map[string]any) { m["refresh_token"] = "unasked" }
	g := newGate(t, nil, p)
	newBrowser(t).mustSignIn(g)
	for _, ticket := range g.sessions.tickets {
		if ticket.Refresh != "" {
			t.Errorf("ticket = %+v", ticket)
		}
	}
}
