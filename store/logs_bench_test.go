package store_test

import (
	"fmt"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/scim"
	"portcullis/store"
	"portcullis/store/storetest"
)

// logsAsked are the logs, each of some connections: a page behind a row, and
// only what failed or is rare.
func logsAsked(db *store.DB) map[string]func(b *testing.B, connections []string, before int64, few bool, limit int) int {
	return map[string]func(b *testing.B, connections []string, before int64, few bool, limit int) int{
		"sign-ins": func(b *testing.B, connections []string, before int64, few bool, limit int) int {
			b.Helper()
			rows, err := db.Admin().SignIns(b.Context(), admin.SignInQuery{Connections: connections, Failed: few, Before: before, Limit: limit})
			if err != nil {
				b.Fatal(err)
			}
			return len(rows)
		},
		"audit": func(b *testing.B, connections []string, before int64, few bool, limit int) int {
			b.Helper()
			q := admin.EventQuery{Connections: connections, Before: before, Limit: limit}
			if few {
				q.Action = "person.locked"
			}
			rows, err := db.Admin().Events(b.Context(), q)
			if err != nil {
				b.Fatal(err)
			}
			return len(rows)
		},
		"provisioning": func(b *testing.B, connections []string, before int64, few bool, limit int) int {
			b.Helper()
			rows, err := db.Journal().Journal(b.Context(), scim.JournalQuery{Connections: connections, Refused: few, Before: before, Limit: limit})
			if err != nil {
				b.Fatal(err)
			}
			return len(rows)
		},
	}
}

// BenchmarkLogsOfConnections is a page of each log of a million rows in a day,
// of connections that have nearly all of them, or nearly none and the oldest,
// or both; and what Home and the chart count of them.
func BenchmarkLogsOfConnections(b *testing.B) {
	const all = 300
	for name, open := range map[string]func(*testing.B) string{
		"sqlite":   func(b *testing.B) string { b.Helper(); return "sqlite:" + b.TempDir() + "/p.db" },
		"postgres": func(b *testing.B) string { b.Helper(); return storetest.PostgresURL(b) },
	} {
		b.Run(name, func(b *testing.B) {
			databaseURL := open(b)
			db, err := store.Open(b.Context(), store.Config{URL: databaseURL})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { db.Close() })
			storetest.SeedConnectionLogs(b, databaseURL, all, 1_000_000)
			day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
			for _, n := range []int{1, 20, 60, all} {
				for _, lot := range []string{"many", "few", "both"} {
					connections := make([]string, n)
					for i := range connections {
						connections[i] = fmt.Sprint(lot, i)
						if lot == "both" {
							connections[i] = fmt.Sprint([]string{"many", "few"}[i%2], i)
						}
					}
					for log, read := range logsAsked(db) {
						for page, before := range map[string]int64{"first": 0, "middle": 500_000, "last": 3000} {
							for what, few := range map[string]bool{"all": false, "few": true} {
								for _, limit := range []int{51, 1001} {
									b.Run(fmt.Sprintf("%s/%d %s/%s/%s/%d", log, n, lot, page, what, limit), func(b *testing.B) {
										for b.Loop() {
											read(b, connections, before, few, limit)
										}
									})
								}
							}
						}
					}
					b.Run(fmt.Sprintf("today/%d %s", n, lot), func(b *testing.B) {
						for b.Loop() {
							if _, err := db.Admin().SignInSpans(b.Context(), admin.SignInQuery{Connections: connections}, day, 24*time.Hour); err != nil {
								b.Fatal(err)
							}
						}
					})
					b.Run(fmt.Sprintf("fares/%d %s", n, lot), func(b *testing.B) {
						for b.Loop() {
							if _, err := db.Admin().Fares(b.Context(), connections, day.Add(30*time.Minute)); err != nil {
								b.Fatal(err)
							}
						}
					})
					b.Run(fmt.Sprintf("week/%d %s", n, lot), func(b *testing.B) {
						for b.Loop() {
							if _, err := db.Admin().SignInSpans(b.Context(), admin.SignInQuery{Connections: connections}, day.AddDate(0, 0, -6), 6*time.Hour); err != nil {
								b.Fatal(err)
							}
						}
					})
				}
			}
		})
	}
}
