package store_test

import (
	"testing"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/store"
	"portcullis/store/storetest"
)

// A sign-in that is under way when its person is dismissed, and commits first,
// leaves no session behind.
func TestADismissalEndsTheSessionsOfWhoeverWasQuicker(t *testing.T) {
	databaseURL := storetest.MigratedPostgresURL(t) // SQLite has one writer at a time
	db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	seed(t, db)
	update(t, db, func(tx directory.Tx) error { return tx.InsertPerson(person("p1", "one"), "l") })
	signIn, err := storetest.Raw(t, databaseURL).BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = signIn.Rollback() }()
	for _, statement := range []string{
		"SELECT 1 FROM people WHERE id = 'p1' FOR UPDATE",
		`INSERT INTO sessions (id, token_hash, person_id, assertion_id, connection, created, last_seen, expires, address, user_agent, id_token)
			VALUES ('s1', 'h', 'p1', 'a', 'alpha', 1, 1, 9000000000000000, '', '', '')`,
	} {
		if _, err := signIn.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	var gone bool
	var failed error
	go func() {
		defer close(done)
		failed = db.Directory().UpdateOne(t.Context(), func(tx directory.Tx) (err error) {
			_, gone, err = tx.Dismiss(directory.Departure{
				Event:  audit.Event{At: start, Action: audit.PersonDeactivated, Person: "p1", Connection: "alpha"},
				Reason: "deactivated",
			})
			return err
		})
	}()
	awaitLock(t, databaseURL, done)
	if err := signIn.Commit(); err != nil {
		t.Fatal(err)
	}
	<-done
	if failed != nil || !gone {
		t.Fatalf("Dismiss = %t, %v, want true", gone, failed)
	}
	var ended int64
	var detail string
	row := storetest.Raw(t, databaseURL).QueryRowContext(t.Context(), "SELECT ended, (SELECT detail FROM audit_events WHERE person = 'p1') FROM sessions")
	if err := row.Scan(&ended, &detail); err != nil || ended == 0 || detail != `{"sessions_ended" : "1"}` {
		t.Errorf("the session ended at %d, and the event says %s (%v): it goes on", ended, detail, err)
	}
}
