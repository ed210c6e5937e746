package store

import (
	"fmt"
	"math"
	"time"

	"portcullis/directory"
	"portcullis/fault"
)

// asIs stands for "as it is" among the times in microseconds that a standing
// is asked for.
const asIs = math.MaxInt64

// asOf is the moment in microseconds that a caller means.
func asOf(at time.Time) int64 {
	if at.IsZero() {
		return asIs
	}
	return micros(at)
}

func (t tx) StandingAt(personID string, at time.Time) (directory.Standing, error) {
	var rows []person
	if err := t.rows(&rows, "SELECT * FROM people WHERE id = ?", personID); err != nil {
		return directory.Standing{}, err
	}
	found, err := t.standings(rows, asOf(at))
	if err != nil {
		return directory.Standing{}, err
	}
	if len(found) == 0 {
		return directory.Standing{}, fault.New(fault.NotFound, "no such user")
	}
	return found[0], nil
}

func (t tx) Standings(at time.Time, after int64, limit int) (page []directory.Standing, next int64, err error) {
	var rows []person
	if err := t.rows(&rows, "SELECT * FROM people WHERE seq > ? ORDER BY seq LIMIT ?", after, limit); err != nil {
		return nil, 0, err
	}
	if len(rows) == limit {
		next = rows[len(rows)-1].Seq
	}
	page, err = t.standings(rows, asOf(at))
	return page, next, err
}

// standings gathers what was known of some people, without those of whom
// nothing was. The number of queries does not depend on how many they are.
func (t tx) standings(rows []person, at int64) ([]directory.Standing, error) {
	rows, err := t.peopleAt(rows, at)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	ids, homes := make([]string, len(rows)), make([]string, len(rows))
	for i := range rows {
		ids[i], homes[i] = rows[i].ID, rows[i].Organization
	}
	people, err := list(ids)
	if err != nil {
		return nil, err
	}
	organizations, err := t.organizationsAt(homes, at)
	if err != nil {
		return nil, err
	}
	groups, err := t.groupsAt(people, at)
	if err != nil {
		return nil, err
	}
	asserted, complete, err := t.assertionsAt(people, at)
	if err != nil {
		return nil, err
	}
	out := make([]directory.Standing, len(rows))
	for i := range rows {
		id := rows[i].ID
		s := directory.Standing{Person: rows[i].domain(), Organization: organizations[rows[i].Organization], Assertion: asserted[id]}
		if rows[i].Provisioned {
			s.Pushed = groups[id]
		}
		if a, ok := complete[id]; ok {
			s.LastComplete = &a
		}
		out[i] = s
	}
	return out, nil
}

// peopleAt puts those who were different at a time in the place of those who
// are, and leaves out who was not there. While two records stood for one
// person, who had signed in before they met, the one that could be inside
// counts: the one that was not pushed.
func (t tx) peopleAt(rows []person, at int64) ([]person, error) {
	if at == asIs || len(rows) == 0 {
		return rows, nil
	}
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ID
	}
	people, err := list(ids)
	if err != nil {
		return nil, err
	}
	var past []person
	err = t.rows(&past, "SELECT person_id AS id, since, "+keptColumns+` FROM people_history
		WHERE since <= ? AND until > ? AND `+t.inList("person_id")+" ORDER BY since", at, at, people)
	if err != nil {
		return nil, err
	}
	then := make(map[string]person, len(past))
	for _, p := range past {
		if known, ok := then[p.ID]; !ok || known.Provisioned {
			then[p.ID] = p
		}
	}
	var out []person
	for _, p := range rows {
		old, ok := then[p.ID]
		if p.LastActive = 0; ok && (p.Since > at || !old.Provisioned) {
			p = old
		}
		if p.Since <= at {
			out = append(out, p)
		}
	}
	return out, nil
}

func (t tx) organizationsAt(names []string, at int64) (map[string]directory.Organization, error) {
	wanted, err := list(names)
	if err != nil {
		return nil, err
	}
	var found []directory.Organization
	if err := t.rows(&found, "SELECT name, disabled FROM organizations WHERE "+t.inList("name"), wanted); err != nil {
		return nil, err
	}
	if at != asIs {
		var past []directory.Organization
		err := t.rows(&past, "SELECT name, disabled FROM organizations_history WHERE since <= ? AND until > ? AND "+t.inList("name"), at, at, wanted)
		if err != nil {
			return nil, err
		}
		found = append(found, past...)
	}
	out := make(map[string]directory.Organization, len(found))
	for _, o := range found {
		out[o.Name] = o
	}
	return out, nil
}

