package store

import (
	"strings"
	"time"

	"portcullis/directory"
)

type group struct {
	Seq        int64  `gorm:"column:seq;->"`
	ID         string `gorm:"column:id"`
	Connection string `gorm:"column:connection"`
	Name       string `gorm:"column:name"`
	NameKey    string `gorm:"column:name_key"`
	ExternalID string `gorm:"column:external_id"`
	Version    int64  `gorm:"column:version"`
	Created    int64  `gorm:"column:created"`
	Modified   int64  `gorm:"column:modified"`
	Since      int64  `gorm:"column:since"`
}

func (group) TableName() string { return "pushed_groups" }

func (r group) domain() directory.Group {
	return directory.Group{
		ID: r.ID, Connection: r.Connection, Name: r.Name, ExternalID: r.ExternalID,
		Version: r.Version, Created: moment(r.Created), Modified: moment(r.Modified),
	}
}

func (t tx) Group(connection, id string) (directory.Group, error) {
	var r group
	err := t.row(&r, "group", t.forUpdate("SELECT * FROM pushed_groups g WHERE connection = ? AND id = ?", "g"), connection, id)
	return r.domain(), err
}

func (t tx) Groups(q directory.Query) (directory.Page[directory.Group], error) {
	rows, total, next, err := page(t, "pushed_groups", "pushed_groups.*", tx.scanGroups, groupTable{t}, q, "")
	if err != nil {
		return directory.Page[directory.Group]{}, err
	}
	groups := make([]directory.Group, len(rows))
	for i := range rows {
		groups[i] = rows[i].Row.domain()
	}
	if n := len(rows); n > 0 {
		place(next, rows[n-1].Row.Seq, rows[n-1].SortValue)
	}
	return directory.Page[directory.Group]{Items: groups, Total: total, Next: next}, nil
}

func (t tx) scanGroups(_ bool, query string, args ...any) (groups []found[group], err error) {
	err = t.rows(&groups, query, args...)
	return groups, err
}

