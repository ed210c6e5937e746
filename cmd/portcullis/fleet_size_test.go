//go:build !e2e

package main

// revocations is how many deactivations are measured in each state of a fleet.
const revocations = 40
