package saml_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/saml"
)

// issue makes an authority and a certificate that it issued.
func issue(t *testing.T) (*x509.Certificate, *x509.Certificate) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, NotBefore: moment, NotAfter: moment.Add(time.Hour),
	}
	ca := strangeKey()
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Certificate, ourKey().Private.Public(), ca.Private)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return ca.Certificate, leaf
}

func TestDiffMetadata(t *testing.T) {
	_, renewed := issue(t) // another certificate for our key
	base := func() saml.IdentityProvider { return wantMetadata().IDP }
	fp := saml.Fingerprint
	a, b, c, d := theirKey().Certificate, theirNewKey().Certificate, strangeKey().Certificate, ourKey().Certificate
	for _, tc := range []struct {
		name   string
		change func(old, now *saml.IdentityProvider)
		want   []saml.Change
	}{
		{"nothing", func(_, _ *saml.IdentityProvider) {}, nil},
		{"name", func(_, now *saml.IdentityProvider) { now.EntityID = "urn:b" }, []saml.Change{{What: "entity id", Old: theirEntity, New: "urn:b", NeedsApproval: true}}},
		{"address", func(_, now *saml.IdentityProvider) { now.SSO[1].Location = "https://evil.example/" }, []saml.Change{{What: "sso redirect", Old: theirSSO, New: "https://evil.example/", NeedsApproval: true}}},
		{"answer address", func(_, now *saml.IdentityProvider) { now.SLO[0].ResponseLocation = "" }, []saml.Change{{What: "slo redirect", Old: theirSLO + " answers " + theirSLO + "/answer", New: theirSLO, NeedsApproval: true}}},
		{"binding gone", func(_, now *saml.IdentityProvider) { now.SSO = now.SSO[1:] }, []saml.Change{{What: "sso post", Old: theirSSO + "/post"}}},
		{"logout added", func(old, _ *saml.IdentityProvider) { old.SLO = nil }, []saml.Change{{What: "slo redirect", New: theirSLO + " answers " + theirSLO + "/answer", NeedsApproval: true}}},
		{"key added", func(_, now *saml.IdentityProvider) { now.Certificates = append(now.Certificates, c) }, []saml.Change{{What: "certificate", New: fp(c)}}},
		{"key removed", func(_, now *saml.IdentityProvider) { now.Certificates = now.Certificates[:1] }, []saml.Change{{What: "certificate", Old: fp(b)}}},
		{"keys swapped", func(_, now *saml.IdentityProvider) { slices.Reverse(now.Certificates) }, nil},
		{"keys replaced", func(_, now *saml.IdentityProvider) { now.Certificates = []*x509.Certificate{c} }, []saml.Change{
			{What: "certificate", New: fp(c), NeedsApproval: true}, {What: "certificate", Old: fp(a), NeedsApproval: true}, {What: "certificate", Old: fp(b), NeedsApproval: true},
		}},
		{"renewed for the same key", func(old, now *saml.IdentityProvider) {
			old.Certificates, now.Certificates = []*x509.Certificate{d}, []*x509.Certificate{renewed}
		}, []saml.Change{{What: "certificate", New: fp(renewed)}, {What: "certificate", Old: fp(d)}}},
		{"wishes", func(_, now *saml.IdentityProvider) {
			now.WantRequestsSigned, now.NameIDFormats = false, []string{"urn:two"}
		}, []saml.Change{
			{What: "signed requests wanted", Old: "true", New: "false"}, {What: "name id formats", Old: "urn:one urn:two", New: "urn:two"},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			old, now := base(), base()
			tc.change(&old, &now)
			if diff := cmp.Diff(tc.want, saml.DiffMetadata(&old, &now)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestEllipticKeysAreTakenFromMetadata(t *testing.T) {
	doc := strings.ReplaceAll(idpMetadata(), keyDescriptor("", theirNewKey().Certificate, theirKey().Certificate), "")
	doc = strings.ReplaceAll(doc, keyDescriptor(` use="signing"`, theirKey().Certificate), keyDescriptor(` use="signing"`, curve256().cert))
	m, err := saml.ReadMetadata([]byte(doc), saml.MetadataOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if state := saml.CertificateStates(m.IDP.Certificates, noon)[0]; state.Weak || state.Expired {
		t.Errorf("state = %+v, want a good one", state)
	}
	sp := provider(t, func(c *saml.Config) { c.IDP.Certificates = m.IDP.Certificates })
	if _, _, err := sp.Response(quick().form(), expected); err != nil {
		t.Errorf("what the key of the metadata signed is refused: %v", err)
	}
}
