package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"portcullis/outbound"
)

const (
	keysFresh    = 15 * time.Minute // a removed key is trusted no longer than this
	keysLastGood = 24 * time.Hour   // while the identity provider does not give a new set
	keysInterval = 10 * time.Second // between fetches that a token or a failure asks for
	maxKeys      = 100
	minRSABits   = 2048
	maxRSABits   = 8192
	maxTries     = 10 // signatures that are computed for one token, which may name no key
)

// algorithms are the signatures that are accepted: asymmetric ones only.
// Neither none nor HMAC, whose key would be the client secret or, by
// confusion, a public key.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
		jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

// keySet is the signing keys of one identity provider. They are fetched when
// they are needed, live for keysFresh, and are fetched again at most once in
// keysInterval when a token names one that is not there. When a fetch fails
// the last good set is kept. Safe for concurrent use.
type keySet struct {
	fetch  func(context.Context) ([]jose.JSONWebKey, error)
	now    func() time.Time
	flight flight

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetched time.Time // when keys came
	failed  time.Time // when the last fetch failed
	missed  time.Time // when a missing key last made us fetch
}

// verify gives the payload of a JWS that one of the keys signed. Of the header
// only alg and kid are used: jwk, jku and x5u never bring a key in.
func (k *keySet) verify(ctx context.Context, jws *jose.JSONWebSignature) ([]byte, error) {
	keys, err := k.current(ctx)
	if err != nil {
		return nil, err
	}
	if payload, ok := verifyWith(jws, keys); ok {
		return payload, nil
	}
	if !k.mayRefetch() {
		return nil, errors.New("no key of the identity provider made the signature")
	}
	if err := k.refresh(ctx); err != nil {
		return nil, err
	}
	if keys, err = k.current(ctx); err != nil {
		return nil, err
	}
	if payload, ok := verifyWith(jws, keys); ok {
		return payload, nil
	}
	return nil, errors.New("no key of the identity provider made the signature, in a fresh set either")
}

// current gives the keys, fetched anew when they are due.
func (k *keySet) current(ctx context.Context) ([]jose.JSONWebKey, error) {
	now := k.now()
	k.mu.Lock()
	keys, age := k.keys, now.Sub(k.fetched)
	resting := now.Sub(k.failed) < keysInterval
	k.mu.Unlock()
	usable := len(keys) > 0 && age < keysLastGood
	if usable && (age < keysFresh || resting) {
		return keys, nil
	}
	err := k.refresh(ctx)
	if err != nil && usable {
		return keys, nil // the last good set is kept
	}
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys, nil
}

// mayRefetch grants one fetch per interval to tokens whose key is not there.
func (k *keySet) mayRefetch() bool {
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Sub(k.missed) < keysInterval {
		return false
	}
	k.missed = now
	return true
}

func (k *keySet) refresh(ctx context.Context) error {
	return k.flight.do(ctx, func() error {
		keys, err := k.fetch(context.WithoutCancel(ctx))
		now := k.now()
		k.mu.Lock()
		defer k.mu.Unlock()
		if err != nil {
			k.failed = now
			return err
		}
		k.keys, k.fetched, k.failed = keys, now, time.Time{}
		return nil
	})
}

func verifyWith(jws *jose.JSONWebSignature, keys []jose.JSONWebKey) ([]byte, bool) {
	header, tries := jws.Signatures[0].Header, 0
	for i := range keys {
		key := &keys[i]
		if header.KeyID != "" && key.KeyID != header.KeyID || !fits(key, header.Algorithm) {
			continue
		}
		if tries++; tries > maxTries {
			break
		}
		if payload, err := jws.Verify(key.Key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// fits says whether the key may verify that algorithm.
func fits(key *jose.JSONWebKey, alg string) bool {
	if key.Algorithm != "" && key.Algorithm != alg {
		return false
	}
	switch key.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return strings.HasPrefix(alg, "ES")
	case ed25519.PublicKey:
		return alg == string(jose.EdDSA)
	default:
		return false
	}
}

// parseKeys reads a JWK set (RFC 7517, section 5) and keeps the public keys
// that may sign. Entries that it does not understand are passed over, as the
// RFC asks.
func parseKeys(data []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("%w: key set: %w", outbound.ErrAnswer, err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%w: key set of %d keys", outbound.ErrAnswer, len(set.Keys))
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(raw); err != nil || !signs(&key) || !verifies(raw) {
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, outbound.Refuse(fmt.Errorf("%w: key set without a usable key", outbound.ErrAnswer), "it offers no signing key")
	}
	return keys, nil
}

// verifies says whether a key may be used to verify, as far as it restricts
// that (RFC 7517, section 4.3).
func verifies(raw []byte) bool {
	var key struct {
		Operations []string `json:"key_ops"`
	}
	err := json.Unmarshal(raw, &key)
	return err == nil && (key.Operations == nil || slices.Contains(key.Operations, "verify"))
}

func signs(key *jose.JSONWebKey) bool {
	if key.Use != "" && key.Use != "sig" || !key.IsPublic() || !key.Valid() {
		return false
	}
	if rsaKey, ok := key.Key.(*rsa.PublicKey); ok && (rsaKey.N.BitLen() < minRSABits || rsaKey.N.BitLen() > maxRSABits) {
		return false
	}
	return true
}

// fetchKeys is the fetch of a provider's key set.
func (p *Provider) fetchKeys(ctx context.Context) ([]jose.JSONWebKey, error) {
	m, err := p.metadata(ctx)
	if err != nil {
		return nil, err
	}
	data, _, err := outbound.Get(ctx, p.client, m.keysURL, nil)
	if err != nil {
		return nil, outbound.Classify(err, "key set")
	}
	keys, err := parseKeys(data)
	if err != nil {
		return nil, outbound.Classify(err, "key set")
	}
	return keys, nil
}
