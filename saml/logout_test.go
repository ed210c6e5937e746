package saml_test

import (
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

// logoutRequest writes a request as a provider would, changed by replacing.
func logoutRequest(replace ...string) string {
	message := fmt.Sprintf(`<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"`+
		` ID="_r1" Version="2.0" IssueInstant="%s" Destination="%s" NotOnOrAfter="%s">`+
		`<saml:Issuer>%s</saml:Issuer>`+
		`<saml:NameID NameQualifier="nq" SPNameQualifier="spnq" Format="urn:f">ann@acme.example</saml:NameID>`+
		`<samlp:SessionIndex>s1</samlp:SessionIndex><samlp:SessionIndex>s2</samlp:SessionIndex></samlp:LogoutRequest>`,
		moment.Format(time.RFC3339), ownSLO, moment.Add(time.Minute).Format(time.RFC3339), theirEntity)
	return strings.NewReplacer(replace...).Replace(message)
}

func logoutAnswer(replace ...string) string {
	message := fmt.Sprintf(`<samlp:LogoutResponse xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"`+
		` ID="_a1" Version="2.0" IssueInstant="%s" Destination="%s" InResponseTo="_q1">`+
		`<saml:Issuer>%s</saml:Issuer>`+
		`<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder">`+
		`<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:PartialLogout"/></samlp:StatusCode></samlp:Status></samlp:LogoutResponse>`,
		moment.Format(time.RFC3339), ownSLO, theirEntity)
	return strings.NewReplacer(replace...).Replace(message)
}

func wantRequest(binding, relayState string) *saml.LogoutRequest {
	return &saml.LogoutRequest{
		NameID: "ann@acme.example", NameIDFormat: "urn:f", NameQualifier: "nq", SPNameQualifier: "spnq",
		SessionIndexes: []string{"s1", "s2"}, RelayState: relayState, Binding: binding,
	}
}

// lowerEscapes writes percent encodings as some providers do: in lower case,
// and of more than has to be.
func lowerEscapes(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Y' || c >= '0' && c <= '9' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02x", s[i])
	}
	return b.String()
}

func TestReadLogoutRequestByRedirect(t *testing.T) {
	sp := gateWith(t, nil)
	escapes := map[string]func(string) string{"upper": url.QueryEscape, "lower": lowerEscapes, "spaces as percent": url.PathEscape}
	for name, escape := range escapes {
		if name == "spaces as percent" { // leaves + bare, which is a space in a query
			escape = func(s string) string { return strings.ReplaceAll(url.PathEscape(s), "+", "%2B") }
		}
		for _, key := range []saml.KeyPair{theirKey(), theirNewKey()} {
			raw := packQuery(t, "SAMLRequest", logoutRequest(), "back to/it + more", rsaSHA256, key.Private, escape)
			got, err := sp.ReadLogoutRedirect(raw)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want := &saml.Logout{
				ID: "_r1", Expires: moment.Add(time.Minute + 90*time.Second),
				Request: wantRequest(saml.BindingRedirect, "back to/it + more"), Certificate: saml.Fingerprint(key.Certificate),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", name, diff)
			}
		}
	}
}

// The order of the query is free; the order under the signature is not.
func TestRedirectParametersInAnyOrderAndBesideOthers(t *testing.T) {
	sp := gateWith(t, nil)
	raw := packQuery(t, "SAMLRequest", logoutRequest(), "r", rsaSHA256, theirKey().Private, url.QueryEscape)
	parts := strings.Split(raw, "&")
	slices.Reverse(parts)
	for _, q := range []string{strings.Join(parts, "&"), raw + "&utm=1", "lang=en&" + raw} {
		if _, err := sp.ReadLogoutRedirect(q); err != nil {
			t.Errorf("ReadLogoutRedirect(%.40s…) = %v", q, err)
		}
	}
}

func TestEmptyRelayStateIsNone(t *testing.T) {
	sp := gateWith(t, nil)
	raw := packQuery(t, "SAMLRequest", logoutRequest(), "", rsaSHA256, theirKey().Private, url.QueryEscape)
	got, err := sp.ReadLogoutRedirect(strings.Replace(raw, "&SigAlg", "&RelayState=&SigAlg", 1))
	if err != nil || got.Request.RelayState != "" {
		t.Errorf("unsigned empty RelayState: %+v, %v", got, err)
	}
	unsigned, _, _ := strings.Cut(raw, "&SigAlg")
	signed := unsigned + "&RelayState=&SigAlg=" + url.QueryEscape(rsaSHA256)
	signed += "&Signature=" + url.QueryEscape(encode64(string(signText(t, signed, rsaSHA256, theirKey().Private))))
	if _, err := sp.ReadLogoutRedirect(signed); err != nil {
		t.Errorf("signed empty RelayState: %v", err)
	}
}

