package main

import (
	"math"
	"runtime"
	"runtime/debug"
	reading "runtime/metrics"
)

// growthLeast is by how much the heap may always grow before it is collected:
// a gate at work has a few megabytes that live, and would collect them hundreds
// of times a minute.
const growthLeast = 16 << 20

// pace has the collector let the heap grow by a quarter of what lives, and by
// [growthLeast] at least. By default it lets it double: with a hundred
// thousand sessions more memory, and with few of them more work. Whoever sets
// GOGC decides by themselves.
func pace() {
	const usual = 100
	if set := debug.SetGCPercent(usual); set != usual {
		debug.SetGCPercent(set)
		return
	}
	percent := usual
	live := []reading.Sample{{Name: "/gc/heap/live:bytes"}}
	var collected func(*[64]byte) // called after each collection
	collected = func(sentinel *[64]byte) {
		reading.Read(live)
		if next := growth(live[0].Value.Uint64()); next != percent {
			percent = next
			debug.SetGCPercent(next)
		}
		runtime.SetFinalizer(sentinel, collected)
	}
	runtime.SetFinalizer(new([64]byte), collected)
}

// growth is how much the heap may grow, in percent of what lives; in steps, for
// each change stops the world for a moment.
func growth(live uint64) (percent int) {
	const step, quarter, most = 10, 25, 400
	return max(quarter, int(min(growthLeast*100/max(live, 1), most))/step*step)
}

// remember is how many sessions the gate keeps in memory: half of what GOMEMLIMIT
// lets it have; 0, for as many as there may be, without one.
func remember(limit int64) int {
	const each, least = 512, 10_000
	if limit == math.MaxInt64 {
		return 0
	}
	return int(min(max(limit/2/each, least), 1_000_000))
}
