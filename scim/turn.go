package scim

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"portcullis/fault"
)

// How many requests are at work at the same time. The database has 16
// connections for the whole gate: what is left is for people who sign in, and
// no connection has all the rest. Of lists there are fewer, because one may
// read everybody of a connection.
const (
	turnsOfAll   = 12
	turnsOfOne   = 10
	turnsOfLists = 4

	turnWait   = 10 * time.Second // for a turn
	maxWaiting = 256              // requests of a connection, with their bodies in memory
)

// queue is where requests wait for one of some turns.
type queue struct {
	turns   chan struct{}
	waiting atomic.Int32
}

func newQueue(turns int) *queue { return &queue{turns: make(chan struct{}, turns)} }

// patience is how long a request waits for its turns, from the moment when it
// has to: most need none.
type patience struct {
	ctx  context.Context //nolint:containedctx // of the request, and no longer than turn runs
	stop context.CancelFunc
}

func (p *patience) done() <-chan struct{} {
	if p.stop == nil {
		p.ctx, p.stop = context.WithTimeout(p.ctx, turnWait)
	}
	return p.ctx.Done()
}

func (p *patience) end() {
	if p.stop != nil {
		p.stop()
	}
}

// enter waits for a turn until patience ends, and reports whether there was one.
func (q *queue) enter(wait *patience) bool {
	select {
	case q.turns <- struct{}{}:
		return true
	default:
	}
	defer q.waiting.Add(-1)
	if q.waiting.Add(1) > maxWaiting {
		return false
	}
	select {
	case q.turns <- struct{}{}:
		return true
	case <-wait.done():
		return false
	}
}

func (q *queue) leave() { <-q.turns }

// turn waits until the request may use the database: it is called when the
// body is there, so that nobody has a turn who is slow. It fails with a 429
// when others of the same connection are in the way for too long, and as
// [call.vouch] does: who asks is judged by what holds when the work begins. The
// turn ends with [call.end].
func (c *call) turn() error {
	if c.entry == nil || c.taken > 0 { // within a Bulk request, or again
		return nil
	}
	list := c.endpoint == searchPath || c.one == searchPath || c.one == "" && c.r.Method == http.MethodGet && (c.endpoint == "Users" || c.endpoint == "Groups")
	wait := patience{ctx: c.ctx()}
	defer wait.end()
	// One's own first: nobody waits with a turn of all.
	if list && !c.enter(c.site.lists, &wait) || !c.enter(c.site.work, &wait) || !c.enter(c.work, &wait) {
		c.end()
		return &refusal{
			status: http.StatusTooManyRequests, retry: time.Second,
			err: fault.New(fault.Unavailable, "too many requests of this connection are at work"),
		}
	}
	if list {
		c.within, c.stop = context.WithTimeout(c.r.Context(), c.listWithin)
	}
	return c.vouch()
}

// enter takes a turn of a queue.
func (c *call) enter(q *queue, wait *patience) bool {
	if !q.enter(wait) {
		return false
	}
	c.turns[c.taken] = q
	c.taken++
	return true
}

// end gives the turn back.
func (c *call) end() {
	for _, q := range c.turns[:c.taken] {
		q.leave()
	}
	c.taken = 0
	if c.stop != nil {
		c.stop()
	}
}
