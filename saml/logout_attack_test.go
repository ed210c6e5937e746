package saml_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"portcullis/fault"
	"portcullis/saml"
)

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

func TestRefusedLogoutTellsTheSenderNothing(t *testing.T) {
	raw := packQuery(t, "SAMLRequest", logoutRequest(theirEntity, "https://evil.example/"), "", rsaSHA256, theirKey().Private, url.QueryEscape)
	_, err := gateWith(t, nil).ReadLogoutRedirect(raw)
	if got := fault.Message(err); strings.Contains(got, "example") || !strings.Contains(err.Error(), "https://evil.example/") {
		t.Errorf("shown %q, logged %q: want the reason in the log alone", got, err)
	}
}
