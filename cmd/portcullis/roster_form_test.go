package main

import (
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// What is wrong in a form stands at the field, under the label that the form
// shows, beside what was typed; no key of the configuration is left in it.
func TestAMistakeStandsAtItsField(t *testing.T) {
	w := newWorld(t, terrain{mapping: rosterMapping})
	w.start(t)
	ada := w.administrator(t)
	const at = "/.portcullis/admin"
	whole := url.Values{"id": {"omega"}, "organization": {"Omega"}, "protocol": {"oidc"}, "provisioning": {"jit"}, "link": {"externalId"}, "scim": {"yes"}}
	send := func(page string, fields url.Values) screen {
		t.Helper()
		if m := regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(ada.open(t, at+page).body); m != nil {
			fields.Set("version", m[1])
		}
		page = strings.Replace(strings.Replace(page, "/new-connection", "/connections", 1), "/setup", "/provider", 1)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ada.absolute(at+page), strings.NewReader(fields.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html", "Sec-Fetch-Mode": "navigate"} {
			req.Header.Set(name, value)
		}
		return ada.do(t, req)
	}
	if s := send("/new-connection", maps.Clone(whole)); s.status != http.StatusOK || !strings.HasSuffix(s.url.Path, "/omega/setup") {
		t.Fatalf("making it: %d at %s", s.status, s.url)
	}
	label := func(page, field string) string {
		m := regexp.MustCompile(`<label for="` + field + `">([^<]+)</label>`).FindStringSubmatch(page)
		if m == nil {
			return "no label of " + field
		}
		return m[1]
	}
	wire := regexp.MustCompile(`[a-z]+(_[a-z]+)+|[a-z]\[\d+\]|\b(oidc|saml|scim|claims|guard)\.[a-z]|enabled: true`)
	for _, tc := range []struct {
		page, field, sent, text string
		more                    url.Values
	}{
		{"/new-connection", "id", "omega", "already", url.Values{"organization": {"Other"}}},
		{"/new-connection", "id", "No id!", "want", url.Values{"organization": {"Other"}}},
		{"/new-connection", "domains", "alpha.example", "Alpha", url.Values{"id": {"other"}, "organization": {"Other"}}},
		{"/connections/omega/settings", "addresses", "10.0.0.1/8", "10.0.0.1/8", nil},
		{"/connections/omega/settings", "link", "badge", "want", nil},
		{"/connections/omega/settings", "provisioning", "scim", "pushes people and groups", url.Values{"scim": {""}}},
		{"/connections/omega/settings", "unitAttribute", "no such name!", "want", nil},
		{"/connections/omega/settings", "unitAttribute", "division", "pushes people and groups", url.Values{"scim": {""}}},
		{"/connections/omega/settings", "scimAttributes", "cost=money", "want", nil},
		{"/connections/omega/settings", "guardPercent", "101", "want", nil},
		{"/connections/omega/settings", "guardPeople", "many", "want", nil},
		{"/connections/omega/settings", "subjectFrom", "oid", "want", nil},
		{"/connections/omega/settings", "groupsFrom", "a, b", "want", nil},
		{"/connections/omega/setup", "issuer", "http://x.example", "want", url.Values{"clientId": {"x"}, "authentication": {"public"}}},
		{"/connections/omega/setup", "issuer", "https://login.microsoftonline.com/common/v2.0", "own issuer", url.Values{"clientId": {"x"}, "authentication": {"public"}}},
		{"/connections/omega/setup", "clientSecret", "", "missing", url.Values{"clientId": {"x"}, "issuer": {"https://idp.example"}, "authentication": {"secret"}}},
		{"/connections/omega/setup", "secretExpires", "soon", "want", url.Values{"clientId": {"x"}, "issuer": {"https://idp.example"}, "authentication": {"secret"}, "clientSecret": {"s"}}},
	} {
		fields := url.Values{}
		if !strings.HasSuffix(tc.page, "/setup") {
			maps.Copy(fields, whole)
		}
		if tc.page == "/connections/omega/settings" {
			fields.Del("id")
		}
		maps.Copy(fields, tc.more)
		fields.Set(tc.field, tc.sent)
		s := send(tc.page, fields)
		page := html.UnescapeString(s.body)
		what := tc.field + " of " + tc.page + " as " + tc.sent
		alert := regexp.MustCompile(`(?s)<div class="notice" role="alert">(.*?)</div>`).FindString(page)
		said := regexp.MustCompile(`(?s)<span class="wrong" id="` + tc.field + `-wrong">(.*?)</span>`).FindString(page)
		if s.status != http.StatusOK || !strings.Contains(alert, `<a href="#`+tc.field+`">`+label(page, tc.field)+`</a>`) {
			t.Errorf("%s: %d, the summary is %q, want the label %q with a link", what, s.status, alert, label(page, tc.field))
		}
		for _, text := range []string{alert, said} {
			if !strings.Contains(strings.ToLower(text), strings.ToLower(tc.text)) || wire.MatchString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(text, "")) {
				t.Errorf("%s: %q, want %q and no key", what, text, tc.text)
			}
		}
		control := regexp.MustCompile(`<(input|select|textarea) id="` + tc.field + `"[^>]*>`).FindString(page)
		if !strings.Contains(control, `aria-invalid="true" aria-describedby="`+tc.field+`-wrong`) {
			t.Errorf("%s: %s, want it to be marked", what, control)
		}
		if kept := tc.sent; kept != "" && tc.field != "provisioning" && !strings.Contains(page, kept) {
			t.Errorf("%s: what was typed is gone", what)
		}
		if tc.page == "/connections/omega/settings" && !strings.Contains(page, `value="Omega"`) {
			t.Errorf("%s: the rest of what was typed is gone", what)
		}
	}
}
