package telemetry

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func tracer(t *testing.T) *Tracer {
	t.Helper()
	made, err := New(t.Context(), Config{Endpoint: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, Connections: []string{"acme"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := made.Close(t.Context()); err != nil {
			t.Log(err) // the test is over, and so is its context
		}
	})
	return made
}

func TestPlacesAreNamedByTheirRoute(t *testing.T) {
	made := tracer(t)
	for path, want := range map[string]place{
		"/":                                 {room: "portal"},
		"/reset/secret":                     {room: "portal"},
		"/.portcullisx":                     {"gate", "/.portcullis/…", ""},
		"/.portcullis/whoami":               {"gate", "/.portcullis/whoami", ""},
		"/.portcullis/auth/reset/secret":    {"auth", "/.portcullis/auth", ""},
		"/.portcullis/sign-in":              {"sign-in", "/.portcullis/sign-in", ""},
		"/.portcullis/sign-in/acme":         {"sign-in", "/.portcullis/sign-in/{connection}", "acme"},
		"/.portcullis/test-sign-in/secret":  {"sign-in", "/.portcullis/test-sign-in/…", ""},
		"/.portcullis/oidc/acme/callback":   {"sign-in", "/.portcullis/oidc/{connection}/callback", "acme"},
		"/.portcullis/saml/secret/acs":      {"sign-in", "/.portcullis/saml/{connection}/acs", "other"},
		"/scim/v2/acme/Users/secret":        {"scim", "/scim/v2/{connection}/Users/{id}", "acme"},
		"/scim/v2/acme/Users/.search":       {"scim", "/scim/v2/{connection}/Users/.search", "acme"},
		"/scim/v2/acme/secret/secret/secre": {"scim", "/scim/v2/{connection}/…/{id}/…", "acme"},
	} {
		if got := made.place(path); got != want {
			t.Errorf("place(%q) = %+v, want %+v", path, got, want)
		}
	}
}

// Whatever strangers ask for, a span is called one of a few things.
func TestNoNameIsMadeOfWhatStrangersSend(t *testing.T) {
	made := tracer(t)
	words := slices.Concat(ownSteps, pushSteps, []string{"", ".portcullis", "scim", "v2", "{connection}", "{id}", "…"})
	rapid.Check(t, func(t *rapid.T) {
		step := rapid.OneOf(rapid.SampledFrom(words), rapid.String())
		path := rapid.SampledFrom([]string{"/", "/scim/v2/", "/.portcullis/", "/.portcullis"}).Draw(t, "begin") + strings.Join(rapid.SliceOfN(step, 0, 6).Draw(t, "steps"), "/")
		p := made.place(path)
		steps := strings.Split(p.route, "/")
		if len(steps) > 8 {
			t.Fatalf("%q has the route %q", path, p.route)
		}
		for _, s := range steps {
			if !slices.Contains(words, s) {
				t.Fatalf("%q has the route %q", path, p.route)
			}
		}
		if p.connection != "" && p.connection != "acme" && p.connection != "other" {
			t.Fatalf("%q is of the connection %q", path, p.connection)
		}
	})
}
