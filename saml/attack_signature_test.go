package saml_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"portcullis/saml"
)

// forging gives a response whose signature is made otherwise, and is then
// signed by the trusted key all the same unless the change says otherwise.
func forging(class, name string, forge func(*forgery)) []bad {
	var cases []bad
	for _, mode := range []string{"assertion", "response"} {
		o := legit()
		o.signAssertion, o.signResponse = mode == "assertion", mode == "response"
		o.s.forge = forge
		cases = append(cases, bad{class: class, name: mode + ": " + name, form: o.form()})
	}
	return cases
}

func algorithmic() []bad {
	var cases []bad
	spki, err := x509.MarshalPKIXPublicKey(theirs().key.Public())
	if err != nil {
		panic(err)
	}
	for name, uri := range map[string]string{
		"none": "none", "empty": "", "hmac-sha1": "http://www.w3.org/2000/09/xmldsig#hmac-sha1", "dsa": "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
		"rsa-md5": "http://www.w3.org/2001/04/xmldsig-more#rsa-md5", "rsa-sha224": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha224",
		"ecdsa over rsa": ecdsa256, "upper case": strings.ToUpper(rsaSHA256), "with a space": rsaSHA256 + " ", "rsa-sha1": rsaSHA1,
		"another hash of ours": rsaSHA512, "pss for pkcs1": pss256, "a digest": sha256URI,
	} {
		cases = append(cases, forging("algorithms", "method "+name, func(f *forgery) {
			f.method = fmt.Sprintf(`<@SignatureMethod Algorithm=%q></@SignatureMethod>`, uri)
		})...)
	}
	for name, key := range map[string][]byte{"der": theirs().cert.Raw, "spki": spki, "modulus": theirs().key.Public().(*rsa.PublicKey).N.Bytes(), "empty": {}} {
		for _, uri := range []string{"http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", rsaSHA256} {
			cases = append(cases, forging("algorithms", "hmac with the public key, "+name+", "+uri, func(f *forgery) {
				f.method = fmt.Sprintf(`<@SignatureMethod Algorithm=%q></@SignatureMethod>`, uri)
				mac := hmac.New(sha256.New, key)
				mac.Write([]byte(f.octets))
				f.value = base64.StdEncoding.EncodeToString(mac.Sum(nil))
			})...)
		}
	}
	for name, method := range map[string]string{
		"output length":   `<@SignatureMethod Algorithm="` + rsaSHA256 + `"><@HMACOutputLength>0</@HMACOutputLength></@SignatureMethod>`,
		"text":            `<@SignatureMethod Algorithm="` + rsaSHA256 + `">1</@SignatureMethod>`,
		"two":             `<@SignatureMethod Algorithm="` + rsaSHA256 + `"/><@SignatureMethod Algorithm="` + rsaSHA256 + `"/>`,
		"none at all":     ``,
		"other attribute": `<@SignatureMethod Algorithm="` + rsaSHA256 + `" algorithm="none"/>`,
	} {
		cases = append(cases, forging("algorithms", "method element "+name, func(f *forgery) { f.method = method })...)
	}
	for name, uri := range map[string]string{"md5": "http://www.w3.org/2001/04/xmldsig-more#md5", "sha1": sha1URI, "empty": "", "sha224": "http://www.w3.org/2001/04/xmldsig-more#sha224", "another": sha512URI} {
		cases = append(cases, forging("algorithms", "digest "+name, func(f *forgery) {
			f.digestMethod = fmt.Sprintf(`<@DigestMethod Algorithm=%q></@DigestMethod>`, uri)
		})...)
	}
	for _, m := range [][2]string{{rsaSHA1, sha1URI}, {rsaSHA1, sha256URI}, {rsaSHA256, sha1URI}} {
		o := legit()
		o.s.method, o.s.digest = m[0], m[1]
		cases = append(cases, bad{class: "algorithms", name: "SHA-1 where it is not allowed " + m[0] + m[1], form: o.form()})
	}
	return cases
}

