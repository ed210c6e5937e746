package admin_test

import (
	"net/http"
	"strings"
	"testing"

	"portcullis/audit"
	"portcullis/mapping"
	"portcullis/store"
	"portcullis/store/storetest"
)

// The gate verifies its own trail, and names what was altered.
func TestTheTrailIsVerifiedThroughTheAPI(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		db, err := store.Open(t.Context(), store.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		w := newWorld(t, db)
		s := w.signIn("staff", "ada", mapping.GateAuditView)
		type part struct {
			Sealed, Unsealed int64
			Head, Next       string
			Broken           []string
		}
		verify := func() (sum part) {
			for after := ""; ; {
				var p part
				if status := s.call(http.MethodGet, "/audit/chain"+after, "", &p); status != http.StatusOK {
					t.Fatalf("status = %d", status)
				}
				sum.Sealed, sum.Unsealed, sum.Head, sum.Broken = sum.Sealed+p.Sealed, sum.Unsealed+p.Unsealed, sum.Head+p.Head, append(sum.Broken, p.Broken...)
				if p.Next == "" {
					return sum
				}
				after = "?after=" + p.Next
			}
		}
		if p := verify(); p.Sealed != 0 || p.Unsealed == 0 || len(p.Broken) != 0 || p.Head != "" {
			t.Errorf("before anything is sealed: %+v", p)
		}
		if _, err := audit.NewSealer(db.Audit(), nil).Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
		if p := verify(); p.Sealed == 0 || p.Unsealed != 0 || len(p.Broken) != 0 || len(p.Head) != 64 {
			t.Errorf("a whole trail: %+v", p)
		}
		if _, err := storetest.Raw(t, url).ExecContext(t.Context(), "UPDATE audit_events SET reason = 'other' WHERE seq = 2"); err != nil {
			t.Fatal(err)
		}
		if p := verify(); len(p.Broken) == 0 || !strings.Contains(p.Broken[0], "event 2 or its seal was altered") {
			t.Errorf("an altered trail: %+v", p)
		}
		if status := s.call(http.MethodGet, "/audit/chain?after=x", "", nil); status != http.StatusBadRequest {
			t.Errorf("from nowhere: status = %d, want 400", status)
		}
	})
}
