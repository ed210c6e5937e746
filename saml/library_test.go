package saml_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	library "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"portcullis/saml"
)

// TestTheLibrarysProviderIsUnderstood takes answers that an independent
// program made whole: its schema, its signatures, its encryption.
func TestTheLibrarysProviderIsUnderstood(t *testing.T) {
	entity, err := url.Parse(theirEntity)
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string][]library.KeyDescriptor{
		"signed": nil,
		"encrypted": {{Use: "encryption", KeyInfo: library.KeyInfo{X509Data: library.X509Data{X509Certificates: []library.X509Certificate{
			{Data: base64.StdEncoding.EncodeToString(ours().cert.Raw)},
		}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			descriptor := &library.SPSSODescriptor{SSODescriptor: library.SSODescriptor{RoleDescriptor: library.RoleDescriptor{KeyDescriptors: keys}}}
			req := &library.IdpAuthnRequest{
				IDP: &library.IdentityProvider{
					Key: theirs().key, Certificate: today().cert, MetadataURL: *entity, SignatureMethod: dsig.RSASHA256SignatureMethod,
				},
				HTTPRequest: httptest.NewRequest(http.MethodGet, theirEntity, nil), Request: library.AuthnRequest{ID: requestID, IssueInstant: now},
				ServiceProviderMetadata: &library.EntityDescriptor{EntityID: ourEntity}, SPSSODescriptor: descriptor,
				ACSEndpoint: &library.IndexedEndpoint{Binding: saml.BindingPOST, Location: ourACS}, Now: now,
			}
			session := &library.Session{NameID: subject, Index: "s1", CreateTime: now, ExpireTime: now.Add(time.Hour), UserEmail: subject, Groups: []string{"g1", "g2"}}
			if err := (library.DefaultAssertionMaker{}).MakeAssertion(req, session); err != nil {
				t.Fatal(err)
			}
			answer, err := req.PostBinding()
			if err != nil {
				t.Fatal(err)
			}
			sp := provider(t, func(c *saml.Config) { c.Now, c.IDP.Certificates[0] = time.Now, today().cert })
			st, _, err := sp.Response(answer.SAMLResponse, expected)
			if err != nil {
				t.Fatal(err)
			}
			groups := st.Attributes["urn:oid:1.3.6.1.4.1.5923.1.1.1.1"]
			if st.NameID != subject || !slices.Equal(groups, []string{"g1", "g2"}) {
				t.Errorf("subject %q with %v, want %q with both groups", st.NameID, st.Attributes, subject)
			}
		})
	}
}
