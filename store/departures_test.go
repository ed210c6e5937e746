package store_test

import (
	"fmt"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/store"
	"portcullis/store/storetest"
)

// dismissBehind dismisses p1, which is there, while another transaction does
// statements and commits before it.
func dismissBehind(t *testing.T, statements ...string) (databaseURL string, p directory.Shown) {
	t.Helper()
	databaseURL = storetest.MigratedPostgresURL(t) // SQLite has one writer at a time
	db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	d := directory.New(directory.Config{
		Store: db.Directory(), Now: func() time.Time { return start.Add(time.Second) },
		Connections: []directory.Connection{{ID: "alpha", Organization: "Alpha", Provisioning: directory.SCIM}},
	})
	if err := d.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	update(t, db, func(tx directory.Tx) error { return tx.InsertPerson(person("p1", "one"), "l") })
	other, err := storetest.Raw(t, databaseURL).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Rollback() }()
	for _, statement := range statements {
		if _, err := other.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	var failed error
	go func() {
		defer close(done)
		p, failed = d.Dismiss(t.Context(), audit.Gate(), "alpha", "p1", func(_ directory.Person, r directory.Record) (directory.Record, error) {
			r.Active = false
			return r, nil
		})
	}()
	awaitLock(t, databaseURL, done)
	if err := other.Commit(); err != nil {
		t.Fatal(err)
	}
	<-done
	if failed != nil {
		t.Fatal(failed)
	}
	return databaseURL, p
}

// A sign-in that is under way when its person is dismissed, and commits first,
// leaves no session behind.
func TestADismissalEndsTheSessionsOfWhoeverWasQuicker(t *testing.T) {
	databaseURL, p := dismissBehind(t, "SELECT 1 FROM people WHERE id = 'p1' FOR UPDATE",
		`INSERT INTO sessions (id, token_hash, person_id, assertion_id, connection, created, last_seen, expires, address, user_agent, id_token)
			VALUES ('s1', 'h', 'p1', 'a', 'alpha', 1, 1, 9000000000000000, '', '', '')`)
	if p.IDPActive {
		t.Fatal("Dismiss leaves them active")
	}
	var ended int64
	var detail string
	row := storetest.Raw(t, databaseURL).QueryRowContext(t.Context(), "SELECT ended, (SELECT detail FROM audit_events WHERE person = 'p1') FROM sessions")
	if err := row.Scan(&ended, &detail); err != nil || ended == 0 || detail != `{"sessions_ended" : "1"}` {
		t.Errorf("the session ended at %d, and the event says %s (%v): it goes on", ended, detail, err)
	}
}

// What another change has made of somebody, who is dismissed behind it, is what
// they were until then.
func TestADismissalKeepsWhatAQuickerChangeSaid(t *testing.T) {
	databaseURL, p := dismissBehind(t, "UPDATE people SET name = 'Married', version = 7, since = since + 1 WHERE id = 'p1'")
	if p.Version != 8 || p.IDPActive {
		t.Fatalf("version %d, active %t, want version 8", p.Version, p.IDPActive)
	}
	var was, is string
	row := storetest.Raw(t, databaseURL).QueryRowContext(t.Context(), `SELECT (SELECT concat_ws(' ', name, version, idp_active, since, until) FROM people_history),
		(SELECT concat_ws(' ', name, version, idp_active, since) FROM people)`)
	began, until := start.UnixMicro()+1, start.Add(time.Second).UnixMicro()
	wantWas, wantIs := fmt.Sprintf("Married 7 t %d %d", began, until), fmt.Sprintf("Married 8 f %d", until)
	if err := row.Scan(&was, &is); err != nil || was != wantWas || is != wantIs {
		t.Errorf("it was %q and is %q (%v), want %q and %q", was, is, err, wantWas, wantIs)
	}
}

// Whoever is gone meanwhile is not dismissed, and nothing is written of them.
func TestNobodyIsDismissedTwice(t *testing.T) {
	databaseURL, _ := dismissBehind(t, "UPDATE people SET idp_active = FALSE WHERE id = 'p1'")
	var rows int
	row := storetest.Raw(t, databaseURL).QueryRowContext(t.Context(),
		"SELECT (SELECT count(*) FROM people_history) + (SELECT count(*) FROM losses) + (SELECT count(*) FROM audit_events) + (SELECT count(*) FROM changes WHERE loss)")
	if err := row.Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows about it (%v), want none", rows, err)
	}
}
