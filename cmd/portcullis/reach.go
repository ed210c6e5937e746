package main

import (
	"context"
	"errors"
	"iter"
	"time"

	"portcullis/directory"
	"portcullis/mapping"
	"portcullis/revision"
)

// reach counts what a mapping changes for the people of a directory, read in
// pages, so that memory does not grow with them. Everybody counts, also who is locked: a lock
// ends.
func reach(d *directory.Directory, now func() time.Time) revision.Reach {
	return func(ctx context.Context, before, after *mapping.Policy) (*revision.Counts, error) {
		var failed error
		diff := mapping.Diff(before, after, now(), facts(ctx, d, time.Time{}, &failed))
		if failed != nil {
			return nil, failed
		}
		return &revision.Counts{
			People: diff.People, Changed: diff.Touched, Gained: diff.Gain, Lost: diff.Lose, LetIn: diff.Admitted, ShutOut: diff.Refused,
		}, nil
	}
}

// errEnough ends a walk whose caller has seen enough.
var errEnough = errors.New("enough")

// facts reads everybody's facts of a time, the zero time being now, with what
// people are called. What went wrong ends it and stands in failed.
func facts(ctx context.Context, d *directory.Directory, at time.Time, failed *error) iter.Seq2[string, *mapping.Facts] {
	return func(yield func(string, *mapping.Facts) bool) {
		err := d.Standings(ctx, at, func(s directory.Standing) error {
			f := s.Facts()
			name := s.Person.UserName
			if name == "" {
				name = s.Person.ID
			}
			if !yield(name, &f) {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			*failed = err
		}
	}
}
