package store

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"gorm.io/gorm"

	"portcullis/directory"
	"portcullis/fault"
)

// directGroups are the groups that a row of people is a member of itself, and
// whether those are in others: a JSON list of pairs and a boolean, on SQLite
// as [tx.packed] would select them of each, NULL if there are none.
const (
	directGroupsSQLite = `(SELECT group_concat(concat_ws(x'00', g.seq, g.id, g.name,
		EXISTS (SELECT 1 FROM nested_groups n WHERE n.member_id = g.id)), x'00')
		FROM memberships m JOIN pushed_groups g ON g.id = m.group_id WHERE m.person_id = people.id)`
	directGroupsPostgres = `coalesce((SELECT json_agg(json_build_array(g.id, g.name) ORDER BY g.seq) FROM memberships m
		JOIN pushed_groups g ON g.id = m.group_id WHERE m.person_id = people.id)::text, '[]'),
		EXISTS (SELECT 1 FROM memberships m JOIN nested_groups n ON n.member_id = m.group_id WHERE m.person_id = people.id)`
)

// unpackGroups reads directGroups; deeper if any is in another.
func (t tx) unpackGroups(text string, deeper *bool) ([]directory.Group, error) {
	if text == "" || text == "[]" {
		return nil, nil
	}
	if t.dialect == "postgres" {
		var pairs [][2]string
		if err := json.Unmarshal([]byte(text), &pairs); err != nil {
			return nil, fault.Wrap(fault.Internal, err, "groups of a person")
		}
		groups := make([]directory.Group, len(pairs))
		for i, p := range pairs {
			groups[i] = directory.Group{ID: p[0], Name: p[1]}
		}
		return groups, nil
	}
	fields := strings.Split(text, "\x00")
	if len(fields)%4 != 0 {
		return nil, errPacked()
	}
	rows := make([]group, len(fields)/4)
	for i := range rows {
		var isInner bool
		if err := fill(&rows[i].Seq, fields[4*i]); err != nil {
			return nil, err
		}
		rows[i].ID, rows[i].Name = fields[4*i+1], fields[4*i+2]
		_ = fill(&isInner, fields[4*i+3]) // a boolean always fills
		*deeper = *deeper || isInner
	}
	slices.SortFunc(rows, func(a, b group) int { return cmp.Compare(a.Seq, b.Seq) })
	groups := make([]directory.Group, len(rows))
	for i, r := range rows {
		groups[i] = directory.Group{ID: r.ID, Name: r.Name}
	}
	return groups, nil
}

func (t tx) PersonInGroups(id string) (directory.Shown, error) {
	if err := storable(id); err != nil {
		return directory.Shown{}, err
	}
	direct := directGroupsSQLite
	if t.dialect == "postgres" {
		direct = directGroupsPostgres
	}
	query := t.forUpdate("SELECT "+t.packed(personColumns)+", "+direct+" FROM people WHERE id = ?", "people")
	p, deeper, err := t.shown(func(read func(gorm.Rows) error) error { return t.briefly().lane.query(query, []any{id}, read) })
	switch {
	case err != nil:
		return directory.Shown{}, err
	case p == nil:
		return directory.Shown{}, fault.New(fault.NotFound, "no such user")
	case deeper:
		p.Groups, err = t.GroupsOf(id)
	}
	return *p, err
}

// shown reads one row of personColumns, packed, and directGroups; nil if there
// is none. deeper says that their groups are in others, which are to be read.
func (t tx) shown(query func(read func(gorm.Rows) error) error) (p *directory.Shown, deeper bool, err error) {
	var r person
	var text *string
	var there bool
	rest := []any{&text}
	if t.dialect == "postgres" {
		rest = append(rest, &deeper)
	}
	err = query(func(rows gorm.Rows) error {
		if there = rows.Next(); !there {
			return rows.Err()
		}
		return t.unpack(rows, r.places(), rest...)
	})
	if err != nil || !there {
		return nil, false, classify(err)
	}
	if t.write {
		t.memo.held = r
	}
	p = &directory.Shown{Person: r.domain()}
	if text != nil {
		p.Groups, err = t.unpackGroups(*text, &deeper)
	}
	return p, deeper, err
}
