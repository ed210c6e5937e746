package store_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"portcullis/store"
)

// The addresses beside the main one are those that somebody finds who reads the whole
// resource, however they are written and whatever stands beside them.
func TestOtherEmailsAreThoseOfTheResource(t *testing.T) {
	text := rapid.SampledFrom([]string{"", "a@x.example", "A@x.example", "b@x.example", `"value":"a@x.example"`, "]", "}{", `\"`, "é@x.example"})
	rapid.Check(t, func(t *rapid.T) {
		main := text.Draw(t, "main")
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) map[string]any {
			address := map[string]any{}
			for _, name := range []string{"value", "display", "type"} {
				if rapid.Bool().Draw(t, name+" is there") {
					address[name] = text.Draw(t, name)
				}
			}
			return address
		}), 0, 3).Draw(t, "addresses")
		resource, err := json.Marshal(map[string]any{"displayName": text.Draw(t, "name"), "emails": list, "userName": text.Draw(t, "userName")})
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, address := range list {
			value, _ := address["value"].(string)
			if key := strings.ToLower(value); key != "" && key != strings.ToLower(main) {
				want = append(want, key)
			}
		}
		if got := store.OtherEmails(string(resource), main); !slices.Equal(got, want) {
			t.Fatalf("beside %q in %s: %q, want %q", main, resource, got, want)
		}
	})
}
