package store_test

import (
	"cmp"
	"context"
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
		again bool
		ends  bool
	}{
		"the session":                 {session.Named{Session: "sid of p1"}, began.Add(time.Second), false, true},
		"the person":                  {session.Named{Subject: "sub of p1"}, began.Add(time.Second), false, true},
		"both":                        {session.Named{Subject: "sub of p1", Session: "sid of p1"}, began.Add(time.Second), false, true},
		"in the same microsecond":     {session.Named{Session: "sid of p1"}, began, false, true},
		"before it began":             {session.Named{Session: "sid of p1", Subject: "sub of p1"}, began.Add(-time.Microsecond), false, false},
		"another session":             {session.Named{Session: "sid of p2"}, began.Add(time.Second), false, false},
		"another session of theirs":   {session.Named{Subject: "sub of p1", Session: "sid of p2"}, began.Add(time.Second), false, false},
		"another person":              {session.Named{Subject: "sub of p2"}, began.Add(time.Second), false, false},
		"at another connection":       {session.Named{Connection: "beta", Session: "sid of p1"}, began.Add(time.Second), false, false},
		"of another issuer":           {session.Named{Issuer: "https://other.example", Session: "sid of p1"}, began.Add(time.Second), false, false},
		"by whom anybody could forge": {session.Named{Session: "sid of p1"}, began.Add(time.Second), true, true},
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
			request := session.Request{Hash: []byte(name), Expires: start.Add(time.Hour), Again: tc.again}
			if _, err := db.Sessions().EndNamed(t.Context(), named, request, errWhy, tc.at, audit.Gate(), ""); err != nil {
				t.Fatal(err)
			}
			err := db.Sessions().InsertSession(t.Context(), row)
			if tc.ends != fault.Is(err, fault.Invalid) || !tc.ends && err != nil {
				t.Errorf("%s: InsertSession = %v, want it refused: %v", name, err, tc.ends)
			}
		}
	})
}

// TestASignOutThatAnybodyMaySendTakesOnePlace: it counts whenever it comes, the
// last time is remembered, and whatever comes to its place after it.
func TestASignOutThatAnybodyMaySendTakesOnePlace(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func() *store.DB) {
		db := open()
		seed(t, db)
		ask := func(sid string, at time.Time) (ended []string) {
			t.Helper()
			named := session.Named{Connection: "alpha", Issuer: "https://id.example", Session: sid}
			request := session.Request{Hash: []byte("place"), Expires: at.Add(time.Hour), Again: true}
			ended, err := db.Sessions().EndNamed(t.Context(), named, request, errWhy, at, audit.Gate(), "")
			if err != nil {
				t.Fatal(err)
			}
			return ended
		}
		rows := map[string]session.Row{}
		for _, person := range []string{"p1", "p2", "p1 again"} {
			row := seedSession(t, db, person)
			row.ProviderSession = strings.TrimSuffix(row.ProviderSession, " again")
			rows[person] = row
		}
		insert := func(person string, begun time.Time, refused bool) {
			t.Helper()
			row := rows[person]
			row.Begun = begun
			if err := db.Sessions().InsertSession(t.Context(), row); refused != fault.Is(err, fault.Invalid) || !refused && err != nil {
				t.Errorf("%s: InsertSession = %v, want it refused: %v", person, err, refused)
			}
		}
		for i := range 3 { // one that was known before it is needed
			ask("sid of p1", start.Add(time.Duration(i)*time.Minute))
		}
		insert("p1", start.Add(2*time.Minute), true)
		insert("p1", start.Add(2*time.Minute+time.Microsecond), false)
		if ended := ask("sid of p1", start.Add(3*time.Minute)); len(ended) != 1 {
			t.Errorf("ended %v, want the one that began", ended)
		}
		ask("sid of p2", start.Add(3*time.Minute))
		insert("p1 again", start, false)
		insert("p2", start.Add(3*time.Minute), true)
		if n := logouts(t, db); n != 1 {
			t.Errorf("%d are remembered, want the last", n)
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
				request := session.Request{Hash: []byte(id), Expires: start.Add(time.Hour), Again: i%4 > 1}
				_, ended = two.Sessions().EndNamed(t.Context(), named, request, errWhy, start.Add(time.Second), audit.Gate(), "")
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

// TestASignOutOfAnotherSessionKeepsNoSignInWaiting: strangers may send them.
func TestASignOutOfAnotherSessionKeepsNoSignInWaiting(t *testing.T) {
	databaseURL := storetest.MigratedPostgresURL(t) // SQLite has one writer at a time
	db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	seed(t, db)
	row, other := seedSession(t, db, "p1"), seedSession(t, db, "p2")
	row.Begun = start
	if err := db.Sessions().InsertSession(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	held, err := storetest.Raw(t, databaseURL).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Rollback()
	if _, err := held.ExecContext(t.Context(), "SELECT 1 FROM sessions WHERE id = 's-p2' FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		named := session.Named{Connection: "alpha", Issuer: other.Issuer, Session: other.ProviderSession}
		if _, err := db.Sessions().EndNamed(t.Context(), named, session.Request{Hash: []byte("place"), Again: true}, errWhy, start, audit.Gate(), ""); err != nil {
			t.Error(err)
		}
	}()
	awaitLock(t, databaseURL, done)
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := db.Sessions().InsertSession(soon, row); err != nil {
		t.Error(err)
	}
	_ = held.Rollback()
	<-done
}

// logouts is how many sign-outs are remembered.
func logouts(t *testing.T, db *store.DB) (n int64) {
	t.Helper()
	err := store.Alone(t.Context(), db, func(exec store.Exec) (err error) {
		n, err = exec("UPDATE logout_tokens SET expires = expires")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
