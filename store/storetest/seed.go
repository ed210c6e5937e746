package storetest

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
)

// SeededID is the id of the i-th person that [Seed] makes; ids lie scattered,
// as random ones do. Its userName is [SeededName].
func SeededID(i int) string {
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", int64(i)*2654435761%4294967296, i)
}

// SeededName is the userName of the i-th person that [Seed] makes.
func SeededName(i int) string { return fmt.Sprintf("seed%d@example.com", i) }

// Seed makes people 1 to n of a connection as SCIM would, without history and
// audit trail, in a fraction of the time. The database has to have its schema,
// and the organization.
func Seed(tb testing.TB, databaseURL, connection, organization string, n int) {
	tb.Helper()
	sqlite := strings.HasPrefix(databaseURL, "sqlite:")
	db := Raw(tb, databaseURL)
	db.SetMaxOpenConns(1)
	numbers, word := "generate_series(1, %d) AS n (i)", `lpad(to_hex((i::bigint * 2654435761) %% 4294967296), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(i), 12, '0')`
	if sqlite {
		numbers = "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i FROM n) AS n"
		word = `printf('%%08x-0000-4000-8000-%%012x', (i * 2654435761) %% 4294967296, i)`
		run(tb, db, "PRAGMA synchronous = OFF")
		run(tb, db, "PRAGMA cache_size = -500000")
	}
	word, numbers = strings.ReplaceAll(word, "%%", "%"), fmt.Sprintf(numbers, n)
	name := "'seed' || i || '@example.com'"
	doc := `'{"displayName":"Ada Example","emails":[{"primary":true,"type":"work","value":"' || ` + name +
		` || '"}],"externalId":"x-' || ` + name + ` || '","name":{"familyName":"Example","givenName":"Ada"},"userName":"' || ` + name + ` || '"}'`
	indexes := dropIndexes(tb, db, "people", sqlite)
	run(tb, db, `INSERT INTO people (id, connection, organization, user_name, user_name_key, external_id, link, name, name_key, email, email_key,
		email_verified, provisioned, idp_active, attributes, attributes_key, version, created, modified, since)
		SELECT `+word+`, '`+connection+`', '`+organization+`', `+name+`, `+name+`, 'x-' || `+name+`, 'x-' || `+name+`, 'Ada Example', 'ada example', `+name+`, `+name+`,
		FALSE, TRUE, TRUE, `+doc+`, lower(`+doc+`), 1, 1772355600000000 + i, 1772355600000000 + i, 1772355600000000 + i FROM `+numbers)
	for _, index := range indexes {
		run(tb, db, index)
	}
	if !sqlite {
		run(tb, db, "VACUUM ANALYZE people")
	}
}

// SeedMembers makes people 1 to n of [Seed] members of a group.
func SeedMembers(tb testing.TB, databaseURL, group string, n int) {
	tb.Helper()
	db := Raw(tb, databaseURL)
	run(tb, db, fmt.Sprintf("INSERT INTO memberships (group_id, person_id) SELECT '%s', id FROM people WHERE user_name LIKE 'seed%%' ORDER BY seq LIMIT %d", group, n))
	if !strings.HasPrefix(databaseURL, "sqlite:") {
		run(tb, db, "VACUUM ANALYZE memberships")
	}
}

