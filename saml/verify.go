package saml

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" //nolint:gosec // for the connections that allow it
	"crypto/sha256"
	_ "crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

const (
	algExclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
	algEnveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
)

// A method is a signature algorithm (RFC 9231, section 2.3).
type method struct {
	hash crypto.Hash
	kind x509.PublicKeyAlgorithm
	pss  bool
}

func methodOf(uri string) (method, bool) {
	switch uri {
	case "http://www.w3.org/2000/09/xmldsig#rsa-sha1":
		return method{crypto.SHA1, x509.RSA, false}, true
	case "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256":
		return method{crypto.SHA256, x509.RSA, false}, true
	case "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384":
		return method{crypto.SHA384, x509.RSA, false}, true
	case "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512":
		return method{crypto.SHA512, x509.RSA, false}, true
	case "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1":
		return method{crypto.SHA256, x509.RSA, true}, true
	case "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1":
		return method{crypto.SHA384, x509.RSA, true}, true
	case "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1":
		return method{crypto.SHA512, x509.RSA, true}, true
	case "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256":
		return method{crypto.SHA256, x509.ECDSA, false}, true
	case "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384":
		return method{crypto.SHA384, x509.ECDSA, false}, true
	case "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512":
		return method{crypto.SHA512, x509.ECDSA, false}, true
	}
	return method{}, false
}

func digestOf(uri string) (crypto.Hash, bool) {
	switch uri {
	case "http://www.w3.org/2000/09/xmldsig#sha1":
		return crypto.SHA1, true
	case "http://www.w3.org/2001/04/xmlenc#sha256":
		return crypto.SHA256, true
	case "http://www.w3.org/2001/04/xmldsig-more#sha384":
		return crypto.SHA384, true
	case "http://www.w3.org/2001/04/xmlenc#sha512":
		return crypto.SHA512, true
	}
	return 0, false
}

// A verdict is what one good signature says.
type verdict struct {
	signed      *node  // the second reading: of the octets that were digested
	certificate string // fingerprint of the one that matched
	sha1        bool
}

// verify judges the enveloped signature of n, whose shape is known to fit.
// SignedInfo comes first: until a trusted key stands behind it, nothing that
// it says costs anything.
func (sp *ServiceProvider) verify(n *node, now time.Time) (*verdict, error) {
	sig := n.child(name{nsDSig, "Signature"})
	info := sig.els[0]
	canon, algorithm, ref := info.els[0], info.els[1], info.els[2]
	if canon.value("Algorithm") != algExclusive {
		return nil, errors.New("the canonicalization of SignedInfo is not exclusive")
	}
	m, ok := methodOf(algorithm.value("Algorithm"))
	if !ok {
		return nil, errors.New("the signature method is not one of ours")
	}
	prefixes, err := inclusive(canon)
	if err != nil {
		return nil, err
	}
	octets, err := canonical(info, nil, prefixes, maxDecoded)
	if err != nil {
		return nil, err
	}
	value, err := decode64(sig.els[1].text())
	if err != nil {
		return nil, errors.New("the signature value is not base64")
	}
	v := &verdict{sha1: m.hash == crypto.SHA1}
	if v.sha1 && !sp.c.IDP.AllowSHA1 {
		return nil, errors.New("the signature uses SHA-1, which this connection does not allow")
	}
	if v.certificate, err = sp.signer(m, octets, value, now); err != nil {
		return nil, err
	}
	return v, sp.digested(v, n, sig, ref)
}

