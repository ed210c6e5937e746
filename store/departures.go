package store

import (
	"gorm.io/gorm"

	"portcullis/directory"
)

// leaving is the condition on whom Dismiss makes inactive.
const leaving = "id = ? AND connection = ? AND provisioned AND idp_active AND NOT unconfirmed"

func (t tx) Dismiss(d directory.Departure) (directory.Shown, bool, error) {
	if err := storable(d.Event.Person); err != nil {
		return directory.Shown{}, false, err
	}
	if l, ok := t.lane.(*postgresLane); ok {
		return t.dismissAtOnce(l, d)
	}
	who, at := []any{d.Event.Person, d.Event.Connection}, micros(d.Event.At)
	if err := t.keepPeople(nil, d.Event.At, leaving, who...); err != nil {
		return directory.Shown{}, false, err
	}
	p, deeper, err := t.whole(func(read func(picked) error) error {
		return t.lane.pick("UPDATE people SET idp_active = FALSE, version = version + 1, modified = ?, since = max(since, ?) WHERE "+leaving+
			" RETURNING "+t.packed(personColumns)+", "+directGroupsSQLite, append([]any{at, at}, who...), read)
	})
	if err != nil || p == nil {
		return directory.Shown{}, false, err
	}
	d.Event.Subject = p.UserName
	err = t.InsertLoss(directory.Loss{
		At: d.Event.At, Connection: p.Connection, Kind: directory.Deactivation, Member: p.ID, Subject: p.UserName, Weight: 1,
	})
	if err != nil {
		return directory.Shown{}, false, err
	}
	if err := t.AuditEnding(d.Event, d.Reason); err != nil {
		return directory.Shown{}, false, err
	}
	if err := t.Change(directory.Change{At: d.Event.At, Person: p.ID, Loss: true}); err != nil {
		return directory.Shown{}, false, err
	}
	if deeper {
		p.Groups, err = t.GroupsOf(p.ID)
	}
	return *p, err == nil, err
}

// dismissal is a statement of dismissAtOnce.
type dismissal int

const (
	dismissPerson dismissal = iota // its arguments are the time, twice, the person and the connection
	endSessions                    // the person, the time, the reason, and those of the event but for its subject and detail
)

func (d dismissal) String() string {
	if d == dismissPerson { // it gives the row as it was, if it is that still, by xmin: of a scan by ctid not every PostgreSQL makes sure once it has waited
		return `WITH people AS (UPDATE people p SET idp_active = FALSE, version = p.version + 1, modified = ?, since = greatest(p.since, ?)
				FROM (SELECT *, xmin AS made FROM people WHERE ` + leaving + `) old WHERE p.id = old.id AND p.xmin = old.made RETURNING old.*, p.modified AS us),
			past AS (INSERT INTO people_history (person_id, until, since, ` + keptColumns + `) SELECT id, us, since, ` + keptColumns + ` FROM people WHERE since < us),
			loss AS (INSERT INTO losses (at, connection, group_id, kind, member, subject, weight)
				SELECT us, connection, '', 'deactivated', id, user_name, 1 FROM people)
			SELECT ` + personColumns + `, ` + directGroupsPostgres + ` FROM people`
	}
	return `WITH mine AS (SELECT id, user_name FROM people WHERE id = ? AND xmin = pg_current_xact_id()::xid),
		ended AS (UPDATE sessions s SET ended = ?, end_reason = ? FROM mine WHERE s.person_id = mine.id AND s.ended = 0 RETURNING 1),
		number (n) AS (SELECT count(*) FROM ended),
		told AS (INSERT INTO changes (at, person, session, loss, organization) SELECT ` + postgresNow + `, id, '', TRUE, '' FROM mine) ` +
		auditInto + `SELECT CAST(? AS bigint), ?, ?, ?, ?, ?, ?, mine.user_name, ?, ?, ?, ` + endedDetail + ` FROM mine, number`
}

// dismissAtOnce is one way to the server and back. What concerns sessions is a
// statement of its own behind the one that changes the person: it sees those of
// a sign-in that had them locked before. It does nothing unless this transaction
// has made the person inactive.
func (t tx) dismissAtOnce(l *postgresLane, d directory.Departure) (p directory.Shown, gone bool, err error) {
	at := micros(d.Event.At)
	event := auditColumns(d.Event)
	first := fragment{written(t, dismissPerson), []any{at, at, d.Event.Person, d.Event.Connection}}
	then := fragment{written(t, endSessions), append([]any{d.Event.Person, at, d.Reason}, append(event[:7:7], event[8:]...)...)}
	if err := storable(then.args...); err != nil {
		return directory.Shown{}, false, err
	}
	was, deeper, err := t.whole(func(read func(picked) error) error {
		return l.finish(first, func(rows gorm.Rows) error { return read(rows) }, then)
	})
	switch {
	case err != nil:
		return directory.Shown{}, false, err
	case was == nil:
		return directory.Shown{}, false, l.reopen()
	}
	p = *was
	p.IDPActive, p.Version, p.Modified = false, p.Version+1, moment(at)
	t.memo.held, t.memo.changed = person{}, true
	if deeper {
		if err = l.reopen(); err == nil {
			p.Groups, err = t.GroupsOf(p.ID)
		}
	}
	return p, err == nil, err
}
