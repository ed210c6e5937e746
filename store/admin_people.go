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
var listed = strings.Replace(personColumns, "people.attributes", "'' AS attributes", 1) //nolint:gochecknoglobals // a constant that the language cannot fold

// peopleOrder is the value that a list of people is sorted by: the expression
// of an index, and its type. Creation needs none.
func peopleOrder(o admin.Order) (value, as string) {
	switch o {
	case admin.ByEmail:
		return "substr(email_key, 1, 120)", "text"
	case admin.ByActive:
		return "last_active", "bigint"
	case admin.ByCreated:
		return "", ""
	default:
		return "substr(name_key, 1, 120)", "text"
	}
}

// maxHits is how many people a search may find and still sort them; beyond,
// hits are dense enough to meet them in the order of the list.
const maxHits = 2000

func (s adminStore) People(ctx context.Context, q admin.PeopleQuery) (people []directory.Person, next *admin.Place, err error) {
	err = s.db.glance(ctx, func(t tx) error {
		t = t.once()
		where := t.peopleFilter(q)
		if text := strings.ToLower(strings.TrimSpace(q.Text)); text != "" {
			narrow, err := t.searched(text)
			if err != nil {
				return err
			}
			where = join(where, " AND ", narrow)
		}
		people, next, err = t.listPeople(q, where)
		return err
	})
	return people, next, err
}

// peopleFilter is what a query asks beside its text.
func (t tx) peopleFilter(q admin.PeopleQuery) fragment {
	where := sqlf(always)
	add := func(text string, args ...any) { where = join(where, " AND ", sqlf(text, args...)) }
	switch q.State {
	case directory.Active:
		add("NOT (deactivated_at <> 0 OR NOT idp_active) AND locked_at = 0")
	case directory.Locked: // whoever is deactivated as well counts as that
		add("locked_at <> 0 AND NOT (deactivated_at <> 0 OR NOT idp_active)")
	case directory.Deactivated:
		add("(deactivated_at <> 0 OR NOT idp_active)")
	}
	switch {
	case q.NeverIn && t.dialect == "sqlite": // which would take an equality for rare
		add("NOT last_active")
	case q.NeverIn:
		add("last_active = 0")
	}
	if q.Organization != "" {
		add("organization = ?", q.Organization)
	}
	if q.Connection != "" {
		add("connection = ?", q.Connection)
	}
	switch q.Source {
	case "scim":
		add("provisioned")
	case "sso":
		add("NOT provisioned")
	}
	return where
}

func (t tx) listPeople(q admin.PeopleQuery, where fragment) (people []directory.Person, next *admin.Place, err error) {
	value, as := peopleOrder(q.Order)
	sign, way := ">", ""
	if q.Descending {
		sign, way = "<", " DESC"
	}
	if a := q.After; a != nil && value == "" {
		where = join(where, sqlf(" AND seq "+sign+" ?", a.Seq))
	} else if a != nil {
		// The first half leads the index, the second decides.
		where = join(where, sqlf(" AND "+value+" "+sign+"= CAST(? AS "+as+") AND ("+value+" "+sign+" CAST(? AS "+as+") OR seq "+sign+" ?)", a.Value, a.Value, a.Seq))
	}
	columns, order := listed, " ORDER BY seq"+way
	if value != "" {
		columns += ", CAST(" + value + " AS text) AS sort_value"
		order = " ORDER BY " + value + way + ", seq" + way
	}
	// What has to be sorted is sorted by its numbers alone.
	query := join("SELECT "+columns+" FROM people WHERE seq IN (SELECT seq FROM people WHERE ", where, order, sqlf(" LIMIT ?)", q.Limit+1), order)
	found, err := t.scanPeople(value != "", query.text, query.args...)
	if err != nil {
		return nil, nil, err
	}
	if len(found) > q.Limit {
		found = found[:q.Limit]
		last := found[q.Limit-1]
		next = &admin.Place{Seq: last.Row.Seq}
		if last.SortValue != nil {
			next.Value = *last.SortValue
		}
	}
	for i := range found {
		people = append(people, found[i].Row.domain())
	}
	return people, next, nil
}

// haystack is what a search looks at: the expression of PostgreSQL's index.
const haystack = "(name_key || ' ' || email_key || ' ' || user_name_key)"

// maxWords bounds the conditions of one search.
const maxWords = 8

// hit is somebody whom a search found.
type hit struct {
	Seq int64 `gorm:"column:seq"`
}

// searched is the condition that people have every word of a text. A few hits
// are looked up first, so that they are sorted; many are met on the way.
func (t tx) searched(text string) (fragment, error) {
	words := strings.Fields(text)
	words = words[:min(len(words), maxWords)]
	holds := sqlf(always)
	var long []string
	for _, w := range words {
		holds = join(holds, " AND ", t.contains(w))
		if utf8.RuneCountInString(w) >= 3 { // what an index of trigrams can find
			long = append(long, w)
		}
	}
	if len(long) == 0 {
		return holds, nil
	}
	var hits []hit
	if err := t.rows(&hits, t.lookUp(long), append(t.lookUpArgs(long), maxHits+1)...); err != nil {
		return fragment{}, err
	}
	if len(hits) > maxHits {
		return holds, nil
	}
	numbers := make([]string, len(hits))
	for i, h := range hits {
		numbers[i] = strconv.FormatInt(h.Seq, 10)
	}
	if len(numbers) == 0 {
		return sqlf(never), nil
	}
	return join("seq IN ("+strings.Join(numbers, ",")+") AND ", holds), nil
}

func (t tx) contains(word string) fragment {
	if t.dialect == "postgres" {
		return sqlf("strpos("+haystack+", ?) > 0", word)
	}
	return sqlf("instr("+haystack+", ?) > 0", word)
}

// lookUp finds people by the index of trigrams.
func (t tx) lookUp(words []string) string {
	if t.dialect == "postgres" {
		// Materialized: a plan made for a few rows of any word would read everybody.
		return "WITH hits AS MATERIALIZED (SELECT seq FROM people WHERE " + strings.Repeat(haystack+" LIKE ? AND ", len(words)) + always + ") SELECT seq FROM hits LIMIT ?"
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

func (s adminStore) PeopleCounts(ctx context.Context, organization string) (c admin.PeopleCounts, err error) {
	err = s.db.glance(ctx, func(t tx) error {
		for state, into := range map[directory.State]*int{"": &c.All, directory.Locked: &c.Locked, directory.Deactivated: &c.Deactivated} {
			query := join("SELECT count(*) FROM people WHERE ", t.peopleFilter(admin.PeopleQuery{State: state, Organization: organization}))
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
