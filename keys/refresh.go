package keys

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"portcullis/fault"
)

// How soon a running gate follows what is done to keys elsewhere: one that was
// withdrawn is out of use everywhere within a second. A gate that could not
// look for that long publishes no keys.
const (
	refreshEvery = 250 * time.Millisecond
	refreshLimit = 2 * time.Second
	trusted      = 900 * time.Millisecond
)

// Run looks for keys that were rotated or withdrawn, and for another wrapping
// key, until ctx ends.
func (r *Ring) Run(ctx context.Context) error {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	broken := ""
	for {
		why := ""
		if err := r.look(ctx); err != nil && ctx.Err() == nil {
			why = err.Error()
		}
		if why != "" && why != broken {
			r.log.ErrorContext(ctx, "keys cannot be read again; the ones in memory sign, and are not published", "error", why)
		}
		broken = why
		select {
		case <-ctx.Done():
			r.confirmed.Store(nil)
			return nil
		case <-tick.C:
		}
	}
}

// look is Refresh within a time.
func (r *Ring) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	began := r.now()
	r.confirmed.CompareAndSwap(nil, &began)
	if err := r.Refresh(ctx); err != nil {
		return err
	}
	r.confirmed.Store(&began)
	return nil
}

// JWKS is the public half of the keys of the assertion, see [Signer.JWKS]. It
// is nil while a running gate cannot know that none was withdrawn.
func (r *Ring) JWKS() []byte {
	if at := r.confirmed.Load(); at != nil && r.now().Sub(*at) > trusted {
		return nil
	}
	return r.Signer.JWKS()
}

// stored gives the keys of a purpose, the newest first: as a running gate read
// them less than a second ago, or from the store.
func (r *Ring) stored(ctx context.Context, purpose string) ([]Stored, error) {
	if at, of := r.confirmed.Load(), r.latest.Load(); at != nil && of != nil && r.now().Sub(*at) <= trusted {
		return (*of)[purpose], nil
	}
	return r.store.Keys(ctx, purpose)
}

// Refresh reads the signing keys again, and the key file if what is stored was
// wrapped by another one meanwhile. On an error everything stays as it was.
func (r *Ring) Refresh(ctx context.Context) error {
	all, err := r.store.Keys(ctx, "")
	if err != nil {
		return err
	}
	of := make(map[string][]Stored)
	for _, k := range all {
		of[k.Purpose] = append(of[k.Purpose], k)
	}
	stored := of[signing]
	if len(stored) == 0 {
		return fault.New(fault.Unavailable, "the database holds no keys any more")
	}
	if !r.opens(stored) {
		r.adopt(ctx, stored)
	}
	r.latest.Store(&of)
	before := r.held.Load()
	if err := r.follow(r.Signer, signing, stored); err != nil {
		return err
	}
	if slices.ContainsFunc(before.stored, func(k Stored) bool { return !slices.ContainsFunc(stored, func(s Stored) bool { return s.ID == k.ID }) }) {
		r.withdrawn()
	}
	r.mu.Lock()
	clients := maps.Clone(r.clients)
	r.mu.Unlock()
	for purpose, s := range clients {
		if len(of[purpose]) == 0 {
			continue // withdrawn, and its successor is on its way
		}
		if err := r.follow(s, purpose, of[purpose]); err != nil {
			return err
		}
	}
	return nil
}

// follow lets a signer use what is stored now.
func (r *Ring) follow(s *Signer, purpose string, stored []Stored) error {
	if slices.EqualFunc(unretired(stored, r.now()), s.held.Load().stored, sameKey) {
		return nil
	}
	held, err := r.unwrap(purpose, stored)
	if err != nil {
		return err
	}
	s.held.Store(held)
	return nil
}

func sameKey(a, b Stored) bool {
	return a.ID == b.ID && a.Activates.Equal(b.Activates) && bytes.Equal(a.Sealed, b.Sealed)
}
