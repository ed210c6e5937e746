// Package count says a number of things in English.
package count

import "fmt"

// Of gives n and what there are n of: "1 session", "2 sessions", "0 sessions".
func Of[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// People is [Of] people.
func People[N int | int64](n N) string { return Of(n, "person", "people") }

// Sessions is [Of] sessions.
func Sessions[N int | int64](n N) string { return Of(n, "session", "sessions") }

// Tests is [Of] tests.
func Tests[N int | int64](n N) string { return Of(n, "test", "tests") }

// Days is [Of] days.
func Days[N int | int64](n N) string { return Of(n, "day", "days") }
