package saml_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"portcullis/saml"
)

// oracle is the class of what an attacker can ask by altering a ciphertext.
const oracle = "decryption oracles"

// encryptionAttacks are encrypted assertions that cannot be opened, that
// hold something else, or that ask for something else.
func encryptionAttacks() []bad {
	var cases []bad
	class := "encryption"
	add := func(name string, change func(o *response)) {
		o := quick()
		o.encrypt = encrypted()
		change(o)
		cases = append(cases, bad{class: class, name: name, form: o.form()})
	}
	add("neither is signed", func(o *response) { o.signAssertion = false })
	add("a stranger's signature", func(o *response) { o.by = stranger() })
	add("a stranger's signature over all", func(o *response) { o.by, o.signResponse, o.signAssertion = stranger(), true, false })
	add("encrypted for another", func(o *response) { o.encrypt.to = stranger() })
	add("the envelope's ID within", func(o *response) { o.assertionID = o.responseID })
	add("the envelope names no issuer", func(o *response) { o.set("Response.Issuer", "-") })
	for _, alg := range []string{"http://www.w3.org/2001/04/xmlenc#rsa-1_5", "", "urn:x", "http://www.w3.org/2001/04/xmlenc#kw-aes256", strings.ToUpper(oaepMGF1P)} {
		add("key transport "+alg, func(o *response) { o.encrypt.key = alg })
	}
	for _, alg := range []string{"http://www.w3.org/2001/04/xmlenc#tripledes-cbc", "", "none", "http://www.w3.org/2001/04/xmlenc#arcfour", fmt.Sprintf(gcm, 512)} {
		add("data "+alg, func(o *response) { o.encrypt.data = alg })
	}
	for _, d := range []string{"http://www.w3.org/2001/04/xmldsig-more#md5", "urn:x", sha512URI} {
		add("digest "+d, func(o *response) { o.encrypt.digest = d })
	}
	for _, m := range []string{"http://www.w3.org/2009/xmlenc11#mgf1sha256", "urn:x"} {
		add("mask "+m, func(o *response) { o.encrypt.mgf = m })
	}
	class = oracle
	for name, tamper := range map[string]func(w, s []byte) ([]byte, []byte){
		"no wrapped key": func(_, s []byte) ([]byte, []byte) { return nil, s }, "no ciphertext": func(w, _ []byte) ([]byte, []byte) { return w, nil },
		"short key": func(w, s []byte) ([]byte, []byte) { return w[:100], s }, "long key": func(w, s []byte) ([]byte, []byte) { return append(w, 0), s },
		"zero key": func(w, s []byte) ([]byte, []byte) { return make([]byte, len(w)), s }, "one key": func(w, s []byte) ([]byte, []byte) { return append(make([]byte, len(w)-1), 1), s },
		"large key": func(w, s []byte) ([]byte, []byte) { return slices.Repeat([]byte{0xFF}, len(w)), s }, "flipped key": func(w, s []byte) ([]byte, []byte) { w[20] ^= 1; return w, s },
	} {
		add(name, func(o *response) { o.encrypt.tamper = tamper })
	}
	for _, data := range []string{fmt.Sprintf(cbc, 128), fmt.Sprintf(gcm, 256)} {
		for n := 0; n < 50; n += 3 {
			add(fmt.Sprintf("ciphertext of %d octets, %s", n, data), func(o *response) {
				o.encrypt.data = data
				o.encrypt.tamper = func(w, s []byte) ([]byte, []byte) { return w, s[:n] }
			})
		}
		for _, n := range []int{0, 1, 15, 16, 17, 31, 32, 100, -1, -2, -16, -17, -32} {
			add(fmt.Sprintf("ciphertext flipped at %d, %s", n, data), func(o *response) {
				o.encrypt.data = data
				o.encrypt.tamper = func(w, s []byte) ([]byte, []byte) { s[(n+len(s))%len(s)] ^= 0x80; return w, s }
			})
		}
	}
	for name, plain := range map[string]string{
		"nothing": "", "a space": " ", "text": "hello", "garbage": string(random(300)), "a response": quick().xml(), "a declaration": "<?xml version=\"1.0\"?>@", "a DTD": "<!DOCTYPE x>@", "a comment": "<!-- -->@", "text before": "x@", "text behind": "@x",
		"two": "@@", "an encrypted assertion": `<saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"/>`, "another element": "<x/>", "without namespace": "<Assertion/>", "in an element": "<x>@</x>", "a mark": "\uFEFF@", "an entity": "&x;", "a null": "\x00@",
		"its content alone": "<saml:Issuer>x</saml:Issuer>", "large": "<x>" + strings.Repeat("x", 100000) + "</x>", "deep": strings.Repeat("<x>", 100),
	} {
		o := quick()
		o.encrypt = encrypted()
		e := *o.encrypt
		e.wrong = func(string) string { return o.encrypt.seal(strings.ReplaceAll(plain, "@", legitAssertion())) }
		whole := quick()
		whole.signAssertion, whole.signResponse, whole.encrypt = false, true, &e
		cases = append(cases, bad{class: "encryption", name: "plaintext: " + name, form: whole.form()})
		part := quick()
		part.encrypt = &e
		cases = append(cases, bad{class: oracle, name: "plaintext, response not signed: " + name, form: part.form()})
	}
	return append(cases, encryptionShapes()...)
}

