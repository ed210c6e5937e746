package saml_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"portcullis/saml"
)

// The generator writes responses as text, so that a case can say anything,
// and signs them with the canonical form of another implementation, so that
// no mistake of ours is on both sides.

const (
	ourEntity   = "https://gate.example.com/.portcullis/saml/acme/metadata"
	ourACS      = "https://gate.example.com/.portcullis/saml/acme/acs"
	theirEntity = "https://idp.example.com/metadata"
	requestID   = "id-0123456789abcdef"
	subject     = "alice@example.com"
	victim      = "admin@example.com"

	exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
	enveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
	rsaSHA1   = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
	rsaSHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	rsaSHA384 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384"
	rsaSHA512 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512"
	sha1URI   = "http://www.w3.org/2000/09/xmldsig#sha1"
	sha256URI = "http://www.w3.org/2001/04/xmlenc#sha256"
	sha384URI = "http://www.w3.org/2001/04/xmldsig-more#sha384"
	sha512URI = "http://www.w3.org/2001/04/xmlenc#sha512"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) string { return noon.Add(d).Format("2006-01-02T15:04:05.000Z") }

// A pair is a key and its certificate.
type pair struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func makePair(key crypto.Signer, from, until time.Time) pair {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp.example.com"}, NotBefore: from, NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return pair{key, cert}
}

// rsaPair makes the same key in every process, so that what one run of the
// fuzzer signs is good in another.
func rsaPair(bits int, seed string) func() pair {
	return sync.OnceValue(func() pair {
		source := mathrand.NewChaCha8(sha256.Sum256([]byte(seed)))
		one, e := big.NewInt(1), big.NewInt(65537)
		prime := func() *big.Int {
			for b := make([]byte, bits/16); ; {
				_, _ = source.Read(b)
				b[0] |= 0xC0
				b[len(b)-1] |= 1
				p := new(big.Int).SetBytes(b)
				if p.ProbablyPrime(5) && new(big.Int).GCD(nil, nil, e, new(big.Int).Sub(p, one)).Cmp(one) == 0 {
					return p
				}
			}
		}
		p, q := prime(), prime()
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: new(big.Int).ModInverse(e, phi), Primes: []*big.Int{p, q}}
		key.Precompute()
		return makePair(key, noon.AddDate(-1, 0, 0), noon.AddDate(1, 0, 0))
	})
}

func ecPair(curve elliptic.Curve) func() pair {
	return sync.OnceValue(func() pair {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			panic(err)
		}
		return makePair(key, noon.AddDate(-1, 0, 0), noon.AddDate(1, 0, 0))
	})
}

var (
	theirs   = rsaPair(2048, "theirs")   // what the identity provider signs with
	stranger = rsaPair(2048, "stranger") // what an attacker signs with
	ours     = rsaPair(2048, "ours")     // what is encrypted for us
	retired  = rsaPair(2048, "retired")  // what was encrypted for us before the rollover
	small    = rsaPair(1536, "small")    // a key below the bound
	curve256 = ecPair(elliptic.P256())   // an identity provider with elliptic curves
	curve521 = ecPair(elliptic.P521())   // whose order is no whole number of octets
)

func keyPair(p pair) saml.KeyPair {
	key, _ := p.key.(*rsa.PrivateKey)
	return saml.KeyPair{Private: key, Certificate: p.cert}
}

// config is the service provider of the tests.
func config() saml.Config {
	return saml.Config{
		EntityID:   ourEntity,
		ACS:        ourACS,
		IDP:        saml.IdentityProvider{EntityID: theirEntity, Certificates: []*x509.Certificate{theirs().cert, curve256().cert}},
		Decryption: []saml.KeyPair{keyPair(ours())},
		Now:        func() time.Time { return noon },
	}
}

func provider(tb testing.TB, change func(*saml.Config)) *saml.ServiceProvider {
	tb.Helper()
	c := config()
	if change != nil {
		change(&c)
	}
	sp, err := saml.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return sp
}

var expected = saml.Expect{RequestID: requestID, RequestedAt: noon.Add(-time.Minute)}

