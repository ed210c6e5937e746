package demo_test

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/demo"
	"portcullis/saml"
)

// gateKey makes the gate's key once: it takes a while.
var gateKey = sync.OnceValues(func() (*saml.KeyPair, error) { return saml.NewKeyPair("gate", time.Now(), time.Hour) })

// federation is Gamma's provider and a gate that shows its metadata.
type federation struct {
	idp     *httptest.Server
	gate    *saml.ServiceProvider
	acs     string
	browser *http.Client
}

// federate begins with the gate's metadata served and the provider's read, as
// operators do it. encrypt says whether the gate's has a key to encrypt for.
func federate(t *testing.T, encrypt bool) *federation {
	t.Helper()
	f := &federation{}
	sp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b, err := f.gate.Metadata(saml.OwnMetadata{})
		if err != nil {
			t.Error(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(sp.Close)
	var handler http.Handler
	f.idp = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r) }))
	t.Cleanup(f.idp.Close)
	company := demo.Companies()[2]
	handler = demo.NewIDP(demo.IDPConfig{
		Issuer: f.idp.URL, Company: company.Name, Domain: company.Domain, People: company.People, Groups: company.Groups,
		SAML: demo.SAMLConfig{MetadataURL: sp.URL + "/metadata"},
	})
	m, err := saml.ReadMetadata([]byte(get(t, http.DefaultClient, f.idp.URL+"/saml/metadata").body), saml.MetadataOptions{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := gateKey()
	if err != nil {
		t.Fatal(err)
	}
	f.acs = sp.URL + "/acs"
	c := saml.Config{EntityID: sp.URL + "/metadata", ACS: f.acs, SLO: sp.URL + "/slo", IDP: m.IDP, Signing: []saml.KeyPair{*pair}}
	if encrypt {
		c.Decryption = c.Signing
	}
	if f.gate, err = saml.New(c); err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	f.browser = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return f
}

// answer is what came, redirects not followed.
type answer struct {
	status int
	to     *url.URL // nil unless it is a redirect
	body   string
}

func get(t *testing.T, c *http.Client, address string) answer {
	t.Helper()
	return send(t, c, http.MethodGet, address, nil)
}

func press(t *testing.T, c *http.Client, address string, form url.Values) answer {
	t.Helper()
	return send(t, c, http.MethodPost, address, form)
}

func send(t *testing.T, c *http.Client, method, address string, form url.Values) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: res.StatusCode, body: string(b)}
	if to, err := res.Location(); err == nil {
		a.to = to
	}
	return a
}

// signIn picks a person and gives the gate's request and the form that comes
// back.
func (f *federation) signIn(t *testing.T, person string) (request, page string) {
	t.Helper()
	out, err := f.gate.MakeAuthnRequest(saml.AuthnRequest{RelayState: `a"b`})
	if err != nil {
		t.Fatal(err)
	}
	if picker := get(t, f.browser, out.URL).body; !strings.Contains(picker, "Ines Ivy") || !strings.Contains(picker, "SAML 2.0") {
		t.Fatalf("the sign-in page:\n%s", picker)
	}
	return out.ID, press(t, f.browser, out.URL, url.Values{"person": {person}}).body
}

func field(t *testing.T, page, name string) string {
	t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no field %s in\n%s", name, page)
	}
	return html.UnescapeString(m[1])
}

func TestSAMLSignsInWhomIsPicked(t *testing.T) {
	t.Parallel()
	for name, encrypt := range map[string]bool{"encrypted": true, "signed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := federate(t, encrypt)
			request, page := f.signIn(t, "ines")
			if !strings.Contains(page, `action="`+f.acs+`"`) || field(t, page, "RelayState") != `a"b` {
				t.Errorf("the answer's form:\n%s", page)
			}
			st, checks, err := f.gate.Response(field(t, page, "SAMLResponse"), saml.Expect{RequestID: request})
			if err != nil {
				t.Fatalf("Response: %v\n%+v", err, checks)
			}
			if st.NameID != "gamma-ines" || !strings.HasSuffix(st.NameIDFormat, ":persistent") || st.SessionIndex == "" {
				t.Errorf("NameID %q of format %q, session %q", st.NameID, st.NameIDFormat, st.SessionIndex)
			}
			want := map[string][]string{"email": {"ines@gamma.example"}, "displayName": {"Ines Ivy"}, "groups": {"Portfolio-Managers"}}
			if diff := cmp.Diff(want, st.Attributes); diff != "" {
				t.Errorf("attributes (-want +got):\n%s", diff)
			}
			decrypted := slices.ContainsFunc(checks, func(c saml.Check) bool { return c.Name == "decryption" })
			if decrypted != encrypt {
				t.Errorf("decrypted = %v, want %v: %+v", decrypted, encrypt, checks)
			}
			if _, page = f.signIn(t, "lea"); strings.Contains(page, `value=""`) {
				t.Errorf("the answer about somebody in no group:\n%s", page)
			}
		})
	}
}

