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
	Last       int64  `gorm:"column:last"`
}

// Fares says how connections fared since a time, by id.
func (s adminStore) Fares(ctx context.Context, connections []string, since time.Time) (map[string]admin.Fare, error) {
	out := make(map[string]admin.Fare)
	err := s.db.glance(ctx, func(t tx) error {
		for _, id := range connections {
			var f admin.Fare
			var r fareRow
			err := t.rows(&r, `SELECT coalesce(sum(CASE WHEN `+signedIn+` THEN 1 ELSE 0 END), 0) AS came, coalesce(sum(CASE WHEN came_in THEN 0 ELSE 1 END), 0) AS failed
				FROM login_traces WHERE connection = ? AND finished >= ?`, id, micros(since))
			if err != nil {
				return err
			}
			f.In, f.Failed = r.In, r.Failed
			if err := t.rows(&r.Last, "SELECT coalesce((SELECT finished FROM login_traces WHERE connection = ? AND "+signedIn+" ORDER BY finished DESC LIMIT 1), 0)", id); err != nil {
				return err
			}
			f.SignedIn = moment(r.Last)
			if err := t.rows(&f.Refused, "SELECT count(*) FROM scim_log WHERE connection = ? AND at >= ? AND status >= 400", id, micros(since)); err != nil {
				return err
			}
			if err := t.rows(&r.Last, "SELECT coalesce((SELECT at FROM scim_log WHERE connection = ? ORDER BY seq DESC LIMIT 1), 0)", id); err != nil {
				return err
			}
			f.Pushed = moment(r.Last)
			out[id] = f
		}
		return nil
	})
	return out, err
}

type spanRow struct {
	Span   int64 `gorm:"column:span"`
	In     int   `gorm:"column:came"`
	Failed int   `gorm:"column:failed"`
}

// SignInSpans counts attempts to sign in by spans of time, the oldest first;
// a span without any is not there.
func (s adminStore) SignInSpans(ctx context.Context, q admin.SignInQuery, since time.Time, span time.Duration) (out []admin.Span, err error) {
	way, err := s.logWay(ctx, q.Units)
	if err != nil {
		return nil, err
	}
	where, err := s.attempts(q, way)
	if err != nil {
		return nil, err
	}
	us := span.Microseconds()
	query := join(sqlf(`SELECT (finished - ?) / ? AS span, sum(CASE WHEN `+signedIn+` THEN 1 ELSE 0 END) AS came,
		sum(CASE WHEN came_in THEN 0 ELSE 1 END) AS failed FROM login_traces WHERE `, micros(since), us), where,
		sqlf(" AND finished >= ? GROUP BY 1 ORDER BY 1", micros(since)))
	var rows []spanRow
	if err := s.db.glance(ctx, func(t tx) error { return t.once().rows(&rows, query.text, query.args...) }); err != nil {
		return nil, err
	}
	for _, r := range rows {
		out = append(out, admin.Span{Began: since.Add(time.Duration(r.Span) * span), In: r.In, Failed: r.Failed})
	}
	return out, nil
}
