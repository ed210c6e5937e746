//go:build race

package cpu

const slack = 10
