package saml_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	library "github.com/crewjam/saml"

	"portcullis/saml"
)

// bare is the library's service provider for the same answers. Its clock is
// the machine's, so what it is given is signed for now.
func bare(tb testing.TB) *library.ServiceProvider {
	tb.Helper()
	acs, err := url.Parse(ourACS)
	if err != nil {
		tb.Fatal(err)
	}
	var metadata library.EntityDescriptor
	text := fmt.Sprintf(`<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID=%q><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">`+
		`<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>%s</X509Certificate></X509Data></KeyInfo></KeyDescriptor></IDPSSODescriptor></EntityDescriptor>`,
		theirEntity, base64.StdEncoding.EncodeToString(today().cert.Raw))
	if err := xml.Unmarshal([]byte(text), &metadata); err != nil {
		tb.Fatal(err)
	}
	return &library.ServiceProvider{EntityID: ourEntity, AcsURL: *acs, IDPMetadata: &metadata}
}

// today is their pair with a certificate that is valid by the machine's clock.
var today = sync.OnceValue(func() pair {
	now := time.Now()
	return makePair(theirs().key, now.Add(-time.Hour), now.Add(time.Hour))
})

// forNow is a signed assertion with that many groups, good by the machine's clock.
func forNow(groups int) string {
	at := func(d time.Duration) string { return time.Now().UTC().Add(d).Format("2006-01-02T15:04:05Z") }
	o := legit()
	o.groups = strings.Split(strings.TrimSuffix(numbered("7d9f3e10-2c4b-4f6e-9a51-%012d,", groups), ","), ",")
	for _, key := range []string{"Response.IssueInstant", "IssueInstant", "AuthnInstant"} {
		o.set(key, at(0))
	}
	o.set("NotBefore", at(-time.Minute)).set("NotOnOrAfter", at(5*time.Minute)).set("Data.NotOnOrAfter", at(5*time.Minute))
	o.by = today()
	return o.xml()
}

func BenchmarkResponse(b *testing.B) {
	for _, groups := range []int{10, 200} {
		doc := forNow(groups)
		form := encode(doc)
		b.Run(fmt.Sprintf("groups=%d/gate", groups), func(b *testing.B) {
			sp := provider(b, func(c *saml.Config) {
				c.Now, c.IDP.Certificates = time.Now, []*x509.Certificate{today().cert}
			})
			for b.Loop() {
				if _, _, err := sp.Response(form, expected); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("groups=%d/library", groups), func(b *testing.B) {
			sp := bare(b)
			for b.Loop() {
				if _, err := sp.ParseXMLResponse([]byte(doc), []string{requestID}, sp.AcsURL); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
