package admin_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"portcullis/store"
	"portcullis/store/storetest"
	"portcullis/trace"
)

// Home counts who came in today and who did not, from midnight UTC to the hour
// that is running, of the connections that the visitor may see; a dry run is
// nobody.
func TestHomeCountsToday(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		w := newWorld(t, open())
		ada, manager := w.signIn("staff", "ada", tasks()...), w.signIn("acme", "manager", "Admins")
		w.now = time.Date(2026, 3, 1, 12, 7, 4, 0, time.UTC)
		midnight := w.now.Truncate(24 * time.Hour)
		for i, tc := range []struct {
			at      time.Time
			outcome trace.Outcome
			person  string
		}{
			{midnight.Add(-time.Microsecond), trace.SignedIn, "p"},
			{midnight, trace.SignedIn, "p"},
			{midnight, trace.Tested, "p"},
			{w.now.Truncate(time.Hour).Add(-time.Microsecond), trace.Refused, ""},
			{w.now.Truncate(time.Hour), trace.Failed, ""},
			{w.now, trace.SignedIn, "p"},
			{w.now, trace.Refused, "p"},
		} {
			for _, conn := range []string{"acme", "beta"} {
				b := trace.Begin(trace.Record{Reference: fmt.Sprint(conn, i), Connection: conn, Protocol: "oidc"})
				b.Person(tc.person)
				r := b.End(tc.at, tc.outcome, "", "")
				if err := w.db.Traces().InsertTraces(t.Context(), []trace.Record{r}, nil, trace.Caps{r.Class(): 99}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for who, s := range map[string]struct {
			somebody   *somebody
			in, failed int
		}{"everybody's": {ada, 4, 6}, "their own": {manager, 2, 3}} {
			var sum struct {
				SignIns struct {
					Since      time.Time
					In, Failed int
				}
			}
			if status := s.somebody.call(http.MethodGet, "/summary", "", &sum); status != http.StatusOK {
				t.Errorf("%s: %d", who, status)
			}
			if got := sum.SignIns; !got.Since.Equal(midnight) || got.In != s.in || got.Failed != s.failed {
				t.Errorf("%s: %+v, want %d in and %d failed since %s", who, got, s.in, s.failed, midnight)
			}
		}
	})
}
