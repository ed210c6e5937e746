package admin

import (
	"context"
	"strconv"
	"time"

	"portcullis/directory"
)

// accessLooked bounds how many people one page of the access history looks at,
// and so how long it takes.
const accessLooked = 10_000

// accessPage is the access history for scripts, page by page in the order in
// which people were made. A page ends when it has as many as are wanted, or has
// looked at many; so it may be empty and not the last. from is where it begins.
func (c *Console) accessPage(r *request, v *accessView, w Wanted, at time.Time, from string) error {
	after, err := strconv.ParseInt(from, 10, 64)
	if err != nil || after < 0 {
		return errPlace
	}
	size, err := r.size()
	if err != nil {
		return err
	}
	if err := w.Known(v.Mapping.policy); err != nil {
		return err
	}
	evaluated := at
	if at.IsZero() {
		evaluated = c.now()
	}
	for looked := 0; looked < accessLooked && len(v.People) < size; {
		page, next, err := c.directory.StandingsAfter(r.ctx, at, after, min(lookBatch, size))
		if err != nil {
			return err
		}
		walk := func(_ context.Context, _ time.Time, f func(directory.Standing) error) error {
			for i := range page {
				if err := f(page[i]); err != nil {
					return err
				}
			}
			return nil
		}
		err = Who(r.ctx, walk, v.Mapping.policy, w, at, evaluated, func(h Holder) error {
			if r.holds(h.Standing.Person.Organization, h.Standing.Unit) {
				v.People = append(v.People, heldWire(&h))
			}
			return nil
		})
		if err != nil {
			return err
		}
		looked, after, v.Next = looked+max(len(page), 1), next, next
		if next == 0 {
			break
		}
	}
	v.Count = len(v.People)
	return c.nameHeld(r, v.People)
}
