package keys

import (
	"context"
	"slices"
	"strings"
	"time"

	"portcullis/audit"
	"portcullis/fault"
)

// Succession is what takes the place of a key that is withdrawn; the zero
// value is nothing, where another one signs.
type Succession struct {
	Promote string // the id of one that waited and signs from now on
	Next    Stored // or one that is stored now
}

// Withdraw takes a key out of use for good: running gates publish it no more
// and sign nothing with it within a second. Where it was the one that signs,
// the one that waits takes its place at once, or a new one; replacement is its
// id. Nobody is signed out. Of a SAML connection it is the key and the
// certificate of a [Pair]; pair makes a new one where none waits, and may be
// nil if there are no such connections. It fails with fault.NotFound.
func (r *Ring) Withdraw(ctx context.Context, by audit.Actor, id, reason string, pair MakePair) (purpose, replacement string, err error) {
	now := r.now().UTC()
	spare, err := r.spare(ctx, id, now, pair)
	if err != nil {
		return "", "", err
	}
	succeed := func(all []Stored, gone Stored) (Succession, error) {
		signs, waits, err := r.positions(all, now)
		switch {
		case err != nil || signs != gone.ID:
			return Succession{}, err
		case waits != "":
			return Succession{Promote: waits}, nil
		default:
			return Succession{Next: spare}, nil
		}
	}
	return r.store.WithdrawKey(ctx, id, succeed, now, func(purpose, replacement string) audit.Event {
		connection, _ := strings.CutPrefix(purpose, pairPurpose(""))
		if connection == purpose {
			connection = ""
		}
		return audit.Event{
			At: now, Action: audit.KeyWithdrawn, Actor: by, Subject: id, Connection: connection, Reason: reason,
			Detail: map[string]string{"purpose": purpose, "replaced_by": replacement},
		}
	})
}

// spare makes a key of the same purpose as another one, which signs from now
// on. It is made before anything is locked: RSA keys take their time.
func (r *Ring) spare(ctx context.Context, id string, now time.Time, pair MakePair) (k Stored, err error) {
	all, err := r.store.Keys(ctx, "")
	if err != nil {
		return k, err
	}
	at := slices.IndexFunc(all, func(k Stored) bool { return k.ID == id })
	switch {
	case at < 0:
		return k, fault.New(fault.NotFound, "no such key")
	case !isPair(all[at].Purpose):
		k, err = r.generate(all[at].Purpose, now)
	case pair == nil:
		return k, fault.New(fault.Invalid, "%s is the key of a SAML connection, and there is no way to make another", id)
	default:
		k, err = r.sealPair(all[at].Purpose, now, pair)
	}
	k.Activates = now
	return k, err
}

// positions gives the id of the key that signs, of all of one purpose, and of
// the one that waits to.
func (r *Ring) positions(all []Stored, now time.Time) (signs, waits string, err error) {
	if len(all) > 0 && isPair(all[0].Purpose) {
		pairs, err := r.unwrapPairs(all[0].Purpose, all)
		if err != nil || len(pairs) == 0 {
			return "", "", err
		}
		signer := current(pairs, now)[0]
		for _, p := range pairs {
			if p.Created.After(signer.Created) {
				waits = p.id
				break
			}
		}
		return signer.id, waits, nil
	}
	for _, k := range sorted(all) {
		switch {
		case now.Before(k.Activates):
			waits = k.ID
		case signs == "":
			signs = k.ID
		}
	}
	return signs, waits, nil
}
