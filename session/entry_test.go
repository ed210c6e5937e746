package session

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"portcullis/mapping"
)

// What is remembered of a principal is all of it, whoever made it and however
// long ago it was used.
func TestAnEntryIsItsPrincipal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word, at := rapid.String(), rapid.Custom(func(t *rapid.T) time.Time {
			return rapid.SampledFrom([]time.Time{{}, time.UnixMicro(rapid.Int64Range(-1<<50, 1<<53).Draw(t, "at")).UTC()}).Draw(t, "time")
		})
		p := &Principal{
			SessionID: word.Draw(t, "session"), PersonID: word.Draw(t, "person"), Connection: word.Draw(t, "connection"),
			Organization: word.Draw(t, "organization"), Issuer: word.Draw(t, "issuer"), Subject: word.Draw(t, "subject"),
			Email: word.Draw(t, "email"), Name: word.Draw(t, "name"), ACR: word.Draw(t, "acr"), Token: rapid.Bool().Draw(t, "token"),
			Access:  mapping.Access{Login: true, Roles: []string{word.Draw(t, "role")}},
			Created: at.Draw(t, "created"), Expires: at.Draw(t, "expires"), AuthTime: at.Draw(t, "proved"), checked: time.Second,
		}
		e, s := newEntry(p, &p.Access, nil), newShelf()
		if e.principal(s) != p {
			t.Fatal("another principal than the one that was just made")
		}
		e.hot.Store(nil)
		again := e.principal(s)
		if diff := cmp.Diff(p, again, cmpopts.IgnoreUnexported(Principal{})); diff != "" {
			t.Fatalf("(-first +later):\n%s", diff)
		}
		if again.hash != p.hash || again.checked != p.checked || again.of != e || e.principal(s) != again {
			t.Fatal("the principal is not the one of its entry, or is made each time")
		}
	})
}

// Principals that were not used lately are not kept, and come again when they
// are asked for.
func TestOnlySomePrincipalsAreKept(t *testing.T) {
	s := newShelf()
	entries := make([]*entry, 2*maxHot)
	for i := range entries {
		entries[i] = newEntry(&Principal{SessionID: string(rune(i)), shelf: s}, &mapping.Access{}, nil)
	}
	hot := 0
	for _, e := range entries {
		if e.hot.Load() != nil {
			hot++
		}
	}
	for i, e := range entries {
		if id := e.principal(s).SessionID; id != string(rune(i)) {
			t.Fatalf("session %d is %q", i, id)
		}
	}
	if hot != maxHot || s.hot > maxHot {
		t.Errorf("%d principals were kept and %d counted, want %d", hot, s.hot, maxHot)
	}
}

// Two ids with one place in the tables never stand for each other.
func TestWhatCollidesIsForgotten(t *testing.T) {
	c := newCache(maxEntries)
	a := newEntry(&Principal{SessionID: "a", PersonID: "p", hash: [32]byte{1, 31: 1}}, &mapping.Access{}, nil)
	b := newEntry(&Principal{SessionID: "b", PersonID: "q", hash: [32]byte{1, 31: 2}}, &mapping.Access{}, nil)
	c.put(a, 0)
	c.put(b, 0)
	if c.get(a.hash) != nil || c.get(b.hash) != b || c.session("a") != nil || c.session("b") != b || len(c.people) != 1 {
		t.Error("one stands for the other, or something of it is left")
	}
}
