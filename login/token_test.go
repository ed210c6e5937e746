package login_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// raw makes an ID token with exactly this payload.
func raw(p *idp, payload string) string {
	return signed(p.t, p.alg, jose.JSONWebKey{Key: p.key, KeyID: p.keyID}, nil, []byte(payload))
}

// withMember gives the claims as JSON with more members in front.
func withMember(claims map[string]any, members string) string {
	data, _ := json.Marshal(claims)
	return "{" + members + "," + string(data[1:])
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// mac signs with HMAC, as if a public key or the client secret were the key.
func mac(p *idp, key []byte, claims map[string]any) string {
	data, _ := json.Marshal(claims)
	return signed(p.t, jose.HS256, key, map[jose.HeaderKey]any{"kid": p.keyID}, data)
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// set is a change of one claim; nil removes it.
func set(name string, v any) func(*idp) {
	return func(p *idp) {
		p.claims = func(c map[string]any) {
			if c[name] = v; v == nil {
				delete(c, name)
			}
		}
	}
}

func shift(name string, d time.Duration) func(*idp) {
	return func(p *idp) { p.claims = func(c map[string]any) { c[name] = p.now().Unix() + seconds(d) } }
}

func TestForgedIDTokensAreRefused(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lie   func(*idp)
		words string
	}{
		{"alg none", func(p *idp) {
			p.forge = func(c map[string]any) string {
				data, _ := json.Marshal(c)
				return b64(`{"alg":"none"}`) + "." + b64(string(data)) + "."
			}
		}, "algorithm that is not accepted"},
		{"alg none, signature kept", func(p *idp) {
			p.forge = func(c map[string]any) string {
				parts := strings.Split(p.sign(nil, c), ".")
				return b64(`{"alg":"nOnE"}`) + "." + parts[1] + "." + parts[2]
			}
		}, "algorithm that is not accepted"},
		{"HS256 with the public key in DER", func(p *idp) {
			p.forge = func(c map[string]any) string {
				der, _ := x509.MarshalPKIXPublicKey(p.key.Public())
				return mac(p, der, c)
			}
		}, "algorithm that is not accepted"},
		{"HS256 with the public key in PEM", func(p *idp) {
			p.forge = func(c map[string]any) string {
				der, _ := x509.MarshalPKIXPublicKey(p.key.Public())
				return mac(p, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), c)
			}
		}, "algorithm that is not accepted"},
		{"HS256 with the client secret", func(p *idp) {
			p.forge = func(c map[string]any) string { return mac(p, []byte(strings.Repeat(p.client.secret, 3)), c) }
		}, "algorithm that is not accepted"},
		{"an algorithm that was not announced", func(p *idp) {
			p.metadata = func(m map[string]any) { m["id_token_signing_alg_values_supported"] = []string{"RS256"} }
		}, "algorithm that is not accepted"},
		{"another key under the same kid", func(p *idp) {
			p.forge = func(c map[string]any) string {
				key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
				data, _ := json.Marshal(c)
				return signed(p.t, jose.ES256, jose.JSONWebKey{Key: key, KeyID: p.keyID}, nil, data)
			}
		}, "ID token is not valid"},
		{"a kid that is not there", func(p *idp) {
			p.forge = func(c map[string]any) string {
				data, _ := json.Marshal(c)
				return signed(p.t, jose.ES256, jose.JSONWebKey{Key: p.key, KeyID: "other"}, nil, data)
			}
		}, "ID token is not valid"},
		{"a key that comes along as jwk", func(p *idp) {
			p.forge = func(c map[string]any) string {
				key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
				data, _ := json.Marshal(c)
				s, _ := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, &jose.SignerOptions{EmbedJWK: true})
				jws, _ := s.Sign(data)
				token, _ := jws.CompactSerialize()
				return token
			}
		}, "ID token is not valid"},
		{"a key for encryption", func(p *idp) {
			p.keySet = func() []byte {
				return keySetOf(p.t, jose.JSONWebKey{Key: p.key.Public(), KeyID: p.keyID, Use: "enc"})
			}
		}, "offers no signing key"},
		{"a key that may not verify", func(p *idp) {
			p.keySet = func() []byte {
				set := keySetOf(p.t, jose.JSONWebKey{Key: p.key.Public(), KeyID: p.keyID})
				return []byte(strings.Replace(string(set), `"kty"`, `"key_ops":["encrypt"],"kty"`, 1))
			}
		}, "offers no signing key"},
		{"a jku of somebody else", func(p *idp) {
			p.forge = func(c map[string]any) string {
				key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
				data, _ := json.Marshal(c)
				return signed(p.t, jose.ES256, jose.JSONWebKey{Key: key, KeyID: p.keyID}, map[jose.HeaderKey]any{"jku": p.issuer() + "/evil-jwks", "x5u": p.issuer() + "/evil-jwks"}, data)
			}
		}, "ID token is not valid"},
		{"a key for another algorithm", func(p *idp) {
			p.keySet = func() []byte {
				return keySetOf(p.t, jose.JSONWebKey{Key: p.key.Public(), KeyID: p.keyID, Algorithm: "ES384"})
			}
		}, "ID token is not valid"},
		{"a broken signature", func(p *idp) {
			p.forge = func(c map[string]any) string {
				parts := strings.Split(p.sign(nil, c), ".")
				return parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2]))
			}
		}, "ID token is not valid"},
		{"another payload under the signature", func(p *idp) {
			p.forge = func(c map[string]any) string {
				parts := strings.Split(p.sign(nil, c), ".")
				c["sub"] = "root"
				data, _ := json.Marshal(c)
				return parts[0] + "." + b64(string(data)) + "." + parts[2]
			}
		}, "ID token is not valid"},
		{"JSON serialization", func(p *idp) {
			p.forge = func(c map[string]any) string {
				parts := strings.Split(p.sign(nil, c), ".")
				return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[1], parts[2])
			}
		}, "malformed"},
		{"space inside", func(p *idp) {
			p.forge = func(c map[string]any) string { return strings.Replace(p.sign(nil, c), ".", " .", 1) }
		}, "malformed"},
		{"line break inside", func(p *idp) {
			p.forge = func(c map[string]any) string { return strings.Replace(p.sign(nil, c), ".", "\n.", 1) }
		}, "malformed"},
		{"not a token", func(p *idp) { p.forge = func(map[string]any) string { return "garbage" } }, "malformed"},
		{"no token", func(p *idp) { p.answer = func(m map[string]any) { delete(m, "id_token") } }, "holds no ID token"},
		{"a token that is no string", func(p *idp) { p.answer = func(m map[string]any) { m["id_token"] = 7 } }, "holds no ID token"},
		{"an access token", func(p *idp) { p.header = map[jose.HeaderKey]any{"typ": "at+jwt"} }, "token of another kind"},
		{"a logout token", func(p *idp) { p.header = map[jose.HeaderKey]any{"typ": "application/Logout+JWT"} }, "token of another kind"},
		{"a typ that is no string", func(p *idp) { p.header = map[jose.HeaderKey]any{"typ": 1} }, "refused"},

		{"another issuer", set("iss", "https://evil.example"), "another issuer"},
		{"issuer in another case alone", func(p *idp) {
			p.claims = func(c map[string]any) { c["ISS"] = c["iss"]; delete(c, "iss") }
		}, "another issuer"},
		{"another audience", set("aud", "other"), "meant for somebody else"},
		{"no audience", set("aud", nil), "meant for somebody else"},
		{"audience in another case alone", func(p *idp) {
			p.claims = func(c map[string]any) { c["AUD"] = c["aud"]; delete(c, "aud") }
		}, "meant for somebody else"},
		{"several audiences without azp", set("aud", []string{"portal", "other"}), "issued to somebody else"},
		{"azp of another client", set("azp", "other"), "issued to somebody else"},
		{"azp that is no string", set("azp", []string{"portal"}), "issued to somebody else"},
		{"another nonce", set("nonce", "other"), "another sign-in"},
		{"no nonce", set("nonce", nil), "another sign-in"},
		{"nonce in another case alone", func(p *idp) {
			p.claims = func(c map[string]any) { c["Nonce"] = c["nonce"]; delete(c, "nonce") }
		}, "another sign-in"},
		{"expired", shift("exp", -2*time.Minute), "has expired"},
		{"no expiry", set("exp", nil), "no expiry"},
		{"expiry as text", set("exp", "soon"), "no expiry"},
		{"valid for years", shift("exp", 25*time.Hour), "more than a day"},
		{"valid beyond all time", set("exp", 1e300), "no expiry"},
		{"issued in the future", shift("iat", 2*time.Minute), "in the future"},
		{"issued long ago", shift("iat", -25*time.Hour), "not issued for this sign-in"},
		{"no time of issue", set("iat", nil), "does not say when"},
		{"not valid yet", shift("nbf", 2*time.Minute), "not valid yet"},
		{"no subject", set("sub", nil), "names nobody"},
		{"empty subject", set("sub", ""), "names nobody"},
		{"subject that is a number", set("sub", 7), "names nobody"},
		{"long subject", set("sub", strings.Repeat("x", 256)), "more than 255 bytes"},
		{"subject with a line break", set("sub", "a\r\nb"), "characters that are not allowed"},
		{"subject with half a surrogate", func(p *idp) {
			p.forge = func(c map[string]any) string {
				delete(c, "sub")
				return raw(p, withMember(c, `"sub":"\ud800"`))
			}
		}, "characters that are not allowed"},
		{"another access token", func(p *idp) { p.answer = func(m map[string]any) { m["access_token"] = "swapped" } }, "another access token"},
		{"another code", func(p *idp) { p.claims = func(c map[string]any) { c["c_hash"] = half("another") } }, "another code"},
		{"events of a logout token", set("events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}), "token of another kind"},
		{"a session that is no name", set("sid", 7), "names a session that is not a name"},
		{"no access token", func(p *idp) { p.answer = func(m map[string]any) { delete(m, "access_token") } }, "holds no access token"},
		{"an answer with members twice", func(p *idp) {
			p.handle("/token", func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(`{"id_token":"a","id_token":"b"}`))
			})
		}, "not usable"},
		{"at_hash that is no string", set("at_hash", 7), "another access token"},

		{"subject twice", func(p *idp) {
			p.forge = func(c map[string]any) string { return raw(p, withMember(c, `"sub":"root"`)) }
		}, "malformed claims"},
		{"a nested member twice", func(p *idp) {
			p.forge = func(c map[string]any) string { return raw(p, withMember(c, `"x":{"y":[{"z":1,"z":1}]}`)) }
		}, "malformed claims"},
		{"subject in another case alone", func(p *idp) {
			p.claims = func(c map[string]any) { c["SUB"] = c["sub"]; delete(c, "sub") }
		}, "names nobody"},
		{"a NUL", func(p *idp) {
			p.forge = func(c map[string]any) string { return raw(p, withMember(c, `"x":"a\u0000b"`)) }
		}, "malformed claims"},
		{"deep nesting", func(p *idp) {
			p.forge = func(c map[string]any) string {
				return raw(p, withMember(c, `"x":`+strings.Repeat("[", 500)+strings.Repeat("]", 500)))
			}
		}, "malformed claims"},
		{"not an object", func(p *idp) { p.forge = func(map[string]any) string { return raw(p, `[1]`) } }, "malformed claims"},

		{"groups that are an object", set("groups", map[string]any{"a": 1}), "not a list of names"},
		{"groups with a number", set("groups", []any{"a", 1}), "not a list of names"},
		{"groups that are a number", set("groups", 1), "not a list of names"},
		{"too many groups", func(p *idp) {
			groups := make([]string, 10_001)
			p.person["groups"] = groups
		}, "too many groups"},
		{"more groups than an answer may hold", func(p *idp) {
			groups := make([]string, 30_000)
			for i := range groups {
				groups[i] = fmt.Sprintf("%036d", i)
			}
			p.person["groups"] = groups
		}, "not usable"},
		{"a group with a long name", set("groups", strings.Repeat("x", 1025)), "too long"},
		{"app roles that are an object", set("roles", map[string]any{"a": 1}), "not a list of names"},
		{"huge claims", set("extra", strings.Repeat("x", 65<<10)), "larger than 64 KB"},
		{"e-mail that is a list", set("email", []string{"a@b"}), "not a line of text"},
		{"name with a line break", set("name", "A\nX-Portcullis-Roles: admin"), "not a line of text"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newIDP(t)
			g := newGate(t, nil, p)
			tc.lie(p)
			answer := newBrowser(t).signIn(g, "/.portcullis/sign-in")
			g.refused(t, answer, http.StatusBadRequest, tc.words)
			if p.count("/evil-jwks") != 0 {
				t.Errorf("a URL of the token was fetched")
			}
			if len(g.people.seen) != 0 {
				t.Errorf("the directory was asked")
			}
		})
	}
}

