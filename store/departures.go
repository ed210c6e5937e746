package store

import (
	"slices"
	"strings"

	"gorm.io/gorm"

	"portcullis/directory"
)

// leaving is the condition on whom Dismiss makes inactive.
const leaving = "connection = ? AND provisioned AND idp_active AND NOT unconfirmed"

func (t tx) Dismiss(d directory.Departure) (directory.Shown, bool, error) {
	if err := storable(d.Event.Person); err != nil {
		return directory.Shown{}, false, err
	}
	if l, ok := t.lane.(*postgresLane); ok {
		return t.dismissAtOnce(l, d)
	}
	// RETURNING would put the row into a table of its own, which takes longer
	// than to read it.
	p, deeper, err := t.whole(func(read func(picked) error) error {
		return t.lane.pick("SELECT "+t.packed(personColumns)+", "+directGroupsSQLite+" FROM people WHERE id = ? AND "+leaving,
			[]any{d.Event.Person, d.Event.Connection}, read)
	})
	if err != nil || p == nil {
		return directory.Shown{}, false, err
	}
	seq, at := t.memo.held.Seq, micros(d.Event.At)
	if err := t.keepPeople(nil, d.Event.At, "seq = ?", seq); err != nil {
		return directory.Shown{}, false, err
	}
	err = t.later("UPDATE people SET idp_active = FALSE, version = version + 1, modified = ?, since = max(since, ?) WHERE seq = ?", at, at, seq)
	if err != nil {
		return directory.Shown{}, false, err
	}
	t.dismissed(p, d)
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

// dismissed makes of who somebody was who they are now.
func (t tx) dismissed(p *directory.Shown, d directory.Departure) {
	p.IDPActive, p.Version, p.Modified = false, p.Version+1, moment(micros(d.Event.At))
	t.memo.held = person{} // it is not what is stored any more
}

// leaver is somebody who is to be dismissed.
type leaver struct {
	directory.Departure

	was    *directory.Shown // what they were; nil: this is not the way to dismiss them
	deeper bool             // some of their groups are in others, which are to be read
}

// key implements [wish].
func (l *leaver) key() string { return l.Event.Person }

// values are what an event has of its own.
func (l *leaver) values() []any {
	e := l.Event
	return []any{string(e.Action), e.Actor.Kind, e.Actor.ID, e.Actor.Name, e.Actor.Address, e.Reason, e.Reference}
}

// dismissal is the statement of dismissAtOnce for one person, whose arguments are
// the time, twice, the person, the connection, the reason and those of the event;
// or that of dismissAll, where they are the times, the people, the connection, the
// reasons and those of the events.
type dismissal struct{ all bool }

// It changes a row if that is still what was seen of it, by xmin: of a scan by
// ctid not every PostgreSQL makes sure once it has waited. It therefore sees the
// sessions of whom it changes: whoever gives somebody a session writes their row
// in the same transaction.
//
// Of several people each is looked up by id, whatever PostgreSQL believes of the
// connection when it plans, which may have been for another one, or for nobody:
// OFFSET keeps the look-up of one apart from the list of all. Nor are their
// sessions found by an index of all that have not ended.
func (d dismissal) String() string {
	own := new(leaver).values()
	modified, since, from, reason, event := "?", "?", "SELECT *, xmin AS made FROM people WHERE id = ? AND "+leaving, "?", commas(len(own))
	if d.all {
		modified, since, reason, event = "old.at", "old.at", "(?::text[])[i]", cells(own)
		from = "SELECT seen.*, i, (?::bigint[])[i] AS at FROM unnest(?::text[]) WITH ORDINALITY AS w (who, i), LATERAL (SELECT *, xmin AS made FROM people WHERE id = who OFFSET 0) seen WHERE " + leaving
	}
	return "WITH people AS (UPDATE people p SET idp_active = FALSE, version = p.version + 1, modified = " + modified + ", since = greatest(p.since, " + since + ") FROM (" + from + `) old
			WHERE p.id = old.id AND p.xmin = old.made RETURNING old.*, p.modified AS us),
		past AS (INSERT INTO people_history (person_id, until, since, ` + keptColumns + `) SELECT id, us, since, ` + keptColumns + ` FROM people WHERE since < us),
		loss AS (INSERT INTO losses (at, connection, group_id, kind, member, subject, weight)
			SELECT us, connection, '', 'deactivated', id, user_name, 1 FROM people),
		ended AS (UPDATE sessions SET ended = us, end_reason = ` + reason + ` FROM people WHERE person_id = people.id AND ended + 0 = 0 RETURNING person_id),
		told AS (INSERT INTO changes (at, person, session, loss, organization) SELECT ` + postgresNow + `, id, '', TRUE, '' FROM people),
		event AS (INSERT INTO audit_events (at, person, subject, connection, detail, action, actor_kind, actor_id, actor_name, address, reason, reference)
			SELECT us, id, user_name, connection, (SELECT ` + endedDetail + ` FROM ended WHERE person_id = people.id), ` + event + ` FROM people)
		SELECT ` + personColumns + `, ` + directGroupsPostgres + ` FROM people`
}

// dismissAtOnce is one statement. It does nothing unless it has made the person
// inactive.
func (t tx) dismissAtOnce(l *postgresLane, d directory.Departure) (p directory.Shown, gone bool, err error) {
	me := &leaver{Departure: d}
	if err := storable(append(me.values(), d.Reason)...); err != nil {
		return directory.Shown{}, false, err
	}
	err = together(l, &l.convoys.departures, d.Event.Connection, me,
		func() error { return t.dismissOne(l, me) }, func(all []*leaver) error { return t.dismissAll(l, all) })
	switch {
	case err != nil:
		return directory.Shown{}, false, classify(err)
	case me.was == nil:
		return directory.Shown{}, false, l.reopen()
	}
	p = *me.was
	t.dismissed(&p, d)
	t.memo.changed = true
	if me.deeper {
		if err = l.reopen(); err == nil {
			p.Groups, err = t.GroupsOf(p.ID)
		}
	}
	return p, err == nil, err
}

func (t tx) dismissOne(l *postgresLane, one *leaver) (err error) {
	at := micros(one.Event.At)
	args := append([]any{at, at, one.Event.Person, one.Event.Connection, one.Reason}, one.values()...)
	one.was, one.deeper, err = t.whole(func(read func(picked) error) error {
		return l.finish(fragment{written(t, dismissal{}), args}, func(rows gorm.Rows) error { return read(rows) })
	})
	return err
}

// dismissAll is dismissOne for some people of a connection.
func (t tx) dismissAll(l *postgresLane, all []*leaver) error {
	slices.SortFunc(all, func(a, b *leaver) int { return strings.Compare(a.Event.Person, b.Event.Person) }) // no two wait for each other's
	times, people, reasons := make([]int64, len(all)), make([]string, len(all)), make([]string, len(all))
	events, by := make([][]any, len(all)), make(map[string]*leaver, len(all))
	for i, one := range all {
		times[i], people[i], reasons[i], events[i] = micros(one.Event.At), one.Event.Person, one.Reason, one.values()
		by[one.Event.Person] = one
	}
	if err := l.later("SELECT "+hurried, []any{l.convoys.hurry}); err != nil {
		return err
	}
	args := append([]any{times, people, all[0].Event.Connection, reasons}, columns(events)...)
	return l.finish(fragment{written(t, dismissal{all: true}), args}, func(rows gorm.Rows) error {
		for rows.Next() {
			was, deeper, err := t.readWhole(rows)
			if err != nil {
				return err
			}
			by[was.ID].was, by[was.ID].deeper = was, deeper
		}
		t.memo.held = person{} // it was somebody else's
		return rows.Err()
	})
}
