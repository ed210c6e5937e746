package saml_test

import (
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

// Each case is a message that means something else, or nothing; by both
// bindings, properly signed.
func TestSignedLogoutMessagesThatAreNotForNow(t *testing.T) {
	at := func(d time.Duration) string { return moment.Add(d).Format(time.RFC3339) }
	now := `IssueInstant="` + at(0) + `"`
	until := ` NotOnOrAfter="` + at(time.Minute) + `"`
	issuer := "<saml:Issuer>" + theirEntity + "</saml:Issuer>"
	for _, tc := range []struct {
		name    string
		message string
		kind    fault.Kind
	}{
		{"another issuer", logoutRequest(theirEntity, "https://evil.example/"), fault.Unauthenticated},
		{"issuer of another format", logoutRequest("<saml:Issuer>", `<saml:Issuer Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">`), fault.Unauthenticated},
		{"issuer with a slash more", logoutRequest(theirEntity, theirEntity+"/"), fault.Unauthenticated},
		{"another destination", logoutRequest(ownSLO, "https://other.example/slo"), fault.Unauthenticated},
		{"our other endpoint", logoutRequest(ownSLO, ownACS), fault.Unauthenticated},
		{"no destination", logoutRequest(` Destination="`+ownSLO+`"`, ""), fault.Unauthenticated},
		{"empty destination", logoutRequest(ownSLO, ""), fault.Unauthenticated},
		{"from the future", logoutRequest(now, `IssueInstant="`+at(91*time.Second)+`"`), fault.Unauthenticated},
		{"too old", logoutRequest(now, `IssueInstant="`+at(-211*time.Second)+`"`, until, ""), fault.Unauthenticated},
		{"over", logoutRequest(until, ` NotOnOrAfter="`+at(-91*time.Second)+`"`), fault.Unauthenticated},
		{"no time", logoutRequest(now, `IssueInstant="yesterday"`), fault.Invalid},
		{"no end", logoutRequest(until, ` NotOnOrAfter="never"`), fault.Invalid},
		{"version", logoutRequest(`Version="2.0"`, `Version="1.1"`), fault.Invalid},
		{"no id", logoutRequest(` ID="_r1"`, ""), fault.Invalid},
		{"no issuer", logoutRequest(issuer, ""), fault.Invalid},
		{"two issuers", logoutRequest(issuer, issuer+issuer), fault.Invalid},
		{"empty name", logoutRequest("ann@acme.example", ""), fault.Invalid},
		{"no name", logoutRequest(`<saml:NameID NameQualifier="nq" SPNameQualifier="spnq" Format="urn:f">ann@acme.example</saml:NameID>`, ""), fault.Invalid},
		{"two names", logoutRequest("</saml:NameID>", "</saml:NameID><saml:NameID>bob</saml:NameID>"), fault.Invalid},
		{"comment in the name", logoutRequest("ann@acme.example", "ann@acme.example<!---->.evil.example"), fault.Invalid},
		{"long name", logoutRequest("ann@acme.example", strings.Repeat("n", 1025)), fault.Invalid},
		{"name with a space behind", logoutRequest("ann@acme.example", "ann@acme.example "), fault.Invalid},
		{"invisible name", logoutRequest("ann@acme.example", "ann\u200b@acme.example"), fault.Invalid},
		{"empty session index", logoutRequest("s2", ""), fault.Invalid},
		{"many sessions", logoutRequest("<samlp:SessionIndex>s2", strings.Repeat("<samlp:SessionIndex>s2</samlp:SessionIndex>", 100)+"<samlp:SessionIndex>s2"), fault.TooLarge},
		{"no place", logoutRequest("<samlp:SessionIndex>s1", "<saml:Subject/><samlp:SessionIndex>s1"), fault.Invalid},
		{"an answer", logoutAnswer(), fault.Invalid},
		{"a response", strings.ReplaceAll(logoutRequest(), "LogoutRequest", "Response"), fault.Invalid},
		{"no namespace", logoutRequest(`urn:oasis:names:tc:SAML:2.0:protocol`, `urn:oasis:names:tc:SAML:1.0:protocol`), fault.Invalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sp := gateWith(t, nil)
			raw := packQuery(t, "SAMLRequest", tc.message, "", rsaSHA256, theirKey().Private, url.QueryEscape)
			if got, err := sp.ReadLogoutRedirect(raw); !fault.Is(err, tc.kind) {
				t.Errorf("redirect = %+v, %v, want a fault that is %v", got, err, tc.kind)
			}
			if strings.Contains(tc.message, "<!--") { // the signature would be over other text
				return
			}
			form := url.Values{"SAMLRequest": {encode64(signXML(t, tc.message, theirKey(), rsaSHA256))}}
			if got, err := sp.ReadLogoutPOST(form); err == nil {
				t.Errorf("post = %+v, want a fault", got)
			}
		})
	}
}

