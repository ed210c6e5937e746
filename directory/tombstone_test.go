package directory

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// TestATombstoneIsTheHashOfAList: those that are stored stay what they are.
func TestATombstoneIsTheHashOfAList(t *testing.T) {
	t.Parallel()
	if got, want := tombstone("acme", "link", "x-é"), "6d1c606fbd6b631cac5ac64532eae5c8aa792d20422fa55f1996825ef03779e6"; got != want {
		t.Fatalf("tombstone = %s, want %s", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"acme", `a","b`, `\`, "\xff", "<"})), 1, 4).Draw(t, "parts")
		text, err := json.Marshal(parts)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		if got, want := tombstone(parts...), hex.EncodeToString(sum[:]); got != want {
			t.Fatalf("tombstone(%q) = %s, want %s", parts, got, want)
		}
	})
}
