package session

import (
	"hash/maphash"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxEntries bounds the cache, unless [Config.Remember] does. What falls out is
// read again from the store.
const maxEntries = 1_000_000

// stride is how many entries are looked at while the cache is locked for what
// can wait; every request needs the lock.
const stride = 8192

// cache holds verified sessions and running requests of this process. What
// entries are looked up by is hashed to 64 bits, which takes half the memory;
// of two with the same hash one is forgotten.
type cache struct {
	mu      sync.RWMutex
	seed    maphash.Seed
	entries map[uint64]*entry    // by key
	all     []*entry             // the same, in no order
	byID    map[uint64]*entry    // by text
	people  map[uint64]*entry    // person → one of their entries, from which the others hang; by text
	streams map[string]*stream   // session id →
	unsaved map[string]time.Time // last uses whose entry is gone, until they are written down
	gen     atomic.Uint64        // grows with every change heard
	dead    [256]atomic.Uint64   // grow with every token that was found dead, by the first byte of its hash
	limit   int                  // of entries
	cuts    uint64               // streams that were cut
}

func newCache(limit int) *cache {
	return &cache{
		seed: maphash.MakeSeed(), entries: make(map[uint64]*entry), byID: make(map[uint64]*entry),
		people: make(map[uint64]*entry), streams: make(map[string]*stream),
		unsaved: make(map[string]time.Time), limit: min(limit, math.MaxInt32),
	}
}

func (c *cache) get(hash [32]byte) *entry {
	c.mu.RLock()
	e := c.entries[key(hash)]
	c.mu.RUnlock()
	if e == nil || e.hash != hash {
		return nil
	}
	return e
}

// text is where an entry is looked up by an id.
func (c *cache) text(id string) uint64 { return maphash.String(c.seed, id) }

// session gives the entry of a session; nil if there is none. The caller holds
// mu.
func (c *cache) session(id string) *entry {
	if e := c.byID[c.text(id)]; e != nil && e.sessionID() == id {
		return e
	}
	return nil
}

// generation of what is known of a token. It grows with every change heard,
// and when the token was found dead: the change that says so may come later,
// and nobody who was refused gets in again until it does. A few others share
// that count, for a flood of dead tokens is not to keep everybody out of the
// cache.
func (c *cache) generation(hash [32]byte) uint64 { return c.gen.Load() + c.dead[hash[0]].Load() }

// put stores an entry that was read when its token was at a generation, and
// gives the one to use. An entry that a change may have overtaken is used
// once, by whoever read it, and not stored.
func (c *cache) put(e *entry, generation uint64) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation(e.hash) != generation || !e.fits() {
		if seen := e.seen.Load(); seen > e.written.Load() {
			c.unsave(e.sessionID(), time.Unix(0, seen)) // not kept, and used all the same
		}
		return e
	}
	hash, id, person := key(e.hash), c.text(e.sessionID()), c.text(e.personID())
	for _, old := range []*entry{c.entries[hash], c.byID[id]} {
		if old != nil {
			c.remove(old)
		}
	}
	for old := c.people[person]; old != nil && old.personID() != e.personID(); old = c.people[person] {
		c.remove(old)
	}
	for len(c.all) >= c.limit {
		c.remove(c.stale())
	}
	c.entries[hash], c.byID[id], e.at = e, e, int32(len(c.all)) //nolint:gosec // limit is below
	c.all = append(c.all, e)
	if e.next = c.people[person]; e.next != nil {
		e.next.before = e
	}
	c.people[person] = e
	return e
}

// stale gives the entry of a few that was used longest ago. The caller holds
// mu.
func (c *cache) stale() *entry {
	const few = 8
	var oldest *entry
	for range few {
		e := c.all[rand.IntN(len(c.all))] //nolint:gosec // whoever falls out is read again, and loses nothing
		if oldest == nil || e.seen.Load() < oldest.seen.Load() {
			oldest = e
		}
	}
	return oldest
}

// principals gives everybody who was here lately: only they have statements.
func (c *cache) principals() []*Principal {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out []*Principal
	for _, e := range c.all {
		if p := e.hot.Load(); p != nil {
			out = append(out, p)
		}
	}
	return out
}

