package scim_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"portcullis/audit"
	"portcullis/fault"
)

// signer is a client that signs assertions.
type signer struct {
	t   *testing.T
	key crypto.Signer
	alg jose.SignatureAlgorithm
}

// form asks for a token with an assertion of those claims.
func (s signer) form(claims map[string]any) url.Values {
	s.t.Helper()
	sig, err := jose.NewSigner(jose.SigningKey{Algorithm: s.alg, Key: s.key}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := jwt.Signed(sig).Claims(claims).Serialize()
	if err != nil {
		s.t.Fatal(err)
	}
	return assertion(text)
}

func assertion(text string) url.Values {
	return url.Values{
		"grant_type": {"client_credentials"}, "client_assertion": {text},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
}

func jwkOf(t *testing.T, key any) []byte {
	t.Helper()
	raw, err := json.Marshal(jose.JSONWebKey{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (r *rig) claims(id string, more ...any) map[string]any {
	now := r.clock.Now()
	out := map[string]any{
		"iss": id, "sub": id, "aud": acmeTokenURL, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": rand.Text(),
	}
	for i := 0; i+1 < len(more); i += 2 {
		name, _ := more[i].(string)
		if out[name] = more[i+1]; more[i+1] == nil {
			delete(out, name)
		}
	}
	return out
}

func TestAssertionsOfEveryKindOfKey(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		alg jose.SignatureAlgorithm
		key crypto.Signer
	}{
		{jose.RS256, rsaKey},
		{jose.PS256, rsaKey},
		{jose.ES256, ecKey(t, elliptic.P256())},
		{jose.ES384, ecKey(t, elliptic.P384())},
		{jose.EdDSA, ed},
	} {
		t.Run(string(tc.alg), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			der, err := x509.MarshalPKIXPublicKey(tc.key.Public())
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range [][]byte{jwkOf(t, tc.key.Public()), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})} {
				id, secret := r.client(file)
				if secret != "" {
					t.Error("a client with a key got a secret")
				}
				a := r.want(r.grant("acme", signer{t, tc.key, tc.alg}.form(r.claims(id))), 200)
				r.want(r.sendTo("acme", a.text("access_token"), "GET", "/Users", nil), 200)
			}
		})
	}
}

// RFC 7523, section 3.
func TestAssertionsThatAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := ecKey(t, elliptic.P256())
	id, _ := r.client(jwkOf(t, key.Public()))
	withSecret, secret := r.client(nil)
	sign := signer{t, key, jose.ES256}
	now := r.clock.Now()
	for name, aud := range map[string]any{
		"token endpoint": acmeTokenURL, "base URL": "https://gate.example/base/scim/v2/acme", "issuer": "https://gate.example/base",
		"a list": []string{"https://other.example", acmeTokenURL},
	} {
		if a := r.grant("acme", sign.form(r.claims(id, "aud", aud))); a.status != 200 {
			t.Errorf("aud %s = %d %s, want 200", name, a.status, a.raw)
		}
	}
	for _, tc := range []struct {
		name string
		form url.Values
	}{
		{"another subject", sign.form(r.claims(id, "sub", withSecret))},
		{"another issuer", sign.form(r.claims(withSecret, "sub", id))},
		{"no audience", sign.form(r.claims(id, "aud", nil))},
		{"another audience", sign.form(r.claims(id, "aud", "https://gate.example/base/scim/v2/beta/oauth/token"))},
		{"no expiry", sign.form(r.claims(id, "exp", nil))},
		{"expired", sign.form(r.claims(id, "exp", now.Add(-time.Minute).Unix()))},
		{"good for a day", sign.form(r.claims(id, "exp", now.Add(24*time.Hour).Unix()))},
		{"not yet", sign.form(r.claims(id, "nbf", now.Add(5*time.Minute).Unix()))},
		{"made in the future", sign.form(r.claims(id, "iat", now.Add(5*time.Minute).Unix()))},
		{"no jti", sign.form(r.claims(id, "jti", nil))},
		{"long jti", sign.form(r.claims(id, "jti", strings.Repeat("j", 1025)))},
		{"another key", signer{t, ecKey(t, elliptic.P256()), jose.ES256}.form(r.claims(id))},
		{"another kind of key", signer{t, ecKey(t, elliptic.P384()), jose.ES384}.form(r.claims(id))},
		{"of a client with a secret", sign.form(r.claims(withSecret))},
		{"of nobody", sign.form(r.claims("NOBODY"))},
		{"no algorithm", assertion(unsigned(t, r.claims(id)))},
		{"nonsense", assertion("a.b.c")},
		{"shared secret", assertion(macked(t, jwkOf(t, key.Public()), r.claims(id)))},
		{"its own secret", credentials(id, secret)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := r.in(t)
			if a := r.want(r.grant("acme", tc.form), 401); a.text("error") != "invalid_client" {
				t.Errorf("answer = %s, want invalid_client", a.raw)
			}
		})
	}
	form := sign.form(r.claims(id))
	form.Set("client_id", withSecret)
	r.want(r.grant("acme", form), 401)
	form.Set("client_id", id)
	r.want(r.grant("acme", form), 200)
}

func TestAnAssertionIsUsedOnceOnAllReplicas(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	other := newRigOnSame(t, r)
	key := ecKey(t, elliptic.P256())
	id, _ := r.client(jwkOf(t, key.Public()))
	form := signer{t, key, jose.ES256}.form(r.claims(id))
	statuses := make(chan int, 8)
	for i := range cap(statuses) {
		gate := r
		if i%2 == 1 {
			gate = other
		}
		go func() { statuses <- gate.grant("acme", form).status }()
	}
	given := 0
	for range cap(statuses) {
		if <-statuses == 200 {
			given++
		}
	}
	if given != 1 {
		t.Errorf("one assertion gave %d tokens, want one", given)
	}
	if a := r.want(other.grant("acme", form), 401); !strings.Contains(a.text("error_description"), "used before") {
		t.Errorf("answer = %s, want the reason", a.raw)
	}
}

func TestKeysThatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	private := ecKey(t, elliptic.P256())
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{
		"weak":            jwkOf(t, weak.Public()),
		"private":         jwkOf(t, private),
		"private PEM":     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"shared secret":   jwkOf(t, []byte(strings.Repeat("k", 32))),
		"small curve":     []byte(`{"kty":"EC","crv":"P-224","x":"AA","y":"AA"}`),
		"for encryption":  []byte(strings.Replace(string(jwkOf(t, private.Public())), "{", `{"use":"enc",`, 1)),
		"other algorithm": []byte(strings.Replace(string(jwkOf(t, private.Public())), "{", `{"alg":"HS256",`, 1)),
		"empty":           {},
		"nonsense":        []byte("nonsense"),
	} {
		if _, _, err := r.tokens.CreateClient(t.Context(), audit.Gate(), "acme", "", 0, file); !fault.Is(err, fault.Invalid) {
			t.Errorf("CreateClient(%s) = %v, want invalid", name, err)
		}
	}
}

func unsigned(t *testing.T, claims map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(raw) + "."
}

func macked(t *testing.T, key []byte, claims map[string]any) string {
	t.Helper()
	sig, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(sig).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
