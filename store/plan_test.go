package store_test

import (
	"database/sql"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"portcullis/directory"
	"portcullis/store"
	"portcullis/store/storetest"
)

// hot are the statements that run for each request, sign-in or push, with
// values for their placeholders filled in. None of them may read a whole
// table.
var hot = map[string]string{
	"session by token":     "SELECT * FROM sessions WHERE token_hash = X'01'",
	"person":               "SELECT * FROM people p WHERE id = 'x'",
	"person by subject":    "SELECT p.* FROM identities i JOIN people p ON p.id = i.person_id WHERE i.connection = 'c' AND i.issuer = 'i' AND i.subject = 's'",
	"person by link":       "SELECT * FROM people p WHERE (connection = 'c' AND link = 'l' AND link <> '' AND link <> external_id OR connection = 'c' AND external_id = 'l' AND link = 'l')",
	"identities by link":   "SELECT i.* FROM identities i JOIN people p ON p.id = i.person_id WHERE i.connection = 'c' AND i.link = 'l' AND NOT p.provisioned",
	"userName eq":          "SELECT * FROM people WHERE connection = 'c' AND user_name_key = 'u' AND provisioned ORDER BY seq LIMIT 10",
	"externalId eq":        "SELECT count(*) FROM people WHERE connection = 'c' AND external_id = 'u' AND provisioned",
	"email eq":             "SELECT count(*) FROM people WHERE connection = 'c' AND email_key = 'u' AND provisioned",
	"displayName eq":       "SELECT count(*) FROM people WHERE connection = 'c' AND name_key = 'u' AND provisioned",
	"groups of":            "SELECT g.* FROM memberships m JOIN pushed_groups g ON g.id = m.group_id WHERE m.person_id = 'p' ORDER BY g.seq",
	"members":              "SELECT p.id, p.name FROM memberships m JOIN people p ON p.id = m.person_id WHERE m.group_id = 'g5' ORDER BY m.seq",
	"group displayName":    "SELECT count(*) FROM pushed_groups WHERE connection = 'c' AND name_key = 'g'",
	"group externalId":     "SELECT count(*) FROM pushed_groups WHERE connection = 'c' AND external_id = 'g'",
	"assertion":            "SELECT facts FROM assertions WHERE id = 'a'",
	"last assertion":       "SELECT facts FROM assertions WHERE person_id = 'p' ORDER BY seq DESC LIMIT 1",
	"sessions of":          "SELECT * FROM sessions WHERE person_id = 'p' AND ended = 0 AND expires > 1",
	"end sessions":         "UPDATE sessions SET ended = 1 WHERE person_id = 'p' AND ended = 0",
	"end session":          "UPDATE sessions SET ended = 1 WHERE id = 's' AND ended = 0",
	"sessions of the dead": "DELETE FROM sessions WHERE person_id = 'p'", // what ON DELETE CASCADE does
	"scim token":           "SELECT * FROM scim_tokens WHERE hash = X'01'",
	"attempt":              "DELETE FROM sign_in_attempts WHERE state_hash = X'01' AND expires > 1",
	"old attempts":         "DELETE FROM sign_in_attempts WHERE expires < 1",
	"parked":               "SELECT * FROM parked_members WHERE connection = 'c' AND value = 'v'",
	"buried":               "SELECT count(*) FROM tombstones WHERE connection = 'c' AND hash = 'h'",
	"unbury":               "DELETE FROM tombstones WHERE burial = 'b'",
	"unsealed":             "SELECT * FROM audit_events e WHERE NOT sealed AND (SELECT s.position FROM audit_seals s WHERE s.event = e.seq) IS NULL ORDER BY seq LIMIT 500",
	"last seal":            "SELECT position, event, hash FROM audit_seals ORDER BY position DESC LIMIT 1",
	"keep a person":        "SELECT id, since FROM people WHERE since < 5 AND id = 'p' AND version <> 1",
	"keep a group":         "SELECT id, since FROM pushed_groups WHERE id = 'g' AND since < 5 AND (name <> 'n' OR external_id <> 'e')",
	"keep members":         "SELECT person_id, since FROM memberships WHERE group_id = 'g' AND since < 5 AND person_id IN ('p1', 'p2')",
	"people at":            "SELECT person_id AS id, since FROM people_history WHERE since <= 5 AND until > 5 AND person_id IN ('p1', 'p2') ORDER BY since",
	"members then":         "SELECT group_id FROM memberships_history WHERE since <= 5 AND until > 5 AND person_id IN ('p1', 'p2')",
	"groups then":          "SELECT name FROM pushed_groups_history WHERE since <= 5 AND until > 5 AND group_id IN ('g1', 'g2')",
	"nested then":          "SELECT group_id FROM nested_groups_history WHERE since <= 5 AND until > 5 AND member_id IN ('g1', 'g2')",
	"keep nested":          "SELECT since FROM nested_groups WHERE since < 5 AND (group_id = 'g1' OR member_id = 'g1')",
	"page of people":       "SELECT * FROM people WHERE seq > 5 ORDER BY seq LIMIT 50",
	"old changes":          "DELETE FROM changes WHERE at < 1 AND seq < coalesce((SELECT seq FROM changes WHERE seq > 0 AND at >= 1 ORDER BY seq LIMIT 1), 9223372036854775807)",
	"old log entries":      "DELETE FROM scim_log WHERE at < 1 AND seq < coalesce((SELECT seq FROM scim_log WHERE seq > 0 AND at >= 1 ORDER BY seq LIMIT 1), 9223372036854775807)",
	"events of an action":  "SELECT seq FROM audit_events WHERE sealed AND action = 'person.created' AND seq < 5000 ORDER BY seq DESC LIMIT 50",
	"events of a person":   "SELECT seq FROM audit_events WHERE sealed AND person = 'p1' ORDER BY seq DESC LIMIT 50",
	"a decision":           "SELECT * FROM audit_events WHERE sealed AND person = 'p1' AND action = 'person.locked' AND at = 5",
	"the latest decision":  "SELECT * FROM audit_events WHERE NOT sealed AND person = 'p1' AND action = 'person.locked' AND at = 5",
	"their latest events":  "SELECT seq FROM audit_events WHERE NOT sealed AND person = 'p1' ORDER BY seq DESC LIMIT 50",
	"losses of an hour":    "SELECT seq FROM losses WHERE connection = 'c' AND group_id = '' AND at > 1 AND at <= 5 AND NOT pending",
	"losses of a member":   "SELECT 1 FROM losses WHERE member = 'p1' AND seq > 5 AND NOT pending",
	"their latest losses":  "SELECT 1 FROM losses WHERE member = 'p1' AND seq > 5 AND pending",
	"losses of a mass":     "SELECT seq FROM losses WHERE mass = 7 AND mass <> 0 AND seq > 5 ORDER BY seq LIMIT 50",
}

