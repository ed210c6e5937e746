package oidc

import (
	"context"
	"sync"
)

// flight lets many callers share one run of a function. The zero value is
// ready.
type flight struct {
	mu      sync.Mutex
	current *run
}

type run struct {
	done chan struct{}
	err  error
}

// do runs f, or waits for the run that is under way and gives its error.
// Whoever comes first runs f to its end even if their own ctx ends: others
// may be waiting for it. f bounds itself.
func (l *flight) do(ctx context.Context, f func() error) error {
	l.mu.Lock()
	if r := l.current; r != nil {
		l.mu.Unlock()
		select {
		case <-r.done:
			return r.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r := &run{done: make(chan struct{})}
	l.current = r
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.current = nil
		l.mu.Unlock()
		close(r.done)
	}()
	r.err = f()
	return r.err
}
