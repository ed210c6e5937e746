package scim_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/scim"
)

// TestNoSecretOfOursStandsInTheProvisioningLog: wherever in a request somebody
// puts a live token, administrators and auditors do not read it.
func TestNoSecretOfOursStandsInTheProvisioningLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	journal := r.db.Journal()
	r.serve(func(c *scim.Config) { c.Journal = journal })
	id, client := r.client(nil)
	access := r.want(r.grant("acme", credentials(id, client)), 200).text("access_token")
	escaped := strings.ReplaceAll(r.secret, "_", "%5F")
	// Refused credentials are logged every ten seconds at most.
	asStranger := func(path string) {
		t.Helper()
		r.clock.turn(11 * time.Second)
		r.want(r.sendTo("acme", "", "GET", path, nil), 401)
	}
	asStranger("/Users?access_token=" + r.secret)
	asStranger("/Users?Authorization=Bearer+" + r.secret + "&count=1")
	asStranger("/Users?" + r.secret)
	asStranger("/Users/" + access)
	asStranger("/" + r.secret + "/Users")
	for _, secret := range []string{r.secret, client, access, "pct_" + strings.Repeat("a2", 26), escaped, strings.ToUpper(r.secret), strings.Replace(r.secret, "p", "%70", 1)} {
		r.send("GET", "/Users?filter="+url.QueryEscape(`userName eq "`)+secret+"%22&sortBy=userName", nil)
		r.send("GET", "/Users?count=1;access_token="+secret, nil)
		r.send("GET", "/Users?sortBy="+secret+"&x=%zz"+secret, nil)
	}
	r.send("POST", "/Users", map[string]any{"userName": r.secret, client: access})
	r.send(r.secret, "/Users", nil)
	r.send("PATCH", "/Users/x", `{"Operations":[{"op":"replace","path":"`+access+`","value":"x"}]}`)
	if err := r.handler.(*scim.Endpoint).Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := journal.Journal(t.Context(), scim.JournalQuery{Limit: 100})
	if err != nil || len(entries) != 30 {
		t.Fatalf("%d entries, %v, want 30", len(entries), err)
	}
	for _, e := range entries {
		text, err := url.PathUnescape(e.Method + " " + e.Path + " " + e.Cause + " " + e.Body)
		if err != nil {
			t.Error(err)
		}
		for _, secret := range []string{r.secret, client, access, strings.Repeat("a2", 26)} {
			if hidden := secret[len(secret)-20:]; strings.Contains(strings.ToLower(text), hidden) {
				t.Errorf("the log holds a secret: %s", text)
			}
		}
	}
}

// TestTheProvisioningLogShowsWhatWasAskedFor: of a query the parameters of
// SCIM, as they were sent, and of others that they were there.
func TestTheProvisioningLogShowsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	journal := r.db.Journal()
	r.serve(func(c *scim.Config) { c.Journal = journal })
	var want []string
	for _, tc := range []struct{ sent, logged string }{
		{"/Users", "/Users"},
		{"/Users?filter=userName+eq+%22ada%22&startIndex=1&count=2", "/Users?filter=userName+eq+%22ada%22&startIndex=1&count=2"},
		{"/Users?sortBy=userName&sortOrder=descending&attributes=userName,emails", "/Users?sortBy=userName&sortOrder=descending&attributes=userName,emails"},
		{"/Groups?excludedAttributes=members&cursor", "/Groups?excludedAttributes=members&cursor"},
		{"/Users?api_key=hush&COUNT=1&&%63ount=1&", "/Users?…&COUNT=1&…"},
		{"/Users?count=%zz", "/Users?…"},
		{"/Users?filter=userName+eq+%22pcs_x%22", "/Users?filter=userName+eq+%22pcs_%5Bredacted%5D%22"},
		{"/Users/pcs_x", "/Users/pcs_[redacted]"},
		{"/Users/a_pcs_", "/Users/a_pcs_"},
	} {
		r.send("GET", tc.sent, nil)
		want = append([]string{tc.logged}, want...)
	}
	if err := r.handler.(*scim.Endpoint).Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := journal.Journal(t.Context(), scim.JournalQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Path)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}
