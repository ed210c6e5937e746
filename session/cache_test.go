package session

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"portcullis/directory"
	"portcullis/mapping"
)

func TestTheCacheIsBounded(t *testing.T) {
	c := newCache(10)
	at := time.Unix(1000, 0)
	for i := range 100 {
		e := newEntry(&Principal{SessionID: fmt.Sprint("s", i), PersonID: fmt.Sprint("p", i%7), hash: [32]byte{byte(i)}}, &mapping.Access{}, nil)
		e.seen.Store(at.UnixNano())
		c.put(e, c.generation(e.hash))
	}
	inPeople := 0
	for _, e := range c.people {
		for ; e != nil; e = e.next {
			inPeople++
		}
	}
	if len(c.entries) != 10 || len(c.all) != 10 || len(c.byID) != 10 || inPeople != 10 {
		t.Errorf("entries %d, by id %d, by person %d, want 10 of each", len(c.entries), len(c.byID), inPeople)
	}
	if got, _ := c.pending(1000, 0); len(got) != 100 {
		t.Errorf("%d last uses to write, want 100: what fell out was used too", len(got))
	}
	got, _ := c.pending(1000, 0)
	c.saved(got)
	if got, _ := c.pending(1000, 0); len(got) != 0 || len(c.unsaved) != 0 {
		t.Errorf("%d last uses to write after they were written", len(got))
	}
	c.forget("")
	if len(c.entries)+len(c.all)+len(c.byID)+len(c.people) != 0 {
		t.Error("forget left something behind")
	}
}

func TestAUseWhileSavingIsNotLost(t *testing.T) {
	c := newCache(maxEntries)
	e := newEntry(&Principal{SessionID: "s"}, &mapping.Access{}, nil)
	c.put(e, c.generation(e.hash))
	e.seen.Store(time.Unix(10, 0).UnixNano())
	pending, _ := c.pending(1000, 0)
	e.seen.Store(time.Unix(20, 0).UnixNano()) // used while the first is being written
	if got := c.lastSeen("s"); !got.Equal(time.Unix(20, 0)) {
		t.Errorf("last seen = %v, want 20", got)
	}
	c.saved(pending)
	if got, _ := c.pending(1000, 0); !got["s"].Equal(time.Unix(20, 0)) {
		t.Errorf("still to write: %v, want 20", got["s"])
	}
}

func TestALateReadIsNotKept(t *testing.T) {
	c := newCache(maxEntries)
	e := newEntry(&Principal{SessionID: "s", PersonID: "p"}, &mapping.Access{}, nil)
	generation := c.generation(e.hash)
	c.forget("p") // heard while it was being read
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
	m.cache.put(newEntry(&Principal{SessionID: "s"}, &mapping.Access{}, nil), m.cache.generation([32]byte{}))
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

// What nobody uses any more takes no memory, however it is looked through; its
// last use is written down all the same.
func TestWhatIsOverIsForgotten(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	m := New(Config{Now: func() time.Time { return now }, Idle: time.Hour})
	const many = 3 * stride
	for i := range many {
		p := &Principal{SessionID: fmt.Sprint("s", i), PersonID: fmt.Sprint("p", i%1000), hash: [32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, Expires: now.Add(time.Hour)}
		seen := now
		switch i % 3 {
		case 1:
			p.Expires = now
		case 2:
			seen = now.Add(-time.Hour)
		}
		e := newEntry(p, &mapping.Access{}, nil)
		e.seen.Store(seen.UnixNano())
		m.cache.put(e, m.cache.generation(e.hash))
	}
	m.sweep()
	if got := len(m.cache.all); got != many/3 {
		t.Fatalf("%d are remembered, want %d", got, many/3)
	}
	for i, e := range m.cache.all {
		if int(e.at) != i || m.cache.get(e.hash) != e || m.cache.session(e.sessionID()) != e || now.UnixMicro() >= e.expires || e.seen.Load() != now.UnixNano() {
			t.Fatalf("entry %d is out of place, or over", i)
		}
	}
	written := make(map[string]time.Time)
	for at := 0; at >= 0; {
		var some map[string]time.Time
		some, at = m.cache.pending(saveBatch, at)
		maps.Copy(written, some)
		m.cache.saved(some)
	}
	if len(written) != many || len(m.cache.unsaved) != 0 {
		t.Errorf("%d last uses were written down, %d are left; want %d and none", len(written), len(m.cache.unsaved), many)
	}
}

// Beyond the bound it is what was used longest ago that falls out, as far as a
// look at a few of them tells.
func TestWhatWasUsedLatelyStays(t *testing.T) {
	c := newCache(1000)
	for i := range 2000 {
		e := newEntry(&Principal{SessionID: fmt.Sprint("s", i), PersonID: fmt.Sprint("p", i), hash: [32]byte{byte(i), byte(i >> 8)}}, &mapping.Access{}, nil)
		e.seen.Store(int64(i))
		c.put(e, c.generation(e.hash))
	}
	late := 0
	for _, e := range c.all {
		if e.seen.Load() >= 1500 {
			late++
		}
	}
	if late < 450 {
		t.Errorf("of the latest 500 only %d are remembered", late)
	}
}
