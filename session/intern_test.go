package session

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portcullis/mapping"
)

// Whoever shares an access with others has exactly their own.
func TestASharedAccessIsOnesOwn(t *testing.T) {
	s := newShared()
	word := rapid.SampledFrom([]string{"", "a", "b", "a b", "[a]", "map[a:b]"})
	words := rapid.SliceOfN(word, 0, 2)
	rapid.Check(t, func(t *rapid.T) {
		a := mapping.Access{
			Login: rapid.Bool().Draw(t, "login"), Roles: words.Draw(t, "roles"), Tasks: words.Draw(t, "tasks"),
			Permissions: mapping.Permissions{AnyOf: []mapping.Where{{
				word.Draw(t, "attribute"): {In: words.Draw(t, "in"), Prefix: word.Draw(t, "prefix"), Not: words.Draw(t, "not")},
			}}},
		}
		own := a
		if diff := cmp.Diff(&a, s.of(&own)); diff != "" {
			t.Fatalf("somebody else's access (-own +given):\n%s", diff)
		}
	})
	for i := range 3 * maxShared {
		s.of(&mapping.Access{Roles: []string{string(rune(i))}})
	}
	if len(s.by) > maxShared {
		t.Errorf("%d are remembered, want %d at most", len(s.by), maxShared)
	}
}

func TestEqualAccessesTakeTheMemoryOfOne(t *testing.T) {
	s := newShared()
	a, b := s.of(&mapping.Access{Roles: []string{"x"}}), s.of(&mapping.Access{Roles: []string{"x"}})
	if &a.Roles[0] != &b.Roles[0] {
		t.Error("two equal accesses, two copies")
	}
}
