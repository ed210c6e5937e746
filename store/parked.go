package store

import (
	"slices"
	"strings"
)

// Members are parked under a name, and claimed by it when somebody of that name
// arrives. On PostgreSQL neither sees what the other has not committed: they
// would miss each other for good. Whoever parks therefore waits until those who
// are about to arrive in the connection have, and looks once more; and they
// wait for whoever parks. Those who arrive do not wait for each other.

const (
	arriving = "pg_advisory_xact_lock_shared(hashtextextended(?, 1))"
	parking  = "pg_advisory_xact_lock(hashtextextended(?, 1))"
)

// lockArrival makes somebody who arrives wait for those who park, and for whoever
// carries the same link value, see lockLink. SQLite has one writer at a time
// anyway.
func (t tx) lockArrival(connection, link string) error {
	if t.dialect != "postgres" {
		return nil
	}
	if link == "" {
		return t.later("SELECT "+arriving, connection)
	}
	return t.later("SELECT "+arriving+", "+linkLock, connection, connection+"/"+link)
}

// namesake is somebody by the names that a member may be parked under.
type namesake struct {
	ID         string `gorm:"column:id"`
	UserName   string `gorm:"column:user_name"`
	ExternalID string `gorm:"column:external_id"`
}

// namesakes are the pushed people of a group's connection whom values may mean.
func (t tx) namesakes(groupID string, values []string) (people []namesake, err error) {
	keys := make([]string, len(values))
	for i, v := range values {
		keys[i] = strings.ToLower(v)
	}
	wanted, err := list(values)
	if err != nil {
		return nil, err
	}
	folded, err := list(keys)
	if err != nil {
		return nil, err
	}
	err = t.rows(&people, `SELECT p.id, p.user_name, p.external_id FROM people p WHERE p.connection = (SELECT connection FROM pushed_groups WHERE id = ?)
		AND p.provisioned AND (`+t.inList("p.id")+` OR `+t.inList("p.user_name_key")+` OR `+t.inList("p.external_id")+`)`, groupID, wanted, folded, wanted)
	return people, err
}

func (t tx) Park(groupID string, values []string) (arrived []string, err error) {
	if len(values) == 0 {
		return nil, nil
	}
	if t.dialect == "postgres" {
		if arrived, values, err = t.awaitArrivals(groupID, values); err != nil {
			return nil, err
		}
	}
	parked, err := list(values)
	if err != nil {
		return nil, err
	}
	return arrived, t.later("INSERT INTO parked_members (group_id, connection, value) SELECT g.id, g.connection, v.value FROM pushed_groups g, "+
		t.elements()+" WHERE g.id = ? ON CONFLICT DO NOTHING", parked, groupID)
}

// awaitArrivals waits for those who are about to arrive and gives who of the
// values has; rest is nobody yet. Whoever was there before is not meant: a
// member is named by id.
func (t tx) awaitArrivals(groupID string, values []string) (arrived, rest []string, err error) {
	before, err := t.namesakes(groupID, values)
	if err != nil {
		return nil, nil, err
	}
	err = t.later("SELECT pg_advisory_xact_lock(hashtextextended(connection, 1)) FROM pushed_groups WHERE id = ?", groupID)
	if err != nil {
		return nil, nil, err
	}
	after, err := t.namesakes(groupID, values)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range without(after, before) {
		for _, name := range []string{p.ID, p.UserName, p.ExternalID} {
			if at := slices.Index(values, name); at >= 0 {
				values = slices.Delete(slices.Clone(values), at, at+1)
				arrived = append(arrived, p.ID)
			}
		}
	}
	slices.Sort(arrived)
	return slices.Compact(arrived), values, nil
}

// without are the people who are not among those.
func without(people, those []namesake) []namesake {
	known := make(map[string]bool, len(those))
	for _, p := range those {
		known[p.ID] = true
	}
	return slices.DeleteFunc(people, func(p namesake) bool { return known[p.ID] })
}

func (t tx) Unpark(groupID string, values []string) error {
	if values == nil {
		_, err := t.exec("DELETE FROM parked_members WHERE group_id = ?", groupID)
		return err
	}
	gone, err := list(values)
	if err != nil {
		return err
	}
	_, err = t.exec("DELETE FROM parked_members WHERE group_id = ? AND "+t.inList("value"), groupID, gone)
	return err
}

func (t tx) ClaimParked(connection string, values []string) (groups []string, err error) {
	arrived, err := list(values)
	if err != nil {
		return nil, err
	}
	if err := t.lockArrival(connection, ""); err != nil {
		return nil, err
	}
	err = t.rows(&groups, "DELETE FROM parked_members WHERE connection = ? AND "+t.inList("value")+" RETURNING group_id", connection, arrived)
	slices.Sort(groups)
	return slices.Compact(groups), err
}
