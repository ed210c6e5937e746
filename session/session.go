// Package session issues sessions, verifies them, and ends them: at once, on
// every replica, with every open stream.
//
// A session is a row. The browser holds 256 random bits, the row holds their
// SHA-256. What a verified session may do is computed from stored facts
// ([directory.Standing]) and cached until a change record says otherwise; a
// replica that could not read the change records for a second stops trusting
// its cache and reads through, and with no database it refuses.
//
// The package knows no HTTP: cookies are the edge's business.
package session

import (
	"strings"
	"time"

	"portcullis/mapping"
)

// Principal is who is there, what they may do and which data they may see. It
// is immutable and belongs to one session.
type Principal struct {
	SessionID    string
	PersonID     string
	Connection   string
	Organization string
	Issuer       string
	Subject      string // at the identity provider; unique together with Connection
	Email        string
	Name         string
	Access       mapping.Access
	ACR          string    // authentication context class that the identity provider vouched for, or several with spaces between; empty if it named none
	AuthTime     time.Time // when they proved who they are there; zero if it did not say
	Created      time.Time
	Expires      time.Time // absolute
	Token        bool      // it is a program with an API token, whose id SessionID is; nobody can be sent to sign in
	Held         []string  // of an API token: every role of whom it stands for, before its scopes narrowed them

	hash      [32]byte      // of the token
	checked   time.Duration // when the store was asked, since the manager began
	of        *entry        // that remembers it; nil if none does
	shelf     *shelf        // bounds the statements; nil does not
	statement statement     // memo; a Principal is not copied
}

// Client is what a browser tells of itself, for the list of sessions.
type Client struct {
	Address   string
	UserAgent string
}

// storable bounds what a browser claims, and drops what is not text: any byte
// may stand in a header (RFC 9110, section 5.5).
func (c Client) storable() Client {
	const limit = 512
	c.UserAgent = strings.ReplaceAll(strings.ToValidUTF8(c.UserAgent[:min(len(c.UserAgent), limit)], "\ufffd"), "\x00", "\ufffd")
	return c
}