// A response is what the generator writes: one legitimate answer, with knobs.
type response struct {
	p, a, d string // prefixes of protocol, assertion and signature; "" is the default namespace
	root    string // more on the root element, such as namespace declarations
	head    string // before the root element
	tail    string // after it
	indent  string // between elements

	responseID, assertionID string
	subject                 string
	groups                  []string
	statements              string            // instead of the attribute statement
	fields                  map[string]string // values by their key in defaults

	signResponse, signAssertion bool
	by                          pair
	s                           signing
	encrypt                     *encryption
	wrong                       func(string) string // the text before it is signed
}

type signing struct {
	method, digest string
	prefixes       string // PrefixList
	keyInfo        string // "" gives the certificate, "none" nothing
	forge          func(*forgery)
}

// defaults are the values that a case may change. "-" leaves the attribute or
// element out.
var defaults = map[string]string{
	"Version": "2.0", "Response.Version": "2.0", "Response.IssueInstant": at(-time.Second), "IssueInstant": at(-time.Second),
	"Destination": ourACS, "Response.InResponseTo": requestID, "Response.Issuer": theirEntity, "Issuer": theirEntity, "Issuer.Format": "-",
	"Status": "urn:oasis:names:tc:SAML:2.0:status:Success", "Status.Sub": "-", "Status.Message": "-",
	"Format": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress", "Method": "urn:oasis:names:tc:SAML:2.0:cm:bearer",
	"Recipient": ourACS, "InResponseTo": requestID, "Data.NotOnOrAfter": at(5 * time.Minute), "Data.NotBefore": "-",
	"NotBefore": at(-5 * time.Minute), "NotOnOrAfter": at(5 * time.Minute), "Audience": ourEntity,
	"AuthnInstant": at(-2 * time.Second), "SessionIndex": "_s1", "SessionNotOnOrAfter": "-",
	"ClassRef": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
}

// legit is a signed assertion in a response as most providers write it.
func legit() *response {
	return &response{
		p: "samlp", a: "saml", d: "ds", responseID: "_r1", assertionID: "_a1", subject: subject, groups: []string{"g1", "g2"},
		fields: map[string]string{}, signAssertion: true, by: theirs(),
		s: signing{method: rsaSHA256, digest: sha256URI},
	}
}

// quick is legit with a signature that costs little to make.
func quick() *response {
	o := legit()
	o.by, o.s.method = curve256(), ecdsa256
	return o
}

func (o *response) set(key, value string) *response {
	if _, ok := defaults[key]; !ok {
		panic("no field " + key)
	}
	o.fields[key] = value
	return o
}

func (o *response) get(key string) string {
	if v, ok := o.fields[key]; ok {
		return v
	}
	return defaults[key]
}

// attr writes an attribute, or nothing for "-".
func (o *response) attr(as, key string) string {
	if o.get(key) == "-" {
		return ""
	}
	return fmt.Sprintf(" %s=%q", as, o.get(key))
}

func tag(prefix, local string) string {
	if prefix == "" {
		return local
	}
	return prefix + ":" + local
}

func xmlns(prefix, space string) string {
	if prefix == "" {
		return fmt.Sprintf(" xmlns=%q", space)
	}
	return fmt.Sprintf(" xmlns:%s=%q", prefix, space)
}

// elements writes tag by tag with the indent between; each is complete.
func (o *response) elements(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		if p != "" {
			b.WriteString(o.indent + p)
		}
	}
	return b.String() + o.indent
}

func (o *response) el(prefix, local, attrs, content string) string {
	t := tag(prefix, local)
	return "<" + t + attrs + ">" + content + "</" + t + ">"
}

func (o *response) text(prefix, local, key string) string {
	if o.get(key) == "-" {
		return ""
	}
	return o.el(prefix, local, "", o.get(key))
}

