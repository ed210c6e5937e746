package admin

import (
	"context"
	"iter"
	"strings"
	"sync"
	"time"

	"portcullis/directory"
	"portcullis/mapping"
)

// How old what is known of everybody may be for a preview, and for how long it
// is kept in memory when nobody asks.
const (
	crowdFresh = time.Minute
	crowdKept  = 3 * time.Minute
)

// member is somebody as a preview sees them.
type member struct {
	id    string
	label string
	facts mapping.Facts
}

// crowd is everybody's facts at one moment.
type crowd struct {
	at      time.Time
	members []member
	place   map[string]int // by id
}

// people gives everybody, called by their id.
func (c *crowd) people() iter.Seq2[string, *mapping.Facts] {
	return func(yield func(string, *mapping.Facts) bool) {
		for i := range c.members {
			if !yield(c.members[i].id, &c.members[i].facts) {
				return
			}
		}
	}
}

func (c *crowd) label(id string) string {
	if i, ok := c.place[id]; ok {
		return c.members[i].label
	}
	return id
}

// crowds keeps the facts of everybody for a minute, so that whoever writes at
// a mapping sees at once whom it touches: to read them takes longer than to
// evaluate them.
type crowds struct {
	directory Directory
	now       func() time.Time

	mu      sync.Mutex
	last    *crowd
	drop    *time.Timer
	loading chan struct{} // closed when it is over; nil while nobody reads
}

// get gives everybody as they were at most a minute ago. Several who ask at
// once wait for one reading, which goes on when the first of them leaves.
func (c *crowds) get(ctx context.Context) (*crowd, error) {
	for {
		c.mu.Lock()
		if c.last != nil && c.now().Sub(c.last.at) < crowdFresh {
			last := c.last
			c.drop.Reset(crowdKept)
			c.mu.Unlock()
			return last, nil
		}
		if wait := c.loading; wait != nil {
			c.mu.Unlock()
			select {
			case <-wait:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		done := make(chan struct{})
		c.loading = done
		c.mu.Unlock()
		fresh, err := c.read(context.WithoutCancel(ctx))
		c.mu.Lock()
		c.loading = nil
		if err == nil {
			c.last = fresh
			if c.drop != nil {
				c.drop.Stop()
			}
			c.drop = time.AfterFunc(crowdKept, func() { c.forget(fresh) })
		}
		c.mu.Unlock()
		close(done)
		return fresh, err
	}
}

func (c *crowds) forget(old *crowd) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == old {
		c.last = nil
	}
}

// read reads everybody, page by page. Lists that many have are kept once.
func (c *crowds) read(ctx context.Context) (*crowd, error) {
	out := &crowd{at: c.now(), place: make(map[string]int)}
	shared := pool{make(map[string][]string), make(map[string][]mapping.Group)}
	for after := int64(0); ; {
		page, next, err := c.directory.StandingsAfter(ctx, after, lookBatch)
		if err != nil {
			return nil, err
		}
		for i := range page {
			out.place[page[i].Person.ID] = len(out.members)
			out.members = append(out.members, shared.member(&page[i]))
		}
		if after = next; after == 0 {
			return out, nil
		}
	}
}

// pool keeps lists that are alike once.
type pool struct {
	names  map[string][]string
	groups map[string][]mapping.Group
}

func (p pool) member(s *directory.Standing) member {
	w := personWire(&s.Person)
	m := member{id: s.Person.ID, label: w.Label(), facts: s.Facts()}
	for _, list := range []*[]string{&m.facts.Groups, &m.facts.LastKnownGroups, &m.facts.AppRoles} {
		if *list == nil {
			continue
		}
		key := strings.Join(*list, "\x00")
		if old, ok := p.names[key]; ok && len(old) == len(*list) {
			*list = old
		} else {
			p.names[key] = *list
		}
	}
	var key strings.Builder
	for _, g := range m.facts.Pushed {
		key.WriteString(g.ExternalID + "\x00" + g.Name + "\x00")
	}
	if old, ok := p.groups[key.String()]; ok && len(old) == len(m.facts.Pushed) {
		m.facts.Pushed = old
	} else {
		p.groups[key.String()] = m.facts.Pushed
	}
	return m
}
