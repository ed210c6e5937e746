package scim

import (
	"net/netip"
	"sync"
	"time"
)

// Limit bounds how fast one connection may ask.
type Limit struct {
	PerSecond float64 // defaults to 200
	Burst     int     // defaults to 5,000
}

// bucket is a token bucket of one connection. Buckets are made at start, one
// for each configured connection, so that strangers cannot fill the memory.
type bucket struct {
	mu    sync.Mutex
	rate  float64
	burst float64
	level float64
	last  time.Time
}

func newBucket(l Limit) *bucket {
	return &bucket{rate: l.PerSecond, burst: float64(l.Burst), level: float64(l.Burst)}
}

// take takes one request out. If there is none left, it gives the time after
// which there will be.
func (b *bucket) take(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	missing := b.missing(now)
	if missing == 0 {
		b.level--
	}
	return missing
}

// wait gives what take would, and takes nothing.
func (b *bucket) wait(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.missing(now)
}

// missing fills the bucket up to now, and gives the time until there is a
// request in it. The caller holds the lock.
func (b *bucket) missing(now time.Time) time.Duration {
	if !b.last.IsZero() {
		if passed := now.Sub(b.last).Seconds(); passed > 0 {
			b.level = min(b.burst, b.level+passed*b.rate)
		}
	}
	b.last = now
	if b.level >= 1 {
		return 0
	}
	return time.Duration((1 - b.level) / b.rate * float64(time.Second))
}

const (
	guessRate  = 1.0 // wrong credentials per second and address
	guessBurst = 50
	maxGuesses = 10_000 // addresses that are remembered at once

	grantRate  = 10.0 // access tokens per second and connection
	grantBurst = 200
)

// guesses counts wrong credentials at the token endpoint by where they come
// from. It is safe for concurrent use.
type guesses struct {
	mu   sync.Mutex
	from map[string]*bucket
}

// wait gives the time that somebody has to wait who guessed too often.
func (g *guesses) wait(from string, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b := g.from[from]; b != nil {
		return b.wait(now)
	}
	return 0
}

// count counts a wrong credential.
func (g *guesses) count(from string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.from[from]
	if b == nil {
		if len(g.from) >= maxGuesses {
			clear(g.from) // memory is bounded first
		}
		b = newBucket(Limit{PerSecond: guessRate, Burst: guessBurst})
		g.from[from] = b
	}
	b.take(now)
}

// guesser names who guesses at a connection. A stranger chooses the name of one
// that does not exist: of a long one the beginning counts, and all are told
// apart, so that nobody finds out which ones there are by guessing at two.
func guesser(connection, address string) string { return clip(connection) + " " + network(address) }

// network is what counts as one address: of IPv6 the 64 bits that one customer
// has to themselves.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}
