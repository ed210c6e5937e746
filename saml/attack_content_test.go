package saml_test

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"portcullis/saml"
)

// tampering changes what was signed, or how it reads, after it was signed.
func tampering() []bad {
	var cases []bad
	o := legit()
	doc := o.xml()
	add := func(class, name, doc string, harmless bool) {
		cases = append(cases, bad{class: class, name: name, form: encode(doc), harmless: harmless})
	}
	for name, edit := range map[string][2]string{
		"subject": {subject, victim}, "group": {">g1<", ">admins<"}, "group added": {"</saml:AttributeValue>", "</saml:AttributeValue><saml:AttributeValue>admins</saml:AttributeValue>"},
		"attribute name": {`Name="groups"`, `Name="roles"`}, "format": {"emailAddress", "persistent"}, "audience": {"<saml:Audience>" + ourEntity, "<saml:Audience>x"},
		"time": {at(5 * time.Minute), at(6 * time.Minute)}, "white space": {"<saml:Subject>", "<saml:Subject> "}, "a space in the name": {subject, " " + subject},
		"case": {subject, strings.ToUpper(subject)}, "session": {"_s1", "_s2"}, "prefix": {"<saml:NameID ", `<saml:NameID xmlns:x="urn:x" x:y="" `},
		"an attribute more": {"<saml:NameID ", `<saml:NameID SPNameQualifier="x" `}, "an attribute fewer": {` SessionIndex="_s1"`, ""},
		"a look-alike": {subject, "аlice@example.com"}, "a null": {subject, "alice@example.com&#0;"}, "decomposed": {subject, "a\u0301lice@example.com"},
	} {
		add("tampering", name, strings.Replace(doc, edit[0], edit[1], 1), false)
	}
	whole := legit()
	whole.subject = "admin@example.com.evil.example" // what an attacker may call himself
	signed := whole.xml()
	for _, field := range []struct{ name, text, cut string }{
		{"subject", whole.subject, victim}, {"issuer", theirEntity, "https://idp"}, {"audience", ourEntity, "https://gate"}, {"value", ">g1<", ">g"}, {"class", "PasswordProtectedTransport", "Password"},
	} {
		rest := strings.TrimPrefix(field.text, field.cut)
		for name, mark := range map[string]string{
			"a comment": "<!-- -->", "an empty comment": "<!---->", "an instruction": "<?x y?>", "an empty instruction": "<?x?>", "CDATA around nothing": "<![CDATA[]]>",
			"an element": `<x xmlns="urn:x"/>`, "an entity": "&x;", "a null reference": "&#0;", "two comments": "<!-- --><!-- -->", "an unclosed comment": "<!--",
		} {
			add("comments and the like inside values", field.name+": "+name, strings.Replace(signed, field.text, field.cut+mark+rest, 1), strings.HasPrefix(name, "CDATA"))
		}
	}
	add("comments and the like inside values", "comment before", strings.Replace(signed, ">"+whole.subject, "><!-- x -->"+whole.subject, 1), false)
	add("comments and the like inside values", "comment behind", strings.Replace(signed, whole.subject+"<", whole.subject+"<!-- x --><", 1), false)
	for i := range cases {
		if cases[i].harmless { // CDATA leaves the signature whole, and the name as well
			cases[i].name += " (reads the same)"
		}
	}
	return cases
}

