package admin

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"portcullis/directory"
	"portcullis/mapping"
)

// The bounds of what is kept in memory of everybody. It is dropped when nobody
// has asked for a while, and read anew after a longer one however often
// somebody asks. More people than that, at about a kilobyte each, are not kept:
// they are read page by page each time.
const (
	crowdKept = 10 * time.Minute
	crowdLife = 30 * time.Minute
	crowdMost = 250_000
)

// crowd is everybody's facts at one moment. It does not change any more.
type crowd struct {
	at    time.Time
	known []directory.Known
	place func() map[string]int // by id
	paged Directory             // of so many that they are not kept; nil otherwise
	of    map[string]bool       // ids of those who count; nil: everybody

	read  time.Time       // when all of them were
	since *directory.Mark // what happened until then is in it; nil: nobody knows until when
	next  directory.Mark  // which takes its place once it is settled
}

// people gives everybody who counts, called by their id, until ctx ends. What went wrong
// ends it, too, and stands in failed.
func (c *crowd) people(ctx context.Context, failed *error) iter.Seq2[string, *mapping.Facts] {
	return func(yield func(string, *mapping.Facts) bool) {
		for i := range c.known {
			if i%lookBatch == 0 && ctx.Err() != nil {
				*failed = ctx.Err()
				return
			}
			if c.counts(c.known[i].ID) && !yield(c.known[i].ID, &c.known[i].Facts) {
				return
			}
		}
		for after, more := int64(0), c.paged != nil; more; more = after > 0 {
			var page []directory.Standing
			if page, after, *failed = c.paged.StandingsAfter(ctx, time.Time{}, after, lookBatch); *failed != nil {
				return
			}
			for i := range page {
				if !c.counts(page[i].Person.ID) {
					continue
				}
				facts := page[i].Facts()
				if !yield(page[i].Person.ID, &facts) {
					return
				}
			}
		}
	}
}

// counts reports whether somebody is one of those who count.
func (c *crowd) counts(id string) bool { return c.of == nil || c.of[id] }

// label is what somebody of the crowd is called.
func (c *crowd) label(ctx context.Context, id string) string {
	if c.paged != nil {
		if s, err := c.paged.Look(ctx, id); err == nil {
			return personWire(&s.Person).Label()
		}
		return id
	}
	if i, ok := c.place()[id]; ok {
		f := &c.known[i].Facts
		return personJSON{ID: id, Name: f.Name, UserName: f.UserName, Email: f.Email}.Label()
	}
	return id
}

// userName is the userName of somebody of the crowd, or their id.
func (c *crowd) userName(ctx context.Context, id string) string {
	name := ""
	if c.paged != nil {
		if s, err := c.paged.Look(ctx, id); err == nil {
			name = s.Person.UserName
		}
	} else if i, ok := c.place()[id]; ok {
		name = c.known[i].Facts.UserName
	}
	if name == "" {
		return id
	}
	return name
}

// crowds keeps the facts of everybody, so that whoever writes at a mapping
// sees at once whom it touches: to read them takes longer than to evaluate
// them. What becomes of people meanwhile is read each time somebody asks.
type crowds struct {
	directory Directory
	count     func(context.Context) (int, error) // how many people there are
	now       func() time.Time
	ahead     chan struct{} // somebody will ask soon

	mu   sync.Mutex
	last *crowd
	drop *time.Timer
	busy chan struct{} // closed when whoever reads is done; nil while nobody does
}

func newCrowds(d Directory, s Store, now func() time.Time) *crowds {
	count := func(ctx context.Context) (int, error) {
		n, err := s.PeopleCounts(ctx, "", nil)
		return n.All, err
	}
	return &crowds{directory: d, count: count, now: now, ahead: make(chan struct{}, 1)}
}

// get gives everybody as they are. Several who ask at once read one after the other,
// and the second reads only what has changed since the first began; a
// reading goes on when whoever asked for it leaves.
func (c *crowds) get(ctx context.Context) (*crowd, error) {
	for {
		c.mu.Lock()
		wait := c.busy
		if wait == nil {
			break
		}
		c.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	done, last := make(chan struct{}), c.last
	c.busy = done
	c.mu.Unlock()
	fresh, err := c.renew(context.WithoutCancel(ctx), last)
	c.mu.Lock()
	c.busy = nil
	if err == nil && fresh.paged == nil {
		c.last = fresh
		if c.drop == nil {
			c.drop = time.AfterFunc(crowdKept, c.forget)
		}
		c.drop.Reset(crowdKept)
	}
	c.mu.Unlock()
	close(done)
	return fresh, err
}

// forget drops what is kept.
func (c *crowds) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = nil
}

// soon says that somebody will ask.
func (c *crowds) soon() {
	select {
	case c.ahead <- struct{}{}:
	default:
	}
}

// begin says that somebody will ask in a moment: where nobody is in memory the
// reading begins, on the other processors.
func (c *crowds) begin() {
	c.mu.Lock()
	cold := c.last == nil && c.busy == nil
	c.mu.Unlock()
	if cold {
		c.soon()
	}
}

// readAhead reads everybody when somebody will ask, until ctx ends.
func (c *crowds) readAhead(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.ahead:
			_, _ = c.get(ctx) // whoever asks then is told what is wrong
		}
	}
}

// renew gives the crowd of now, of the last one if it can.
func (c *crowds) renew(ctx context.Context, last *crowd) (*crowd, error) {
	now := c.now()
	if last == nil || last.since == nil || now.Sub(last.read) >= crowdLife || now.Before(last.read) {
		return c.read(ctx, now)
	}
	moved, err := c.directory.MovedSince(ctx, *last.since)
	if err != nil {
		return nil, err
	}
	if moved.Many {
		return c.read(ctx, now)
	}
	return last.after(now, &moved), nil
}

// read reads everybody.
func (c *crowds) read(ctx context.Context, now time.Time) (*crowd, error) {
	n, err := c.count(ctx)
	if err != nil {
		return nil, err
	}
	if n > crowdMost {
		return &crowd{at: now, paged: c.directory}, nil
	}
	known, mark, err := c.directory.Everybody(ctx, n)
	if err != nil {
		return nil, err
	}
	out := &crowd{at: now, read: now, known: known, since: mark}
	if mark != nil {
		out.next = *mark
	}
	out.index()
	return out, nil
}

// index makes an index when somebody asks by id.
func (c *crowd) index() {
	known := c.known
	c.place = sync.OnceValue(func() map[string]int {
		place := make(map[string]int, len(known))
		for i := range known {
			place[known[i].ID] = i
		}
		return place
	})
}

// after is the crowd with what became of people since.
func (c *crowd) after(now time.Time, m *directory.Moved) *crowd {
	out := *c
	out.at = now
	if c.next.Settled(m.Mark) {
		out.since, out.next = &c.next, m.Mark
	}
	if len(m.People) == 0 && len(m.Gone) == 0 {
		return &out
	}
	out.known = slices.Clone(c.known)
	same := true // are those who stay where they were
	place := c.place()
	for _, k := range m.People {
		if i, ok := place[k.ID]; ok {
			out.known[i] = k
			continue
		}
		out.known, same = append(out.known, k), false
	}
	gone := make(map[string]bool, len(m.Gone))
	for _, id := range m.Gone {
		if _, was := place[id]; was {
			gone[id], same = true, false
		}
	}
	if len(gone) > 0 {
		out.known = slices.DeleteFunc(out.known, func(k directory.Known) bool { return gone[k.ID] })
	}
	if !same {
		out.index()
	}
	return &out
}
