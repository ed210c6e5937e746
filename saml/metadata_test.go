package saml_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
	"github.com/google/go-cmp/cmp"
	dsig "github.com/russellhaering/goxmldsig"

	"portcullis/fault"
	"portcullis/saml"
)

// keyDescriptor writes one bag of certificates.
func keyDescriptor(use string, certificates ...*x509.Certificate) string {
	var b strings.Builder
	b.WriteString(`<KeyDescriptor` + use + `><ds:KeyInfo><ds:X509Data>`)
	for _, c := range certificates {
		b.WriteString("<ds:X509Certificate>\n" + strings.Join(slices.Collect(chunk(base64.StdEncoding.EncodeToString(c.Raw), 64)), "\n  ") + "\n</ds:X509Certificate>")
	}
	b.WriteString(`</ds:X509Data></ds:KeyInfo></KeyDescriptor>`)
	return b.String()
}

func chunk(s string, size int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for len(s) > size && yield(s[:size]) {
			s = s[size:]
		}
		yield(s)
	}
}

// idpMetadata writes a provider's metadata, changed by replacing.
func idpMetadata(replace ...string) string {
	message := `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="` + theirEntity + `" ID="_m1" validUntil="2030-06-01T00:00:00Z">` +
		`<IDPSSODescriptor WantAuthnRequestsSigned="true" cacheDuration="PT6H" protocolSupportEnumeration="urn:oasis:names:tc:SAML:1.1:protocol urn:oasis:names:tc:SAML:2.0:protocol">` +
		keyDescriptor(` use="signing"`, theirKey().Certificate) + keyDescriptor("", theirNewKey().Certificate, theirKey().Certificate) + keyDescriptor(` use="encryption"`, strangeKey().Certificate) +
		`<SingleLogoutService Binding="` + saml.BindingRedirect + `" Location="` + theirSLO + `" ResponseLocation="` + theirSLO + `/answer"/>` +
		`<NameIDFormat> urn:one </NameIDFormat><NameIDFormat>urn:two</NameIDFormat>` +
		`<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="ldap://x"/>` +
		`<SingleSignOnService Binding="` + saml.BindingPOST + `" Location="` + theirSSO + `/post"/>` +
		`<SingleSignOnService Binding="` + saml.BindingRedirect + `" Location="` + theirSSO + `"/>` +
		`</IDPSSODescriptor><Organization><OrganizationName xml:lang="de">Müller</OrganizationName></Organization></EntityDescriptor>`
	return strings.NewReplacer(replace...).Replace(message)
}

// federation puts entities into one document.
func federation(attributes string, entities ...string) string {
	return `<?xml version="1.0" encoding="utf-8"?><!-- all of us --><EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata"` + attributes + `>` + strings.Join(entities, "") + `</EntitiesDescriptor>`
}

func wantMetadata() *saml.Metadata {
	return &saml.Metadata{
		IDP: saml.IdentityProvider{
			EntityID:           theirEntity,
			Certificates:       []*x509.Certificate{theirKey().Certificate, theirNewKey().Certificate},
			WantRequestsSigned: true,
			SSO:                []saml.Endpoint{{Binding: saml.BindingPOST, Location: theirSSO + "/post"}, {Binding: saml.BindingRedirect, Location: theirSSO}},
			SLO:                []saml.Endpoint{{Binding: saml.BindingRedirect, Location: theirSLO, ResponseLocation: theirSLO + "/answer"}},
			NameIDFormats:      []string{"urn:one", "urn:two"},
		},
		ValidUntil:    time.Date(2030, 6, 1, 0, 0, 0, 0, time.UTC),
		CacheDuration: 6 * time.Hour,
	}
}

func sameMetadata() cmp.Option {
	return cmp.Comparer(func(a, b *x509.Certificate) bool { return a.Equal(b) })
}

