package store

import (
	"context"
	"time"

	"portcullis/admin"
)

type fareRow struct {
	Connection string `gorm:"column:connection"`
	In         int    `gorm:"column:came"`
	Failed     int    `gorm:"column:failed"`
	Refused    int    `gorm:"column:refused"`
	SignedIn   int64  `gorm:"column:signed_in"`
	Pushed     int64  `gorm:"column:pushed"`
}

// Fares says how connections fared since a time, by id. Attempts to sign in are
// added up from what each hour counted, but for the hour that the time is in.
func (s adminStore) Fares(ctx context.Context, connections []string, since time.Time) (map[string]admin.Fare, error) {
	whole := since.Truncate(time.Hour)
	if whole.Before(since) {
		whole = whole.Add(time.Hour)
	}
	where, err := s.among(append([]string{}, connections...))
	if err != nil {
		return nil, err
	}
	hours := join("SELECT connection, CAST(sum(came) AS BIGINT) AS came, CAST(sum(failed) AS BIGINT) AS failed FROM login_trace_counts WHERE ", where,
		sqlf(" AND hour >= ? GROUP BY connection", micros(whole)))
	out := make(map[string]admin.Fare)
	err = s.db.glance(ctx, func(t tx) error {
		var counted []fareRow
		if err := t.rows(&counted, hours.text, hours.args...); err != nil {
			return err
		}
		for _, c := range counted {
			out[c.Connection] = admin.Fare{In: c.In, Failed: c.Failed}
		}
		for _, id := range connections {
			var r fareRow
			if err := t.rows(&r, fare, id, id, micros(since), id, id, micros(since), micros(whole)); err != nil {
				return err
			}
			f := out[id]
			out[id] = admin.Fare{In: f.In + r.In, Failed: f.Failed + r.Failed, Refused: r.Refused, SignedIn: moment(r.SignedIn), Pushed: moment(r.Pushed)}
		}
		return nil
	})
	return out, err
}

// fare is what no hour counts of a connection.
const fare = `SELECT *,
	coalesce((SELECT finished FROM login_traces WHERE connection = ? AND ` + signedIn + ` ORDER BY finished DESC LIMIT 1), 0) AS signed_in,
	(SELECT count(*) FROM scim_log WHERE connection = ? AND at >= ? AND status >= 400) AS refused,
	coalesce((SELECT at FROM scim_log WHERE connection = ? ORDER BY seq DESC LIMIT 1), 0) AS pushed
	FROM (SELECT coalesce(sum(CASE WHEN ` + signedIn + ` THEN 1 ELSE 0 END), 0) AS came, coalesce(sum(CASE WHEN came_in THEN 0 ELSE 1 END), 0) AS failed
		FROM login_traces WHERE connection = ? AND finished >= ? AND finished < ?) begun`

type spanRow struct {
	Span   int64 `gorm:"column:span"`
	In     int   `gorm:"column:came"`
	Failed int   `gorm:"column:failed"`
}

// SignInSpans counts attempts to sign in by spans of time, the oldest first;
// a span without any is not there. Spans are of whole hours and begin with one:
// what is not about some units is added up from the counts of each.
func (s adminStore) SignInSpans(ctx context.Context, q admin.SignInQuery, since time.Time, span time.Duration) (out []admin.Span, err error) {
	query, err := s.spans(ctx, q, micros(since), span.Microseconds())
	if err != nil {
		return nil, err
	}
	var rows []spanRow
	if err := s.db.glance(ctx, func(t tx) error { return t.once().rows(&rows, query.text, query.args...) }); err != nil {
		return nil, err
	}
	for _, r := range rows {
		out = append(out, admin.Span{Began: since.Add(time.Duration(r.Span) * span), In: r.In, Failed: r.Failed})
	}
	return out, nil
}

func (s adminStore) spans(ctx context.Context, q admin.SignInQuery, since, span int64) (query fragment, err error) {
	if q.Units == nil {
		where, err := s.among(q.Connections)
		return join(sqlf(`SELECT (hour - ?) / ? AS span, CAST(sum(came) AS BIGINT) AS came, CAST(sum(failed) AS BIGINT) AS failed
			FROM login_trace_counts WHERE `, since, span), where,
			sqlf(" AND hour >= ? GROUP BY 1 HAVING sum(came) + sum(failed) > 0 ORDER BY 1", since)), err
	}
	way, err := s.logWay(ctx, q.Units)
	if err != nil {
		return query, err
	}
	where, err := s.attempts(q, way)
	return join(sqlf(`SELECT (finished - ?) / ? AS span, sum(CASE WHEN `+signedIn+` THEN 1 ELSE 0 END) AS came,
		sum(CASE WHEN came_in THEN 0 ELSE 1 END) AS failed FROM login_traces WHERE `, since, span), where,
		sqlf(" AND finished >= ? GROUP BY 1 ORDER BY 1", since)), err
}
