package admin

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"portcullis/directory"
	"portcullis/mapping"
)

// slow is a directory that is read when it is let.
type slow struct {
	Directory

	people  []directory.Known
	moved   directory.Moved
	running bool // a transaction that does not end
	whole   int  // how often everybody was read
	parts   int  // how often what is new
	fail    error
	began   chan struct{}
	let     chan struct{}
}

func (d *slow) pause() {
	if d.began != nil {
		d.began <- struct{}{}
		<-d.let
	}
}

func (d *slow) Everybody(context.Context, int) ([]directory.Known, *directory.Mark, error) {
	d.pause()
	d.whole++
	if d.running {
		return slices.Clone(d.people), nil, d.fail
	}
	return slices.Clone(d.people), &directory.Mark{}, d.fail
}

func (d *slow) MovedSince(context.Context, directory.Mark) (directory.Moved, error) {
	d.pause()
	d.parts++
	return d.moved, d.fail
}

func (d *slow) StandingsAfter(_ context.Context, _ time.Time, after int64, limit int) (page []directory.Standing, next int64, err error) {
	for i := int(after); i < len(d.people) && len(page) < limit; i++ {
		page = append(page, directory.Standing{Person: directory.Person{ID: d.people[i].ID, Name: d.people[i].Facts.Name}})
	}
	if next = after + int64(len(page)); int(next) >= len(d.people) {
		next = 0
	}
	return page, next, d.fail
}

func (d *slow) Look(_ context.Context, id string) (directory.Standing, error) {
	return directory.Standing{Person: directory.Person{ID: id, Name: "Name of " + id}}, nil
}

func known(id, name string) directory.Known {
	return directory.Known{ID: id, Facts: mapping.Facts{Name: name}}
}

// names are everybody of a crowd, in its order.
func (c *crowd) names(t *testing.T) (out []string) {
	t.Helper()
	var failed error
	for id, f := range c.people(t.Context(), &failed) {
		if c.paged == nil && c.label(t.Context(), id) != f.Name {
			t.Errorf("label of %s = %s, want %s", id, c.label(t.Context(), id), f.Name)
		}
		out = append(out, id+" "+f.Name)
	}
	if failed != nil {
		t.Error(failed)
	}
	return out
}

func crowdsOf(d *slow, now *time.Time) *crowds {
	c := &crowds{directory: d, ahead: make(chan struct{}, 1), now: func() time.Time { return *now }}
	c.count = func(context.Context) (int, error) { return len(d.people), nil }
	return c
}

// Everybody is read once for all who ask; after that only what became of
// people meanwhile, which everybody sees at once.
func TestEverybodyIsReadOnceForAllWhoAsk(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	d := &slow{people: []directory.Known{known("a", "Ada"), known("b", "Bob"), known("c", "Cyd")}}
	c := crowdsOf(d, &now)
	look := func(want ...string) *crowd {
		t.Helper()
		all, err := c.get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := all.names(t); !slices.Equal(got, want) {
			t.Errorf("everybody = %q, want %q", got, want)
		}
		return all
	}
	old := look("a Ada", "b Bob", "c Cyd")
	look("a Ada", "b Bob", "c Cyd")
	d.moved = directory.Moved{People: []directory.Known{known("b", "Bea"), known("d", "Dan")}, Gone: []string{"a", "never"}}
	look("b Bea", "c Cyd", "d Dan")
	look("b Bea", "c Cyd", "d Dan") // what comes again changes nothing
	if got := old.names(t); !slices.Equal(got, []string{"a Ada", "b Bob", "c Cyd"}) {
		t.Errorf("what somebody holds became %q", got)
	}
	if d.whole != 1 || d.parts != 3 {
		t.Errorf("read %d times and %d times in part, want once and 3 times", d.whole, d.parts)
	}
	d.people = []directory.Known{known("x", "Xan")}
	d.moved = directory.Moved{Many: true}
	look("x Xan")
	d.moved = directory.Moved{}
	d.people = []directory.Known{known("y", "Yan")}
	now = now.Add(crowdLife)
	look("y Yan")
	d.running = true
	c.forget()
	look("y Yan")
	d.people = []directory.Known{known("z", "Zoe")}
	look("z Zoe") // nobody knows until when the last one is right
	d.fail = errors.New("gone")
	if _, err := c.get(t.Context()); !errors.Is(err, d.fail) {
		t.Errorf("error = %v, want %v", err, d.fail)
	}
	d.fail = nil
	look("z Zoe")
}