func TestReadMetadata(t *testing.T) {
	other := idpMetadata(theirEntity, "https://other.example/", `"_m1"`, `"_m2"`)
	sp := `<EntityDescriptor entityID="https://sp.example/"><SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/></EntityDescriptor>`
	inFederation := wantMetadata()
	inFederation.ValidUntil, inFederation.CacheDuration = moment.Add(time.Hour), time.Hour
	bounds := ` validUntil="` + moment.Add(time.Hour).Format(time.RFC3339) + `" cacheDuration="PT1H"`
	for _, tc := range []struct {
		name, data string
		options    saml.MetadataOptions
		want       *saml.Metadata
	}{
		{"one provider", idpMetadata(), saml.MetadataOptions{Now: moment}, wantMetadata()},
		{"byte order mark", "\xef\xbb\xbf" + idpMetadata(), saml.MetadataOptions{EntityID: theirEntity}, wantMetadata()},
		{"a federation of one", federation(bounds, sp, idpMetadata()), saml.MetadataOptions{}, inFederation},
		{"named among several", federation(bounds, other, idpMetadata()), saml.MetadataOptions{EntityID: theirEntity}, inFederation},
		{"nested", federation("", federation(bounds, sp)[strings.Index(federation("", ""), "<Entities"):], strings.Replace(federation(bounds, other, idpMetadata()), `<?xml version="1.0" encoding="utf-8"?>`, "", 1)), saml.MetadataOptions{EntityID: theirEntity}, inFederation},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := saml.ReadMetadata([]byte(tc.data), tc.options)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, sameMetadata()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestMetadataThatIsRefusedSaysWhy(t *testing.T) {
	sso := `Location="` + theirSSO + `"`
	weak := small().cert
	for _, tc := range []struct {
		name, data, says string
		options          saml.MetadataOptions
	}{
		{"nothing", "", "empty", saml.MetadataOptions{}},
		{"html", "<html><body>Sign in</body></html>", "no SAML 2.0 identity provider", saml.MetadataOptions{}},
		{"not XML", "{}", "text outside", saml.MetadataOptions{}},
		{"cut", idpMetadata()[:500], "well-formed", saml.MetadataOptions{}},
		{"document type", "<!DOCTYPE x>" + idpMetadata(), "document type", saml.MetadataOptions{}},
		{"entity", `<!DOCTYPE x [<!ENTITY a "b">]>` + idpMetadata("urn:one", "&a;"), "document type", saml.MetadataOptions{}},
		{"processing instruction", `<?php x ?>` + idpMetadata(), "processing instruction", saml.MetadataOptions{}},
		{"other encoding", `<?xml version="1.0" encoding="latin1"?>` + idpMetadata(), "well-formed", saml.MetadataOptions{}},
		{"large", strings.Repeat(" ", 1<<20) + idpMetadata(), "larger than", saml.MetadataOptions{}},
		{"deep", strings.Repeat("<a>", 41) + strings.Repeat("</a>", 41), "deep", saml.MetadataOptions{}},
		{"many elements", "<a>" + strings.Repeat("<a/>", 30_000) + "</a>", "elements", saml.MetadataOptions{}},
		{"many attributes", "<a" + manyAttributes(65) + "/>", "attributes", saml.MetadataOptions{}},
		{"attribute twice", idpMetadata(`ID="_m1"`, `ID="_m1" entityID="x"`), "twice", saml.MetadataOptions{}},
		{"ID twice", federation(` ID="_m1"`, idpMetadata()), "ID", saml.MetadataOptions{}},
		{"two roots", idpMetadata() + idpMetadata(), "two roots", saml.MetadataOptions{}},
		{"several", federation("", idpMetadata(), idpMetadata(theirEntity, "urn:b", "_m1", "_m2")), "2 identity providers; say which is meant, for example " + theirEntity + ", urn:b", saml.MetadataOptions{}},
		{"another", idpMetadata(), `no SAML 2.0 identity provider "urn:b"`, saml.MetadataOptions{EntityID: "urn:b"}},
		{"the same twice", federation("", idpMetadata(), idpMetadata("_m1", "_m2")), "more than once", saml.MetadataOptions{EntityID: theirEntity}},
		{"two roles", idpMetadata("</IDPSSODescriptor>", `</IDPSSODescriptor><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/>`), "2 times", saml.MetadataOptions{}},
		{"SAML 1 alone", idpMetadata(" urn:oasis:names:tc:SAML:2.0:protocol", ""), "no SAML 2.0 identity provider", saml.MetadataOptions{}},
		{"no entityID", idpMetadata(theirEntity, ""), "entityID", saml.MetadataOptions{}},
		{"long entityID", idpMetadata(theirEntity, strings.Repeat("e", 1025)), "entityID", saml.MetadataOptions{}},
		{"over", idpMetadata(), "valid until 2030-06-01", saml.MetadataOptions{Now: time.Date(2030, 6, 1, 0, 0, 0, 0, time.UTC)}},
		{"no time", idpMetadata("2030-06-01T00:00:00Z", "soon"), "validUntil", saml.MetadataOptions{}},
		{"no duration", idpMetadata("PT6H", "6h"), "cacheDuration", saml.MetadataOptions{}},
		{"negative duration", idpMetadata("PT6H", "-PT6H"), "cacheDuration", saml.MetadataOptions{}},
		{"no boolean", idpMetadata(`Signed="true"`, `Signed="yes"`), "WantAuthnRequestsSigned", saml.MetadataOptions{}},
		{"no certificate", idpMetadata(`use="signing"`, `use="encryption"`, "<KeyDescriptor><", `<KeyDescriptor use="encryption"><`), "no signing certificate", saml.MetadataOptions{}},
		{"weak keys alone", idpMetadata(keyDescriptor(` use="signing"`, theirKey().Certificate), keyDescriptor("", weak), keyDescriptor("", theirNewKey().Certificate, theirKey().Certificate), ""), "2048 bits", saml.MetadataOptions{}},
		{"certificate is not base64", idpMetadata("</ds:X509Certificate>", "!</ds:X509Certificate>"), "not base64", saml.MetadataOptions{}},
		{"certificate is no certificate", idpMetadata("<ds:X509Certificate>", "<ds:X509Certificate>AAAA"), "cannot be read", saml.MetadataOptions{}},
		{"comment in a certificate", idpMetadata("</ds:X509Certificate>", "<!-- --></ds:X509Certificate>"), "more than text", saml.MetadataOptions{}},
		{"many certificates", idpMetadata("<SingleLogoutService", manyCertificates(17)+"<SingleLogoutService"), "at most 16", saml.MetadataOptions{}},
		{"no endpoint", idpMetadata("bindings:HTTP", "bindings:FTP"), "no SingleSignOnService", saml.MetadataOptions{}},
		{"http", idpMetadata(sso, `Location="http://idp.example/sso"`), "https", saml.MetadataOptions{}},
		{"javascript", idpMetadata(sso, `Location="javascript:alert(1)"`), "no host", saml.MetadataOptions{}},
		{"relative", idpMetadata(sso, `Location="/sso"`), "no host", saml.MetadataOptions{}},
		{"user", idpMetadata(sso, `Location="https://idp.example@evil.example/"`), "user name", saml.MetadataOptions{}},
		{"fragment", idpMetadata(sso, `Location="https://idp.example/#a"`), "fragment", saml.MetadataOptions{}},
		{"backslash", idpMetadata(sso, `Location="https://idp.example/\evil"`), "characters", saml.MetadataOptions{}},
		{"space", idpMetadata(sso, `Location="https://idp.example/a b"`), "characters", saml.MetadataOptions{}},
		{"long", idpMetadata(sso, `Location="https://idp.example/`+strings.Repeat("a", 2048)+`"`), "longer", saml.MetadataOptions{}},
		{"answers over http", idpMetadata(theirSLO+"/answer", "http://idp.example/answer"), "ResponseLocation", saml.MetadataOptions{}},
		{"many endpoints", idpMetadata("<NameIDFormat> ", strings.Repeat(`<SingleLogoutService Binding="`+saml.BindingPOST+`" Location="https://idp.example/"/>`, 20)+"<NameIDFormat> "), "more than 20", saml.MetadataOptions{}},
		{"format with a child", idpMetadata("urn:two", "<b/>"), "more than text", saml.MetadataOptions{}},
		{"not signed", idpMetadata(), "not signed", saml.MetadataOptions{Signers: []*x509.Certificate{strangeKey().Certificate}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := saml.ReadMetadata([]byte(tc.data), tc.options)
			if err == nil || !strings.Contains(fault.Message(err), tc.says) {
				t.Errorf("ReadMetadata = %+v, %v, want a fault that says %q", got, err, tc.says)
			}
		})
	}
}

func manyAttributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` a%d=""`, i)
	}
	return b.String()
}

