package main

import (
	"context"
	"reflect"
	"slices"
	"time"

	"portcullis/directory"
	"portcullis/fault"
	"portcullis/mapping"
	"portcullis/revision"
)

// reach counts what a mapping changes for the people of a directory, one by
// one, so that memory does not grow with them. Everybody counts, also who is
// locked: a lock ends.
func reach(d *directory.Directory, now func() time.Time) revision.Reach {
	return func(ctx context.Context, before, after *mapping.Policy) (*revision.Counts, error) {
		c, at := &revision.Counts{}, now()
		const page = 1000
		for offset := 0; ; offset += page {
			people, _, err := d.People(ctx, directory.Query{Offset: offset, Limit: page})
			if err != nil {
				return nil, err
			}
			for _, p := range people {
				s, err := d.Look(ctx, p.ID)
				if fault.Is(err, fault.NotFound) {
					continue // deleted meanwhile
				}
				if err != nil {
					return nil, err
				}
				facts := s.Facts()
				count(c, access(before, &facts, at), access(after, &facts, at))
			}
			if len(people) < page {
				return c, nil
			}
		}
	}
}

// access is what somebody has under a mapping, nothing under none.
func access(p *mapping.Policy, f *mapping.Facts, at time.Time) mapping.Access {
	if p == nil {
		return mapping.Access{}
	}
	a := p.Evaluate(f, at)
	if !a.Login {
		return mapping.Access{}
	}
	a.Reason, a.Rules = "", nil // how it came about is not what they have
	return a
}

func count(c *revision.Counts, old, now mapping.Access) {
	c.People++
	if same(old, now) {
		return
	}
	c.Changed++
	gained, lost := more(old, now), more(now, old)
	if gained {
		c.Gained++
	}
	if lost {
		c.Lost++
	}
	switch {
	case now.Login && !old.Login:
		c.LetIn++
	case old.Login && !now.Login:
		c.ShutOut++
	}
}

func same(a, b mapping.Access) bool {
	return a.Login == b.Login && slices.Equal(a.Roles, b.Roles) && slices.Equal(a.Tasks, b.Tasks) &&
		slices.Equal(a.PermissionGroups, b.PermissionGroups) && reflect.DeepEqual(a.Permissions, b.Permissions)
}

// more reports whether b has something that a has not.
func more(a, b mapping.Access) bool {
	adds := func(a, b []string) bool {
		return slices.ContainsFunc(b, func(s string) bool { return !slices.Contains(a, s) })
	}
	return b.Login && !a.Login || adds(a.Roles, b.Roles) || adds(a.Tasks, b.Tasks) || adds(a.PermissionGroups, b.PermissionGroups)
}
