package saml_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/fault"
	"portcullis/saml"
)

// splice puts text in the place of cut octets. A fuzzer that alters a good
// message so needs no keys that outlive its process.
func splice(s string, at, cut uint, text string) string {
	from := min(at, uint(len(s)))
	return s[:from] + text + s[min(from+cut, uint(len(s))):]
}

func addSplices(f *testing.F) {
	f.Helper()
	f.Add(uint(0), uint(0), "")
	f.Add(uint(0), uint(0), "SAMLRequest=x&")
	f.Add(uint(0), uint(0), " ")
	f.Add(uint(0), uint(12), "SAMLResponse=")
	f.Add(uint(40), uint(1), "%2f")
	f.Add(uint(200), uint(3), "<!-- -->")
	f.Add(uint(330), uint(0), "<x/>")
	f.Add(uint(5000), uint(0), "&RelayState=x")
	f.Add(uint(5000), uint(0), "<!-- end -->")
}

// wantAnswer is what [logoutAnswer] says.
func wantAnswer(binding string) *saml.Logout {
	return &saml.Logout{
		ID: "_a1", Expires: moment.Add(2*time.Minute + 90*time.Second), Certificate: saml.Fingerprint(theirKey().Certificate),
		Answer: &saml.LogoutAnswer{
			InResponseTo: "_q1", Status: saml.StatusResponder, SubStatus: saml.StatusPartialLogout, RelayState: "r", Binding: binding,
		},
	}
}

// accepted holds what was read against the one message that the key signed.
func accepted(t *testing.T, got *saml.Logout, err error, binding, relayState string) {
	t.Helper()
	only(t, got, err, &saml.Logout{
		ID: "_r1", Expires: moment.Add(time.Minute + 90*time.Second),
		Request: wantRequest(binding, relayState), Certificate: saml.Fingerprint(theirKey().Certificate),
	})
}

// only holds that nothing but want is read, or an error that is theirs.
func only(t *testing.T, got *saml.Logout, err error, want *saml.Logout) {
	t.Helper()
	if err != nil {
		if fault.KindOf(err) == fault.Internal {
			t.Errorf("an internal error: %v", err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("accepted what was not signed (-want +got)\n%s", diff)
	}
}

func FuzzLogoutRedirect(f *testing.F) {
	addSplices(f)
	sp := gateWith(f, nil)
	good := packQuery(f, "SAMLRequest", logoutRequest(), "r", rsaSHA256, theirKey().Private, url.QueryEscape)
	f.Fuzz(func(t *testing.T, at, cut uint, text string) {
		got, err := sp.ReadLogoutRedirect(splice(good, at, cut, text))
		accepted(t, got, err, saml.BindingRedirect, "r")
	})
}

func FuzzLogoutPOST(f *testing.F) {
	addSplices(f)
	sp := gateWith(f, nil)
	good := signXML(f, logoutRequest(), theirKey(), rsaSHA256)
	f.Fuzz(func(t *testing.T, at, cut uint, text string) {
		got, err := sp.ReadLogoutPOST(url.Values{"SAMLRequest": {encode64(splice(good, at, cut, text))}, "RelayState": {"r"}})
		accepted(t, got, err, saml.BindingPOST, "r")
	})
}

// FuzzLogoutAnswer is the same for answers, by either binding: they change
// nothing but what a person reads, which must be what the provider signed.
func FuzzLogoutAnswer(f *testing.F) {
	addSplices(f)
	sp := gateWith(f, nil)
	query := packQuery(f, "SAMLResponse", logoutAnswer(), "r", rsaSHA256, theirKey().Private, url.QueryEscape)
	form := signXML(f, logoutAnswer(), theirKey(), rsaSHA256)
	f.Fuzz(func(t *testing.T, at, cut uint, text string) {
		got, err := sp.ReadLogoutRedirect(splice(query, at, cut, text))
		only(t, got, err, wantAnswer(saml.BindingRedirect))
		got, err = sp.ReadLogoutPOST(url.Values{"SAMLResponse": {encode64(splice(form, at, cut, text))}, "RelayState": {"r"}})
		only(t, got, err, wantAnswer(saml.BindingPOST))
	})
}

// What was read may be sent on: a query that came from us is read as it was
// meant, and no query is read in two ways.
func FuzzLogoutQuery(f *testing.F) {
	sp := gateWith(f, nil)
	f.Add("SAMLRequest=x&SigAlg=y&Signature=z")
	f.Add("SAMLRequest=&SAMLRequest=")
	f.Fuzz(func(t *testing.T, raw string) {
		if got, err := sp.ReadLogoutRedirect(raw); err == nil {
			t.Errorf("accepted %q, which nobody signed: %+v", raw, got)
		}
		relay := strings.ToValidUTF8(raw, "")[:min(len(strings.ToValidUTF8(raw, "")), 80)]
		out, err := sp.MakeAuthnRequest(saml.AuthnRequest{RelayState: relay})
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(out.URL)
		if err != nil || u.Query().Get("RelayState") != relay {
			t.Errorf("RelayState %q came out as %q, %v", relay, u.Query().Get("RelayState"), err)
		}
	})
}
