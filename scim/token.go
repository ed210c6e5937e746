package scim

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"strings"
	"sync"
	"time"

	"portcullis/audit"
	"portcullis/fault"
)

// MaxLiveTokens is how many tokens of one connection may be good at the same
// time: the one in use, and its successor while the client is being changed.
const MaxLiveTokens = 2

// touchEvery is how often the last use of a token is written down at most.
const touchEvery = time.Minute

// What secrets begin with, for secret scanners and for people.
const (
	bearerPrefix = "pcs_" // of a token that is made by hand
	clientPrefix = "pcc_" // of an OAuth client
	accessPrefix = "pca_" // of what a client is given for an hour
)

// secretLength is a prefix and 256 bits in base 32 without padding.
const secretLength = len(bearerPrefix) + 52

// Token is a bearer token of one connection, or an OAuth client that gets its
// bearer tokens at the token endpoint. The secret itself is shown once, when
// the token is made, and kept nowhere.
type Token struct {
	ID         string // names the token in lists and in the audit trail; the client_id of a client
	Connection string
	Client     bool   // an OAuth client
	PublicKey  string // JWK of a client that signs assertions; empty: it has a secret
	Hash       []byte // SHA-256 of the secret
	Note       string // what it is for, in the maker's words
	Created    time.Time
	Expires    time.Time // zero: never
	LastUsed   time.Time // zero: never used; exact to a minute
	Revoked    time.Time // zero: not revoked
	Frozen     bool      // the connection's organization is: what the token may do is to take away
}

// Live reports whether the token opens its connection at that time.
func (t Token) Live(now time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires))
}

// TokenStore keeps tokens. Insert and revoke write their audit event in the
// same transaction.
type TokenStore interface {
	InsertToken(ctx context.Context, t Token, e audit.Event) error
	// TokenByHash is one indexed look-up, expired and revoked tokens
	// included; it and TokenByAccess say whether the token is Frozen. It fails
	// with fault.NotFound.
	TokenByHash(ctx context.Context, hash []byte) (Token, error)
	// Tokens lists a connection's tokens, the oldest first; every
	// connection's if connection is empty.
	Tokens(ctx context.Context, connection string) ([]Token, error)
	// RevokeToken fails with fault.NotFound for an unknown id and changes
	// nothing, event included, if the token is revoked already.
	RevokeToken(ctx context.Context, id string, at time.Time, e audit.Event) error
	TouchToken(ctx context.Context, id string, at time.Time) error
	// Generation changes with each token that is made or revoked, and each
	// organization that is frozen or unfrozen, through this store, before that
	// is answered. It asks no database.
	Generation() uint64

	// TokenByID is one indexed look-up as well.
	TokenByID(ctx context.Context, id string) (Token, error)
	// TokenByAccess gives the client that an access token was issued to, with
	// the access token's hash, and its expiry if that is the earlier one. It
	// fails with fault.NotFound.
	TokenByAccess(ctx context.Context, hash []byte) (Token, error)
	// InsertAccess keeps an access token, and removes those that have expired
	// at that time. It fails with fault.Conflict, and keeps nothing, if the
	// client used that assertion before.
	InsertAccess(ctx context.Context, a Access, now time.Time) error
}

// Access is an access token that is issued to a client.
type Access struct {
	Hash      []byte // SHA-256 of the secret
	Client    string
	Expires   time.Time
	Assertion []byte    // SHA-256 of the identifier of the assertion that it was issued for; nil: there was none
	Until     time.Time // how long that one is remembered
}

// Tokens makes, judges and revokes tokens. It is safe for concurrent use.
type Tokens struct {
	store TokenStore
	now   func() time.Time

	mu sync.Mutex // one Create at a time, so that the count holds
}

// TokensConfig is what Tokens need.
type TokensConfig struct {
	Store TokenStore       // required
	Now   func() time.Time // defaults to time.Now
}

// NewTokens makes Tokens over a store.
func NewTokens(c TokensConfig) *Tokens {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Tokens{store: c.Store, now: func() time.Time { return c.Now().UTC() }}
}

// Create makes a bearer token and gives its secret, which is not kept. A life
// of zero means that the token does not expire. It fails with fault.Conflict
// when the connection has [MaxLiveTokens] live ones already.
func (t *Tokens) Create(ctx context.Context, by audit.Actor, connection, note string, life time.Duration) (string, Token, error) {
	return t.create(ctx, by, Token{Connection: connection, Note: note}, life)
}

