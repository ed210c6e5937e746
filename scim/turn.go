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

// enter waits for a turn until the patience that it is given ends, and reports
// whether there was one.
func (q *queue) enter(patience func() context.Context) bool {
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
	case <-patience().Done():
		return false
	}
}

func (q *queue) leave() { <-q.turns }

// turn waits until the request may use the database: it is called when the
// body is there, so that nobody has a turn who is slow. It fails with a 429
// when others of the same connection are in the way for too long. The turn
// ends with [call.end].
func (c *call) turn() error {
	if c.entry == nil || c.turns != nil { // within a Bulk request, or again
		return nil
	}
	var ctx context.Context
	stop := context.CancelFunc(func() {})
	defer func() { stop() }()
	patience := func() context.Context { // begins when it is asked for: most requests need none
		if ctx == nil {
			ctx, stop = context.WithTimeout(c.ctx(), turnWait) //nolint:gosec,fatcontext // made once; stop is called when turn ends
		}
		return ctx
	}
	queues := []*queue{c.site.work, c.work} // one's own first: nobody waits with a turn of all
	list := c.endpoint == searchPath || c.one == searchPath || c.one == "" && c.r.Method == http.MethodGet && (c.endpoint == "Users" || c.endpoint == "Groups")
	if list {
		queues = append([]*queue{c.site.lists}, queues...)
	}
	for _, q := range queues {
		if !q.enter(patience) {
			c.end()
			return &refusal{
				status: http.StatusTooManyRequests, retry: time.Second,
				err: fault.New(fault.Unavailable, "too many requests of this connection are at work"),
			}
		}
		c.turns = append(c.turns, q)
	}
	if list {
		ctx, stop := context.WithTimeout(c.r.Context(), c.listWithin)
		c.r, c.stop = c.r.WithContext(ctx), stop
	}
	return nil
}

// end gives the turn back.
func (c *call) end() {
	for _, q := range c.turns {
		q.leave()
	}
	c.turns = nil
	if c.stop != nil {
		c.stop()
	}
}
