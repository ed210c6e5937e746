package store

import (
	"crypto/rand"
	"strconv"
	"strings"

	"portcullis/directory"
	"portcullis/fault"
)

// newID gives 130 random bits as text, for rows whose id is the store's.
func newID() string { return strings.ToLower(rand.Text()) }

// sorting is the order of a list: by the value of an attribute, and by
// creation where that is the same.
type sorting struct {
	value fragment // empty: by creation alone
	kind  directory.Kind
	as    string // the type of the value in SQL
	desc  bool
}

// text is the value in the words of a [directory.Cursor].
func (s sorting) text() fragment { return join("CAST(", s.value, " AS text)") }

// order is the ORDER BY clause. Whoever has no value comes last, and first if
// the order descends.
func (s sorting) order() fragment {
	switch {
	case s.value.text == "":
		return sqlf(" ORDER BY seq")
	case s.desc:
		return join(" ORDER BY (", s.value, " IS NULL) DESC, ", s.value, " DESC, seq")
	default:
		return join(" ORDER BY (", s.value, " IS NULL), ", s.value, ", seq")
	}
}

// behind is the condition for what follows a place in that order.
func (s sorting) behind(c directory.Cursor) fragment {
	later := sqlf("seq > ?", c.Seq)
	if s.value.text == "" {
		return later
	}
	none := join("(", s.value, " IS NULL)")
	wanted := sqlf("CAST(? AS "+s.as+")", c.Value)
	switch {
	case c.None && s.desc:
		return join("((", none, " AND ", later, ") OR NOT ", none, ")")
	case c.None:
		return join("(", none, " AND ", later, ")")
	}
	sign, rest := " > ", none
	if s.desc {
		sign, rest = " < ", sqlf(never)
	}
	return join("(coalesce(", s.value, sign, wanted, " OR (", s.value, " = ", wanted, " AND ", later, "), FALSE) OR ", rest, ")")
}

// sorting finds what a list is sorted by. Of several values it is the primary
// one, or else the first (RFC 7644, section 3.4.2.3).
func (t tx) sorting(s *directory.Sort, in table) (sorting, error) {
	if s == nil {
		return sorting{}, nil
	}
	o, ok := in.operand(s.Attr)
	if !ok || o.kind == directory.Complex {
		return sorting{}, fault.New(fault.Invalid, "cannot sort by %q", s.Attr.Name)
	}
	out := sorting{value: o.value, kind: o.kind, as: "text", desc: s.Descending}
	switch {
	case o.from.text != "" && s.Attr.Name != "members" && s.Attr.Name != "groups":
		out.value = t.first(o)
	case o.from.text != "":
		return sorting{}, fault.New(fault.Invalid, "cannot sort by %q", s.Attr.Name)
	}
	switch {
	case o.kind == directory.Time && o.micros:
		out.as = "bigint"
	case o.kind == directory.Number:
		out.as = "numeric"
	case o.kind == directory.Boolean:
		out.as = "integer"
		if t.dialect == "postgres" {
			out.value = join("CAST(", out.value, " AS integer)")
		}
	case o.kind == directory.Folded || o.kind == directory.Exact:
		out.value = t.bytewise(join("nullif(", out.value, ", '')"))
	}
	return out, nil
}

// first is the value of a multi-valued attribute that stands for all of them.
func (t tx) first(o operand) fragment {
	if t.dialect == "postgres" {
		return join("(SELECT ", o.value, " FROM ", o.from, ` ORDER BY ((e.value -> 'primary') = 'true'::jsonb) IS TRUE DESC, e.position LIMIT 1)`)
	}
	return join("(SELECT ", o.value, " FROM ", o.from, ` ORDER BY (json_type(e.value, '$.primary') IS 'true') DESC, e.key LIMIT 1)`)
}

// found is a row of a list with its place in it.
type found[R any] struct {
	Row       R       `gorm:"embedded"`
	SortValue *string `gorm:"column:sort_value"`
}

// reader reads the rows of a list.
type reader[R any] func(t tx, sorted bool, query string, args ...any) ([]found[R], error)

