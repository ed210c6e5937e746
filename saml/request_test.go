package saml_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"portcullis/fault"
	"portcullis/saml"
)

// knownSP hands the library's identity provider our own metadata, as an
// administrator would.
type knownSP struct{ metadata *crewjam.EntityDescriptor }

func (k knownSP) GetServiceProvider(_ *http.Request, id string) (*crewjam.EntityDescriptor, error) {
	if id != k.metadata.EntityID {
		return nil, os.ErrNotExist
	}
	return k.metadata, nil
}

// libraryIDP is an independent identity provider that knows sp.
func libraryIDP(t *testing.T, sp *saml.ServiceProvider) *crewjam.IdentityProvider {
	t.Helper()
	data, err := sp.Metadata(saml.OwnMetadata{})
	if err != nil {
		t.Fatal(err)
	}
	var own crewjam.EntityDescriptor
	if err := xml.Unmarshal(data, &own); err != nil {
		t.Fatal(err)
	}
	sso, err := url.Parse(theirSSO)
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := url.Parse(theirEntity)
	if err != nil {
		t.Fatal(err)
	}
	return &crewjam.IdentityProvider{
		Key: theirKey().Private, Certificate: theirKey().Certificate,
		SSOURL: *sso, MetadataURL: *metadata, ServiceProviderProvider: knownSP{&own},
	}
}

// now is not a fixed moment here: the library's provider reads the clock.
func requestGate(t *testing.T) *saml.ServiceProvider {
	t.Helper()
	return gateWith(t, func(c *saml.Config) { c.Now = nil })
}

func TestLibraryReadsOurSignInRequests(t *testing.T) {
	sp := requestGate(t)
	idp := libraryIDP(t, sp)
	for _, binding := range []string{saml.BindingRedirect, saml.BindingPOST} {
		out, err := sp.MakeAuthnRequest(saml.AuthnRequest{
			ForceAuthn: true, Contexts: []string{"urn:a", "urn:b"}, Comparison: "minimum",
			NameIDFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
			RelayState:   "opaque &=+/ value", Binding: binding,
		})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, out.URL, nil)
		if binding == saml.BindingPOST {
			form := url.Values{}
			for _, f := range out.Fields {
				form.Set(f.Name, f.Value)
			}
			r = httptest.NewRequest(http.MethodPost, out.URL, strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		got, err := crewjam.NewIdpAuthnRequest(idp, r)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Validate(); err != nil {
			t.Fatalf("%s: the library refuses our request: %v", binding, err)
		}
		if got.RelayState != "opaque &=+/ value" {
			t.Errorf("%s: RelayState = %q", binding, got.RelayState)
		}
		q := got.Request
		switch {
		case q.ID != out.ID, q.Destination != theirSSO, q.Issuer.Value != ownEntity, q.ProtocolBinding != saml.BindingPOST,
			q.AssertionConsumerServiceURL != ownACS, q.ForceAuthn == nil || !*q.ForceAuthn, q.IsPassive != nil,
			*q.NameIDPolicy.Format != "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
			q.RequestedAuthnContext.Comparison != "minimum":
			t.Errorf("%s: the library read %+v", binding, q)
		}
		if got.ACSEndpoint.Location != ownACS || got.ACSEndpoint.IsDefault == nil || !*got.ACSEndpoint.IsDefault {
			t.Errorf("%s: endpoint %+v", binding, got.ACSEndpoint)
		}
	}
}

func TestRequestsAreSignedByTheFirstKey(t *testing.T) {
	sp := gateWith(t, nil)
	out, err := sp.MakeAuthnRequest(saml.AuthnRequest{RelayState: "r"})
	if err != nil {
		t.Fatal(err)
	}
	message, relay := unpackQuery(t, out.URL, "SAMLRequest", &ourKey().Private.PublicKey)
	if relay != "r" || strings.Contains(message, "Signature") {
		t.Errorf("relay %q, message %s", relay, message)
	}
	out, err = sp.MakeAuthnRequest(saml.AuthnRequest{Binding: saml.BindingPOST})
	if err != nil {
		t.Fatal(err)
	}
	root := verifyWithLibrary(t, out.Fields[0].Value, ourKey())
	var order []string
	for _, el := range root.ChildElements() {
		order = append(order, el.Tag)
	}
	if want := []string{"Issuer", "Signature"}; !slices.Equal(order, want) {
		t.Errorf("children %v, want %v", order, want)
	}
}

// verifyWithLibrary checks an enveloped signature and gives the whole message.
func verifyWithLibrary(t *testing.T, encoded string, by saml.KeyPair) *etree.Element {
	t.Helper()
	message, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(message); err != nil {
		t.Fatal(err)
	}
	context := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{by.Certificate}})
	context.Clock = dsig.NewFakeClockAt(moment)
	if _, err := context.Validate(doc.Root()); err != nil {
		t.Errorf("the library refuses our signature: %v", err)
	}
	return doc.Root()
}

