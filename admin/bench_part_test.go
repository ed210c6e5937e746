package admin_test

import (
	"net/http"
	"testing"
	"time"

	"portcullis/store"
	"portcullis/store/storetest"
)

// BenchmarkLogsOfAPart is the first and the next page of each log, of a million
// rows, for who manages a part of ten people whose rows are the oldest. The
// ratio is to the same page for who manages the whole organization.
func BenchmarkLogsOfAPart(b *testing.B) {
	const rows, people, part = 1_000_000, 20_000, 10
	eachDatabase(b, func(b *testing.B, databaseURL string) {
		b.Helper()
		db, err := store.Open(b.Context(), store.Config{URL: databaseURL})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { db.Close() })
		w := newWorld(b, db)
		storetest.Seed(b, databaseURL, "acme", "Acme", people)
		unit := w.unit("", "Europe")
		storetest.SeedLogs(b, databaseURL, "acme", unit, people, part, rows)
		managers := []*somebody{w.signIn("acme", "whole", "Admins"), w.place(w.signIn("acme", "part", "Admins"), unit)}
		for _, log := range []string{"audit", "sign-ins", "provisioning"} {
			for page, query := range map[string]string{"first": "", "next": "?before=900000", "last": "?before=60", "one connection": "?connection=acme"} {
				b.Run(log+", "+page, func(b *testing.B) {
					var took [2]time.Duration
					for b.Loop() {
						for i, manager := range managers {
							began := time.Now()
							if res := manager.page("/" + log + query); res.StatusCode != http.StatusOK {
								b.Fatal(res.Status, res.text)
							}
							took[i] += time.Since(began)
						}
					}
					b.ReportMetric(float64(took[1].Microseconds())/1000/float64(b.N), "part-ms")
					b.ReportMetric(float64(took[0].Microseconds())/1000/float64(b.N), "whole-ms")
					b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "ratio")
				})
			}
		}
	})
}
