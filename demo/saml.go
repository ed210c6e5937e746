package demo

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/crewjam/saml"
)

// SAMLConfig makes a provider speak SAML 2.0 in place of OpenID Connect.
type SAMLConfig struct {
	// MetadataURL is where the gate, a service provider, describes itself. It
	// is read at each sign-in, so that a new key counts at once. Empty means
	// OpenID Connect.
	MetadataURL string
	HTTP        *http.Client // defaults to one with a timeout of 10 s
}

const (
	rsaSHA256    = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	persistentID = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	entityFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
	basicName    = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
	maxMetadata  = 256 << 10 // bytes of the gate's description
	answerLife   = 2 * time.Minute
)

// samlSide is what a provider that speaks SAML 2.0 has beyond its directory.
type samlSide struct {
	idp saml.IdentityProvider
	key *rsa.PrivateKey
	sp  string // the gate's metadata
	get *http.Client
}

// newSAML makes a key and a certificate for it. The key's size is fixed and
// the system's randomness does not fail, so errors are impossible.
func (d *IDP) newSAML() *samlSide {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic("demo: " + err.Error())
	}
	now := d.c.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Signing key of " + d.c.Company},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic("demo: " + err.Error())
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic("demo: " + err.Error())
	}
	s := &samlSide{key: key, sp: d.c.SAML.MetadataURL, get: d.c.SAML.HTTP}
	if s.get == nil {
		s.get = &http.Client{Timeout: 10 * time.Second}
	}
	place := func(path string) url.URL {
		u, err := url.Parse(d.url(path))
		if err != nil {
			return url.URL{}
		}
		return *u
	}
	s.idp = saml.IdentityProvider{
		Key: key, Certificate: certificate, SignatureMethod: rsaSHA256, ServiceProviderProvider: s,
		MetadataURL: place("/saml/metadata"), SSOURL: place("/saml/sso"), LogoutURL: place("/saml/slo"),
	}
	return s
}

func (d *IDP) routeSAML(mux *http.ServeMux) {
	mux.HandleFunc("GET /saml/metadata", d.samlMetadata)
	mux.HandleFunc("GET /saml/sso", d.samlAsk)
	mux.HandleFunc("POST /saml/sso", d.samlPick)
	mux.HandleFunc("GET /saml/slo", d.samlLogout)
	mux.HandleFunc("POST /sign-out", d.samlSignOut)
}

// GetServiceProvider gives what the gate says of itself. Any other service
// provider is unknown, which the library wants to be told by this error.
func (s *samlSide) GetServiceProvider(r *http.Request, id string) (*saml.EntityDescriptor, error) {
	sp, err := s.gate(r.Context())
	if err == nil && sp.EntityID != id {
		return nil, os.ErrNotExist
	}
	return sp, err
}

// gate reads what the gate says of itself.
func (s *samlSide) gate(ctx context.Context) (*saml.EntityDescriptor, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.sp, nil)
	if err != nil {
		return nil, err
	}
	res, err := s.get.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the gate's metadata: %s", res.Status)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxMetadata))
	if err != nil {
		return nil, err
	}
	var sp saml.EntityDescriptor
	if err := xml.Unmarshal(b, &sp); err != nil {
		return nil, err
	}
	if len(sp.SPSSODescriptors) == 0 {
		return nil, errors.New("the gate's metadata: no service provider")
	}
	return &sp, nil
}

