package scim

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"portcullis/directory"
)

// How often losses are counted, and how often what was kept is erased.
const (
	guardEvery = time.Second
	eraseEvery = time.Minute
)

// Losses is what the guard asks of the directory.
type Losses interface {
	ExamineLosses(ctx context.Context) (begun []directory.MassLoss, err error)
	EraseLosses(ctx context.Context) error
	MassLosses(ctx context.Context, q directory.MassLossQuery) (directory.Page[directory.MassLoss], error)
}

// GuardConfig is what a Guard needs.
type GuardConfig struct {
	Losses Losses           // required
	Now    func() time.Time // defaults to time.Now
	Log    *slog.Logger     // where the alert goes; defaults to discarding
}

// Guard looks for mass losses: so many people or members lost at once that it
// may be a mistake at the identity provider. It runs beside the requests, which
// it neither delays nor refuses, and raises the alert. It undoes nothing by
// itself, and no request of an identity provider reaches the undo. It is safe
// for concurrent use; each replica has one.
type Guard struct {
	losses Losses
	now    func() time.Time
	log    *slog.Logger

	mu      sync.Mutex
	cleaned time.Time
	open    map[string]int
}

// NewGuard makes a Guard; [Guard.Run] does its work.
func NewGuard(c GuardConfig) *Guard {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Guard{losses: c.Losses, now: c.Now, log: c.Log}
}

// Run looks every second until ctx ends.
func (g *Guard) Run(ctx context.Context) error {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := g.Look(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			g.log.WarnContext(ctx, "mass losses not looked for; it is tried again", slog.Any("error", err))
		}
		failing = err != nil
	}
}

// Look counts once, raises the alert for each mass loss that is new, and once
// a minute erases what was kept long enough.
func (g *Guard) Look(ctx context.Context) error {
	begun, err := g.losses.ExamineLosses(ctx)
	if err != nil {
		return err
	}
	for i := range begun {
		m := &begun[i]
		g.log.WarnContext(ctx, "many lost their access at once over scim; it can be undone: portcullis scim undo",
			slog.Int64("change", m.ID), slog.String("connection", m.Connection), slog.String("group", m.Group), slog.Int("of", m.Population),
			slog.Int("deactivated", m.Deactivated), slog.Int("deleted", m.Deleted), slog.Int("removed", m.Removed))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if due := now.Sub(g.cleaned) >= eraseEvery; !due && len(begun) == 0 {
		return nil
	} else if due {
		if err := g.losses.EraseLosses(ctx); err != nil {
			return err
		}
		g.cleaned = now
	}
	return g.count(ctx)
}

// count remembers how many mass losses of each connection are open.
func (g *Guard) count(ctx context.Context) error {
	open := make(map[string]int)
	q := directory.MassLossQuery{Undoable: true, Limit: 1000}
	for {
		page, err := g.losses.MassLosses(ctx, q)
		if err != nil {
			return err
		}
		for i := range page.Items {
			open[page.Items[i].Connection]++
		}
		if q.After = page.Next; q.After == nil {
			break
		}
	}
	g.open = open
	return nil
}

// Open gives the number of mass losses that can still be undone, by
// connection, as of the last minute.
func (g *Guard) Open() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.open)
}