// A list that looks somebody up by a value that has an index does not walk
// through everybody of the connection. The conditions are those that
// store/filter.go and store/resource.go write for SQLite, which plans by rules
// and not by what is in the tables.
func TestLookUpsDoNotWalkThroughTheConnection(t *testing.T) {
	t.Parallel()
	databaseURL := "sqlite:" + filepath.Join(t.TempDir(), "plan.db")
	db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	conn, err := storetest.Raw(t, databaseURL).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for name, condition := range map[string]string{
		"e-mail": `people.id IN (SELECT id FROM people WHERE connection = 'c' AND email_key = 'x'
			UNION ALL SELECT person_id FROM person_emails WHERE connection = 'c' AND value_key = 'x')`,
		"id": "people.id = 'x'", "userName": "people.user_name_key = 'x'", "start of userName": "(people.user_name_key >= 'a' AND people.user_name_key < 'b')",
		"externalId": "(people.external_id = 'x' AND people.external_id <> '')", "name": "people.name_key = 'x'",
	} {
		query := "SELECT people.id FROM people WHERE likelihood(people.connection = 'c', 0.9) AND people.provisioned AND " + condition + " ORDER BY seq LIMIT 101"
		if plan := explained(t, conn, "EXPLAIN QUERY PLAN "+query); strings.Contains(plan, "SCAN people") || strings.Contains(plan, "people_pushed") {
			t.Errorf("%s walks through the connection:\n%s", name, plan)
		}
	}
}

