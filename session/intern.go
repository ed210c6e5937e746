package session

import (
	"fmt"
	"hash/maphash"
	"reflect"
	"sync"

	"portcullis/mapping"
)

// maxShared bounds the accesses that are remembered for others to share.
const maxShared = 4096

// shared gives people who may do the same one Access in memory: what a mapping
// grants is many times larger than a session, and most people of a client have
// it in common. An Access is immutable once it is computed.
type shared struct {
	mu   sync.Mutex
	seed maphash.Seed
	by   map[uint64]*mapping.Access
}

func newShared() *shared {
	return &shared{seed: maphash.MakeSeed(), by: make(map[uint64]*mapping.Access)}
}

// of gives an access that is deeply equal to a, and perhaps somebody else's: then
// a becomes that.
func (s *shared) of(a *mapping.Access) *mapping.Access {
	// The print is only where to look: what decides is the comparison.
	at := maphash.String(s.seed, fmt.Sprint(*a))
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.by[at]; ok && reflect.DeepEqual(known, a) {
		*a = *known
		return known
	}
	if len(s.by) >= maxShared {
		clear(s.by)
	}
	own := *a
	s.by[at] = &own
	return &own
}
