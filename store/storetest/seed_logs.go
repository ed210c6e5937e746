package storetest

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
)

// SeedLogs writes n rows of each log about the people of [Seed], who are as
// many as people says: audit events, sign-ins, and requests of SCIM. It puts
// the first part of them in a sub-organization; their rows are the oldest, ten
// of each.
func SeedLogs(tb testing.TB, databaseURL, connection, unit string, people, part, n int) {
	tb.Helper()
	db, sqlite, numbers := forMany(tb, databaseURL, n)
	name := fmt.Sprintf("'seed' || (CASE WHEN i <= %d THEN 1 + i %% %d ELSE %d + i %% %d END) || '@example.com'", 10*part, part, part+1, people-part)
	from := fmt.Sprintf(" FROM %s JOIN people p ON p.connection = '%s' AND p.user_name_key = %s AND p.provisioned ORDER BY i", numbers, connection, name)
	run(tb, db, fmt.Sprintf("UPDATE people SET unit = '%s' WHERE connection = '%s' AND user_name IN (%s)", unit, connection, seededNames(part)))
	at := "1772355600000000 + i"
	for table, statement := range map[string]string{
		"audit_events": `INSERT INTO audit_events (at, action, actor_kind, actor_id, actor_name, address, person, subject, connection, reason, reference, detail, sealed)
			SELECT ` + at + `, 'person.updated', 'scim', 't', 'token t', '', p.id, p.user_name, '` + connection + `', '', '', 'null', TRUE` + from,
		"login_traces": `INSERT INTO login_traces (reference, start_ref, connection, finished, came_in, body, person)
			SELECT 'R' || i, '', '` + connection + `', ` + at + `, TRUE, '{"reference":"R' || i || '","person":"' || p.id || '"}', p.id` + from,
		"scim_log": `INSERT INTO scim_log (at, connection, token, address, method, path, status, cause, body, took)
			SELECT ` + at + `, '` + connection + `', 't', '', 'PUT', '/Users/' || p.id, 200, '', '', 1000` + from,
	} {
		seedLog(tb, db, sqlite, table, statement)
	}
	run(tb, db, `INSERT INTO login_trace_counts (hour, connection, class, kept, lost, came, failed)
		SELECT finished - finished % 3600000000, connection, 'inside', count(*), 0, count(*), 0 FROM login_traces WHERE came_in GROUP BY 1, 2`)
	if sqlite {
		run(tb, db, "ANALYZE")
	} else {
		run(tb, db, "VACUUM ANALYZE people")
	}
}

// forMany opens a database to write many rows at once; numbers are those from 1
// to n, as n.i.
func forMany(tb testing.TB, databaseURL string, n int) (db *sql.DB, sqlite bool, numbers string) {
	tb.Helper()
	db = Raw(tb, databaseURL)
	db.SetMaxOpenConns(1)
	sqlite = strings.HasPrefix(databaseURL, "sqlite:")
	numbers = fmt.Sprintf("generate_series(1, %d) AS n (i)", n)
	if sqlite {
		numbers = fmt.Sprintf("(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i FROM n) AS n", n)
		run(tb, db, "PRAGMA synchronous = OFF")
		run(tb, db, "PRAGMA cache_size = -500000")
	}
	return db, sqlite, numbers
}

// SeedConnectionLogs writes n rows of the audit trail, of the log of sign-ins and
// of that of provisioning at one day, of two lots of as many connections: "many0" and so on by turns,
// and before them "few0" and so on, of which each has ten rows. One attempt and
// one request of a hundred failed.
func SeedConnectionLogs(tb testing.TB, databaseURL string, connections, n int) {
	tb.Helper()
	db, sqlite, numbers := forMany(tb, databaseURL, n)
	connection := fmt.Sprintf("(CASE WHEN i <= %d THEN 'few' ELSE 'many' END) || (i %% %d)", 10*connections, connections)
	at := fmt.Sprintf("1772323200000000 + i * (86000000000 / %d)", n)
	seedLog(tb, db, sqlite, "audit_events", `INSERT INTO audit_events
		(at, action, actor_kind, actor_id, actor_name, address, person, subject, connection, reason, reference, detail, sealed)
		SELECT `+at+`, CASE WHEN i % 100 = 0 THEN 'person.locked' ELSE 'person.updated' END, 'scim', 't', 'token t', '', 'p' || i, 'somebody', `+connection+`, '', '', 'null', TRUE FROM `+numbers)
	seedLog(tb, db, sqlite, "login_traces", `INSERT INTO login_traces (reference, start_ref, connection, finished, came_in, body, person)
		SELECT 'R' || i, '', `+connection+", "+at+`, i % 100 <> 0, '{"reference":"R' || i || '"}', 'p' || i FROM `+numbers)
	seedLog(tb, db, sqlite, "scim_log", `INSERT INTO scim_log (at, connection, token, address, method, path, status, cause, body, took)
		SELECT `+at+", "+connection+`, 't', '', 'PUT', '/Users/p' || i, CASE WHEN i % 100 = 0 THEN 409 ELSE 200 END, '', '', 1000 FROM `+numbers)
	run(tb, db, `INSERT INTO login_trace_counts (hour, connection, class, kept, lost, came, failed)
		SELECT finished - finished % 3600000000, connection, CASE WHEN came_in THEN 'inside' ELSE 'vouched' END, count(*), 0,
			sum(CASE WHEN came_in THEN 1 ELSE 0 END), sum(CASE WHEN came_in THEN 0 ELSE 1 END) FROM login_traces GROUP BY 1, 2, 3`)
}

// seedLog fills a table by one statement.
func seedLog(tb testing.TB, db *sql.DB, sqlite bool, table, statement string) {
	tb.Helper()
	indexes := dropIndexes(tb, db, table, sqlite)
	run(tb, db, statement)
	for _, index := range indexes {
		run(tb, db, index)
	}
	if !sqlite {
		run(tb, db, "VACUUM ANALYZE "+table)
	}
}

func seededNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = "'" + SeededName(1+i) + "'"
	}
	return strings.Join(names, ", ")
}
