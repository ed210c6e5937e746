package session

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
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

	next, before *entry // of the same person; the cache's lock holds for them
}

// stream is the living side of a session: what to cut when a right ends. It
// is there while requests run, whatever becomes of the cache entry.
type stream struct {
	principal *Principal      // of the oldest request that still runs
	checked   time.Time       // when the store vouched for it last
	until     time.Time       // when access may change by itself; zero for never
	seen      atomic.Int64    // last use, nanoseconds since 1970
	ctx       context.Context // the lifetime that requests hang on, cancelled by a change record
	cancel    context.CancelCauseFunc
	refs      int
}

// cache holds verified sessions and running requests of this process.
type cache struct {
	mu      sync.RWMutex
	entries map[[32]byte]*entry
	byID    map[string]*entry
	people  map[string]*entry    // person → one of their entries, from which the others hang
	streams map[string]*stream   // session id →
	unsaved map[string]time.Time // last uses whose entry is gone, until they are written down
	gen     atomic.Uint64        // grows with every change heard
	limit   int                  // of entries
	cuts    uint64               // streams that were cut
}

func newCache() *cache {
	return &cache{
		entries: make(map[[32]byte]*entry), byID: make(map[string]*entry),
		people: make(map[string]*entry), streams: make(map[string]*stream),
		unsaved: make(map[string]time.Time), limit: maxEntries,
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
	p := e.principal
	if c.gen.Load() != generation {
		if seen := e.seen.Load(); seen > e.written.Load() {
			c.unsave(p.SessionID, time.Unix(0, seen)) // not kept, and used all the same
		}
		return e
	}
	if old := c.byID[p.SessionID]; old != nil {
		c.remove(old)
	}
	for _, some := range c.entries {
		if len(c.entries) < c.limit {
			break
		}
		c.remove(some)
	}
	c.entries[p.hash] = e
	c.byID[p.SessionID] = e
	if e.next = c.people[p.PersonID]; e.next != nil {
		e.next.before = e
	}
	c.people[p.PersonID] = e
	return e
}

// principals gives everybody who is remembered.
func (c *cache) principals() []*Principal {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]*Principal, 0, len(c.entries))
	for _, e := range c.entries {
		out = append(out, e.principal)
	}
	return out
}

// remove takes an entry out. The caller holds mu.
func (c *cache) remove(e *entry) {
	p := e.principal
	if seen := e.seen.Load(); seen > e.written.Load() {
		c.unsave(p.SessionID, time.Unix(0, seen))
	}
	delete(c.entries, p.hash)
	delete(c.byID, p.SessionID)
	if e.next != nil {
		e.next.before = e.before
	}
	switch {
	case e.before != nil:
		e.before.next = e.next
	case e.next != nil:
		c.people[p.PersonID] = e.next
	default:
		delete(c.people, p.PersonID)
	}
	e.next, e.before = nil, nil
}

func (c *cache) drop(hash [32]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[hash]; e != nil {
		c.remove(e)
		c.cut(e.principal.SessionID)
	}
}

// end forgets a session and cuts its streams, because of a change.
func (c *cache) end(sessionID string) {
	c.gen.Add(1)
	c.discard(sessionID)
}

// discard forgets a session that is over by itself and cuts its streams. No
// change was heard, so what others are reading right now may be kept.
func (c *cache) discard(sessionID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
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
		c.cuts++
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
	for e := c.people[person]; e != nil; e = c.people[person] {
		c.remove(e)
	}
}

// forgetOrganization drops what is known of the people of an organization. It
// cuts their streams, or gives those whose streams are to be checked.
func (c *cache) forgetOrganization(name string, cut bool) (check []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen.Add(1)
	for _, e := range c.entries {
		if e.principal.Organization == name {
			c.remove(e)
		}
	}
	for id, s := range c.streams {
		switch {
		case s.principal.Organization != name:
		case cut:
			c.cut(id)
		default:
			check = append(check, s.principal.PersonID)
		}
	}
	return check
}

// cutStream ends one stream; a newer one of the same session goes on.
func (c *cache) cutStream(s *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id := s.principal.SessionID; c.streams[id] == s {
		c.cut(id)
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

// open lists the streams of some people; everybody's if one of them is empty.
func (c *cache) open(people ...string) []*stream {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out []*stream
	for _, s := range c.streams {
		if slices.Contains(people, "") || slices.Contains(people, s.principal.PersonID) {
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

// unsave notes a last use that is to be written down. The caller holds mu.
func (c *cache) unsave(sessionID string, at time.Time) {
	if at.After(c.unsaved[sessionID]) {
		c.unsaved[sessionID] = at
	}
}

// pending gives the last uses that were not written down yet.
func (c *cache) pending() map[string]time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := maps.Clone(c.unsaved)
	for id, e := range c.byID {
		if seen := e.seen.Load(); seen > e.written.Load() {
			out[id] = time.Unix(0, seen)
		}
	}
	return out
}

// saved forgets last uses that are written down now; until then
// [cache.lastSeen] knew of them.
func (c *cache) saved(seen map[string]time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, at := range seen {
		if !c.unsaved[id].After(at) {
			delete(c.unsaved, id)
		}
		if e := c.byID[id]; e != nil && e.written.Load() < at.UnixNano() {
			e.written.Store(at.UnixNano())
		}
	}
}

// join adds a request to the stream of its session. current says that the
// principal is what the cache holds, so that no change was missed.
func (c *cache) join(p *Principal, now time.Time) (s *stream, current bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s = c.streams[p.SessionID]
	if s != nil && s.principal != p && !sameAccess(&s.principal.Access, &p.Access) {
		c.cut(p.SessionID) // its access changed, and nobody told us yet
		s = nil
	}
	if s == nil {
		s = &stream{principal: p, until: p.Access.Until}
		s.ctx, s.cancel = context.WithCancelCause(context.Background())
		c.streams[p.SessionID] = s
	}
	s.refs++
	s.seen.Store(now.UnixNano())
	e := c.byID[p.SessionID]
	if p.checked.After(s.checked) {
		s.checked = p.checked
	}
	return s, e != nil && e.principal == p
}

// confirm notes what the store said of the session of a stream.
func (c *cache) confirm(s *stream, p *Principal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.checked.After(s.checked) {
		s.checked, s.until = p.checked, p.Access.Until
	}
}

// due gives the people of streams whose access may have changed by itself.
func (c *cache) due(now time.Time) (people []string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, s := range c.streams {
		if !s.until.IsZero() && !now.Before(s.until) {
			people = append(people, s.principal.PersonID)
		}
	}
	return people
}

// sameAccess reports whether two accesses let the same through. Which rules
// made them, and until when, makes no difference to a stream.
func sameAccess(a, b *mapping.Access) bool {
	return a.Login == b.Login && slices.Equal(a.Roles, b.Roles) && slices.Equal(a.Tasks, b.Tasks) &&
		reflect.DeepEqual(a.Permissions, b.Permissions)
}

// cutUnchecked ends every stream that the store vouched for before a time.
func (c *cache) cutUnchecked(before time.Time) (cut int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.streams {
		if s.checked.Before(before) {
			c.cut(id)
			cut++
		}
	}
	return cut
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
