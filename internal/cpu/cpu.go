// Package cpu says what a piece of work costs in CPU, for tests that hold
// a bound: the clock of the thread that does it, which stands while others
// have the processor. It does not count what other threads do for it.
package cpu

import (
	"runtime"
	"time"
)

// Budget is the most that one hostile answer may cost: 50 ms, and five times
// that under the race detector, which slows everything down.
const Budget = 50 * time.Millisecond * slack

// Least is the least that f cost in a number of runs.
func Least(runs int, f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	least := time.Duration(1<<63 - 1)
	for range max(1, runs) {
		began := thread()
		f()
		least = min(least, thread()-began)
	}
	return least
}
