package admin

import (
	"context"
	"time"
)

// How many changed people are listed in one transaction, how often it is
// looked for them, and how much longer than at work the lister rests: who is
// pushed is not to wait for it.
const (
	listBatch = 200
	listEvery = 500 * time.Millisecond
	listRest  = 3
)

// Run keeps the indexes of the list of people up to date until ctx ends. The
// list is right without it, and slower with each change that is not in them.
func (c *Console) Run(ctx context.Context) error {
	failing := false
	for {
		start := time.Now() //nolint:forbidigo // how long it takes, not what time it is
		more, err := c.store.List(ctx, listBatch)
		wait := listEvery
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !failing:
			c.log.WarnContext(ctx, "people are not listed", "error", err)
		case more:
			wait = listRest * time.Since(start) //nolint:forbidigo // likewise
		}
		failing = err != nil
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}