// legitAssertion is a signed assertion by itself.
func legitAssertion() string {
	return between(legit().xml(), "<saml:Assertion", "</saml:Assertion>")
}

// encryptedNames are names that are encrypted by themselves, and wrong.
func encryptedNames() []bad {
	var cases []bad
	plain := between(legit().assertion(), "<saml:NameID", "</saml:NameID>")
	for name, el := range map[string]string{
		"empty":            encryptedName(""),
		"a comment within": encryptedName("alice<!-- -->@example.com"),
		"a name within":    encryptedName("<saml:NameID>" + victim + "</saml:NameID>"),
		"an assertion":     `<saml:EncryptedID>` + encrypted().seal(legitAssertion()) + `</saml:EncryptedID>`,
		"itself":           `<saml:EncryptedID>` + encrypted().seal(encryptedName(victim)) + `</saml:EncryptedID>`,
		"two":              encryptedName(victim) + strings.NewReplacer("_d1", "_d2", "_k1", "_k2").Replace(encryptedName(victim)),
		"and a plain one":  encryptedName(victim) + plain,
	} {
		o := quick()
		o.wrong = func(s string) string { return change(s, plain, el) }
		cases = append(cases, bad{class: "encryption", name: "name: " + name, form: o.form()})
	}
	o := quick()
	o.wrong = func(s string) string { return change(s, plain, encryptedName(subject)) }
	doc := o.xml()
	swapped := change(doc, between(doc, "<saml:EncryptedID>", "</saml:EncryptedID>"), encryptedName(victim))
	other := quick()
	other.wrong = func(s string) string {
		e := encrypted()
		e.to = stranger()
		return change(s, plain, `<saml:EncryptedID>`+e.seal(plain)+`</saml:EncryptedID>`)
	}
	return append(cases, bad{class: "encryption", name: "name: swapped for another's", form: encode(swapped)},
		bad{class: "encryption", name: "name: for another key", form: other.form()})
}

