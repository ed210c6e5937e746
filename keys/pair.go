package keys

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"time"

	"portcullis/audit"
	"portcullis/fault"
)

// How the pair of a connection is replaced. The next one is made in time and
// shown before it is used, so that whoever has to trust it can.
const (
	PairAhead  = 60 * 24 * time.Hour // the next pair is made so long before the end of the newest
	PairNotice = 30 * 24 * time.Hour // and shown so long before it signs
	maxPairs   = 3
)

// Pair is an RSA key and the certificate that is shown for it.
type Pair struct {
	Private     *rsa.PrivateKey
	Certificate *x509.Certificate
	Created     time.Time

	id       string
	promoted bool // it signs without notice, since the one before was withdrawn
}

// MakePair makes a key and a certificate that is good from a time on.
type MakePair func(now time.Time) (*rsa.PrivateKey, *x509.Certificate, error)

// Pairs gives the pairs with which the gate is a SAML service provider of a
// connection: the one that signs first, then those that are only shown and
// decrypt, at most three. It makes the first, and the next one sixty days before the newest
// ends. Every connection has pairs of its own.
func (r *Ring) Pairs(ctx context.Context, connection string, make MakePair) ([]Pair, error) {
	pairs, newest, err := r.pairs(ctx, connection)
	if err != nil {
		return nil, err
	}
	now := r.now().UTC()
	if len(pairs) > 0 && now.Add(PairAhead).Before(pairs[0].Certificate.NotAfter) {
		return current(pairs, now), nil
	}
	if err := r.createPair(ctx, connection, newest, audit.Gate(), make); err != nil {
		return nil, err
	}
	stored, err := r.store.Keys(ctx, pairPurpose(connection))
	if err != nil {
		return nil, err
	}
	pairs, err = r.unwrapPairs(pairPurpose(connection), stored)
	return current(pairs, now), err
}

// Shown gives the pairs of a connection as [Ring.Pairs] does, and makes none.
func (r *Ring) Shown(ctx context.Context, connection string) ([]Pair, error) {
	pairs, _, err := r.pairs(ctx, connection)
	return current(pairs, r.now().UTC()), err
}

// NextPair makes the next pair of a connection before its time, because
// somebody wants it. It is shown at once and signs after [PairNotice].
func (r *Ring) NextPair(ctx context.Context, connection string, by audit.Actor, make MakePair) error {
	_, newest, err := r.pairs(ctx, connection)
	if err != nil {
		return err
	}
	return r.createPair(ctx, connection, newest, by, make)
}

// current puts the pair that signs in front: the newest that was shown long
// enough, or that has to, since the others have ended.
func current(pairs []Pair, now time.Time) []Pair {
	for i, p := range pairs {
		older := pairs[i+1:]
		alive := slices.ContainsFunc(older, func(o Pair) bool { return now.Before(o.Certificate.NotAfter) })
		if alive && !p.promoted && now.Sub(p.Created) < PairNotice {
			continue
		}
		return slices.Concat([]Pair{p}, pairs[:i], older)
	}
	return pairs
}

func pairPurpose(connection string) string { return "saml " + connection }

func isPair(purpose string) bool { return strings.HasPrefix(purpose, pairPurpose("")) }

// pairs gives the newest pairs, the newest first, and the id of that.
func (r *Ring) pairs(ctx context.Context, connection string) (pairs []Pair, newest string, err error) {
	purpose := pairPurpose(connection)
	stored, err := r.stored(ctx, purpose)
	if err != nil || len(stored) == 0 {
		return nil, "", err
	}
	pairs, err = r.unwrapPairs(purpose, stored)
	return pairs, stored[0].ID, err
}

// unwrapPairs opens stored pairs, or gives what it made of the same ones before.
func (r *Ring) unwrapPairs(purpose string, stored []Stored) (pairs []Pair, err error) {
	stored = stored[:min(len(stored), maxPairs)]
	r.mu.Lock()
	known := r.unwrapped[purpose]
	r.mu.Unlock()
	if slices.EqualFunc(known.stored, stored, sameKey) {
		return known.pairs, nil
	}
	for _, k := range stored {
		plain, err := r.Open("key "+purpose, k.Sealed)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "%s is not the key file that wrapped the keys in this database", r.file)
		}
		p, err := parsePair(plain)
		if err != nil {
			return nil, err
		}
		p.Created, p.id, p.promoted = k.Created, k.ID, !k.Activates.IsZero()
		pairs = append(pairs, p)
	}
	r.mu.Lock()
	r.unwrapped[purpose] = unwrapped{stored, pairs}
	r.mu.Unlock()
	return pairs, nil
}

// unwrapped is pairs and what they were made of.
type unwrapped struct {
	stored []Stored
	pairs  []Pair
}

func parsePair(plain []byte) (p Pair, err error) {
	first, rest := pem.Decode(plain)
	second, _ := pem.Decode(rest)
	if first == nil || second == nil {
		return p, errors.New("a stored pair is not a key and a certificate")
	}
	key, err := x509.ParsePKCS8PrivateKey(first.Bytes)
	if err != nil {
		return p, err
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return p, errors.New("a stored pair has no RSA key")
	}
	p.Private = private
	p.Certificate, err = x509.ParseCertificate(second.Bytes)
	return p, err
}

func (r *Ring) createPair(ctx context.Context, connection, after string, by audit.Actor, make MakePair) error {
	now, purpose := r.now().UTC(), pairPurpose(connection)
	k, err := r.sealPair(purpose, now, make)
	if err != nil {
		return err
	}
	return r.store.InsertNextKey(ctx, k, after,
		audit.Event{At: now, Action: audit.KeyCreated, Actor: by, Subject: k.ID, Connection: connection, Detail: map[string]string{"purpose": purpose}})
}

// sealPair makes a pair and wraps it.
func (r *Ring) sealPair(purpose string, now time.Time, make MakePair) (Stored, error) {
	private, certificate, err := make(now)
	if err != nil {
		return Stored{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Stored{}, err
	}
	var plain bytes.Buffer
	for _, b := range []pem.Block{{Type: "PRIVATE KEY", Bytes: der}, {Type: "CERTIFICATE", Bytes: certificate.Raw}} {
		if err := pem.Encode(&plain, &b); err != nil {
			return Stored{}, err
		}
	}
	sealed, err := r.Seal("key "+purpose, plain.Bytes())
	return Stored{ID: strings.ToLower(rand.Text()[:16]), Purpose: purpose, Created: now, Sealed: sealed}, err
}
