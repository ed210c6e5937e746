package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// errand is a wish by its name; what stands before a slash is its key.
type errand string

func (e errand) key() string {
	key, _, _ := strings.Cut(string(e), "/")
	return key
}

// road is a convoy of errands, each of which takes until it is let through.
type road struct {
	convoy convoy[errand]
	gates  map[string]chan error // by the errands that are done at once
	mu     sync.Mutex
	trips  []string // in the order in which they began
	told   map[errand]error
}

func newRoad() *road {
	return &road{convoy: convoy[errand]{hold: time.Hour}, gates: make(map[string]chan error), told: make(map[errand]error)}
}

func (r *road) do(_ context.Context, all []errand) error {
	trip := fmt.Sprint(all)
	gate := make(chan error)
	r.mu.Lock()
	r.trips, r.gates[trip] = append(r.trips, trip), gate
	r.mu.Unlock()
	return <-gate
}

// start begins an errand and waits until it waits.
func (r *road) start(ctx context.Context, line string, e errand) {
	go func() {
		err := r.convoy.travel(ctx, line, e, r.do)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told[e] = err
	}()
	synctest.Wait()
}

// let ends a trip.
func (r *road) let(trip string, err error) {
	r.mu.Lock()
	gate := r.gates[trip]
	r.mu.Unlock()
	gate <- err
	synctest.Wait()
}

// is checks the trips that have begun.
func (r *road) is(t *testing.T, want ...string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.trips, want) {
		t.Errorf("the trips are %v, want %v", r.trips, want)
	}
}

// over checks what everybody is told, and that no line is left.
func (r *road) over(t *testing.T, want map[errand]error) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !maps.Equal(r.told, want) {
		t.Errorf("they are told %v, want %v", r.told, want)
	}
	if len(r.convoy.lines) > 0 {
		t.Errorf("lines are left: %v", r.convoy.lines)
	}
}

// busy are as many errands as go by themselves.
var busy = []errand{"w", "x", "y", "z"}

// fill begins them.
func (r *road) fill(t *testing.T) {
	t.Helper()
	for _, e := range busy {
		r.start(t.Context(), "line", e)
	}
	r.is(t, "[w]", "[x]", "[y]", "[z]")
}

// empty ends them.
func (r *road) empty() {
	for _, e := range busy {
		r.let(fmt.Sprint([]errand{e}), nil)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range busy {
		delete(r.told, e)
	}
	r.trips = r.trips[len(busy):]
}

func TestWhoComesMeanwhileGoesWithTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoad()
		r.fill(t)
		for _, e := range []errand{"a", "b", "c", "d"} {
			r.start(t.Context(), "line", e)
		}
		r.start(t.Context(), "other", "o") // has nothing to do with it
		r.is(t, "[w]", "[x]", "[y]", "[z]", "[o]")
		r.let("[w]", nil)
		r.let("[x]", nil)
		r.is(t, "[w]", "[x]", "[y]", "[z]", "[o]")
		r.let("[y]", nil)
		r.is(t, "[w]", "[x]", "[y]", "[z]", "[o]", "[a b c d]") // beside the last one
		r.start(t.Context(), "line", "e")
		r.let("[z]", nil)
		r.is(t, "[w]", "[x]", "[y]", "[z]", "[o]", "[a b c d]") // one alone is not worth it
		r.let("[a b c d]", nil)
		r.is(t, "[w]", "[x]", "[y]", "[z]", "[o]", "[a b c d]", "[e]")
		r.let("[e]", nil)
		r.let("[o]", nil)
		want := make(map[errand]error)
		for _, e := range []errand{"w", "x", "y", "z", "o", "a", "b", "c", "d", "e"} {
			want[e] = nil
		}
		r.over(t, want)
	})
}

func TestNoTwoOfAKeyGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoad()
		r.fill(t)
		for _, e := range []errand{"b/1", "b/2", "c"} {
			r.start(t.Context(), "line", e)
		}
		r.empty()
		for _, trip := range []string{"[b/1 c]", "[b/2]"} {
			r.let(trip, nil)
		}
		r.over(t, map[errand]error{"b/1": nil, "b/2": nil, "c": nil})
	})
}

// Whoever goes away before it begins is not taken along; whoever does so later
// is told how it ended, and spoils it for nobody.
func TestWhoGoesAwayIsNotTakenAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoad()
		r.fill(t)
		first, leave := context.WithCancel(t.Context())
		r.start(first, "line", "b")
		leave()
		synctest.Wait()
		second, leave := context.WithCancel(t.Context())
		r.start(second, "line", "c")
		r.start(second, "line", "d")
		r.empty()
		leave()
		synctest.Wait()
		r.let("[c d]", nil)
		r.is(t, "[c d]")
		r.over(t, map[errand]error{"b": context.Canceled, "c": nil, "d": nil})
	})
}

func TestNobodysContextEndsWhatIsForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoad()
		r.fill(t)
		mine, leave := context.WithCancel(t.Context())
		defer leave()
		free := make(chan struct{})
		var seen error
		var all sync.WaitGroup
		for _, e := range []errand{"b", "c"} {
			all.Go(func() {
				_ = r.convoy.travel(mine, "line", e, func(ctx context.Context, _ []errand) error {
					leave()
					<-free
					seen = ctx.Err()
					if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > patience {
						seen = errors.New("it is not bounded")
					}
					return nil
				})
			})
			synctest.Wait()
		}
		r.empty()
		close(free)
		all.Wait()
		if seen != nil {
			t.Errorf("the transaction of both has the context of one: %v", seen)
		}
	})
}

func TestWhatFailsTogetherIsTriedApart(t *testing.T) {
	refused := &pgconn.PgError{SeverityUnlocalized: "ERROR"}
	for name, failed := range map[string]error{"the database": fmt.Errorf("refused: %w", refused), "nothing was done": errApart} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRoad()
				r.fill(t)
				for _, e := range []errand{"b", "c", "d"} {
					r.start(t.Context(), "line", e)
				}
				r.empty()
				r.let("[b c d]", failed)
				own := errors.New("its own")
				r.let("[b]", nil)
				r.let("[c]", own)
				r.let("[d]", refused)
				r.over(t, map[errand]error{"b": nil, "c": own, "d": refused})
			})
		})
	}
}

// Of what was cut off nobody knows whether it was done: it is not done again.
func TestWhatWasCutOffIsNotTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, cut := range []error{errors.New("unexpected EOF"), &pgconn.PgError{SeverityUnlocalized: "FATAL"}} {
			r := newRoad()
			r.fill(t)
			r.start(t.Context(), "line", "b")
			r.start(t.Context(), "line", "c")
			r.empty()
			r.let("[b c]", cut)
			r.is(t, "[b c]")
			r.over(t, map[errand]error{"b": cut, "c": cut})
		}
	})
}

// Whoever has to wait long, for somebody's lock or the disk, keeps nobody behind.
func TestNobodyWaitsLongForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoad()
		r.convoy.hold = hold
		r.fill(t)
		r.start(t.Context(), "line", "b")
		r.start(t.Context(), "line", "c")
		<-time.After(hold)
		synctest.Wait()
		r.is(t, "[w]", "[x]", "[y]", "[z]", "[b c]")
		r.let("[b c]", nil)
		r.empty()
		r.over(t, map[errand]error{"b": nil, "c": nil})
	})
}

func TestAPanicTakesNobodyAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoad()
		r.fill(t)
		var all sync.WaitGroup
		errs := make(chan error, 2)
		for _, e := range []errand{"b", "c"} {
			all.Go(func() {
				defer func() {
					if recover() != nil {
						errs <- errors.New("it panicked")
					}
				}()
				errs <- r.convoy.travel(t.Context(), "line", e, func(context.Context, []errand) error { panic("of b") })
			})
			synctest.Wait()
		}
		r.empty()
		all.Wait()
		for range 2 {
			if err := <-errs; err == nil {
				t.Error("somebody is told that it was done")
			}
		}
		r.over(t, map[errand]error{})
	})
}

// Whatever the order, and whatever fails: each errand is done once if it is told
// that it was, by somebody of its line.
func TestEachErrandIsDoneOnce(t *testing.T) {
	c := convoy[errand]{hold: time.Millisecond}
	var mu sync.Mutex
	done := make(map[errand]int)
	var all sync.WaitGroup
	for i := range 2000 {
		line := fmt.Sprintf("line%d", i%3)
		e := errand(fmt.Sprintf("%s.%d/%d", line, rand.IntN(20), i))
		all.Go(func() {
			err := c.travel(t.Context(), line, e, func(_ context.Context, es []errand) error {
				if len(es) > 1 && rand.IntN(4) == 0 {
					return errApart
				}
				mu.Lock()
				defer mu.Unlock()
				keys := make(map[string]bool)
				for _, other := range es {
					if !strings.HasPrefix(string(other), line) || keys[other.key()] {
						t.Errorf("%v go together", es)
					}
					keys[other.key()] = true
					done[other]++
				}
				return nil
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil || done[e] != 1 {
				t.Errorf("%s is told %v, and done %d times", e, err, done[e])
			}
		})
	}
	all.Wait()
	if len(c.lines) > 0 {
		t.Errorf("lines are left: %v", c.lines)
	}
}