// SeedSignIns gives each of the people of [Seed] three of 300 pushed groups, and
// a sign-in as Entra ID would word it: five groups and a dozen claims.
func SeedSignIns(tb testing.TB, databaseURL, connection string) {
	tb.Helper()
	db := Raw(tb, databaseURL)
	db.SetMaxOpenConns(1)
	sqlite := strings.HasPrefix(databaseURL, "sqlite:")
	if sqlite {
		run(tb, db, "PRAGMA synchronous = OFF")
		run(tb, db, "PRAGMA cache_size = -500000")
	}
	run(tb, db, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
		INSERT INTO pushed_groups (id, connection, name, name_key, external_id, version, created, modified)
		SELECT 'seeded-' || i, '`+connection+`', 'Group ' || i, 'group ' || i, 'x' || i, 1, i, i FROM n`)
	run(tb, db, `INSERT INTO memberships (group_id, person_id) SELECT 'seeded-' || (1 + (p.seq * 7 + k.i * 31) % 300), p.id
		FROM people p, (SELECT 1 AS i UNION ALL SELECT 2 UNION ALL SELECT 3) k WHERE p.user_name LIKE 'seed%'`)
	group := func(of int) string {
		return fmt.Sprintf(`"00000000-aaaa-bbbb-cccc-' || (100000000000 + seq %% %d) || '"`, of)
	}
	issuer := "https://login.example.com/00000000-1111-2222-3333-444444444444/v2.0"
	facts := `'{"Connection":"` + connection + `","Issuer":"` + issuer + `","Subject":"' || id || '","Link":"","UserName":"' || user_name ||
		'","Email":"' || email || '","EmailVerified":true,"Name":"Ada Example","Groups":[` + group(500) + "," + group(300) + "," + group(200) + "," + group(100) + "," + group(1) +
		`],"GroupsIncomplete":false,"AppRoles":["reader"],"UserType":"Member","Claims":{"aud":"11111111-1111-2222-3333-444444444444","department":"D' || (seq % 40) ||
		'","email":"' || email || '","exp":1772355600,"iat":1772352000,"iss":"` + issuer + `","name":"Ada Example","oid":"' || id ||
		'","preferred_username":"' || user_name || '","sub":"' || id || '","tid":"00000000-1111-2222-3333-444444444444","ver":"2.0"},"ACR":"","AuthTime":"0001-01-01T00:00:00Z","Received":"2026-01-01T00:00:00.123456Z"}'`
	run(tb, db, `INSERT INTO assertions (id, person_id, received, complete, facts)
		SELECT 'seeded-' || id, id, 1767225600123456, TRUE, `+facts+` FROM people WHERE user_name LIKE 'seed%' ORDER BY seq`)
	if sqlite {
		run(tb, db, "ANALYZE")
		return
	}
	run(tb, db, "VACUUM ANALYZE memberships")
	run(tb, db, "VACUUM ANALYZE assertions")
}

// SeedList lists everybody, as the console would in the course of time.
func SeedList(tb testing.TB, databaseURL string) {
	tb.Helper()
	db := Raw(tb, databaseURL)
	db.SetMaxOpenConns(1)
	run(tb, db, "DELETE FROM people_unlisted")
	run(tb, db, "DELETE FROM people_list")
	indexes := dropIndexes(tb, db, "people_list", strings.HasPrefix(databaseURL, "sqlite:"))
	same := "(k.organization, k.connection, k.unit, k.state, k.never, k.provisioned) = (p.organization, p.connection, p.unit, p.state, p.never, p.provisioned)"
	run(tb, db, `INSERT INTO people_kinds (organization, connection, unit, state, never, provisioned)
		SELECT DISTINCT organization, connection, unit, state, never, provisioned FROM people_listing p WHERE NOT EXISTS (SELECT 1 FROM people_kinds k WHERE `+same+")")
	run(tb, db, `INSERT INTO people_list (seq, name, email, organization, connection, provisioned, state, never, last_active, text, unit, kind)
		SELECT p.*, k.id FROM people_listing p JOIN people_kinds k ON `+same)
	for _, index := range indexes {
		run(tb, db, index)
	}
	if strings.HasPrefix(databaseURL, "sqlite:") {
		run(tb, db, "INSERT INTO people_search (rowid, text) SELECT seq, text FROM people_list")
		run(tb, db, "ANALYZE")
		return
	}
	run(tb, db, "VACUUM ANALYZE people_list")
}

// dropIndexes takes the indexes of a table away and gives what makes them
// again: to sort once is faster than to insert at a million places.
func dropIndexes(tb testing.TB, db *sql.DB, table string, sqlite bool) (again []string) {
	tb.Helper()
	query := `SELECT indexname, indexdef FROM pg_indexes WHERE tablename = $1 AND indexname NOT IN (SELECT conname FROM pg_constraint)`
	if sqlite {
		query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
	}
	rows, err := db.QueryContext(tb.Context(), query, table)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name, definition string
		if err := rows.Scan(&name, &definition); err != nil {
			tb.Fatal(err)
		}
		names, again = append(names, name), append(again, definition)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	for _, name := range names {
		run(tb, db, "DROP INDEX "+name)
	}
	return again
}

func run(tb testing.TB, db *sql.DB, statement string) {
	tb.Helper()
	if _, err := db.ExecContext(tb.Context(), statement); err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
}
