package store

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"portcullis/directory"
)

// each reads rows one by one, by hand: gorm takes longer over a hundred
// thousand than the database.
func (t tx) each(query string, args []any, f func(picked) error) error {
	err := t.lane.pick(query, args, func(rows picked) error {
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
	err = t.each(query, nil, func(rows picked) error { return rows.Scan(&m.People, &m.Assertions, &m.Running, &m.Begun) })
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
	err = t.each(changes, []any{m.Changes, limit + 1}, func(r picked) error {
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
const factColumns = "people.id, people.connection, people.user_name, people.email, people.email_verified, people.name, people.provisioned"

// attributesDeclared are the attributes of somebody who may have some that a
// connection declares. SQLite takes longer to look for them than to hand all of
// them on, so there they are looked at here.
const attributesDeclared = "CASE WHEN strpos(people.attributes, '" + directory.PortalURN + "') > 0 THEN people.attributes ELSE '' END"

func (r *person) factPlaces() []any {
	return []any{&r.ID, &r.Connection, &r.UserName, &r.Email, &r.EmailVerified, &r.Name, &r.Provisioned}
}

// known is a person of what facts are made of, whose attributes are JSON.
func (r *person) known(attributes string) directory.Person {
	p := directory.Person{
		ID: r.ID, Connection: r.Connection, UserName: r.UserName, Email: r.Email, EmailVerified: r.EmailVerified, Name: r.Name, Provisioned: r.Provisioned,
	}
	if strings.Contains(attributes, directory.PortalURN) {
		p.Attributes = []byte(attributes)
	}
	return p
}

func (t tx) Enrolled(f func(*directory.Person)) error {
	var r person
	var p directory.Person
	places := r.factPlaces()
	known := func(attributes string) {
		p = r.known(attributes)
		f(&p)
	}
	if t.dialect == "sqlite" {
		var last int64
		if err := t.number(&last, "SELECT coalesce(max(seq), 0) FROM people"); err != nil {
			return err
		}
		return t.briefly().eachTogether("people", factColumns, places, "attributes", 1, last, func(attributes string) error {
			known(attributes)
			return nil
		})
	}
	places = append(places, &r.Attributes)
	return t.each("SELECT "+factColumns+", "+attributesDeclared+" FROM people ORDER BY seq", nil, func(rows picked) error {
		if err := rows.Scan(places...); err != nil {
			return err
		}
		known(r.Attributes)
		return nil
	})
}

// memberships are all of them: groups, and of each who is in it, one id in a
// line.
type memberships struct {
	groups  []string // ids
	members []string
	above   map[string][]string // a group and those that it is in
	named   map[string]directory.Group
}

func (t tx) Enrolments() (func(map[string]int) func(int) []directory.Group, error) {
	var m memberships
	// One row of each group is read in a third of the time of one of each membership.
	members := "SELECT group_id, group_concat(person_id, char(10)) FROM memberships GROUP BY group_id"
	if t.dialect == "postgres" {
		members = "SELECT group_id, string_agg(person_id, chr(10)) FROM memberships GROUP BY group_id"
	}
	err := t.each(members, nil, func(rows picked) error {
		var group, people string
		err := rows.Scan(&group, &people)
		m.groups, m.members = append(m.groups, group), append(m.members, people)
		return err
	})
	if err != nil {
		return nil, err
	}
	m.above = make(map[string][]string, len(m.groups))
	for _, id := range m.groups {
		m.above[id] = nil
	}
	if err := t.nestings(m.groups, m.above, asIs); err != nil {
		return nil, err
	}
	m.named, err = t.namesAt(slices.Sorted(maps.Keys(m.above)), asIs)
	return m.by, err
}

// by gives what finds the groups of whoever is at a place.
func (m *memberships) by(places map[string]int) func(place int) []directory.Group {
	// Of somebody the last membership; of a membership, its group and the one
	// before it.
	last := make([]int32, len(places))
	for i := range last {
		last[i] = -1
	}
	var groups []uint32
	var before []int32
	for n, people := range m.members {
		for person := range strings.SplitSeq(people, "\n") {
			if i, known := places[person]; known {
				groups, before = append(groups, uint32(n)), append(before, last[i]) //nolint:gosec // there are fewer than 2^32
				last[i] = int32(len(groups) - 1)                                    //nolint:gosec // there are fewer than 2^31
			}
		}
	}
	alike := make(map[string][]directory.Group)
	var mine []uint32
	var key []byte
	return func(place int) []directory.Group {
		mine = mine[:0]
		for at := last[place]; at >= 0; at = before[at] {
			mine = append(mine, groups[at])
		}
		if len(mine) == 0 {
			return nil
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
			in[m.groups[n]] = true
		}
		climb(in, m.above)
		list := inOrder(in, m.named)
		alike[string(key)] = list
		return list
	}
}

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
