package saml_test

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portcullis/saml"
)

// A good case is a legitimate answer. Every one must pass with the subject
// and the attributes that were signed.
type good struct {
	name   string
	o      *response
	config func(*saml.Config)
	expect *saml.Expect
	want   map[string][]string // the attributes; nil means groups g1 and g2
}

func idps() []good {
	with := func(change func(*response)) *response {
		o := legit()
		change(o)
		return o
	}
	statement := func(a, content string) string {
		return fmt.Sprintf("<%[1]sAttributeStatement>%[2]s</%[1]sAttributeStatement>", a, content)
	}
	return []good{
		{name: "Entra ID", o: with(func(o *response) {
			o.a, o.d = "", ""
			o.statements = statement("", `<Attribute Name="http://schemas.microsoft.com/identity/claims/objectidentifier"><AttributeValue>0f</AttributeValue></Attribute>`+
				`<Attribute Name="http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"><AttributeValue>g1</AttributeValue><AttributeValue>g2</AttributeValue></Attribute>`)
			o.set("NotOnOrAfter", at(time.Hour)).set("Data.NotOnOrAfter", at(time.Hour))
		}), want: map[string][]string{
			"http://schemas.microsoft.com/identity/claims/objectidentifier":  {"0f"},
			"http://schemas.microsoft.com/ws/2008/06/identity/claims/groups": {"g1", "g2"},
		}},
		{name: "Okta", o: with(func(o *response) {
			o.p, o.a, o.signResponse, o.head = "saml2p", "saml2", true, `<?xml version="1.0" encoding="UTF-8"?>`
			o.root, o.s.prefixes = ` xmlns:xs="http://www.w3.org/2001/XMLSchema"`, "xs"
			o.statements = statement("saml2:", `<saml2:Attribute Name="groups" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified">`+
				`<saml2:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">g1</saml2:AttributeValue>`+
				`<saml2:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">g2</saml2:AttributeValue></saml2:Attribute>`)
		})},
		{name: "ADFS", o: with(func(o *response) {
			o.a = ""
			o.set("Issuer.Format", "urn:oasis:names:tc:SAML:2.0:nameid-format:entity")
			o.root = ` Consent="urn:oasis:names:tc:SAML:2.0:consent:unspecified"`
		})},
		{name: "Keycloak", o: with(func(o *response) {
			o.d, o.signResponse, o.signAssertion = "dsig", true, false
			o.s.keyInfo = `<@KeyInfo><@KeyName>key-1</@KeyName><@X509Data><@X509Certificate>AA==</@X509Certificate></@X509Data><@KeyValue><@RSAKeyValue><@Modulus>AA==</@Modulus><@Exponent>AQAB</@Exponent></@RSAKeyValue></@KeyValue></@KeyInfo>`
			o.statements = statement("saml:", `<saml:Attribute FriendlyName="groups" Name="groups"><saml:AttributeValue>g1</saml:AttributeValue></saml:Attribute>`+
				`<saml:Attribute Name="groups"><saml:AttributeValue>g2</saml:AttributeValue></saml:Attribute>`)
		})},
		{name: "SimpleSAMLphp", o: with(func(o *response) {
			o.signResponse = true
			o.root = ` xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"`
		})},
		{name: "Google", o: with(func(o *response) {
			o.p, o.a, o.signResponse, o.signAssertion = "saml2p", "saml2", true, false
			o.head = `<?xml version="1.0" encoding="UTF-8" standalone="no"?>`
		})},
		{name: "Ping", o: with(func(o *response) { o.indent = "\n" })},
		{name: "Ping encrypted", o: with(func(o *response) {
			o.signResponse, o.encrypt = true, encrypted()
		})},
		{name: "Shibboleth: key beside the data, signed response alone", o: with(func(o *response) {
			o.p, o.a, o.signResponse, o.signAssertion = "saml2p", "saml2", true, false
			o.encrypt = encrypted()
			o.encrypt.sibling, o.encrypt.retrieval = true, true
		})},
		{name: "Shibboleth: targeted id", o: with(func(o *response) {
			o.statements = statement("saml:", `<saml:Attribute Name="urn:oid:1.3.6.1.4.1.5923.1.1.1.10" xmlns:x500="urn:oasis:names:tc:SAML:2.0:profiles:attribute:X500" x500:Encoding="LDAP"><saml:AttributeValue><saml:NameID NameQualifier="n">opaque</saml:NameID></saml:AttributeValue></saml:Attribute>`)
		}), want: map[string][]string{"urn:oid:1.3.6.1.4.1.5923.1.1.1.10": {"opaque"}}},
	}
}

