package login_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"portcullis/login"
	"portcullis/trace"
)

// TestExpiredMetadataIsTrustedForAWhile: what an identity provider published of
// itself does not count for ever, wherever it comes from.
func TestExpiredMetadataIsTrustedForAWhile(t *testing.T) {
	for _, from := range []string{"file", "address"} {
		t.Run(from, func(t *testing.T) {
			p := newSAMLIDP(t)
			p.until = time.Now().Add(time.Hour)
			connect := p.connection("acme", nil)
			if from == "address" {
				connect = p.fetched("acme")
			}
			g := newGate(t, connect)
			come := func() page { return newBrowser(t).get(g.public.String() + "/.portcullis/sign-in/acme") }
			for _, tc := range []struct {
				later  time.Duration
				status int
				notes  []trace.Note
			}{
				{0, http.StatusSeeOther, nil},
				{2 * time.Hour, http.StatusSeeOther, []trace.Note{trace.StaleMetadata}},
				{login.MetadataGrace - 2*time.Hour, http.StatusSeeOther, []trace.Note{trace.StaleMetadata}},
				{2 * time.Hour, http.StatusServiceUnavailable, []trace.Note{trace.StaleMetadata}},
			} {
				g.advance(tc.later)
				answer := come()
				if answer.StatusCode != tc.status {
					t.Fatalf("%v later: %d, want %d\n%s", tc.later, answer.StatusCode, tc.status, answer.body)
				}
				if tc.status != http.StatusSeeOther {
					g.refused(t, answer, tc.status, "metadata of the identity provider expired on")
					r := g.traces.last(t)
					if c, ok := check(r, "identity provider"); !ok || c.OK || !slices.Equal(r.Notes, tc.notes) {
						t.Errorf("trace: %v, %v", r.Checks, r.Notes)
					}
				}
			}
			results := g.login.Check(t.Context())
			if !slices.ContainsFunc(results, func(r login.Result) bool { return r.Err != nil }) {
				t.Errorf("results = %+v", results)
			}
		})
	}
}

func TestWhatExpiredMetadataIsSaidToBe(t *testing.T) {
	until := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		now     time.Time
		until   time.Time
		words   string
		expired bool
		broken  bool
	}{
		{until, time.Time{}, "", false, false},
		{until.Add(-time.Second), until, "", false, false},
		{until, until, "it expired on 2026-03-01, and its keys are trusted until 2026-03-08", true, false},
		{until.Add(login.MetadataGrace), until, "it expired on 2026-03-01: its keys are not trusted any more", true, true},
	} {
		r, expired := login.MetadataExpired(tc.until, tc.now)
		if r.Detail != tc.words || expired != tc.expired || (r.Err != nil) != tc.broken {
			t.Errorf("at %v: %+v, %v", tc.now, r, expired)
		}
	}
}

// TestTransientNameIDsAreAnnounced: doctor says so before anybody comes.
func TestTransientNameIDsAreAnnounced(t *testing.T) {
	for name, tc := range map[string]struct {
		formats []string
		change  func(*login.SAML)
		warned  bool
	}{
		"alone":                  {[]string{"urn:oasis:names:tc:SAML:2.0:nameid-format:transient"}, nil, true},
		"alone, and a subject":   {[]string{"urn:oasis:names:tc:SAML:2.0:nameid-format:transient"}, func(s *login.SAML) { s.Subject = "uid" }, false},
		"beside persistent ones": {[]string{"urn:oasis:names:tc:SAML:2.0:nameid-format:transient", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"}, nil, false},
		"nothing said":           {nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newSAMLIDP(t)
			formats := ""
			for _, f := range tc.formats {
				formats += "<NameIDFormat>" + f + "</NameIDFormat>"
			}
			var file string
			g := newGate(t, p.connection("acme", func(s *login.SAML) {
				file = s.MetadataFile
				if tc.change != nil {
					tc.change(s)
				}
			}))
			text := string(p.metadata())
			for strings.Contains(text, "<NameIDFormat>") {
				before, rest, _ := strings.Cut(text, "<NameIDFormat>")
				_, after, _ := strings.Cut(rest, "</NameIDFormat>")
				text = before + after
			}
			before, after, _ := strings.Cut(text, "<SingleSignOnService")
			if err := os.WriteFile(file, []byte(before+formats+"<SingleSignOnService"+after), 0o600); err != nil {
				t.Fatal(err)
			}
			warned := slices.ContainsFunc(g.login.Check(t.Context()), func(r login.Result) bool { return r.Name == "name id" && r.Warning })
			if warned != tc.warned {
				t.Errorf("warned = %v: %+v", warned, g.login.Check(t.Context()))
			}
		})
	}
}
