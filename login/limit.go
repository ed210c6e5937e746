package login

import (
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"portcullis/web"
)

const (
	failureCost = 10
	maxBuckets  = 50_000 // addresses that are remembered at once
)

// limiter counts started sign-ins, or sign-outs that identity providers ask
// for, each kind with a limiter of its own, per address: a bucket of tokens each, which may go into debt by
// failures. Safe for concurrent use.
type limiter struct {
	rate, burst float64
	full        error // what whoever is over it is told
	now         func() time.Time

	mu      sync.Mutex
	buckets map[netip.Addr]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newLimiter(full error, l Limit, now func() time.Time) *limiter {
	return &limiter{rate: l.PerSecond, burst: l.Burst, full: full, now: now, buckets: make(map[netip.Addr]*bucket)}
}

// start takes a token for a sign-in, or fails.
func (l *limiter) start(address string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(address)
	if b.tokens < 1 {
		return l.tooMany(1 - b.tokens)
	}
	b.tokens--
	return nil
}

// debt fails while failures have used up more than there was. A sign-in that
// was started in time may always come back.
func (l *limiter) debt(address string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.bucket(address); b.tokens < 0 {
		return l.tooMany(-b.tokens)
	}
	return nil
}

// failed makes a sign-in that took a token at its start count ten times.
func (l *limiter) failed(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.bucket(address)
	b.tokens = max(b.tokens-(failureCost-1), -l.burst)
}

// Debt fails while the failures of an address have used up more than it has.
func (l *Login) Debt(address string) error { return l.limit.debt(address) }

// Failed counts a secret that an address sent and that is none, as a failed
// sign-in from there.
func (l *Login) Failed(address string) { l.limit.failed(address) }

// bucket gives the bucket of an address, filled up to now. The caller holds
// the lock.
func (l *limiter) bucket(address string) *bucket {
	key, now := web.Source(address), l.now()
	b := l.buckets[key]
	if b == nil {
		if len(l.buckets) >= maxBuckets {
			l.forget(now)
		}
		b = &bucket{tokens: l.burst, at: now}
		l.buckets[key] = b
	}
	b.tokens, b.at = l.filled(b, now), now
	return b
}

func (l *limiter) filled(b *bucket, now time.Time) float64 {
	return min(l.burst, b.tokens+max(0, now.Sub(b.at).Seconds())*l.rate)
}

// forget drops buckets that are full again, and if all are in use any of
// them: memory is bounded first.
func (l *limiter) forget(now time.Time) {
	for key, b := range l.buckets {
		if l.filled(b, now) >= l.burst {
			delete(l.buckets, key)
		}
	}
	for key := range l.buckets {
		if len(l.buckets) < maxBuckets {
			return
		}
		delete(l.buckets, key)
	}
}

func (l *limiter) tooMany(missing float64) error {
	wait := max(1, int(missing/l.rate+0.999))
	return &web.Failure{
		Err:    l.full,
		Status: http.StatusTooManyRequests,
		Header: http.Header{"Retry-After": {strconv.Itoa(wait)}},
	}
}
