package store

import (
	"context"
	"strconv"
	"strings"
)

// listColumns are those of people_list beside its key.
const listColumns = "name, email, organization, connection, provisioned, state, never, last_active, text, unit"

// listLock lets one replica at a time take notes up, so that nobody lists an
// older state of somebody over a newer one.
const listLock = "SELECT pg_try_advisory_xact_lock(7238016432)"

// List takes up to limit notes of people_unlisted up. What the list of people
// shows is the same before and after; it is only found sooner.
func (s adminStore) List(ctx context.Context, limit int) (more bool, err error) {
	var waits bool
	err = s.db.glance(ctx, func(t tx) error {
		return t.rows(&waits, "SELECT EXISTS (SELECT 1 FROM people_unlisted)")
	})
	if err != nil || !waits {
		return false, err
	}
	err = s.db.update(ctx, func(t tx) error {
		relist := t.relist
		if t.dialect == "sqlite" {
			relist = t.relistAlone
		}
		n, err := relist(limit)
		more = n == limit
		return err
	})
	return more, err
}

// gone is a condition on a number: nobody has it, and nobody ever will again.
// PostgreSQL would weigh EXISTS against reading everybody.
func gone(number string) string {
	return "(SELECT p.seq FROM people p WHERE p.seq = " + number + ") IS NULL"
}

// newKinds adds the kinds of some people that are not there yet.
func newKinds(these string) string {
	return "INSERT INTO people_kinds (" + kindColumns + ") SELECT DISTINCT " + kindColumns + " FROM people_listing p WHERE " + these +
		" AND NOT EXISTS (SELECT 1 FROM people_kinds k WHERE " + sameKind + ")"
}

// listThese lists those of some people who are there, whose kinds are.
func listThese(these, kinds, differs string) string {
	var set, was, is []string
	for c := range strings.SplitSeq(listColumns, ", ") {
		set, was, is = append(set, c+" = excluded."+c), append(was, "people_list."+c), append(is, "excluded."+c)
	}
	return "INSERT INTO people_list (seq, " + listColumns + ", kind) SELECT seq, " + listColumns + ", (SELECT k.id FROM " + kinds + " k WHERE " + sameKind + ") FROM people_listing p WHERE " + these +
		" ON CONFLICT (seq) DO UPDATE SET kind = excluded.kind, " + strings.Join(set, ", ") + " WHERE (" + strings.Join(was, ", ") + ") " + differs + " (" + strings.Join(is, ", ") + ")"
}

// relist takes notes up and says how many. It is one statement, of which every
// part sees the same people and the same notes: whoever is changed meanwhile is
// noted again. The lock is asked for before, so that what the one who had it
// last has listed is seen.
func (t tx) relist(limit int) (n int, err error) {
	var mine bool
	if err := t.rows(&mine, listLock); err != nil || !mine {
		return 0, err
	}
	these := "seq = ANY (ARRAY(SELECT DISTINCT seq FROM noted))"
	err = t.rows(&n, `WITH noted AS (DELETE FROM people_unlisted WHERE note = ANY (ARRAY(SELECT note FROM people_unlisted ORDER BY note LIMIT ?)) RETURNING seq),
		removed AS (DELETE FROM people_list WHERE `+these+` AND `+gone("people_list.seq")+`),
		fresh AS (`+newKinds(these)+` RETURNING id, `+kindColumns+`),
		listed AS (`+listThese(these, "(SELECT id, "+kindColumns+" FROM people_kinds UNION ALL SELECT id, "+kindColumns+" FROM fresh)", "IS DISTINCT FROM")+`)
		SELECT count(*) FROM noted`, limit)
	return n, err
}

// relistAlone is relist on SQLite, where nobody writes meanwhile and a note is
// its own number.
func (t tx) relistAlone(limit int) (n int, err error) {
	var last int64
	if err := t.rows(&last, "SELECT coalesce(max(seq), 0) FROM (SELECT seq FROM people_unlisted ORDER BY seq LIMIT ?)", limit); err != nil {
		return 0, err
	}
	these := "IN (SELECT seq FROM people_unlisted WHERE seq <= ?)"
	for _, statement := range []string{
		"DELETE FROM people_search WHERE rowid IN (SELECT l.seq FROM people_list l LEFT JOIN people_listing p ON p.seq = l.seq WHERE l.seq " + these + " AND l.text IS NOT p.text)",
		"INSERT INTO people_search (rowid, text) SELECT p.seq, p.text FROM people_listing p LEFT JOIN people_list l ON l.seq = p.seq WHERE p.seq " + these + " AND l.text IS NOT p.text",
		"DELETE FROM people_list WHERE seq " + these + " AND " + gone("people_list.seq"),
		newKinds("seq " + these),
		listThese("seq "+these, "people_kinds", "IS NOT"),
	} {
		if err := t.later(statement, last); err != nil {
			return 0, err
		}
	}
	taken, err := t.exec("DELETE FROM people_unlisted WHERE seq <= ?", last)
	return int(taken), err
}

// among is the condition that a column is one of some numbers: one argument,
// however many they are.
func (t tx) among(column string, numbers []int64) fragment {
	if t.dialect == "postgres" {
		return sqlf(column+" = ANY (?)", numbers)
	}
	return sqlf(column+" IN (SELECT value FROM json_each(?))", numerals(numbers))
}

// numerals is a list of numbers as json_each reads it.
func numerals(numbers []int64) string {
	text := make([]string, len(numbers))
	for i, n := range numbers {
		text[i] = strconv.FormatInt(n, 10)
	}
	return "[" + strings.Join(text, ",") + "]"
}
