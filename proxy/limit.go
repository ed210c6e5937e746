package proxy

import (
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"portcullis/fault"
	"portcullis/session"
	"portcullis/web"
)

// Limits bounds how many requests for the portal are let through. Zero means
// no bound.
type Limits struct {
	PerAddress    float64 // a second, of one address (of IPv6: one network of 64 bits)
	PerAccount    float64 // a second, of one person, whatever their sessions
	PerConnection float64 // a second, of everybody of one connection
}

// burst is how many seconds' worth of requests may come at once, but never
// fewer than burstLeast: one page is many requests.
const (
	burst      = 10
	burstLeast = 100
)

// maxCounted bounds what one counter remembers.
const maxCounted = 50_000

// limits are the counters of a Proxy; nil where there is no bound.
type limits struct {
	address    *counter[netip.Addr]
	account    *counter[string]
	connection *counter[string]
}

func newLimits(l Limits) limits {
	return limits{newCounter[netip.Addr](l.PerAddress), newCounter[string](l.PerAccount), newCounter[string](l.PerConnection)}
}

// ofAddress fails, as a 429, for an address that asks too often.
func (l *limits) ofAddress(address string, now time.Time) error {
	if l.address == nil {
		return nil
	}
	return tooMany(l.address.take(web.Source(address), now), "your network")
}

// ofPerson fails, as a 429, for a person or a connection that asks too often.
func (l *limits) ofPerson(who *session.Principal, now time.Time) error {
	if l.account != nil {
		if wait := l.account.take(who.PersonID, now); wait > 0 {
			return tooMany(wait, "your account")
		}
	}
	if l.connection != nil {
		return tooMany(l.connection.take(who.Connection, now), "your organization")
	}
	return nil
}

func tooMany(wait time.Duration, whose string) error {
	if wait <= 0 {
		return nil
	}
	return &web.Failure{
		Err:    fault.Wrap(fault.Unavailable, errors.New("limit"), "too many requests from %s at the moment", whose),
		Status: http.StatusTooManyRequests,
		Header: http.Header{"Retry-After": {strconv.Itoa(int((wait + time.Second - 1) / time.Second))}},
	}
}

// counter is a bucket of tokens for each key. It is safe for concurrent use;
// its memory is bounded.
type counter[K comparable] struct {
	rate, burst float64

	mu      sync.Mutex
	buckets map[K]bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newCounter[K comparable](rate float64) *counter[K] {
	if rate <= 0 {
		return nil
	}
	return &counter[K]{rate: rate, burst: max(rate*burst, burstLeast), buckets: make(map[K]bucket)}
}

// take takes a token of key. It gives how long to wait where there is none.
func (c *counter[K]) take(key K, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.buckets[key]
	if !ok {
		if len(c.buckets) >= maxCounted {
			c.forget(now)
		}
		b = bucket{c.burst, now}
	}
	b.tokens, b.at = c.filled(b, now), now
	var wait time.Duration
	if b.tokens >= 1 {
		b.tokens--
	} else {
		wait = time.Duration((1 - b.tokens) / c.rate * float64(time.Second))
	}
	c.buckets[key] = b
	return wait
}

func (c *counter[K]) filled(b bucket, now time.Time) float64 {
	return min(c.burst, b.tokens+max(0, now.Sub(b.at).Seconds())*c.rate)
}

// forget drops buckets that are full again, and then any of them until a
// tenth is free: memory is bounded first, and the work of it shared by many.
func (c *counter[K]) forget(now time.Time) {
	for key, b := range c.buckets {
		if c.filled(b, now) >= c.burst {
			delete(c.buckets, key)
		}
	}
	for key := range c.buckets {
		if len(c.buckets) <= maxCounted*9/10 {
			return
		}
		delete(c.buckets, key)
	}
}
