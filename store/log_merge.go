package store

import (
	"math"
	"slices"
)

// merge is how the newest rows of some connections are found: each connection
// has its own in order, in an index of connection and seq, and they are merged.
// What that reads depends on how many connections there are and on how much is
// wanted, and not on whether they have nearly the whole log or next to none of it.
type merge struct {
	table       string
	index       string   // of connection and seq
	where       fragment // what else is true of a row
	connections []string
	before      int64 // only rows with a lower seq; 0: all
	limit       int
}

// seqs is a query for the seq of those rows, in any order.
func (m merge) seqs(dialect string) (fragment, error) {
	if m.before == 0 {
		m.before = math.MaxInt64
	}
	m.connections = slices.Compact(slices.Sorted(slices.Values(m.connections)))
	asked, err := list(m.connections)
	if err != nil {
		return fragment{}, err
	}
	if dialect == "postgres" {
		return m.chunks(asked), nil
	}
	return m.queue(asked), nil
}

// rows is a query for columns of those rows, in any order.
func (m merge) rows(dialect, columns string) (fragment, error) {
	seqs, err := m.seqs(dialect)
	in, end := "IN (", ")"
	if dialect == "postgres" { // which looks each element of an array up
		in, end = "= ANY (ARRAY(", "))"
	}
	return join("SELECT "+columns+" FROM "+m.table+" WHERE seq "+in, seqs, end), err
}

// queue is for SQLite, where a recursion with an order takes the first of what
// waits: the newest row of each connection, and when that is taken the next one
// of the same. It reads as many rows as there are connections, and the limit.
// The index is named: once ANALYZE has seen one connection alone, SQLite would
// walk through the table for any other.
func (m merge) queue(asked string) fragment {
	next := func(connection string, below fragment) fragment {
		return join("(SELECT seq FROM "+m.table+" t INDEXED BY "+m.index+" WHERE t.connection = "+connection+" AND t.seq < ", below, " AND ", m.where, " ORDER BY t.seq DESC LIMIT 1)")
	}
	return join("WITH RECURSIVE merged (connection, seq) AS (SELECT value, ", next("value", sqlf("?", m.before)), sqlf(" FROM json_each(?)", asked),
		" UNION ALL SELECT m.connection, ", next("m.connection", sqlf("m.seq")), " FROM merged m WHERE m.seq IS NOT NULL ORDER BY 2 DESC",
		sqlf(" LIMIT ?) SELECT seq FROM merged WHERE seq IS NOT NULL", m.limit))
}

// chunks is for PostgreSQL: it takes a few rows of each connection, and of those
// whose few are all among the newest what follows. With √n of n connections' share
// at a time that is no more than 2·√n·limit rows.
func (m merge) chunks(asked string) fragment {
	few := max(1, int(math.Ceil(float64(m.limit)/math.Sqrt(float64(len(m.connections))))))
	// A comparison of rows can be looked up and ordered by that index alone. With
	// an equality the primary key would do, too, and be walked to its end for who
	// has nothing.
	rows := func(from string, after, below fragment, limit int) fragment {
		return join("SELECT c.connection, t.seq FROM "+from+" c CROSS JOIN LATERAL (SELECT seq FROM "+m.table+" WHERE (connection, seq) > (c.connection, ", after,
			") AND (connection, seq) < (c.connection, ", below, ") AND ", m.where, sqlf(" ORDER BY connection DESC, seq DESC LIMIT ?) t", limit))
	}
	return join("WITH asked AS (SELECT value AS connection FROM ", sqlf("jsonb_array_elements_text(?::jsonb)", asked), "), heads AS MATERIALIZED (",
		rows("asked", sqlf("0"), sqlf("?", m.before), few), "), least AS MATERIALIZED (SELECT coalesce((SELECT seq FROM heads ORDER BY seq DESC ",
		sqlf("OFFSET ? LIMIT 1), 0) AS seq), going AS MATERIALIZED (SELECT connection, min(seq) AS seq FROM heads GROUP BY connection ", m.limit-1),
		sqlf("HAVING count(*) = ? AND min(seq) > (SELECT seq FROM least)) ", few), "SELECT seq FROM (SELECT seq FROM heads UNION ALL SELECT seq FROM (",
		rows("going", sqlf("(SELECT seq FROM least)"), sqlf("c.seq"), m.limit), sqlf(") more) newest ORDER BY seq DESC LIMIT ?", m.limit))
}
