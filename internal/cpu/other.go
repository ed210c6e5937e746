//go:build !linux

package cpu

import "time"

// thread is the time that passes, where the clock of a thread is not known.
func thread() time.Duration {
	return time.Duration(time.Now().UnixNano()) //nolint:forbidigo // it is a clock
}