func TestSAMLAnswersOnlyTheGate(t *testing.T) {
	t.Parallel()
	f := federate(t, true)
	out, err := f.gate.MakeAuthnRequest(saml.AuthnRequest{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := saml.ReadMetadata([]byte(get(t, http.DefaultClient, f.idp.URL+"/saml/metadata").body), saml.MetadataOptions{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	asks := func(entity, acs string) string {
		other, err := saml.New(saml.Config{EntityID: entity, ACS: acs, IDP: m.IDP})
		if err != nil {
			t.Fatal(err)
		}
		o, err := other.MakeAuthnRequest(saml.AuthnRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return o.URL
	}
	ours := strings.TrimSuffix(f.acs, "/acs") + "/metadata"
	for name, address := range map[string]string{
		"nothing":         f.idp.URL + "/saml/sso",
		"no base64":       f.idp.URL + "/saml/sso?SAMLRequest=%25",
		"another entity":  asks("https://evil.example/metadata", f.acs),
		"another address": asks(ours, "https://evil.example/acs"),
	} {
		got := press(t, f.browser, address, url.Values{"person": {"ines"}})
		if got.status != http.StatusBadRequest || strings.Contains(got.body, "SAMLResponse") {
			t.Errorf("%s: %d\n%s", name, got.status, got.body)
		}
	}
	if got := press(t, f.browser, out.URL, url.Values{"person": {"nobody"}}); got.status != http.StatusForbidden {
		t.Errorf("a person who is not there: %d\n%s", got.status, got.body)
	}
}

func TestSAMLSignOutFromTheGate(t *testing.T) {
	t.Parallel()
	f := federate(t, true)
	f.signIn(t, "jon")
	if page := get(t, f.browser, f.idp.URL+"/admin").body; !strings.Contains(page, "Jon Juniper is signed in here") {
		t.Error("the directory does not know who is signed in")
	}
	out, err := f.gate.MakeLogoutRequest(saml.LogoutRequest{NameID: "gamma-jon", RelayState: "x y"})
	if err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{
		"not signed":       regexp.MustCompile(`&SigAlg.*`).ReplaceAllString(out.URL, ""),
		"another state":    strings.Replace(out.URL, "RelayState=x", "RelayState=y", 1),
		"a part two times": out.URL + "&RelayState=x",
	} {
		if page := get(t, f.browser, address).body; !strings.Contains(page, "This sign-out cannot go on") {
			t.Errorf("%s:\n%s", name, page)
		}
	}
	to := get(t, f.browser, out.URL).to
	if to == nil {
		t.Fatal("no answer to the gate")
	}
	answer, err := f.gate.ReadLogoutRedirect(to.RawQuery)
	if err != nil || answer.Answer == nil || answer.Answer.InResponseTo != out.ID || to.Query().Get("RelayState") != "x y" {
		t.Errorf("the answer at %s: %+v, %v", to, answer, err)
	}
	if page := get(t, f.browser, f.idp.URL+"/admin").body; strings.Contains(page, "is signed in here") {
		t.Error("somebody is still signed in at the provider")
	}
}

func TestSAMLSignOutAtTheProvider(t *testing.T) {
	t.Parallel()
	f := federate(t, true)
	request, page := f.signIn(t, "jon")
	st, _, err := f.gate.Response(field(t, page, "SAMLResponse"), saml.Expect{RequestID: request})
	if err != nil {
		t.Fatal(err)
	}
	to := press(t, f.browser, f.idp.URL+"/sign-out", nil).to
	if to == nil {
		t.Fatal("the gate is told nothing")
	}
	told, err := f.gate.ReadLogoutRedirect(to.RawQuery)
	if err != nil || told.Request == nil || told.Request.NameID != st.NameID || !slices.Equal(told.Request.SessionIndexes, []string{st.SessionIndex}) {
		t.Fatalf("the gate is told %+v, %v; want the session of %+v", told, err, st)
	}
	back, err := f.gate.MakeLogoutResponse(saml.LogoutAnswer{InResponseTo: told.ID})
	if err != nil {
		t.Fatal(err)
	}
	if page := get(t, f.browser, back.URL).body; !strings.Contains(page, "You are signed out") {
		t.Errorf("the end:\n%s", page)
	}
	if page := press(t, f.browser, f.idp.URL+"/sign-out", nil).body; !strings.Contains(page, "You are signed out") {
		t.Errorf("signing out once more:\n%s", page)
	}
}