func TestAnswersThatAnswerNothing(t *testing.T) {
	sp := gateWith(t, nil)
	for name, message := range map[string]string{
		"no request named": logoutAnswer(` InResponseTo="_q1"`, ""),
		"an empty one":     logoutAnswer(`InResponseTo="_q1"`, `InResponseTo=""`),
		"empty status":     logoutAnswer(saml.StatusResponder, ""),
		"no status":        logoutAnswer("samlp:Status>", "samlp:Extensions>"),
	} {
		raw := packQuery(t, "SAMLResponse", message, "", rsaSHA256, theirKey().Private, url.QueryEscape)
		if got, err := sp.ReadLogoutRedirect(raw); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %+v, %v, want an invalid fault", name, got, err)
		}
	}
}

func TestRedirectQueriesThatAreAmbiguousOrNotSigned(t *testing.T) {
	good := packQuery(t, "SAMLRequest", logoutRequest(), "r", rsaSHA256, theirKey().Private, url.QueryEscape)
	other := packQuery(t, "SAMLRequest", logoutRequest("ann@acme", "bob@acme"), "r", rsaSHA256, strangeKey().Private, url.QueryEscape)
	message := func(q string) string { m, _, _ := strings.Cut(q, "&"); return m }
	head, signature, _ := strings.Cut(good, "&Signature=")
	algorithm := url.QueryEscape(rsaSHA256)
	for _, tc := range []struct {
		name, query string
	}{
		{"empty", ""},
		{"unsigned", strings.Split(good, "&SigAlg")[0]},
		{"no signature", head},
		{"empty signature", head + "&Signature="},
		{"no algorithm", strings.Replace(good, "&SigAlg="+algorithm, "", 1)},
		{"none", strings.Replace(good, algorithm, "none", 1)},
		{"another key", other},
		{"hmac", strings.Replace(good, algorithm, url.QueryEscape("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"), 1)},
		{"another message", message(other) + strings.TrimPrefix(good, message(good))},
		{"relay state changed", strings.Replace(good, "RelayState=r", "RelayState=s", 1)},
		{"relay state dropped", strings.Replace(good, "&RelayState=r", "", 1)},
		{"relay state emptied", strings.Replace(good, "RelayState=r", "RelayState=", 1)},
		{"message twice", message(other) + "&" + good},
		{"message twice, after", good + "&" + message(other)},
		{"message twice, escaped name", good + "&" + strings.Replace(message(other), "SAMLRequest", "SAML%52equest", 1)},
		{"name escaped", strings.Replace(good, "SAMLRequest", "SAML%52equest", 1)},
		{"request and response", good + "&SAMLResponse=x"},
		{"response and request", packQuery(t, "SAMLResponse", logoutAnswer(), "", rsaSHA256, theirKey().Private, url.QueryEscape) + "&SAMLRequest=x"},
		{"relay state added", packQuery(t, "SAMLRequest", logoutRequest(), "", rsaSHA256, theirKey().Private, url.QueryEscape) + "&RelayState=s"},
		{"signed semicolon", packQuery(t, "SAMLRequest", logoutRequest(), "r;s", rsaSHA256, theirKey().Private, bareSemicolon)},
		{"bytes after the message", signedTail(t, good)},
		{"request as response", strings.Replace(good, "SAMLRequest", "SAMLResponse", 1)},
		{"relay state twice", good + "&RelayState=s"},
		{"algorithm twice", good + "&SigAlg=" + algorithm},
		{"signature twice", good + "&Signature=" + signature},
		{"semicolon", strings.Replace(good, "RelayState=r", "RelayState=r;RelayState=s", 1)},
		{"encoding", good + "&SAMLEncoding=urn:x"},
		{"escapes rewritten", strings.ReplaceAll(good, "%2F", "%2f")},
		{"bad escape", good + "&RelayState%zz=1"},
		{"signature is not base64", head + "&Signature=!!"},
		{"message is not base64", strings.Replace(good, "SAMLRequest=", "SAMLRequest=!!", 1)},
		{"many parameters", good + strings.Repeat("&a=b", 20)},
		{"long", good + "&a=" + strings.Repeat("b", 64<<10)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.query == good {
				t.Fatal("the case is the good query")
			}
			if got, err := gateWith(t, nil).ReadLogoutRedirect(tc.query); err == nil || fault.KindOf(err) == fault.Internal {
				t.Errorf("ReadLogoutRedirect = %+v, %v, want a fault", got, err)
			}
		})
	}
}

