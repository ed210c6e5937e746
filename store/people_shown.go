package store

import (
	"cmp"
	"slices"
	"strings"

	"portcullis/directory"
	"portcullis/fault"
)

// directGroups are the groups that a row of people is a member of itself, each
// with whether it is in another: on SQLite as [tx.packed] would select them of
// each, NULL if there are none; on PostgreSQL a list of texts.
const (
	directGroupsSQLite = `(SELECT group_concat(concat_ws(x'00', g.seq, g.id, g.name,
		EXISTS (SELECT 1 FROM nested_groups n WHERE n.member_id = g.id)), x'00')
		FROM memberships m JOIN pushed_groups g ON g.id = m.group_id WHERE m.person_id = people.id)`
	directGroupsPostgres = `ARRAY(SELECT concat_ws(' ', g.seq, EXISTS (SELECT 1 FROM nested_groups n WHERE n.member_id = g.id), g.id, g.name)
		FROM memberships m JOIN pushed_groups g ON g.id = m.group_id WHERE m.person_id = people.id)`
)

// direct is where directGroups go.
type direct struct {
	text  *string  // on SQLite
	texts []string // on PostgreSQL
}

func (d *direct) place(t tx) any {
	if t.dialect == "postgres" {
		return &d.texts
	}
	return &d.text
}

// groups are in the order in which they were made; deeper if any is in another.
func (d *direct) groups() (groups []directory.Group, deeper bool, err error) {
	rows := make([]group, 0, len(d.texts))
	add := func(seq string, inner bool, id, name string) error {
		row := group{ID: id, Name: name}
		deeper = deeper || inner
		err := fill(&row.Seq, seq)
		rows = append(rows, row)
		return err
	}
	for _, text := range d.texts {
		fields := strings.SplitN(text, " ", 4) // only names hold spaces
		if len(fields) != 4 {
			return nil, false, errPacked()
		}
		if err := add(fields[0], fields[1] == "t", fields[2], fields[3]); err != nil {
			return nil, false, err
		}
	}
	if d.text != nil && *d.text != "" {
		fields := strings.Split(*d.text, packedComma)
		if len(fields)%4 != 0 {
			return nil, false, errPacked()
		}
		for at := 0; at < len(fields); at += 4 {
			if err := add(fields[at], fields[at+3] == "1", fields[at+1], fields[at+2]); err != nil {
				return nil, false, err
			}
		}
	}
	if len(rows) == 0 {
		return nil, false, nil
	}
	slices.SortFunc(rows, func(a, b group) int { return cmp.Compare(a.Seq, b.Seq) })
	groups = make([]directory.Group, len(rows))
	for i, r := range rows {
		groups[i] = directory.Group{ID: r.ID, Name: r.Name}
	}
	return groups, deeper, nil
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
const (
	peopleNamedSQLite   = "SELECT " + packedBegin + shownColumns + packedEnd + " FROM people WHERE connection = ? AND user_name_key = ? AND provisioned"
	peopleNamedPostgres = "SELECT " + shownColumns + " FROM people WHERE connection = $1 AND user_name_key = $2 AND provisioned"
	personShownSQLite   = "SELECT " + packedBegin + shownColumns + packedEnd + ", " + directGroupsSQLite + " AS direct FROM people WHERE id = ?"
	personShownPostgres = "SELECT " + shownColumns + ", " + directGroupsPostgres + " FROM people WHERE id = $1"
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
	if t.dialect == "postgres" {
		query = personShownPostgres
	}
	var there bool
	var in direct
	err = t.briefly().lane.pick(query, []any{id}, func(rows picked) error {
		if there = rows.Next(); !there {
			return rows.Err()
		}
		return t.readShown(rows, &shown.Person, in.place(t))
	})
	switch {
	case err != nil:
		return directory.Shown{}, classify(err)
	case !there:
		return directory.Shown{}, fault.New(fault.NotFound, "no such user")
	}
	var deeper bool
	if shown.Groups, deeper, err = in.groups(); err == nil && deeper {
		shown.Groups, err = t.GroupsOf(id)
	}
	return shown, err
}

func (t tx) PersonInGroups(id string) (directory.Shown, error) {
	if err := storable(id); err != nil {
		return directory.Shown{}, err
	}
	if !t.write {
		return t.shown(id)
	}
	groups := directGroupsSQLite
	if t.dialect == "postgres" {
		groups = directGroupsPostgres
	}
	query := t.forUpdate("SELECT "+t.packed(personColumns)+", "+groups+" FROM people WHERE id = ?", "people")
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
	err = query(func(rows picked) error {
		if !rows.Next() {
			return rows.Err()
		}
		p, deeper, err = t.readWhole(rows)
		return err
	})
	return p, deeper, classify(err)
}

// readWhole reads the row that rows are at.
func (t tx) readWhole(rows picked) (p *directory.Shown, deeper bool, err error) {
	var r person
	var in direct
	if err := t.unpack(rows, r.places(), in.place(t)); err != nil {
		return nil, false, err
	}
	t.memo.held = r
	p = &directory.Shown{Person: r.domain()}
	p.Groups, deeper, err = in.groups()
	return p, deeper, err
}
