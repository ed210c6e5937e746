package session

import (
	"encoding/binary"
	"math"
	"strings"
	"sync/atomic"
	"time"
	"unique"

	"portcullis/mapping"
)

// entry is a verified session as it is remembered: a [Principal] in a fraction
// of its memory, for there may be a hundred thousand of them.
type entry struct {
	hash    [32]byte // of the token
	words   string   // what is said of this one alone: session and person id, subject, e-mail and name, one behind the other
	ends    [4]uint16
	token   bool  // it is an API token
	at      int32 // in all of the cache, whose lock holds for it
	place   unique.Handle[place]
	access  *mapping.Access // perhaps shared with others
	policy  *mapping.Policy // that access was computed from
	created int64           // microseconds since 1970, as all that follow
	expires int64
	proved  int64         // AuthTime
	checked time.Duration // when the store was asked, since the manager began

	seen    atomic.Int64 // last use, nanoseconds since 1970
	written atomic.Int64 // the last use that was written down

	hot atomic.Pointer[Principal] // while it was used lately

	next, before *entry // of the same person; the cache's lock holds for them
}

// place is what many sessions have in common.
type place struct{ connection, organization, issuer, acr, held string }

// held is the roles of whom an API token stands for as one word; no name holds
// what is between them.
const heldBetween = "\x00"

// maxWords bounds what is remembered of one session, in bytes; who needs more
// is read from the store each time.
const maxWords = math.MaxUint16

// newEntry remembers a principal, whose access may be in memory already.
func newEntry(p *Principal, access *mapping.Access, policy *mapping.Policy) *entry {
	e := &entry{
		hash: p.hash, token: p.Token, place: unique.Make(place{p.Connection, p.Organization, p.Issuer, p.ACR, strings.Join(p.Held, heldBetween)}), access: access, policy: policy,
		created: p.Created.UnixMicro(), expires: p.Expires.UnixMicro(), proved: p.AuthTime.UnixMicro(), checked: p.checked,
	}
	e.words = strings.Join([]string{p.SessionID, p.PersonID, p.Subject, p.Email, p.Name}, "")
	end := 0
	for i, word := range []string{p.SessionID, p.PersonID, p.Subject, p.Email} {
		end += len(word)
		e.ends[i] = uint16(min(end, maxWords))
	}
	p.of = e
	e.hot.Store(p)
	if p.shelf != nil {
		p.shelf.put(p, 0)
	}
	return e
}

// fits reports whether an entry remembers all of its principal.
func (e *entry) fits() bool { return len(e.words) <= maxWords }

func (e *entry) sessionID() string { return e.words[:e.ends[0]] }
func (e *entry) personID() string  { return e.words[e.ends[0]:e.ends[1]] }

// principal gives the principal that is remembered.
func (e *entry) principal(s *shelf) *Principal {
	if p := e.hot.Load(); p != nil {
		return p
	}
	at := e.place.Value()
	p := &Principal{
		SessionID: e.sessionID(), PersonID: e.personID(), Subject: e.words[e.ends[1]:e.ends[2]], Email: e.words[e.ends[2]:e.ends[3]], Name: e.words[e.ends[3]:],
		Connection: at.connection, Organization: at.organization, Issuer: at.issuer, ACR: at.acr, Access: *e.access,
		Created: time.UnixMicro(e.created).UTC(), Expires: time.UnixMicro(e.expires).UTC(), AuthTime: time.UnixMicro(e.proved).UTC(), Token: e.token,
		hash: e.hash, checked: e.checked, shelf: s, of: e,
	}
	if at.held != "" {
		p.Held = strings.Split(at.held, heldBetween)
	}
	if !e.hot.CompareAndSwap(nil, p) {
		if other := e.hot.Load(); other != nil {
			return other
		}
	}
	s.put(p, 0)
	return p
}

// key is where an entry is looked up by its hash. Two may have one key: then
// one of them is not remembered.
func key(hash [32]byte) uint64 { return binary.LittleEndian.Uint64(hash[:]) }
