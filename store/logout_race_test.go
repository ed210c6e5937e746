package store_test

import (
	"cmp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/fault"
	"portcullis/session"
	"portcullis/store"
	"portcullis/store/storetest"
)

// TestASignOutEndsTheSignInsUnderWay: one that was begun before it makes no
// session of what it names, and whoever begins after it comes in.
func TestASignOutEndsTheSignInsUnderWay(t *testing.T) {
	const issuer = "https://id.example"
	began := start.Add(time.Minute)
	cases := map[string]struct {
		named session.Named
		at    time.Time
		once  bool
		ends  bool
	}{
		"the session":                 {session.Named{Session: "sid of p1"}, began.Add(time.Second), true, true},
		"the person":                  {session.Named{Subject: "sub of p1"}, began.Add(time.Second), true, true},
		"both":                        {session.Named{Subject: "sub of p1", Session: "sid of p1"}, began.Add(time.Second), true, true},
		"in the same microsecond":     {session.Named{Session: "sid of p1"}, began, true, true},
		"before it began":             {session.Named{Session: "sid of p1", Subject: "sub of p1"}, began.Add(-time.Microsecond), true, false},
		"another session":             {session.Named{Session: "sid of p2"}, began.Add(time.Second), true, false},
		"another session of theirs":   {session.Named{Subject: "sub of p1", Session: "sid of p2"}, began.Add(time.Second), true, false},
		"another person":              {session.Named{Subject: "sub of p2"}, began.Add(time.Second), true, false},
		"at another connection":       {session.Named{Connection: "beta", Session: "sid of p1"}, began.Add(time.Second), true, false},
		"of another issuer":           {session.Named{Issuer: "https://other.example", Session: "sid of p1"}, began.Add(time.Second), true, false},
		"by whom anybody could forge": {session.Named{Session: "sid of p1"}, began.Add(time.Second), false, false},
	}
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		for name, tc := range cases {
			row := seedSession(t, db, name)
			row.Begun = began
			own := func(s string) string { return strings.Replace(s, "p1", name, 1) }
			named := session.Named{
				Connection: cmp.Or(tc.named.Connection, "alpha"), Issuer: cmp.Or(tc.named.Issuer, issuer),
				Subject: own(tc.named.Subject), Session: own(tc.named.Session),
			}
			var once *session.Once
			if tc.once {
				once = &session.Once{Hash: []byte(name), Expires: start.Add(time.Hour)}
			}
			if _, err := db.Sessions().EndNamed(t.Context(), named, once, errWhy, tc.at, audit.Gate(), ""); err != nil {
				t.Fatal(err)
			}
			err := db.Sessions().InsertSession(t.Context(), row)
			if tc.ends != fault.Is(err, fault.Invalid) || !tc.ends && err != nil {
				t.Errorf("%s: InsertSession = %v, want it refused: %v", name, err, tc.ends)
			}
		}
	})
}

// TestNoSessionSlipsThroughASignOut runs both at once, on two replicas: the
// session is refused or ended, whichever comes first.
func TestNoSessionSlipsThroughASignOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		one, two := open(), open()
		seed(t, one)
		refused := 0
		for i := range 40 {
			id := "r" + strconv.Itoa(i)
			row := seedSession(t, one, id)
			row.Begun = start
			named := session.Named{Connection: "alpha", Issuer: row.Issuer, Session: row.ProviderSession}
			if i%2 == 0 {
				named.Session, named.Subject = "", row.Subject
			}
			var inserted, ended error
			var wg sync.WaitGroup
			wg.Go(func() { inserted = one.Sessions().InsertSession(t.Context(), row) })
			wg.Go(func() {
				once := &session.Once{Hash: []byte(id), Expires: start.Add(time.Hour)}
				_, ended = two.Sessions().EndNamed(t.Context(), named, once, errWhy, start.Add(time.Second), audit.Gate(), "")
			})
			wg.Wait()
			if ended != nil {
				t.Fatal(ended)
			}
			if fault.Is(inserted, fault.Invalid) {
				refused++
				continue
			}
			if inserted != nil {
				t.Fatal(inserted)
			}
			if r, _, err := two.Sessions().FindSession(t.Context(), row.TokenHash); err != nil || r.Ended.IsZero() {
				t.Fatalf("session %d lives on: %+v, %v", i, r, err)
			}
		}
		t.Logf("%d of 40 were refused, the others ended", refused)
	})
}
