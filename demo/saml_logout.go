package demo

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/crewjam/saml"
)

const maxMessage = 64 << 10 // bytes of an inflated message

// samlLogout is our end of single logout: the gate's request, which is
// answered, or its answer to a request of ours.
func (d *IDP) samlLogout(w http.ResponseWriter, r *http.Request) {
	out := func() {
		d.message(w, r, http.StatusOK, "You are signed out", "You are signed out of "+d.c.Company+".")
	}
	if r.URL.Query().Has("SAMLResponse") {
		out()
		return
	}
	to, err := d.answerLogout(r)
	if err != nil {
		d.log.InfoContext(r.Context(), "saml logout refused", "error", err)
		d.message(w, r, http.StatusBadRequest, "This sign-out cannot go on", "The application that sent you here is not known, or asks for something wrong.")
		return
	}
	d.endSession(w, r)
	if to == "" {
		out()
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // an address of the gate's own metadata
}

// answerLogout checks the gate's request and gives the address of the signed
// answer, empty when the gate offers no place for one.
func (d *IDP) answerLogout(r *http.Request) (string, error) {
	raw, err := inflate(r.URL.Query().Get("SAMLRequest"))
	if err != nil {
		return "", err
	}
	var ask saml.LogoutRequest
	if err := xml.Unmarshal(raw, &ask); err != nil { //nolint:gosec // encoding/xml resolves no entities, and the signature is checked before anything is done
		return "", err
	}
	if ask.Issuer == nil {
		return "", errors.New("no issuer")
	}
	sp, err := d.saml.GetServiceProvider(r, ask.Issuer.Value)
	if err != nil {
		return "", err
	}
	if err := verifyQuery(r.URL.RawQuery, sp); err != nil {
		return "", err
	}
	if ask.Destination != d.saml.idp.LogoutURL.String() || d.c.Now().Sub(ask.IssueInstant).Abs() > answerLife {
		return "", errors.New("for another address, or of another time")
	}
	to := logoutPlace(sp, true)
	id, err := d.messageID()
	if err != nil || to == "" {
		return "", err
	}
	return d.signed(to, "SAMLResponse", r.URL.Query().Get("RelayState"), &saml.LogoutResponse{
		ID: id, InResponseTo: ask.ID, Version: "2.0", IssueInstant: d.c.Now(), Destination: to,
		Issuer: &saml.Issuer{Format: entityFormat, Value: d.saml.idp.MetadataURL.String()},
		Status: saml.Status{StatusCode: saml.StatusCode{Value: saml.StatusSuccess}},
	})
}

// samlSignOut ends the session of this browser here, and asks the gate to
// end its own.
func (d *IDP) samlSignOut(w http.ResponseWriter, r *http.Request) {
	person, cookie := d.session(r)
	d.endSession(w, r)
	to, err := d.askLogout(r, person, cookie)
	if err != nil {
		d.log.WarnContext(r.Context(), "the gate cannot be told of a sign-out", "error", err)
	}
	if to == "" {
		d.message(w, r, http.StatusOK, "You are signed out", "You are signed out of "+d.c.Company+".")
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // an address of the gate's own metadata
}

func (d *IDP) askLogout(r *http.Request, person, cookie string) (string, error) {
	if person == "" {
		return "", nil
	}
	sp, err := d.saml.gate(r.Context())
	if err != nil {
		return "", err
	}
	to := logoutPlace(sp, false)
	id, err := d.messageID()
	if err != nil || to == "" {
		return "", err
	}
	entity, until := d.saml.idp.MetadataURL.String(), d.c.Now().Add(answerLife)
	return d.signed(to, "SAMLRequest", "", &saml.LogoutRequest{
		ID: id, Version: "2.0", IssueInstant: d.c.Now(), NotOnOrAfter: &until, Destination: to,
		Issuer:       &saml.Issuer{Format: entityFormat, Value: entity},
		NameID:       &saml.NameID{Format: persistentID, NameQualifier: entity, SPNameQualifier: sp.EntityID, Value: d.Subject(person)},
		SessionIndex: &saml.SessionIndex{Value: sessionIndex(cookie)},
	})
}

// logoutPlace is where the gate takes logout messages by redirect.
func logoutPlace(sp *saml.EntityDescriptor, answers bool) string {
	for _, e := range sp.SPSSODescriptors[0].SingleLogoutServices {
		switch {
		case e.Binding != saml.HTTPRedirectBinding:
		case answers && e.ResponseLocation != "":
			return e.ResponseLocation
		default:
			return e.Location
		}
	}
	return ""
}

// signed gives the address that carries a message, signed on the query (SAML
// 2.0 bindings, section 3.4.4.1).
func (d *IDP) signed(to, name, relayState string, message interface{ Redirect(string) *url.URL }) (string, error) {
	deflated := message.Redirect("").Query().Get(name)
	query := name + "=" + url.QueryEscape(deflated)
	if relayState != "" {
		query += "&RelayState=" + url.QueryEscape(relayState)
	}
	query += "&SigAlg=" + url.QueryEscape(rsaSHA256)
	sum := sha256.Sum256([]byte(query))
	signature, err := rsa.SignPKCS1v15(rand.Reader, d.saml.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	joint := "?"
	if strings.Contains(to, "?") {
		joint = "&"
	}
	return to + joint + query + "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature)), nil
}

// verifyQuery checks the signature on a query against the gate's keys. What
// was signed are the parts as they were sent, in an order of their own.
func verifyQuery(query string, sp *saml.EntityDescriptor) error {
	sent := make(map[string]string)
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if _, twice := sent[name]; twice {
			return errors.New(name + " comes twice")
		}
		sent[name] = part
	}
	var parts []string
	for _, name := range []string{"SAMLRequest", "RelayState", "SigAlg"} {
		if part, ok := sent[name]; ok {
			parts = append(parts, part)
		}
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return err
	}
	signature, err := base64.StdEncoding.DecodeString(values.Get("Signature"))
	if err != nil || values.Get("SigAlg") != rsaSHA256 {
		return errors.New("not signed, or in a way that is not understood")
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "&")))
	for _, k := range sp.SPSSODescriptors[0].KeyDescriptors {
		for _, c := range k.KeyInfo.X509Data.X509Certificates {
			der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(c.Data), ""))
			if err != nil || k.Use == "encryption" {
				continue
			}
			certificate, err := x509.ParseCertificate(der)
			if err != nil {
				continue
			}
			if key, ok := certificate.PublicKey.(*rsa.PublicKey); ok && rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil {
				return nil
			}
		}
	}
	return errors.New("the signature is not the gate's")
}

func inflate(text string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(b)), maxMessage+1))
	if err == nil && len(raw) > maxMessage {
		err = errors.New("too long")
	}
	return raw, err
}
