package login

import (
	"context"
	"time"
)

// Attempt is a sign-in that was started and has not come back yet. The values
// that travel through the browser are kept as SHA-256 only, so that a stolen
// table starts nothing.
type Attempt struct {
	StateHash   []byte // SHA-256 of the state parameter, 32 bytes; unique
	BrowserHash []byte // SHA-256 of the browser's sign-in cookie, 32 bytes
	Connection  string // id
	Nonce       string // expected in the ID token
	Verifier    string // PKCE code verifier (RFC 7636, section 4.1)
	ReturnTo    string // safe local path, at most 8 KiB
	Reference   string // of the request that started it
	Created     time.Time
	Expires     time.Time
}

// Store keeps attempts where every replica sees them.
type Store interface {
	// InsertAttempt adds an attempt.
	InsertAttempt(ctx context.Context, a Attempt) error
	// ConsumeAttempt removes the attempt with that state and gives it: of any
	// number of concurrent calls, on any replicas, one gets it and the others
	// fail with fault.NotFound. So does a call for an attempt whose Expires is
	// not after now.
	ConsumeAttempt(ctx context.Context, stateHash []byte, now time.Time) (Attempt, error)
	// DeleteAttempts removes attempts that expired before that time.
	DeleteAttempts(ctx context.Context, before time.Time) error
}
