package audit

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"time"

	"portcullis/fault"
)

// Seal is one link of the chain: the event at a position and the hash over it
// and everything before it.
type Seal struct {
	Position int64 // 1, 2, 3 …
	Event    int64 // Seq of the event
	Hash     [32]byte
}

// Store keeps the trail.
type Store interface {
	// Record adds an event that belongs to no other transaction.
	Record(ctx context.Context, e Event) error

	// LastSeal is the end of the chain, zero when it is empty.
	LastSeal(ctx context.Context) (Seal, error)

	// Unsealed gives events that are not in the chain yet, oldest first.
	Unsealed(ctx context.Context, limit int) ([]Event, error)

	// AppendSeals adds to the chain. It fails with fault.Conflict if another
	// replica was there first; nothing is added then.
	AppendSeals(ctx context.Context, seals []Seal) error

	// Walk calls f for each sealed event in the order of the chain, and then
	// for each that no seal names: with a zero Seal, or with a Seal that has
	// the Event and no Position if the event claims to be sealed. An event
	// that a seal names and that is gone comes with a zero Seq.
	Walk(ctx context.Context, f func(Event, Seal) error) error

	Chain
}

// Next is the hash of an event behind a chain that ends with before: SHA-256
// over the hash before it and the event as JSON.
func Next(before [32]byte, e Event) ([32]byte, error) {
	e.At = e.At.UTC().Truncate(time.Microsecond) // as stored
	if len(e.Detail) == 0 {
		e.Detail = nil // stored and read back, an empty map is none
	}
	text, err := json.Marshal(e)
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(append(before[:], text...)), nil
}

// Sealer chains events within a second of their commit.
type Sealer struct {
	store Store
	log   *slog.Logger
}

// NewSealer makes a Sealer. Several replicas may run one each: the chain lets
// one of them win.
// A nil log discards.
func NewSealer(s Store, log *slog.Logger) *Sealer {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Sealer{store: s, log: log}
}

const (
	sealEvery = 500 * time.Millisecond
	sealBatch = 500
)

// Run seals until ctx ends, and once more then.
func (s *Sealer) Run(ctx context.Context) error {
	tick := time.NewTicker(sealEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			if _, err := s.Seal(last); err != nil {
				s.log.WarnContext(ctx, "audit events not sealed; the next start seals them", "error", err)
			}
			return nil
		case <-tick.C:
			if _, err := s.Seal(ctx); err != nil {
				s.log.WarnContext(ctx, "audit events not sealed; it will be tried again", "error", err)
			}
		}
	}
}

// Seal chains every event that is not in the chain yet and gives their number.
func (s *Sealer) Seal(ctx context.Context) (sealed int, err error) {
	for {
		events, err := s.store.Unsealed(ctx, sealBatch)
		if err != nil || len(events) == 0 {
			return sealed, err
		}
		last, err := s.store.LastSeal(ctx)
		if err != nil {
			return sealed, err
		}
		seals := make([]Seal, 0, len(events))
		for _, e := range events {
			hash, err := Next(last.Hash, e)
			if err != nil {
				return sealed, err
			}
			last = Seal{Position: last.Position + 1, Event: e.Seq, Hash: hash}
			seals = append(seals, last)
		}
		err = s.store.AppendSeals(ctx, seals)
		if fault.Is(err, fault.Conflict) {
			return sealed, nil // another replica is sealing; what it leaves is there next time
		}
		if err != nil {
			return sealed, err
		}
		sealed += len(seals)
		if len(events) < sealBatch {
			return sealed, nil
		}
	}
}
