package storetest

import (
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
	db := Raw(tb, databaseURL)
	db.SetMaxOpenConns(1)
	sqlite := strings.HasPrefix(databaseURL, "sqlite:")
	numbers := fmt.Sprintf("generate_series(1, %d) AS n (i)", n)
	if sqlite {
		numbers = fmt.Sprintf("(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i FROM n) AS n", n)
		run(tb, db, "PRAGMA synchronous = OFF")
		run(tb, db, "PRAGMA cache_size = -500000")
	}
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
		indexes := dropIndexes(tb, db, table, sqlite)
		run(tb, db, statement)
		for _, index := range indexes {
			run(tb, db, index)
		}
		if !sqlite {
			run(tb, db, "VACUUM ANALYZE "+table)
		}
	}
	if sqlite {
		run(tb, db, "ANALYZE")
	} else {
		run(tb, db, "VACUUM ANALYZE people")
	}
}

func seededNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = "'" + SeededName(1+i) + "'"
	}
	return strings.Join(names, ", ")
}
