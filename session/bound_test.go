package session_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/session"
)

var errGone = fault.New(fault.Unavailable, "the database is away")

// bubble is a manager over memory, under a clock that moves when all wait.
type bubble struct {
	*session.Manager
	t testing.TB
	*memory
}

// nobodyForeign is for those who have addresses of their own.
func nobodyForeign(*directory.Person) bool { return false }

func newBubble(tb testing.TB) (b *bubble, stop func()) {
	tb.Helper()
	p := policyOf(tb, rules)
	b = &bubble{t: tb, memory: newMemory()}
	b.Manager = session.New(session.Config{Store: b.memory, Sealer: plain{}, Policy: func() *mapping.Policy { return p }, Foreign: nobodyForeign})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		must(tb, b.Run(ctx))
	}()
	return b, func() { cancel(); <-done }
}

func (b *bubble) enter(subject string) string {
	b.t.Helper()
	in := directory.SignedIn{
		Person: directory.Person{ID: "p-" + subject, Connection: "alpha", Organization: "Alpha", IDPActive: true}, Assertion: says(subject),
	}
	b.set(func() {
		b.standing[in.Person.ID] = directory.Standing{Person: in.Person, Assertion: in.Assertion, Organization: directory.Organization{Name: "Alpha"}}
	})
	token, _, err := b.Issue(context.Background(), in, session.Client{}, session.Ticket{})
	must(b.t, err)
	return token
}

func (b *bubble) watch(token string) (context.Context, context.CancelFunc) {
	b.t.Helper()
	p, err := b.Verify(context.Background(), token)
	must(b.t, err)
	return b.Watch(context.Background(), p, "192.0.2.7")
}

// after gives how long it takes until a stream is cut.
func after(tb testing.TB, stream context.Context) time.Duration { //nolint:revive // the test comes first
	tb.Helper()
	began := time.Now()
	select {
	case <-stream.Done():
	case <-time.After(2 * time.Minute):
		tb.Error("the stream was never cut")
	}
	return time.Since(began)
}

func TestAPartitionEndsStreamsWithinASecond(t *testing.T) {
	for name, fail := range map[string]func(*memory){
		"stalled":      func(s *memory) { s.stalled = true },
		"broken":       func(s *memory) { s.broken = errGone },
		"feed broken":  func(s *memory) { s.noFeed = errGone },
		"away forever": func(s *memory) { s.broken, s.stalled = errGone, true },
	} {
		for _, into := range []time.Duration{0, 70 * time.Millisecond, 199 * time.Millisecond} {
			t.Run(fmt.Sprint(name, " ", into), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b, stop := newBubble(t)
					defer stop()
					token := b.enter("ada")
					time.Sleep(3*time.Second + into)
					stream, cancel := b.watch(token)
					defer cancel()
					b.set(func() { fail(b.memory) })
					took := after(t, stream)
					if took > time.Second {
						t.Errorf("the stream ran for %v after the last that was heard", took)
					}
					ctx, cancelVerify := context.WithTimeout(context.Background(), time.Second)
					defer cancelVerify()
					if _, err := b.Verify(ctx, token); name != "feed broken" && !fault.Is(err, fault.Unavailable) {
						t.Errorf("Verify = %v, want unavailable", err)
					}
					// A stream that is opened now is known good for a second.
					if name == "feed broken" {
						stream, cancel := b.watch(token)
						defer cancel()
						if took := after(t, stream); took < 500*time.Millisecond || took > time.Second {
							t.Errorf("a stream opened without the feed ran for %v, want most of a second", took)
						}
					}
					b.set(func() { b.stalled, b.broken, b.noFeed = false, nil, nil })
					time.Sleep(time.Second)
					stream, cancel = b.watch(token)
					defer cancel()
					time.Sleep(time.Minute)
					if stream.Err() != nil {
						t.Error("the manager did not heal")
					}
				})
			})
		}
	}
}

func TestAShortHiccupCutsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBubble(t)
		defer stop()
		token := b.enter("ada")
		time.Sleep(time.Second)
		stream, cancel := b.watch(token)
		defer cancel()
		for range 10 {
			b.set(func() { b.broken = errGone })
			time.Sleep(500 * time.Millisecond)
			if _, err := b.Verify(context.Background(), token); err != nil {
				t.Errorf("Verify = %v, want the cache's answer", err)
			}
			b.set(func() { b.broken = nil })
			time.Sleep(500 * time.Millisecond)
		}
		if stream.Err() != nil {
			t.Error("half a second without the database cut a stream")
		}
	})
}

func TestAStreamEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBubble(t)
		defer stop()
		token := b.enter("ada")
		stream, cancel := b.watch(token)
		defer cancel()
		time.Sleep(14 * time.Minute)
		if stream.Err() != nil {
			t.Error("cut before the idle window was over")
		}
		if took := after(t, stream); took > time.Minute+time.Second {
			t.Errorf("an idle session's stream ran for %v too long", took-time.Minute)
		}

		token = b.enter("ada")
		stream, cancel = b.watch(token)
		defer cancel()
		began := time.Now()
		for stream.Err() == nil && time.Since(began) < 13*time.Hour {
			if _, cancel := b.tryWatch(token); cancel != nil {
				cancel()
			}
			time.Sleep(10 * time.Minute)
		}
		if took := time.Since(began); took < 12*time.Hour || took > 12*time.Hour+20*time.Minute {
			t.Errorf("a session in use ended after %v, want 12 h", took)
		}
	})
}

func (b *bubble) tryWatch(token string) (context.Context, context.CancelFunc) {
	p, err := b.Verify(context.Background(), token)
	if err != nil {
		return nil, nil
	}
	return b.Watch(context.Background(), p, "192.0.2.7")
}

func TestADatabaseThatWentBackIsReadAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBubble(t)
		defer stop()
		b.set(func() { b.changes = make([]directory.Change, 3) })
		token := b.enter("ada")
		time.Sleep(time.Second)
		stream, cancel := b.watch(token)
		defer cancel()
		b.set(func() { // a restored state, in which the right had ended before
			b.changes = nil
			s := b.standing["p-ada"]
			s.Person.Locked = &directory.Bar{}
			b.standing["p-ada"] = s
		})
		if took := after(t, stream); took > time.Second {
			t.Errorf("the stream ran for %v on what an older database says differently", took)
		}
	})
}

func TestACheckOfAStreamIsNoUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBubble(t)
		defer stop()
		token := b.enter("ada")
		stream, cancel := b.watch(token)
		defer cancel()
		began := time.Now()
		for stream.Err() == nil && time.Since(began) < time.Hour {
			b.set(func() { b.change(directory.Change{Seq: int64(len(b.changes)) + 1, Person: "p-ada"}) })
			time.Sleep(time.Minute)
		}
		if took := time.Since(began); took > 17*time.Minute {
			t.Errorf("pushes alone kept the session from going idle for %v", took)
		}
	})
}

func TestLastUseIsWrittenDownAndKeptWhileItCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBubble(t)
		token := b.enter("ada")
		time.Sleep(time.Second)
		_, err := b.Verify(context.Background(), token)
		must(t, err)
		used := time.Now()
		b.set(func() { b.broken = errGone })
		time.Sleep(10 * time.Minute)
		b.set(func() { b.broken = nil })
		time.Sleep(29 * time.Second) // not written yet, known all the same
		time.Sleep(4*time.Minute + 20*time.Second)
		if _, err := b.Verify(context.Background(), token); err != nil {
			t.Errorf("the last use was forgotten: %v", err)
		}
		var seen []time.Time
		b.set(func() {
			for _, at := range b.touched {
				for _, t := range at {
					seen = append(seen, t)
				}
			}
		})
		if len(seen) != 1 || !seen[0].Equal(used) {
			t.Errorf("written down: %v, want %v once", seen, used)
		}
		last := time.Now()
		stop() // what is left is written at the end
		b.set(func() {
			if n := len(b.touched); n != 2 || !b.touched[1][idOf(b.memory)].Equal(last) {
				t.Errorf("written at the end: %v, want %v", b.touched[1:], last)
			}
		})
	})
}

func idOf(s *memory) string {
	for _, r := range s.rows {
		return r.ID
	}
	return ""
}

func TestAnOutageLeavesNothingCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newBubble(t)
		defer stop()
		token := b.enter("ada")
		time.Sleep(time.Second)
		_, err := b.Verify(context.Background(), token)
		must(t, err)
		b.set(func() { b.broken = errors.New("asleep") })
		time.Sleep(10 * time.Minute)
		b.set(func() { // meanwhile the right ended, and the record of it is gone
			b.broken = nil
			s := b.standing["p-ada"]
			s.Person.Locked = &directory.Bar{}
			b.standing["p-ada"] = s
		})
		time.Sleep(time.Second)
		if _, err := b.Verify(context.Background(), token); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("Verify = %v, want unauthenticated", err)
		}
	})
}

func TestRunLeavesNothingRunning(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b, stop := newBubble(t)
	token := b.enter("ada")
	_, cancel := b.watch(token)
	_, cut := b.watch(token)
	b.set(func() { b.change(directory.Change{Seq: 1, Person: "p-ada", Loss: true}) })
	cancel()
	cut()
	stop()
}
