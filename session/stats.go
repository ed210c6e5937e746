package session

import "time"

// Stats is how a Manager is doing, for those who operate it.
type Stats struct {
	Cached     int           // sessions that are known without asking the store
	Watched    int           // sessions with a request that runs now
	Hits       uint64        // verifications that the cache answered
	Misses     uint64        // verifications that asked the store
	Lag        time.Duration // since when changes were last known to have been heard; what is revoked may be unknown for as long
	Trusted    bool          // the cache is believed; see the bound of revocation
	Heard      Heard         // change records that were applied
	Cut        uint64        // sessions whose running requests were cut
	Statements int           // bytes of signed statements that are remembered
}

// Heard counts change records by what they say.
type Heard struct {
	Sessions uint64 // one session ended
	Losses   uint64 // somebody, or everybody, lost the right to be inside
	Updates  uint64 // what somebody may do may have become different
}

// Stats may be called at any time, also while nothing runs.
func (m *Manager) Stats() Stats {
	now := m.now()
	s := Stats{
		Hits: m.hits.Load(), Misses: m.misses.Load(), Trusted: m.fresh(now),
		Lag:   now.Sub(m.started) - time.Duration(m.feed.confirmed.Load()),
		Heard: Heard{Sessions: m.feed.sessions.Load(), Losses: m.feed.losses.Load(), Updates: m.feed.updates.Load()},
	}
	m.cache.mu.RLock()
	s.Cached, s.Watched, s.Cut = len(m.cache.entries), len(m.cache.streams), m.cache.cuts
	m.cache.mu.RUnlock()
	m.shelf.mu.Lock()
	s.Statements = m.shelf.size
	m.shelf.mu.Unlock()
	return s
}

// Trusted reports whether this replica hears of changes, so that requests are
// answered from memory and revocations take hold within the bound.
func (m *Manager) Trusted() bool { return m.fresh(m.now()) }