// page reads one page of a table.
func page[R any](t tx, name, columns string, read reader[R], in table, q directory.Query, more string) (rows []found[R], total int, next *directory.Cursor, err error) {
	where := sqlf(" WHERE " + always)
	if q.Connection != "" {
		// SQLite takes an equality for rare, but one connection may have nearly
		// everybody: told so, it begins with whatever else the filter looks up.
		own := sqlf(name+".connection = ?", q.Connection)
		if t.dialect == "sqlite" {
			own = join("likelihood(", own, ", 0.9)")
		}
		where = join(where, " AND ", own)
	}
	where = join(where, more)
	if q.Filter != nil {
		c, err := t.condition(*q.Filter, in)
		if err != nil {
			return nil, 0, nil, err
		}
		where = join(where, " AND ", c)
	}
	if q.Sort != nil || q.Filter != nil && q.Filter.Op != directory.Eq {
		t = t.once()
	}
	counting := t // takes as long as the table is large
	if brief(q) {
		t = t.briefly()
	}
	by, err := t.sorting(q.Sort, in)
	if err != nil {
		return nil, 0, nil, err
	}
	if q.Limit > 0 {
		if rows, err = pageRows(t, name, columns, read, where, by, q); err != nil {
			return nil, 0, nil, err
		}
	}
	if len(rows) > q.Limit {
		rows = rows[:q.Limit]
		next = &directory.Cursor{}
	}
	switch {
	case q.After != nil:
	case q.Limit > 0 && next == nil && (len(rows) > 0 || q.Offset == 0):
		total = q.Offset + len(rows) // this is the last page
	default:
		total, err = counting.howMany(join("SELECT count(*) FROM "+name, where), q)
	}
	return rows, total, next, err
}

// brief reports whether the rows of a page are few, and found by an index
// without many others.
func brief(q directory.Query) bool {
	if q.Sort != nil || q.Limit > 1000 || q.Offset > 10_000 {
		return false
	}
	if q.Filter == nil {
		return true
	}
	a := q.Filter.Attr
	return q.Filter.Op == directory.Eq && a.Extension == "" && a.Sub == "" && (a.Name == "id" || a.Name == "userName" || a.Name == "externalId")
}

// howMany counts what a list has. On SQLite the number of all people or groups of
// a connection is remembered until somebody writes.
func (t tx) howMany(query fragment, q directory.Query) (n int, err error) {
	count := func() (int, error) {
		var n int
		err := t.rows(&n, query.text, query.args...)
		return n, err
	}
	if l, ok := t.lane.(*sqliteLane); ok && !t.write && q.Filter == nil {
		n, err = l.counted(query.text+"\x00"+q.Connection, count)
		return n, classify(err)
	}
	return count()
}

// pageRows reads the rows of a page and one more, if there is one.
func pageRows[R any](t tx, name, columns string, read reader[R], where fragment, by sorting, q directory.Query) ([]found[R], error) {
	query, sorted := sqlf("SELECT "+columns), by.value.text != ""
	if sorted {
		query = join(query, ", ", by.text(), " AS sort_value")
	}
	query = join(query, " FROM "+name, where)
	if q.After != nil {
		query = join(query, " AND ", by.behind(*q.After))
	}
	// SQLite looks at a bare placeholder behind LIMIT to plan the statement, and
	// prepares it anew for each value. PostgreSQL takes one for a part of all rows:
	// of many people it would plan each page anew.
	limit := sqlf(" LIMIT CAST(? AS BIGINT)", q.Limit+1)
	if t.dialect == "postgres" {
		limit = sqlf(" LIMIT " + strconv.Itoa(q.Limit+1))
	}
	query = join(query, by.order(), limit)
	if q.After == nil && q.Offset > 0 {
		query = join(query, sqlf(" OFFSET CAST(? AS BIGINT)", q.Offset))
	}
	return read(t, sorted, query.text, query.args...)
}

// place fills the cursor behind a row.
func place(next *directory.Cursor, seq int64, value *string) {
	if next == nil {
		return
	}
	next.Seq, next.None = seq, value == nil
	if value != nil {
		next.Value = *value
	}
}
