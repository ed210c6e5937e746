package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
)

// SQLite has one writer at a time, and each transaction waits for the disk
// when it commits. Brief writers that wait for each other anyway therefore
// share a transaction: whoever is done hands it on to the next one, and the
// last one commits for all. Each has a savepoint, so that what goes wrong with
// one is undone alone; and nobody is told an outcome before the commit is
// durable, or has failed for everybody. A writer that nobody waits behind
// commits at once, as if there were no others.

// mostTogether bounds how long the first of a transaction waits for the last.
const mostTogether = 32

// turn is the right to write, with the connection that there is for it.
type turn struct {
	c      *sqliteConn // nil: not open yet
	bundle *bundle     // nil: no transaction is open
}

// bundle is a transaction that some writers share.
type bundle struct {
	members int           // whose work it holds
	lost    error         // why it cannot be committed; nil: it can
	done    chan struct{} // closed when it has ended
	err     error         // how it has ended
}

// writers are those who want to write, in the order in which they came.
type writers struct {
	mu     sync.Mutex
	busy   bool
	turn   turn // while nobody is busy
	queue  []*writer
	closed bool
}

// writer is somebody who waits for a turn.
type writer struct {
	together bool // and takes a common transaction as well
	turn     chan turn
}

// take waits for a turn until ctx ends. It fails with sql.ErrConnDone when no
// more are given.
func (w *writers) take(ctx context.Context, together bool) (turn, error) {
	if err := ctx.Err(); err != nil {
		return turn{}, err
	}
	w.mu.Lock()
	switch {
	case w.closed:
		w.mu.Unlock()
		return turn{}, sql.ErrConnDone
	case !w.busy:
		w.busy = true
		t := w.turn
		w.mu.Unlock()
		return t, nil
	}
	me := &writer{together: together, turn: make(chan turn, 1)}
	w.queue = append(w.queue, me)
	w.mu.Unlock()
	select {
	case t := <-me.turn:
		return t, nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	at := slices.Index(w.queue, me)
	if at >= 0 {
		w.queue = slices.Delete(w.queue, at, at+1)
	}
	w.mu.Unlock()
	if at >= 0 {
		return turn{}, ctx.Err()
	}
	return <-me.turn, nil // it came at the same moment: the first statement finds that ctx has ended
}

// hand gives the turn with its open transaction to whoever waits next, if that
// one takes it.
func (w *writers) hand(t turn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 || !w.queue[0].together {
		return false
	}
	w.next(t)
	return true
}

// give gives the turn back. There is no transaction open.
func (w *writers) give(t turn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		w.busy, w.turn = false, t
		return
	}
	w.next(t)
}

func (w *writers) next(t turn) {
	first := w.queue[0]
	w.queue = slices.Delete(w.queue, 0, 1)
	first.turn <- t
}

// close gives no more turns, and the last one to the caller once everybody who
// waits has had theirs; false if it was closed before.
func (w *writers) close() (turn, bool) {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return turn{}, false
	}
	w.closed = true
	if !w.busy {
		w.busy = true
		defer w.mu.Unlock()
		return w.turn, true
	}
	me := &writer{turn: make(chan turn, 1)}
	w.queue = append(w.queue, me)
	w.mu.Unlock()
	return <-me.turn, true
}

// together runs f in a transaction that others may share. own is what f
// returns, err what the database says.
func (s *sqliteLanes) together(ctx context.Context, f func(lane) error) (own, err error) {
	t, err := s.writers.take(ctx, true)
	if err != nil {
		return nil, err
	}
	if t.bundle == nil {
		if t.c, err = s.forWriting(ctx, t.c); err != nil {
			s.writers.give(t)
			return nil, err
		}
		t.bundle = &bundle{done: make(chan struct{})}
	}
	g := t.bundle
	func() {
		defer s.leave(t)                                                 //nolint:contextcheck // the commit is for others as well; even if f panics they depend on it
		own, err = g.join(&sqliteLane{ctx: ctx, c: t.c, write: true}, f) //nolint:contextcheck // a lane holds its context
	}()
	<-g.done
	if g.err != nil {
		return nil, g.err // what f made of it stands on what never was
	}
	return own, err
}

// join runs f within the transaction, which the first one begins.
func (g *bundle) join(l *sqliteLane, f func(lane) error) (own, err error) {
	begin := "SAVEPOINT one"
	if g.members == 0 {
		begin = "BEGIN IMMEDIATE"
	}
	if _, err := l.exec(begin, nil); err != nil {
		return nil, err
	}
	done := false
	defer func() {
		if !done { // f has failed, or panics
			g.undo(l)
		}
	}()
	if own = f(l); own != nil {
		return own, nil
	}
	if err := l.ctx.Err(); err != nil {
		return nil, err // whoever asked has been told that it failed
	}
	if g.members > 0 {
		if _, err := l.exec("RELEASE one", nil); err != nil {
			return nil, err
		}
	}
	g.members++
	done = true
	return nil, nil
}

// undo takes back what one has done. SQLite takes everything back by itself
// when the disk is full: then there is no savepoint, and the transaction is
// lost for everybody.
func (g *bundle) undo(l *sqliteLane) {
	l.ctx = context.WithoutCancel(l.ctx)
	if g.members == 0 {
		if _, err := l.exec("ROLLBACK", nil); err != nil {
			l.c.broken = true
		}
		return
	}
	_, back := l.exec("ROLLBACK TO one", nil)
	_, release := l.exec("RELEASE one", nil)
	g.lost = errors.Join(back, release)
}

// leave hands an open transaction on, or commits it where nobody takes it, and
// gives the turn back.
func (s *sqliteLanes) leave(t turn) {
	g := t.bundle
	if g.members > 0 {
		if g.lost == nil && g.members < mostTogether && s.writers.hand(t) {
			return
		}
		l := &sqliteLane{ctx: context.Background(), c: t.c, write: true}
		if g.err = g.lost; g.err == nil {
			_, g.err = l.exec("COMMIT", nil)
		}
		if g.err != nil {
			_, _ = l.exec("ROLLBACK", nil)
			t.c.broken = true // whatever is left of it, a new connection knows nothing of it
		}
	}
	close(g.done)
	t.bundle = nil
	s.giveBack(t)
}

// giveBack gives the turn back, without a connection that cannot be used.
func (s *sqliteLanes) giveBack(t turn) {
	if t.c != nil && t.c.broken {
		_ = t.c.close()
		t.c = nil
	}
	s.writers.give(t)
}

// alone runs f with the one connection that writes.
func (s *sqliteLanes) alone(ctx context.Context, f func(lane) error) error {
	t, err := s.writers.take(ctx, false)
	if err != nil {
		return err
	}
	sound := false
	defer func() {
		if t.c != nil && !sound {
			t.c.broken = true
		}
		s.giveBack(t)
	}()
	if t.c, err = s.forWriting(ctx, t.c); err == nil {
		err = f(&sqliteLane{ctx: ctx, c: t.c, write: true})
	}
	sound = true
	return err
}