func TestUnsignedOnlyWhereNobodyWantsASignature(t *testing.T) {
	unsigned := func(c *saml.Config) { c.Signing = nil }
	out, err := gateWith(t, unsigned).MakeAuthnRequest(saml.AuthnRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.URL, "Signature") {
		t.Errorf("signed without a key: %s", out.URL)
	}
	_, err = gateWith(t, func(c *saml.Config) { unsigned(c); c.IDP.WantRequestsSigned = true }).MakeAuthnRequest(saml.AuthnRequest{})
	if !fault.Is(err, fault.Invalid) {
		t.Errorf("no key for a provider that wants signatures: %v, want an invalid fault", err)
	}
	if _, err := gateWith(t, unsigned).MakeLogoutRequest(saml.LogoutRequest{NameID: "x"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("unsigned logout request: %v, want an invalid fault", err)
	}
	if _, err := gateWith(t, unsigned).MakeLogoutResponse(saml.LogoutAnswer{InResponseTo: "x"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("unsigned logout answer: %v, want an invalid fault", err)
	}
}

func TestRequestsThatCannotBeAreRefused(t *testing.T) {
	onlyPOST := func(c *saml.Config) { c.IDP.SSO = c.IDP.SSO[1:] }
	for _, tc := range []struct {
		name   string
		change func(*saml.Config)
		r      saml.AuthnRequest
	}{
		{"passive and forced", nil, saml.AuthnRequest{ForceAuthn: true, IsPassive: true}},
		{"comparison", nil, saml.AuthnRequest{Comparison: "best"}},
		{"relay state of 81 bytes", nil, saml.AuthnRequest{RelayState: strings.Repeat("r", 81)}},
		{"binding that there is not", onlyPOST, saml.AuthnRequest{Binding: saml.BindingRedirect}},
		{"no endpoint", func(c *saml.Config) { c.IDP.SSO = nil }, saml.AuthnRequest{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := gateWith(t, tc.change).MakeAuthnRequest(tc.r); !fault.Is(err, fault.Invalid) {
				t.Errorf("MakeAuthnRequest = %v, want an invalid fault", err)
			}
		})
	}
	out, err := gateWith(t, onlyPOST).MakeAuthnRequest(saml.AuthnRequest{RelayState: strings.Repeat("r", 80)})
	if err != nil || len(out.Fields) != 2 || out.URL != theirSSO {
		t.Errorf("with POST alone: %+v, %v", out, err)
	}
}

func TestMessageIDsComeFromEntropy(t *testing.T) {
	sp := gateWith(t, func(c *saml.Config) { c.Entropy = bytes.NewReader(bytes.Repeat([]byte{0xab}, 20)) })
	out, err := sp.MakeAuthnRequest(saml.AuthnRequest{})
	if err != nil || out.ID != "_"+strings.Repeat("ab", 20) {
		t.Errorf("id %+v, %v: want 160 bits of the entropy", out, err)
	}
	if _, err := sp.MakeAuthnRequest(saml.AuthnRequest{}); err == nil {
		t.Error("a message without entropy")
	}
	sp = gateWith(t, func(c *saml.Config) { c.Entropy = iotest.ErrReader(errors.New("dry")) })
	if _, err := sp.MakeLogoutRequest(saml.LogoutRequest{NameID: "x"}); err == nil {
		t.Error("a message without entropy")
	}
}

func TestRedirectKeepsTheQueryOfTheEndpoint(t *testing.T) {
	sp := gateWith(t, func(c *saml.Config) { c.IDP.SSO[0].Location = theirSSO + "?tenant=a%2fb" })
	out, err := sp.MakeAuthnRequest(saml.AuthnRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.URL, theirSSO+"?tenant=a%2fb&SAMLRequest=") {
		t.Errorf("URL = %s", out.URL)
	}
	message, _ := unpackQuery(t, out.URL, "SAMLRequest", &ourKey().Private.PublicKey)
	if !strings.Contains(message, `Destination="`+theirSSO+`?tenant=a%2fb"`) {
		t.Errorf("the destination is not the endpoint: %s", message)
	}
}