func (t tx) InsertGroup(g directory.Group) error {
	row := group{
		ID: g.ID, Connection: g.Connection, Name: g.Name, NameKey: strings.ToLower(g.Name), ExternalID: g.ExternalID,
		Version: g.Version, Created: micros(g.Created), Modified: micros(g.Modified),
		Since: micros(g.Modified),
	}
	if err := storable(g.Name, g.ExternalID); err != nil {
		return err
	}
	return t.later(`INSERT INTO pushed_groups (id, connection, name, name_key, external_id, version, created, modified, since)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		row.ID, row.Connection, row.Name, row.NameKey, row.ExternalID, row.Version, row.Created, row.Modified, row.Since)
}

func (t tx) UpdateGroup(g directory.Group) error {
	renamed, err := t.keepGroup(g.ID, g.Modified, "(name <> ? OR external_id <> ?)", g.Name, g.ExternalID)
	if err != nil {
		return err
	}
	return t.one("group", `UPDATE pushed_groups SET name = ?, name_key = ?, external_id = ?, version = ?, modified = ?,
		since = CASE WHEN ? THEN ? ELSE since END WHERE id = ?`,
		g.Name, strings.ToLower(g.Name), g.ExternalID, g.Version, micros(g.Modified), renamed, micros(g.Modified), g.ID)
}

func (t tx) DeleteGroup(id string, at time.Time) error {
	if _, err := t.keepGroup(id, at, "TRUE"); err != nil {
		return err
	}
	if err := t.keepMembers(id, at, "TRUE"); err != nil {
		return err
	}
	if err := t.keepNested(at, "(group_id = ? OR member_id = ?)", id, id); err != nil {
		return err
	}
	return t.one("group", "DELETE FROM pushed_groups WHERE id = ?", id)
}

// personGroup is a group of a person, and whether it is one through others.
type personGroup struct {
	Group    group `gorm:"embedded"`
	Indirect bool  `gorm:"column:indirect"`
}

func (t tx) GroupsOf(personID string) ([]directory.Group, error) {
	var rows []personGroup
	err := t.rows(&rows, `SELECT g.*, NOT EXISTS (SELECT 1 FROM memberships m WHERE m.group_id = g.id AND m.person_id = ?) AS indirect
		FROM pushed_groups g WHERE g.id IN (`+groupsAbove("?")+`) ORDER BY g.seq`, personID, personID)
	out := make([]directory.Group, len(rows))
	for i, r := range rows {
		out[i] = r.Group.domain()
		out[i].Indirect = r.Indirect
	}
	return out, err
}

func (t tx) Members(groupID string) ([]directory.Member, error) {
	of, err := t.MembersOf([]string{groupID})
	return of[groupID], err
}

type member struct {
	GroupID string `gorm:"column:group_id"`
	ID      string `gorm:"column:id"`
	Name    string `gorm:"column:name"`
	Nested  bool   `gorm:"column:nested"`
}

func (t tx) MembersOf(groups []string) (map[string][]directory.Member, error) {
	wanted, err := list(groups)
	if err != nil {
		return nil, err
	}
	var rows []member
	err = t.rows(&rows, `SELECT * FROM (
		SELECT m.seq, m.group_id, p.id, p.name, FALSE AS nested FROM memberships m JOIN people p ON p.id = m.person_id WHERE `+t.inList("m.group_id")+`
		UNION ALL
		SELECT n.seq, n.group_id, c.id, c.name, TRUE FROM nested_groups n JOIN pushed_groups c ON c.id = n.member_id WHERE `+t.inList("n.group_id")+`
		) AS all_members ORDER BY nested, seq`, wanted, wanted)
	if err != nil {
		return nil, err
	}
	of := make(map[string][]directory.Member, len(groups))
	for _, r := range rows {
		of[r.GroupID] = append(of[r.GroupID], directory.Member{ID: r.ID, Name: r.Name, Group: r.Nested})
	}
	return of, nil
}

// elements names the rows of a JSON list, one column called value.
func (t tx) elements() string {
	if t.dialect == "postgres" {
		return "jsonb_array_elements_text(?::jsonb) AS v(value)"
	}
	return "json_each(?) AS v"
}

func (t tx) AddMembers(groupID string, people []string, at time.Time) (added []string, err error) {
	if len(people) == 0 {
		return nil, nil
	}
	ids, err := list(people)
	if err != nil {
		return nil, err
	}
	// WHERE TRUE keeps SQLite's parser from reading ON CONFLICT as a join.
	err = t.rows(&added, "INSERT INTO memberships (group_id, person_id, since) SELECT ?, v.value, CAST(? AS BIGINT) FROM "+t.elements()+
		" WHERE TRUE ON CONFLICT DO NOTHING RETURNING person_id", groupID, micros(at), ids)
	return added, err
}

func (t tx) RemoveMembers(groupID string, people []string, at time.Time) (removed []string, err error) {
	if len(people) == 0 {
		return nil, nil
	}
	ids, err := list(people)
	if err != nil {
		return nil, err
	}
	if err := t.keepMembers(groupID, at, t.inList("person_id"), ids); err != nil {
		return nil, err
	}
	err = t.rows(&removed, "DELETE FROM memberships WHERE group_id = ? AND "+t.inList("person_id")+" RETURNING person_id", groupID, ids)
	return removed, err
}

func (t tx) KnownPeople(connection string, ids []string) (known []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	wanted, err := list(ids)
	if err != nil {
		return nil, err
	}
	query := "SELECT id FROM people WHERE " + t.aside("connection") + " = ? AND provisioned AND " + t.inList("id")
	if t.write && t.dialect == "postgres" {
		query += " ORDER BY id FOR KEY SHARE" // they stay until they are members
	}
	err = t.rows(&known, query, connection, wanted)
	return known, err
}

func (t tx) KnownGroups(connection string, ids []string) (known []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	wanted, err := list(ids)
	if err != nil {
		return nil, err
	}
	query := "SELECT id FROM pushed_groups WHERE " + t.aside("connection") + " = ? AND " + t.inList("id")
	if t.write && t.dialect == "postgres" {
		query += " ORDER BY id FOR KEY SHARE" // they stay until they are members
	}
	err = t.rows(&known, query, connection, wanted)
	return known, err
}

func (t tx) Nest(groupID string, groups []string, at time.Time) (added []string, err error) {
	if len(groups) == 0 {
		return nil, nil
	}
	ids, err := list(groups)
	if err != nil {
		return nil, err
	}
	err = t.rows(&added, "INSERT INTO nested_groups (group_id, member_id, since) SELECT ?, v.value, CAST(? AS BIGINT) FROM "+t.elements()+
		" WHERE TRUE ON CONFLICT DO NOTHING RETURNING member_id", groupID, micros(at), ids)
	return added, err
}

func (t tx) Unnest(groupID string, groups []string, at time.Time) (removed []string, err error) {
	if len(groups) == 0 {
		return nil, nil
	}
	ids, err := list(groups)
	if err != nil {
		return nil, err
	}
	if err := t.keepNested(at, "group_id = ? AND "+t.inList("member_id"), groupID, ids); err != nil {
		return nil, err
	}
	err = t.rows(&removed, "DELETE FROM nested_groups WHERE group_id = ? AND "+t.inList("member_id")+" RETURNING member_id", groupID, ids)
	return removed, err
}

func (t tx) PeopleIn(groups []string) (people []string, err error) {
	if len(groups) == 0 {
		return nil, nil
	}
	ids, err := list(groups)
	if err != nil {
		return nil, err
	}
	err = t.rows(&people, peopleBelow("SELECT v.value FROM "+t.elements()), ids)
	return people, err
}