// grammar is XML that is broken, or that programs read differently.
func grammar() []bad {
	var cases []bad
	doc := legit().xml()
	add := func(class, name, doc string) { cases = append(cases, bad{class: class, name: name, form: encode(doc)}) }
	for name, dtd := range map[string]string{
		"empty": `<!DOCTYPE Response>`, "internal": `<!DOCTYPE Response [<!ENTITY x "admin">]>`, "external": `<!DOCTYPE Response SYSTEM "http://127.0.0.1:1/x.dtd">`,
		"external entity": `<!DOCTYPE Response [<!ENTITY x SYSTEM "file:///etc/passwd">]>`, "parameter entity": `<!DOCTYPE Response [<!ENTITY % x SYSTEM "http://127.0.0.1:1/">%x;]>`,
		"bomb":         `<!DOCTYPE Response [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY x "&b;&b;&b;&b;&b;&b;&b;&b;">]>`,
		"ID attribute": `<!DOCTYPE Response [<!ATTLIST Assertion Foo ID #IMPLIED>]>`, "default attribute": `<!DOCTYPE Response [<!ATTLIST NameID Format CDATA "x">]>`,
		"lower case": `<!doctype Response>`, "public": `<!DOCTYPE Response PUBLIC "-//x" "x">`,
	} {
		add("DTD and entities", name, dtd+doc)
		add("DTD and entities", name+", used", dtd+strings.Replace(doc, subject, "&x;", 1))
		add("DTD and entities", name+", behind a declaration", `<?xml version="1.0"?>`+dtd+doc)
		add("DTD and entities", name+", within", strings.Replace(doc, "<samlp:Status>", dtd+"<samlp:Status>", 1))
	}
	for name, head := range map[string]string{
		"version 1.1": `<?xml version="1.1"?>`, "UTF-16 declared": `<?xml version="1.0" encoding="UTF-16"?>`, "Latin-1": `<?xml version="1.0" encoding="ISO-8859-1"?>`,
		"UTF-7": `<?xml version="1.0" encoding="UTF-7"?>`, "no version": `<?xml encoding="UTF-8"?>`, "stylesheet": `<?xml-stylesheet href="x"?>`, "instruction": `<?php 1?>`,
		"two declarations": `<?xml version="1.0"?><?xml version="1.0"?>`, "text": `x`, "space before the declaration": ` <?xml version="1.0"?>`, "null": "\x00",
		"two marks": "\uFEFF\uFEFF", "CDATA": "<![CDATA[x]]>", "broken comment": "<!-- -- -->", "open comment": "<!--",
	} {
		add("XML grammar", "head: "+name, head+doc)
	}
	for name, tail := range map[string]string{
		"text": "x", "comment": "<!-- -->", "instruction": "<?x?>", "an element": "<x/>", "itself": doc, "null": "\x00", "end tag": "</samlp:Response>", "reference": "&#32;",
	} {
		add("XML grammar", "tail: "+name, doc+tail)
	}
	for name, edit := range map[string][2]string{
		"attribute twice": {` Version="2.0"`, ` Version="2.0" Version="2.0"`}, "no quotes": {` Version="2.0"`, ` Version=2.0`}, "no space": {` Version="2.0" `, ` Version="2.0"`},
		"bracket in an attribute": {` Version="2.0"`, ` Version="<2.0"`}, "attribute without value": {` Version="2.0"`, ` Version`}, "end tag of another": {"</samlp:Status>", "</samlp:Statuses>"},
		"end tag's prefix": {"</samlp:Status>", "</saml:Status>"}, "end tag with attribute": {"</samlp:Status>", `</samlp:Status x="y">`}, "unclosed": {"</samlp:Status>", ""},
		"undefined prefix": {"<samlp:Status>", "<samlp:Status><x:y/>"}, "undefined prefix of an attribute": {"<samlp:Status>", `<samlp:Status x:y="">`}, "two colons": {"<samlp:Status>", "<samlp:a:Status>"},
		"name from a digit": {"<samlp:Status>", "<samlp:Status><1/>"}, "name outside ASCII": {"<samlp:Status>", "<samlp:Status><é/>"}, "colon alone": {"<samlp:Status>", "<:samlp:Status>"},
		"text between": {"<samlp:Status>", "x<samlp:Status>"}, "CDATA between": {"<samlp:Status>", "<![CDATA[x]]><samlp:Status>"}, "text within": {"<samlp:Status>", "<samlp:Status>x"},
		"instruction": {"<samlp:Status>", "<?x?><samlp:Status>"}, "xml instruction": {"<samlp:Status>", `<?xml version="1.0"?><samlp:Status>`}, "end of CDATA": {subject, subject + "]]>"},
		"control character": {subject, "\x01" + subject}, "null": {subject, subject + "\x00"}, "reference to a control character": {subject, "&#1;" + subject}, "reference to a surrogate": {subject, "&#xD800;" + subject},
		"reference too far": {subject, "&#x110000;" + subject}, "reference without end": {subject, "&#65" + subject}, "empty reference": {subject, "&#;" + subject}, "reference with sign": {subject, "&#+65;" + subject},
		"upper case X": {subject, "&#X41;" + subject}, "long reference": {subject, "&#x0000000000000000041;" + subject}, "entity of HTML": {subject, "&nbsp;" + subject}, "bare ampersand": {subject, "& " + subject},
		"overlong": {subject, "\xC0\xAF" + subject}, "invalid UTF-8": {subject, "\xFF" + subject}, "surrogate in UTF-8": {subject, "\xED\xA0\x80" + subject}, "non-character": {subject, "\uFFFF" + subject},
		"a tag's end": {"<samlp:Status>", "<samlp:Status"}, "a space in a tag": {"<samlp:Status>", "< samlp:Status>"}, "slash": {"<samlp:Status>", "<samlp:Status/ >"},
	} {
		add("XML grammar", name, change(doc, edit[0], edit[1]))
	}
	wide := utf16.Encode([]rune("\uFEFF" + doc))
	var le, be []byte
	for _, c := range wide {
		le, be = append(le, byte(c), byte(c>>8)), append(be, byte(c>>8), byte(c))
	}
	add("XML grammar", "UTF-16LE", string(le))
	add("XML grammar", "UTF-16BE", string(be))
	for i := 1; i < len(doc); i += len(doc) / 40 {
		add("XML grammar", fmt.Sprintf("cut at %d", i), doc[:i])
	}
	return append(cases, namespaces(doc)...)
}