func TestReadLogoutRequestByPOST(t *testing.T) {
	sp := gateWith(t, nil)
	form := url.Values{"SAMLRequest": {encode64(signXML(t, logoutRequest(), theirKey(), rsaSHA256))}, "RelayState": {"r"}}
	got, err := sp.ReadLogoutPOST(form)
	if err != nil {
		t.Fatal(err)
	}
	want := &saml.Logout{
		ID: "_r1", Expires: moment.Add(time.Minute + 90*time.Second),
		Request: wantRequest(saml.BindingPOST, "r"), Certificate: saml.Fingerprint(theirKey().Certificate),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestReadLogoutAnswer(t *testing.T) {
	sp := gateWith(t, nil)
	want := &saml.Logout{
		ID: "_a1", Expires: moment.Add(2*time.Minute + 90*time.Second), Certificate: saml.Fingerprint(theirKey().Certificate),
		Answer: &saml.LogoutAnswer{InResponseTo: "_q1", Status: saml.StatusResponder, SubStatus: saml.StatusPartialLogout, RelayState: "r"},
	}
	raw := packQuery(t, "SAMLResponse", logoutAnswer(), "r", rsaSHA256, theirKey().Private, url.QueryEscape)
	got, err := sp.ReadLogoutRedirect(raw)
	want.Answer.Binding = saml.BindingRedirect
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("redirect: %v (-want +got)\n%s", err, diff)
	}
	form := url.Values{"SAMLResponse": {encode64(signXML(t, logoutAnswer(), theirKey(), rsaSHA256))}, "RelayState": {"r"}}
	got, err = sp.ReadLogoutPOST(form)
	want.Answer.Binding = saml.BindingPOST
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("post: %v (-want +got)\n%s", err, diff)
	}
}

// libraryPeer is the library's service provider in the provider's place: it
// can send logout messages and read ours.
func libraryPeer(t *testing.T) *crewjam.ServiceProvider {
	t.Helper()
	parse := func(s string) url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return *u
	}
	data, err := gateWith(t, nil).Metadata(saml.OwnMetadata{})
	if err != nil {
		t.Fatal(err)
	}
	var own crewjam.EntityDescriptor
	if err := xml.Unmarshal(data, &own); err != nil {
		t.Fatal(err)
	}
	// The library looks for an identity provider's role in what it trusts.
	role := crewjam.IDPSSODescriptor{SSODescriptor: own.SPSSODescriptors[0].SSODescriptor}
	own.IDPSSODescriptors = []crewjam.IDPSSODescriptor{role}
	return &crewjam.ServiceProvider{
		EntityID: theirEntity, Key: theirKey().Private, Certificate: theirKey().Certificate,
		SignatureMethod: dsig.RSASHA256SignatureMethod, IDPMetadata: &own,
		MetadataURL: parse(theirEntity), SloURL: parse(theirSLO + "/answer"), AcsURL: parse(theirSSO),
	}
}

func TestLogoutWithTheLibraryOnTheOtherSide(t *testing.T) {
	peer := libraryPeer(t)
	sp := gateWith(t, func(c *saml.Config) { c.Now = nil }) // the library reads the clock

	theirs, err := peer.MakeLogoutRequest(ownSLO, "ann")
	if err != nil {
		t.Fatal(err)
	}
	got, err := sp.ReadLogoutPOST(url.Values{"SAMLRequest": {encode64(elementString(t, theirs.Element()))}})
	if err != nil {
		t.Fatalf("the library's logout request: %v", err)
	}
	if got.ID != theirs.ID || got.Request.NameID != "ann" {
		t.Errorf("read %+v", got)
	}
	answer, err := sp.MakeLogoutResponse(saml.LogoutAnswer{InResponseTo: got.ID, Binding: got.Request.Binding})
	if err != nil {
		t.Fatal(err)
	}
	if answer.URL != theirSLO+"/answer" {
		t.Errorf("the answer goes to %s, want the ResponseLocation", answer.URL)
	}
	if err := peer.ValidateLogoutResponseForm(answer.Fields[0].Value); err != nil {
		t.Errorf("the library refuses our answer: %v", err)
	}

	ours, err := sp.MakeLogoutRequest(saml.LogoutRequest{NameID: "ann", Binding: saml.BindingPOST, SessionIndexes: []string{"s1"}})
	if err != nil {
		t.Fatal(err)
	}
	reply, err := peer.MakeLogoutResponse(ownSLO, ours.ID)
	if err != nil {
		t.Fatal(err)
	}
	got, err = sp.ReadLogoutPOST(url.Values{"SAMLResponse": {encode64(elementString(t, reply.Element()))}})
	if err != nil || got.Answer.InResponseTo != ours.ID || got.Answer.Status != saml.StatusSuccess {
		t.Errorf("the library's answer: %+v, %v", got, err)
	}
}

