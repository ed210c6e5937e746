package saml_test

import (
	"encoding/base64"
	"fmt"
	"strings"

	"portcullis/saml"
)

// A bad case is an attack, or an answer with something wrong. It must be
// refused, or, where harmless is set, may sign in the signer's subject.
type bad struct {
	class, name string
	form        string
	config      func(*saml.Config)
	expect      *saml.Expect
	harmless    bool
}

func encode(doc string) string { return base64.StdEncoding.EncodeToString([]byte(doc)) }

// change replaces the first old in s, which must be there.
func change(s, old, repl string) string {
	if !strings.Contains(s, old) {
		panic(fmt.Sprintf("no %q in %s", old, s))
	}
	return strings.Replace(s, old, repl, 1)
}

// between gives what stands from the first begin to the last end, both included.
func between(s, begin, end string) string {
	i, j := strings.Index(s, begin), strings.LastIndex(s, end)
	if i < 0 || j < i {
		panic(fmt.Sprintf("no %q to %q in %s", begin, end, s))
	}
	return s[i : j+len(end)]
}

// A place is where a document can hide another.
type place struct {
	name string
	put  func(doc, x string) string
}

func places() []place {
	before := func(name, anchor, open, end string) place {
		return place{name, func(doc, x string) string { return strings.Replace(doc, anchor, open+x+end+anchor, 1) }}
	}
	after := func(name, anchor, open, end string) place {
		return place{name, func(doc, x string) string { return strings.Replace(doc, anchor, anchor+open+x+end, 1) }}
	}
	return []place{
		{"before the root", func(doc, x string) string { return x + doc }},
		{"after the root", func(doc, x string) string { return doc + x }},
		before("first in the response", `<saml:Issuer xmlns`, "", ""),
		before("extensions", `<samlp:Status>`, "<samlp:Extensions>", "</samlp:Extensions>"),
		before("status", `</samlp:Status>`, "", ""),
		before("status detail", `</samlp:Status>`, "<samlp:StatusDetail>", "</samlp:StatusDetail>"),
		before("status message", `</samlp:Status>`, "<samlp:StatusMessage>", "</samlp:StatusMessage>"),
		after("before the assertion", `</samlp:Status>`, "", ""),
		before("after the assertion", `</samlp:Response>`, "", ""),
		after("encrypted assertion", `</samlp:Status>`, "<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">", "</saml:EncryptedAssertion>"),
		after("advice", `</saml:Conditions>`, "<saml:Advice>", "</saml:Advice>"),
		before("subject", `</saml:Subject>`, "", ""),
		before("confirmation", `</saml:SubjectConfirmation>`, "", ""),
		before("confirmation data", `</saml:SubjectConfirmationData>`, "", ""),
		before("conditions", `</saml:Conditions>`, "", ""),
		before("audience", `</saml:Audience>`, "", ""),
		before("name id", `</saml:NameID>`, "", ""),
		before("class", `</saml:AuthnContextClassRef>`, "", ""),
		before("attribute value", `</saml:AttributeValue>`, "", ""),
		before("within foreign elements of a value", `g1</saml:AttributeValue>`, `<x xmlns="urn:x"><y>`, "</y></x>"),
		before("attribute statement", `</saml:AttributeStatement>`, "", ""),
		before("end of the assertion", `</saml:Assertion>`, "", ""),
		before("object", `</ds:Signature>`, "<ds:Object>", "</ds:Object>"),
		before("manifest", `</ds:Signature>`, "<ds:Object><ds:Manifest>", "</ds:Manifest></ds:Object>"),
		before("key info", `</ds:KeyInfo>`, "", ""),
		before("x509 data", `</ds:X509Data>`, "", ""),
		before("signed info", `</ds:SignedInfo>`, "", ""),
		before("transform", `</ds:Transform>`, "", ""),
		before("digest value", `</ds:DigestValue>`, "", ""),
		before("signature value", `</ds:SignatureValue>`, "", ""),
	}
}

// wrapping builds signature wrapping in every combination of: what is signed;
// where the signed original is moved; which ID the forged copy bears; whose
// signature it carries. The eight known shapes are among them, and so are the
// later ones that hide the original deeper.
func wrapping() []bad {
	var cases []bad
	for _, mode := range []string{"assertion", "response", "both"} {
		o := legit()
		o.signAssertion, o.signResponse = mode != "response", mode != "assertion"
		doc := o.xml()
		original := between(doc, "<saml:Assertion", "</saml:Assertion>")
		if mode != "assertion" {
			original = doc
		}
		for _, ids := range []string{"same", "other", "none"} {
			for _, sig := range []string{"copied", "moved", "absent", "own"} {
				evil, hidden := forged(mode, ids, sig, doc, original)
				for _, p := range places() {
					attack := p.put(evil, hidden)
					if attack == evil {
						continue // the forged copy has no such place
					}
					cases = append(cases, bad{
						class: "wrapping", name: strings.Join([]string{mode, "id " + ids, "signature " + sig, p.name}, ", "), form: encode(attack),
					})
				}
			}
		}
	}
	return cases
}

// forged gives the copy for the victim, and the original as it is hidden.
func forged(mode, ids, sig, doc, original string) (evil, hidden string) {
	hidden = original
	signature := func(s string) string {
		i := strings.Index(s, "<ds:Signature ")
		return s[i : i+strings.Index(s[i:], "</ds:Signature>")+len("</ds:Signature>")]
	}
	if sig == "own" {
		o := legit()
		o.subject, o.by = victim, stranger()
		o.signAssertion, o.signResponse = mode != "response", mode != "assertion"
		if ids == "other" {
			o.assertionID, o.responseID = "_a2", "_r2"
		}
		evil = o.xml()
	} else {
		evil = strings.ReplaceAll(doc, subject, victim)
	}
	switch sig {
	case "moved":
		hidden = change(hidden, signature(hidden), "")
	case "absent":
		for strings.Contains(evil, "<ds:Signature ") {
			evil = change(evil, signature(evil), "")
		}
	}
	switch ids {
	case "other":
		evil = strings.NewReplacer(` ID="_a1"`, ` ID="_a2"`, ` ID="_r1"`, ` ID="_r2"`).Replace(evil)
	case "none":
		evil = strings.NewReplacer(` ID="_a1"`, "", ` ID="_r1"`, "").Replace(evil)
	}
	return evil, hidden
}

// nesting puts the forged assertion into the signed original, with and
// without the original's signature left in its place.
func nesting() []bad {
	var cases []bad
	for _, mode := range []string{"assertion", "response"} {
		o := legit()
		o.signAssertion, o.signResponse = mode == "assertion", mode == "response"
		doc := o.xml()
		evil := legit()
		evil.subject, evil.signAssertion, evil.assertionID = victim, false, "_a2"
		forged := between(evil.xml(), "<saml:Assertion", "</saml:Assertion>")
		for _, p := range places() {
			if attack := p.put(doc, forged); attack != doc {
				cases = append(cases, bad{class: "wrapping", name: mode + ", forged one within, " + p.name, form: encode(attack)})
			}
		}
	}
	return cases
}

// exclusion takes signatures away, or leaves what only looks like one.
func exclusion() []bad {
	var cases []bad
	add := func(name, doc string) {
		cases = append(cases, bad{class: "signature exclusion", name: name, form: encode(doc)})
	}
	for _, mode := range []string{"assertion", "response"} {
		o := legit()
		o.signAssertion, o.signResponse = mode == "assertion", mode == "response"
		doc := o.xml()
		sig := between(doc, "<ds:Signature ", "</ds:Signature>")
		info := between(sig, "<ds:SignedInfo>", "</ds:SignedInfo>")
		value := between(sig, "<ds:SignatureValue>", "</ds:SignatureValue>")
		space := ` xmlns:ds="http://www.w3.org/2000/09/xmldsig#"`
		for name, repl := range map[string]string{
			"none":                       "",
			"empty":                      "<ds:Signature" + space + "/>",
			"nothing signed":             strings.Replace(sig, info, "", 1),
			"no value":                   strings.Replace(sig, value, "", 1),
			"empty value":                strings.Replace(sig, value, "<ds:SignatureValue/>", 1),
			"nil value":                  strings.Replace(sig, value, `<ds:SignatureValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>`, 1),
			"no reference":               strings.Replace(sig, between(info, "<ds:Reference", "</ds:Reference>"), "", 1),
			"another namespace":          strings.Replace(sig, "xmldsig#", "xmldsig", 1),
			"a later namespace":          strings.Replace(sig, "2000/09/xmldsig#", "2009/xmldsig11#", 1),
			"another name":               strings.ReplaceAll(sig, "ds:Signature", "ds:signature"),
			"only in a comment":          "<!--" + sig + "-->",
			"only in CDATA":              "<![CDATA[" + sig + "]]>",
			"twice":                      sig + sig,
			"an empty one before it":     "<ds:Signature" + space + "/>" + sig,
			"an empty one behind it":     sig + "<ds:Signature" + space + "/>",
			"within another":             "<ds:Signature" + space + ">" + sig + "</ds:Signature>",
			"within a foreign one":       `<x xmlns="urn:x">` + sig + "</x>",
			"two SignedInfo, good first": strings.Replace(sig, info, info+strings.ReplaceAll(info, "#_", "#_x"), 1),
			"two SignedInfo, good last":  strings.Replace(sig, info, strings.ReplaceAll(info, "#_", "#_x")+info, 1),
			"two values":                 strings.Replace(sig, value, value+value, 1),
			"SignedInfo in an object":    strings.Replace(sig, info, "<ds:Object>"+info+"</ds:Object>", 1),
			"value before SignedInfo":    strings.Replace(strings.Replace(sig, value, "", 1), info, value+info, 1),
		} {
			add(mode+": "+name, strings.Replace(strings.ReplaceAll(doc, subject, victim), sig, repl, 1))
			if name == "only in a comment" {
				continue
			}
			if repl != sig {
				add(mode+", content unchanged: "+name, strings.Replace(doc, sig, repl, 1))
			}
		}
		add(mode+": at the end", strings.Replace(strings.Replace(doc, sig, "", 1), "</saml:Assertion>", sig+"</saml:Assertion>", 1))
		add(mode+": in the status", strings.Replace(strings.Replace(doc, sig, "", 1), "</samlp:Status>", sig+"</samlp:Status>", 1))
		add(mode+": before the issuer", strings.Replace(strings.Replace(doc, sig, "", 1), "<saml:Issuer", sig+"<saml:Issuer", 1))
	}
	return cases
}
