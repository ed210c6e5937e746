package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	assertionHeader = "X-Portcullis-Assertion"
	longestLife     = 5 * time.Minute  // of an assertion, by contract
	clockSkew       = 5 * time.Second  // between the gate's clock and ours
	keysLive        = 10 * time.Minute // a key that the gate withdrew is forgotten after that
	keysRest        = 3 * time.Second  // between two fetches, so that forged key ids cannot flood the gate
)

// statement is what the gate says of the person behind a request.
type statement struct {
	Subject      string      `json:"sub"`
	Session      string      `json:"sid"`
	Connection   string      `json:"connection"`
	Organization string      `json:"organization"`
	Email        string      `json:"email"`
	Name         string      `json:"name"`
	Roles        []string    `json:"roles"`
	Tasks        []string    `json:"tasks"`
	Permissions  permissions `json:"permissions"`
	Expires      time.Time   `json:"-"`
}

// may reports whether the person's roles include the task.
func (s statement) may(task string) bool { return slices.Contains(s.Tasks, task) }

// verifier checks assertions against the gate's public keys. It is safe for
// concurrent use.
type verifier struct {
	issuer, audience, jwksURL string
	http                      *http.Client
	now                       func() time.Time

	mu      sync.Mutex
	keys    jose.JSONWebKeySet
	fetched time.Time // when keys arrived
	asked   time.Time // when they were last asked for
}

// verify gives the statement that a request carries. Whatever is wrong with
// it, the request is nobody's: there is no half-trusted statement.
func (v *verifier) verify(r *http.Request) (statement, error) {
	values := r.Header.Values(assertionHeader)
	if len(values) != 1 {
		return statement{}, fmt.Errorf("want one %s, got %d", assertionHeader, len(values))
	}
	// Naming the one algorithm here is what refuses "none" and HS256.
	token, err := jwt.ParseSigned(values[0], []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return statement{}, fmt.Errorf("read assertion: %w", err)
	}
	key, err := v.key(r.Context(), token.Headers[0].KeyID)
	if err != nil {
		return statement{}, err
	}
	var std jwt.Claims
	var st statement
	if err := token.Claims(key, &std, &st); err != nil {
		return statement{}, fmt.Errorf("verify assertion: %w", err)
	}
	if std.Expiry == nil || std.IssuedAt == nil {
		return statement{}, errors.New("assertion without iat or exp")
	}
	if life := std.Expiry.Time().Sub(std.IssuedAt.Time()); life <= 0 || life > longestLife {
		return statement{}, fmt.Errorf("assertion lives %s, at most %s is allowed", life, longestLife)
	}
	// The library skips what it is not told to expect, so an empty setting
	// must not mean "any".
	if std.Issuer != v.issuer || !std.Audience.Contains(v.audience) || std.Subject == "" {
		return statement{}, errors.New("assertion is of another issuer, for another audience or of nobody")
	}
	if err := std.ValidateWithLeeway(jwt.Expected{Time: v.now()}, clockSkew); err != nil {
		return statement{}, fmt.Errorf("check assertion: %w", err)
	}
	st.Expires = std.Expiry.Time()
	return st, nil
}

// key finds the public key with an id. An unknown id means that the gate may
// have a new key, so the keys are fetched again, but not at the pace of
// whoever sends unknown ids.
func (v *verifier) key(ctx context.Context, id string) (any, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	known := v.keys.Key(id)
	stale := v.now().Sub(v.fetched) >= keysLive
	if (len(known) == 0 || stale) && v.now().Sub(v.asked) >= keysRest {
		v.asked = v.now()
		// The keys are for everybody: a reader who leaves does not end the fetch.
		keys, err := v.fetch(context.WithoutCancel(ctx))
		if err != nil {
			return nil, err
		}
		v.keys, v.fetched, stale = keys, v.now(), false
		known = keys.Key(id)
	}
	if len(known) != 1 || stale {
		return nil, errors.New("assertion is signed with an unknown key")
	}
	return known[0].Key, nil
}

func (v *verifier) fetch(ctx context.Context) (jose.JSONWebKeySet, error) {
	var keys jose.JSONWebKeySet
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.jwksURL, http.NoBody)
	if err != nil {
		return keys, fmt.Errorf("ask for keys: %w", err)
	}
	res, err := v.http.Do(req)
	if err != nil {
		return keys, fmt.Errorf("ask for keys: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // read to its end or given up
	if res.StatusCode != http.StatusOK {
		return keys, fmt.Errorf("ask for keys: want status 200, got %d", res.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&keys); err != nil {
		return keys, fmt.Errorf("read keys: %w", err)
	}
	return keys, nil
}
