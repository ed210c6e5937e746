package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
	"portcullis/store"
	"portcullis/store/storetest"
)

// odd are values that an encoding of lists might mistake.
var odd = []string{`quoted " and \`, "{a,b}", "NULL", "", "Grüße, 北京 🙂", strings.Repeat("long ", 2000)}

// welcoming gives what welcomes people, and where it says whether it did.
func welcoming(n int) (all []tx1, arrivals []*directory.Arrival, welcome []bool) {
	arrivals, welcome = make([]*directory.Arrival, n), make([]bool, n)
	for i := range n {
		id, at := fmt.Sprintf("new%d", i), start.Add(time.Duration(i)*time.Second)
		a := &directory.Arrival{Person: person(id, id), Link: "l" + id, Graves: []string{"g" + id}, Names: []string{id, "n" + id}}
		a.Name, a.Created, a.Modified, a.IDPActive = odd[i%len(odd)], at, at, i%2 == 0
		raw, _ := json.Marshal(map[string]any{"emails": []map[string]string{{"value": id + "@one.example"}, {"value": id + "@two.example"}}, "title": a.Name})
		switch i % 3 {
		case 1:
			a.Attributes = raw
		case 2:
			a.Link = ""
		}
		a.Event = audit.Event{
			At: at, Action: audit.PersonCreated, Actor: audit.Actor{Kind: "scim", ID: "t" + id, Name: a.Name}, Person: id, Subject: id,
			Connection: "alpha", Reason: "reason of " + id, Detail: map[string]string{"of": a.Name},
		}
		arrivals[i] = a
		all = append(all, func(tx directory.Tx) (err error) {
			welcome[i], err = tx.Welcome(*a)
			return err
		})
	}
	return all, arrivals, welcome
}

// manyArrive fills the line of arrivals, and gives what lets them come.
func (c *column) manyArrive() (free func()) {
	c.t.Helper()
	free = c.blocked("SELECT pg_advisory_xact_lock(hashtextextended('alpha', 1))") // as whoever parks does
	c.fill(func(id string) tx1 {
		return func(tx directory.Tx) error {
			_, err := tx.Welcome(directory.Arrival{Person: person(id, id), Graves: []string{id}, Names: []string{id}, Event: audit.Event{At: start, Person: id}})
			return err
		}
	})
	return free
}

// Those who arrive together are stored as if each had come alone, in one
// transaction.
func TestWhoArrivesTogetherIsStoredAsAlone(t *testing.T) {
	const n = 10
	together, alone := newColumn(t), newColumn(t)
	all, _, welcome := welcoming(n)
	for i, f := range all {
		if err := alone.db.Directory().UpdateOne(t.Context(), f); err != nil || !welcome[i] {
			t.Fatalf("%d: welcome = %t, %v", i, welcome[i], err)
		}
		welcome[i] = false
	}
	free := together.manyArrive()
	together.queue(t.Context(), all...)
	free()
	if err := errors.Join(together.outcomes()...); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(welcome, false) {
		t.Errorf("welcome = %v", welcome)
	}
	if got, want := together.dump(), alone.dump(); got != want {
		t.Errorf("together it is\n%s\nand alone\n%s", got, want)
	}
	var transactions int
	if together.scan("SELECT count(DISTINCT xmin::text) FROM people WHERE id NOT LIKE 'busy%'", &transactions); transactions != 1 {
		t.Errorf("they are of %d transactions, want 1", transactions)
	}
}

// Of those who arrive together, one who is awaited, or whose name is taken, is
// the only one to notice.
func TestWhoArrivesWithSomebodyAwaitedIsWelcome(t *testing.T) {
	c := newColumn(t)
	all, arrivals, welcome := welcoming(4)
	update(t, c.db, func(tx directory.Tx) error {
		_, err := tx.Bury("alpha", []string{"grave"}, start)
		return err
	})
	arrivals[1].Graves = append(arrivals[1].Graves, "grave")
	free := c.manyArrive()
	c.queue(t.Context(), all...)
	free()
	if err := errors.Join(c.outcomes()...); err != nil || !slices.Equal(welcome, []bool{true, false, true, true}) {
		t.Errorf("welcome = %v, %v, want all but the second", welcome, err)
	}
}

func TestWhoArrivesWithSomebodyWhoseNameIsTakenIsWelcome(t *testing.T) {
	c := newColumn(t)
	all, arrivals, welcome := welcoming(4)
	update(t, c.db, func(tx directory.Tx) error { return tx.InsertPerson(person("there", "taken"), "") })
	arrivals[2].UserName = "Taken"
	free := c.manyArrive()
	c.queue(t.Context(), all...)
	free()
	for i, err := range c.outcomes() {
		if taken := i == 2; taken != fault.Is(err, fault.Conflict) || taken == welcome[i] || !taken && err != nil {
			t.Errorf("%d: welcome = %t, %v", i, welcome[i], err)
		}
	}
	var people, events int
	if c.scan("SELECT (SELECT count(*) FROM people WHERE id LIKE 'new%'), (SELECT count(*) FROM audit_events WHERE person LIKE 'new%')", &people, &events); people != 3 || events != 3 {
		t.Errorf("%d people and %d events, want 3 and 3", people, events)
	}
}

// leavers makes people, some signed in and some in groups, and gives what
// dismisses them, and where it says whom it did.
func (c *column) leavers(n int) (all []tx1, was []directory.Shown, gone []bool) {
	c.t.Helper()
	was, gone = make([]directory.Shown, n), make([]bool, n)
	group := func(id string) directory.Group {
		return directory.Group{ID: id, Connection: "alpha", Name: "Group " + id, Version: 1, Created: start, Modified: start}
	}
	update(c.t, c.db, func(tx directory.Tx) error {
		return errors.Join(tx.InsertGroup(group("inner")), tx.InsertGroup(group("outer")))
	})
	for i := range n {
		id := fmt.Sprintf("old%d", i)
		row := seedSession(c.t, c.db, id)
		for k := range i % 3 {
			row.ID, row.TokenHash, row.ProviderSession = fmt.Sprintf("s%d-%s", k, id), fmt.Appendf(nil, "hash %d of %s", k, id), fmt.Sprintf("sid %d of %s", k, id)
			if err := c.db.Sessions().InsertSession(c.t.Context(), row); err != nil {
				c.t.Fatal(err)
			}
		}
		update(c.t, c.db, func(tx directory.Tx) error {
			if i%2 == 0 {
				return nil
			}
			_, err := tx.AddMembers("inner", []string{id}, start)
			return err
		})
		d := directory.Departure{Reason: odd[i%len(odd)], Event: audit.Event{
			At: start.Add(time.Duration(n-i) * time.Second), Action: audit.PersonDeactivated,
			Actor:  audit.Actor{Kind: "scim", ID: "t" + id, Name: odd[i%len(odd)], Address: "192.0.2.1"},
			Person: id, Connection: "alpha", Reason: "reason of " + id, Reference: "reference of " + id,
		}}
		all = append(all, func(tx directory.Tx) (err error) {
			was[i], gone[i], err = tx.Dismiss(d)
			return err
		})
	}
	update(c.t, c.db, func(tx directory.Tx) error {
		_, err := tx.Nest("outer", []string{"inner"}, start)
		return err
	})
	return all, was, gone
}

// manyLeave fills the line of departures, and gives what lets them go.
func (c *column) manyLeave() (free func()) {
	c.t.Helper()
	update(c.t, c.db, func(tx directory.Tx) (err error) {
		for i := range store.Few {
			id := fmt.Sprintf("busy%d", i)
			err = errors.Join(err, tx.InsertPerson(person(id, id), ""))
		}
		return err
	})
	free = c.blocked("SELECT 1 FROM people WHERE id LIKE 'busy%' FOR UPDATE")
	c.fill(func(id string) tx1 {
		return func(tx directory.Tx) error {
			_, _, err := tx.Dismiss(directory.Departure{Event: audit.Event{At: start, Person: id, Connection: "alpha"}})
			return err
		}
	})
	return free
}

// Those who are dismissed together leave what they would have left alone, in one
// transaction.
func TestWhoIsDismissedTogetherLeavesTheSame(t *testing.T) {
	const n = 8
	together, alone := newColumn(t), newColumn(t)
	apart, wantWas, _ := alone.leavers(n)
	for i, f := range apart {
		if err := alone.db.Directory().UpdateOne(t.Context(), f); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	all, was, gone := together.leavers(n)
	free := together.manyLeave()
	for _, i := range []int{5, 0, 3, 2, 1, 7, 4, 6} { // in any order
		together.queue(t.Context(), all[i])
	}
	free()
	if err := errors.Join(together.outcomes()...); err != nil || slices.Contains(gone, false) {
		t.Fatalf("gone = %v, %v", gone, err)
	}
	if diff := cmp.Diff(wantWas, was); diff != "" {
		t.Errorf("of the people it gives (-alone +together)\n%s", diff)
	}
	if got, want := together.dump(), alone.dump(); got != want {
		t.Errorf("together it is\n%s\nand alone\n%s", got, want)
	}
	var transactions int
	if together.scan("SELECT count(DISTINCT xmin::text) FROM people WHERE id NOT LIKE 'busy%'", &transactions); transactions != 1 {
		t.Errorf("they are of %d transactions, want 1", transactions)
	}
}

// Somebody who cannot be dismissed at once, or whose row is locked, keeps none of
// the others.
func TestNobodyIsKeptByWhoeverLeavesWithThem(t *testing.T) {
	c := newColumn(t)
	store.HoldLines(c.db, time.Minute, 100*time.Millisecond)
	all, _, gone := c.leavers(4)
	update(t, c.db, func(tx directory.Tx) error {
		p, err := tx.Person("old1")
		p.IDPActive = false
		return errors.Join(err, tx.UpdatePerson(p, ""))
	})
	unlock, free := c.blocked("SELECT 1 FROM people WHERE id = 'old2' FOR UPDATE"), c.manyLeave()
	c.queue(t.Context(), all...)
	free()
	for _, i := range []int{0, 1, 3} {
		if err := <-c.errs[i]; err != nil || gone[i] != (i != 1) {
			t.Errorf("%d: gone = %t, %v", i, gone[i], err)
		}
	}
	select {
	case <-c.errs[2]:
		t.Error("somebody whose row is locked is dismissed")
	default:
	}
	unlock()
	if err := <-c.errs[2]; err != nil || !gone[2] {
		t.Errorf("whose row was locked: gone = %t, %v", gone[2], err)
	}
}

// Whoever asks and goes away while it is done for others as well ends it for
// nobody.
func TestWhoGoesAwayEndsItForNobody(t *testing.T) {
	c := newColumn(t)
	all, _, gone := c.leavers(3)
	unlock, free := c.blocked("SELECT 1 FROM people WHERE id = 'old2' FOR UPDATE"), c.manyLeave()
	mine, leave := context.WithCancel(t.Context())
	c.queue(mine, all[0])
	c.queue(t.Context(), all[1:]...)
	free()
	c.awaitTogether()
	leave()
	unlock()
	if err := errors.Join(c.outcomes()...); err != nil || slices.Contains(gone, false) {
		t.Errorf("gone = %v, %v", gone, err)
	}
}

// awaitTogether waits until somebody who does what several want waits for a lock.
func (c *column) awaitTogether() {
	c.t.Helper()
	for limit := time.Now().Add(time.Minute); ; <-time.After(time.Millisecond) {
		var n int
		if c.scan("SELECT count(*) "+fromTogether, &n); n > 0 {
			return
		}
		if time.Now().After(limit) {
			c.t.Fatal("nobody waits")
		}
	}
}

const fromTogether = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%WITH ORDINALITY%'"

// Where the connection to the database is cut, nobody is told that it was done.
func TestWhatIsCutOffIsToldToAll(t *testing.T) {
	c := newColumn(t)
	all, _, _ := c.leavers(3)
	unlock, free := c.blocked("SELECT 1 FROM people WHERE id = 'old2' FOR UPDATE"), c.manyLeave()
	c.queue(t.Context(), all...)
	free()
	c.awaitTogether()
	var cut bool
	c.scan("SELECT pg_terminate_backend(pid) "+fromTogether, &cut)
	for i, err := range c.outcomes() {
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("%d is told %v", i, err)
		}
	}
	unlock()
	var active int
	if c.scan("SELECT count(*) FROM people WHERE idp_active", &active); active != 3 {
		t.Errorf("%d are active, want 3", active)
	}
}

// However many people there are in their connection, those who leave are looked
// up one by one, and so are their sessions: by a plan that was made while there
// was nobody, and by one for a connection of the usual size.
func TestWhoLeavesIsLookedUpByID(t *testing.T) {
	c := newColumn(t)
	update(t, c.db, func(tx directory.Tx) error {
		return errors.Join(tx.PutConnection(directory.Connection{ID: "beta", Organization: "Alpha"}), tx.InsertPerson(person("p", "p"), ""))
	})
	conn, err := storetest.Raw(t, c.url).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	run := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := conn.ExecContext(t.Context(), s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
	}
	statement, settings := store.DismissTogether()
	run("PREPARE dismiss AS " + statement)
	list := func(format string) string {
		var values []string
		for i := range 8 {
			values = append(values, strings.ReplaceAll(format, "i", strconv.Itoa(i+1)))
		}
		return "'{" + strings.Join(values, ",") + "}'"
	}
	execute := "EXECUTE dismiss(" + list("9000000000000000") + ", " + list("pi") + ", 'alpha'" + strings.Repeat(", "+list("x"), 8) + ")"
	plan := func(when string) {
		t.Helper()
		run("BEGIN", "SELECT "+settings)
		var lines []string
		rows, err := conn.QueryContext(t.Context(), "EXPLAIN (ANALYZE, TIMING OFF) "+execute)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, line)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		run("ROLLBACK")
		if many := regexp.MustCompile(`actual rows=\d{3}|Removed by \w+ ?\w*: \d{3}`).FindAllString(strings.Join(lines, "\n"), -1); many != nil {
			t.Errorf("%s it reads %v:\n%s", when, many, strings.Join(lines, "\n"))
		}
	}
	people := func(n int, id, connection string) string {
		columns := "organization, name, name_key, email, email_key, email_verified, provisioned, idp_active, attributes, version, created, modified, since"
		return fmt.Sprintf("INSERT INTO people (id, connection, user_name, user_name_key, external_id, link, %s) SELECT %s || i, %s, %s || i, %s || i, '', '', %s FROM people, generate_series(1, %d) i WHERE id = 'p'",
			columns, id, connection, id, id, columns, n)
	}
	plan("of nobody")
	run(people(3000, "'p'", "'alpha'"),
		`INSERT INTO sessions (id, token_hash, person_id, assertion_id, connection, created, last_seen, expires, address, user_agent, id_token)
			SELECT i, ('\x' || lpad(i::text, 8, '0'))::bytea, 'p' || i, 'a', 'alpha', 1, 1, 9000000000000000, '', '', '' FROM generate_series(1, 3000) i`)
	plan("once many have come")
	run("SET session_replication_role = replica", people(3000, "'q'", "'c' || i / 5"), "SET session_replication_role = DEFAULT", "ANALYZE")
	plan("of a large connection")
}