// digested holds n against the one Reference and reads it anew.
func (sp *ServiceProvider) digested(v *verdict, n, sig, ref *node) error {
	if uri := ref.value("URI"); uri != "#"+n.value("ID") {
		return errors.New("the signature is of another element")
	}
	transforms, hashing := ref.els[0].els, ref.els[1]
	if transforms[0].value("Algorithm") != algEnveloped || len(transforms[0].els) > 0 || transforms[1].value("Algorithm") != algExclusive {
		return errors.New("the transforms are not enveloped signature and exclusive canonicalization")
	}
	hash, ok := digestOf(hashing.value("Algorithm"))
	if !ok {
		return errors.New("the digest method is not one of ours")
	}
	v.sha1 = v.sha1 || hash == crypto.SHA1
	if hash == crypto.SHA1 && !sp.c.IDP.AllowSHA1 {
		return errors.New("the digest uses SHA-1, which this connection does not allow")
	}
	want, err := decode64(ref.els[2].text())
	if err != nil {
		return errors.New("the digest value is not base64")
	}
	prefixes, err := inclusive(transforms[1])
	if err != nil {
		return err
	}
	octets, err := canonical(n, sig, prefixes, 2*maxDecoded)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(sum(hash, octets), want) != 1 { // lengths count too
		return errors.New("the digest does not match: the content was changed")
	}
	if v.signed, err = read(octets, make(map[string]struct{})); err != nil {
		return fmt.Errorf("the second reading: %w", err)
	}
	return nil
}

// inclusive gives the prefixes of a method's InclusiveNamespaces.
func inclusive(n *node) ([]string, error) {
	if len(n.els) == 0 {
		return nil, nil
	}
	prefixes := strings.Fields(n.els[0].value("PrefixList"))
	if len(prefixes) > 32 {
		return nil, errors.New("more than 32 inclusive namespaces")
	}
	for i, prefix := range prefixes {
		switch {
		case prefix == "#default":
			prefixes[i] = ""
		case !isID(prefix):
			return nil, errors.New("an inclusive namespace that is no prefix")
		}
	}
	return prefixes, nil
}

// signer gives the fingerprint of the trusted certificate whose key made
// value over octets. KeyInfo has no say in it.
func (sp *ServiceProvider) signer(m method, octets string, value []byte, now time.Time) (string, error) {
	digest := sum(m.hash, octets)
	tried := 0
	var late *x509.Certificate // would have been the one
	for _, cert := range sp.c.IDP.Certificates {
		if cert.PublicKeyAlgorithm != m.kind {
			continue
		}
		valid := !now.Before(cert.NotBefore) && !now.After(cert.NotAfter)
		if valid {
			tried++
		}
		switch made := m.made(cert.PublicKey, digest, value); {
		case made && valid:
			return Fingerprint(cert), nil
		case made:
			late = cert
		}
	}
	if late != nil { // an administrator needs to know which one
		return "", fmt.Errorf("certificate %.12s made this signature, and is good only from %s to %s",
			Fingerprint(late), formatTime(late.NotBefore), formatTime(late.NotAfter))
	}
	if tried == 0 {
		return "", errors.New("no trusted certificate is valid now and fits the signature method")
	}
	return "", fmt.Errorf("none of %d trusted certificates made this signature", tried)
}

// made is whether the key made the signature over the digest.
func (m method) made(key crypto.PublicKey, digest, value []byte) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA || bits > maxRSA {
			return false
		}
		if m.pss { // RFC 9231, section 2.3.10: the salt is as long as the digest
			return rsa.VerifyPSS(key, m.hash, digest, value, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(key, m.hash, digest, value) == nil
	case *ecdsa.PublicKey: // XML signature, section 6.4.3: r and s, each as long as the order
		size := (key.Params().N.BitLen() + 7) / 8
		if key.Params().N.BitLen() < minEC || len(value) != 2*size {
			return false
		}
		return ecdsa.Verify(key, digest, new(big.Int).SetBytes(value[:size]), new(big.Int).SetBytes(value[size:]))
	}
	return false
}

// Fingerprint is the SHA-256 of a certificate in lower-case hex: how the
// trace and the metadata page name it.
func Fingerprint(cert *x509.Certificate) string {
	s := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(s[:])
}

func sum(hash crypto.Hash, octets string) []byte {
	h := hash.New()
	h.Write([]byte(octets))
	return h.Sum(nil)
}

// decode64 decodes base64 as XML writes it, in lines. Padding must be there
// and must be zero, so that there is one way to write a value.
func decode64(s string) ([]byte, error) {
	if strings.ContainsAny(s, " \t\n\r") {
		s = strings.NewReplacer(" ", "", "\t", "", "\n", "", "\r", "").Replace(s)
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}
