//go:build race

package cpu

const slack = 5
