package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/store"
)

// dismisser is what dismisses p1 a second after the start.
func dismisser(t *testing.T, db *store.DB) func() (directory.Shown, error) {
	t.Helper()
	d := directory.New(directory.Config{
		Store: db.Directory(), Now: func() time.Time { return start.Add(time.Second) },
		Connections: []directory.Connection{{ID: "alpha", Organization: "Alpha", Provisioning: directory.SCIM}},
	})
	if err := d.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func() (directory.Shown, error) {
		return d.Dismiss(t.Context(), audit.Gate(), "alpha", "p1", func(_ directory.Person, r directory.Record) (directory.Record, error) {
			r.Active = false
			return r, nil
		})
	}
}

// dismissBehind dismisses p1, who is there, while another transaction does
// statements and commits before it.
func dismissBehind(t *testing.T, statements ...string) (c *column, p directory.Shown) {
	t.Helper()
	c = newColumn(t) // SQLite has one writer at a time
	dismiss := dismisser(t, c.db)
	update(t, c.db, func(tx directory.Tx) error { return tx.InsertPerson(person("p1", "one"), "l") })
	free := c.blocked(statements...)
	done := make(chan struct{})
	var failed error
	go func() {
		defer close(done)
		p, failed = dismiss()
	}()
	awaitLock(t, c.url, done)
	free()
	<-done
	if failed != nil {
		t.Fatal(failed)
	}
	return c, p
}

// A sign-in that is under way when its person is dismissed, and commits first,
// leaves no session behind.
func TestADismissalEndsTheSessionsOfWhoeverWasQuicker(t *testing.T) {
	c := newColumn(t)
	dismiss := dismisser(t, c.db)
	row := seedSession(t, c.db, "p1")
	free := c.blocked("SELECT 1 FROM organizations FOR UPDATE") // whoever signs in looks at it when they have their person
	signedIn, done := make(chan struct{}), make(chan struct{})
	var refused, failed error
	go func() {
		defer close(signedIn)
		refused = c.db.Sessions().InsertSession(t.Context(), row)
	}()
	awaitLock(t, c.url, signedIn)
	go func() {
		defer close(done)
		_, failed = dismiss()
	}()
	awaitLocks(t, c.url, 2, done)
	free()
	<-signedIn
	<-done
	if err := errors.Join(refused, failed); err != nil {
		t.Fatal(err)
	}
	var active bool
	var ended int64
	var detail string
	c.scan("SELECT p.idp_active, s.ended, e.detail FROM people p JOIN sessions s ON s.person_id = p.id JOIN audit_events e ON e.person = p.id", &active, &ended, &detail)
	if active || ended == 0 || detail != `{"sessions_ended" : "1"}` {
		t.Errorf("active = %t, the session ended at %d, and the event says %s: it goes on", active, ended, detail)
	}
}

// What another change has made of somebody, who is dismissed behind it, is what
// they were until then.
func TestADismissalKeepsWhatAQuickerChangeSaid(t *testing.T) {
	c, p := dismissBehind(t, "UPDATE people SET name = 'Married', version = 7, since = since + 1 WHERE id = 'p1'")
	if p.Version != 8 || p.IDPActive {
		t.Fatalf("version %d, active %t, want version 8", p.Version, p.IDPActive)
	}
	var was, is string
	c.scan(`SELECT (SELECT concat_ws(' ', name, version, idp_active, since, until) FROM people_history),
		(SELECT concat_ws(' ', name, version, idp_active, since) FROM people)`, &was, &is)
	began, until := start.UnixMicro()+1, start.Add(time.Second).UnixMicro()
	wantWas, wantIs := fmt.Sprintf("Married 7 t %d %d", began, until), fmt.Sprintf("Married 8 f %d", until)
	if was != wantWas || is != wantIs {
		t.Errorf("it was %q and is %q, want %q and %q", was, is, wantWas, wantIs)
	}
}

// Whoever is gone meanwhile is not dismissed, and nothing is written of them.
func TestNobodyIsDismissedTwice(t *testing.T) {
	c, _ := dismissBehind(t, "UPDATE people SET idp_active = FALSE WHERE id = 'p1'")
	var rows int
	c.scan("SELECT (SELECT count(*) FROM people_history) + (SELECT count(*) FROM losses) + (SELECT count(*) FROM audit_events) + (SELECT count(*) FROM changes WHERE loss)", &rows)
	if rows != 0 {
		t.Errorf("%d rows about it, want none", rows)
	}
}
