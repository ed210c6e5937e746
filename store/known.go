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
// them on.
const attributesDeclared = "CASE WHEN strpos(people.attributes, '" + directory.PortalURN + "') > 0 THEN people.attributes ELSE '' END"

func (r *person) factPlaces() []any {
	return []any{&r.ID, &r.Connection, &r.UserName, &r.Email, &r.EmailVerified, &r.Name, &r.Provisioned}
}

func (t tx) Enrolled(about int, f func(directory.Person, []directory.Group)) error {
	groups, err := t.enrolments(about)
	if err != nil {
		return err
	}
	declared := "people.attributes"
	if t.dialect == "postgres" {
		declared = attributesDeclared
	}
	var r person
	places := r.factPlaces()
	return t.each("SELECT "+t.packed(factColumns)+", "+declared+" FROM people ORDER BY seq", nil, func(rows picked) error {
		if err := t.unpack(rows, places, &r.Attributes); err != nil {
			return err
		}
		p := directory.Person{
			ID: r.ID, Connection: r.Connection, UserName: r.UserName, Email: r.Email, EmailVerified: r.EmailVerified, Name: r.Name, Provisioned: r.Provisioned,
		}
		if strings.Contains(r.Attributes, directory.PortalURN) {
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
func (t tx) enrolments(about int) (func(person string) []directory.Group, error) {
	var ids []string // groups, by number
	// Of somebody by number, the last membership; of a membership, its group and
	// the one before it.
	number := make(map[string]int32, about)
	last := make([]int32, 0, about)
	var groups []uint32
	var before []int32
	// One row of each group is read in a third of the time of one of each membership.
	members := "SELECT group_id, group_concat(person_id, char(10)) FROM memberships GROUP BY group_id"
	if t.dialect == "postgres" {
		members = "SELECT group_id, string_agg(person_id, chr(10)) FROM memberships GROUP BY group_id"
	}
	err := t.each(members, nil, func(rows picked) error {
		var group, people string
		if err := rows.Scan(&group, &people); err != nil {
			return err
		}
		n := uint32(len(ids)) //nolint:gosec // there are fewer than 2^32
		ids = append(ids, group)
		for person := range strings.SplitSeq(people, "\n") {
			i, known := number[person]
			if !known {
				i = int32(len(last)) //nolint:gosec // there are fewer than 2^31
				number[person], last = i, append(last, -1)
			}
			groups, before = append(groups, n), append(before, last[i])
			last[i] = int32(len(groups) - 1) //nolint:gosec // there are fewer than 2^31
		}
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
		i, known := number[person]
		if !known {
			return nil
		}
		mine = mine[:0]
		for at := last[i]; at >= 0; at = before[at] {
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
