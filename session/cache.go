package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/mapping"
)

// ErrEnded is the cause of a context that [Manager.Watch] ended.
var ErrEnded = errors.New("the right to be inside has ended")

// maxEntries bounds the cache. What falls out is read again from the store.
const maxEntries = 100_000

// entry is a verified session.
type entry struct {
	principal *Principal
	policy    *mapping.Policy // that principal.Access was computed from
	seen      atomic.Int64    // last use, nanoseconds since 1970
	written   atomic.Int64    // the last use that was written down
}

// stream is the living side of a session: what to cut when a right ends. It
// is there while requests run, whatever becomes of the cache entry.
type stream struct {
	principal *Principal // of the oldest request that still runs
	seen      atomic.Int64
	ctx       context.Context // the lifetime that requests hang on, cancelled by a change record
	cancel    context.CancelCauseFunc
	refs      int
}

// cache holds verified sessions and running requests of this process.
type cache struct {
	mu      sync.RWMutex
	entries map[[32]byte]*entry
	byID    map[string]*entry
	people  map[string]map[string]*entry // person → session id → entry
	streams map[string]*stream           // session id →
	unsaved map[string]time.Time         // last uses whose entry is gone
	gen     atomic.Uint64                // grows with every change heard
}

func newCache() *cache {
	return &cache{
		entries: make(map[[32]byte]*entry), byID: make(map[string]*entry),
		people: make(map[string]map[string]*entry), streams: make(map[string]*stream),
		unsaved: make(map[string]time.Time),
	}
}

func (c *cache) get(hash [32]byte) *entry {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.entries[hash]
}

func (c *cache) generation() uint64 { return c.gen.Load() }

// put stores an entry that was read when the cache was at a generation, and
// gives the one to use. An entry that a change may have overtaken is used
// once, by whoever read it, and not stored.
func (c *cache) put(e *entry, generation uint64) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gen.Load() != generation {
		return e
	}
	p := e.principal
	if old := c.byID[p.SessionID]; old != nil {
		c.remove(old)
	}
	for _, any := range c.entries {
		if len(c.entries) < maxEntries {
			break
		}
		c.remove(any)
	}
	c.entries[p.hash] = e
	c.byID[p.SessionID] = e
	if c.people[p.PersonID] == nil {
		c.people[p.PersonID] = make(map[string]*entry)
	}
	c.people[p.PersonID][p.SessionID] = e
	return e
}

// remove takes an entry out. The caller holds mu.
func (c *cache) remove(e *entry) {
	p := e.principal
	if seen := e.seen.Load(); seen > e.written.Load() {
		c.unsaved[p.SessionID] = time.Unix(0, seen)
	}
	delete(c.entries, p.hash)
	delete(c.byID, p.SessionID)
	delete(c.people[p.PersonID], p.SessionID)
	if len(c.people[p.PersonID]) == 0 {
		delete(c.people, p.PersonID)
	}
}

func (c *cache) drop(hash [32]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[hash]; e != nil {
		c.remove(e)
		c.cut(e.principal.SessionID)
	}
}

// end forgets a session and cuts its streams.
func (c *cache) end(sessionID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen.Add(1)
	if e := c.byID[sessionID]; e != nil {
		c.remove(e)
	}
	c.cut(sessionID)
}

// cut ends the streams of a session. The caller holds mu.
func (c *cache) cut(sessionID string) {
	if s := c.streams[sessionID]; s != nil {
		delete(c.streams, sessionID)
		s.cancel(ErrEnded)
	}
}

// forget drops what is known of a person; of everybody if person is empty.
func (c *cache) forget(person string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen.Add(1)
	if person == "" {
		for _, e := range c.entries {
			c.remove(e)
		}
		return
	}
	for _, e := range c.people[person] {
		c.remove(e)
	}
}

// cutPerson ends every stream of a person; of everybody if person is empty.
func (c *cache) cutPerson(person string) (cut int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.streams {
		if person == "" || s.principal.PersonID == person {
			c.cut(id)
			cut++
		}
	}
	return cut
}

// open lists the streams of a person; everybody's if person is empty.
func (c *cache) open(person string) []*stream {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out []*stream
	for _, s := range c.streams {
		if person == "" || s.principal.PersonID == person {
			out = append(out, s)
		}
	}
	return out
}

// lastSeen is the last use of a session that this process knows of.
func (c *cache) lastSeen(sessionID string) time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	seen := c.unsaved[sessionID]
	if e := c.byID[sessionID]; e != nil {
		if at := time.Unix(0, e.seen.Load()); at.After(seen) {
			return at
		}
	}
	return seen
}

// takeUnsaved gives the last uses that were not written down yet.
func (c *cache) takeUnsaved() map[string]time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.unsaved
	c.unsaved = make(map[string]time.Time)
	for id, e := range c.byID {
		if seen := e.seen.Load(); seen > e.written.Swap(seen) {
			out[id] = time.Unix(0, seen)
		}
	}
	return out
}

// keepUnsaved takes back what could not be written down.
func (c *cache) keepUnsaved(seen map[string]time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, at := range seen {
		if at.After(c.unsaved[id]) {
			c.unsaved[id] = at
		}
	}
}

// join adds a request to the stream of its session. current says that the
// principal is what the cache holds, so that no change was missed.
func (c *cache) join(p *Principal, now time.Time) (s *stream, current bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s = c.streams[p.SessionID]
	if s == nil {
		s = &stream{principal: p}
		s.ctx, s.cancel = context.WithCancelCause(context.Background())
		c.streams[p.SessionID] = s
	}
	s.refs++
	s.seen.Store(now.UnixNano())
	e := c.byID[p.SessionID]
	return s, e != nil && e.principal == p
}

// leave takes a request out of the stream of its session.
func (c *cache) leave(sessionID string, s *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.refs--; s.refs == 0 && c.streams[sessionID] == s {
		delete(c.streams, sessionID)
		s.cancel(nil)
	}
}
