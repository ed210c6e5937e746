package oidc_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"portcullis/fault"
	"portcullis/oidc"
)

// block is something in PEM.
func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("PRIVATE KEY", der)
}

func certificateOf(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gate"}, NotAfter: time.Unix(1<<32, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der)
}

func someKeys(t *testing.T) (rsaKey, weak *rsa.PrivateKey, ec *ecdsa.PrivateKey, ed ed25519.PrivateKey) {
	t.Helper()
	var errs [4]error
	rsaKey, errs[0] = rsa.GenerateKey(rand.Reader, 2048)
	weak, errs[1] = rsa.GenerateKey(rand.Reader, 1024)
	ec, errs[2] = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, errs[3] = ed25519.GenerateKey(rand.Reader)
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return rsaKey, weak, ec, ed
}

func TestKeyOfTheOperatorSigns(t *testing.T) {
	rsaKey, _, ec, ed := someKeys(t)
	ecDER, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	certificate := certificateOf(t, rsaKey)
	decoded, _ := pem.Decode(certificate)
	sum := sha256.Sum256(decoded.Bytes)
	for name, tc := range map[string]struct {
		text []byte
		alg  string
		x5t  any
	}{
		"rsa":                    {pkcs8(t, rsaKey), "RS256", nil},
		"rsa, in the old form":   {block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)), "RS256", nil},
		"rsa with a certificate": {slices.Concat(certificate, pkcs8(t, rsaKey)), "PS256", base64.RawURLEncoding.EncodeToString(sum[:])},
		"ecdsa, in the old form": {slices.Concat(block("EC PARAMETERS", []byte{5}), block("EC PRIVATE KEY", ecDER)), "ES384", nil},
		"ed25519":                {pkcs8(t, ed), "EdDSA", nil},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := oidc.ReadKey(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := k.Sign(map[string]any{"sub": "gate"})
			if err != nil {
				t.Fatal(err)
			}
			published, err := oidc.JWKS(k)
			if err != nil || strings.Contains(string(published), `"d"`) {
				t.Fatalf("JWKS = %s, %v", published, err)
			}
			var set jose.JSONWebKeySet
			if err := json.Unmarshal(published, &set); err != nil {
				t.Fatal(err)
			}
			jws, err := jose.ParseSignedCompact(signed, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(tc.alg)})
			if err != nil {
				t.Fatal(err)
			}
			header := jws.Signatures[0].Header
			if payload, err := jws.Verify(set.Key(header.KeyID)[0]); err != nil || string(payload) != `{"sub":"gate"}` {
				t.Errorf("payload = %s, %v", payload, err)
			}
			if header.KeyID == "" || header.ExtraHeaders["typ"] != "JWT" || header.ExtraHeaders["x5t#S256"] != tc.x5t {
				t.Errorf("header = %+v, want the certificate %v", header, tc.x5t)
			}
			again, err := oidc.ReadKey(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if same, err := oidc.JWKS(again); err != nil || string(same) != string(published) {
				t.Errorf("published as %s and as %s: replicas must agree", published, same)
			}
		})
	}
}

func TestKeyThatIsNoneIsRefused(t *testing.T) {
	rsaKey, weak, ec, ed := someKeys(t)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"nothing":               nil,
		"no PEM":                []byte("secret"),
		"a certificate alone":   certificateOf(t, ec),
		"two keys":              slices.Concat(pkcs8(t, ec), pkcs8(t, ed)),
		"another's certificate": slices.Concat(pkcs8(t, rsaKey), certificateOf(t, ec)),
		"a weak key":            pkcs8(t, weak),
		"a curve of no JOSE":    pkcs8(t, p224),
		"garbage":               block("PRIVATE KEY", []byte("garbage")),
		"an encrypted key":      block("ENCRYPTED PRIVATE KEY", []byte("garbage")),
	} {
		if k, err := oidc.ReadKey(text); k != nil || !fault.Is(err, fault.Invalid) || !strings.HasPrefix(fault.Message(err), "the private key: want ") {
			t.Errorf("%s: ReadKey = %v, %v", name, k, err)
		}
	}
}
