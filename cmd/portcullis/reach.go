package main

import (
	"context"
	"iter"
	"time"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
)

// reach counts what a mapping changes for the people of a directory, read one
// by one, so that memory does not grow with them. Everybody counts, also who
// is locked: a lock ends.
func reach(d *directory.Directory, now func() time.Time) revision.Reach {
	return func(ctx context.Context, before, after *mapping.Policy) (*revision.Counts, error) {
		var failed error
		diff := mapping.Diff(before, after, now(), facts(ctx, d, &failed))
		if failed != nil {
			return nil, failed
		}
		return &revision.Counts{
			People: diff.People, Changed: diff.Touched, Gained: diff.Gain, Lost: diff.Lose, LetIn: diff.Admitted, ShutOut: diff.Refused,
		}, nil
	}
}

// facts reads everybody's facts. What went wrong ends it and stands in failed.
func facts(ctx context.Context, d *directory.Directory, failed *error) iter.Seq2[string, *mapping.Facts] {
	return func(yield func(string, *mapping.Facts) bool) {
		const page = 1000
		for offset := 0; ; offset += page {
			found, err := d.People(ctx, directory.Query{Offset: offset, Limit: page})
			if err != nil {
				*failed = err
				return
			}
			for _, p := range found.Items {
				s, err := d.Look(ctx, p.ID)
				if fault.Is(err, fault.NotFound) {
					continue // deleted meanwhile
				}
				if err != nil {
					*failed = err
					return
				}
				f := s.Facts()
				if !yield(p.ID, &f) {
					return
				}
			}
			if found.Next == nil {
				return
			}
		}
	}
}