func bareSemicolon(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%3B", ";") }

// signedTail puts bytes behind the deflated message and signs it so.
func signedTail(t *testing.T, query string) string {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := base64.StdEncoding.DecodeString(values.Get("SAMLRequest"))
	if err != nil {
		t.Fatal(err)
	}
	text := "SAMLRequest=" + url.QueryEscape(encode64(string(packed)+"tail")) + "&SigAlg=" + url.QueryEscape(rsaSHA256)
	return text + "&Signature=" + url.QueryEscape(encode64(string(signText(t, text, rsaSHA256, theirKey().Private))))
}

// Where the message does not inflate to one message of bounded size, a good
// signature does not help.
func TestInflatingIsBounded(t *testing.T) {
	sp := gateWith(t, nil)
	for _, tc := range []struct {
		name, message string
		kind          fault.Kind
	}{
		{"bomb", strings.Repeat(" ", 20<<20), fault.TooLarge},
		{"just over", strings.Repeat(" ", 256<<10+1), fault.TooLarge},
		{"full", strings.Repeat(" ", 256<<10), fault.Invalid}, // not over, but no message
		{"nothing", "", fault.Invalid},
	} {
		raw := packQuery(t, "SAMLRequest", tc.message, "", rsaSHA256, theirKey().Private, url.QueryEscape)
		if _, err := sp.ReadLogoutRedirect(raw); !fault.Is(err, tc.kind) {
			t.Errorf("%s: %v, want a fault that is %v", tc.name, err, tc.kind)
		}
	}
}

func TestSHA1OnlyWhereAllowed(t *testing.T) {
	raw := packQuery(t, "SAMLRequest", logoutRequest(), "", rsaSHA1, theirKey().Private, url.QueryEscape)
	form := url.Values{"SAMLRequest": {encode64(signXML(t, logoutRequest(), theirKey(), rsaSHA1))}}
	strict := gateWith(t, nil)
	if _, err := strict.ReadLogoutRedirect(raw); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("redirect with SHA-1: %v", err)
	}
	if _, err := strict.ReadLogoutPOST(form); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("post with SHA-1: %v", err)
	}
	lax := gateWith(t, func(c *saml.Config) { c.IDP.AllowSHA1 = true })
	if got, err := lax.ReadLogoutRedirect(raw); err != nil || !got.SHA1 {
		t.Errorf("redirect with SHA-1 allowed: %+v, %v", got, err)
	}
	if got, err := lax.ReadLogoutPOST(form); err != nil || !got.SHA1 {
		t.Errorf("post with SHA-1 allowed: %+v, %v", got, err)
	}
}

