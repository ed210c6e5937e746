package admin_test

import (
	"crypto/sha256"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"portcullis/admin"
	"portcullis/mapping"
	"portcullis/store/storetest"
	"portcullis/trace"
)

var begun = regexp.MustCompile(`href="https://gate\.example/\.portcullis/test-sign-in/(\w+)"[^>]* data-popup="[^"]*/tests/(\w+)"`)

// opened begins a dry run at a page of a connection and opens its link, as
// whoever is sent to the identity provider does.
func (s *somebody) opened(at string) (test string) {
	s.w.t.Helper()
	res := s.form(at + "/tests")
	m := begun.FindStringSubmatch(res.text)
	if m == nil {
		s.w.t.Fatalf("beginning a test: %d %s", res.StatusCode, res.text)
	}
	link := sha256.Sum256([]byte(m[1]))
	if _, err := s.w.db.Login().OpenTest(s.w.t.Context(), link[:], s.w.now); err != nil {
		s.w.t.Fatal(err)
	}
	return m[2]
}

// Of an error page of the provider's own the gate hears nothing. Whoever waits
// is told so, with what to hold against what stands there.
func TestWhoIsKeptAtTheProviderIsToldWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		protocol string
		want     []string
	}{
		"oidc": {admin.OverOIDC, []string{
			"AADSTS50011", "<code data-copy>https://gate.example/.portcullis/oidc/acme/callback</code>", "<code data-copy>the-client</code>",
			"<code data-copy>https://idp.example/acme</code>",
		}},
		"saml": {admin.OverSAML, []string{
			"AADSTS700016", "<code data-copy>https://gate.example/.portcullis/saml/acme/acs</code>", "<code data-copy>urn:our:entity</code>",
			"<code data-copy>urn:their:entity</code>", "<code data-copy>https://idp.example/metadata</code>",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, storetest.SQLite(t))
			s := w.signIn("staff", "ada", mapping.GateConnectionsEdit)
			c := &w.ways.list[1]
			c.Protocol, c.Preset, c.ClientID = tc.protocol, "entra", "the-client"
			if tc.protocol == admin.OverSAML {
				c.EntityID, c.MetadataURL, w.ways.trust = "urn:our:entity", "https://idp.example/metadata", admin.Trust{EntityID: "urn:their:entity"}
			}
			at := "/connections/acme"
			test := s.opened(at)
			shown := func() string { return s.page(at + "/tests/" + test).text }
			const stranded = "has not sent anybody back"
			w.now = w.now.Add(admin.StrandedAfter - time.Second)
			if page := shown(); !strings.Contains(page, "is at the identity provider") || strings.Contains(page, stranded) {
				t.Errorf("within the first minute: %s", page)
			}
			w.now = w.now.Add(time.Second)
			page := shown()
			for _, want := range append(tc.want, stranded, "Somebody may still be typing there", `data-poll="2"`) {
				if !strings.Contains(page, want) {
					t.Errorf("after a minute the page lacks %q", want)
				}
			}
			var told struct {
				Done   bool
				Opened time.Time
				Causes []struct{ Text string }
			}
			if s.call(http.MethodGet, at+"/tests/"+test, "", &told); told.Done || len(told.Causes) < 3 || told.Opened.IsZero() {
				t.Errorf("the API says %+v", told)
			}
			var answer any
			s.call(http.MethodGet, at+"/tests/"+test, "", &answer)
			d := openAPI(t)
			for _, wrong := range d.against(d.Paths["/connections/{connection}/tests/{test}"]["get"].Responses["200"].Content["application/json"].Schema, answer, "answer") {
				t.Error(wrong)
			}
			w.now = w.now.Add(10 * time.Minute)
			if page := shown(); !strings.Contains(page, "is too late: test again") {
				t.Errorf("after the attempt's end: %s", page)
			}
			r := trace.Begin(trace.Record{Reference: "T", Connection: "acme"}).End(w.now, trace.Tested, "", "")
			if err := finish(t.Context(), w.db.Login(), test, r); err != nil {
				t.Fatal(err)
			}
			if page := shown(); strings.Contains(page, stranded) || !strings.Contains(page, "would succeed") {
				t.Errorf("after somebody came back: %s", page)
			}
		})
	}
}

// What stands in a connection is text there, too, and what is waited for is
// told to nobody of another connection.
func TestHostileConnectionsAreTextWhileSomebodyIsAway(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t))
	s := w.signIn("staff", "ada", mapping.GateConnectionsEdit)
	test := s.opened("/connections/acme")
	w.now = w.now.Add(admin.StrandedAfter)
	for name, text := range hostile {
		for _, protocol := range []string{admin.OverOIDC, admin.OverSAML} {
			c := &w.ways.list[1]
			c.Protocol, c.ClientID, c.Issuer, c.EntityID, c.MetadataURL = protocol, text, text, text, text
			w.ways.trust = admin.Trust{EntityID: text}
			res := s.page("/connections/acme/tests/" + test)
			if found := foreign(res.text); res.StatusCode != http.StatusOK || found != nil {
				t.Errorf("%s, %s: %d, the page holds %q", name, protocol, res.StatusCode, found)
			}
		}
	}
	if got := s.call(http.MethodGet, "/connections/beta/tests/"+test, "", nil); got != http.StatusNotFound {
		t.Errorf("as a test of another connection: %d, want 404", got)
	}
}
