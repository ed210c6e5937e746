package scim

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"portcullis/audit"
	"portcullis/fault"
)

const (
	// AccessLife is how long an access token of a client is good.
	AccessLife = time.Hour

	minRSA        = 2048             // bits
	maxRSA        = 8192             // bits: what is larger takes long to verify with
	skew          = time.Minute      // that a client's clock may be wrong by
	assertionLife = time.Hour        // of an assertion at most, from now on
	assertionKept = 10 * time.Minute // beyond its life, for replicas whose clocks differ
	maxJTI        = 1024             // bytes
)

// CreateClient makes an OAuth client of a connection (RFC 6749, section 4.4);
// [Token.ID] is its client_id. Without a key the client has a secret, which is
// given and not kept. With one, a JWK or PEM file, it authenticates itself
// with assertions signed by that key (private_key_jwt, RFC 7523), and there is
// no secret. It fails with fault.Invalid for a key that is not the public one
// of a pair that can be trusted, and with fault.Conflict when the connection
// has [MaxLiveTokens] live clients already.
func (t *Tokens) CreateClient(ctx context.Context, by audit.Actor, connection, note string, life time.Duration, key []byte) (string, Token, error) {
	token := Token{Connection: connection, Note: note, Client: true}
	if key != nil {
		jwk, err := publicKey(key)
		if err != nil {
			return "", Token{}, err
		}
		token.PublicKey = jwk
	}
	secret, token, err := t.create(ctx, by, token, life)
	if key != nil {
		secret = "" // nobody gets to know what the hash is of
	}
	return secret, token, err
}

// publicKey reads a key file and gives the key as a JWK.
func publicKey(file []byte) (string, error) {
	var key jose.JSONWebKey
	file = bytes.TrimSpace(file)
	if block, rest := pem.Decode(file); block != nil {
		if len(bytes.TrimSpace(rest)) > 0 {
			return "", fault.New(fault.Invalid, "the key file holds more than one PEM block")
		}
		parsed, err := pemKey(block)
		if err != nil {
			return "", err
		}
		key.Key = parsed
	} else if err := json.Unmarshal(file, &key); err != nil {
		return "", fault.Wrap(fault.Invalid, err, "the key file is neither a JWK nor PEM")
	}
	if !key.IsPublic() { // before anything of it is shown or kept
		return "", fault.New(fault.Invalid, "the key is not a public one: keep the private key, and register its public key")
	}
	if key.Use != "" && key.Use != "sig" {
		return "", fault.New(fault.Invalid, "the key is not for signatures")
	}
	if len(algorithms(key)) == 0 {
		return "", fault.New(fault.Invalid, "want an RSA key of %d to %d bits, an EC key on P-256, P-384 or P-521, or an Ed25519 key", minRSA, maxRSA)
	}
	raw, err := key.MarshalJSON()
	return string(raw), err
}

func pemKey(block *pem.Block) (key any, err error) {
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = c.PublicKey
		}
	default:
		return nil, fault.New(fault.Invalid, "the PEM block is not a public key or a certificate: keep the private key, and register its public key")
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the PEM block cannot be read")
	}
	return key, nil
}

// algorithms are what assertions may be signed with by a key: what fits it,
// and if the key names one, that alone. Never "none", never a shared secret.
func algorithms(key jose.JSONWebKey) []jose.SignatureAlgorithm {
	var fit []jose.SignatureAlgorithm
	switch k := key.Key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits >= minRSA && bits <= maxRSA {
			fit = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512}
		}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			fit = []jose.SignatureAlgorithm{jose.ES256}
		case elliptic.P384():
			fit = []jose.SignatureAlgorithm{jose.ES384}
		case elliptic.P521():
			fit = []jose.SignatureAlgorithm{jose.ES512}
		}
	case ed25519.PublicKey:
		fit = []jose.SignatureAlgorithm{jose.EdDSA}
	}
	if key.Algorithm != "" {
		fit = slices.DeleteFunc(fit, func(a jose.SignatureAlgorithm) bool { return string(a) != key.Algorithm })
	}
	return fit
}

// credentials are what a client says to prove who it is.
type credentials struct {
	id        string
	secret    string
	assertion string   // a JWT; empty: the secret counts
	audiences []string // that an assertion may be for
}

// proof is a client that proved who it is, and the assertion that it used up.
type proof struct {
	client Token
	jti    []byte // hash; nil: there was no assertion
	until  time.Time
}

