package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"portcullis/directory"
)

// The bounds of revocation: a second, everywhere. A replica reads the change
// records at least every pollEvery, and sooner when it is woken. What it
// could not confirm for trust it no longer believes; the guard looks every
// guardEvery, so that streams too are cut within the second.
const (
	trust      = 900 * time.Millisecond
	guardEvery = 50 * time.Millisecond
	pollEvery  = 200 * time.Millisecond
	pollLimit  = 600 * time.Millisecond
)

// askLimit is how long a request waits to hear whose it is: a store that is
// silent refuses like one that is gone.
const askLimit = 3 * time.Second

// saveBatch is how many last uses are written down at once.
const saveBatch = 5000

// maxSleep is how long a replica may miss change records and still find them
// all: they are kept for an hour.
const (
	maxSleep   = 30 * time.Minute
	keepChange = time.Hour
)

// feed is the tail of the change records. Run's tail alone touches what is
// not atomic.
type feed struct {
	confirmed atomic.Int64           // when the last good read began, since Manager.started
	failed    atomic.Pointer[string] // why the last read was not good
	sessions  atomic.Uint64          // records applied, by what they say
	losses    atomic.Uint64
	updates   atomic.Uint64
	cursor    int64              // where the next read begins
	applied   map[int64]struct{} // what the last read gave, for it may come again; nil before the first
	wall      time.Time          // of the last good read, by the wall clock: a machine that sleeps misses it
}

// fresh reports whether the cache may be believed.
func (m *Manager) fresh(now time.Time) bool {
	at := m.feed.confirmed.Load()
	return at != 0 && now.Sub(m.started)-time.Duration(at) < trust
}

// Run applies change records as they come, cuts what has expired, and writes
// down when sessions were last used. It blocks until ctx ends, and then
// writes down what is left. Stop it after the last request: without it
// nothing ends a stream.
func (m *Manager) Run(ctx context.Context) error {
	// Apart from each other, so that nothing slow keeps the tail or the guard
	// from what they have to do within a second.
	var parts sync.WaitGroup
	for _, part := range []func(context.Context){m.tail, m.guard, m.recheckAll, m.keep} {
		parts.Go(func() { part(ctx) })
	}
	parts.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	m.save(last)
	return nil
}

// tail reads the change records.
func (m *Manager) tail(ctx context.Context) {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		m.follow(ctx)
		select {
		case <-ctx.Done():
			return
		case <-m.store.Woken():
		case <-poll.C:
		}
	}
}

// guard ends what nobody can vouch for while the change records cannot be
// read: the cache, and every stream that the store did not vouch for lately.
func (m *Manager) guard(ctx context.Context) {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	trusted := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := m.now()
		if m.fresh(now) {
			if !trusted {
				m.log.InfoContext(ctx, "change records are read; the cache is trusted")
			}
			trusted = true
			continue
		}
		cut := m.cache.cutUnchecked(now.Sub(m.started) - trust)
		if !trusted && cut == 0 {
			continue
		}
		trusted = false
		m.cache.forget("")
		why := "no answer yet"
		if failed := m.feed.failed.Load(); failed != nil {
			why = *failed
		}
		m.log.ErrorContext(ctx, "change records cannot be read; nothing cached is trusted", "streams_cut", cut, "error", why)
	}
}

// follow reads and applies the records that are new.
func (m *Manager) follow(ctx context.Context) {
	began := m.now()
	ctx, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	if err := m.read(ctx, began); err != nil {
		why := err.Error()
		m.feed.failed.Store(&why)
		return
	}
	m.feed.failed.Store(nil)
	m.feed.confirmed.Store(max(int64(began.Sub(m.started)), 1))
}

var errRewound = errors.New("the change records went back: another database, or an older state of it")

