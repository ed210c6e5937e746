package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"

	"github.com/go-jose/go-jose/v4"

	"portcullis/fault"
)

// Key is a private key of the operator's with which our client proves itself
// (private_key_jwt). It is a [Signer], and safe for concurrent use.
type Key struct {
	signer jose.Signer
	public jose.JSONWebKey
}

var _ Signer = (*Key)(nil)

// ReadKey reads a private key in PEM: RSA of 2048 bits and more, ECDSA or
// Ed25519. Its kid is its thumbprint (RFC 7638). With a certificate of the key
// behind it the header names that one, too (RFC 7515, section 4.1.8), as
// Microsoft Entra ID asks: an RSA key signs by PS256 then, and by RS256
// otherwise. It fails with fault.Invalid, in words that show nothing of the
// key.
func ReadKey(text []byte) (*Key, error) {
	private, certificates, err := readPEM(text)
	if err != nil {
		return nil, err
	}
	public, alg := private.Public(), jose.SignatureAlgorithm("")
	var certificate *x509.Certificate
	for _, c := range certificates {
		if k, ok := public.(interface{ Equal(crypto.PublicKey) bool }); ok && k.Equal(c.PublicKey) {
			certificate = c
			break
		}
	}
	switch k := public.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSABits {
			return nil, fault.New(fault.Invalid, "the private key: want RSA of at least %d bits, got %d", minRSABits, k.N.BitLen())
		}
		if alg = jose.RS256; certificate != nil {
			alg = jose.PS256
		}
	case *ecdsa.PublicKey:
		alg = map[int]jose.SignatureAlgorithm{256: jose.ES256, 384: jose.ES384, 521: jose.ES512}[k.Params().BitSize]
	case ed25519.PublicKey:
		alg = jose.EdDSA
	}
	if len(certificates) > 0 && certificate == nil {
		return nil, fault.New(fault.Invalid, "the private key: want a certificate of this key behind it, got one of another")
	}
	return newKey(private, alg, certificate)
}

func newKey(private crypto.Signer, alg jose.SignatureAlgorithm, certificate *x509.Certificate) (*Key, error) {
	public := jose.JSONWebKey{Key: private.Public(), Algorithm: string(alg), Use: "sig"}
	thumb, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the private key: want RSA, ECDSA over P-256, P-384 or P-521, or Ed25519, got another")
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(thumb)
	options := (&jose.SignerOptions{}).WithType("JWT")
	if certificate != nil {
		sum := sha256.Sum256(certificate.Raw)
		options = options.WithHeader("x5t#S256", base64.RawURLEncoding.EncodeToString(sum[:]))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: private, KeyID: public.KeyID}}, options)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the private key: want RSA, ECDSA over P-256, P-384 or P-521, or Ed25519, got another")
	}
	return &Key{signer, public}, nil
}

// readPEM gives the one private key of a text, and the certificates in it.
func readPEM(text []byte) (private crypto.Signer, certificates []*x509.Certificate, err error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		var parsed any
		switch block.Type {
		case "PRIVATE KEY":
			parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			parsed, err = x509.ParseECPrivateKey(block.Bytes)
		case "CERTIFICATE":
			var c *x509.Certificate
			if c, err = x509.ParseCertificate(block.Bytes); err == nil {
				certificates = append(certificates, c)
			}
		default:
			continue // parameters of a curve, and the like
		}
		if err != nil { // the cause might quote the key
			return nil, nil, fault.New(fault.Invalid, "the private key: want PEM that is not encrypted, got a block %.40q that cannot be read", block.Type)
		}
		if signer, ok := parsed.(crypto.Signer); ok {
			if private != nil {
				return nil, nil, fault.New(fault.Invalid, "the private key: want one, got several")
			}
			private = signer
		}
	}
	if private == nil {
		return nil, nil, fault.New(fault.Invalid, "the private key: want PEM with a private key that is not encrypted, got none")
	}
	return private, certificates, nil
}

// Sign gives claims as a compact JWS that names its key.
func (k *Key) Sign(claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	jws, err := k.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return jws.CompactSerialize()
}

// JWKS is the public halves of keys as a JSON Web Key Set (RFC 7517, section
// 5), for the provider to fetch.
func JWKS(keys ...*Key) ([]byte, error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range keys {
		set.Keys = append(set.Keys, k.public)
	}
	return json.Marshal(set)
}