func elementString(t *testing.T, el *etree.Element) string {
	t.Helper()
	s, err := etree.NewDocumentWithRoot(el).WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What we send, by either binding, the other side of our own code reads.
func TestLogoutMessagesGoBothWays(t *testing.T) {
	sp := gateWith(t, nil)
	other := gateWith(t, func(c *saml.Config) { // the provider, as if it were a gate
		c.EntityID, c.SLO = theirEntity, theirSLO
		c.Signing = []saml.KeyPair{theirKey()}
		c.IDP.EntityID = ownEntity
		c.IDP.Certificates = append(c.IDP.Certificates[:0:0], nextKey().Certificate, ourKey().Certificate)
		c.IDP.SLO = []saml.Endpoint{{Binding: saml.BindingRedirect, Location: ownSLO}, {Binding: saml.BindingPOST, Location: ownSLO}}
	})
	for _, binding := range []string{saml.BindingRedirect, saml.BindingPOST} {
		want := *wantRequest(binding, "opaque")
		out, err := sp.MakeLogoutRequest(want)
		if err != nil {
			t.Fatal(err)
		}
		got := receive(t, other, out)
		if diff := cmp.Diff(&want, got.Request); diff != "" || got.ID != out.ID {
			t.Errorf("%s: (-want +got)\n%s", binding, diff)
		}
		back := saml.LogoutAnswer{
			InResponseTo: got.ID, Status: saml.StatusResponder, SubStatus: saml.StatusPartialLogout,
			RelayState: strings.Repeat("theirs ", 20), Binding: binding,
		}
		out, err = other.MakeLogoutResponse(back)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&back, receive(t, sp, out).Answer); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", binding, diff)
		}
	}
}

func receive(t *testing.T, sp *saml.ServiceProvider, out *saml.Outgoing) *saml.Logout {
	t.Helper()
	var got *saml.Logout
	var err error
	if out.Fields == nil {
		_, query, _ := strings.Cut(out.URL, "?")
		got, err = sp.ReadLogoutRedirect(query)
	} else {
		form := url.Values{}
		for _, f := range out.Fields {
			form.Add(f.Name, f.Value)
		}
		got, err = sp.ReadLogoutPOST(form)
	}
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEncryptedNameOfALogoutRequest(t *testing.T) {
	const id = `<saml:NameID xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" Format="urn:f" NameQualifier="nq" SPNameQualifier="spnq">ann@acme.example</saml:NameID>`
	in := func(sealed string) string {
		plain := fragment(logoutRequest(), "<saml:NameID", "</saml:NameID>")
		return logoutRequest(plain, "<saml:EncryptedID>"+sealed+"</saml:EncryptedID>")
	}
	next := encrypted()
	next.to = pair{nextKey().Private, nextKey().Certificate}
	for name, how := range map[string]*encryption{"the key in use": encrypted(), "the next key": next} {
		message := in(how.seal(id))
		raw := packQuery(t, "SAMLRequest", message, "", rsaSHA256, theirKey().Private, url.QueryEscape)
		got, err := gateWith(t, nil).ReadLogoutRedirect(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(wantRequest(saml.BindingRedirect, ""), got.Request); diff != "" {
			t.Errorf("%s, redirect: (-want +got)\n%s", name, diff)
		}
		got, err = gateWith(t, nil).ReadLogoutPOST(url.Values{"SAMLRequest": {encode64(signXML(t, message, theirKey(), rsaSHA256))}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(wantRequest(saml.BindingPOST, ""), got.Request); diff != "" {
			t.Errorf("%s, post: (-want +got)\n%s", name, diff)
		}
	}
	foreign := encrypted()
	foreign.to = stranger()
	for name, message := range map[string]string{
		"not a name":      in(encrypted().seal(strings.ReplaceAll(id, "NameID", "Issuer"))),
		"an assertion":    in(encrypted().seal(legit().assertion())),
		"garbage":         in(encrypted().seal("\x00\xff")),
		"for another key": in(foreign.seal(id)),
		"beside a name":   logoutRequest("</saml:NameID>", "</saml:NameID><saml:EncryptedID>"+encrypted().seal(id)+"</saml:EncryptedID>"),
		"empty":           in(""),
	} {
		raw := packQuery(t, "SAMLRequest", message, "", rsaSHA256, theirKey().Private, url.QueryEscape)
		if got, err := gateWith(t, nil).ReadLogoutRedirect(raw); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %+v, %v, want an invalid fault", name, got, err)
		}
	}
}