func TestHonestVariationsAreTaken(t *testing.T) {
	for _, tc := range []struct {
		name string
		vary func(*idp)
	}{
		{"clock behind", func(p *idp) {
			p.claims = func(c map[string]any) {
				c["iat"], c["exp"] = p.now().Unix()-350, p.now().Unix()-50
			}
		}},
		{"clock ahead", shift("iat", 50*time.Second)},
		{"a day of life", shift("exp", 24*time.Hour)},
		{"fractions of a second", func(p *idp) {
			p.claims = func(c map[string]any) { c["iat"] = float64(p.now().UnixMilli()) / 1000 }
		}},
		{"several audiences with azp", func(p *idp) {
			p.claims = func(c map[string]any) { c["aud"], c["azp"] = []string{"other", "portal"}, "portal" }
		}},
		{"no at_hash", set("at_hash", nil)},
		{"typ JWT", func(p *idp) { p.header = map[jose.HeaderKey]any{"typ": "JWT"} }},
		{"no kid", func(p *idp) { p.rotate("") }},
		{"no algorithms announced", func(p *idp) {
			p.metadata = func(m map[string]any) { delete(m, "id_token_signing_alg_values_supported") }
		}},
		{"RS256 among keys that are not understood", func(p *idp) {
			p.key, p.alg, p.keyID = rsaKey(), jose.RS256, "r1"
			p.keySet = func() []byte {
				set := keySetOf(p.t, jose.JSONWebKey{Key: p.key.Public(), KeyID: "r1", Use: "sig", Algorithm: "RS256"})
				return []byte(strings.Replace(string(set), `{"keys":[`, `{"keys":[{"kty":"future"},{"kty":"oct","k":"AAAA","kid":"r1"},`, 1))
			}
		}},
		{"secret in the form", func(p *idp) {
			p.metadata = func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"} }
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newIDP(t)
			g := newGate(t, nil, p)
			tc.vary(p)
			answer := newBrowser(t).signIn(g, "/.portcullis/sign-in")
			if answer.StatusCode != http.StatusSeeOther {
				t.Fatalf("status %d:\n%s\n%s", answer.StatusCode, answer.body, g.log.String())
			}
			if n := p.count("/token"); n != 1 {
				t.Errorf("the code was sent %d times", n)
			}
		})
	}
}

