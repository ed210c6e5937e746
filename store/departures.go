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
	p, deeper, err := t.shown(func(read func(gorm.Rows) error) error {
		return t.lane.query("UPDATE people SET idp_active = FALSE, version = version + 1, modified = ?, since = max(since, ?) WHERE "+leaving+
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

// dismissAtOnce is one way to the server and back. What concerns sessions is a
// statement of its own behind the one that locks the person: it sees those of a
// sign-in that had the lock before. It does nothing unless this transaction has
// made the person inactive.
func (t tx) dismissAtOnce(l *postgresLane, d directory.Departure) (directory.Shown, bool, error) {
	at := micros(d.Event.At)
	event := auditColumns(d.Event)
	first := sqlf(`WITH old AS (SELECT * FROM people WHERE `+leaving+` FOR UPDATE),
		at (us) AS (SELECT CAST(? AS bigint)),
		past AS (INSERT INTO people_history (person_id, until, since, `+keptColumns+`) SELECT id, us, since, `+keptColumns+` FROM old, at WHERE since < us),
		loss AS (INSERT INTO losses (at, connection, group_id, kind, member, subject, weight)
			SELECT us, connection, '', 'deactivated', id, user_name, 1 FROM old, at),
		new AS (UPDATE people p SET idp_active = FALSE, version = p.version + 1, modified = us, since = greatest(p.since, us)
			FROM old, at WHERE p.id = old.id RETURNING p.*)
		SELECT `+personColumns+`, `+directGroupsPostgres+` FROM new AS people`, d.Event.Person, d.Event.Connection, at)
	then := sqlf(`WITH mine AS (SELECT id, user_name FROM people WHERE id = ? AND xmin = pg_current_xact_id()::xid),
		ended AS (UPDATE sessions s SET ended = ?, end_reason = ? FROM mine WHERE s.person_id = mine.id AND s.ended = 0 RETURNING 1),
		number (n) AS (SELECT count(*) FROM ended),
		told AS (INSERT INTO changes (at, person, session, loss, organization) SELECT `+postgresNow+`, id, '', TRUE, '' FROM mine) `+
		auditInto+`SELECT CAST(? AS bigint), ?, ?, ?, ?, ?, ?, mine.user_name, ?, ?, ?, `+endedDetail+` FROM mine, number`,
		append([]any{d.Event.Person, at, d.Reason}, append(event[:7:7], event[8:]...)...)...)
	if err := storable(then.args...); err != nil {
		return directory.Shown{}, false, err
	}
	p, deeper, err := t.shown(func(read func(gorm.Rows) error) error { return l.finish(first, read, then) })
	switch {
	case err != nil:
		return directory.Shown{}, false, err
	case p == nil:
		return directory.Shown{}, false, l.reopen()
	}
	t.memo.changed = true
	if deeper {
		if err = l.reopen(); err == nil {
			p.Groups, err = t.GroupsOf(p.ID)
		}
	}
	return *p, err == nil, err
}
