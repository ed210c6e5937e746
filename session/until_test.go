package session_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/session"
)

// timed has a rule that ends and another, of a colleague's, that begins.
func timed(now time.Time) string {
	return fmt.Sprintf(`
version: 1
connections: {alpha: {ceiling: unrestricted}}
roles: {viewer: {tasks: [view]}, helper: {tasks: [help]}}
rules:
  - {id: staff, match: {connection: alpha}, grant: {roles: [viewer]}, valid: {until: %s}}
  - {id: helpers, match: {connection: alpha, groups: [{id: helpers}]}, grant: {roles: [helper]}, valid: {from: %s}}
`, now.Add(10*time.Minute).Format(time.RFC3339), now.Add(5*time.Minute).Format(time.RFC3339))
}

func TestAccessBeginsAndEndsOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policyOf(t, timed(time.Now()))
		b := &bubble{t: t, memory: newMemory()}
		b.Manager = session.New(session.Config{Store: b.memory, Sealer: plain{}, Idle: time.Hour, Policy: func() *mapping.Policy { return p }, Foreign: nobodyForeign})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		defer func() { cancel(); must(t, <-done) }()

		token := b.enter("ada")
		stream, stop := b.watch(token)
		defer stop()
		began := time.Now()
		early, cancelEarly := context.WithTimeout(stream, 7*time.Minute)
		defer cancelEarly()
		<-early.Done()
		if got := time.Since(began); got < 7*time.Minute {
			t.Errorf("the stream was cut after %s, by a rule that does not concern them", got)
		}
		if _, err := b.Verify(t.Context(), token); err != nil {
			t.Errorf("Verify inside the window = %v", err)
		}
		<-stream.Done()
		if got := time.Since(began); got < 10*time.Minute || got > 10*time.Minute+time.Second {
			t.Errorf("the stream was cut after %s, want 10m and at most a second", got)
		}
		if _, err := b.Verify(t.Context(), token); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("Verify after the window = %v, want unauthenticated", err)
		}
	})
}
