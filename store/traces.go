package store

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"portcullis/fault"
	"portcullis/trace"
)

var _ trace.Store = traceStore{}

type traceStore struct{ db *DB }

// Traces gives the store of package trace.
func (db *DB) Traces() trace.Store { return traceStore{db} }

// share is what an hour counts of one class and connection.
type share struct {
	hour       int64
	connection string
	class      trace.Class
}

func (s traceStore) InsertTraces(ctx context.Context, records []trace.Record, lost []trace.Loss, caps trace.Caps) error {
	waiting := make(map[share][]trace.Record)
	var shares []share
	for _, r := range records {
		k := share{micros(r.Finished.Truncate(time.Hour)), r.Connection, r.Class()}
		if waiting[k] == nil {
			shares = append(shares, k)
		}
		waiting[k] = append(waiting[k], r)
	}
	// Sorted, so that two replicas that count in the same rows do not lock each other out.
	slices.SortFunc(shares, func(a, b share) int {
		return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.connection, b.connection), cmp.Compare(a.class, b.class))
	})
	return s.db.update(ctx, func(t tx) error {
		for _, k := range shares {
			if err := t.insertTraces(k, waiting[k], caps[k.class]); err != nil {
				return err
			}
		}
		for _, l := range lost {
			if err := t.count(share{micros(l.Hour), l.Connection, ""}, counts{lost: l.Count}); err != nil {
				return err
			}
		}
		return nil
	})
}

// counts are of one share: came and failed of what is kept, but for dry runs
// that went well.
type counts struct{ kept, lost, came, failed int64 }

// insertTraces keeps those records of a share for which it has room, and counts
// them all. A reference that is there already is kept once, and counts once
// among those that came in or failed.
func (t tx) insertTraces(k share, records []trace.Record, limit int) error {
	if err := t.count(k, counts{}); err != nil { // the row is there, and ours until the transaction ends
		return err
	}
	var have int
	err := t.row(&have, "count", "SELECT kept FROM login_trace_counts WHERE hour = ? AND connection = ? AND class = ?",
		k.hour, k.connection, string(k.class))
	if err != nil {
		return err
	}
	room := min(len(records), max(0, limit-have))
	n := counts{kept: int64(room), lost: int64(len(records) - room)}
	for i := range records[:room] {
		r := &records[i]
		switch fresh, err := t.insertTrace(r); {
		case err != nil:
			return err
		case !fresh:
		case !r.In():
			n.failed++
		case r.Outcome == trace.SignedIn && r.Person != "":
			n.came++
		}
	}
	return t.count(k, n)
}

func (t tx) count(k share, n counts) error {
	_, err := t.exec(`INSERT INTO login_trace_counts (hour, connection, class, kept, lost, came, failed) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (hour, connection, class) DO UPDATE SET
		kept = login_trace_counts.kept + excluded.kept, lost = login_trace_counts.lost + excluded.lost,
		came = login_trace_counts.came + excluded.came, failed = login_trace_counts.failed + excluded.failed`,
		k.hour, k.connection, string(k.class), n.kept, n.lost, n.came, n.failed)
	return err
}

// insertTrace reports whether its reference is new.
func (t tx) insertTrace(r *trace.Record) (fresh bool, err error) {
	body, err := json.Marshal(r)
	if err != nil {
		return false, err
	}
	person := r.Person
	if r.Outcome == trace.Tested { // nobody signed in
		person = ""
	}
	n, err := t.exec(`INSERT INTO login_traces (reference, start_ref, connection, finished, came_in, person, body)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (reference) DO NOTHING`,
		r.Reference, r.Start, r.Connection, micros(r.Finished), r.In(), person, string(body))
	return n > 0, err
}

func (s traceStore) FindTrace(ctx context.Context, reference string) (r trace.Record, err error) {
	reference = strings.ToUpper(strings.TrimSpace(reference))
	if reference == "" {
		return r, fault.New(fault.NotFound, "no such trace")
	}
	err = s.db.glance(ctx, func(t tx) error {
		var body string
		err := t.row(&body, "trace", `SELECT body FROM login_traces WHERE reference = ? OR start_ref = ?
			ORDER BY CASE WHEN reference = ? THEN 0 ELSE 1 END, seq DESC LIMIT 1`, reference, reference, reference)
		if err != nil {
			return err
		}
		return json.Unmarshal([]byte(body), &r)
	})
	return r, err
}

func (s traceStore) Traces(ctx context.Context, q trace.Query) (out []trace.Record, err error) {
	where, args := "1 = 1", []any{}
	if q.Connection != "" {
		where, args = "connection = ?", append(args, q.Connection)
	}
	if q.Failed {
		where += " AND NOT came_in"
	}
	err = s.db.glance(ctx, func(t tx) error {
		var bodies []string
		err := t.rows(&bodies, "SELECT body FROM login_traces WHERE "+where+" ORDER BY finished DESC, seq DESC LIMIT ?", append(args, q.Limit)...)
		if err != nil {
			return err
		}
		for _, body := range bodies {
			var r trace.Record
			if err := json.Unmarshal([]byte(body), &r); err != nil {
				return err
			}
			out = append(out, r)
		}
		return nil
	})
	return out, err
}

type lossRow struct {
	Hour       int64  `gorm:"column:hour"`
	Connection string `gorm:"column:connection"`
	Lost       int64  `gorm:"column:lost"`
}

func (s traceStore) LostTraces(ctx context.Context, since time.Time) (out []trace.Loss, err error) {
	err = s.db.glance(ctx, func(t tx) error {
		var rows []lossRow
		err := t.rows(&rows, `SELECT hour, connection, CAST(SUM(lost) AS BIGINT) AS lost FROM login_trace_counts
			WHERE hour >= ? AND lost > 0 GROUP BY hour, connection ORDER BY hour DESC, connection`, micros(since.Truncate(time.Hour)))
		for _, r := range rows {
			out = append(out, trace.Loss{Hour: moment(r.Hour), Connection: r.Connection, Count: r.Lost})
		}
		return err
	})
	return out, err
}

func (s traceStore) DeleteTraces(ctx context.Context, before time.Time) error {
	return s.db.update(ctx, func(t tx) error {
		if _, err := t.exec("DELETE FROM login_traces WHERE finished < ?", micros(before)); err != nil {
			return err
		}
		_, err := t.exec("DELETE FROM login_trace_counts WHERE hour < ?", micros(before))
		return err
	})
}
