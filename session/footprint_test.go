package session_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"portcullis/directory"
	"portcullis/mapping"
	"portcullis/session"
)

// fresh is a store that reads as a database does: everything it gives is new.
type fresh struct {
	*memory
}

func (s fresh) FindSession(ctx context.Context, hash []byte) (session.Row, directory.Standing, error) {
	r, st, err := s.memory.FindSession(ctx, hash)
	for _, text := range []*string{&r.ID, &r.Person, &r.Connection, &st.Person.ID, &st.Person.Connection, &st.Person.Organization, &st.Person.Email, &st.Person.Name, &st.Assertion.Issuer, &st.Assertion.Subject, &st.Assertion.ACR} {
		*text = strings.Clone(*text)
	}
	return r, st, err
}

// What is remembered of a session is small, so that a hundred thousand of them
// fit; and nothing of it grows with the number of others.
func TestASessionTakesLittleMemory(t *testing.T) {
	const many = 20_000
	b := &bubble{t: t, memory: newMemory()}
	p := policyOf(t, rules)
	b.Manager = session.New(session.Config{Store: fresh{b.memory}, Sealer: plain{}, Policy: func() *mapping.Policy { return p }, Foreign: nobodyForeign})
	tokens := make([]string, many)
	for i := range tokens {
		tokens[i] = b.enter(fmt.Sprintf("somebody-with-a-name-%06d", i))
	}
	before := live()
	for _, token := range tokens {
		if _, err := b.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	each := (live() - before) / many
	t.Logf("%d bytes of memory a session", each)
	if cached := b.Stats().Cached; cached != many {
		t.Fatalf("%d sessions are cached, want %d", cached, many)
	}
	if each > 800 { // of which 300 are for those that were used lately
		t.Errorf("a session takes %d bytes, want 800 at most", each)
	}
	runtime.KeepAlive(tokens)
}

// live is the memory that is in use.
func live() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
