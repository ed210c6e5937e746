package store

import (
	"encoding/json"
	"slices"
	"strings"

	"gorm.io/gorm"

	"portcullis/audit"
	"portcullis/directory"
	"portcullis/fault"
)

// awaited is the condition that something may wait for somebody who arrives.
func (s arrivalShape) awaited() string {
	query := "EXISTS (SELECT 1 FROM tombstones WHERE connection = ? AND hash IN (" + commas(s.graves) + "))" +
		" OR EXISTS (SELECT 1 FROM parked_members WHERE connection = ? AND value IN (" + commas(s.names) + "))"
	if s.link {
		query += " OR EXISTS (SELECT 1 FROM identities WHERE connection = ? AND link = ?)"
	}
	return query
}

// awaitedArgs go with it.
func awaitedArgs(a directory.Arrival) []any {
	args := slices.Concat([]any{a.Connection}, anys(a.Graves), []any{a.Connection}, anys(a.Names))
	if a.Link != "" {
		args = append(args, a.Connection, a.Link)
	}
	return args
}

func shapeOf(a directory.Arrival) arrivalShape {
	return arrivalShape{graves: len(a.Graves), names: len(a.Names), link: a.Link != ""}
}

func (t tx) Welcome(a directory.Arrival) (bool, error) {
	if err := t.lockArrival(a.Connection, a.Link); err != nil {
		return false, err
	}
	if l, ok := t.lane.(*postgresLane); ok {
		return t.welcomeAtOnce(l, a)
	}
	row, more, err := newPerson(a.Person, a.Link)
	if err != nil {
		return false, err
	}
	n, err := t.exec(written(t, welcomeUnless(shapeOf(a))), slices.Concat(row.values(), awaitedHere(a))...)
	if err != nil || n == 0 {
		return false, err
	}
	t.memo.held = row
	if err := t.insertEmails(&row, more); err != nil {
		return false, err
	}
	return true, t.Audit(a.Event)
}

// welcomeUnless is a statement that stores somebody, if nothing waits for them.
// Its arguments are those of the person and awaitedHere.
type welcomeUnless arrivalShape

func (s welcomeUnless) String() string {
	query := personInto + "SELECT " + commas(len((&person{}).values())) +
		" WHERE NOT (" + anyOf("tombstones", "hash", s.graves) + " OR " + anyOf("parked_members", "value", s.names)
	if s.link {
		query += " OR EXISTS (SELECT 1 FROM identities WHERE connection = ? AND link = ?)"
	}
	return query + ")"
}

// anyOf is the condition that a connection has one of n values, one or more, in a
// column, whose arguments are the values and the connection. Of what stands in IN
// SQLite makes a table with an index first, which takes longer than to look all
// of it up.
func anyOf(table, column string, n int) string {
	return "EXISTS (SELECT 1 FROM (VALUES (?)" + strings.Repeat(", (?)", n-1) + ") AS v CROSS JOIN " + table +
		" t WHERE t.connection = ? AND t." + column + " = v.column1)"
}

// awaitedHere are the arguments of welcomeUnless that say who may be awaited.
func awaitedHere(a directory.Arrival) []any {
	args := slices.Concat(anys(a.Graves), []any{a.Connection}, anys(a.Names), []any{a.Connection})
	if a.Link != "" {
		args = append(args, a.Connection, a.Link)
	}
	return args
}

// welcomeAtOnce is one statement, for nearly nobody is awaited: what it writes
// is committed in the same way to the server and back. Where somebody is, it
// has written nothing, and another transaction takes over.
func (t tx) welcomeAtOnce(l *postgresLane, a directory.Arrival) (welcome bool, err error) {
	row, more, err := newPerson(a.Person, a.Link)
	if err != nil {
		return false, err
	}
	detail, err := json.Marshal(a.Event.Detail)
	if err != nil {
		return false, fault.Wrap(fault.Internal, err, "audit detail")
	}
	args := slices.Concat(awaitedArgs(a), row.values(), append(auditColumns(a.Event), string(detail)))
	if row.MoreEmails {
		addresses, err := list(more)
		if err != nil {
			return false, err
		}
		args = append(args, row.ID, row.Connection, addresses)
	}
	if err := storable(args...); err != nil {
		return false, err
	}
	shape := shapeOf(a)
	shape.more = row.MoreEmails
	err = l.finish(fragment{written(t, shape), args}, func(rows gorm.Rows) error {
		_, err := t.read(rows, &welcome)
		return err
	})
	if err != nil || welcome {
		return welcome, classify(err)
	}
	return false, l.reopen()
}

// arrivalShape is what a statement depends on that welcomes somebody.
type arrivalShape struct {
	graves, names int
	link, more    bool
}

// String writes the statement, whose arguments are awaitedArgs, those of the
// person and of the event, and the addresses with whose they are.
func (s arrivalShape) String() string {
	const unless = " FROM awaited WHERE NOT waits"
	query := "WITH awaited (waits) AS (SELECT " + s.awaited() +
		"), person AS (" + personInto + "SELECT " + commas(len((&person{}).values())) + unless +
		"), event AS (" + auditInto + "SELECT " + commas(len(auditColumns(audit.Event{}))+1) + unless + ")"
	if s.more {
		query += `, addresses AS (` + emailsInto + `SELECT ?, ?, v.value
			FROM awaited, jsonb_array_elements_text(?::jsonb) AS v(value) WHERE NOT waits ON CONFLICT DO NOTHING)`
	}
	return query + " SELECT NOT waits FROM awaited"
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
