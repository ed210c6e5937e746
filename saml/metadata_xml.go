package saml

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"portcullis/fault"
)

const nsMetadata = "urn:oasis:names:tc:SAML:2.0:metadata"

// Bounds of a metadata document. An aggregate of 1 MB has some 15,000 elements.
const (
	maxMetadataDepth    = 40
	maxMetadataElements = 30_000
	maxMetadataAttrs    = 64
)

// metadataRoot reads a document of metadata whole. With signers, what it gives
// is read from the very bytes that one of them signed.
func metadataRoot(data []byte, signers []*x509.Certificate) (*etree.Element, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // exports from Windows begin with one
	if err := guardMetadata(data); err != nil {
		return nil, err
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(data); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the metadata is not well-formed XML")
	}
	if len(signers) == 0 {
		return doc.Root(), nil
	}
	return verifyMetadata(doc.Root(), signers)
}

// guardMetadata goes over the document once, without building anything, and
// refuses what is larger or stranger than metadata can be.
func guardMetadata(data []byte) error {
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = func(string, io.Reader) (io.Reader, error) {
		return nil, errors.New("want UTF-8")
	}
	g := metadataGuard{ids: make(map[string]bool)}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "the metadata is not well-formed XML")
		}
		if err := g.token(token); err != nil {
			return err
		}
	}
	if g.elements == 0 {
		return fault.New(fault.Invalid, "the metadata is empty")
	}
	return nil
}

type metadataGuard struct {
	depth, elements int
	ids             map[string]bool
}

func (g *metadataGuard) token(token xml.Token) error {
	switch t := token.(type) {
	case xml.Directive:
		return fault.New(fault.Invalid, "the metadata has a document type; that is refused")
	case xml.ProcInst:
		if t.Target != "xml" || g.elements > 0 {
			return fault.New(fault.Invalid, "the metadata has a processing instruction")
		}
	case xml.StartElement:
		return g.start(t)
	case xml.EndElement:
		g.depth--
	case xml.CharData:
		if g.depth == 0 && len(bytes.TrimSpace(t)) > 0 {
			return fault.New(fault.Invalid, "the metadata has text outside its root")
		}
	}
	return nil
}

func (g *metadataGuard) start(t xml.StartElement) error {
	if g.depth == 0 && g.elements > 0 {
		return fault.New(fault.Invalid, "the metadata has two roots")
	}
	g.depth++
	g.elements++
	switch {
	case g.depth > maxMetadataDepth:
		return fault.New(fault.TooLarge, "the metadata is nested more than %d deep", maxMetadataDepth)
	case g.elements > maxMetadataElements:
		return fault.New(fault.TooLarge, "the metadata has more than %d elements", maxMetadataElements)
	case len(t.Attr) > maxMetadataAttrs:
		return fault.New(fault.TooLarge, "an element of the metadata has more than %d attributes", maxMetadataAttrs)
	}
	for i, a := range t.Attr {
		if slices.ContainsFunc(t.Attr[:i], func(b xml.Attr) bool { return a.Name == b.Name }) {
			return fault.New(fault.Invalid, "an element of the metadata has the attribute %q twice", clean(a.Name.Local))
		}
		if a.Name.Space == "" && a.Name.Local == "ID" {
			if g.ids[a.Value] {
				return fault.New(fault.Invalid, "the metadata has the ID %q twice", clean(a.Value))
			}
			g.ids[a.Value] = true
		}
	}
	return nil
}

// verifyMetadata holds the signature of the root against the keys of signers
// and gives the root as it was signed. The signature has to be where the schema
// puts it, in front of everything else, and to cover the root whole.
func verifyMetadata(root *etree.Element, signers []*x509.Certificate) (*etree.Element, error) {
	if err := checkMetadataSignature(root); err != nil {
		return nil, err
	}
	root = root.Copy()
	signature := root.ChildElements()[0]
	for _, info := range children(signature, nsDSig, "KeyInfo") {
		signature.RemoveChild(info) // what the document says of its key counts for nothing
	}
	for _, c := range signers {
		if !strongKey(c) {
			continue
		}
		context := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{c}})
		context.Clock = dsig.NewFakeClockAt(c.NotBefore) // the key was pinned, not its dates
		if signed, err := context.Validate(root); err == nil {
			return signed, nil
		}
	}
	return nil, fault.New(fault.Unauthenticated, "the metadata is not signed with a key that was pinned")
}

