package store

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

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
	return asMade(rows), nil
}

// shownColumns are what SCIM shows of people and judges them by, and readShown
// reads them.
const shownColumns = "people.id, people.connection, people.provisioned, people.idp_active, people.attributes, people.version, people.created, people.modified, people.unconfirmed"

func (t tx) readShown(rows picked, p *directory.Person, rest ...any) error {
	var created, modified int64
	err := t.unpack(rows, []any{&p.ID, &p.Connection, &p.Provisioned, &p.IDPActive, &p.Attributes, &p.Version, &created, &modified, &p.Unconfirmed}, rest...)
	p.Created, p.Modified = moment(created), moment(modified)
	return err
}

// The two questions that clients ask most, about somebody by name and by id.
// PostgreSQL gives the groups as a list of texts, as concat_ws makes them.
const (
	peopleNamedSQLite   = "SELECT " + packedBegin + shownColumns + packedEnd + " FROM people WHERE connection = ? AND user_name_key = ? AND provisioned"
	peopleNamedPostgres = "SELECT " + shownColumns + " FROM people WHERE connection = $1 AND user_name_key = $2 AND provisioned"
	personShownSQLite   = "SELECT " + packedBegin + shownColumns + packedEnd + ", " + directGroupsSQLite + " AS direct FROM people WHERE id = ?"
	personShownPostgres = "SELECT " + shownColumns + `, ARRAY(SELECT concat_ws(' ', g.seq, EXISTS (SELECT 1 FROM nested_groups n WHERE n.member_id = g.id), g.id, g.name)
		FROM memberships m JOIN pushed_groups g ON g.id = m.group_id WHERE m.person_id = people.id) FROM people WHERE id = $1`
)

// peopleNamed finds whom page would find, of whom there is one at most.
func (t tx) peopleNamed(connection, name string) (page directory.Page[directory.Person], err error) {
	query := peopleNamedSQLite
	if t.dialect == "postgres" {
		query = peopleNamedPostgres
	}
	err = t.briefly().lane.pick(query, []any{connection, name}, func(rows picked) error {
		for rows.Next() {
			page.Items = append(page.Items, directory.Person{})
			if err := t.readShown(rows, &page.Items[len(page.Items)-1]); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	page.Total = len(page.Items)
	return page, classify(err)
}

// shown reads somebody with their groups.
func (t tx) shown(id string) (shown directory.Shown, err error) {
	query := personShownSQLite
	var text *string
	var texts []string
	rest := []any{&text}
	if t.dialect == "postgres" {
		query, rest = personShownPostgres, []any{&texts}
	}
	var there, deeper bool
	err = t.briefly().lane.pick(query, []any{id}, func(rows picked) error {
		if there = rows.Next(); !there {
			return rows.Err()
		}
		return t.readShown(rows, &shown.Person, rest...)
	})
	switch {
	case err != nil:
		return directory.Shown{}, classify(err)
	case !there:
		return directory.Shown{}, fault.New(fault.NotFound, "no such user")
	case t.dialect == "postgres":
		shown.Groups, err = groupsOfTexts(texts, &deeper)
	case text != nil:
		shown.Groups, err = t.unpackGroups(*text, &deeper)
	}
	if err == nil && deeper {
		shown.Groups, err = t.GroupsOf(id)
	}
	return shown, err
}

// groupsOfTexts reads what PostgreSQL gives of each group, in their order;
// deeper if any is in another.
func groupsOfTexts(texts []string, deeper *bool) ([]directory.Group, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	rows := make([]group, len(texts))
	for i, text := range texts {
		fields := strings.SplitN(text, " ", 4) // only names hold spaces
		if len(fields) != 4 {
			return nil, errPacked()
		}
		if err := fill(&rows[i].Seq, fields[0]); err != nil {
			return nil, err
		}
		*deeper = *deeper || fields[1] == "t"
		rows[i].ID, rows[i].Name = fields[2], fields[3]
	}
	return asMade(rows), nil
}

// asMade gives groups in the order in which they were made.
func asMade(rows []group) []directory.Group {
	slices.SortFunc(rows, func(a, b group) int { return cmp.Compare(a.Seq, b.Seq) })
	groups := make([]directory.Group, len(rows))
	for i, r := range rows {
		groups[i] = directory.Group{ID: r.ID, Name: r.Name}
	}
	return groups
}

func (t tx) PersonInGroups(id string) (directory.Shown, error) {
	if err := storable(id); err != nil {
		return directory.Shown{}, err
	}
	if !t.write {
		return t.shown(id)
	}
	direct := directGroupsSQLite
	if t.dialect == "postgres" {
		direct = directGroupsPostgres
	}
	query := t.forUpdate("SELECT "+t.packed(personColumns)+", "+direct+" FROM people WHERE id = ?", "people")
	p, deeper, err := t.whole(func(read func(picked) error) error { return t.briefly().lane.pick(query, []any{id}, read) })
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

// whole reads one row of personColumns, packed, and directGroups; nil if there
// is none. deeper says that their groups are in others, which are to be read.
func (t tx) whole(query func(read func(picked) error) error) (p *directory.Shown, deeper bool, err error) {
	var r person
	var text *string
	var there bool
	rest := []any{&text}
	if t.dialect == "postgres" {
		rest = append(rest, &deeper)
	}
	err = query(func(rows picked) error {
		if there = rows.Next(); !there {
			return rows.Err()
		}
		return t.unpack(rows, r.places(), rest...)
	})
	if err != nil || !there {
		return nil, false, classify(err)
	}
	t.memo.held = r
	p = &directory.Shown{Person: r.domain()}
	if text != nil {
		p.Groups, err = t.unpackGroups(*text, &deeper)
	}
	return p, deeper, err
}