func spellings() []good {
	with := func(change func(*response)) *response {
		o := legit()
		change(o)
		return o
	}
	values := func(content string) *response {
		o := legit()
		o.statements = `<saml:AttributeStatement>` + content + `</saml:AttributeStatement>`
		return o
	}
	wrong := func(old, repl string) *response {
		o := legit()
		o.wrong = func(s string) string {
			if !strings.Contains(s, old) {
				panic("nothing to replace: " + old)
			}
			return strings.ReplaceAll(s, old, repl)
		}
		return o
	}
	xsi := ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xs="http://www.w3.org/2001/XMLSchema"`
	return []good{
		{name: "no KeyInfo", o: with(func(o *response) { o.s.keyInfo = "none" })},
		{name: "KeyInfo without a certificate", o: with(func(o *response) { o.s.keyInfo = `<@KeyInfo><@KeyName>k</@KeyName></@KeyInfo>` })},
		{name: "KeyInfo with another certificate", o: with(func(o *response) {
			o.s.keyInfo = `<@KeyInfo><@X509Data><@X509Certificate>AAAA</@X509Certificate></@X509Data></@KeyInfo>`
		})},
		{name: "one of several certificates", o: with(func(o *response) { o.by = retired() }), config: func(c *saml.Config) {
			c.IDP.Certificates = []*x509.Certificate{stranger().cert, theirs().cert, retired().cert}
		}},
		{name: "pretty printed", o: with(func(o *response) { o.indent = "\n\t  " })},
		{name: "line ends of Windows", o: with(func(o *response) { o.indent = "\r\n  " })},
		{name: "byte order mark", o: with(func(o *response) { o.head = "\uFEFF<?xml version='1.0' encoding='utf-8'?>\n" })},
		{name: "comment before the root", o: with(func(o *response) { o.head = "<!-- made by an appliance -->\n" })},
		{name: "comments between elements", o: with(func(o *response) { o.indent = "\n<!-- here -->" })},
		{name: "white space after the root", o: with(func(o *response) { o.tail = "\n\n" })},
		{name: "CDATA", o: wrong(">"+subject+"<", "><![CDATA["+subject+"]]><")},
		{name: "CDATA in pieces", o: wrong(">"+subject+"<", "><![CDATA[alice]]>@exam<![CDATA[ple.com]]><")},
		{name: "character references", o: wrong(">"+subject+"<", ">&#97;lice&#x40;example.com<")},
		{name: "quotes of the other kind", o: wrong(`ID="_a1"`, `ID='_a1'`)},
		{name: "spaces around equals signs", o: wrong(` Version="2.0"`, " Version = \"2.0\" ")},
		{name: "empty elements written short", o: wrong(`></saml:SubjectConfirmationData>`, `/>`)},
		{name: "audience among others", o: wrong(`<saml:Audience>`, `<saml:Audience>https://other.example</saml:Audience><saml:Audience>`)},
		{name: "audience in two restrictions", o: wrong(`</saml:AudienceRestriction>`,
			`</saml:AudienceRestriction><saml:OneTimeUse/><saml:AudienceRestriction><saml:Audience>`+ourEntity+`</saml:Audience></saml:AudienceRestriction>`)},
		{name: "a second confirmation for somebody else", o: wrong(`</saml:NameID>`,
			`</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData Recipient="https://other.example/"/></saml:SubjectConfirmation>`)},
		{name: "locality and authority", o: wrong(`<saml:AuthnContext>`, `<saml:SubjectLocality Address="192.0.2.1"/><saml:AuthnContext>`)},
		{name: "unsigned without destination", o: legit().set("Destination", "-")},
		{name: "no response issuer", o: legit().set("Response.Issuer", "-")},
		{name: "no session index", o: legit().set("SessionIndex", "-")},
		{name: "no class", o: legit().set("ClassRef", "-")},
		{name: "no name format", o: legit().set("Format", "-")},
		{name: "whole seconds", o: legit().set("NotOnOrAfter", "2026-03-01T12:05:00Z")},
		{name: "an offset", o: legit().set("NotOnOrAfter", "2026-03-01T14:05:00+02:00")},
		{name: "hundred nanoseconds", o: legit().set("IssueInstant", "2026-03-01T11:59:59.1234567Z")},
		{name: "no conditions' beginning", o: legit().set("NotBefore", "-")},
		{name: "the session ends", o: legit().set("SessionNotOnOrAfter", at(8*time.Hour))},
		{name: "our clock is 80 s slow", o: legit().set("IssueInstant", at(80*time.Second)).set("Response.IssueInstant", at(80*time.Second)).
			set("NotBefore", at(80*time.Second)).set("AuthnInstant", at(80*time.Second))},
		{name: "our clock is 80 s fast", o: legit().set("NotOnOrAfter", at(-80*time.Second)).set("Data.NotOnOrAfter", at(-80*time.Second))},
		{name: "not asked for", o: legit().set("InResponseTo", "-").set("Response.InResponseTo", "-"), expect: &saml.Expect{IDPInitiated: true}},
		{name: "forced and fresh", o: legit(), expect: &saml.Expect{RequestID: requestID, ForceAuthn: true, RequestedAt: noon.Add(-30 * time.Second)}},
		{name: "a class that is good enough", o: legit(), expect: &saml.Expect{RequestID: requestID, AuthnContexts: []string{
			"urn:other", "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
		}}},
		{
			name: "xsi:type", o: values(`<saml:Attribute Name="n"` + xsi + `><saml:AttributeValue xsi:type="xs:string">v</saml:AttributeValue></saml:Attribute>`),
			want: map[string][]string{"n": {"v"}},
		},
		{
			name: "empty value", o: values(`<saml:Attribute Name="n"><saml:AttributeValue/><saml:AttributeValue></saml:AttributeValue></saml:Attribute>`),
			want: map[string][]string{"n": {"", ""}},
		},
		{name: "nil value", o: values(`<saml:Attribute Name="n"` + xsi + `><saml:AttributeValue xsi:nil="true"/></saml:Attribute>`), want: map[string][]string{"n": nil}},
		{name: "no value", o: values(`<saml:Attribute Name="n"/>`), want: map[string][]string{"n": nil}},
		{
			name: "structured value has no text", o: values(`<saml:Attribute Name="n"><saml:AttributeValue><x xmlns="urn:x">v</x></saml:AttributeValue></saml:Attribute>`),
			want: map[string][]string{"n": nil},
		},
		{
			name: "escapes and other scripts", o: values(`<saml:Attribute Name="n&amp;m"><saml:AttributeValue>a&lt;b&gt;&amp;"c" é 漢 🙂&#xD;&#x9;</saml:AttributeValue></saml:Attribute>`),
			want: map[string][]string{"n&m": {"a<b>&\"c\" é 漢 🙂\r\t"}},
		},
		{
			name: "escapes in an attribute", o: values("<saml:Attribute Name='a&quot;&#10;&#9;&#xD;&lt;b c'><saml:AttributeValue>v</saml:AttributeValue></saml:Attribute>"),
			want: map[string][]string{"a\"\n\t\r<b c": {"v"}},
		},
		{
			name: "FriendlyName counts for nothing", o: values(`<saml:Attribute Name="n" FriendlyName="groups"><saml:AttributeValue>v</saml:AttributeValue></saml:Attribute>`),
			want: map[string][]string{"n": {"v"}},
		},
		{name: "no attributes at all", o: with(func(o *response) { o.groups = nil }), want: map[string][]string{}},
		{name: "a namespace declared twice over", o: wrong(`<saml:Conditions`, `<saml:Conditions xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:unused="urn:unused"`)},
		{
			name: "a default namespace taken back", o: values(`<saml:Attribute Name="n" xmlns="urn:x"><saml:AttributeValue><y><z xmlns=""><y xmlns="urn:x"/></z></y></saml:AttributeValue></saml:Attribute>`),
			want: map[string][]string{"n": nil},
		},
	}
}

