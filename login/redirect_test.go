package login_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
)

// Every target of the corpus goes through everything that sends a browser on.
// Where it leads stands in the file, from an independent implementation of
// the URL Standard (e2e/redirects.mjs).
func TestNobodyIsSentElsewhere(t *testing.T) {
	text, err := os.ReadFile("../web/testdata/redirects.json")
	if err != nil {
		t.Fatal(err)
	}
	var corpus []struct{ Target, Leads string }
	if err := json.Unmarshal(text, &corpus); err != nil {
		t.Fatal(err)
	}
	p := newIDP(t)
	p.metadata = func(doc map[string]any) { delete(doc, "end_session_endpoint") }
	g := newGate(t, nil, p)
	b := newBrowser(t)
	for _, tc := range corpus {
		query := "?" + url.Values{"return_to": {tc.Target}}.Encode()
		ours := tc.Leads == "https://gate.example"
		stays := func(what, location string) {
			t.Helper()
			location = strings.TrimPrefix(location, g.public.String())
			if !ours && location != "/" || !strings.HasPrefix(location, "/") || strings.HasPrefix(location, "//") || strings.HasPrefix(location, "/\\") {
				t.Errorf("%s of %q leads to %q", what, tc.Target, location)
			}
		}
		stays("sign-in", b.signIn(g, "/.portcullis/sign-in/acme"+query).Header.Get("Location"))
		stays("the choice, signed in", b.get(g.public.String()+"/.portcullis/sign-in"+query).Header.Get("Location"))
		form := url.Values{"return_to": {tc.Target}}
		out := b.do(http.MethodPost, g.public.String()+"/.portcullis/sign-out", form, "Origin", g.public.String(), "Sec-Fetch-Site", "same-origin")
		back, err := url.Parse(out.Header.Get("Location"))
		if err != nil || back.Path != "/.portcullis/sign-out" || back.Host != "" && back.Host != g.public.Host {
			t.Fatalf("sign-out leads to %q", out.Header.Get("Location"))
		}
		if again := back.Query().Get("return_to"); again != "" {
			stays("sign-out", again)
		}
		state := base64.RawURLEncoding.EncodeToString([]byte(tc.Target))
		stays("what an identity provider sends back", linkOf(t, b.get(g.public.String()+"/.portcullis/sign-out?state="+state).body))
	}
}

// linkOf is where the button of a page leads.
func linkOf(t *testing.T, body string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, `<a class="button" href="`)
	if !ok {
		t.Fatalf("no button on:\n%s", body)
	}
	link, _, _ := strings.Cut(rest, `"`)
	return strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(link)
}
