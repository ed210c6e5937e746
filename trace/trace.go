// Package trace says what happened at an attempt to sign in: each thing that
// was checked, what was wanted and what came, and what the mapping made of it,
// so that "somebody cannot sign in" has an answer. The reference on the error
// page leads to it.
//
// While an attempt runs, a [Builder] in its context collects; the [Writer]
// stores what came out of it afterwards, so that nobody waits for a trace.
//
// Invariants:
//   - A trace holds no secret: no token, code, nonce, state or key. Values of
//     foreign origin pass [Builder], which redacts, bounds and makes printable.
//   - A trace is of bounded size, and an hour keeps a bounded number of them
//     for each connection; what was left out is counted.
//   - A trace decides nothing: an attempt ends the same with or without it.
package trace

import (
	"time"
)

// Keep is how long a trace is kept.
const Keep = 7 * 24 * time.Hour

// Outcome is how an attempt ended.
type Outcome string

// The outcomes.
const (
	SignedIn  Outcome = "signed in"
	Refused   Outcome = "refused"   // by the gate: the answer was wrong, or the person may not enter
	Failed    Outcome = "failed"    // something was away, here or there
	Abandoned Outcome = "abandoned" // nobody came back from the identity provider
	Tested    Outcome = "tested"    // a dry run; nobody signed in
)

// Record is the trace of one attempt.
type Record struct {
	Reference  string // of the request that ended it
	Start      string // of the request that began it; empty if it is not known
	Connection string // empty if there is none of the name that was asked for
	Protocol   string // "oidc" or "saml"; empty without a connection
	Started    time.Time
	Finished   time.Time
	Address    string // of the browser
	Outcome    Outcome
	Reason     string        // what the person was told; empty if they are in
	Cause      string        // what the log says
	Person     string        // id, where the answer led to somebody
	Demand     string        // what a route asked for beyond signing in, in words; empty for nothing
	Key        string        // the key or certificate that the signature matched
	Skew       time.Duration // how far our clock is ahead of the identity provider's
	Measured   bool          // whether Skew is known
	Checks     []Check       // in the order in which they were made
	Claims     []Field       // what the identity provider said, redacted
	Facts      []Field       // what the gate read out of it
	Decision   *Decision     // what the mapping made of the facts; nil if it did not come to that
	Notes      []Note        // what an administrator should look at
}

// Check is one thing that was looked at.
type Check struct {
	Name string
	OK   bool
	Want string
	Got  string
}

// Field is a claim, an attribute or a fact.
type Field struct {
	Name   string
	Values []string
	More   int // values that are left out
}

// Decision is what the mapping grants, or why it does not.
type Decision struct {
	Login            bool
	Verdict          string // how it was decided
	Reason           string // what the person is told if they may not come in
	Roles            []string
	Tasks            []string
	PermissionGroups []string
	Permissions      []string // which data, in words
	Rules            []string // ids of the rules that matched
	NearMisses       []string // rules that almost matched, and what they lack
}

// Note is a habit of an identity provider that brings trouble.
type Note string

// The notes.
const (
	NoGroups        Note = "no groups claim came"
	Overage         Note = "the identity provider left groups out (overage)"
	SHA1            Note = "a signature rests on SHA-1"
	TransientNameID Note = "the NameID is transient, so nobody is known again: name an attribute in subject"
	StaleMetadata   Note = "the metadata of the identity provider has expired"
	EmailAsKey      Note = "people are keyed on an e-mail address, which changes hands"
)

// Class says what stands behind a trace: each has its own share of an hour,
// so that strangers at the door do not crowd out those who are known.
type Class string

// The classes.
const (
	Stranger Class = "stranger" // anybody may have sent this
	Vouched  Class = "vouched"  // an identity provider signed for somebody who did not get in
	Inside   Class = "inside"   // somebody signed in
)

// Class gives the class of a record.
func (r *Record) Class() Class {
	switch {
	case r.Outcome == SignedIn || r.Outcome == Tested:
		return Inside
	case len(r.Facts) > 0:
		return Vouched
	default:
		return Stranger
	}
}

// In reports whether the attempt did what it was made for.
func (r *Record) In() bool { return r.Outcome == SignedIn || r.Outcome == Tested }
