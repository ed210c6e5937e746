package directory

import (
	"context"
	"time"
)

// standingsPage bounds the memory of a walk over everybody.
const standingsPage = 500

// LookAt gives what was known of somebody at a time: the record, the
// organization and the groups as they were, and the newest sign-in until
// then. The zero time means now. It fails with fault.NotFound for somebody
// who was not there yet, and for somebody who was deleted since: their history
// goes with them.
//
// Of the past the last activity of a person and the version and modification
// time of groups are not kept. Of somebody whose sign-in and pushed record met
// later, the record counts that could be inside: that of the sign-in.
func (d *Directory) LookAt(ctx context.Context, id string, at time.Time) (s Standing, err error) {
	err = d.store.View(ctx, func(tx Tx) error {
		s, err = tx.StandingAt(id, at)
		return err
	})
	d.hold(&s)
	return s, err
}

// Standings calls f with everybody's standing at a time, as [Directory.LookAt]
// gives it, in the order in which their records were made. The zero time means
// now. It holds one page at a time in memory and is in no transaction while f
// runs: of what changes meanwhile, f sees either state. An error of f ends it
// and is returned as it is.
func (d *Directory) Standings(ctx context.Context, at time.Time, f func(Standing) error) error {
	for after := int64(0); ; {
		var page []Standing
		err := d.store.View(ctx, func(tx Tx) (err error) {
			page, after, err = tx.Standings(at, after, standingsPage)
			return err
		})
		if err != nil {
			return err
		}
		for i := range page {
			d.hold(&page[i])
			if err := f(page[i]); err != nil {
				return err
			}
		}
		if after == 0 {
			return nil
		}
	}
}

// StandingsAfter gives at most limit standings of a time, the zero time being
// now, behind a place in the order of creation, 0 being the beginning; next is 0
// after the last one.
func (d *Directory) StandingsAfter(ctx context.Context, at time.Time, after int64, limit int) (page []Standing, next int64, err error) {
	err = d.store.View(ctx, func(tx Tx) error {
		page, next, err = tx.Standings(at, after, limit)
		return err
	})
	for i := range page {
		d.hold(&page[i])
	}
	return page, next, err
}
