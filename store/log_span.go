package store

import (
	"context"
	"math"
	"time"

	"portcullis/admin"
)

// Events are numbered nearly in the order of time: not quite, for replicas have
// clocks of their own, and a transaction takes its time. What is looked for by
// time is looked for among the numbers of that time, and of spanClocks and
// spanNumbers more at both ends.
const (
	spanClocks  = time.Hour
	spanNumbers = 10_000
)

type spanNumber struct {
	Low  int64 `gorm:"column:low"`
	High int64 `gorm:"column:high"`
	Last int64 `gorm:"column:last"`
}

// probes halves the trail until the place of a time is known to spanNumbers: no
// event below low is as late, and none from high on is earlier.
const probes = `WITH RECURSIVE probe (low, high) AS (
	SELECT coalesce((SELECT min(seq) FROM audit_events), 0), coalesce((SELECT max(seq) FROM audit_events), 0) + 1
	UNION ALL SELECT
		CASE WHEN (SELECT e.at FROM audit_events e WHERE e.seq >= p.low + (p.high - p.low) / 2 ORDER BY e.seq LIMIT 1) < ? THEN p.low + (p.high - p.low) / 2 ELSE p.low END,
		CASE WHEN (SELECT e.at FROM audit_events e WHERE e.seq >= p.low + (p.high - p.low) / 2 ORDER BY e.seq LIMIT 1) < ? THEN p.high ELSE p.low + (p.high - p.low) / 2 END
	FROM probe p WHERE p.high - p.low > ?)
	SELECT max(low) AS low, min(high) AS high, max(high) - 1 AS last FROM probe`

// numbered narrows a query for events of a time to their numbers: to those below
// Before, and from the one that it gives.
func (s adminStore) numbered(ctx context.Context, q admin.EventQuery) (admin.EventQuery, int64, error) {
	first := int64(math.MinInt64)
	err := s.db.glance(ctx, func(t tx) error {
		var n spanNumber
		if !q.From.IsZero() {
			at := micros(q.From.Add(-spanClocks))
			if err := t.row(&n, "place", probes, at, at, spanNumbers); err != nil {
				return err
			}
			first = n.Low - spanNumbers
		}
		if q.To.IsZero() {
			return nil
		}
		at := micros(q.To.Add(spanClocks))
		if err := t.row(&n, "place", probes, at, at, spanNumbers); err != nil {
			return err
		}
		if before := n.High + spanNumbers; before <= n.Last && (q.Before == 0 || before < q.Before) {
			q.Before = before
		}
		return nil
	})
	return q, first, err
}