// remove takes an entry out. The caller holds mu.
func (c *cache) remove(e *entry) {
	if c.entries[key(e.hash)] != e {
		return // it is out already
	}
	if seen := e.seen.Load(); seen > e.written.Load() {
		c.unsave(e.sessionID(), time.Unix(0, seen))
	}
	last := c.all[len(c.all)-1]
	c.all[e.at], last.at = last, e.at
	c.all[len(c.all)-1] = nil
	c.all = c.all[:len(c.all)-1]
	delete(c.entries, key(e.hash))
	delete(c.byID, c.text(e.sessionID()))
	if e.next != nil {
		e.next.before = e.before
	}
	switch {
	case e.before != nil:
		e.before.next = e.next
	case e.next != nil:
		c.people[c.text(e.personID())] = e.next
	default:
		delete(c.people, c.text(e.personID()))
	}
	e.next, e.before = nil, nil
}

// drop forgets a token that the store does not know, and cuts its streams.
func (c *cache) drop(hash [32]byte) {
	c.dead[hash[0]].Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key(hash)]; e != nil && e.hash == hash {
		c.remove(e)
		c.cut(e.sessionID())
	}
}

// end forgets a session and cuts its streams, because of a change.
func (c *cache) end(sessionID string) {
	c.gen.Add(1)
	c.discard(sessionID)
}

// bury forgets a session that the store says is over and cuts its streams. No
// change was heard, so what is read right now of others may be kept.
func (c *cache) bury(sessionID string, hash [32]byte) {
	c.dead[hash[0]].Add(1)
	c.discard(sessionID)
}

func (c *cache) discard(sessionID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.session(sessionID); e != nil {
		c.remove(e)
	}
	c.cut(sessionID)
}

// cut ends the streams of a session. The caller holds mu.
func (c *cache) cut(sessionID string) {
	if s := c.streams[sessionID]; s != nil {
		delete(c.streams, sessionID)
		for w := s.running; w != nil; w = w.next {
			w.cancel(ErrEnded)
		}
		c.cuts++
	}
}

// forget drops what is known of a person; of everybody if person is empty.
func (c *cache) forget(person string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen.Add(1)
	if person == "" {
		c.clear()
		return
	}
	at := c.text(person)
	for e := c.people[at]; e != nil && e.personID() == person; e = c.people[at] {
		c.remove(e)
	}
}

// clear takes every entry out. The caller holds mu.
func (c *cache) clear() {
	for _, e := range c.all {
		if seen := e.seen.Load(); seen > e.written.Load() {
			c.unsave(e.sessionID(), time.Unix(0, seen))
		}
	}
	c.all, c.entries, c.byID, c.people = nil, make(map[uint64]*entry), make(map[uint64]*entry), make(map[uint64]*entry)
}

// sweep takes out entries that are over, beginning at a place in all, and gives
// where to go on: below zero once all were looked at.
func (c *cache) sweep(from int, over func(*entry) bool) (next int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for looked := 0; from < len(c.all); looked++ {
		if looked == stride {
			return from
		}
		if e := c.all[from]; over(e) {
			c.remove(e) // another takes its place
		} else {
			from++
		}
	}
	return -1
}

// forgetOrganization drops what is known of the people of an organization. It
// cuts their streams, or gives those whose streams are to be checked.
func (c *cache) forgetOrganization(name string, cut bool) (check []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen.Add(1)
	for _, e := range slices.Backward(c.all) { // what takes the place of one that goes was looked at
		if e.place.Value().organization == name {
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

// lastSeen is the last use of a session that this process knows of.
func (c *cache) lastSeen(sessionID string) time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	seen := c.unsaved[sessionID]
	if e := c.session(sessionID); e != nil {
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

// pending gives last uses that were not written down yet, at most so many, and
// those of entries from a place in all on. next is where to go on; below zero
// once all were looked at.
func (c *cache) pending(most, from int) (out map[string]time.Time, next int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	out = make(map[string]time.Time)
	for id, at := range c.unsaved {
		if len(out) == most {
			return out, from
		}
		out[id] = at
	}
	for looked := 0; from < len(c.all); looked++ {
		if looked == stride || len(out) >= most {
			return out, from
		}
		if e := c.all[from]; e.seen.Load() > e.written.Load() {
			out[e.sessionID()] = time.Unix(0, e.seen.Load())
		}
		from++
	}
	return out, -1
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
		if e := c.session(id); e != nil && e.written.Load() < at.UnixNano() {
			e.written.Store(at.UnixNano())
		}
	}
}