// checkMetadataSignature refuses every shape of signature but the one that
// metadata has (SAML metadata, section 3.1).
func checkMetadataSignature(root *etree.Element) error {
	first := root.ChildElements()
	if len(first) == 0 || !isTag(first[0], nsDSig, "Signature") || len(children(root, nsDSig, "Signature")) != 1 {
		return fault.New(fault.Unauthenticated, "the metadata is not signed, and its signer was pinned")
	}
	info, ok := only(first[0], "SignedInfo")
	if !ok {
		return fault.New(fault.Unauthenticated, "the signature of the metadata has no SignedInfo")
	}
	form, ok1 := only(info, "CanonicalizationMethod")
	method, ok2 := only(info, "SignatureMethod")
	reference, ok3 := only(info, "Reference")
	if !ok1 || !ok2 || !ok3 {
		return fault.New(fault.Unauthenticated, "the signature of the metadata wants one method and one reference")
	}
	id := attribute(root, "ID")
	if id == "" || attribute(reference, "URI") != "#"+id {
		return fault.New(fault.Unauthenticated, "the signature of the metadata does not cover the root")
	}
	if m, ok := methodOf(algorithmOf(method)); !ok || m.hash == crypto.SHA1 {
		return fault.New(fault.Unauthenticated, "the metadata is signed with %q, which is not supported", clean(algorithmOf(method)))
	}
	digest, ok := only(reference, "DigestMethod")
	if !ok {
		return fault.New(fault.Unauthenticated, "the signature of the metadata has no digest method")
	}
	if hash, ok := digestOf(algorithmOf(digest)); !ok || hash == crypto.SHA1 {
		return fault.New(fault.Unauthenticated, "the digest of the metadata is not SHA-256 or better")
	}
	if algorithmOf(form) != algExclusive {
		return fault.New(fault.Unauthenticated, "the signature of the metadata is not in exclusive canonical form")
	}
	transforms, ok := only(reference, "Transforms")
	if !ok {
		return fault.New(fault.Unauthenticated, "the signature of the metadata has no transforms")
	}
	var names []string
	for _, t := range transforms.ChildElements() {
		names = append(names, algorithmOf(t))
	}
	if !slices.Equal(names, []string{algEnveloped, algExclusive}) {
		return fault.New(fault.Unauthenticated, "the signature of the metadata has transforms that are not supported")
	}
	return nil
}

func algorithmOf(el *etree.Element) string { return attribute(el, "Algorithm") }

// only gives the one child of that name in the signature namespace.
func only(el *etree.Element, tag string) (*etree.Element, bool) {
	found := children(el, nsDSig, tag)
	if len(found) != 1 {
		return nil, false
	}
	return found[0], true
}

// attr gives an attribute that has no namespace, and nothing where there is none.
func attribute(el *etree.Element, name string) string {
	for _, a := range el.Attr {
		if a.Space == "" && a.Key == name {
			return a.Value
		}
	}
	return ""
}

func isTag(el *etree.Element, namespace, tag string) bool {
	return el.Tag == tag && el.NamespaceURI() == namespace
}

func children(el *etree.Element, namespace, tag string) []*etree.Element {
	return slices.DeleteFunc(el.ChildElements(), func(child *etree.Element) bool { return !isTag(child, namespace, tag) })
}

// text gives the whole text of an element that has nothing else in it. A
// comment is refused: readers differ on what the text is then.
func text(el *etree.Element) (string, error) {
	var b strings.Builder
	for _, child := range el.Child {
		data, ok := child.(*etree.CharData)
		if !ok {
			return "", fault.New(fault.Invalid, "%s holds more than text", el.Tag)
		}
		b.WriteString(data.Data)
	}
	return strings.TrimSpace(b.String()), nil
}

// readBool reads an xs:boolean attribute.
func readBool(el *etree.Element, name string) (bool, error) {
	switch value := attribute(el, name); value {
	case "true", "1":
		return true, nil
	case "", "false", "0":
		return false, nil
	default:
		return false, fault.New(fault.Invalid, "%s: want true or false, got %q", name, clean(value))
	}
}

// strongKey is whether a signature by the certificate's key can be believed.
func strongKey(c *x509.Certificate) bool {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= minRSA && key.N.BitLen() <= maxRSA
	case *ecdsa.PublicKey:
		return key.Params().N.BitLen() >= minEC
	}
	return false
}
