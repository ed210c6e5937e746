package session

import (
	"context"
	"reflect"
	"sync/atomic"
	"time"

	"portcullis/directory"
)

// The bounds of revocation. A replica reads the change records at least every
// pollEvery, and sooner when it is woken; what it could not confirm for trust
// it no longer believes.
const (
	trust     = time.Second
	pollEvery = 200 * time.Millisecond
	pollLimit = 700 * time.Millisecond
)

// feed is the tail of the change records.
type feed struct {
	confirmed atomic.Int64       // when the last good read began, since Manager.started
	after     int64              // every record up to here was applied
	applied   map[int64]struct{} // of those above
}

// fresh reports whether the cache may be believed.
func (m *Manager) fresh(now time.Time) bool {
	at := m.feed.confirmed.Load()
	return at != 0 && now.Sub(m.started)-time.Duration(at) < trust
}

// Run applies change records as they come, cuts what has expired, and writes
// down when sessions were last used. It blocks until ctx ends, and then
// writes down what is left.
func (m *Manager) Run(ctx context.Context) error {
	poll, save, tidy := time.NewTicker(pollEvery), time.NewTicker(min(30*time.Second, m.idle/4)), time.NewTicker(time.Hour)
	defer poll.Stop()
	defer save.Stop()
	defer tidy.Stop()
	for {
		m.follow(ctx)
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			m.save(last)
			return nil
		case <-m.store.Woken():
		case <-poll.C:
			m.expire(ctx)
		case <-save.C:
			m.save(ctx)
		case <-tidy.C:
			m.tidy(ctx)
		}
	}
}

// follow reads and applies the records that are new. When it cannot, and the
// last good read is too long ago, it cuts every stream: nobody can say that
// they may still run.
func (m *Manager) follow(ctx context.Context) {
	began := m.now().Sub(m.started)
	ctx, cancel := context.WithTimeout(ctx, pollLimit)
	defer cancel()
	err := m.read(ctx, max(began, 1))
	if err == nil || m.fresh(m.now()) || m.feed.confirmed.Load() == 0 {
		return
	}
	m.feed.confirmed.Store(0)
	m.cache.forget("")
	cut := m.cache.cutPerson("")
	m.log.ErrorContext(ctx, "change records cannot be read; nothing cached is trusted", "streams_cut", cut, "error", err)
}

func (m *Manager) read(ctx context.Context, began time.Duration) error {
	f := &m.feed
	if f.applied == nil {
		last, err := m.store.LastChange(ctx)
		if err != nil {
			return err
		}
		m.cache.forget("") // what was cached before may miss earlier changes
		f.after, f.applied = last, make(map[int64]struct{})
	}
	changes, settled, err := m.store.Changes(ctx, f.after)
	if err != nil {
		return err
	}
	for _, c := range changes {
		if _, done := f.applied[c.Seq]; done {
			continue
		}
		f.applied[c.Seq] = struct{}{}
		m.apply(ctx, c)
	}
	if settled > f.after {
		f.after = settled
		for seq := range f.applied {
			if seq <= settled {
				delete(f.applied, seq)
			}
		}
	}
	f.confirmed.Store(int64(began))
	return nil
}

// apply makes this replica forget what a change record names.
func (m *Manager) apply(ctx context.Context, c directory.Change) {
	if c.Session != "" {
		m.cache.end(c.Session)
		return
	}
	m.cache.forget(c.Person)
	if c.Loss {
		m.cache.cutPerson(c.Person)
		return
	}
	m.recheck(ctx, c.Person)
}

// recheck cuts the streams of a person whose access has become different;
// everybody's if person is empty. A stream comes back with the new rights.
func (m *Manager) recheck(ctx context.Context, person string) {
	for _, s := range m.cache.open(person) {
		e, err := m.load(ctx, s.principal.hash)
		if err != nil || !reflect.DeepEqual(e.principal.Access, s.principal.Access) {
			m.cache.end(s.principal.SessionID)
		}
	}
}

// PolicyChanged tells that another mapping is in force: requests see it at
// once by themselves, streams are checked here.
func (m *Manager) PolicyChanged(ctx context.Context) { m.recheck(ctx, "") }

// expire cuts the streams of sessions that are over.
func (m *Manager) expire(ctx context.Context) {
	now := m.now()
	for _, s := range m.cache.open("") {
		idle := now.Sub(time.Unix(0, s.seen.Load())) >= m.idle
		if !idle && now.Before(s.principal.Expires) {
			continue
		}
		// Another replica may have seen the person since.
		r, _, err := m.store.FindSession(ctx, s.principal.hash[:])
		if err != nil || m.alive(r, now) != nil {
			m.cache.end(s.principal.SessionID)
			continue
		}
		s.seen.Store(r.LastSeen.UnixNano())
	}
}

// save writes down when sessions were last used.
func (m *Manager) save(ctx context.Context) {
	seen := m.cache.takeUnsaved()
	if len(seen) == 0 {
		return
	}
	if err := m.store.Touch(ctx, seen); err != nil {
		m.cache.keepUnsaved(seen)
		m.log.WarnContext(ctx, "last use of sessions not written; it will be tried again", "sessions", len(seen), "error", err)
	}
}

// tidy forgets what nobody needs any more.
func (m *Manager) tidy(ctx context.Context) {
	now := m.now().UTC()
	if err := m.store.DeleteSessions(ctx, now.AddDate(0, 0, -30)); err != nil {
		m.log.WarnContext(ctx, "old sessions not deleted", "error", err)
	}
	if err := m.store.DeleteChanges(ctx, now.Add(-time.Hour)); err != nil {
		m.log.WarnContext(ctx, "old change records not deleted", "error", err)
	}
}