// authenticate finds the client of a connection. Whatever is wrong is the same
// fault.Unauthenticated, until a signature has shown that the client itself is
// to be told.
func (t *Tokens) authenticate(ctx context.Context, connection string, c credentials) (proof, error) {
	id := c.id
	if c.assertion != "" {
		named, err := issuerOf(c.assertion)
		if err != nil || id != "" && id != named {
			return proof{}, errClient()
		}
		id = named
	}
	if !plausibleID(id) {
		return proof{}, errClient()
	}
	client, err := t.store.TokenByID(ctx, id)
	switch {
	case fault.Is(err, fault.NotFound):
		return proof{}, errClient()
	case err != nil:
		return proof{}, err
	}
	if !client.Client || client.Connection != connection || !client.Live(t.now()) {
		return proof{}, errClient()
	}
	if (c.assertion != "") != (client.PublicKey != "") {
		return proof{}, errClient()
	}
	if c.assertion != "" {
		return t.assert(client, c)
	}
	if len(c.secret) != secretLength || !strings.HasPrefix(c.secret, clientPrefix) ||
		subtle.ConstantTimeCompare(hashOf(c.secret), client.Hash) != 1 {
		return proof{}, errClient()
	}
	return proof{client: client}, nil
}

// signed are the algorithms that an assertion is parsed with at all.
func signed() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

// issuerOf gives who an assertion says it is from: which key to judge it with.
func issuerOf(assertion string) (string, error) {
	parsed, err := jwt.ParseSigned(assertion, signed())
	if err != nil {
		return "", err
	}
	var claims jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return "", err
	}
	return claims.Issuer, nil
}

// assert judges an assertion (RFC 7523, section 3).
func (t *Tokens) assert(client Token, c credentials) (proof, error) {
	var key jose.JSONWebKey
	if err := json.Unmarshal([]byte(client.PublicKey), &key); err != nil {
		return proof{}, fault.Wrap(fault.Internal, err, "the key of a client cannot be read")
	}
	parsed, err := jwt.ParseSigned(c.assertion, algorithms(key))
	if err != nil {
		return proof{}, errClient()
	}
	var claims jwt.Claims
	if err := parsed.Claims(key.Key, &claims); err != nil {
		return proof{}, errClient()
	}
	now := t.now()
	wrong := func(what string) (proof, error) {
		return proof{}, fault.New(fault.Unauthenticated, "the client assertion is refused: %s", what)
	}
	switch {
	case claims.Subject != client.ID || claims.Issuer != client.ID:
		return wrong("iss and sub have to be the client_id")
	case !slices.ContainsFunc(claims.Audience, func(aud string) bool { return slices.Contains(c.audiences, aud) }):
		return wrong("aud is not " + c.audiences[0])
	case claims.Expiry == nil:
		return wrong("exp is missing")
	case !now.Before(claims.Expiry.Time().Add(skew)):
		return wrong("it has expired")
	case claims.Expiry.Time().After(now.Add(assertionLife + skew)):
		return wrong("exp is more than an hour away")
	case claims.NotBefore != nil && claims.NotBefore.Time().After(now.Add(skew)):
		return wrong("nbf lies in the future")
	case claims.IssuedAt != nil && claims.IssuedAt.Time().After(now.Add(skew)):
		return wrong("iat lies in the future")
	case claims.ID == "" || len(claims.ID) > maxJTI:
		return wrong("jti is missing or too long")
	}
	return proof{client: client, jti: hashOf(claims.ID), until: claims.Expiry.Time().Add(skew + assertionKept)}, nil
}

// issue gives a client an access token, and says how long it is good. An
// assertion is good for one.
func (t *Tokens) issue(ctx context.Context, p proof) (string, time.Duration, error) {
	now := t.now()
	secret, expires := newSecret(accessPrefix), now.Add(AccessLife)
	if end := p.client.Expires; !end.IsZero() && end.Before(expires) {
		expires = end
	}
	a := Access{Hash: hashOf(secret), Client: p.client.ID, Expires: expires, Assertion: p.jti, Until: p.until}
	err := t.store.InsertAccess(ctx, a, now)
	if fault.Is(err, fault.Conflict) {
		return "", 0, fault.New(fault.Unauthenticated, "the client assertion is refused: its jti was used before")
	}
	if err != nil {
		return "", 0, err
	}
	_, err = t.touch(ctx, p.client, now)
	return secret, expires.Sub(now), err
}

func errClient() error {
	return fault.New(fault.Unauthenticated, "the client is not known here, or its credentials are wrong")
}
