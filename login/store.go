package login

import (
	"context"
	"time"

	"portcullis/audit"
	"portcullis/session"
	"portcullis/trace"
)

// Attempt is a sign-in that was started and has not come back yet. The values
// that travel through the browser are kept as SHA-256 only, so that a stolen
// table starts nothing.
type Attempt struct {
	StateHash   []byte // SHA-256 of the state parameter, 32 bytes; unique
	BrowserHash []byte // SHA-256 of the browser's sign-in cookie, 32 bytes
	Connection  string // id
	Nonce       string // expected in the ID token; over SAML the id of our request
	Verifier    string // PKCE code verifier (RFC 7636, section 4.1)
	ReturnTo    string // safe local path, at most 8 KiB
	Reference   string // of the request that started it
	Created     time.Time
	Expires     time.Time
	Address     string         // of the browser that started it
	Demand      session.Demand // what the page that it is for asks of the sign-in
	Test        string         // id of the dry run that it is; empty for a sign-in
	Replaces    []byte         // SHA-256 of the session that the browser held, which ends; nil for none

	// What the identity provider is asked for, not stored.
	Force   bool // to have the person prove anew who they are
	Another bool // to let the person choose among their accounts there
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
	// DeleteAttempts removes attempts that expired before that time, and gives
	// each of them to one caller: at most limit.
	DeleteAttempts(ctx context.Context, before time.Time, limit int) ([]Attempt, error)

	// UseAssertion remembers that a SAML assertion, by the SHA-256 of its id,
	// counted at a connection. It fails with fault.Conflict if it did before.
	UseAssertion(ctx context.Context, connection string, hash []byte, expires time.Time) error
	// DeleteAssertions forgets assertions that expired before that time.
	DeleteAssertions(ctx context.Context, before time.Time) error

	// Metadata gives what is known of a connection's SAML identity provider.
	// It fails with fault.NotFound.
	Metadata(ctx context.Context, connection string) (Metadata, error)
	// SaveMetadata writes m, with its events, and makes its version the next
	// one. It fails with fault.Conflict unless m.Version is the one that is
	// stored; 0 is that of a connection without any.
	SaveMetadata(ctx context.Context, m Metadata, events ...audit.Event) error

	// InsertTest adds a dry run, with its audit event.
	InsertTest(ctx context.Context, t Test, e audit.Event) error
	// OpenTest gives the dry run of a link: once, and before it expires.
	// Afterwards it fails with fault.NotFound.
	OpenTest(ctx context.Context, linkHash []byte, now time.Time) (Test, error)
	// FinishTest stores what came out of a dry run, with its audit event. What
	// is there already stays.
	FinishTest(ctx context.Context, id string, report trace.Record, e audit.Event) error
	// FindTest gives a dry run without its link, and what came out of it; nil
	// before anything has.
	FindTest(ctx context.Context, id string) (Test, *trace.Record, error)
	// DeleteTests forgets dry runs that expired before that time.
	DeleteTests(ctx context.Context, before time.Time) error
}

// Metadata is what a SAML identity provider published of itself at an address.
type Metadata struct {
	Connection string
	Source     string // the address
	Accepted   []byte // the document in force
	AcceptedAt time.Time
	Pending    []byte // a document that waits for approval; nil for none
	PendingAt  time.Time
	Version    int64
}
