package saml_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"
)

// A forgery is a signature in the making, for cases that want it otherwise.
type forgery struct {
	canonicalization, method, reference, transforms, digestMethod, digest string
	signedInfo                                                            string // whole, once it is there
	octets                                                                string // of SignedInfo, canonical
	value                                                                 string
	keyInfo                                                               string
	signature                                                             string
}

// sign puts a signature of the element with that ID in the place of mark.
func (o *response) sign(doc, id, mark string) string {
	hash := map[string]crypto.Hash{
		rsaSHA1: crypto.SHA1, rsaSHA256: crypto.SHA256, rsaSHA384: crypto.SHA384, rsaSHA512: crypto.SHA512,
		ecdsa256: crypto.SHA256, ecdsa512: crypto.SHA512, pss256: crypto.SHA256,
	}[o.s.method]
	digestHash := map[string]crypto.Hash{sha1URI: crypto.SHA1, sha256URI: crypto.SHA256, sha384URI: crypto.SHA384, sha512URI: crypto.SHA512}[o.s.digest]
	list := ""
	if o.s.prefixes != "" {
		list = fmt.Sprintf(`<ec:InclusiveNamespaces xmlns:ec=%q PrefixList=%q></ec:InclusiveNamespaces>`, exclusive, o.s.prefixes)
	}
	f := &forgery{
		canonicalization: fmt.Sprintf(`<@CanonicalizationMethod Algorithm=%q></@CanonicalizationMethod>`, exclusive),
		method:           fmt.Sprintf(`<@SignatureMethod Algorithm=%q></@SignatureMethod>`, o.s.method),
		reference:        ` URI="#` + id + `"`,
		transforms: fmt.Sprintf(`<@Transforms><@Transform Algorithm=%q></@Transform><@Transform Algorithm=%q>%s</@Transform></@Transforms>`,
			enveloped, exclusive, list),
		digestMethod: fmt.Sprintf(`<@DigestMethod Algorithm=%q></@DigestMethod>`, o.s.digest),
		digest:       sum64(digestHash, canonicalOf(unmark(doc), id, o.s.prefixes)),
		keyInfo:      o.s.keyInfo,
	}
	switch f.keyInfo {
	case "":
		f.keyInfo = `<@KeyInfo><@X509Data><@X509Certificate>` + base64.StdEncoding.EncodeToString(o.by.cert.Raw) + `</@X509Certificate></@X509Data></@KeyInfo>`
	case "none":
		f.keyInfo = ""
	}
	forge := o.s.forge
	if forge == nil {
		forge = func(*forgery) {}
	}
	forge(f)
	if f.signedInfo == "" {
		f.signedInfo = `<@SignedInfo>` + f.canonicalization + f.method + `<@Reference` + f.reference + `>` + f.transforms + f.digestMethod +
			`<@DigestValue>` + f.digest + `</@DigestValue></@Reference></@SignedInfo>`
	}
	space := xmlns(o.d, "http://www.w3.org/2000/09/xmldsig#")
	prefixed := func(s string) string { return o.prefixed(s) }
	alone := strings.Replace(prefixed(f.signedInfo), "SignedInfo", "SignedInfo"+space, 1)
	if f.octets == "" {
		f.octets = canonicalOf(alone, "", "")
	}
	if f.value == "" {
		f.value = signOctets(o.by.key, hash, f.octets, o.s.method == pss256)
	}
	forge(f)
	if f.signature == "" {
		f.signature = `<@Signature` + space + `>` + f.signedInfo + `<@SignatureValue>` + f.value + `</@SignatureValue>` + f.keyInfo + `</@Signature>`
	}
	return strings.Replace(doc, mark, prefixed(f.signature), 1)
}

const (
	ecdsa256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
	ecdsa512 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512"
	pss256   = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"
)

// prefixed writes the signature's prefix where a text says @.
func (o *response) prefixed(s string) string {
	prefix := ""
	if o.d != "" {
		prefix = o.d + ":"
	}
	return strings.NewReplacer("<@", "<"+prefix, "</@", "</"+prefix).Replace(s)
}

func sum64(hash crypto.Hash, octets string) string {
	h := hash.New()
	h.Write([]byte(octets))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func signOctets(key crypto.Signer, hash crypto.Hash, octets string, pss bool) string {
	h := hash.New()
	h.Write([]byte(octets))
	digest := h.Sum(nil)
	var options crypto.SignerOpts = hash
	if pss {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	if key, ok := key.(*ecdsa.PrivateKey); ok {
		r, s, err := ecdsa.Sign(rand.Reader, key, digest)
		if err != nil {
			panic(err)
		}
		size := (key.Params().N.BitLen() + 7) / 8
		return base64.StdEncoding.EncodeToString(append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...))
	}
	value, err := key.Sign(rand.Reader, digest, options)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(value)
}

// canonicalOf gives the library's exclusive canonical form of the element
// with that ID, of the root without one.
func canonicalOf(doc, id, prefixes string) string {
	d := etree.NewDocument()
	if err := d.ReadFromString(doc); err != nil {
		return doc // what is not XML has no form; whatever is signed, the guard is first
	}
	el := d.Root()
	if id != "" {
		el = d.FindElement(fmt.Sprintf("//*[@ID='%s']", id))
	}
	ctx, err := etreeutils.NSBuildParentContext(el)
	if err == nil {
		ctx, err = ctx.SubContext(el)
	}
	if err == nil {
		el, err = etreeutils.NSDetatch(ctx, el)
	}
	if err != nil {
		panic(err)
	}
	octets, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(prefixes).Canonicalize(el)
	if err != nil {
		panic(err)
	}
	return string(octets)
}