// values are signature and digest values that are cut, padded or zero.
func values() []bad {
	var cases []bad
	mangle := map[string]func(string) string{
		"cut to one octet": func(s string) string { return s[:2] + "==" },
		"cut by half":      func(s string) string { return s[:len(s)/8*4] },
		"an octet more":    func(s string) string { return encode(decoded(s) + "\x00") },
		"an octet before":  func(s string) string { return encode("\x00" + decoded(s)) },
		"empty":            func(string) string { return "" },
		"spaces":           func(string) string { return "   " },
		"zero":             func(s string) string { return encode(strings.Repeat("\x00", len(decoded(s)))) },
		"one":              func(s string) string { return encode(strings.Repeat("\x00", len(decoded(s))-1) + "\x01") },
		"all ones":         func(s string) string { return encode(strings.Repeat("\xFF", len(decoded(s)))) },
		"no padding":       func(s string) string { return strings.TrimRight(s, "=") + "A" },
		"not base64":       func(s string) string { return "*" + s[1:] },
		"base64url":        func(s string) string { return strings.NewReplacer("A", "-", "+", "-", "/", "_").Replace(s) },
		"hex":              func(s string) string { return fmt.Sprintf("%x", decoded(s)) },
		"a comment in it":  func(s string) string { return s[:4] + "<!-- -->" + s[4:] },
		"a comment first":  func(s string) string { return "<!--" + s + "-->" + s },
		"an element in it": func(s string) string { return s[:4] + "<x xmlns=\"urn:x\"/>" + s[4:] },
		"an entity in it":  func(s string) string { return s[:4] + "&x;" + s[4:] },
		"an instruction":   func(s string) string { return s[:4] + "<?x?>" + s[4:] },
		"trailing bits":    trailingBits,
	}
	for name, f := range mangle {
		cases = append(cases, forging("signature and digest values", "digest "+name, func(o *forgery) {
			if o.signedInfo == "" {
				o.digest = f(o.digest)
			}
		})...)
		cases = append(cases, forging("signature and digest values", "signature "+name, func(o *forgery) {
			if o.value != "" {
				o.value = f(o.value)
			}
		})...)
	}
	// a digest in a comment, as of the original, in front of the forged one
	for _, shape := range []string{"<!--%s-->%s", "%[2]s<!--%[1]s-->", "<x>%s</x>%s", "%s</@DigestValue><@DigestValue>%s", "<![CDATA[%s]]>%s"} {
		o := legit()
		doc := o.xml()
		evil := o.assertion()
		digest := between(doc, "<ds:DigestValue>", "</ds:DigestValue>")
		was := strings.TrimSuffix(strings.TrimPrefix(digest, "<ds:DigestValue>"), "</ds:DigestValue>")
		now := sum64(crypto.SHA256, canonicalOf(unmark(strings.ReplaceAll(evil, subject, victim)), "", ""))
		attack := strings.Replace(strings.ReplaceAll(doc, subject, victim), digest, "<ds:DigestValue>"+strings.ReplaceAll(fmt.Sprintf(shape, was, now), "@", "ds:")+"</ds:DigestValue>", 1)
		cases = append(cases, bad{class: "signature and digest values", name: "two digests " + shape, form: encode(attack)})
	}
	return cases
}

