package store

import (
	"context"
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
	// A transaction: what several statements see has to be the same.
	err = s.db.view(ctx, func(t tx) error {
		t = t.once()
		where, err := t.peopleFilter(q)
		if err != nil {
			return err
		}
		holds, found := sqlf(always), (*fragment)(nil)
		if text := strings.ToLower(strings.TrimSpace(q.Text)); text != "" {
			if holds, found, err = t.searched(text); err != nil {
				return err
			}
		}
		people, next, err = t.listPeople(q, where, holds, found)
		return err
	})
	return people, next, err
}

// The states of people_list.
var listStates = map[directory.State]int{directory.Active: 0, directory.Locked: 1, directory.Deactivated: 2} //nolint:gochecknoglobals // never written

// peopleFilter is what a query asks beside its text, of a row of people_list,
// people_listing or people_kinds.
func (t tx) peopleFilter(q admin.PeopleQuery) (fragment, error) {
	where := sqlf(always)
	add := func(text string, args ...any) { where = join(where, " AND ", sqlf(text, args...)) }
	if state, ok := listStates[q.State]; ok {
		add("state = " + strconv.Itoa(state))
	}
	if q.Frozen || q.State == directory.Active {
		within, some, err := t.frozenPlaces()
		switch {
		case err != nil:
			return where, err
		case q.Frozen && !some:
			return sqlf(never), nil
		case q.Frozen:
			where = join(where, " AND ", within)
		case some:
			where = join(where, " AND NOT (", within, ")")
		}
	}
	if q.NeverIn {
		add("never = TRUE")
	}
	if q.Organization != "" {
		add("organization = ?", q.Organization)
	}
	if q.Connection != "" {
		add("connection = ?", q.Connection)
	}
	switch q.Source {
	case "scim":
		add("provisioned = TRUE")
	case "sso":
		add("provisioned = FALSE")
	}
	if q.Units == nil {
		return where, nil
	}
	in, err := t.inUnits(q.Units)
	return join(where, " AND ", in), err
}

// Who is noted in people_unlisted is listed from the people themselves.
const (
	settled = "seq NOT IN (SELECT seq FROM people_unlisted)"
	waiting = "seq IN (SELECT seq FROM people_unlisted)"
)

// pageOrder is how a page is sorted.
type pageOrder struct {
	value string // by what, beside seq
	way   string // DESC, or nothing
	by    string // the whole clause
}

// sorted is how a query wants its page sorted, and the condition that a row is
// behind the page before.
func sorted(q admin.PeopleQuery) (o pageOrder, behind fragment) {
	column, as := peopleOrder(q.Order)
	o, behind = pageOrder{value: "''"}, sqlf(always)
	sign := ">"
	if q.Descending {
		sign, o.way = "<", " DESC"
	}
	if o.by = " ORDER BY seq" + o.way; column != "" {
		o.value, o.by = column, " ORDER BY "+column+o.way+", seq"+o.way
	}
	if a := q.After; a != nil && column == "" {
		behind = sqlf("seq "+sign+" ?", a.Seq)
	} else if a != nil { // as one row: many share a value, and are not walked through
		behind = sqlf("("+column+", seq) "+sign+" (CAST(? AS "+as+"), CAST(? AS bigint))", a.Value, a.Seq)
	}
	return o, behind
}

// listed is the page of those who are on the list and meet two conditions; where
// is the one that their kind decides. Found, if there is one, is that the
// few whom an index has found do, however they are called.
func (t tx) listed(where, holds fragment, found *fragment, o pageOrder, limit int) (fragment, error) {
	of := join(settled+" AND ", where, " AND ", holds)
	if found != nil {
		of = join(of, " AND ", *found)
	} else if where.text != always {
		kinds, many, err := t.kinds(where)
		if err != nil {
			return of, err
		}
		if !many {
			kinds, err = t.nearest(kinds, holds, o, limit)
			return join("SELECT seq, place FROM (", t.firstOf(kinds, holds, o, limit), ") firsts ORDER BY place"+o.way+", seq"+o.way, sqlf(" LIMIT ?", limit)), err
		}
	}
	return join("SELECT seq, "+o.value+" AS place FROM people_list WHERE ", of, o.by, sqlf(" LIMIT ?", limit)), nil
}

// listPeople reads a page of those who meet conditions as [tx.listed] has them.
func (t tx) listPeople(q admin.PeopleQuery, where, holds fragment, found *fragment) (people []directory.Person, next *admin.Place, err error) {
	o, behind := sorted(q)
	holds = join(holds, " AND ", behind)
	onList, err := t.listed(where, holds, found, o, q.Limit+1)
	if err != nil {
		return nil, nil, err
	}
	query := join("SELECT "+t.packed(listed)+", CAST(chosen.place AS text) AS sort_value FROM (SELECT * FROM (", onList, ") people_list UNION ALL SELECT * FROM (SELECT seq, "+
		o.value+" AS place FROM people_listing WHERE "+waiting+" AND ", where, " AND ", holds, o.by, sqlf(" LIMIT ?", q.Limit+1),
		") people_listing) chosen JOIN people ON people.seq = chosen.seq ORDER BY chosen.place"+o.way+", chosen.seq"+o.way, sqlf(" LIMIT ?", q.Limit+1))
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

// searched is the condition that people have every word of a text, and one
// that says the same of those who are on the list by what an index has found:
// a few hits are looked up first, so that they are sorted; many are met on the
// way, and there is none.
func (t tx) searched(text string) (holds fragment, found *fragment, err error) {
	words := strings.Fields(text)
	words = words[:min(len(words), maxWords)]
	holds = sqlf(always)
	var long []string
	for _, w := range words {
		holds = join(holds, " AND ", t.contains(w))
		if utf8.RuneCountInString(w) >= 3 { // what an index of trigrams can find
			long = append(long, w)
		}
	}
	if len(long) == 0 {
		return holds, nil, nil
	}
	if dense, err := t.dense(long); err != nil || dense {
		return holds, nil, err
	}
	var hits []int64
	if err := t.rows(&hits, t.lookUp(long), append(t.lookUpArgs(long), maxHits+1)...); err != nil {
		return holds, nil, err
	}
	if len(hits) > maxHits {
		return holds, nil, nil
	}
	these := t.among("seq", hits)
	return holds, &these, nil
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
			of := where
			if where.text != always {
				of = join("kind IN (SELECT id FROM people_kinds WHERE ", where, ")")
			}
			query := join("SELECT (SELECT count(*) FROM people_list WHERE ", of, ") - (SELECT count(*) FROM people_list WHERE "+waiting+" AND ", where,
				") + (SELECT count(*) FROM people_listing WHERE "+waiting+" AND ", where, ")")
			if err := t.rows(into, query.text, query.args...); err != nil {
				return err
			}
		}
		return nil
	})
	return c, err
}

func (s adminStore) PeopleIn(ctx context.Context, organization string, units []string) (ids []string, err error) {
	err = s.db.glance(ctx, func(t tx) error {
		in, err := t.inUnits(units)
		if err != nil {
			return err
		}
		query := join("SELECT id FROM people WHERE ", sqlf("organization = ?", organization), " AND ", in)
		return t.rows(&ids, query.text, query.args...)
	})
	return ids, err
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
