package audit

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"portcullis/fault"
)

// Link is a seal with the event that it names; of one that is gone the event
// is zero.
type Link struct {
	Event Event
	Seal  Seal
}

// Loose is an event that no seal names.
type Loose struct {
	Seq     int64
	Claimed bool // it is marked as sealed
}

// Chain is the trail in pieces, for [VerifyPart].
type Chain interface {
	// Links gives at most limit links behind a position, in the order of the
	// chain.
	Links(ctx context.Context, after int64, limit int) ([]Link, error)

	// Loose gives, of the events whose Seq is above after, in their order and
	// as far as after+span, those that no seal names; more reports whether there are events
	// behind that.
	Loose(ctx context.Context, after, span int64) (events []Loose, more bool, err error)
}

// Report is what Verify found.
type Report struct {
	Sealed   int64
	Unsealed int64
	Head     [32]byte // the end of the chain; keep it elsewhere to notice a chain cut short
	Broken   []string // each break in words; empty when the trail is whole
}

// follower walks along the chain.
type follower struct {
	Report

	position int64
}

// link takes the next link and says where it breaks the chain.
func (f *follower) link(e Event, seal Seal) error {
	f.position++
	switch want, err := Next(f.Head, e); {
	case err != nil:
		return err
	case seal.Position != f.position:
		f.Broken = append(f.Broken, fmt.Sprintf("position %d: the seal before it is missing", seal.Position))
		f.position = seal.Position
	case e.Seq == 0:
		f.Broken = append(f.Broken, fmt.Sprintf("position %d: event %d is missing", seal.Position, seal.Event))
	case want != seal.Hash:
		f.Broken = append(f.Broken, fmt.Sprintf("position %d: event %d or its seal was altered", seal.Position, seal.Event))
	}
	f.Sealed++
	f.Head = seal.Hash
	return nil
}

// loose takes an event that no seal names.
func (f *follower) loose(seq int64, claimed bool) {
	if claimed {
		f.Broken = append(f.Broken, fmt.Sprintf("event %d claims to be sealed and is not in the chain", seq))
	} else {
		f.Unsealed++
	}
}

// Verify walks the whole trail and says where it was altered.
func Verify(ctx context.Context, s Store) (Report, error) {
	var f follower
	err := s.Walk(ctx, func(e Event, seal Seal) error {
		if seal.Position == 0 {
			f.loose(seal.Event, seal.Event != 0)
			return nil
		}
		return f.link(e, seal)
	})
	return f.Report, err
}

// What a place in the trail begins with, for [VerifyPart].
const (
	sealPlace  = "seal:"
	eventPlace = "event:"
	maxPlace   = 1 << 60
)

// VerifyPart verifies the trail from a place on, which is empty for its beginning:
// as much as limit events, so that each call has a bound. next is the place
// where the next part begins, empty after the last. Added up, the parts are
// what [Verify] says: the head is that of the last part that has one. It fails with
// fault.Invalid for a place that no part gave.
func VerifyPart(ctx context.Context, c Chain, place string, limit int) (r Report, next string, err error) {
	if after, ok := strings.CutPrefix(place, eventPlace); ok {
		return verifyLoose(ctx, c, after, limit)
	}
	var f follower
	if after, ok := strings.CutPrefix(place, sealPlace); ok {
		if f.position, err = strconv.ParseInt(after, 10, 64); err != nil || f.position < 1 || f.position > maxPlace {
			return r, "", errPlace
		}
		before, err := c.Links(ctx, f.position-1, 1)
		if err != nil {
			return r, "", err
		}
		if len(before) == 1 && before[0].Seal.Position == f.position {
			f.Head = before[0].Seal.Hash
		} else {
			f.Broken = append(f.Broken, fmt.Sprintf("position %d: its seal went missing meanwhile", f.position))
		}
	} else if place != "" {
		return r, "", errPlace
	}
	links, err := c.Links(ctx, f.position, limit)
	for i := 0; err == nil && i < len(links); i++ {
		err = f.link(links[i].Event, links[i].Seal)
	}
	next = sealPlace + strconv.FormatInt(f.position, 10)
	if len(links) < limit {
		next = eventPlace + "0"
	}
	return f.Report, next, err
}

func verifyLoose(ctx context.Context, c Chain, place string, limit int) (r Report, next string, err error) {
	after, err := strconv.ParseInt(place, 10, 64)
	if err != nil || after < 0 || after > maxPlace {
		return r, "", errPlace
	}
	var f follower
	span := int64(limit)
	events, more, err := c.Loose(ctx, after, span)
	for _, e := range events {
		f.loose(e.Seq, e.Claimed)
	}
	if more {
		next = eventPlace + strconv.FormatInt(after+span, 10)
	}
	return f.Report, next, err
}

var errPlace = fault.New(fault.Invalid, "after: want what next gave")
