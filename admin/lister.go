package admin

import (
	"context"
	"sync"
	"time"
)

// How many changed people are listed in one transaction, how often it is
// looked for them, and how long the lister rests between two transactions
// while there are more: who is pushed is not to wait for it.
const (
	listBatch = 200
	listEvery = 500 * time.Millisecond
	listRest  = 30 * time.Millisecond
)

// Run keeps the indexes of the list of people up to date, and reads the facts
// of everybody when somebody opens the mapping, until ctx ends. The console
// answers the same without it, and more slowly.
func (c *Console) Run(ctx context.Context) error {
	var reading sync.WaitGroup
	defer reading.Wait()
	reading.Go(func() { c.crowds.readAhead(ctx) })
	failing := false
	for {
		more, err := c.store.List(ctx, listBatch)
		if err != nil && !failing && ctx.Err() == nil {
			c.log.WarnContext(ctx, "people are not listed", "error", err)
		}
		failing = err != nil
		wait := listEvery
		if more {
			wait = listRest
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}
