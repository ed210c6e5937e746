package scim

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// verifiedFor is how long a token that was verified is taken at its word.
	// With a clock that is set back meanwhile it may be twice that long, so a
	// revocation holds everywhere within a second. In the process that
	// revokes, and in every other way in which this process writes tokens, it
	// holds from the next request on.
	verifiedFor = 500 * time.Millisecond

	mostVerified = 1024
)

// verified remembers which secrets were verified a moment ago: to look each up
// costs as much as the rest of a small request. It remembers what opens, never
// what does not.
type verified struct {
	mu    sync.Mutex
	known map[credential]verdict
}

// credential is a secret that was shown to a connection.
type credential struct {
	connection string
	hash       [sha256.Size]byte
}

type verdict struct {
	token      Token
	at         time.Time
	generation uint64 // of the store
}

func credentialOf(connection, secret string) credential {
	return credential{connection, sha256.Sum256([]byte(secret))}
}

// verify gives the token of a secret, whose credential key is, as
// [Tokens.Verify] does.
func (e *Endpoint) verify(ctx context.Context, key credential, secret string) (Token, error) {
	now, generation := e.now(), e.tokens.store.Generation() // before the look-up
	e.verified.mu.Lock()
	v, ok := e.verified.known[key]
	e.verified.mu.Unlock()
	if age := now.Sub(v.at); ok && v.generation == generation && age >= 0 && age < verifiedFor && v.token.Live(now) {
		return v.token, nil
	}
	token, err := e.tokens.Verify(ctx, key.connection, secret)
	e.verified.mu.Lock()
	defer e.verified.mu.Unlock()
	if err != nil {
		delete(e.verified.known, key)
		return token, err
	}
	if len(e.verified.known) >= mostVerified {
		clear(e.verified.known)
	}
	e.verified.known[key] = verdict{token: token, at: now, generation: generation}
	return token, nil
}

// vouch asks once more who asks, before something is done: a body may take its
// time, a turn has to be waited for, and a Bulk request has many operations.
// Meanwhile the token may have been revoked, or the organization frozen.
func (c *call) vouch() error {
	token, err := c.verify(c.ctx(), c.key, c.secret)
	if err != nil {
		return err
	}
	if c.Endpoint.site(c.site.connection) == nil {
		return errToken()
	}
	c.frozen = token.Frozen
	return nil
}
