package store

import (
	"context"
)

// logWay is how a log is read: from its newest row down, until enough of it are
// found; or, where it is about few people, person by person, for the rows of
// those may be far apart. Of several indexes a database takes the one that its
// rules like best, which is not always that of the person: the other columns
// then stand in expressions that have none.
type logWay struct{ byPerson bool }

// fewPeople is how many are read person by person.
const fewPeople = 200

// logWay chooses the way for what is about people in some units; nil is all.
func (s adminStore) logWay(ctx context.Context, units []string) (w logWay, err error) {
	if units == nil {
		return w, nil
	}
	in, err := tx{dialect: s.db.dialect}.within(units)
	if err != nil {
		return w, err
	}
	query := join("SELECT count(*) <= ? FROM (SELECT 1 FROM people WHERE ", in, sqlf(" LIMIT ?) few", fewPeople+1))
	query.args = append([]any{fewPeople}, query.args...)
	err = s.db.glance(ctx, func(t tx) error { return t.once().rows(&w.byPerson, query.text, query.args...) })
	return w, err
}

func (w logWay) text(column string) string {
	if w.byPerson {
		return column + " || ''"
	}
	return column
}

func (w logWay) seq() string {
	if w.byPerson {
		return "seq + 0"
	}
	return "seq"
}

// newest is the order of a log and how much of it is wanted.
func (w logWay) newest(limit int) fragment {
	return sqlf(" ORDER BY "+w.seq()+" DESC LIMIT ?", limit)
}
