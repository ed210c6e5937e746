package session

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"portcullis/mapping"
)

// ErrEnded is the cause of a context that [Manager.Watch] ended.
var ErrEnded = errors.New("the right to be inside has ended")

// stream is the living side of a session: what to cut when a right ends. It
// is there while requests run, whatever becomes of the cache entry.
type stream struct {
	principal *Principal    // of the oldest request that still runs
	checked   time.Duration // when the store vouched for it last, since the manager began
	until     time.Time     // when access may change by itself; zero for never
	seen      atomic.Int64  // last use, nanoseconds since 1970
	running   *watch        // one of the requests under way, from which the others hang
}

// watch is a request under way. It hangs on the stream of its session; the
// cache's lock holds for that.
type watch struct {
	of           *stream
	from         string // the address that it comes from
	cancel       context.CancelCauseFunc
	next, before *watch
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

// cutWhere ends the requests of which something holds; others of the same
// session go on.
func (c *cache) cutWhere(over func(p *Principal, from string) bool) (cut int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.streams {
		for w := s.running; w != nil; w = w.next {
			if over(s.principal, w.from) {
				w.cancel(ErrEnded) // whoever runs it takes it out
				cut++
			}
		}
	}
	c.cuts += uint64(cut) //nolint:gosec // not below zero
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

// join adds a request from an address to the stream of its session: cancel is
// called when that is cut. current says that the principal is what the cache holds, so that no
// change was missed.
func (c *cache) join(p *Principal, from string, now time.Time, cancel context.CancelCauseFunc) (w *watch, current bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[p.SessionID]
	if s != nil && s.principal != p && (p.of == nil || s.principal.of != p.of) && !sameAccess(&s.principal.Access, &p.Access) {
		c.cut(p.SessionID) // its access changed, and nobody told us yet
		s = nil
	}
	if s == nil {
		s = &stream{principal: p, until: p.Access.Until}
		c.streams[p.SessionID] = s
	}
	w = &watch{of: s, from: from, cancel: cancel, next: s.running}
	if s.running != nil {
		s.running.before = w
	}
	s.running = w
	s.seen.Store(now.UnixNano())
	s.checked = max(s.checked, p.checked)
	return w, p.of != nil && c.entries[key(p.hash)] == p.of
}

// confirm notes what the store said of the session of a stream.
func (c *cache) confirm(s *stream, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.checked > s.checked {
		s.checked, s.until = e.checked, e.access.Until
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

// cutUnchecked ends every stream that the store vouched for before a time, since
// the manager began.
func (c *cache) cutUnchecked(before time.Duration) (cut int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.streams {
		if s.checked < before {
			c.cut(id)
			cut++
		}
	}
	return cut
}

// leave takes a request out of the stream of its session.
func (c *cache) leave(w *watch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := w.of
	if w.next != nil {
		w.next.before = w.before
	}
	if w.before != nil {
		w.before.next = w.next
		return
	}
	if s.running = w.next; s.running == nil && c.streams[s.principal.SessionID] == s {
		delete(c.streams, s.principal.SessionID)
	}
}
