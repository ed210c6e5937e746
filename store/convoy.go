package store

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// PostgreSQL takes longer to begin and to end a statement and a transaction
// than to do one more row in it. What many transactions of a line, a connection
// of an identity provider, want at the same time is therefore done as one:
// whoever comes while others are under way waits, and the first of those who wait
// then does what all of them want. Where that fails, each does its own by itself,
// as the few do whom nobody waits behind. Lines never wait for each other.

// wish is what a transaction wants done that wants nothing else.
type wish interface {
	// key is what no two of one transaction have alike.
	key() string
}

const (
	// abreast is how many transactions of a line are under way at a time: one has
	// the processor while the other waits for the disk.
	abreast = 2
	// few is how many go by themselves, as long as there are no more: what one
	// for each would cost is what it is to save. So many wait at least before
	// another one sets out beside the first.
	few = 4
	// hold is how long those under way keep others waiting at most. Whoever does
	// what several want waits as long for somebody's lock.
	hold = 100 * time.Millisecond
)

// convoy are those who travel together.
type convoy[T wish] struct {
	hold time.Duration

	mu    sync.Mutex
	lines map[string]*line[T] // where somebody is under way
}

type line[T wish] struct {
	underway int             // transactions
	aboard   int             // for whom they are
	most     int             // how many were aboard or waiting at once since the last ones have arrived
	before   int             // and before they had
	waiting  []*traveller[T] // in the order in which they came
}

// traveller is a transaction with its wish.
type traveller[T wish] struct {
	wish T
	turn chan []*traveller[T] // for whom it is to do it, itself first; closed once another one has done so
	err  error                // how that ended
}

// errApart is how it ended where everybody is to go by themselves.
var errApart = errors.New("together it could not be done")

// travel does what a transaction of a line wants: by itself, or together with
// what others want, or another one has done it. What do gets is w alone, or the
// wishes of several; of those nothing may be done where it gives errApart or an
// error of the database. It may be called again after that, with w.
func (c *convoy[T]) travel(ctx context.Context, name string, w T, do func(context.Context, []T) error) error {
	me := &traveller[T]{wish: w, turn: make(chan []*traveller[T], 1)}
	all, err := c.wait(ctx, name, me)
	switch {
	case err != nil:
		return err
	case all == nil:
		err = me.err
	default:
		err = c.lead(ctx, name, all, do)
	}
	if errors.Is(err, errApart) {
		return do(ctx, []T{w})
	}
	return err
}

// wait gives those for whom it is time to set out; nobody if another one has
// done so. It fails when ctx ends before.
func (c *convoy[T]) wait(ctx context.Context, name string, me *traveller[T]) ([]*traveller[T], error) {
	c.mu.Lock()
	l := c.lines[name]
	if l == nil {
		if c.lines == nil {
			c.lines = make(map[string]*line[T])
		}
		l = &line[T]{}
		c.lines[name] = l
	}
	l.waiting = append(l.waiting, me)
	l.start()
	c.mu.Unlock()
	select {
	case all := <-me.turn:
		return all, nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	at := slices.Index(l.waiting, me)
	if at >= 0 {
		l.waiting = slices.Delete(l.waiting, at, at+1)
	}
	c.mu.Unlock()
	if at >= 0 {
		return nil, ctx.Err()
	}
	return <-me.turn, nil // it is for others as well, or is being done
}

// start lets those set out who wait, but for the second one of a key.
func (l *line[T]) start() {
	n := len(l.waiting)
	l.most = max(l.most, l.aboard+n)
	if n == 0 || l.underway > 0 && max(l.most, l.before) > few && (l.underway >= abreast || n < few) {
		return
	}
	l.underway++
	var all, rest []*traveller[T]
	taken := make(map[string]bool, len(l.waiting))
	for _, t := range l.waiting {
		if key := t.wish.key(); len(all) < mostTogether && !taken[key] {
			taken[key] = true
			all = append(all, t)
		} else {
			rest = append(rest, t)
		}
	}
	l.waiting = rest
	l.aboard += len(all)
	all[0].turn <- all
}

// arrived lets the next ones set out in place of those who were under way.
func (c *convoy[T]) arrived(name string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lines[name]
	l.underway--
	l.aboard -= n
	l.before, l.most = l.most, 0
	l.start()
	if l.underway == 0 {
		delete(c.lines, name)
	}
}

// lead does what all want, and tells them how it ended.
func (c *convoy[T]) lead(ctx context.Context, name string, all []*traveller[T], do func(context.Context, []T) error) (err error) {
	arrived := sync.OnceFunc(func() { c.arrived(name, len(all)) })
	late := time.AfterFunc(c.hold, arrived)
	err = errors.New("it was not done") // unless do returns
	defer func() {
		late.Stop()
		arrived()
		for _, t := range all[1:] {
			t.err = err
			close(t.turn)
		}
	}()
	if len(all) == 1 {
		err = do(ctx, []T{all[0].wish})
		return err
	}
	wishes := make([]T, len(all))
	for i, t := range all {
		wishes[i] = t.wish
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), patience) // it is for others as well
	defer stop()
	if err = do(ctx, wishes); undone(err) {
		err = errApart
	}
	return err
}

// undone reports whether PostgreSQL says that it has done nothing, or was never
// asked. Where a connection was cut nobody knows.
func undone(err error) bool {
	if pgconn.SafeToRetry(err) {
		return true
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.SeverityUnlocalized == "ERROR"
}

// convoys are those of a database.
type convoys struct {
	arrivals   convoy[*newcomer]
	departures convoy[*leaver]
	hurry      string // how long a transaction that does the work of several waits for a lock
}

func newConvoys(hold time.Duration) *convoys {
	c := &convoys{hurry: strconv.FormatInt(hold.Milliseconds(), 10)}
	c.arrivals.hold, c.departures.hold = hold, hold
	return c
}

// hurried makes a transaction wait for no lock longer than its argument says, in
// milliseconds: whoever's work has to wait does it alone. It plans once for any
// number of rows, for what PostgreSQL hopes to save by planning for each is less
// than what it takes; and by indexes, for a plan that was made while there was
// nobody is kept until there are many.
const hurried = "set_config('lock_timeout', ?, TRUE), set_config('plan_cache_mode', 'force_generic_plan', TRUE), set_config('enable_seqscan', 'off', TRUE)"

// together does what a transaction wants, and ends it: with one, or in a line,
// where nothing else was done in it, with others and then all.
func together[T wish](l *postgresLane, c *convoy[T], line string, w T, one func() error, all func([]T) error) error {
	if !l.isFresh() {
		return one()
	}
	err := c.travel(l.ctx, line, w, func(ctx context.Context, wishes []T) error { //nolint:contextcheck // a lane holds its context
		if l.ended { // together it could not be done
			if err := l.reopen(); err != nil {
				return err
			}
		}
		if len(wishes) == 1 {
			return one()
		}
		own := l.ctx
		l.ctx = ctx
		defer func() { l.ctx = own }()
		return all(wishes)
	})
	if err == nil { // whoever has done it
		l.queued, l.ended = &pgx.Batch{}, true
	}
	return err
}