func (o *response) assertion() string {
	a := o.a
	confirmation := o.el(a, "SubjectConfirmation", o.attr("Method", "Method"),
		o.el(a, "SubjectConfirmationData", o.attr("NotBefore", "Data.NotBefore")+o.attr("NotOnOrAfter", "Data.NotOnOrAfter")+
			o.attr("Recipient", "Recipient")+o.attr("InResponseTo", "InResponseTo"), ""))
	audience := ""
	if o.get("Audience") != "-" {
		audience = o.el(a, "AudienceRestriction", "", o.el(a, "Audience", "", o.get("Audience")))
	}
	return o.el(a, "Assertion", xmlns(a, "urn:oasis:names:tc:SAML:2.0:assertion")+fmt.Sprintf(" ID=%q", o.assertionID)+
		o.attr("Version", "Version")+o.attr("IssueInstant", "IssueInstant"),
		o.elements(
			o.el(a, "Issuer", o.attr("Format", "Issuer.Format"), o.get("Issuer")),
			"@A@",
			o.el(a, "Subject", "", o.elements(o.el(a, "NameID", o.attr("Format", "Format"), o.subject), confirmation)),
			o.el(a, "Conditions", o.attr("NotBefore", "NotBefore")+o.attr("NotOnOrAfter", "NotOnOrAfter"), audience),
			o.el(a, "AuthnStatement", o.attr("AuthnInstant", "AuthnInstant")+o.attr("SessionIndex", "SessionIndex")+o.attr("SessionNotOnOrAfter", "SessionNotOnOrAfter"),
				o.el(a, "AuthnContext", "", o.text(a, "AuthnContextClassRef", "ClassRef"))),
			o.attributes(),
		))
}

func (o *response) attributes() string {
	if o.statements != "" {
		return o.statements
	}
	var values []string
	for _, g := range o.groups {
		values = append(values, o.el(o.a, "AttributeValue", "", g))
	}
	if values == nil {
		return ""
	}
	return o.el(o.a, "AttributeStatement", "", o.elements(o.el(o.a, "Attribute", ` Name="groups"`, o.elements(values...))))
}

func (o *response) envelope(content string) string {
	status := o.el(o.p, "StatusCode", o.attr("Value", "Status"), "")
	if o.get("Status.Sub") != "-" {
		status = o.el(o.p, "StatusCode", o.attr("Value", "Status"), o.el(o.p, "StatusCode", o.attr("Value", "Status.Sub"), ""))
	}
	issuer := ""
	if o.get("Response.Issuer") != "-" {
		issuer = o.el(o.a, "Issuer", xmlns(o.a, "urn:oasis:names:tc:SAML:2.0:assertion"), o.get("Response.Issuer"))
	}
	return o.head + o.el(o.p, "Response", xmlns(o.p, "urn:oasis:names:tc:SAML:2.0:protocol")+o.root+fmt.Sprintf(" ID=%q", o.responseID)+
		o.attr("Version", "Response.Version")+o.attr("IssueInstant", "Response.IssueInstant")+
		o.attr("Destination", "Destination")+o.attr("InResponseTo", "Response.InResponseTo"),
		o.elements(issuer, "@R@", o.el(o.p, "Status", "", o.elements(status, o.text(o.p, "StatusMessage", "Status.Message"))), content)) + o.tail
}

// xml writes and signs the response.
func (o *response) xml() string {
	wrong := o.wrong
	if wrong == nil {
		wrong = func(s string) string { return s }
	}
	var doc string
	if o.encrypt == nil {
		doc = wrong(o.envelope(o.assertion()))
		if o.signAssertion {
			doc = o.sign(doc, o.assertionID, "@A@")
		}
	} else {
		a := wrong(o.assertion())
		if o.signAssertion {
			a = o.sign(a, o.assertionID, "@A@")
		}
		doc = o.envelope(o.el(o.a, "EncryptedAssertion", xmlns(o.a, "urn:oasis:names:tc:SAML:2.0:assertion"), o.encrypt.seal(strings.ReplaceAll(a, "@A@", ""))))
	}
	if o.signResponse {
		doc = o.sign(doc, o.responseID, "@R@")
	}
	return unmark(doc)
}

func (o *response) form() string { return base64.StdEncoding.EncodeToString([]byte(o.xml())) }

func unmark(doc string) string { return strings.NewReplacer("@A@", "", "@R@", "").Replace(doc) }
