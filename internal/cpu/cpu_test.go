package cpu_test

import (
	"testing"
	"time"

	"portcullis/internal/cpu"
)

func TestWaitingCostsNothingAndWorkDoes(t *testing.T) {
	wait := make(chan struct{})
	time.AfterFunc(100*time.Millisecond, func() { close(wait) })
	if cost := cpu.Least(1, func() { <-wait }); cost > 50*time.Millisecond {
		t.Errorf("waiting cost %v", cost)
	}
	work := func() {
		for until := time.Now().Add(20 * time.Millisecond); time.Now().Before(until); {
			continue
		}
	}
	if cost := cpu.Least(3, work); cost <= 0 || cost > time.Second {
		t.Errorf("work cost %v", cost)
	}
}
