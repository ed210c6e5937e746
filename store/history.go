package store

import "time"

// History is written by the verbs that change something, before they do: the
// row as it was goes to the history table, with the interval in which it was
// so. What was so for no time at all, within one transaction or by the clock
// of a replica that is behind, is left out: nobody can ask for it.

// keptColumns of people are the same in people_history.
const keptColumns = `connection, organization, user_name, external_id, name, email, email_verified, provisioned, idp_active,
	deactivated_at, deactivated_by, deactivated_reason, locked_at, locked_by, locked_reason, attributes, version, created, modified, unit`

// keepPeople writes down what the people of a condition were until now, as
// the history of the person in the expression as.
func (t tx) keepPeople(as any, at time.Time, condition string, args ...any) error {
	column := "id"
	before := []any{micros(at), micros(at)}
	if as != nil {
		column, before = "?", []any{as, micros(at), micros(at)}
	}
	return t.later("INSERT INTO people_history (person_id, until, since, "+keptColumns+") SELECT "+column+
		", CAST(? AS BIGINT), since, "+keptColumns+" FROM people WHERE since < ? AND "+condition, append(before, args...)...)
}

// keepGroup writes down how a group was called until now.
func (t tx) keepGroup(id string, at time.Time, condition string, args ...any) (kept bool, err error) {
	n, err := t.exec(`INSERT INTO pushed_groups_history (group_id, until, since, connection, name, external_id, created)
		SELECT id, CAST(? AS BIGINT), since, connection, name, external_id, created FROM pushed_groups WHERE id = ? AND since < ? AND `+condition,
		append([]any{micros(at), id, micros(at)}, args...)...)
	return n > 0, err
}

// keepMembers writes down who was in a group until now.
func (t tx) keepMembers(groupID string, at time.Time, condition string, args ...any) error {
	_, err := t.exec(`INSERT INTO memberships_history (group_id, person_id, since, until)
		SELECT group_id, person_id, since, CAST(? AS BIGINT) FROM memberships WHERE group_id = ? AND since < ? AND `+condition,
		append([]any{micros(at), groupID, micros(at)}, args...)...)
	return err
}

// keepNested writes down which groups were in which until now.
func (t tx) keepNested(at time.Time, condition string, args ...any) error {
	_, err := t.exec(`INSERT INTO nested_groups_history (group_id, member_id, since, until)
		SELECT group_id, member_id, since, CAST(? AS BIGINT) FROM nested_groups WHERE since < ? AND `+condition,
		append([]any{micros(at), micros(at)}, args...)...)
	return err
}

// inherit makes the history of a person, and what they are until now, part of
// another's.
func (t tx) inherit(from, to string, at time.Time) error {
	if err := t.keepPeople(to, at, "id = ?", from); err != nil {
		return err
	}
	for _, table := range []string{"people_history", "memberships_history"} {
		if _, err := t.exec("UPDATE "+table+" SET person_id = ? WHERE person_id = ?", to, from); err != nil {
			return err
		}
	}
	return nil
}