func TestPOSTedLogoutAttacks(t *testing.T) {
	good := signXML(t, logoutRequest(), theirKey(), rsaSHA256)
	body := good[:len(good)-len("</samlp:LogoutRequest>")]
	inner := signXML(t, logoutRequest("_r1", "_r2"), theirKey(), rsaSHA256)
	sig := fragment(good, "<ds:Signature", "</ds:Signature>")
	wrapped := logoutRequest("ann@acme", "bob@acme", `"_r1"`, `"_x"`)
	evil := strings.Replace(wrapped, "</saml:Issuer>", "</saml:Issuer>"+sig, 1)
	for _, tc := range []struct{ name, message string }{
		{"unsigned", logoutRequest()},
		{"another key", signXML(t, logoutRequest(), strangeKey(), rsaSHA256)},
		{"changed", strings.Replace(good, "ann@acme", "bob@acme", 1)},
		{"session dropped", strings.Replace(good, "<samlp:SessionIndex>s2</samlp:SessionIndex>", "", 1)},
		{"signature of the request that it carries along", strings.Replace(evil, "</samlp:LogoutRequest>", "<samlp:Extensions>"+strings.Replace(good, sig, "", 1)+"</samlp:Extensions></samlp:LogoutRequest>", 1)},
		{"wrapped in extensions", strings.Replace(evil, sig, sig+"<samlp:Extensions>"+good+"</samlp:Extensions>", 1)},
		{"wrapped in the signature", strings.Replace(evil, "</ds:Signature>", "<ds:Object>"+strings.Replace(good, sig, "", 1)+"</ds:Object></ds:Signature>", 1)},
		{"same id twice", strings.Replace(logoutRequest("ann@acme", "bob@acme"), "</saml:Issuer>", "</saml:Issuer>"+sig+"<samlp:Extensions>"+strings.Replace(good, sig, "", 1)+"</samlp:Extensions>", 1)},
		{"signature of another message", strings.Replace(logoutRequest("ann@acme", "bob@acme"), "</saml:Issuer>", "</saml:Issuer>"+sig, 1)},
		{"signed message as a child", body + inner + "</samlp:LogoutRequest>"},
		{"two signatures", strings.Replace(good, sig, sig+sig, 1)},
		{"empty reference", strings.Replace(good, `URI="#_r1"`, `URI=""`, 1)},
		{"signature last", strings.Replace(strings.Replace(good, sig, "", 1), "</samlp:LogoutRequest>", sig+"</samlp:LogoutRequest>", 1)},
		{"document type", `<!DOCTYPE x [<!ENTITY a "b">]>` + good},
		{"entity", strings.Replace(good, "ann@acme", "&ann;@acme", 1)},
		{"processing instruction", `<?xml-stylesheet href="x"?>` + good},
		{"two roots", good + good},
		{"nothing", ""},
		{"deep", strings.Repeat("<a>", 5000) + strings.Repeat("</a>", 5000)},
		{"large", strings.Repeat(" ", 257<<10) + good},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := gateWith(t, nil).ReadLogoutPOST(url.Values{"SAMLRequest": {encode64(tc.message)}})
			if err == nil || fault.KindOf(err) == fault.Internal {
				t.Errorf("ReadLogoutPOST = %+v, %v, want a fault", got, err)
			}
		})
	}
	for name, form := range map[string]url.Values{
		"empty":                {},
		"message twice":        {"SAMLRequest": {encode64(good), encode64(good)}},
		"relay state twice":    {"SAMLRequest": {encode64(good)}, "RelayState": {"a", "b"}},
		"request and response": {"SAMLRequest": {encode64(good)}, "SAMLResponse": {encode64(good)}},
		"as a response":        {"SAMLResponse": {encode64(good)}},
		"not base64":           {"SAMLRequest": {good}},
		"long relay state":     {"SAMLRequest": {encode64(good)}, "RelayState": {strings.Repeat("r", 1025)}},
		"huge":                 {"SAMLRequest": {strings.Repeat("A", 1<<20)}},
	} {
		if got, err := gateWith(t, nil).ReadLogoutPOST(form); err == nil || fault.KindOf(err) == fault.Internal {
			t.Errorf("%s: %+v, %v, want a fault", name, got, err)
		}
	}
}

func fragment(s, from, to string) string {
	i := strings.Index(s, from)
	return s[i : i+strings.Index(s[i:], to)+len(to)]
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

func TestRefusedLogoutTellsTheSenderNothing(t *testing.T) {
	raw := packQuery(t, "SAMLRequest", logoutRequest(theirEntity, "https://evil.example/"), "", rsaSHA256, theirKey().Private, url.QueryEscape)
	_, err := gateWith(t, nil).ReadLogoutRedirect(raw)
	if got := fault.Message(err); strings.Contains(got, "example") || !strings.Contains(err.Error(), "https://evil.example/") {
		t.Errorf("shown %q, logged %q: want the reason in the log alone", got, err)
	}
}
