package store //nolint:testpackage // what is read of a row is nobody else's

import (
	"encoding/json"
	"strings"
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
	shared, hearing := newWords(), newHearer()
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
		for range 2 { // lists are known the second time
			said, err := hearing.saying(string(stored))
			if diff := cmp.Diff(sayingOf(&want), allSaid(said)); err != nil || diff != "" {
				t.Fatalf("%s: of it facts are made of: %v (-json +by hand):\n%s", stored, err, diff)
			}
		}
	})
}

// heard are sayings with their claims read.
type heard struct {
	directory.Saying

	Read map[string]any
}

// sayingOf is what facts are made of in an assertion.
func sayingOf(a *directory.Assertion) heard {
	return heard{directory.Saying{
		Subject: a.Subject, Groups: a.Groups, GroupsIncomplete: a.GroupsIncomplete, AppRoles: a.AppRoles, UserType: a.UserType, Received: a.Received,
	}, a.Claims}
}

func allSaid(s directory.Saying) heard {
	out := heard{Saying: s}
	if s.Claims != nil {
		out.Read, out.Claims = s.Claims.Claims(), nil
	}
	return out
}

// A list is taken for another one of the same words only where it is the same.
func TestAlikeListsAreKeptOnce(t *testing.T) {
	t.Parallel()
	h := newHearer()
	read := func(groups string) []string {
		s, err := h.saying(`{"Groups":` + groups + `}`)
		if err != nil {
			t.Fatal(err)
		}
		return s.Groups
	}
	a, b := read(`["x","y"]`), read(`["x","y"]`)
	if &a[0] != &b[0] {
		t.Error("two lists that are alike are kept twice")
	}
	for text, want := range map[string][]string{
		`["x"]`: {"x"}, `["x","y","z"]`: {"x", "y", "z"}, `["x\",\"y"]`: {`x","y`}, `["a]","b"]`: {"a]", "b"}, `["a]"]`: {"a]"}, `[]`: {}, `null`: nil, `["]"]`: {"]"},
	} {
		for range 2 {
			if diff := cmp.Diff(want, read(text)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", text, diff)
			}
		}
	}
	// Whatever stands at the place of a hash, only what is the same is taken.
	for _, list := range [][]string{{"x", "z"}, {"x"}, {"x", "y", "z"}, {"xy"}, nil} {
		for place := range h.lists {
			h.lists[place] = list
		}
		if diff := cmp.Diff([]string{"x", "y"}, read(`["x","y"]`)); diff != "" {
			t.Errorf("in the place of %q (-want +got):\n%s", list, diff)
		}
	}
}

// Of whatever stands in a row, encoding/json and the hand read the same.
func FuzzAssertion(f *testing.F) {
	for _, text := range []string{
		`{"Connection":"alpha","Groups":["a","b"],"Claims":{"n":1e3,"l":[1,"x",null,{"y":true}],"\u00fc":"\ud83d\ude00"},"Received":"2026-01-02T03:04:05.678Z"}`,
		`{"Groups":null,"Claims":null,"AppRoles":[],"GroupsIncomplete":true}`, `{"Claims":{"a":1},"Claims":{"b":2}}`, `{"groups":["x"]}`,
		`{"Claims":{"n":01}}`, `{"Claims":{"n":-}}`, `{"Name":"\ud800"}`, `{ "Name":"x"}`, `{"Name":"x"} `, `{}`, `null`, `[`, ``, `{"Received":"2026-1-2T3:4:5Z"}`, `{"Received":"2026-01-02T03:04:05\u005a"}`,
		`{"Claims":{"a":{"b":[[[[[]]]]]}}}`, `{"Claims":{"n":1e999}}`, `{"Name":"12345678"}`, "{\"Name\":\"1234567\x01\"}", "{\"Name\":\"123456\xc3\xa4\"}", `{"Name":"1234567\"8"}`, `{"Claims":{"n":0,"m":12345678901234567890,"k":-1}}`, `{"Name":"x",}`, `{"Groups":["a",]}`, `{"Claims":{"x":tru}}`, "{\"Name\":\"\xff\"}",
	} {
		f.Add(text)
	}
	for at := range 17 { // eight characters are looked at at once
		for _, c := range []string{`\"`, `\\`, `"`, "\x1f", "\x7f", "\x80", "ä", " ", "!", "#", "[", "]"} {
			f.Add(`{"Name":"` + strings.Repeat("a", at) + c + `bc","UserType":"defghijklmnop` + c + `"}`)
		}
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
		gist, err := newHearer().saying(text)
		if diff := cmp.Diff(sayingOf(&want), allSaid(gist)); err != nil || diff != "" {
			t.Errorf("%q: of it facts are made of: %v (-json +by hand):\n%s", text, err, diff)
		}
	})
}
