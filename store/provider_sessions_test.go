package store_test

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/session"
	"portcullis/store"
	"portcullis/store/storetest"
)

// errWhy says to the person why, and to others the rest.
var errWhy = fault.Personal(fault.Unauthenticated, "why", "why they are out")

func TestProvidersEndWhatTheyName(t *testing.T) {
	by := audit.Actor{Kind: "idp", Name: "alpha"}
	at := start.Add(time.Minute)
	for _, tc := range []struct {
		name  string
		named session.Named
		ended []string
	}{
		{"a subject", session.Named{Connection: "alpha", Issuer: "https://id.example", Subject: "sub of p1"}, []string{"s-p1", "s-p1b"}},
		{"a session", session.Named{Connection: "alpha", Issuer: "https://id.example", Session: "sid of p1"}, []string{"s-p1"}},
		{"a session of its subject", session.Named{Connection: "alpha", Issuer: "https://id.example", Subject: "sub of p1", Session: "sid of p1"}, []string{"s-p1"}},
		{"a session of another subject", session.Named{Connection: "alpha", Issuer: "https://id.example", Subject: "sub of p2", Session: "sid of p1"}, nil},
		{"another connection", session.Named{Connection: "beta", Issuer: "https://id.example", Subject: "sub of p1"}, nil},
		{"another issuer", session.Named{Connection: "alpha", Issuer: "https://other.example", Subject: "sub of p1"}, nil},
		{"nobody", session.Named{Connection: "alpha", Issuer: "https://id.example", Subject: "x"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, open func() *store.DB) {
				db := open()
				seed(t, db)
				first, other := seedSession(t, db, "p1"), seedSession(t, db, "p2")
				second, over, expired := first, first, first
				second.ID, second.TokenHash, second.ProviderSession = "s-p1b", []byte("b"), "sid b"
				over.ID, over.TokenHash = "s-p1-over", []byte("over")
				expired.ID, expired.TokenHash, expired.Expires = "s-p1-expired", []byte("expired"), at
				s := db.Sessions()
				for _, r := range []session.Row{first, second, other, over, expired} {
					if err := s.InsertSession(t.Context(), r); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.EndSession(t.Context(), over.ID, "over", start, happened); err != nil {
					t.Fatal(err)
				}
				_, cursor, err := s.Changes(t.Context(), 0)
				if err != nil {
					t.Fatal(err)
				}
				events := actions(t, db)
				ids, err := s.EndNamed(t.Context(), tc.named, session.Request{Hash: []byte(tc.name), Expires: at}, errWhy, at, by, "ref")
				slices.Sort(ids)
				if err != nil || !slices.Equal(ids, tc.ended) {
					t.Fatalf("EndNamed = %v, %v, want %v", ids, err, tc.ended)
				}
				if n := actions(t, db) - events; n != len(tc.ended) {
					t.Errorf("%d events, want %d", n, len(tc.ended))
				}
				changes, _, err := s.Changes(t.Context(), cursor)
				if err != nil {
					t.Fatal(err)
				}
				var cut []string
				for _, c := range changes {
					if c.Loss && c.Session != over.ID {
						cut = append(cut, c.Session)
					}
				}
				slices.Sort(cut)
				if !slices.Equal(cut, tc.ended) {
					t.Errorf("change records for %v, want %v", cut, tc.ended)
				}
				for _, id := range tc.ended {
					hash := map[string][]byte{first.ID: first.TokenHash, second.ID: second.TokenHash}[id]
					if r, _, err := s.FindSession(t.Context(), hash); err != nil || !r.Ended.Equal(at) || r.EndReason != "why" {
						t.Errorf("%s: %+v, %v", id, r, err)
					}
				}
				var told int
				err = db.Audit().Walk(t.Context(), func(e audit.Event, _ audit.Seal) error {
					if e.Reason == fault.ToOthers(errWhy) {
						told++
					}
					return nil
				})
				if err != nil || told != len(tc.ended) {
					t.Errorf("%d events say why to others, %v, want %d", told, err, len(tc.ended))
				}
			})
		})
	}
}

func TestARequestToEndCountsOnceOnAnyReplica(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		seed(t, dbs[0])
		row := seedSession(t, dbs[0], "p1")
		if err := dbs[0].Sessions().InsertSession(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		named := session.Named{Connection: "alpha", Issuer: row.Issuer, Subject: row.Subject}
		once := session.Request{Hash: []byte{1, 0, 255}, Expires: start.Add(time.Hour)}
		var counted atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				_, err := dbs[i%2].Sessions().EndNamed(t.Context(), named, once, errWhy, start.Add(time.Second), audit.Gate(), "")
				switch {
				case err == nil:
					counted.Add(1)
				case !fault.Is(err, fault.Conflict):
					t.Errorf("again: %v", err)
				}
			})
		}
		wg.Wait()
		if counted.Load() != 1 {
			t.Errorf("counted %d times, want once", counted.Load())
		}
		elsewhere := named
		elsewhere.Connection = "beta"
		if _, err := dbs[1].Sessions().EndNamed(t.Context(), elsewhere, once, errWhy, start.Add(time.Second), audit.Gate(), ""); err != nil {
			t.Errorf("the same id at another connection: %v", err)
		}
		if err := dbs[0].Sessions().DeleteSessions(t.Context(), start.Add(2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := dbs[1].Sessions().EndNamed(t.Context(), named, once, errWhy, start.Add(time.Second), audit.Gate(), ""); err != nil {
			t.Errorf("after it was forgotten: %v", err)
		}
	})
}

func TestADueSessionIsTakenOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		dbs := []*store.DB{open(), open()}
		seed(t, dbs[0])
		s := dbs[0].Sessions()
		due := start.Add(10 * time.Minute)
		for _, id := range []string{"due", "later", "never", "ended", "idle", "expired"} {
			r := seedSession(t, dbs[0], id)
			r.LastSeen = due.Add(-time.Second)
			switch id {
			case "later":
				r.RefreshDue = due.Add(time.Second)
			case "never":
				r.RefreshDue = time.Time{}
			case "idle":
				r.LastSeen = due.Add(-time.Hour)
			case "expired":
				r.Expires = due
			}
			if err := s.InsertSession(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.EndSession(t.Context(), "s-ended", "over", start, happened); err != nil {
			t.Fatal(err)
		}
		take := func(db *store.DB, now time.Time) []session.Row {
			got, err := db.Sessions().TakeDue(t.Context(), now, now.Add(-15*time.Minute), now.Add(time.Minute), 10)
			if err != nil {
				t.Error(err)
			}
			return got
		}
		var taken atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for _, r := range take(dbs[i%2], due) {
					if r.ID != "s-due" || string(r.Refresh) != "refresh of due" {
						t.Errorf("taken: %+v", r)
					}
					taken.Add(1)
				}
			})
		}
		wg.Wait()
		if taken.Load() != 1 {
			t.Fatalf("taken %d times, want once", taken.Load())
		}
		if err := s.RenewSession(t.Context(), "s-due", []byte("next"), due.Add(5*time.Minute)); err != nil {
			t.Fatal(err)
		}
		if got := take(dbs[1], due.Add(4*time.Minute)); len(got) != 1 || got[0].ID != "s-later" {
			t.Errorf("before the renewed one is due: %+v", got)
		}
		if got := take(dbs[1], due.Add(5*time.Minute)); !slices.ContainsFunc(got, func(r session.Row) bool {
			return r.ID == "s-due" && string(r.Refresh) == "next"
		}) {
			t.Errorf("when it is due again: %+v", got)
		}
	})
}