func namespaces(doc string) []bad {
	var cases []bad
	add := func(name, doc string) {
		unused := name == "two namespaces" // is not in the canonical form
		cases = append(cases, bad{class: "namespaces, IDs and attributes", name: name, form: encode(doc), harmless: unused})
	}
	for name, attrs := range map[string]string{
		"relative": ` xmlns:x="relative"`, "relative, void": ` xmlns:x="1"`, "a path": ` xmlns:x="/x"`, "a dot": ` xmlns:x="../x"`, "nothing": ` xmlns:x=""`, "fragment": ` xmlns:x="#x"`,
		"xml rebound": ` xmlns:xml="urn:x"`, "xml's namespace": ` xmlns:x="http://www.w3.org/XML/1998/namespace"`, "xmlns declared": ` xmlns:xmlns="urn:x"`,
		"xmlns's namespace": ` xmlns:x="http://www.w3.org/2000/xmlns/"`, "twice": ` xmlns:x="urn:x" xmlns:x="urn:y"`, "a space": ` xmlns:x="urn:x y"`, "a tab": " xmlns:x=\"urn:x&#9;\"",
		"not ASCII": ` xmlns:x="urn:é"`, "long": ` xmlns:x="urn:` + strings.Repeat("x", 400) + `"`, "one attribute by two prefixes": ` xmlns:x="urn:x" xmlns:y="urn:x" x:a="" y:a=""`,
		"ID in a namespace": ` xmlns:x="urn:x" x:ID="_r1"`, "ID of SAML's namespace": ` samlp:ID="_r9"`, "xml:id": ` xml:id="_r1"`, "another xml:id": ` xml:id="_r9"`, "Id": ` Id="_r1"`, "id": ` id="_r1"`, "iD": ` iD="_a1"`,
		"another Id": ` Id="_r9"`, "version of SAML's namespace": ` samlp:Version="2.0"`, "foreign": ` xmlns:x="urn:x" x:y="z"`, "unknown": ` Foo="x"`, "xml:base": ` xml:base="http://x/"`, "xml:lang": ` xml:lang="en"`,
		"destination in a namespace": ` xmlns:x="urn:x" x:Destination="y"`, "a bare xmlns": ` xmlns:="urn:x"`,
	} {
		add("on the response: "+name, strings.Replace(doc, ` ID="_r1"`, ` ID="_r1"`+attrs, 1))
	}
	for name, edit := range map[string][2]string{
		"one ID for both": {`ID="_r1"`, `ID="_a1"`}, "ID with a space": {`ID="_r1"`, `ID=" _r1"`}, "ID empty": {`ID="_r1"`, `ID=""`}, "ID a number": {`ID="_r1"`, `ID="1"`}, "ID with a colon": {`ID="_r1"`, `ID="a:b"`},
		"long ID": {`ID="_r1"`, `ID="_` + strings.Repeat("r", 300) + `"`}, "ID in lower case": {` ID="_r1"`, ` id="_r1"`}, "no ID": {` ID="_r1"`, ""},
		"no namespace":       {` xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"`, ` xmlns:samlp="urn:x"`},
		"SAML 1.1":           {"urn:oasis:names:tc:SAML:2.0:protocol", "urn:oasis:names:tc:SAML:1.0:protocol"},
		"namespace's case":   {"urn:oasis:names:tc:SAML:2.0:protocol", "URN:OASIS:names:tc:SAML:2.0:protocol"},
		"namespace's space":  {"urn:oasis:names:tc:SAML:2.0:protocol", "urn:oasis:names:tc:SAML:2.0:protocol "},
		"assertion's case":   {"<saml:Issuer xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"", "<saml:Issuer xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:Assertion\""},
		"rebound assertion":  {`<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"`, `<saml:Assertion xmlns:saml="urn:x"`},
		"rebound within":     {`<saml:Subject>`, `<saml:Subject xmlns:saml="urn:x">`},
		"two namespaces":     {`<saml:NameID `, `<saml:NameID xmlns="urn:oasis:names:tc:SAML:2.0:assertion" `},
		"foreign subject":    {`<saml:Subject>`, `<x:Subject xmlns:x="urn:x"><x:NameID>` + victim + `</x:NameID></x:Subject><saml:Subject>`},
		"unprefixed subject": {`<saml:Subject>`, `<Subject><NameID>` + victim + `</NameID></Subject><saml:Subject>`},
		"two subjects":       {`<saml:Subject>`, `<saml:Subject><saml:NameID>` + victim + `</saml:NameID></saml:Subject><saml:Subject>`},
		"two names":          {`<saml:NameID `, `<saml:NameID>` + victim + `</saml:NameID><saml:NameID `},
		"names in a case":    {`<saml:NameID `, `<saml:NAMEID>` + victim + `</saml:NAMEID><saml:NameID `},
		"two issuers":        {`<saml:Issuer `, `<saml:Issuer>x</saml:Issuer><saml:Issuer `},
		"two statuses":       {`<samlp:Status>`, `<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status><samlp:Status>`},
	} {
		add(name, change(doc, edit[0], edit[1]))
	}
	for name, root := range map[string]string{
		"assertion alone": between(doc, "<saml:Assertion", "</saml:Assertion>"), "logout response": strings.ReplaceAll(doc, "samlp:Response", "samlp:LogoutResponse"),
		"request": strings.ReplaceAll(doc, "samlp:Response", "samlp:AuthnRequest"), "artifact response": `<samlp:ArtifactResponse xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_x" Version="2.0">` + doc + `</samlp:ArtifactResponse>`,
		"soap": `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>` + doc + `</s:Body></s:Envelope>`, "lower case": strings.ReplaceAll(doc, "samlp:Response", "samlp:response"),
	} {
		add("root: "+name, root)
	}
	return cases
}