// Whoever leaves does not spoil the reading for others; who comes late waits
// for it and reads the rest; and what nobody asks for is not kept.
func TestWhoWaitsForEverybody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		d := &slow{people: []directory.Known{known("a", "Ada")}, began: make(chan struct{}), let: make(chan struct{})}
		c := crowdsOf(d, &now)
		leaving, leave := context.WithCancel(t.Context())
		done := make(chan error)
		ask := func(ctx context.Context) {
			_, err := c.get(ctx)
			done <- err
		}
		go ask(leaving)
		<-d.began
		go ask(leaving)
		go ask(t.Context())
		synctest.Wait()
		leave()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("who left while waiting: %v", err)
		}
		d.let <- struct{}{}
		if err := <-done; err != nil {
			t.Errorf("who left while reading: %v", err)
		}
		<-d.began
		d.let <- struct{}{}
		if err := <-done; err != nil || d.whole != 1 || d.parts != 1 {
			t.Errorf("who waited: %v, read %d times and %d in part", err, d.whole, d.parts)
		}
		kept := func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.last != nil
		}
		for _, step := range []struct {
			passed time.Duration
			kept   bool
		}{{crowdKept - time.Second, true}, {2 * time.Second, false}} {
			<-time.After(step.passed) // by the clock of the bubble: nobody waits
			synctest.Wait()
			if kept() != step.kept {
				t.Errorf("%s later it is kept: %t", step.passed, !step.kept)
			}
		}
	})
}

// When somebody opens the mapping everybody is read, before anybody asks.
func TestEverybodyIsReadAhead(t *testing.T) {
	t.Parallel()
	now := time.Now()
	d := &slow{people: []directory.Known{known("a", "Ada")}, began: make(chan struct{}), let: make(chan struct{})}
	c := crowdsOf(d, &now)
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { c.readAhead(ctx); close(over) }()
	c.soon()
	c.soon()
	<-d.began
	d.let <- struct{}{}
	stop()
	select {
	case <-d.began: // the second was noticed before the end
		d.let <- struct{}{}
	case <-over:
	}
	<-over
	if c.last == nil || d.whole != 1 {
		t.Errorf("read %d times", d.whole)
	}
}

// Who is about to ask begins the reading where nobody is in memory, and only
// there.
func TestAReadingBeginsWhereNobodyIsKept(t *testing.T) {
	t.Parallel()
	now := time.Now()
	d := &slow{people: []directory.Known{known("a", "Ada")}, began: make(chan struct{}), let: make(chan struct{})}
	c := crowdsOf(d, &now)
	wanted := func() bool {
		select {
		case <-c.ahead:
			return true
		default:
			return false
		}
	}
	if c.begin(); !wanted() {
		t.Error("nobody is in memory, and nobody reads")
	}
	done := make(chan error)
	go func() {
		_, err := c.get(t.Context())
		done <- err
	}()
	<-d.began
	if c.begin(); wanted() {
		t.Error("a second reading is begun beside the first")
	}
	d.let <- struct{}{}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if c.begin(); wanted() {
		t.Error("everybody is in memory, and read again")
	}
	if c.forget(); c.last != nil {
		t.Fatal("everybody is kept")
	}
	if c.begin(); !wanted() {
		t.Error("everybody was forgotten, and nobody reads")
	}
}

// More people than are kept are read page by page each time, and called by
// their names all the same.
func TestTooManyAreNotKept(t *testing.T) {
	t.Parallel()
	now := time.Now()
	d := &slow{}
	for i := range 2*lookBatch + 1 {
		d.people = append(d.people, known(strconv.Itoa(i), "Name"))
	}
	c := crowdsOf(d, &now)
	c.count = func(context.Context) (int, error) { return crowdMost + 1, nil }
	all, err := c.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(all.names(t)); n != len(d.people) || c.last != nil || all.label(t.Context(), "7") != "Name of 7" {
		t.Errorf("%d people, kept: %v, %s", n, c.last != nil, all.label(t.Context(), "7"))
	}
}
