package proxy

import (
	"context"
	"net/http"
	"sync"
	"time"

	"portcullis/fault"
	"portcullis/web"
)

// What counts as the health of an upstream.
const (
	probeWithin = 2 * time.Second
	sickAfter   = 2 // failed probes in a row; one good one makes it well
)

// Health is how an upstream is.
type Health struct {
	Origin string
	Probed bool // false where no path is named to ask: then it counts as well
	Well   bool
}

// Health says how each upstream is, each origin once.
func (p *Proxy) Health() (out []Health) {
	at := map[string]int{}
	for _, b := range p.backends {
		i, ok := at[b.origin]
		if !ok {
			i = len(out)
			at[b.origin] = i
			out = append(out, Health{Origin: b.origin, Well: true})
		}
		out[i].Probed = out[i].Probed || b.health != ""
		out[i].Well = out[i].Well && !b.sick.Load()
	}
	return out
}

// Run asks the upstreams that have a health path for their health until ctx
// ends. While one is not well its requests are answered 503 at once. One that
// was never asked counts as well.
func (p *Proxy) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, b := range p.backends {
		if b.health != "" {
			wg.Go(func() { p.watch(ctx, b) })
		}
	}
	wg.Wait()
	return nil
}

func (p *Proxy) watch(ctx context.Context, b *backend) {
	ticker := time.NewTicker(p.probeEvery)
	defer ticker.Stop()
	for failed := 0; ; {
		err := p.probe(ctx, b)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			if failed = 0; b.sick.Swap(false) {
				p.log.InfoContext(ctx, "upstream is well again", "upstream", b.origin)
			}
		default:
			if failed++; failed >= sickAfter && !b.sick.Swap(true) {
				p.log.ErrorContext(ctx, "upstream is not well", "upstream", b.origin, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// probe asks an upstream once.
func (p *Proxy) probe(ctx context.Context, b *backend) error {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.health, nil)
	if err != nil {
		return err
	}
	res, err := b.transport.RoundTrip(r)
	if err != nil {
		return err
	}
	_ = res.Body.Close() // the status says it all
	if res.StatusCode >= http.StatusBadRequest {
		return fault.New(fault.Unavailable, "its health is %s", res.Status)
	}
	return nil
}

// unwell is the answer in place of an upstream that is not.
func (p *Proxy) unwell() error {
	return &web.Failure{
		Err:    fault.New(fault.Unavailable, "the portal behind this gate is not available at the moment"),
		Header: http.Header{"Retry-After": {"5"}},
	}
}