// manyCertificates changes the last octet of a good one: of its signature, which nobody checks.
func manyCertificates(n int) string {
	var b strings.Builder
	for i := range n {
		raw := slices.Clone(theirKey().Certificate.Raw)
		raw[len(raw)-1] += byte(i + 1)
		b.WriteString(keyDescriptor("", &x509.Certificate{Raw: raw}))
	}
	return b.String()
}

func TestEndpointsOnThisMachineMayBeHTTP(t *testing.T) {
	for _, host := range []string{"127.0.0.1:8080", "localhost", "[::1]:1"} {
		m, err := saml.ReadMetadata([]byte(idpMetadata(`Location="`+theirSSO+`"`, `Location="http://`+host+`/sso"`)), saml.MetadataOptions{})
		if err != nil || m.IDP.SSO[1].Location != "http://"+host+"/sso" {
			t.Errorf("%s: %+v, %v", host, m, err)
		}
	}
}

// An authority in the bag of what it issued is not a key of the provider's.
func TestIssuersOfACertificateAreNotTrusted(t *testing.T) {
	ca, leaf := issue(t)
	m, err := saml.ReadMetadata([]byte(idpMetadata(keyDescriptor(` use="signing"`, theirKey().Certificate), keyDescriptor("", leaf, ca))), saml.MetadataOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if c := m.IDP.Certificates; len(c) != 3 || !c[0].Equal(leaf) || slices.ContainsFunc(c, ca.Equal) {
		t.Errorf("%d certificates, want the leaf and the two others", len(c))
	}
}

func TestSignedMetadata(t *testing.T) {
	pinned := saml.MetadataOptions{EntityID: theirEntity, Signers: []*x509.Certificate{ourKey().Certificate, strangeKey().Certificate}}
	aggregate := federation(` ID="_f1"`, idpMetadata(), idpMetadata(theirEntity, "urn:b", "_m1", "_m2"))
	many := make([]string, 150)
	for i := range many {
		many[i] = idpMetadata(theirEntity, fmt.Sprintf("urn:%d", i), "_m1", fmt.Sprintf("_n%d", i))
	}
	large := federation(` ID="_f1"`, append(many, idpMetadata())...)
	for name, data := range map[string]string{"entity": idpMetadata(), "aggregate": aggregate, "large": large} {
		got, err := saml.ReadMetadata([]byte(signXML(t, data, strangeKey(), rsaSHA256)), pinned)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := wantMetadata()
		if diff := cmp.Diff(want, got, sameMetadata()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	good := signXML(t, aggregate, strangeKey(), rsaSHA256)
	sig := fragment(good, "<ds:Signature", "</ds:Signature>")
	entity := signXML(t, idpMetadata(), strangeKey(), rsaSHA256)
	evil := idpMetadata(theirSSO, "https://evil.example/", "_m1", "_e1")
	for name, data := range map[string]string{
		"another key":        signXML(t, aggregate, theirKey(), rsaSHA256),
		"SHA-1":              signXML(t, aggregate, strangeKey(), rsaSHA1),
		"changed":            strings.Replace(good, theirSSO, "https://evil.example/", 1),
		"entity added":       strings.Replace(good, "</EntitiesDescriptor>", evil+"</EntitiesDescriptor>", 1),
		"signature last":     strings.Replace(strings.Replace(good, sig, "", 1), "</EntitiesDescriptor>", sig+"</EntitiesDescriptor>", 1),
		"two signatures":     strings.Replace(good, sig, sig+sig, 1),
		"of an inner entity": federation(` ID="_f1"`, entity, evil),
		"inner, moved up":    federation(` ID="_f1"`, fragment(entity, "<ds:Signature", "</ds:Signature>"), strings.Replace(entity, fragment(entity, "<ds:Signature", "</ds:Signature>"), "", 1), evil),
		"inclusive form":     signWith(t, aggregate, strangeKey(), rsaSHA256, dsig.MakeC14N11Canonicalizer()),
		"with comments":      signWith(t, aggregate, strangeKey(), rsaSHA256, dsig.MakeC14N10ExclusiveWithCommentsCanonicalizerWithPrefixList("")),
		"whole document":     strings.Replace(good, `URI="#_f1"`, `URI=""`, 1),
		"no ID":              strings.Replace(good, ` ID="_f1"`, "", 1),
	} {
		got, err := saml.ReadMetadata([]byte(data), pinned)
		if !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %+v, %v, want an unauthenticated fault", name, got, err)
		}
	}
}

// The key is what was pinned: neither the dates of its certificate nor what
// the document says of it count.
func TestPinnedSignerCountsByItsKey(t *testing.T) {
	key := strangeKey()
	expired := makePair(key.Private, moment.AddDate(-20, 0, 0), moment.AddDate(-19, 0, 0)).cert
	data := signXML(t, idpMetadata(), key, rsaSHA256)
	options := saml.MetadataOptions{Signers: []*x509.Certificate{expired}}
	if _, err := saml.ReadMetadata([]byte(data), options); err != nil {
		t.Errorf("an expired certificate of the pinned key: %v", err)
	}
	named := fragment(data, "<ds:KeyInfo>", "</ds:KeyInfo>")
	for _, info := range []string{"", strings.Replace(named, fragment(named, "<ds:X509Certificate>", "</ds:X509Certificate>"), "<ds:KeyName>x</ds:KeyName>", 1)} {
		if _, err := saml.ReadMetadata([]byte(strings.Replace(data, named, info, 1)), options); err != nil {
			t.Errorf("KeyInfo %q: %v", info, err)
		}
	}
	weak := signXML(t, idpMetadata(), keyPair(small()), rsaSHA256)
	if _, err := saml.ReadMetadata([]byte(weak), saml.MetadataOptions{Signers: []*x509.Certificate{small().cert}}); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a pinned key of 1536 bits: %v", err)
	}
}

func TestCacheDuration(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"PT1H": time.Hour, "P1D": 24 * time.Hour, "P1DT2H3M4.5S": 26*time.Hour + 3*time.Minute + 4*time.Second,
		"PT0S": time.Second, "P10Y": 365 * 24 * time.Hour, "P9999Y99999M999999DT9999999H": 365 * 24 * time.Hour, "PT604800.000S": 7 * 24 * time.Hour,
		"P": -1, "PT": -1, "1D": -1, "P1H": -1, "P-1D": -1, "PT1.S": -1, "P1D ": -1,
	} {
		m, err := saml.ReadMetadata([]byte(idpMetadata("PT6H", value)), saml.MetadataOptions{})
		if (err == nil) != (want >= 0) || err == nil && m.CacheDuration != want {
			t.Errorf("cacheDuration %q: %+v, %v, want %v", value, m, err, want)
		}
	}
}