func algorithms() []good {
	var cases []good
	add := func(name string, o *response, config func(*saml.Config)) {
		cases = append(cases, good{name: name, o: o, config: config})
	}
	for _, m := range [][2]string{{rsaSHA256, sha256URI}, {rsaSHA384, sha384URI}, {rsaSHA512, sha512URI}, {rsaSHA256, sha512URI}, {pss256, sha256URI}} {
		for _, which := range []string{"assertion", "response", "both"} {
			o := legit()
			o.s.method, o.s.digest = m[0], m[1]
			o.signResponse, o.signAssertion = which != "assertion", which != "response"
			add(fmt.Sprint(which, m), o, nil)
		}
	}
	for method, p := range map[string]pair{ecdsa256: curve256(), ecdsa512: curve521()} {
		o := legit()
		o.s.method, o.by = method, p
		add(method, o, func(c *saml.Config) { c.IDP.Certificates = append(c.IDP.Certificates, p.cert) })
	}
	o := legit()
	o.s.method, o.s.digest = rsaSHA1, sha1URI
	add("SHA-1 where it is allowed", o, func(c *saml.Config) { c.IDP.AllowSHA1 = true })
	return append(cases, encryptions()...)
}

func encryptions() []good {
	var cases []good
	for _, data := range []string{cbc, gcm} {
		for _, bits := range []int{128, 192, 256} {
			for _, which := range []string{"assertion", "response", "both"} {
				o := legit()
				o.signResponse, o.signAssertion, o.encrypt = which != "assertion", which != "response", encrypted()
				o.encrypt.data = fmt.Sprintf(data, bits)
				cases = append(cases, good{name: "encrypted " + which + " " + o.encrypt.data, o: o})
			}
		}
	}
	for _, tc := range []struct {
		name, key, digest, mgf string
		hash, mask             crypto.Hash
	}{
		{"SHA-1 named", oaepMGF1P, sha1URI, "", crypto.SHA1, crypto.SHA1},
		{"SHA-256, mask by the book", oaepMGF1P, sha256URI, "", crypto.SHA256, crypto.SHA1},
		{"SHA-256, mask as many do", oaepMGF1P, sha256URI, "", crypto.SHA256, crypto.SHA256},
		{"2009, named mask", oaep2009, sha256URI, "http://www.w3.org/2009/xmlenc11#mgf1sha256", crypto.SHA256, crypto.SHA256},
		{"2009, mixed", oaep2009, sha512URI, "http://www.w3.org/2009/xmlenc11#mgf1sha384", crypto.SHA512, crypto.SHA384},
		{"2009, nothing named", oaep2009, "", "", crypto.SHA1, crypto.SHA1},
		{"2009, digest alone", oaep2009, sha256URI, "", crypto.SHA256, crypto.SHA256},
	} {
		o := legit()
		o.encrypt = encrypted()
		o.encrypt.key, o.encrypt.digest, o.encrypt.mgf, o.encrypt.hash, o.encrypt.mask = tc.key, tc.digest, tc.mgf, tc.hash, tc.mask
		cases = append(cases, good{name: "OAEP " + tc.name, o: o})
	}
	for i, sibling := range []bool{false, true} {
		o := legit()
		o.encrypt = encrypted()
		o.encrypt.to, o.encrypt.sibling, o.encrypt.dataType = retired(), sibling, ""
		cases = append(cases, good{name: fmt.Sprint("the retired key ", i), o: o, config: func(c *saml.Config) {
			c.Decryption = append(c.Decryption, keyPair(retired()))
		}})
	}
	return cases
}