// floods are answers that cost, or would if they were not refused early.
func floods() []bad {
	var cases []bad
	doc := legit().xml()
	add := func(name, doc string) {
		// what neither is in the signed part nor means anything makes no difference
		idle := name == "comments" || name == "white space" || name == "comments in the key info" || name == "white space in the key info"
		cases = append(cases, bad{class: "floods", name: name, form: encode(doc), harmless: idle})
	}
	at := func(x string) string { return change(doc, "<samlp:Status>", x+"<samlp:Status>") }
	value := func(x string) string { return change(doc, "</saml:AttributeValue>", x+"</saml:AttributeValue>") }
	add("2 MB of unsigned siblings", at(strings.Repeat(`<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"/>`, 28000)))
	for name, x := range map[string]string{
		"comments": strings.Repeat("<!-- -->", 25000), "white space": strings.Repeat(" ", 200000), "elements": strings.Repeat("<a/>", 45000),
		"nested": strings.Repeat("<a>", 30000) + strings.Repeat("</a>", 30000), "deep": strings.Repeat("<a>", 60) + strings.Repeat("</a>", 60), "open": strings.Repeat("<a ", 50000),
		"attributes": "<a" + strings.Repeat(` a=""`, 30000) + "/>", "many attributes": "<a" + numbered(` a%d=""`, 15000) + "/>", "namespaces": "<a" + numbered(` xmlns:a%d="urn:a"`, 9000) + "/>",
		"nested namespaces": numberedNest(39), "CDATA in pieces": "<a>" + strings.Repeat("x<![CDATA[y]]>", 15000) + "</a>", "references": "<a>" + strings.Repeat("&#65;", 45000) + "</a>", "long name": "<" + strings.Repeat("a", 200000) + "/>",
		"long attribute": `<a b="` + strings.Repeat("x", 200000) + `"/>`, "brackets": strings.Repeat("<", 200000), "ampersands": strings.Repeat("&", 200000), "open comments": strings.Repeat("<!--", 50000), "open CDATA": "<a>" + strings.Repeat("<![CDATA[", 20000),
		"IDs": numbered(`<a ID="_%d"/>`, 12000), "signatures": strings.Repeat(`<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"/>`, 3500), "issuers": strings.Repeat("<saml:Issuer xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"/>", 3500),
		"amplified namespaces": amplified(), "wide elements": strings.Repeat("<a"+numbered(` b%d=""`, 60)+"/>", 350), "wide elements with prefixes": widePrefixes(),
	} {
		add(name, at(x))
		add(name+" in a value", value(x))
		add(name+" in the key info", strings.Replace(doc, "</ds:KeyInfo>", x+"</ds:KeyInfo>", 1))
	}
	for _, n := range []int{196608, 262144, 262145, 300000, 400000} {
		cases = append(cases, bad{class: "floods", name: fmt.Sprint("form of ", n, " letters"), form: strings.Repeat("A", n/4*4)})
	}
	o := legit()
	o.wrong = func(s string) string {
		return strings.Replace(s, "</saml:AttributeValue>", amplified()+"</saml:AttributeValue>", 1)
	}
	cases = append(cases, bad{class: "floods", name: "signed namespaces that grow", form: o.form()})
	var squeezed bytes.Buffer
	w, err := flate.NewWriter(&squeezed, 9)
	if err != nil {
		panic(err)
	}
	_, _ = w.Write([]byte(doc))
	_ = w.Close()
	form := encode(doc)
	for name, f := range map[string]string{
		"deflated": base64.StdEncoding.EncodeToString(squeezed.Bytes()), "empty": "", "spaces": "    ", "one letter": "A", "base64url": base64.URLEncoding.EncodeToString([]byte(doc + "~~~???")), "no padding": strings.TrimRight(encode(doc+"\n\n"), "="),
		"padding within": form[:40] + "=" + form[40:], "twice encoded": encode(form), "xml itself": doc, "two joined": form + form, "percent encoded": strings.ReplaceAll(form, "=", "%3D") + "%3D", "spaces for plus": form[:8] + " " + form[8:], "null": form + "\x00",
	} {
		cases = append(cases, bad{class: "floods", name: "form: " + name, form: f, harmless: name == "no padding" || name == "percent encoded"})
	}
	return cases
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func numberedNest(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString("<a" + numbered(fmt.Sprintf(` xmlns:b%d_%%d="urn:a"`, i), 60) + ">")
	}
	return b.String() + strings.Repeat("</a>", depth)
}

// widePrefixes has as many attributes on each element, with as many prefixes
// to look up, as the guard lets through.
func widePrefixes() string {
	return "<a" + numbered(` xmlns:p%d="urn:a"`, 55) + ">" + strings.Repeat("<b"+numbered(` p0:c%d=""`, 64)+"/>", 280) + "</a>"
}

// amplified has a canonical form that is many times as long: each sibling
// declares what their parent declared without using it.
func amplified() string {
	long := "urn:" + strings.Repeat("x", 240)
	var decl, use strings.Builder
	for i := range 50 {
		fmt.Fprintf(&decl, ` xmlns:p%d=%q`, i, long+strconv.Itoa(i))
		fmt.Fprintf(&use, ` p%d:a=""`, i)
	}
	return "<a xmlns=\"urn:a\"" + decl.String() + ">" + strings.Repeat("<b"+use.String()+"/>", 300) + "</a>"
}

// meanings are answers that are signed as they should be and say something
// that they should not.
func meanings() []bad {
	var cases []bad
	add := func(class, name string, o *response) {
		cases = append(cases, bad{class: class, name: name, form: o.form()})
	}
	fields := func(class string, values map[string][]string) {
		for key, list := range values {
			for _, v := range list {
				add(class, key+" = "+v, quick().set(key, v))
				whole := quick().set(key, v)
				whole.signResponse, whole.signAssertion = true, false
				add(class, "signed response: "+key+" = "+v, whole)
			}
		}
	}
	elsewhere := func(s string) []string {
		return []string{"https://other.example/acs", s + "/", s + "?x", strings.ToUpper(s), " " + s, s + " ", strings.Replace(s, "https", "http", 1), s[:len(s)-1], "", s + "@evil.example", strings.Replace(s, ".com", ".com.", 1)}
	}
	times := []string{"", "soon", "2026-03-01", "2026-03-01T12:05:00", "2026-03-01 12:05:00Z", "99999-01-01T00:00:00Z", "2026-13-01T00:00:00Z", "-2026-03-01T12:05:00Z", "1e9", "2026-03-01T12:05:00.Z", "2026-03-01T24:00:00Z"}
	past := []string{at(-91 * time.Second), at(-time.Hour), "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"}
	ahead := []string{at(91 * time.Second), at(time.Hour), at(24 * 365 * time.Hour)}
	fields("audience, recipient and destination", map[string][]string{
		"Audience": append(elsewhere(ourEntity), "-", theirEntity), "Recipient": append(elsewhere(ourACS), "-", ourEntity), "Destination": elsewhere(ourACS),
	})
	fields("issuer", map[string][]string{"Issuer": elsewhere(theirEntity), "Response.Issuer": elsewhere(theirEntity), "Issuer.Format": {"", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"}})
	fields("in response to", map[string][]string{"InResponseTo": {"", "-", "other", requestID + " ", strings.ToUpper(requestID)}, "Response.InResponseTo": {"", "-", "other", requestID + " "}})
	fields("times", map[string][]string{
		"NotOnOrAfter": append(append([]string{"-", at(25 * time.Hour), at(10 * 365 * 24 * time.Hour)}, past...), times...), "Data.NotOnOrAfter": append(append([]string{"-", at(25 * time.Hour)}, past...), times...),
		"NotBefore": append(append([]string{"1971-01-01T00:00:00Z"}, ahead...), times...), "Data.NotBefore": append(append([]string{}, ahead...), times[:3]...),
		"IssueInstant": append(append([]string{"-", at(-4 * time.Minute)}, ahead...), times...), "Response.IssueInstant": append(append([]string{"-", at(-4 * time.Minute)}, ahead...), times...),
		"AuthnInstant": append(append([]string{"-"}, ahead...), times...), "SessionNotOnOrAfter": append(append([]string{}, past...), times...),
	})
	fields("confirmation", map[string][]string{"Method": {"", "-", "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key", "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches", "urn:oasis:names:tc:SAML:1.0:cm:bearer", "urn:oasis:names:tc:SAML:2.0:cm:BEARER", "bearer"}})
	fields("versions", map[string][]string{"Version": {"", "-", "1.1", "2", "2.0 ", "2.1"}, "Response.Version": {"", "-", "1.1", "2", "2.1"}})
	fields("status", map[string][]string{"Status": {
		"", "-", "Success", "urn:oasis:names:tc:SAML:2.0:status:Responder", "urn:oasis:names:tc:SAML:2.0:status:Requester", "urn:oasis:names:tc:SAML:2.0:status:success",
		"urn:oasis:names:tc:SAML:2.0:status:Success ", "urn:oasis:names:tc:SAML:2.0:status:AuthnFailed", "urn:x",
	}})
	// SAML lets only what is not signed say nothing of where it goes and whose it is
	for _, key := range []string{"Destination", "Response.Issuer"} {
		whole := quick().set(key, "-")
		whole.signResponse = true
		add("audience, recipient and destination", "signed response without "+key, whole)
	}
	for name, s := range map[string]string{
		"empty": "", "a space": " ", "a space before": " " + subject, "a line end behind": subject + "\n", "a null by name": "a\u2400\u0000", "long": strings.Repeat("a", 1025), "direction override": "alice\u202E@example.com",
		"zero width": "ali\u200Bce@example.com", "tab": "alice\t@example.com", "line": "alice&#10;admin", "no-break space": "alice\u00A0", "replacement": "alice\uFFFD",
	} {
		o := quick()
		if o.subject = s; strings.ContainsRune(s, 0) {
			o.subject = "a&#x85;"
		}
		add("subject", name, o)
	}
	return append(append(cases, structures()...), replays()...)
}

// structures are signed assertions that lack a part, or have one too many.
func structures() []bad {
	var cases []bad
	for name, edit := range map[string][2]string{
		"no subject": {`<saml:Subject>*</saml:Subject>`, ""}, "no name": {`<saml:NameID *</saml:NameID>`, ""}, "encrypted name": {`<saml:NameID *</saml:NameID>`, `<saml:EncryptedID/>`}, "base id": {`<saml:NameID *</saml:NameID>`, `<saml:BaseID/>`},
		"no confirmation": {`<saml:SubjectConfirmation *</saml:SubjectConfirmation>`, ""}, "no confirmation data": {`<saml:SubjectConfirmationData*</saml:SubjectConfirmationData>`, ""},
		"confirmation by another": {`<saml:SubjectConfirmationData`, `<saml:NameID>x</saml:NameID><saml:SubjectConfirmationData`}, "no conditions": {`<saml:Conditions *</saml:Conditions>`, ""},
		"no restriction": {`<saml:AudienceRestriction>*</saml:AudienceRestriction>`, ""}, "empty restriction": {`<saml:Audience>*</saml:Audience>`, ""},
		"another restriction first":   {`<saml:AudienceRestriction>`, `<saml:AudienceRestriction><saml:Audience>https://other.example</saml:Audience></saml:AudienceRestriction><saml:AudienceRestriction>`},
		"another restriction last":    {`</saml:AudienceRestriction>`, `</saml:AudienceRestriction><saml:AudienceRestriction><saml:Audience>https://other.example</saml:Audience></saml:AudienceRestriction>`},
		"an empty restriction more":   {`</saml:AudienceRestriction>`, `</saml:AudienceRestriction><saml:AudienceRestriction/>`},
		"an unknown condition":        {`</saml:AudienceRestriction>`, `</saml:AudienceRestriction><saml:Condition xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="x"/>`},
		"a foreign condition":         {`</saml:AudienceRestriction>`, `</saml:AudienceRestriction><x xmlns="urn:x"/>`},
		"two conditions":              {`</saml:Conditions>`, `</saml:Conditions><saml:Conditions/>`},
		"no authentication":           {`<saml:AuthnStatement *</saml:AuthnStatement>`, ""},
		"two authentications":         {`</saml:AuthnStatement>`, `</saml:AuthnStatement><saml:AuthnStatement AuthnInstant="2026-03-01T11:59:58Z"><saml:AuthnContext/></saml:AuthnStatement>`},
		"no context":                  {`<saml:AuthnContext>*</saml:AuthnContext>`, ""},
		"a decision":                  {`</saml:AuthnStatement>`, `</saml:AuthnStatement><saml:AuthzDecisionStatement/>`},
		"an encrypted attribute":      {`<saml:Attribute *</saml:Attribute>`, `<saml:EncryptedAttribute/>`},
		"an attribute without name":   {` Name="groups"`, ""},
		"an attribute called nothing": {` Name="groups"`, ` Name=""`},
		"a long attribute name":       {` Name="groups"`, ` Name="` + strings.Repeat("n", 2000) + `"`},
		"a name in a namespace":       {` Name="groups"`, ` saml:Name="groups"`},
		"a second name in one":        {` Name="groups"`, ` Name="groups" saml:Name="roles"`},
		"two pieces of advice":        {`</saml:Conditions>`, `</saml:Conditions><saml:Advice/><saml:Advice/>`},
		"advice with an assertion":    {`</saml:Conditions>`, `</saml:Conditions><saml:Advice><saml:Assertion/></saml:Advice>`},
		"a foreign element":           {`</saml:Conditions>`, `</saml:Conditions><x xmlns="urn:x"/>`},
		"unknown attribute":           {`<saml:Subject>`, `<saml:Subject x="y">`},
		"text":                        {`<saml:Subject>`, `<saml:Subject>text`},
		"an assertion in a value":     {`g1</saml:AttributeValue>`, `<saml:Assertion/></saml:AttributeValue>`},
		"an ID in a namespace":        {`g1</saml:AttributeValue>`, `<x xmlns="urn:x" xmlns:y="urn:y" y:ID="_z"/></saml:AttributeValue>`},
		"the assertion's ID again":    {`g1</saml:AttributeValue>`, `<x xmlns="urn:x" Id="_a1"/></saml:AttributeValue>`},
		"the response's ID again":     {`g1</saml:AttributeValue>`, `<x xmlns="urn:x" id="_r1"/></saml:AttributeValue>`},
		"two issuers":                 {`<saml:Subject>`, `<saml:Issuer>x</saml:Issuer><saml:Subject>`},
		"a long session index":        {`_s1`, strings.Repeat("s", 2000)},
	} {
		o := quick()
		o.wrong = func(s string) string {
			old := edit[0]
			if begin, end, wild := strings.Cut(old, "*"); wild {
				i := strings.Index(s, begin)
				old = s[i : i+strings.Index(s[i:], end)+len(end)]
			}
			return change(s, old, edit[1])
		}
		cases = append(cases, bad{class: "structure", name: name, form: o.form()})
	}
	return cases
}

// replays are answers that are good for another request or another day, and
// expectations that an answer does not meet.
func replays() []bad {
	expecting := func(class, name string, o *response, e saml.Expect) bad {
		return bad{class: class, name: name, form: o.form(), expect: &e}
	}
	other := legit().set("Response.InResponseTo", "id-new").set("Destination", ourACS)
	other.responseID = "_r2"
	unasked := legit().set("Response.InResponseTo", "-").set("InResponseTo", "-")
	dressed := legit().set("Response.InResponseTo", requestID).set("InResponseTo", "-")
	bare := legit().set("Response.InResponseTo", "-")
	forced := saml.Expect{RequestID: requestID, ForceAuthn: true, RequestedAt: noon.Add(-time.Minute)}
	return []bad{
		expecting("replay in a new envelope", "for a later request", other, saml.Expect{RequestID: "id-new"}),
		expecting("replay in a new envelope", "as if not asked for", legit().set("Response.InResponseTo", "-"), saml.Expect{IDPInitiated: true}),
		expecting("replay in a new envelope", "an answer not asked for, to our request", dressed, expected),
		expecting("replay in a new envelope", "an answer to a request, not asked for", legit(), saml.Expect{IDPInitiated: true}),
		expecting("replay in a new envelope", "bare envelope", bare, expected),
		expecting("in response to", "not asked for", unasked, expected),
		expecting("in response to", "no request open", legit(), saml.Expect{}),
		expecting("in response to", "no request open, no request named", unasked, saml.Expect{}),
		expecting("in response to", "both at once", legit(), saml.Expect{RequestID: requestID, IDPInitiated: true}),
		expecting("in response to", "empty, not asked for", legit().set("Response.InResponseTo", "").set("InResponseTo", ""), saml.Expect{IDPInitiated: true}),
		expecting("forced authentication", "from before", legit().set("AuthnInstant", at(-3*time.Minute)), forced),
		expecting("forced authentication", "from yesterday", legit().set("AuthnInstant", at(-24*time.Hour)), forced),
		expecting("forced authentication", "unknown when asked", legit(), saml.Expect{RequestID: requestID, ForceAuthn: true}),
		expecting("authentication context", "another", legit(), saml.Expect{RequestID: requestID, AuthnContexts: []string{"urn:mfa"}}),
		expecting("authentication context", "none", legit().set("ClassRef", "-"), saml.Expect{RequestID: requestID, AuthnContexts: []string{"urn:mfa"}}),
		expecting("authentication context", "empty", legit().set("ClassRef", ""), saml.Expect{RequestID: requestID, AuthnContexts: []string{"urn:mfa"}}),
	}
}
