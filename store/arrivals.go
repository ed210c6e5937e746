package store

import (
	"encoding/json"
	"slices"
	"strings"

	"gorm.io/gorm"

	"portcullis/directory"
	"portcullis/fault"
)

// awaited asks whether anything may wait for somebody who arrives.
func awaited(a directory.Arrival) fragment {
	either := sqlf("SELECT EXISTS (SELECT 1 FROM tombstones WHERE connection = ? AND hash IN ("+commas(len(a.Graves))+"))"+
		" OR EXISTS (SELECT 1 FROM parked_members WHERE connection = ? AND value IN ("+commas(len(a.Names))+"))",
		slices.Concat([]any{a.Connection}, anys(a.Graves), []any{a.Connection}, anys(a.Names))...)
	if a.Link != "" {
		either = join(either, sqlf(" OR EXISTS (SELECT 1 FROM identities WHERE connection = ? AND link = ?)", a.Connection, a.Link))
	}
	return either
}

func (t tx) Welcome(a directory.Arrival) (bool, error) {
	if err := t.lockArrival(a.Connection, a.Link); err != nil {
		return false, err
	}
	if l, ok := t.lane.(*postgresLane); ok {
		return t.welcomeAtOnce(l, a)
	}
	var waits bool
	query := awaited(a)
	if err := t.rows(&waits, query.text, query.args...); err != nil || waits {
		return false, err
	}
	if err := t.InsertPerson(a.Person, a.Link); err != nil {
		return false, err
	}
	return true, t.Audit(a.Event)
}

// welcomeAtOnce is one statement, for nearly nobody is awaited: what it writes
// is committed in the same way to the server and back. Where somebody is, it
// has written nothing, and another transaction takes over.
func (t tx) welcomeAtOnce(l *postgresLane, a directory.Arrival) (welcome bool, err error) {
	row := personRow(a.Person, a.Link)
	if err := row.storable(); err != nil {
		return false, err
	}
	more := row.otherEmails()
	row.MoreEmails = len(more) > 0
	detail, err := json.Marshal(a.Event.Detail)
	if err != nil {
		return false, fault.Wrap(fault.Internal, err, "audit detail")
	}
	event := append(auditColumns(a.Event), string(detail))
	const unless = " FROM awaited WHERE NOT waits"
	query := join("WITH awaited (waits) AS (", awaited(a), "), person AS (",
		sqlf(personInto+"SELECT "+commas(len(row.values()))+unless, row.values()...), "), event AS (",
		sqlf(auditInto+"SELECT "+commas(len(event))+unless, event...), ")")
	if row.MoreEmails {
		addresses, err := list(more)
		if err != nil {
			return false, err
		}
		query = join(query, sqlf(`, addresses AS (INSERT INTO person_emails (person_id, connection, value_key)
			SELECT ?, ?, v.value FROM awaited, `+t.elements()+` WHERE NOT waits ON CONFLICT DO NOTHING)`, row.ID, row.Connection, addresses))
	}
	query = join(query, " SELECT NOT waits FROM awaited")
	if err := storable(query.args...); err != nil {
		return false, err
	}
	err = l.finish(query, func(rows gorm.Rows) error {
		_, err := t.read(rows, &welcome)
		return err
	})
	if err != nil || welcome {
		return welcome, classify(err)
	}
	return false, l.reopen()
}

// commas are the placeholders of a list, for one that is of few lengths.
func commas(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