func TestReadMetadataOfTheLibrary(t *testing.T) {
	parse := func(s string) url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return *u
	}
	idp := crewjam.IdentityProvider{
		Key: theirKey().Private, Certificate: theirKey().Certificate, MetadataURL: parse(theirEntity), SSOURL: parse(theirSSO), LogoutURL: parse(theirSLO),
	}
	data, err := xml.Marshal(idp.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	m, err := saml.ReadMetadata(data, saml.MetadataOptions{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	got := m.IDP
	if got.EntityID != theirEntity || len(got.Certificates) != 1 || !got.Certificates[0].Equal(theirKey().Certificate) || len(got.SSO) != 2 || got.SSO[0].Location != theirSSO || len(got.SLO) != 1 || got.SLO[0].Location != theirSLO {
		t.Errorf("read %+v", got)
	}
	if m.ValidUntil.IsZero() || m.CacheDuration != 48*time.Hour {
		t.Errorf("valid until %v, cache %v", m.ValidUntil, m.CacheDuration)
	}
}

func TestOwnMetadataFollowsTheSchema(t *testing.T) {
	data, err := gateWith(t, nil).Metadata(saml.OwnMetadata{Valid: time.Hour, Cache: 30 * time.Minute, NameIDFormat: "urn:f"})
	if err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil {
		t.Fatal(err)
	}
	role := doc.Root().ChildElements()
	if len(role) != 1 || role[0].Tag != "SPSSODescriptor" {
		t.Fatalf("children of the root: %v", role)
	}
	var got []string
	for _, el := range role[0].ChildElements() {
		line := []string{el.Tag}
		for _, a := range []string{"use", "Binding", "Location", "index", "isDefault"} {
			if v := el.SelectAttrValue(a, ""); v != "" {
				line = append(line, v)
			}
		}
		if el.Tag == "KeyDescriptor" && el.ChildElements()[0].Tag != "KeyInfo" {
			t.Errorf("KeyInfo is not the first in %v", line)
		}
		got = append(got, strings.Join(line, " "))
	}
	// SAML metadata, sections 2.4.2 and 2.4.4: the order of the two types.
	want := []string{
		"KeyDescriptor signing", "KeyDescriptor signing", "KeyDescriptor encryption", "KeyDescriptor encryption",
		"SingleLogoutService " + saml.BindingRedirect + " " + ownSLO, "SingleLogoutService " + saml.BindingPOST + " " + ownSLO,
		"NameIDFormat", "AssertionConsumerService " + saml.BindingPOST + " " + ownACS + " 0 true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var read crewjam.EntityDescriptor
	if err := xml.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	sp := read.SPSSODescriptors[0]
	if read.EntityID != ownEntity || !read.ValidUntil.Equal(moment.Add(time.Hour)) || read.CacheDuration != 30*time.Minute || !*sp.AuthnRequestsSigned || !*sp.WantAssertionsSigned || sp.NameIDFormats[0] != "urn:f" {
		t.Errorf("the library read %+v", read)
	}
	for i, want := range []saml.KeyPair{ourKey(), nextKey(), ourKey(), nextKey()} {
		if got := sp.KeyDescriptors[i].KeyInfo.X509Data.X509Certificates[0].Data; got != base64.StdEncoding.EncodeToString(want.Certificate.Raw) {
			t.Errorf("certificate %d is another", i)
		}
	}
	if len(sp.KeyDescriptors[2].EncryptionMethods) == 0 || len(sp.ArtifactResolutionServices) > 0 {
		t.Errorf("the library read %+v", sp)
	}
}

func TestOwnMetadataOffersOnlyWhatThereIs(t *testing.T) {
	data, err := gateWith(t, func(c *saml.Config) { c.Signing, c.Decryption = nil, nil }).Metadata(saml.OwnMetadata{})
	if err != nil {
		t.Fatal(err)
	}
	for _, not := range []string{"SingleLogoutService", "KeyDescriptor", "validUntil", "cacheDuration", "NameIDFormat", `AuthnRequestsSigned="true"`, "Artifact"} {
		if strings.Contains(string(data), not) {
			t.Errorf("metadata without keys has %s", not)
		}
	}
}

func TestNewKeyPair(t *testing.T) {
	pair, err := saml.NewKeyPair("gate.example", moment, 10*365*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c := pair.Certificate
	switch {
	case pair.Private.N.BitLen() != 3072, !pair.Private.PublicKey.Equal(c.PublicKey):
		t.Errorf("a key of %d bits for %v", pair.Private.N.BitLen(), c.PublicKey)
	case c.Subject.CommonName != "gate.example", !c.NotBefore.Equal(moment.Add(-time.Hour)), !c.NotAfter.Equal(moment.Add(10 * 365 * 24 * time.Hour)), c.IsCA:
		t.Errorf("certificate %+v", c)
	case c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil:
		t.Error("the certificate is not signed by its key")
	}
	for _, name := range []string{"", strings.Repeat("n", 65)} {
		if _, err := saml.NewKeyPair(name, moment, time.Hour); !fault.Is(err, fault.Invalid) {
			t.Errorf("name of %d bytes: %v", len(name), err)
		}
	}
}

func TestCertificateStates(t *testing.T) {
	weak := small().cert
	got := saml.CertificateStates([]*x509.Certificate{theirKey().Certificate, weak}, moment.AddDate(60, 0, 0).Add(time.Second))
	want := []saml.CertificateState{
		{Fingerprint: saml.Fingerprint(theirKey().Certificate), NotAfter: theirKey().Certificate.NotAfter, Expired: true},
		{Fingerprint: saml.Fingerprint(weak), NotAfter: weak.NotAfter, Expired: true, Weak: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := saml.CertificateStates([]*x509.Certificate{theirKey().Certificate}, moment); got[0].Expired || got[0].Weak {
		t.Errorf("a good certificate is %+v", got[0])
	}
}
