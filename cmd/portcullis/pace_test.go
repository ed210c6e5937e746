package main

import (
	"math"
	"testing"
)

func TestTheHeapGrowsByAQuarterAndAtLeastByAFewMegabytes(t *testing.T) {
	for live, want := range map[uint64]int{0: 400, 2 << 20: 400, 8 << 20: 200, 16 << 20: 100, 20 << 20: 80, 32 << 20: 50, 100 << 20: 25, 1 << 40: 25} {
		if got := growth(live); got != want {
			t.Errorf("growth(%d MB) = %d, want %d", live>>20, got, want)
		}
	}
}

func TestSessionsAreRememberedInHalfOfTheMemory(t *testing.T) {
	for limit, want := range map[int64]int{math.MaxInt64: 0, 1 << 50: 1_000_000, 512 << 20: 512 << 10, 1 << 20: 10_000} {
		if got := remember(limit); got != want {
			t.Errorf("remember(%d) = %d, want %d", limit, got, want)
		}
	}
}
