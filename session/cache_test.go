package session

import (
	"context"
	"fmt"
	"testing"
	"time"

	"portcullis/directory"
	"portcullis/mapping"
)

func TestTheCacheIsBounded(t *testing.T) {
	c := newCache()
	c.limit = 10
	at := time.Unix(1000, 0)
	for i := range 100 {
		e := newEntry(&Principal{SessionID: fmt.Sprint("s", i), PersonID: fmt.Sprint("p", i%7), hash: [32]byte{byte(i)}}, &mapping.Access{}, nil)
		e.seen.Store(at.UnixNano())
		c.put(e, c.generation())
	}
	inPeople := 0
	for _, e := range c.people {
		for ; e != nil; e = e.next {
			inPeople++
		}
	}
	if len(c.entries) != 10 || len(c.byID) != 10 || inPeople != 10 {
		t.Errorf("entries %d, by id %d, by person %d, want 10 of each", len(c.entries), len(c.byID), inPeople)
	}
	if got := c.pending(1000); len(got) != 100 {
		t.Errorf("%d last uses to write, want 100: what fell out was used too", len(got))
	}
	c.saved(c.pending(1000))
	if got := c.pending(1000); len(got) != 0 || len(c.unsaved) != 0 {
		t.Errorf("%d last uses to write after they were written", len(got))
	}
	c.forget("")
	if len(c.entries)+len(c.byID)+len(c.people) != 0 {
		t.Error("forget left something behind")
	}
}

func TestAUseWhileSavingIsNotLost(t *testing.T) {
	c := newCache()
	e := newEntry(&Principal{SessionID: "s"}, &mapping.Access{}, nil)
	c.put(e, c.generation())
	e.seen.Store(time.Unix(10, 0).UnixNano())
	pending := c.pending(1000)
	e.seen.Store(time.Unix(20, 0).UnixNano()) // used while the first is being written
	if got := c.lastSeen("s"); !got.Equal(time.Unix(20, 0)) {
		t.Errorf("last seen = %v, want 20", got)
	}
	c.saved(pending)
	if got := c.pending(1000)["s"]; !got.Equal(time.Unix(20, 0)) {
		t.Errorf("still to write: %v, want 20", got)
	}
}

func TestALateReadIsNotKept(t *testing.T) {
	c := newCache()
	generation := c.generation()
	c.forget("p") // heard while it was being read
	e := newEntry(&Principal{SessionID: "s", PersonID: "p"}, &mapping.Access{}, nil)
	e.seen.Store(time.Unix(10, 0).UnixNano())
	c.put(e, generation)
	if len(c.entries) != 0 {
		t.Error("what a change overtook was kept")
	}
	if got := c.lastSeen("s"); !got.Equal(time.Unix(10, 0)) {
		t.Errorf("last seen = %v, want 10: it was used, though not kept", got)
	}
}

// sleeper is a store whose change records are all gone.
type sleeper struct {
	Store
	begun int
}

func (s *sleeper) LastChange(context.Context) (int64, error) { s.begun++; return 7, nil }

func (s *sleeper) Changes(context.Context, int64) ([]directory.Change, int64, error) {
	return nil, 7, nil
}

// A suspended machine's monotonic clock stands still: only the wall clock
// tells that records may have been deleted unread.
func TestAMachineThatSleptStartsAnew(t *testing.T) {
	s := &sleeper{}
	m := New(Config{Store: s})
	m.follow(t.Context())
	m.cache.put(newEntry(&Principal{SessionID: "s"}, &mapping.Access{}, nil), m.cache.generation())
	m.follow(t.Context())
	if s.begun != 1 || len(m.cache.entries) != 1 {
		t.Fatalf("begun %d times with %d entries, want once and one", s.begun, len(m.cache.entries))
	}
	m.feed.wall = m.feed.wall.Add(-maxSleep)
	m.follow(t.Context())
	if s.begun != 2 || len(m.cache.entries) != 0 {
		t.Errorf("begun %d times with %d entries, want twice and none", s.begun, len(m.cache.entries))
	}
}