// samlMetadata says what is so: requests come by redirect, and nothing is
// encrypted for us.
func (d *IDP) samlMetadata(w http.ResponseWriter, r *http.Request) {
	m := d.saml.idp.Metadata()
	m.ValidUntil = d.c.Now().Add(saml.DefaultValidDuration)
	role := &m.IDPSSODescriptors[0]
	role.NameIDFormats = []saml.NameIDFormat{persistentID}
	role.SingleSignOnServices = role.SingleSignOnServices[:1]
	role.KeyDescriptors = slices.DeleteFunc(role.KeyDescriptors, func(k saml.KeyDescriptor) bool { return k.Use != "signing" })
	b, err := xml.MarshalIndent(m, "", "  ")
	if err != nil {
		d.log.ErrorContext(r.Context(), "metadata cannot be written", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	if _, err := w.Write(b); err != nil {
		d.log.DebugContext(r.Context(), "reader went away", "error", err)
	}
}

// samlRequest reads an authentication request out of the URL, where it stays
// while a person is picked, and answers it when it is wrong.
func (d *IDP) samlRequest(w http.ResponseWriter, r *http.Request) (*saml.IdpAuthnRequest, bool) {
	get := r.Clone(r.Context())
	get.Method = http.MethodGet
	req, err := saml.NewIdpAuthnRequest(&d.saml.idp, get)
	if err == nil {
		req.Now = d.c.Now()
		err = req.Validate()
	}
	if err != nil {
		d.log.InfoContext(r.Context(), "saml request refused", "error", err)
		d.message(w, r, http.StatusBadRequest, "This sign-in cannot go on", "The application that sent you here is not known, or asks for something wrong.")
		return nil, false
	}
	return req, true
}

// samlAsk always asks who one is, so that one can be somebody else.
func (d *IDP) samlAsk(w http.ResponseWriter, r *http.Request) {
	if _, ok := d.samlRequest(w, r); ok {
		d.askWho(w, r, "/saml/sso?"+r.URL.RawQuery)
	}
}

// samlPick is the click on a person. The answer is a form that sends itself
// (SAML 2.0 bindings, section 3.5).
func (d *IDP) samlPick(w http.ResponseWriter, r *http.Request) {
	req, ok := d.samlRequest(w, r)
	if !ok {
		return
	}
	person := r.PostFormValue("person")
	if !d.dir.maySignIn(person) {
		d.message(w, r, http.StatusForbidden, "You cannot sign in", d.c.Company+" has turned this account off.")
		return
	}
	cookie, err := d.text()
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	req.Assertion, err = d.assert(req, person, cookie)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	form, err := req.PostBinding()
	if err != nil {
		d.log.ErrorContext(r.Context(), "assertion cannot be signed", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	d.remember(w, cookie, person)
	d.render(w, r, http.StatusOK, "idp-answer", samlAnswer{Company: d.c.Company, Slug: d.slug, IdpAuthnRequestForm: form})
}

// samlAnswer is the form that carries an answer to the gate.
type samlAnswer struct {
	saml.IdpAuthnRequestForm

	Company, Slug string
}

// assert says who somebody is, under plain attribute names.
func (d *IDP) assert(req *saml.IdpAuthnRequest, person, cookie string) (*saml.Assertion, error) {
	id, err := d.messageID()
	if err != nil {
		return nil, err
	}
	c := d.claims(person)
	entity, until := d.saml.idp.MetadataURL.String(), req.Now.Add(answerLife)
	return &saml.Assertion{
		ID: id, IssueInstant: req.Now, Version: "2.0", Issuer: saml.Issuer{Format: entityFormat, Value: entity},
		Subject: &saml.Subject{
			NameID: &saml.NameID{Format: persistentID, NameQualifier: entity, SPNameQualifier: req.ServiceProviderMetadata.EntityID, Value: c.Subject},
			SubjectConfirmations: []saml.SubjectConfirmation{{
				Method:                  "urn:oasis:names:tc:SAML:2.0:cm:bearer",
				SubjectConfirmationData: &saml.SubjectConfirmationData{InResponseTo: req.Request.ID, NotOnOrAfter: until, Recipient: req.ACSEndpoint.Location},
			}},
		},
		Conditions: &saml.Conditions{
			NotBefore: req.Now, NotOnOrAfter: until,
			AudienceRestrictions: []saml.AudienceRestriction{{Audience: saml.Audience{Value: req.ServiceProviderMetadata.EntityID}}},
		},
		AuthnStatements: []saml.AuthnStatement{{
			AuthnInstant: req.Now, SessionIndex: sessionIndex(cookie),
			AuthnContext: saml.AuthnContext{AuthnContextClassRef: &saml.AuthnContextClassRef{Value: "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"}},
		}},
		AttributeStatements: []saml.AttributeStatement{{Attributes: attributes(c)}},
	}, nil
}

// attributes leaves out what has no value: an attribute has at least one.
func attributes(c claims) []saml.Attribute {
	var out []saml.Attribute
	for _, a := range []struct {
		name   string
		values []string
	}{{"email", []string{c.Email}}, {"displayName", []string{c.Name}}, {"groups", c.Groups}} {
		var values []saml.AttributeValue
		for _, v := range a.values {
			values = append(values, saml.AttributeValue{Type: "xs:string", Value: v})
		}
		if len(values) > 0 {
			out = append(out, saml.Attribute{Name: a.name, NameFormat: basicName, Values: values})
		}
	}
	return out
}

// sessionIndex names a session to the gate without giving its cookie away.
func sessionIndex(cookie string) string {
	sum := sha256.Sum256([]byte(cookie))
	return "s" + hex.EncodeToString(sum[:16])
}

func (d *IDP) messageID() (string, error) {
	text, err := d.text()
	return "_" + text, err
}
