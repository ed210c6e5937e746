package session_test

import (
	"testing"
	"time"

	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

func TestSessionsExpire(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		c := &clock{at: time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)}
		r := newReplica(t, open(), c.now, nil)
		token, _ := r.enter("ada")
		for range 71 { // in use, a session lives until its absolute end
			c.forward(10 * time.Minute)
			_, err := r.Verify(t.Context(), token)
			must(t, err)
		}
		c.forward(10 * time.Minute)
		r.refused(token, fault.Unauthenticated, "your session has expired")

		token, _ = r.enter("ada")
		c.forward(14 * time.Minute)
		_, err := r.Verify(t.Context(), token)
		must(t, err)
		c.forward(15 * time.Minute)
		r.refused(token, fault.Unauthenticated, "your session has expired")
		c.forward(-15 * time.Minute) // a clock that jumps back revives nobody for longer than it jumped
		if p, err := r.Verify(t.Context(), token); err == nil && p.Expires.After(c.now().Add(12*time.Hour)) {
			t.Errorf("expires %v, want at most 12 h after %v", p.Expires, c.now())
		}
	})
}

func TestIdleIsSharedBetweenReplicas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		c := &clock{at: time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)}
		a := newReplica(t, open(), c.now, nil)
		token, _ := a.enter("ada")
		c.forward(10 * time.Minute)
		a.watch(token)
		a.stop() // writes down what is left
		c.forward(10 * time.Minute)
		b := newReplica(t, open(), c.now, nil)
		b.watch(token)
		look, err := b.dir.Look(t.Context(), must2(b.Verify(t.Context(), token)).PersonID)
		if err != nil || !look.Person.LastActive.Equal(c.now().Add(-10*time.Minute)) {
			t.Errorf("last active = %v, %v, want 10 minutes before %v", look.Person.LastActive, err, c.now())
		}
	})
}

func must2[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
