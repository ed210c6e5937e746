package store

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"gorm.io/gorm"

	"portcullis/directory"
)

// each reads rows one by one, by hand: gorm takes longer over a hundred
// thousand than the database.
func (t tx) each(query string, args []any, f func(gorm.Rows) error) error {
	err := t.lane.query(query, args, func(rows gorm.Rows) error {
		for rows.Next() {
			if err := f(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	return classify(err)
}

func (t tx) Mark() (m directory.Mark, err error) {
	if m.Changes, err = t.settled(); err != nil {
		return m, err
	}
	query := "SELECT coalesce((SELECT max(seq) FROM people), 0), coalesce((SELECT max(seq) FROM assertions), 0), 0, 0"
	if t.dialect == "postgres" {
		query = `SELECT coalesce((SELECT max(seq) FROM people), 0), coalesce((SELECT max(seq) FROM assertions), 0),
			pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint`
	}
	err = t.each(query, nil, func(rows gorm.Rows) error { return rows.Scan(&m.People, &m.Assertions, &m.Running, &m.Begun) })
	return m, err
}

func (t tx) MovedSince(m directory.Mark, limit int) (people []string, many bool, err error) {
	now, err := t.settled()
	if err != nil || now < m.Changes { // another database, or an older state of it
		return nil, true, err
	}
	changes := "SELECT person, organization = '' AND session = '' FROM changes WHERE seq > ? LIMIT ?"
	if t.dialect == "postgres" {
		changes = "SELECT person, organization = '' AND session = '' FROM changes WHERE xact >= ? LIMIT ?"
	}
	moved := make(map[string]struct{})
	rows := 0
	err = t.each(changes, []any{m.Changes, limit + 1}, func(r gorm.Rows) error {
		var person string
		var everybody bool
		if err := r.Scan(&person, &everybody); err != nil {
			return err
		}
		rows++
		if person != "" {
			moved[person] = struct{}{}
		} else if everybody {
			many = true
		}
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	// Whoever is new, and a sign-in, has no change record: nobody has to forget
	// anything.
	for _, since := range []struct {
		query string
		after int64
	}{{"SELECT id FROM people WHERE seq > ? LIMIT ?", m.People}, {"SELECT person_id FROM assertions WHERE seq > ? LIMIT ?", m.Assertions}} {
		var ids []string
		if err := t.rows(&ids, since.query, since.after, limit+1); err != nil {
			return nil, false, err
		}
		many = many || len(ids) > limit
		for _, id := range ids {
			moved[id] = struct{}{}
		}
	}
	if many || rows > limit || len(moved) > limit {
		return nil, true, nil
	}
	return slices.Sorted(maps.Keys(moved)), false, nil
}

func (t tx) StandingsOf(people []string) ([]directory.Standing, error) {
	wanted, err := list(people)
	if err != nil {
		return nil, err
	}
	var rows []person
	if err := t.rows(&rows, "SELECT * FROM people WHERE "+t.inList("id")+" ORDER BY seq", wanted); err != nil {
		return nil, err
	}
	return t.standings(rows, asIs)
}

// factColumns are those that facts are made of.
const factColumns = `people.id, people.connection, people.user_name, people.email, people.email_verified, people.name, people.provisioned,
	CASE WHEN %s THEN people.attributes ELSE '' END`

func (r *person) factPlaces() []any {
	return []any{&r.ID, &r.Connection, &r.UserName, &r.Email, &r.EmailVerified, &r.Name, &r.Provisioned, &r.Attributes}
}

func (t tx) Enrolled(f func(directory.Person, []directory.Group)) error {
	groups, err := t.enrolments()
	if err != nil {
		return err
	}
	declared := "instr(people.attributes, '" + directory.PortalURN + "') > 0"
	if t.dialect == "postgres" {
		declared = "strpos(people.attributes, '" + directory.PortalURN + "') > 0"
	}
	query := "SELECT " + t.packed(fmt.Sprintf(factColumns, declared)) + " FROM people ORDER BY seq"
	return t.each(query, nil, func(rows gorm.Rows) error {
		var r person
		if err := t.unpack(rows, r.factPlaces()); err != nil {
			return err
		}
		p := directory.Person{
			ID: r.ID, Connection: r.Connection, UserName: r.UserName, Email: r.Email, EmailVerified: r.EmailVerified, Name: r.Name, Provisioned: r.Provisioned,
		}
		if r.Attributes != "" {
			p.Attributes = []byte(r.Attributes)
		}
		var in []directory.Group
		if p.Provisioned {
			in = groups(p.ID)
		}
		f(p, in)
		return nil
	})
}

// enrolments reads who is in which group, and gives what finds the groups of
// somebody, through other groups too. Those who are in the same ones share the
// list.
func (t tx) enrolments() (func(person string) []directory.Group, error) {
	var ids []string // groups, by number
	number := make(map[string]uint32)
	// Of somebody, the last membership; of a membership, its group and the one
	// before it.
	last := make(map[string]int32)
	var groups []uint32
	var before []int32
	err := t.each("SELECT person_id, group_id FROM memberships", nil, func(rows gorm.Rows) error {
		var person, group string
		if err := rows.Scan(&person, &group); err != nil {
			return err
		}
		n, known := number[group]
		if !known {
			n = uint32(len(ids)) //nolint:gosec // there are fewer than 2^32
			number[group], ids = n, append(ids, group)
		}
		earlier, known := last[person]
		if !known {
			earlier = -1
		}
		last[person] = int32(len(groups)) //nolint:gosec // there are fewer than 2^31
		groups, before = append(groups, n), append(before, earlier)
		return nil
	})
	if err != nil {
		return nil, err
	}
	above := make(map[string][]string, len(ids)) // a group and those it is in
	for _, id := range ids {
		above[id] = nil
	}
	if err := t.nestings(ids, above, asIs); err != nil {
		return nil, err
	}
	named, err := t.namesAt(slices.Sorted(maps.Keys(above)), asIs)
	if err != nil {
		return nil, err
	}
	alike := make(map[string][]directory.Group)
	var mine []uint32
	var key []byte
	return func(person string) []directory.Group {
		at, known := last[person]
		if !known {
			return nil
		}
		for mine = mine[:0]; at >= 0; at = before[at] {
			mine = append(mine, groups[at])
		}
		slices.Sort(mine)
		key = key[:0]
		for _, n := range mine {
			key = binary.BigEndian.AppendUint32(key, n)
		}
		if same, ok := alike[string(key)]; ok {
			return same
		}
		in := make(map[string]bool, len(mine))
		for _, n := range mine {
			in[ids[n]] = true
		}
		climb(in, above)
		list := inOrder(in, named)
		alike[string(key)] = list
		return list
	}, nil
}

// Of few sign-ins each, the newest are found sooner by looking at the index of
// all of them than at the place of each person in it.
const fewSignIns = 6

func (t tx) Asserted(f func(string, directory.Assertion, *directory.Assertion)) error {
	var people, assertions int64
	err := t.each("SELECT (SELECT count(*) FROM people), coalesce((SELECT max(seq) FROM assertions), 0)", nil, func(rows gorm.Rows) error {
		return rows.Scan(&people, &assertions)
	})
	if err != nil {
		return err
	}
	query := "SELECT person_id, complete, facts FROM assertions WHERE seq IN (SELECT max(seq) FROM assertions GROUP BY person_id)"
	switch {
	case assertions <= people*fewSignIns:
	case t.dialect == "postgres":
		query = `SELECT p.id, a.complete, a.facts FROM people p
			CROSS JOIN LATERAL (SELECT complete, facts FROM assertions WHERE person_id = p.id ORDER BY seq DESC LIMIT 1) a`
	default:
		query = "SELECT a.person_id, a.complete, a.facts FROM people p CROSS JOIN assertions a ON a.seq = (SELECT max(b.seq) FROM assertions b WHERE b.person_id = p.id)"
	}
	shared := newWords()
	partial := make(map[string]directory.Assertion)
	err = t.each(query, nil, func(rows gorm.Rows) error {
		var person, facts string
		var complete bool
		if err := rows.Scan(&person, &complete, &facts); err != nil {
			return err
		}
		a, err := shared.assertion(facts)
		if err != nil {
			return err
		}
		if a.GroupsIncomplete {
			partial[person] = a
		} else {
			f(person, a, &a)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for ids := range slices.Chunk(slices.Collect(maps.Keys(partial)), manyAtOnce) {
		wanted, err := list(ids)
		if err != nil {
			return err
		}
		complete, _, err := t.said("AND b.complete", asIs, wanted)
		if err != nil {
			return err
		}
		for _, id := range ids {
			var last *directory.Assertion
			if a, ok := complete[id]; ok {
				last = &a
			}
			f(id, partial[id], last)
		}
	}
	return nil
}

// manyAtOnce bounds how many people one statement names.
const manyAtOnce = 500

func (t tx) Excepted() (map[string][]directory.Exception, error) {
	var rows []exception
	if err := t.rows(&rows, "SELECT * FROM role_exceptions WHERE revoked = 0 ORDER BY since, id"); err != nil {
		return nil, err
	}
	out := make(map[string][]directory.Exception)
	for i := range rows {
		out[rows[i].Person] = append(out[rows[i].Person], rows[i].domain())
	}
	return out, nil
}