// held is a group that somebody is or was in.
type held struct {
	PersonID string `gorm:"column:person_id"`
	Group    group  `gorm:"embedded"`
}

// groupsAt gives the groups of the people in a JSON list.
func (t tx) groupsAt(people string, at int64) (map[string][]directory.Group, error) {
	var rows []held
	var err error
	if at == asIs {
		err = t.rows(&rows, `WITH RECURSIVE held (person_id, group_id) AS (
			SELECT m.person_id, m.group_id FROM memberships m WHERE `+t.inList("m.person_id")+`
			UNION SELECT h.person_id, n.group_id FROM nested_groups n JOIN held h ON n.member_id = h.group_id)
			SELECT h.person_id, g.* FROM held h JOIN pushed_groups g ON g.id = h.group_id ORDER BY g.seq`, people)
	} else {
		err = t.rows(&rows, t.pastGroups(), at, at, at, at, people, at, at, at, at, at, people)
	}
	out := make(map[string][]directory.Group, len(rows))
	for _, r := range rows {
		out[r.PersonID] = append(out[r.PersonID], r.Group.domain())
	}
	return out, err
}

// pastGroups is the query for the groups of then. A group that is gone, or
// was called otherwise, is found by its history.
func (t tx) pastGroups() string {
	query := `SELECT m.person_id, m.group_id AS id, coalesce(h.connection, g.connection) AS connection, coalesce(h.name, g.name) AS name,
		coalesce(h.external_id, g.external_id) AS external_id, coalesce(h.created, g.created) AS created
		FROM %s m LEFT JOIN pushed_groups g ON g.id = m.group_id AND g.since <= ?
		LEFT JOIN pushed_groups_history h ON h.group_id = m.group_id AND h.since <= ? AND h.until > ?
		WHERE m.since <= ? %s AND ` + t.inList("m.person_id") + " AND (g.id IS NOT NULL OR h.group_id IS NOT NULL)"
	return fmt.Sprintf(query, "memberships", "") + " UNION " + fmt.Sprintf(query, "memberships_history", "AND m.until > ?") + " ORDER BY created, id"
}

// lastAssertions is the query for the newest assertion of each person in a
// list that meets a condition.
func (t tx) lastAssertions(condition string) string {
	return `SELECT a.person_id, a.complete, a.facts FROM assertions a WHERE a.seq IN (SELECT
		(SELECT b.seq FROM assertions b WHERE b.person_id = v.value AND b.received <= ? ` + condition +
		" ORDER BY b.seq DESC LIMIT 1) FROM " + t.elements() + ")"
}

// said is what an identity provider said of somebody.
type said struct {
	PersonID string `gorm:"column:person_id"`
	Complete bool   `gorm:"column:complete"`
	Facts    string `gorm:"column:facts"`
}

// assertionsAt gives the newest assertion of each of the people in a JSON
// list, and the newest that held all groups.
func (t tx) assertionsAt(people string, at int64) (newest, complete map[string]directory.Assertion, err error) {
	read := func(condition, people string) (map[string]directory.Assertion, []string, error) {
		var rows []said
		if err := t.rows(&rows, t.lastAssertions(condition), at, people); err != nil {
			return nil, nil, err
		}
		out := make(map[string]directory.Assertion, len(rows))
		var partial []string
		for _, r := range rows {
			a, err := readAssertion(r.Facts)
			if err != nil {
				return nil, nil, err
			}
			if out[r.PersonID] = a; !r.Complete {
				partial = append(partial, r.PersonID)
			}
		}
		return out, partial, nil
	}
	newest, partial, err := read("", people)
	if err != nil {
		return nil, nil, err
	}
	complete = make(map[string]directory.Assertion)
	if len(partial) > 0 {
		wanted, err := list(partial)
		if err != nil {
			return nil, nil, err
		}
		if complete, _, err = read("AND b.complete", wanted); err != nil {
			return nil, nil, err
		}
	}
	for id, a := range newest {
		if !a.GroupsIncomplete {
			complete[id] = a
		}
	}
	return newest, complete, nil
}
