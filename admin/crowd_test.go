package admin

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"portcullis/directory"
	"portcullis/mapping"
)

// slow is a directory of one person that is read when it is let.
type slow struct {
	Directory

	mu    sync.Mutex
	reads int
	fail  error
	began chan struct{}
	let   chan struct{}
}

func (d *slow) StandingsAfter(context.Context, int64, int) ([]directory.Standing, int64, error) {
	d.began <- struct{}{}
	<-d.let
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	return []directory.Standing{{Person: directory.Person{ID: "p", Name: "Ada"}}}, 0, d.fail
}

// Everybody is read once for all who ask, and again after a minute; whoever
// leaves does not spoil it for the others.
func TestEverybodyIsReadOnceForAllWhoAsk(t *testing.T) {
	t.Parallel()
	d, now := &slow{began: make(chan struct{}, 1), let: make(chan struct{})}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := &crowds{directory: d, now: func() time.Time { return now }}
	first, leave := context.WithCancel(t.Context())
	got := make(chan *crowd, 2)
	ask := func(ctx context.Context) {
		all, err := c.get(ctx)
		if err != nil {
			t.Error(err)
		}
		got <- all
	}
	go ask(first)
	<-d.began
	leave()
	go ask(t.Context())
	d.let <- struct{}{}
	one, two := <-got, <-got
	if one != two || d.reads != 1 || one.label("p") != "Ada" || one.label("q") != "q" {
		t.Errorf("read %d times: %v, %v", d.reads, one, two)
	}
	now = now.Add(crowdFresh - time.Second)
	if again, err := c.get(t.Context()); err != nil || again != one {
		t.Errorf("within a minute: %v, %v", again, err)
	}
	now = now.Add(time.Second)
	d.fail = errors.New("gone")
	go func() { <-d.began; d.let <- struct{}{} }()
	if _, err := c.get(t.Context()); !errors.Is(err, d.fail) {
		t.Errorf("error = %v, want %v", err, d.fail)
	}
	d.fail = nil
	go func() { <-d.began; d.let <- struct{}{} }()
	later, err := c.get(t.Context())
	if err != nil || later == one || d.reads != 3 {
		t.Errorf("after a minute: %v, %v, read %d times", later, err, d.reads)
	}
	if c.forget(one); c.last != later {
		t.Error("what is new is forgotten with what is old")
	}
	if c.forget(later); c.last != nil {
		t.Error("it is kept for ever")
	}
}

// Lists that many people have are kept once.
func TestAlikeListsAreKeptOnce(t *testing.T) {
	t.Parallel()
	p := pool{make(map[string][]string), make(map[string][]mapping.Group)}
	standing := func(groups ...string) *directory.Standing {
		return &directory.Standing{Assertion: directory.Assertion{Groups: groups}}
	}
	a, b, other := p.member(standing("x", "y")), p.member(standing("x", "y")), p.member(standing("x\x00y"))
	if &a.facts.Groups[0] != &b.facts.Groups[0] || len(other.facts.Groups) != 1 {
		t.Errorf("groups = %q, %q, %q", a.facts.Groups, b.facts.Groups, other.facts.Groups)
	}
}
