package store

import (
	"slices"
	"time"

	"portcullis/directory"
)

func (t tx) CloseUnits(ids []string, since time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	these, err := list(ids)
	if err != nil {
		return err
	}
	if _, err := t.exec("UPDATE units SET closed = TRUE WHERE "+t.inList("id"), these); err != nil {
		return err
	}
	// One that was open for no time at all was closed throughout.
	_, err = t.exec(`INSERT INTO units_closed (unit, since) SELECT id, CAST(? AS BIGINT) FROM units WHERE `+t.inList("id")+`
		ON CONFLICT (unit, since) DO UPDATE SET until = 0`, micros(since), these)
	return err
}

func (t tx) OpenUnits(ids []string, since time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	these, err := list(ids)
	if err != nil {
		return err
	}
	if _, err := t.exec("UPDATE units SET closed = FALSE WHERE "+t.inList("id"), these); err != nil {
		return err
	}
	_, err = t.exec("UPDATE units_closed SET until = ? WHERE until = 0 AND "+t.inList("unit"), micros(since), these)
	return err
}

// closed reports whether a unit is; a freeze waits for this transaction, or
// this one sees it.
func (t tx) closed(unit string) (is bool, err error) {
	if unit == "" || unit == directory.Unplaced {
		return false, nil
	}
	err = t.rows(&is, t.forShare("SELECT closed FROM units WHERE id = ?"), unit)
	return is, err
}

func (t tx) FrozenAmong(organizations, units []string) (frozen, closed []string, err error) {
	named, err := list(organizations)
	if err != nil {
		return nil, nil, err
	}
	if err := t.rows(&frozen, "SELECT name FROM organizations WHERE disabled AND "+t.inList("name"), named); err != nil || len(units) == 0 {
		return frozen, nil, err
	}
	these, err := list(units)
	if err != nil {
		return nil, nil, err
	}
	err = t.rows(&closed, "SELECT id FROM units WHERE closed AND "+t.inList("id"), these)
	return frozen, closed, err
}

// frozenPlaces is the condition that a row with an organization and a unit is
// of a frozen organization, or of a closed unit; none if nothing is frozen. It is
// of what is frozen now, which is little: a page that asks for it, or for
// everybody else, does not join each row with where it stands.
func (t tx) frozenPlaces() (within fragment, some bool, err error) {
	var frozen, closed []string
	if err := t.rows(&frozen, "SELECT name FROM organizations WHERE disabled"); err != nil {
		return within, false, err
	}
	if err := t.rows(&closed, "SELECT id FROM units WHERE closed"); err != nil {
		return within, false, err
	}
	named, err := list(frozen)
	if err != nil {
		return within, false, err
	}
	these, err := list(closed)
	switch in, of := sqlf(t.inList("unit"), these), sqlf(t.inList("organization"), named); {
	case len(frozen) == 0:
		within = in
	case len(closed) == 0:
		within = of
	default:
		within = join("(", of, " OR ", in, ")")
	}
	return within, len(frozen)+len(closed) > 0, err
}

// closedAt says of the units that some people are in which were closed at a
// time.
func (t tx) closedAt(rows []person, at int64) (map[string]bool, error) {
	var units []string
	for i := range rows {
		if u := rows[i].Unit; u != "" && !slices.Contains(units, u) {
			units = append(units, u)
		}
	}
	if len(units) == 0 {
		return nil, nil
	}
	these, err := list(units)
	if err != nil {
		return nil, err
	}
	var found []string
	if at == asIs {
		err = t.rows(&found, "SELECT id FROM units WHERE closed AND "+t.inList("id"), these)
	} else {
		err = t.rows(&found, "SELECT unit FROM units_closed WHERE since <= ? AND (until = 0 OR until > ?) AND "+t.inList("unit"), at, at, these)
	}
	out := make(map[string]bool, len(found))
	for _, id := range found {
		out[id] = true
	}
	return out, err
}

// within is the condition that a person is in one of some units.
func (t tx) within(ids []string) (fragment, error) {
	in, err := t.inUnits(append([]string{}, ids...))
	return join("unit <> '' AND ", in), err
}

func (t tx) UnitEffect(ids []string, at time.Time) (directory.FreezeEffect, error) {
	in, err := t.within(ids)
	if err != nil {
		return directory.FreezeEffect{}, err
	}
	return t.freezeEffect(in, at)
}

func (t tx) OrganizationEffect(name string, at time.Time) (directory.FreezeEffect, error) {
	return t.freezeEffect(sqlf("organization = ?", name), at)
}

// freezeEffect counts people of a condition, and their sessions.
func (t tx) freezeEffect(in fragment, at time.Time) (e directory.FreezeEffect, err error) {
	count := join("SELECT count(*) FROM people WHERE ", in)
	if err := t.rows(&e.People, count.text, count.args...); err != nil {
		return e, err
	}
	count = join(sqlf("SELECT count(*) FROM sessions WHERE ended = 0 AND expires > ? AND person_id IN (SELECT id FROM people WHERE ", micros(at)), in, ")")
	err = t.rows(&e.Sessions, count.text, count.args...)
	return e, err
}

func (t tx) EndSessionsIn(ids []string, reason string, at time.Time) (int, error) {
	in, err := t.within(ids)
	if err != nil {
		return 0, err
	}
	t.memo.changed = true
	stamp := sqlf("CAST(? AS BIGINT)", micros(at))
	if t.dialect == "postgres" {
		stamp = sqlf(postgresNow)
	}
	told := join("INSERT INTO changes (at, person, session, loss, organization) SELECT ", stamp, ", p.id, '', TRUE, '' FROM people p WHERE ", in,
		` AND (EXISTS (SELECT 1 FROM sessions s WHERE s.person_id = p.id AND s.ended = 0)
			OR EXISTS (SELECT 1 FROM api_tokens k WHERE k.person_id = p.id))`)
	if _, err := t.exec(told.text, told.args...); err != nil {
		return 0, err
	}
	end := join(sqlf(`UPDATE sessions SET ended = ?, end_reason = ? WHERE ended = 0 AND expires > ?
		AND person_id IN (SELECT id FROM people WHERE `, micros(at), reason, micros(at)), in, ")")
	n, err := t.exec(end.text, end.args...)
	return int(n), err
}
