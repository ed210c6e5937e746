package scim

import (
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
	if !b.last.IsZero() {
		if passed := now.Sub(b.last).Seconds(); passed > 0 {
			b.level = min(b.burst, b.level+passed*b.rate)
		}
	}
	b.last = now
	if b.level >= 1 {
		b.level--
		return 0
	}
	return time.Duration((1 - b.level) / b.rate * float64(time.Second))
}
