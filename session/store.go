package session

import (
	"context"
	"time"

	"portcullis/audit"
	"portcullis/directory"
)

// Row is a session as it is stored. The token itself is not.
type Row struct {
	ID          string
	TokenHash   []byte // SHA-256
	Person      string
	AssertionID string
	Connection  string
	Client      Client
	IDToken     []byte // sealed; empty if the identity provider gave none
	Created     time.Time
	LastSeen    time.Time
	Expires     time.Time // absolute
	Ended       time.Time // zero while it lives
	EndReason   string

	// How the identity provider says they signed in; read by SessionsOf alone.
	ACR      string
	AuthTime time.Time

	// What the identity provider calls the session and its person (see
	// [Ticket]), and the sealed refresh token with when it is due.
	Issuer          string
	Subject         string
	ProviderSession string
	Begun           time.Time // not stored
	Refresh         []byte
	RefreshDue      time.Time // zero: never
}

// Store keeps sessions and hands out change records.
type Store interface {
	// InsertSession stores a session if its person is still active in the
	// same transaction; otherwise it fails with fault.Forbidden. It fails with
	// fault.Invalid if a request has named it to [Store.EndNamed] since it was
	// begun: of the two, whichever comes second
	// sees the first.
	InsertSession(ctx context.Context, r Row) error

	// FindSession gives a session with all that is known of its person, as
	// one consistent state. It fails with fault.NotFound.
	FindSession(ctx context.Context, tokenHash []byte) (Row, directory.Standing, error)

	// SessionsOf gives the living sessions of a person, the newest first.
	SessionsOf(ctx context.Context, person string, now time.Time) ([]Row, error)

	// EndExcess ends the oldest of the living sessions of a person that were
	// used since a time, until keep are left, each with its audit event and
	// change record, and gives their ids. The person is told why in the words of
	// [fault.Message], the trail in those of [fault.ToOthers].
	EndExcess(ctx context.Context, person string, keep int, usedSince time.Time, why error, at time.Time) (ids []string, err error)

	// EndSession ends one session, with its audit event, which says that it was
	// one ([directory.EndedKey]), and its change record. A
	// session that has ended already stays as it is.
	EndSession(ctx context.Context, id, reason string, at time.Time, e audit.Event) error

	// EndNamed ends the living sessions that n names, each with its audit
	// event and change record, and gives their ids; why is told as by
	// [Store.EndExcess]. In the same transaction it remembers r, in the place of
	// the one with its Hash if it counts again; else it fails with fault.Conflict
	// if there is one.
	EndNamed(ctx context.Context, n Named, r Request, why error, at time.Time, by audit.Actor, reference string) (ids []string, err error)

	// TakeDue gives at most limit living sessions whose RefreshDue has come
	// and that were used since a time, and moves their RefreshDue to lease: of
	// any number of concurrent calls, on any replicas, one gets a session.
	TakeDue(ctx context.Context, now, usedSince, lease time.Time, limit int) ([]Row, error)

	// RenewSession replaces the refresh token of a living session.
	RenewSession(ctx context.Context, id string, refresh []byte, due time.Time) error

	// InsertAPIToken and RevokeAPIToken write their event in the same
	// transaction, the second a change record, too; that fails with
	// fault.NotFound, and changes nothing if the token is revoked already.
	InsertAPIToken(ctx context.Context, t APIToken, e audit.Event) error
	RevokeAPIToken(ctx context.Context, id string, at time.Time, e audit.Event) error

	// FindAPIToken gives a token, dead or not, with all that is known of whom
	// it stands for. It fails with fault.NotFound, also if the person is gone.
	FindAPIToken(ctx context.Context, hash []byte) (APIToken, directory.Standing, error)
	APITokens(ctx context.Context, q TokenQuery) ([]APIToken, error)

	// Touch moves LastSeen of sessions, and LastActive of their people,
	// forward; never back. Ids of API tokens move when those were last used.
	Touch(ctx context.Context, seen map[string]time.Time) error

	// DeleteSessions forgets sessions that expired or ended before that time,
	// and requests to end some that expired before it.
	DeleteSessions(ctx context.Context, before time.Time) error

	// LastChange is where a reader begins that knows nothing yet: every
	// record before it is committed and is seen by whoever reads now.
	LastChange(ctx context.Context) (cursor int64, err error)

	// Changes gives the change records from a cursor on, in order, and the
	// cursor from which to read next. Records commit out of order: as long as
	// one may still be missing, the next cursor stays before it, and later
	// records come again.
	Changes(ctx context.Context, after int64) (changes []directory.Change, next int64, err error)

	// Woken receives when a change may have been written.
	Woken() <-chan struct{}

	// DeleteChanges forgets change records from before that time.
	DeleteChanges(ctx context.Context, before time.Time) error
}

// Sealer keeps the tokens of identity providers unreadable in the database.
type Sealer interface {
	Seal(purpose string, plain []byte) ([]byte, error)
	Open(purpose string, sealed []byte) ([]byte, error)
}
