package store //nolint:testpackage // what is read of a row is nobody else's

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"portcullis/directory"
)

// What is stored is read as encoding/json reads it, and by hand.
func TestAnAssertionIsReadByHand(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "x", "group", "ü", "<b>", "\x00", "\xff", `"\`}))
	value := rapid.Deferred(func() *rapid.Generator[any] {
		scalar := rapid.OneOf(rapid.Map(text, func(s string) any { return s }), rapid.Map(rapid.Float64(), func(f float64) any { return f }),
			rapid.Map(rapid.Bool(), func(b bool) any { return b }), rapid.Just[any](nil), rapid.Map(rapid.Int(), func(n int) any { return n }))
		list := rapid.Map(rapid.SliceOfN(scalar, 0, 3), func(l []any) any { return l })
		object := rapid.Map(rapid.MapOfN(text, rapid.OneOf(scalar, list), 0, 3), func(m map[string]any) any { return m })
		return rapid.OneOf(scalar, list, object)
	})
	shared := newWords()
	rapid.Check(t, func(t *rapid.T) {
		a := directory.Assertion{
			Connection: text.Draw(t, "connection"), Subject: text.Draw(t, "subject"), Name: text.Draw(t, "name"), Email: text.Draw(t, "email"),
			Groups: rapid.SliceOf(text).Draw(t, "groups"), GroupsIncomplete: rapid.Bool().Draw(t, "incomplete"), UserType: text.Draw(t, "type"),
			Claims: rapid.MapOfN(text, value, 0, 12).Draw(t, "claims"), Received: time.UnixMicro(rapid.Int64Range(0, 1<<50).Draw(t, "received")).UTC(),
		}
		stored, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		s := scanner{text: string(stored), words: shared}
		got, ok := s.assertion()
		want, err := readAssertion(string(stored))
		if diff := cmp.Diff(want, got); !ok || err != nil || diff != "" {
			t.Fatalf("%s: by hand: %v, %v (-json +by hand):\n%s", stored, ok, err, diff)
		}
	})
}

// Of whatever stands in a row, encoding/json and the hand read the same.
func FuzzAssertion(f *testing.F) {
	for _, text := range []string{
		`{"Connection":"alpha","Groups":["a","b"],"Claims":{"n":1e3,"l":[1,"x",null,{"y":true}],"\u00fc":"\ud83d\ude00"},"Received":"2026-01-02T03:04:05.678Z"}`,
		`{"Groups":null,"Claims":null,"AppRoles":[],"GroupsIncomplete":true}`, `{"Claims":{"a":1},"Claims":{"b":2}}`, `{"groups":["x"]}`,
		`{"Claims":{"n":01}}`, `{"Claims":{"n":-}}`, `{"Name":"\ud800"}`, `{ "Name":"x"}`, `{"Name":"x"} `, `{}`, `null`, `[`, ``, `{"Received":"2026-1-2T3:4:5Z"}`,
		`{"Claims":{"a":{"b":[[[[[]]]]]}}}`, `{"Claims":{"n":1e999}}`, `{"Name":"x",}`, `{"Groups":["a",]}`, `{"Claims":{"x":tru}}`, "{\"Name\":\"\xff\"}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, bad := readAssertion(text)
		got, err := newWords().assertion(text)
		if (bad == nil) != (err == nil) {
			t.Fatalf("%q: by hand %v, by encoding/json %v", text, err, bad)
		}
		if bad != nil {
			return
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-json +by hand):\n%s", text, diff)
		}
	})
}