func TestMembersInAnotherCaseDoNotOverride(t *testing.T) {
	p := newIDP(t)
	g := newGate(t, nil, p)
	p.forge = func(c map[string]any) string {
		data, _ := json.Marshal(c)
		return raw(p, strings.TrimSuffix(string(data), "}")+`,"SUB":"root","Groups":["admins"],"EMAIL":"root@acme.example","Email_Verified":true}`)
	}
	p.person["email_verified"] = false
	if answer := newBrowser(t).signIn(g, "/.portcullis/sign-in"); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d: %s", answer.StatusCode, answer.body)
	}
	a := g.people.last(t)
	if a.Subject != "alice-1" || len(a.Groups) != 2 || a.Email != "alice@acme.example" || a.EmailVerified {
		t.Errorf("assertion = %+v", a)
	}
}

// A small key is weak, and one without bound costs whoever verifies with it.
func TestRSAKeysOfOtherSizesAreNotUsed(t *testing.T) {
	for _, octets := range []int{128, 1025, 2048, 4096} {
		p := newIDP(t)
		g := newGate(t, nil, p)
		p.keySet = func() []byte { // the modulus alone decides
			n := base64.RawURLEncoding.EncodeToString(append([]byte{0xff}, append(make([]byte, octets-2), 1)...))
			return []byte(`{"keys":[{"kty":"RSA","kid":"k1","e":"AQAB","n":"` + n + `"}]}`)
		}
		g.refused(t, newBrowser(t).signIn(g, "/.portcullis/sign-in"), http.StatusBadRequest, "offers no signing key")
	}
}