func TestNothingHotReadsAWholeTable(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		db, err := store.Open(t.Context(), store.Config{URL: databaseURL})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		seed(t, db)
		raw := storetest.Raw(t, databaseURL)
		postgres := strings.HasPrefix(databaseURL, "postgres")
		statements := map[string]string{"changes": "SELECT * FROM changes WHERE seq > 590 ORDER BY seq"}
		if postgres {
			statements["changes"] = "SELECT * FROM changes WHERE xact >= 9000000000 ORDER BY seq"
		}
		maps.Copy(statements, hot)
		maps.Copy(statements, store.PastQueries(db))
		fill(t, db)
		if _, err := raw.ExecContext(t.Context(), "ANALYZE"); err != nil {
			t.Fatal(err)
		}
		conn, err := raw.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if postgres { // a table that fits a few pages is read whole unless it must not
			if _, err := conn.ExecContext(t.Context(), "SET enable_seqscan = off"); err != nil {
				t.Fatal(err)
			}
		}
		for name, statement := range statements {
			explain := "EXPLAIN QUERY PLAN "
			if postgres {
				explain, statement = "EXPLAIN ", strings.ReplaceAll(statement, "X'01'", `'\x01'`)
			}
			plan := explained(t, conn, explain+statement)
			for line := range strings.Lines(plan) {
				scans := strings.Contains(line, "Seq Scan")
				if !postgres {
					scans = strings.Contains(line, "SCAN") && !strings.Contains(line, "USING") && !strings.Contains(line, "json_each") &&
						!strings.Contains(line, "VIRTUAL TABLE") && // a list among the arguments
						!strings.Contains(line, "audit_seals") // the end of its primary key
				}
				if scans {
					t.Errorf("%s reads a whole table:\n%s\n%s", name, statement, plan)
				}
			}
		}
	})
}

func explained(t *testing.T, db *sql.Conn, statement string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), statement)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&out, *values[len(values)-1].(*any))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// fill makes the tables large enough for a planner to prefer an index.
func fill(t *testing.T, db *store.DB) {
	t.Helper()
	update(t, db, func(tx directory.Tx) error {
		for i := range 600 {
			p := person(fmt.Sprint("p", i), fmt.Sprint("u", i))
			if i%50 == 0 {
				p.Provisioned = false
			}
			g := fmt.Sprint("g", i)
			for _, f := range []func() error{
				func() error { return tx.InsertPerson(p, fmt.Sprint("l", i)) },
				func() error {
					return tx.InsertIdentity(directory.Identity{Connection: "alpha", Issuer: "i", Subject: p.ID, Link: p.ID, Person: p.ID, Created: start})
				},
				func() error {
					_, err := tx.InsertAssertion(p.ID, directory.Assertion{Subject: p.ID, Received: start})
					return err
				},
				func() error {
					return tx.InsertGroup(directory.Group{ID: g, Connection: "alpha", Name: g, ExternalID: g, Version: 1, Created: start, Modified: start})
				},
				func() error { _, err := tx.AddMembers(g, []string{p.ID}, start); return err },
				func() error { _, err := tx.Park(g, []string{p.ID}); return err },
				func() error { _, err := tx.Bury("alpha", []string{p.ID, g}, start); return err },
				func() error { return tx.Change(directory.Change{At: start, Person: p.ID}) },
				func() error { return tx.Audit(happened) },
			} {
				if err := f(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	raw := []string{
		`INSERT INTO people_history (person_id, since, until, connection, organization, user_name, external_id, name, email, email_verified,
			provisioned, idp_active, deactivated_at, deactivated_by, deactivated_reason, locked_at, locked_by, locked_reason, attributes,
			version, created, modified) SELECT id, 1, seq, '', '', '', '', '', '', TRUE, TRUE, TRUE, 0, '', '', 0, '', '', '', 1, 1, 1 FROM people`,
		"INSERT INTO memberships_history (group_id, person_id, since, until) SELECT group_id, person_id, 1, seq FROM memberships",
		"INSERT INTO nested_groups_history (group_id, member_id, since, until) SELECT group_id, person_id, 1, seq FROM memberships",
		`INSERT INTO pushed_groups_history (group_id, since, until, connection, name, external_id, created)
			SELECT id, 1, seq, '', '', '', 1 FROM pushed_groups`,
		`INSERT INTO sessions (id, token_hash, person_id, assertion_id, connection, created, last_seen, expires, address, user_agent, id_token)
			SELECT 's' || id, CAST(id AS BYTES), id, 'a', 'alpha', 1, 1, 2, '', '', CAST('' AS BYTES) FROM people`,
		`INSERT INTO sign_in_attempts (state_hash, browser_hash, connection, nonce, verifier, return_to, reference, created, expires)
			SELECT CAST(id AS BYTES), CAST('' AS BYTES), 'alpha', '', '', '', '', 1, seq FROM people`,
		`INSERT INTO scim_tokens (id, connection, hash, note, created) SELECT id, 'alpha', CAST(id AS BYTES), '', 1 FROM people`,
		"INSERT INTO audit_seals (position, event, hash) SELECT seq, seq, CAST('' AS BYTES) FROM audit_events WHERE seq < 550",
		"UPDATE audit_events SET sealed = TRUE WHERE seq < 550",
		"UPDATE changes SET at = seq",
	}
	store.Fill(t, db, raw)
}
