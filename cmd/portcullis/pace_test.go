package main

import "testing"

func TestTheHeapGrowsByAQuarterAndAtLeastByAFewMegabytes(t *testing.T) {
	for live, want := range map[uint64]int{0: 400, 2 << 20: 400, 8 << 20: 200, 16 << 20: 100, 20 << 20: 80, 32 << 20: 50, 100 << 20: 25, 1 << 40: 25} {
		if got := growth(live); got != want {
			t.Errorf("growth(%d MB) = %d, want %d", live>>20, got, want)
		}
	}
}