func (m *Manager) read(ctx context.Context, began time.Time) error {
	f := &m.feed
	wall := began.Round(0)
	if wall.Sub(f.wall) > maxSleep {
		f.applied = nil
	}
	if f.applied == nil {
		first, err := m.store.LastChange(ctx)
		if err != nil {
			return err
		}
		// What was cached, and what streams were opened on, may miss earlier changes.
		m.cache.forget("")
		m.rechecks.add("")
		f.cursor, f.applied = first, make(map[int64]struct{})
	}
	changes, next, err := m.store.Changes(ctx, f.cursor)
	if err != nil {
		return err
	}
	if next < f.cursor {
		f.applied = nil
		return errRewound
	}
	given := make(map[int64]struct{}, len(changes))
	for _, c := range changes {
		given[c.Seq] = struct{}{}
		if _, done := f.applied[c.Seq]; !done {
			m.apply(c)
		}
	}
	f.applied, f.cursor, f.wall = given, next, wall
	return nil
}

// apply makes this replica forget what a change record names.
func (m *Manager) apply(c directory.Change) {
	switch {
	case c.Session != "":
		m.feed.sessions.Add(1)
	case c.Loss:
		m.feed.losses.Add(1)
	default:
		m.feed.updates.Add(1)
	}
	if c.Session != "" {
		m.cache.end(c.Session)
		return
	}
	if c.Organization != "" {
		m.applyTo(c.Organization, c.Loss)
		return
	}
	m.cache.forget(c.Person)
	if c.Loss {
		m.cache.cutPerson(c.Person)
		return
	}
	m.rechecks.add(c.Person)
}

// applyTo makes this replica forget an organization.
func (m *Manager) applyTo(organization string, loss bool) {
	for _, person := range m.cache.forgetOrganization(organization, loss) {
		m.rechecks.add(person)
	}
}

// keep does what can wait.
func (m *Manager) keep(ctx context.Context) {
	expire, save, tidy := time.NewTicker(pollEvery), time.NewTicker(min(30*time.Second, m.idle/4)), time.NewTicker(time.Hour)
	defer expire.Stop()
	defer save.Stop()
	defer tidy.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-expire.C:
			m.expire(ctx)
		case <-save.C:
			m.save(ctx)
			m.sweep()
		case <-tidy.C:
			m.tidy(ctx)
		}
	}
}

// expire cuts the streams of sessions that are over, and has those checked
// whose access may have changed by itself.
func (m *Manager) expire(ctx context.Context) {
	now := m.now()
	for _, person := range m.cache.due(now) {
		m.rechecks.add(person)
	}
	for _, s := range m.cache.open("") {
		idle := !s.principal.Token && now.Sub(time.Unix(0, s.seen.Load())) >= m.idle
		switch {
		case !now.Before(s.principal.Expires):
			m.cache.cutStream(s)
		case idle:
			m.expireIdle(ctx, s, now)
		}
	}
}

// expireIdle asks whether another replica has seen the person since.
func (m *Manager) expireIdle(ctx context.Context, s *stream, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	r, _, err := m.store.FindSession(ctx, s.principal.hash[:])
	if err != nil || m.alive(r, now) != nil {
		m.cache.cutStream(s)
		return
	}
	s.seen.Store(m.lastSeen(r).UnixNano())
}

// save writes down when sessions were last used, a part at a time.
func (m *Manager) save(ctx context.Context) {
	for at := 0; at >= 0; {
		var seen map[string]time.Time
		if seen, at = m.cache.pending(saveBatch, at); len(seen) == 0 {
			continue
		}
		if err := m.store.Touch(ctx, seen); err != nil {
			m.log.WarnContext(ctx, "last use of sessions not written; it will be tried again", "sessions", len(seen), "error", err)
			return
		}
		m.cache.saved(seen)
	}
}

// sweep forgets sessions that are over, and those that nobody uses any more.
func (m *Manager) sweep() {
	now := m.now()
	unused := now.Add(-m.idle).UnixNano()
	for at := 0; at >= 0; {
		at = m.cache.sweep(at, func(e *entry) bool { return now.UnixMicro() >= e.expires || e.seen.Load() <= unused })
	}
}

// tidy forgets what nobody needs any more.
func (m *Manager) tidy(ctx context.Context) {
	now := m.now().UTC()
	if err := m.store.DeleteSessions(ctx, now.AddDate(0, 0, -30)); err != nil {
		m.log.WarnContext(ctx, "old sessions not deleted", "error", err)
	}
	if err := m.store.DeleteChanges(ctx, now.Add(-keepChange)); err != nil {
		m.log.WarnContext(ctx, "old change records not deleted", "error", err)
	}
}
