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

// note is somebody who is to be listed anew. On SQLite it is its own number.
type note struct {
	Note int64 `gorm:"column:note"`
	Seq  int64 `gorm:"column:seq"`
}

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
		more = false
		query, mine := "SELECT seq AS note, seq FROM people_unlisted ORDER BY seq LIMIT ?", true
		if t.dialect == "postgres" {
			query = "SELECT note, seq FROM people_unlisted ORDER BY note LIMIT ?"
			if err := t.rows(&mine, listLock); err != nil {
				return err
			}
		}
		var notes []note
		if err := t.rows(&notes, query, limit); err != nil || !mine || len(notes) == 0 {
			return err
		}
		more = len(notes) == limit
		return t.relist(notes)
	})
	return more, err
}

// relist makes the list right for those who are noted.
func (t tx) relist(notes []note) error {
	numbers, people := make([]int64, len(notes)), make([]int64, len(notes))
	for i, n := range notes {
		numbers[i], people[i] = n.Note, n.Seq
	}
	these, noted := t.among("seq", people), t.among("note", numbers)
	differs := "IS DISTINCT FROM"
	var statements []fragment
	if t.dialect == "sqlite" {
		noted, differs = these, "IS NOT"
		statements = []fragment{
			join("DELETE FROM people_search WHERE rowid IN (SELECT l.seq FROM people_list l LEFT JOIN people_listing p ON p.seq = l.seq WHERE l.", these, " AND l.text IS NOT p.text)"),
			join("INSERT INTO people_search (rowid, text) SELECT p.seq, p.text FROM people_listing p LEFT JOIN people_list l ON l.seq = p.seq WHERE p.", these, " AND l.text IS NOT p.text"),
		}
	}
	var set, was, is []string
	for c := range strings.SplitSeq(listColumns, ", ") {
		set, was, is = append(set, c+" = excluded."+c), append(was, "people_list."+c), append(is, "excluded."+c)
	}
	statements = append(statements,
		join("DELETE FROM people_list WHERE ", these, " AND NOT EXISTS (SELECT 1 FROM people WHERE people.seq = people_list.seq)"),
		join("INSERT INTO people_list (seq, "+listColumns+") SELECT seq, "+listColumns+" FROM people_listing WHERE ", these,
			" ON CONFLICT (seq) DO UPDATE SET "+strings.Join(set, ", ")+" WHERE ("+strings.Join(was, ", ")+") "+differs+" ("+strings.Join(is, ", ")+")"),
		join("DELETE FROM people_unlisted WHERE ", noted),
	)
	for _, s := range statements {
		if err := t.later(s.text, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// among is the condition that a column is one of some numbers: one argument,
// however many they are.
func (t tx) among(column string, numbers []int64) fragment {
	text := make([]string, len(numbers))
	for i, n := range numbers {
		text[i] = strconv.FormatInt(n, 10)
	}
	all := strings.Join(text, ",")
	if t.dialect == "postgres" {
		return sqlf(column+" = ANY (CAST(CAST(? AS text) AS bigint[]))", "{"+all+"}")
	}
	return sqlf(column+" IN (SELECT value FROM json_each(?))", "["+all+"]")
}
