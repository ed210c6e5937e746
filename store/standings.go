package store

import (
	"cmp"
	"maps"
	"math"
	"slices"
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
	today := make(map[string]string)
	for i := range rows {
		if rows[i].Unit != "" {
			today[rows[i].ID] = rows[i].Unit
		}
	}
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
	closed, err := t.closedAt(rows, at)
	if err != nil {
		return nil, err
	}
	groups, err := t.groupsAt(ids, at)
	if err != nil {
		return nil, err
	}
	asserted, complete, err := t.assertionsAt(people, at)
	if err != nil {
		return nil, err
	}
	excepted, err := t.exceptionsAt(people, at)
	if err != nil {
		return nil, err
	}
	out := make([]directory.Standing, len(rows))
	for i := range rows {
		id := rows[i].ID
		s := directory.Standing{Person: rows[i].domain(), Unit: today[id], Organization: organizations[rows[i].Organization], Assertion: asserted[id], PartFrozen: closed[rows[i].Unit]}
		if rows[i].Provisioned {
			s.Pushed = groups[id]
		}
		s.Exceptions = directory.InForce(excepted[id])
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

// link is somebody in a group, or a group in a group.
type link struct {
	Inner string `gorm:"column:inner_id"`
	Outer string `gorm:"column:outer_id"`
}

// linksAt gives the rows of a table of links, and of its history, whose inner
// end is in a list.
func (t tx) linksAt(table, inner string, ids []string, at int64) (rows []link, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	wanted, err := list(ids)
	if err != nil {
		return nil, err
	}
	query := "SELECT " + inner + " AS inner_id, group_id AS outer_id FROM "
	err = t.rows(&rows, query+table+" WHERE since <= ? AND "+t.inList(inner), at, wanted)
	if err != nil || at == asIs {
		return rows, err
	}
	var past []link
	err = t.rows(&past, query+table+"_history WHERE since <= ? AND until > ? AND "+t.inList(inner), at, at, wanted)
	return append(rows, past...), err
}

// groupsAt gives the groups of people, through other groups too, in the order
// in which they were made.
func (t tx) groupsAt(people []string, at int64) (map[string][]directory.Group, error) {
	direct, err := t.linksAt("memberships", "person_id", people, at)
	if err != nil {
		return nil, err
	}
	above := make(map[string][]string) // a group and those it is in
	if err := t.nestings(outers(direct, above), above, at); err != nil {
		return nil, err
	}
	named, err := t.namesAt(slices.Sorted(maps.Keys(above)), at)
	if err != nil {
		return nil, err
	}
	in := make(map[string]map[string]bool, len(people)) // person → group → directly
	for _, l := range direct {
		if in[l.Inner] == nil {
			in[l.Inner] = make(map[string]bool)
		}
		in[l.Inner][l.Outer] = true
	}
	out := make(map[string][]directory.Group, len(in))
	for id, groups := range in {
		climb(groups, above)
		out[id] = inOrder(groups, named)
	}
	return out, nil
}

// nestings notes above what the groups of a level are in, and those, and so on.
func (t tx) nestings(level []string, above map[string][]string, at int64) error {
	for len(level) > 0 {
		nested, err := t.linksAt("nested_groups", "member_id", level, at)
		if err != nil {
			return err
		}
		for _, l := range nested {
			above[l.Inner] = append(above[l.Inner], l.Outer)
		}
		level = outers(nested, above)
	}
	return nil
}

// inOrder gives the groups that somebody is in, the oldest first.
func inOrder(in map[string]bool, named map[string]directory.Group) (out []directory.Group) {
	for id, directly := range in {
		if found, ok := named[id]; ok {
			found.Indirect = !directly
			out = append(out, found)
		}
	}
	slices.SortFunc(out, func(a, b directory.Group) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return out
}

// outers gives the outer ends of links that are not known yet, and notes them.
func outers(links []link, known map[string][]string) (fresh []string) {
	for _, l := range links {
		if _, ok := known[l.Outer]; !ok {
			known[l.Outer] = nil
			fresh = append(fresh, l.Outer)
		}
	}
	return fresh
}

// climb adds the groups that the groups are in.
func climb(groups map[string]bool, above map[string][]string) {
	for level := slices.Collect(maps.Keys(groups)); len(level) > 0; {
		var next []string
		for _, g := range level {
			for _, outer := range above[g] {
				if _, ok := groups[outer]; !ok {
					groups[outer] = false
					next = append(next, outer)
				}
			}
		}
		level = next
	}
}

// namesAt gives groups by id as they were called at a time; what was not
// there is not in the answer.
func (t tx) namesAt(ids []string, at int64) (map[string]directory.Group, error) {
	if len(ids) == 0 {
		return map[string]directory.Group{}, nil
	}
	wanted, err := list(ids)
	if err != nil {
		return nil, err
	}
	var rows []group
	if err := t.rows(&rows, "SELECT * FROM pushed_groups WHERE since <= ? AND "+t.inList("id"), at, wanted); err != nil {
		return nil, err
	}
	if at != asIs {
		for i := range rows {
			rows[i].Version, rows[i].Modified = 0, 0
		}
		var past []group
		err := t.rows(&past, `SELECT group_id AS id, connection, name, external_id, created FROM pushed_groups_history
			WHERE since <= ? AND until > ? AND `+t.inList("group_id"), at, at, wanted)
		if err != nil {
			return nil, err
		}
		rows = append(rows, past...)
	}
	out := make(map[string]directory.Group, len(rows))
	for _, r := range rows {
		out[r.ID] = r.domain()
	}
	return out, nil
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

// said gives the newest assertion that meets a condition of each of the people
// in a JSON list, and whose did not hold all groups.
func (t tx) said(condition string, at int64, people string) (out map[string]directory.Assertion, partial []string, err error) {
	var rows []said
	if err := t.rows(&rows, t.lastAssertions(condition), at, people); err != nil {
		return nil, nil, err
	}
	out = make(map[string]directory.Assertion, len(rows))
	shared := newWords()
	for _, r := range rows {
		a, err := shared.assertion(r.Facts)
		if err != nil {
			return nil, nil, err
		}
		if out[r.PersonID] = a; !r.Complete {
			partial = append(partial, r.PersonID)
		}
	}
	return out, partial, nil
}

// assertionsAt gives the newest assertion of each of the people in a JSON
// list, and the newest that held all groups.
func (t tx) assertionsAt(people string, at int64) (newest, complete map[string]directory.Assertion, err error) {
	newest, partial, err := t.said("", at, people)
	if err != nil {
		return nil, nil, err
	}
	complete = make(map[string]directory.Assertion)
	if len(partial) > 0 {
		wanted, err := list(partial)
		if err != nil {
			return nil, nil, err
		}
		if complete, _, err = t.said("AND b.complete", at, wanted); err != nil {
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