// rarities are what few providers send, and nobody has to understand.
func rarities() []good {
	var cases []good
	for _, mode := range []string{"assertion", "response", "both"} {
		add := func(name, old, repl string) {
			o := legit()
			o.signAssertion, o.signResponse = mode != "response", mode != "assertion"
			o.wrong = func(s string) string { return change(s, old, repl) }
			cases = append(cases, good{name: name + ", signed " + mode, o: o})
		}
		add("extensions", "<samlp:Status>", `<samlp:Extensions><k:KeyInfo xmlns:k="urn:keycloak:ext:key:1.0" MessageSigningKeyId="k"/></samlp:Extensions><samlp:Status>`)
		add("advice", "</saml:Conditions>", `</saml:Conditions><saml:Advice><saml:AssertionIDRef>_other</saml:AssertionIDRef><x xmlns="urn:x">y</x></saml:Advice>`)
		add("an encrypted name", between(legit().assertion(), "<saml:NameID", "</saml:NameID>"), encryptedName(subject))
		o := legit()
		o.signAssertion, o.signResponse, o.encrypt = mode != "response", mode != "assertion", encrypted()
		o.encrypt.wrong = func(s string) string {
			return change(s, "</xenc:EncryptionMethod><xenc:CipherData>", `</xenc:EncryptionMethod><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">`+
				`<o:SecurityTokenReference xmlns:o="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"><ds:X509Data><ds:X509IssuerSerial>`+
				`<ds:X509IssuerName>CN=gate</ds:X509IssuerName><ds:X509SerialNumber>1</ds:X509SerialNumber></ds:X509IssuerSerial></ds:X509Data></o:SecurityTokenReference>`+
				`</ds:KeyInfo><xenc:CipherData>`)
		}
		cases = append(cases, good{name: "a key for a certificate that is named as in WS-Security, signed " + mode, o: o})
	}
	return cases
}

