package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"portcullis/admin"
	"portcullis/directory"
)

var _ admin.Store = adminStore{}

type adminStore struct{ db *DB }

// Admin gives the store of the console.
func (db *DB) Admin() admin.Store { return adminStore{db} }

// listed are the columns of a list of people: a record that an identity
// provider pushed is long, and not in it.
var listed = strings.Replace(personColumns, "people.attributes", "''", 1) //nolint:gochecknoglobals // a constant that the language cannot fold

// peopleOrder is the column that a list of people is sorted by, and its type.
// Creation needs none.
func peopleOrder(o admin.Order) (column, as string) {
	switch o {
	case admin.ByEmail:
		return "email", "text"
	case admin.ByActive:
		return "last_active", "bigint"
	case admin.ByCreated:
		return "", ""
	default:
		return "name", "text"
	}
}

// maxHits is how many people a search may find and still sort them; beyond,
// hits are dense enough to meet them in the order of the list.
const maxHits = 2000

func (s adminStore) People(ctx context.Context, q admin.PeopleQuery) (people []directory.Person, next *admin.Place, err error) {
	text, look := strings.ToLower(strings.TrimSpace(q.Text)), s.db.glance
	if text != "" {
		look = s.db.view // what two statements see has to be the same
	}
	err = look(ctx, func(t tx) error {
		t = t.once()
		where, err := t.peopleFilter(q)
		if err != nil {
			return err
		}
		found := sqlf(always)
		if text != "" {
			var holds fragment
			if holds, found, err = t.searched(text); err != nil {
				return err
			}
			where = join(where, " AND ", holds)
		}
		people, next, err = t.listPeople(q, where, found)
		return err
	})
	return people, next, err
}

// The states of people_list.
var listStates = map[directory.State]int{directory.Active: 0, directory.Locked: 1, directory.Deactivated: 2} //nolint:gochecknoglobals // never written

// peopleFilter is what a query asks beside its text, of a row of people_list
// or people_listing.
func (t tx) peopleFilter(q admin.PeopleQuery) (fragment, error) {
	where := sqlf(always)
	// SQLite takes every equality for rare.
	add := func(share, text string, args ...any) {
		if t.dialect == "sqlite" {
			text = "likelihood(" + text + ", " + share + ")"
		}
		where = join(where, " AND ", sqlf(text, args...))
	}
	if state, ok := listStates[q.State]; ok {
		share := "0.01"
		if q.State == directory.Active {
			share = "0.95"
		}
		add(share, "state = "+strconv.Itoa(state))
	}
	if q.NeverIn {
		add("0.5", "never = TRUE")
	}
	if q.Organization != "" {
		add("0.02", "organization = ?", q.Organization)
	}
	if q.Connection != "" {
		add("0.02", "connection = ?", q.Connection)
	}
	switch q.Source {
	case "scim":
		add("0.5", "provisioned = TRUE")
	case "sso":
		add("0.5", "provisioned = FALSE")
	}
	if q.Units == nil {
		return where, nil
	}
	in, err := t.inUnits("unit", q.Units)
	if !slices.Contains(q.Units, "") {
		in = join("unit <> '' AND ", in) // in the words of the index
	}
	return join(where, " AND ", in), err
}

// Who is noted in people_unlisted is listed from the people themselves.
const (
	settled = "seq NOT IN (SELECT seq FROM people_unlisted)"
	waiting = "seq IN (SELECT seq FROM people_unlisted)"
)

// listPeople reads a page of those who meet a condition; found is one more for
// those who are on the list, which the others need not meet.
func (t tx) listPeople(q admin.PeopleQuery, where, found fragment) (people []directory.Person, next *admin.Place, err error) {
	column, as := peopleOrder(q.Order)
	sign, way := ">", ""
	if q.Descending {
		sign, way = "<", " DESC"
	}
	if a := q.After; a != nil && column == "" {
		where = join(where, sqlf(" AND seq "+sign+" ?", a.Seq))
	} else if a != nil {
		// The first half leads the index, the second decides.
		where = join(where, sqlf(" AND "+column+" "+sign+"= CAST(? AS "+as+") AND ("+column+" "+sign+" CAST(? AS "+as+") OR seq "+sign+" ?)", a.Value, a.Value, a.Seq))
	}
	value, order := "''", " ORDER BY seq"+way
	if column != "" {
		value, order = column, " ORDER BY "+column+way+", seq"+way
	}
	part := func(from, of string, more fragment) fragment {
		return join("SELECT * FROM (SELECT seq, "+value+" AS place FROM "+from+" WHERE "+of+" AND ", more, order, sqlf(" LIMIT ?", q.Limit+1), ") "+from)
	}
	query := join("SELECT "+t.packed(listed)+", CAST(chosen.place AS text) AS sort_value FROM (",
		part("people_list", settled, join(where, " AND ", found)), " UNION ALL ", part("people_listing", waiting, where),
		") chosen JOIN people ON people.seq = chosen.seq ORDER BY chosen.place"+way+", chosen.seq"+way, sqlf(" LIMIT ?", q.Limit+1))
	rows, err := t.scanPeople(true, query.text, query.args...)
	if err != nil {
		return nil, nil, err
	}
	if len(rows) > q.Limit {
		rows = rows[:q.Limit]
		last := rows[q.Limit-1]
		next = &admin.Place{Seq: last.Row.Seq}
		if last.SortValue != nil {
			next.Value = *last.SortValue
		}
	}
	for i := range rows {
		people = append(people, rows[i].Row.domain())
	}
	return people, next, nil
}