func decoded(s string) string {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// trailingBits sets the bits of the last character that decode to nothing.
func trailingBits(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	end := strings.TrimRight(s, "=")
	last := strings.IndexByte(alphabet, end[len(end)-1])
	return end[:len(end)-1] + alphabet[last|1:last|1+1] + s[len(end):]
}

func references() []bad {
	var cases []bad
	for name, uri := range map[string]string{
		"empty": ` URI=""`, "absent": ``, "hash alone": ` URI="#"`, "the other element": ` URI="#_x"`, "no hash": ` URI="_a1"`,
		"xpointer": ` URI="#xpointer(/)"`, "xpointer id": ` URI="#xpointer(id('_a1'))"`, "file": ` URI="file:///etc/passwd"`,
		"http": ` URI="http://127.0.0.1:1/"`, "cid": ` URI="cid:a1"`, "a space": ` URI="# _a1"`, "twice": ` URI="#_a1" Uri="#_a1"`,
		"type": ` URI="#_a1" Type="http://www.w3.org/2000/09/xmldsig#Manifest"`, "namespaced": ` ds:URI="#_a1"`,
	} {
		cases = append(cases, forging("references", name, func(f *forgery) { f.reference = uri })...)
	}
	for name, edit := range map[string]func(string) string{
		"two, the good one first": func(ref string) string { return ref + strings.Replace(ref, "#_", "#_x", 1) },
		"two, the good one last":  func(ref string) string { return strings.Replace(ref, "#_", "#_x", 1) + ref },
		"the same twice":          func(ref string) string { return ref + ref },
		"none":                    func(string) string { return "" },
		"of another namespace":    func(ref string) string { return strings.ReplaceAll(ref, "@Reference", "x:Reference") },
	} {
		cases = append(cases, forging("references", name, func(f *forgery) {
			if f.signedInfo != "" {
				return
			}
			ref := `<@Reference` + f.reference + `>` + f.transforms + f.digestMethod + `<@DigestValue>` + f.digest + `</@DigestValue></@Reference>`
			f.signedInfo = `<@SignedInfo xmlns:x="urn:x">` + f.canonicalization + f.method + edit(ref) + `</@SignedInfo>`
			f.signedInfo = strings.Replace(f.signedInfo, ` xmlns:x="urn:x"`, "", 1)
			f.signedInfo = strings.ReplaceAll(f.signedInfo, "x:Reference", "@Object")
		})...)
	}
	return cases
}

func transforms() []bad {
	var cases []bad
	one := func(algorithm, content string) string {
		return fmt.Sprintf(`<@Transform Algorithm=%q>%s</@Transform>`, algorithm, content)
	}
	good := one(enveloped, "") + one(exclusive, "")
	many := map[string]string{
		"none":                    "",
		"enveloped alone":         one(enveloped, ""),
		"exclusive alone":         one(exclusive, ""),
		"the other way round":     one(exclusive, "") + one(enveloped, ""),
		"three":                   good + one(exclusive, ""),
		"enveloped twice":         one(enveloped, "") + one(enveloped, ""),
		"exclusive twice":         one(exclusive, "") + one(exclusive, ""),
		"a hundred":               strings.Repeat(one(exclusive, ""), 100),
		"parameters of enveloped": one(enveloped, `<ec:InclusiveNamespaces xmlns:ec="`+exclusive+`" PrefixList="x"/>`) + one(exclusive, ""),
		"a bad prefix list":       one(enveloped, "") + one(exclusive, `<ec:InclusiveNamespaces xmlns:ec="`+exclusive+`" PrefixList="a:b"/>`),
		"a long prefix list":      one(enveloped, "") + one(exclusive, `<ec:InclusiveNamespaces xmlns:ec="`+exclusive+`" PrefixList="`+strings.Repeat("a ", 40)+`"/>`),
		"two prefix lists":        one(enveloped, "") + one(exclusive, strings.Repeat(`<ec:InclusiveNamespaces xmlns:ec="`+exclusive+`" PrefixList="a"/>`, 2)),
	}
	for _, algorithm := range []string{
		"http://www.w3.org/TR/1999/REC-xpath-19991116", "http://www.w3.org/2002/06/xmldsig-filter2", "http://www.w3.org/TR/1999/REC-xslt-19991116",
		"http://www.w3.org/2000/09/xmldsig#base64", "http://www.w3.org/2002/07/decrypt#XML", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
		"http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments", "http://www.w3.org/2006/12/xml-c14n11", "http://www.w3.org/2010/xml-c14n2",
		exclusive + "WithComments", "", "urn:unknown", strings.ToUpper(exclusive),
	} {
		content := ""
		switch {
		case strings.Contains(algorithm, "xpath"):
			content = `<@XPath>not(ancestor-or-self::NameID)</@XPath>`
		case strings.Contains(algorithm, "xslt"):
			content = `<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0"/>`
		}
		many["first "+algorithm] = one(algorithm, content) + one(exclusive, "")
		many["last "+algorithm] = one(enveloped, "") + one(algorithm, content)
		many["also "+algorithm] = good + one(algorithm, content)
		cases = append(cases, forging("transforms", "canonicalization "+algorithm, func(f *forgery) {
			f.canonicalization = fmt.Sprintf(`<@CanonicalizationMethod Algorithm=%q></@CanonicalizationMethod>`, algorithm)
		})...)
	}
	for name, list := range many {
		cases = append(cases, forging("transforms", name, func(f *forgery) { f.transforms = `<@Transforms>` + list + `</@Transforms>` })...)
	}
	return append(cases, forging("transforms", "no list", func(f *forgery) { f.transforms = "" })...)
}

// certificates are signatures by keys that are not trusted, or not any more.
func certificates() []bad {
	var cases []bad
	pem := func(p pair) string {
		return `<@X509Data><@X509Certificate>` + base64.StdEncoding.EncodeToString(p.cert.Raw) + `</@X509Certificate></@X509Data>`
	}
	for name, info := range map[string]string{
		"its own certificate": "", "nothing": "none",
		"the trusted certificate":         `<@KeyInfo>` + pem(theirs()) + `</@KeyInfo>`,
		"both, trusted first":             `<@KeyInfo>` + pem(theirs()) + pem(stranger()) + `</@KeyInfo>`,
		"both, trusted last":              `<@KeyInfo>` + pem(stranger()) + pem(theirs()) + `</@KeyInfo>`,
		"its own key value":               `<@KeyInfo><@KeyValue><@RSAKeyValue><@Modulus>` + base64.StdEncoding.EncodeToString(stranger().key.Public().(*rsa.PublicKey).N.Bytes()) + `</@Modulus><@Exponent>AQAB</@Exponent></@RSAKeyValue></@KeyValue></@KeyInfo>`,
		"a name":                          `<@KeyInfo><@KeyName>trusted</@KeyName></@KeyInfo>`,
		"a retrieval":                     `<@KeyInfo><@RetrievalMethod URI="http://127.0.0.1:1/key"/></@KeyInfo>`,
		"two":                             `<@KeyInfo>` + pem(theirs()) + `</@KeyInfo><@KeyInfo>` + pem(stranger()) + `</@KeyInfo>`,
		"a certificate that is no base64": `<@KeyInfo><@X509Data><@X509Certificate>&#x0a;*</@X509Certificate></@X509Data></@KeyInfo>`,
	} {
		for _, mode := range []string{"assertion", "response", "both"} {
			o := legit()
			o.by, o.s.keyInfo, o.subject = stranger(), info, victim
			o.signAssertion, o.signResponse = mode != "response", mode != "assertion"
			cases = append(cases, bad{class: "faked certificates", name: mode + ": a stranger's key and " + name, form: o.form()})
		}
	}
	cases = append(cases, forging("faked certificates", "the trusted key and a retrieval", func(f *forgery) {
		f.keyInfo = `<@KeyInfo><@RetrievalMethod URI="http://127.0.0.1:1/key"/></@KeyInfo>`
	})...)
	trusting := func(name string, p pair) {
		o := legit()
		o.by = p
		cases = append(cases, bad{class: "faked certificates", name: name, form: o.form(), config: func(c *saml.Config) { c.IDP.Certificates = []*x509.Certificate{p.cert} }})
	}
	trusting("expired", makePair(theirs().key, noon.AddDate(-2, 0, 0), noon.Add(-time.Hour)))
	trusting("not yet valid", makePair(theirs().key, noon.Add(time.Hour), noon.AddDate(1, 0, 0)))
	trusting("too small", small())
	o := legit()
	o.signResponse = true
	doc := o.xml()
	evil := legit()
	evil.by, evil.signResponse, evil.signAssertion, evil.subject = stranger(), true, true, victim
	forgedDoc := evil.xml()
	mine := between(doc, "<saml:Assertion", "</saml:Assertion>")
	foreign := between(forgedDoc, "<saml:Assertion", "</saml:Assertion>")
	cases = append(cases,
		bad{class: "faked certificates", name: "a trusted assertion in a stranger's response", form: encode(strings.Replace(forgedDoc, foreign, mine, 1))},
		bad{class: "faked certificates", name: "a stranger's assertion in a trusted response", form: encode(strings.Replace(doc, mine, foreign, 1))})
	// a response that a trusted key signs over a stranger's signed assertion
	over := legit()
	over.signAssertion, over.signResponse = false, true
	over.wrong = func(s string) string {
		i, j := strings.Index(s, "<saml:Assertion"), strings.LastIndex(s, "</saml:Assertion>")
		return s[:i] + foreign + s[j+len("</saml:Assertion>"):]
	}
	return append(cases, bad{class: "faked certificates", name: "a stranger's signature under a trusted one", form: over.form()})
}