// create makes a token or a client; it completes what is given of it.
func (t *Tokens) create(ctx context.Context, by audit.Actor, token Token, life time.Duration) (string, Token, error) {
	connection := token.Connection
	if connection == "" || life < 0 {
		return "", Token{}, fault.New(fault.Invalid, "a token needs a connection, and a life that is not negative")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	list, err := t.store.Tokens(ctx, connection)
	if err != nil {
		return "", Token{}, err
	}
	live := 0
	for _, other := range list {
		if other.Client == token.Client && other.Live(now) {
			live++
		}
	}
	if live >= MaxLiveTokens {
		return "", Token{}, fault.New(fault.Conflict,
			"connection %q has %d live %s already: revoke the one that is no longer used", connection, live, kindsOf(token))
	}
	prefix := bearerPrefix
	if token.Client {
		prefix = clientPrefix
	}
	secret := newSecret(prefix)
	token.ID, token.Hash, token.Created = rand.Text(), hashOf(secret), now
	if life > 0 {
		token.Expires = now.Add(life)
	}
	event := audit.Event{
		At: now, Action: audit.TokenCreated, Actor: by, Subject: token.ID, Connection: connection,
		Detail: map[string]string{"note": token.Note},
	}
	if token.Client {
		event.Detail["kind"] = "client"
	}
	if !token.Expires.IsZero() {
		event.Detail["expires"] = token.Expires.Format(time.RFC3339)
	}
	if err := t.store.InsertToken(ctx, token, event); err != nil {
		return "", Token{}, err
	}
	return secret, token, nil
}

// List gives the tokens of a connection, dead ones included, the oldest first;
// those of every connection if connection is empty.
func (t *Tokens) List(ctx context.Context, connection string) ([]Token, error) {
	return t.store.Tokens(ctx, connection)
}

// Revoke ends a token from the next request on. It does nothing to a token that
// is revoked already, and fails with fault.NotFound for an unknown id.
func (t *Tokens) Revoke(ctx context.Context, by audit.Actor, id string) error {
	list, err := t.store.Tokens(ctx, "")
	if err != nil {
		return err
	}
	for _, token := range list {
		if token.ID != id {
			continue
		}
		if !token.Revoked.IsZero() {
			return nil
		}
		now := t.now()
		return t.store.RevokeToken(ctx, id, now, audit.Event{
			At: now, Action: audit.TokenRevoked, Actor: by, Subject: id, Connection: token.Connection,
		})
	}
	return fault.New(fault.NotFound, "no token %q", id)
}

// Verify gives the token that the secret belongs to, if it opens connection
// now. Whatever is wrong with it is the same fault.Unauthenticated; a store
// that is away is not (fault.Unavailable or an internal error).
//
// Nothing is cached here; the endpoint remembers for half a second, see verified.
func (t *Tokens) Verify(ctx context.Context, connection, secret string) (Token, error) {
	if len(secret) != secretLength {
		return Token{}, errToken()
	}
	var find func(context.Context, []byte) (Token, error)
	switch secret[:len(bearerPrefix)] {
	case bearerPrefix:
		find = t.store.TokenByHash
	case accessPrefix:
		find = t.store.TokenByAccess
	default: // the secret of a client is no token
		return Token{}, errToken()
	}
	hash := hashOf(secret)
	token, err := find(ctx, hash)
	switch {
	case fault.Is(err, fault.NotFound):
		return Token{}, errToken()
	case err != nil:
		return Token{}, err
	}
	now := t.now()
	same := subtle.ConstantTimeCompare(hash, token.Hash) & subtle.ConstantTimeCompare([]byte(connection), []byte(token.Connection))
	if same != 1 || !token.Live(now) {
		return Token{}, errToken()
	}
	return t.touch(ctx, token, now)
}

// touch writes the use of a token down, at most once a minute.
func (t *Tokens) touch(ctx context.Context, token Token, now time.Time) (Token, error) {
	if now.Sub(token.LastUsed) < touchEvery {
		return token, nil
	}
	if err := t.store.TouchToken(ctx, token.ID, now); err != nil {
		return Token{}, err
	}
	token.LastUsed = now
	return token, nil
}

func errToken() error {
	return fault.New(fault.Unauthenticated, "the bearer token is missing or does not open this connection")
}

func kindsOf(t Token) string {
	if t.Client {
		return "clients"
	}
	return "tokens"
}

func newSecret(prefix string) string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails: it ends the program instead
	return prefix + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw))
}

func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
