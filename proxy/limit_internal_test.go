package proxy

import (
	"testing"
	"time"
)

// Strangers from everywhere cost no memory without end, and whoever has used
// up what there was is forgotten last.
func TestCountersAreBounded(t *testing.T) {
	c, now := newCounter[int](1), time.Unix(1000, 0)
	for i := range 4 * maxCounted {
		if i%1000 == 0 {
			now = now.Add(time.Second)
		}
		if wait := c.take(i, now); wait != 0 {
			t.Fatalf("stranger %d waits %v", i, wait)
		}
		if len(c.buckets) > maxCounted {
			t.Fatalf("%d keys are remembered", len(c.buckets))
		}
	}
	if len(c.buckets) < maxCounted/2 {
		t.Errorf("%d keys are remembered, which is fewer than needed", len(c.buckets))
	}
}
