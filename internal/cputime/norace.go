//go:build !race

package cputime

const slack = 1