// encryptedName is a NameID as some providers encrypt it by itself.
func encryptedName(value string) string {
	return `<saml:EncryptedID>` + encrypted().seal(`<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">`+
		value+`</saml:NameID>`) + `</saml:EncryptedID>`
}

func goodCases() []good {
	return slices.Concat(idps(), spellings(), rarities(), algorithms())
}

func TestLegitimateAnswersPass(t *testing.T) {
	for _, tc := range goodCases() {
		t.Run(tc.name, func(t *testing.T) {
			expect := expected
			if tc.expect != nil {
				expect = *tc.expect
			}
			st, checks, err := provider(t, tc.config).Response(tc.o.form(), expect)
			if err != nil {
				t.Fatalf("Response = %v\n%s", err, tc.o.xml())
			}
			if tc.want == nil {
				tc.want = map[string][]string{"groups": {"g1", "g2"}}
			}
			if st.NameID != subject {
				t.Errorf("NameID = %q, want %q", st.NameID, subject)
			}
			if diff := cmp.Diff(tc.want, st.Attributes); diff != "" {
				t.Errorf("attributes (-want +got):\n%s", diff)
			}
			if st.Certificate != saml.Fingerprint(tc.o.by.cert) {
				t.Errorf("certificate = %s, want the signer's", st.Certificate)
			}
			for _, c := range checks {
				if !c.OK {
					t.Errorf("check %+v failed in an answer that was accepted", c)
				}
			}
		})
	}
}
