package store

import (
	"context"
	"sync"
	"time"
)

// patience bounds a transaction on a database that has fallen silent, so that
// nobody waits for ever. The largest push takes a fraction of it.
const patience = time.Minute

// patient is a context that ends with another one, and patience after somebody
// began to wait for it. Most reads wait for nothing, and need no timer.
type patient struct {
	context.Context //nolint:containedctx // it is one

	mu    sync.Mutex
	timed context.Context //nolint:containedctx // the same with its timer; nil: nobody waits
	stop  context.CancelFunc
}

// patiently gives such a context, and what releases it.
func patiently(ctx context.Context) (context.Context, context.CancelFunc) {
	p := &patient{Context: ctx}
	return p, p.release
}

// waiting gives the context with its timer.
func (p *patient) waiting() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timed == nil {
		p.timed, p.stop = context.WithTimeout(p.Context, patience)
	}
	return p.timed
}

// now gives the context as it is by now.
func (p *patient) now() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timed == nil {
		return p.Context
	}
	return p.timed
}

func (p *patient) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil {
		p.stop()
	}
}

// Deadline implements [context.Context].
func (p *patient) Deadline() (time.Time, bool) { return p.waiting().Deadline() }

// Done implements [context.Context].
func (p *patient) Done() <-chan struct{} { return p.waiting().Done() }

// Err implements [context.Context].
func (p *patient) Err() error { return p.now().Err() }

// Value implements [context.Context]. A context that hangs on Done finds the
// one with the timer here, and hangs on that without a goroutine.
func (p *patient) Value(key any) any { return p.now().Value(key) }