// maxWords bounds the conditions of one search.
const maxWords = 8

// hit is somebody whom a search found.
type hit struct {
	Seq int64 `gorm:"column:seq"`
}

// searched is the condition that people have every word of a text, and one
// that says the same of those who are on the list by what an index has found:
// a few hits are looked up first, so that they are sorted; many are met on the
// way.
func (t tx) searched(text string) (holds, found fragment, err error) {
	words := strings.Fields(text)
	words = words[:min(len(words), maxWords)]
	holds, found = sqlf(always), sqlf(always)
	var long []string
	for _, w := range words {
		holds = join(holds, " AND ", t.contains(w))
		if utf8.RuneCountInString(w) >= 3 { // what an index of trigrams can find
			long = append(long, w)
		}
	}
	if len(long) == 0 {
		return holds, found, nil
	}
	if dense, err := t.dense(long); err != nil || dense {
		return holds, found, err
	}
	var hits []hit
	if err := t.rows(&hits, t.lookUp(long), append(t.lookUpArgs(long), maxHits+1)...); err != nil {
		return holds, found, err
	}
	if len(hits) > maxHits {
		return holds, found, nil
	}
	numbers := make([]int64, len(hits))
	for i, h := range hits {
		numbers[i] = h.Seq
	}
	return holds, t.among("seq", numbers), nil
}

// Words are dense where so many of a sample have them: then a page of people is met
// sooner in the order of the list than an index has found all of them.
const (
	denseSample = 200
	denseHits   = 8
)

// dense reports whether so many people have every word that to look them all
// up would take long: of a million, a second. PostgreSQL's index finds
// everybody before it gives the first; SQLite's gives one after the other. The
// sample is spread over all people.
func (t tx) dense(words []string) (bool, error) {
	if t.dialect != "postgres" {
		return false, nil
	}
	var n int
	where := strings.Repeat("text LIKE ? AND ", len(words)) + always
	err := t.rows(&n, `SELECT count(*) FROM (SELECT max(seq) AS last FROM people_list) l, generate_series(1, ?) AS n (i)
		JOIN LATERAL (SELECT text FROM people_list p WHERE p.seq = l.last * n.i / ?) p ON `+where,
		append([]any{denseSample, denseSample}, t.lookUpArgs(words)...)...)
	return n >= denseHits, err
}

func (t tx) contains(word string) fragment {
	if t.dialect == "postgres" {
		return sqlf("strpos(text, ?) > 0", word)
	}
	return sqlf("instr(text, ?) > 0", word)
}

// lookUp finds people by the index of trigrams.
func (t tx) lookUp(words []string) string {
	if t.dialect == "postgres" {
		// Materialized: a plan made for a few rows of any word would read everybody.
		return "WITH hits AS MATERIALIZED (SELECT seq FROM people_list WHERE " + strings.Repeat("text LIKE ? AND ", len(words)) + always + ") SELECT seq FROM hits LIMIT ?"
	}
	return "SELECT rowid AS seq FROM people_search WHERE people_search MATCH ? LIMIT ?"
}

func (t tx) lookUpArgs(words []string) []any {
	if t.dialect == "postgres" {
		escape := strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`)
		args := make([]any, len(words))
		for i, w := range words {
			args[i] = "%" + escape.Replace(w) + "%"
		}
		return args
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = `"` + strings.ReplaceAll(w, `"`, `""`) + `"`
	}
	return []any{strings.Join(quoted, " AND ")}
}

func (s adminStore) PeopleCounts(ctx context.Context, organization string, units []string) (c admin.PeopleCounts, err error) {
	err = s.db.glance(ctx, func(t tx) error {
		for state, into := range map[directory.State]*int{"": &c.All, directory.Locked: &c.Locked, directory.Deactivated: &c.Deactivated} {
			where, err := t.peopleFilter(admin.PeopleQuery{State: state, Organization: organization, Units: units})
			if err != nil {
				return err
			}
			query := join("SELECT (SELECT count(*) FROM people_list WHERE ", where, ") - (SELECT count(*) FROM people_list WHERE "+waiting+" AND ", where,
				") + (SELECT count(*) FROM people_listing WHERE "+waiting+" AND ", where, ")")
			if err := t.rows(into, query.text, query.args...); err != nil {
				return err
			}
		}
		return nil
	})
	return c, err
}

type membershipRow struct {
	Group string `gorm:"column:id"`
	Name  string `gorm:"column:name"`
	Since int64  `gorm:"column:since"`
}

func (s adminStore) Memberships(ctx context.Context, person string) (out []admin.Membership, err error) {
	var rows []membershipRow
	err = s.db.glance(ctx, func(t tx) error {
		return t.rows(&rows, `SELECT g.id, g.name, m.since FROM memberships m JOIN pushed_groups g ON g.id = m.group_id
			WHERE m.person_id = ? ORDER BY g.name_key, g.seq`, person)
	})
	for _, r := range rows {
		out = append(out, admin.Membership{Group: r.Group, Name: r.Name, Since: moment(r.Since)})
	}
	return out, err
}