func encryptionShapes() []bad {
	cases := encryptedNames()
	xenc := ` xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"`
	key := func(s string) string { return between(s, "<xenc:EncryptedKey", "</xenc:EncryptedKey>") }
	for name, wrong := range map[string]func(string) string{
		"no key":              func(s string) string { return change(s, key(s), "") },
		"no key info":         func(s string) string { return change(s, between(s, "<ds:KeyInfo", "</ds:KeyInfo>"), "") },
		"two keys":            func(s string) string { return change(s, key(s), key(s)+strings.Replace(key(s), "_k1", "_k2", 1)) },
		"a key beside it too": func(s string) string { return s + strings.Replace(key(s), "_k1", "_k2", 1) },
		"a hundred keys":      func(s string) string { return s + strings.Repeat(strings.Replace(key(s), ` Id="_k1"`, "", 1), 100) },
		"a key within the key": func(s string) string {
			inner := strings.Replace(key(s), "_k1", "_k2", 1)
			return change(s, "</xenc:EncryptionMethod><xenc:CipherData>", `</xenc:EncryptionMethod><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#">`+inner+`</ds:KeyInfo><xenc:CipherData>`)
		},
		"a reference to the ciphertext": func(s string) string {
			return change(s, between(s[strings.LastIndex(s, "<xenc:CipherValue>"):], "<xenc:CipherValue>", "</xenc:CipherValue>"), `<xenc:CipherReference URI="http://127.0.0.1:1/"/>`)
		},
		"a retrieval from afar": func(s string) string {
			return change(s, key(s), key(s)+`<ds:RetrievalMethod URI="http://127.0.0.1:1/"/>`)
		},
		"a retrieval of itself": func(s string) string { return change(s, key(s), key(s)+`<ds:RetrievalMethod URI="#_d1"/>`) },
		"a label": func(s string) string {
			return change(s, "</xenc:EncryptionMethod>", "<xenc:OAEPparams>AA==</xenc:OAEPparams></xenc:EncryptionMethod>")
		},
		"a key size": func(s string) string {
			return change(s, "</xenc:EncryptionMethod>", "<xenc:KeySize>8</xenc:KeySize></xenc:EncryptionMethod>")
		},
		"parameters": func(s string) string { return change(s, `aes256-gcm"/>`, `aes256-gcm"><x/></xenc:EncryptionMethod>`) },
		"properties": func(s string) string {
			return change(s, "</xenc:EncryptedData>", "<xenc:EncryptionProperties/></xenc:EncryptedData>")
		},
		"two ciphertexts": func(s string) string {
			return change(s, "</xenc:CipherData></xenc:EncryptedData>", `</xenc:CipherData><xenc:CipherData/></xenc:EncryptedData>`)
		},
		"no ciphertext":    func(string) string { return "<xenc:EncryptedData" + xenc + "/>" },
		"nothing":          func(string) string { return "" },
		"plain assertion":  func(string) string { return legitAssertion() },
		"both":             func(s string) string { return s + legitAssertion() },
		"two data":         func(s string) string { return s + strings.NewReplacer("_d1", "_d2", "_k1", "_k2").Replace(s) },
		"not base64":       func(s string) string { return change(s, "<xenc:CipherValue>", "<xenc:CipherValue>*") },
		"a comment in it":  func(s string) string { return change(s, "<xenc:CipherValue>", "<xenc:CipherValue><!-- -->") },
		"an element in it": func(s string) string { return change(s, "<xenc:CipherValue>", "<xenc:CipherValue><x/>") },
		"other namespace":  func(s string) string { return strings.ReplaceAll(s, "2001/04/xmlenc#", "2009/xmlenc11#") },
		"the key's other data": func(s string) string {
			return change(s, "</xenc:CipherData></xenc:EncryptedKey>", `</xenc:CipherData><xenc:ReferenceList><xenc:DataReference URI="#_other"/></xenc:ReferenceList></xenc:EncryptedKey>`)
		},
	} {
		for _, mode := range []string{"assertion", "response"} {
			o := quick()
			o.encrypt = encrypted()
			o.encrypt.wrong = wrong
			o.signAssertion, o.signResponse = mode == "assertion", mode == "response"
			cases = append(cases, bad{class: "encryption", name: mode + ": " + name, form: o.form()})
		}
	}
	o := quick()
	o.encrypt = encrypted()
	return append(cases, bad{class: "encryption", name: "we have no key", form: o.form(), config: func(c *saml.Config) { c.Decryption = nil }},
		bad{class: "encryption", name: "only another key of ours", form: o.form(), config: func(c *saml.Config) { c.Decryption = []saml.KeyPair{keyPair(retired())} }},
		bad{class: "encryption", name: "an encrypted response", form: base64.StdEncoding.EncodeToString([]byte(encrypted().seal(quick().xml())))})
}
