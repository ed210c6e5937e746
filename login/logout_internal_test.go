package login

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Of addresses that fail too often one message is verified at a time; whoever
// does not wait is told so, and other addresses do not wait for them.
func TestMessagesOfAnAddressThatFailsAreVerifiedInLine(t *testing.T) {
	const failing, other = "192.0.2.1", "192.0.2.2"
	l := &Login{signOuts: newLimiter(errSignOuts, Limit{PerSecond: 0.001, Burst: 10}, time.Now), line: make(chan struct{}, 1)}
	bad := errors.New("bad")
	for _, want := range []bool{true, true, false} {
		if err := l.signOutFailed(failing, bad); errors.Is(err, bad) != want {
			t.Fatalf("told %v", err)
		}
	}
	var at, most atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			err := l.inLine(t.Context(), failing, func() error {
				most.Store(max(most.Load(), at.Add(1)))
				if err := l.inLine(t.Context(), other, func() error { return bad }); !errors.Is(err, bad) {
					t.Errorf("another address: %v", err)
				}
				gone, cancel := context.WithCancel(t.Context())
				cancel()
				if err := l.inLine(gone, failing, func() error { return bad }); !errors.Is(err, context.Canceled) {
					t.Errorf("a sender that is gone: %v", err)
				}
				at.Add(-1)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n != 1 {
		t.Errorf("%d were verified at once, want 1", n)
	}
}

// Strangers can name sessions without end, and have so many remembered.
func TestFrontChannelLogoutsHaveABoundedNumberOfPlaces(t *testing.T) {
	places := make(map[string]bool)
	for i := range 100_000 {
		places[string(place(strconv.Itoa(i)))] = true
	}
	if n := len(places); n > 4096 || n < 4000 {
		t.Errorf("%d places", n)
	}
	if !bytes.Equal(place("sid"), place("sid")) {
		t.Error("one session has two places")
	}
}
