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
	row, more, err := newPerson(a.Person, a.Link)
	if err != nil {
		return false, err
	}
	if l, ok := t.lane.(*postgresLane); ok {
		return t.welcomeAtOnce(l, &newcomer{Arrival: a, row: row, more: more})
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

// newcomer is somebody who is to be welcomed.
type newcomer struct {
	directory.Arrival

	row     person
	more    []string // their addresses beside the main one
	event   []any    // its columns, with the detail
	welcome bool     // they are
}

// key implements [wish].
func (n *newcomer) key() string { return n.row.UserNameKey }

// welcomeAtOnce is one statement, for nearly nobody is awaited: what it writes
// is committed in the same way to the server and back. Where somebody is, it
// has written nothing, and another transaction takes over.
func (t tx) welcomeAtOnce(l *postgresLane, n *newcomer) (bool, error) {
	detail, err := json.Marshal(n.Event.Detail)
	if err != nil {
		return false, fault.Wrap(fault.Internal, err, "audit detail")
	}
	n.event = append(auditColumns(n.Event), string(detail))
	if err := storable(slices.Concat(n.event, anys(n.Graves), anys(n.Names), anys(n.more))...); err != nil {
		return false, err
	}
	alone := func() error {
		if err := t.lockArrival(n.Connection, n.Link); err != nil {
			return err
		}
		first, err := n.alone(t)
		if err != nil {
			return err
		}
		return l.finish(first, func(rows gorm.Rows) error {
			_, err := t.read(rows, &n.welcome)
			return err
		})
	}
	err = together(l, &l.convoys.arrivals, n.Connection, n, alone, func(all []*newcomer) error {
		return t.welcomeAll(l, all)
	})
	if err != nil || n.welcome {
		return n.welcome, classify(err)
	}
	return false, l.reopen()
}

// alone is the statement that welcomes one person.
func (n *newcomer) alone(t tx) (fragment, error) {
	shape := shapeOf(n.Arrival)
	shape.more = n.row.MoreEmails
	args := slices.Concat(awaitedArgs(n.Arrival), n.row.values(), n.event)
	if shape.more {
		addresses, err := list(n.more)
		if err != nil {
			return fragment{}, err
		}
		args = append(args, n.row.ID, n.row.Connection, addresses)
	}
	return fragment{written(t, shape), args}, nil
}

// welcomeAll is welcomeAtOnce of some newcomers of a connection, whom it serves
// all or none: errApart if anybody is awaited.
func (t tx) welcomeAll(l *postgresLane, all []*newcomer) error {
	slices.SortFunc(all, func(a, b *newcomer) int { return strings.Compare(a.Link, b.Link) }) // no two wait for each other's
	var graves, names, links, whose, more []string
	people, events := make([][]any, len(all)), make([][]any, len(all))
	for i, n := range all {
		graves, names, links = append(graves, n.Graves...), append(names, n.Names...), append(links, n.Link)
		people[i], events[i] = n.row.values(), n.event
		for _, address := range n.more {
			whose, more = append(whose, n.row.ID), append(more, address)
		}
	}
	connection := all[0].Connection
	if err := l.later(lockArrivals, []any{l.convoys.hurry, connection, connection, links}); err != nil {
		return err
	}
	args := slices.Concat([]any{connection, graves, connection, names, connection, links, numbers(len(all))},
		columns(people), columns(events), []any{connection, whose, more})
	var welcome bool
	err := l.finish(fragment{written(t, welcomeTogether{}), args}, func(rows gorm.Rows) error {
		_, err := t.read(rows, &welcome)
		return err
	})
	if err == nil && !welcome {
		err = errApart
	}
	for _, n := range all {
		n.welcome = welcome
	}
	return err
}

// lockArrivals is lockArrival for some newcomers.
const lockArrivals = "SELECT " + hurried + ", " + arriving + ", CASE WHEN link <> '' THEN pg_advisory_xact_lock(hashtextextended(? || '/' || link, 0)) END" +
	" FROM unnest(?::text[]) AS link"

// welcomeTogether is the statement of welcomeAll.
type welcomeTogether struct{}

func (welcomeTogether) String() string {
	return `WITH awaited (waits) AS (SELECT EXISTS (SELECT 1 FROM tombstones WHERE connection = ? AND hash = ANY(?::text[]))
			OR EXISTS (SELECT 1 FROM parked_members WHERE connection = ? AND value = ANY(?::text[]))
			OR EXISTS (SELECT 1 FROM identities WHERE connection = ? AND link = ANY(?::text[]) AND link <> '')),
		coming (i) AS (SELECT i FROM awaited, unnest(?::bigint[]) AS i WHERE NOT waits),
		person AS (` + personInto + "SELECT " + cells((&person{}).values()) + ` FROM coming),
		event AS (` + auditInto + "SELECT " + cells(append(auditColumns(audit.Event{}), "")) + ` FROM coming),
		addresses AS (` + emailsInto + `SELECT who, ?, address FROM awaited, unnest(?::text[], ?::text[]) AS a (who, address) WHERE NOT waits ON CONFLICT DO NOTHING)
		SELECT NOT waits FROM awaited`
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
