package login_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// byHand signs with the provider's key what no library would write: this
// header and this middle, whatever they are.
func byHand(p *idp, header, middle string, key *ecdsa.PrivateKey) string {
	text := b64(header) + "." + middle
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		p.t.Error(err)
		return ""
	}
	value := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return text + "." + base64.RawURLEncoding.EncodeToString(value)
}

// headed is a lie: the right claims under another header.
func headed(header string) func(*idp) {
	return func(p *idp) {
		p.forge = func(c map[string]any) string {
			data, _ := json.Marshal(c)
			return byHand(p, strings.ReplaceAll(header, "KID", p.keyID), b64(string(data)), p.key.(*ecdsa.PrivateKey))
		}
	}
}

// retold is a lie: the token, changed after it was signed.
func retold(change func(head, middle, value string) string) func(*idp) {
	return func(p *idp) {
		p.forge = func(c map[string]any) string {
			parts := strings.Split(p.sign(nil, c), ".")
			return change(parts[0], parts[1], parts[2])
		}
	}
}

// written is a lie: claims that are signed, and written in another way.
func written(change func(string) string) func(*idp) {
	return func(p *idp) {
		p.forge = func(c map[string]any) string {
			data, _ := json.Marshal(c)
			return byHand(p, `{"alg":"ES256","kid":"`+p.keyID+`"}`, b64(change(string(data))), p.key.(*ecdsa.PrivateKey))
		}
	}
}

func TestTokensOfAnotherShapeAreRefused(t *testing.T) {
	zeros := base64.RawURLEncoding.EncodeToString(make([]byte, 64))
	order := elliptic.P256().Params().N.FillBytes(make([]byte, 32))
	for name, lie := range map[string]func(*idp){
		"an extension that must be understood": headed(`{"alg":"ES256","kid":"KID","crit":["x"],"x":1}`),
		"an extension that is not there":       headed(`{"alg":"ES256","kid":"KID","crit":["exp"]}`),
		"no extension":                         headed(`{"alg":"ES256","kid":"KID","crit":[]}`),
		"an extension that is no list":         headed(`{"alg":"ES256","kid":"KID","crit":"b64"}`),
		"two algorithms":                       headed(`{"alg":"none","alg":"ES256","kid":"KID"}`),
		"algorithms":                           headed(`{"alg":["ES256"],"kid":"KID"}`),
		"no algorithm":                         headed(`{"kid":"KID"}`),
		"an algorithm in another case":         headed(`{"alg":"es256","kid":"KID"}`),
		"a member in another case":             headed(`{"ALG":"ES256","kid":"KID"}`),
		"another curve's algorithm":            headed(`{"alg":"ES384","kid":"KID"}`),
		"a kid that is a number":               headed(`{"alg":"ES256","kid":1}`),
		"a kid that is a path":                 headed(`{"alg":"ES256","kid":"../../../dev/null"}`),
		"a kid that is SQL":                    headed(`{"alg":"ES256","kid":"x' UNION SELECT 'key"}`),
		"a kid in another case":                headed(`{"alg":"ES256","kid":"K1"}`),
		"a header with a NUL":                  headed("{\"alg\":\"ES256\",\"kid\":\"KID\x00\"}"),
		"a header that is a list":              headed(`[{"alg":"ES256"}]`),
		"a header with more behind":            headed(`{"alg":"ES256","kid":"KID"}{}`),
		"a payload that is not encoded": func(p *idp) {
			p.forge = func(c map[string]any) string {
				data, _ := json.Marshal(c)
				return byHand(p, `{"alg":"ES256","kid":"`+p.keyID+`","b64":false,"crit":["b64"]}`, string(data), p.key.(*ecdsa.PrivateKey))
			}
		},
		"a token within": written(func(s string) string { return b64(`{"alg":"none"}`) + "." + b64(s) + "." }),
		"a token within, named so": func(p *idp) {
			p.forge = func(c map[string]any) string {
				return byHand(p, `{"alg":"ES256","kid":"`+p.keyID+`","cty":"JWT"}`, b64(p.sign(nil, c)), p.key.(*ecdsa.PrivateKey))
			}
		},
		"five parts":           retold(func(h, m, s string) string { return h + "." + m + "." + s + "." + m + "." + s }),
		"four parts":           retold(func(h, m, s string) string { return h + "." + m + "." + s + "." }),
		"two parts":            retold(func(h, m, _ string) string { return h + "." + m }),
		"no signature":         retold(func(h, m, _ string) string { return h + "." + m + "." }),
		"a signature of zeros": retold(func(h, m, _ string) string { return h + "." + m + "." + zeros }),
		"padding":              retold(func(h, m, s string) string { return h + "." + m + "=." + s }),
		"the other alphabet": retold(func(h, m, s string) string {
			return h + "." + m + "." + strings.NewReplacer("-", "+", "_", "/").Replace(s) + "=="
		}),
		"a signature twice":  retold(func(h, m, s string) string { return h + "." + m + "." + s + s }),
		"an invisible mark":  retold(func(h, m, s string) string { return "\ufeff" + h + "." + m + "." + s }),
		"a NUL behind":       retold(func(h, m, s string) string { return h + "." + m + "." + s + "\x00" }),
		"a signature in DER": retold(der),
		"a signature of the curve's order": retold(func(h, m, _ string) string {
			return h + "." + m + "." + base64.RawURLEncoding.EncodeToString(append(order, order...))
		}),

		"claims in invalid UTF-8":      written(func(s string) string { return strings.Replace(s, "alice-1", "alice\xff", 1) }),
		"claims with a mark in front":  written(func(s string) string { return "\ufeff" + s }),
		"claims with more behind":      written(func(s string) string { return s + "{}" }),
		"claims with a comment":        written(func(s string) string { return "/* */" + s }),
		"a member twice by an escape":  written(func(s string) string { return strings.Replace(s, "{", `{"\u0073ub":"root",`, 1) }),
		"a member twice, nothing last": written(func(s string) string { return strings.Replace(s, "{", `{"sub":null,`, 1) }),
		"the audience twice":           written(func(s string) string { return strings.Replace(s, "{", `{"aud":"other",`, 1) }),
		"a number beyond numbers":      written(func(s string) string { return strings.Replace(s, "{", `{"x":1e400,`, 1) }),
		"a number that is none":        written(func(s string) string { return strings.Replace(s, "{", `{"x":NaN,`, 1) }),
		"a million of brackets":        written(func(s string) string { return strings.Repeat("[", 100_000) + s }),

		"expiry true": set("exp", true), "expiry in a list": set("exp", []int{1 << 31}), "expiry nothing": written(func(s string) string {
			return strings.Replace(s, `"exp":`, `"exp":null,"y":`, 1)
		}),
		"expiry in milliseconds": func(p *idp) { p.claims = func(c map[string]any) { c["exp"] = p.now().UnixMilli() + 60_000 } },
		"expiry below zero":      set("exp", -1), "issued below zero": set("iat", -1), "issued as text": func(p *idp) {
			p.claims = func(c map[string]any) { c["iat"] = strconv.FormatInt(p.now().Unix(), 10) }
		},
		"issued after its expiry": func(p *idp) {
			p.claims = func(c map[string]any) { c["iat"], c["exp"] = p.now().Unix()+40, p.now().Unix()+30 }
		},
		"not before as text":              func(p *idp) { p.claims = func(c map[string]any) { c["nbf"] = strconv.FormatInt(p.now().Unix(), 10) } },
		"an audience in a list in a list": set("aud", [][]string{{"portal"}}), "an audience that is an object": set("aud", map[string]any{"portal": 1}),
		"audiences with a number": set("aud", []any{"portal", 7}), "an audience with a space": set("aud", "portal "), "an audience in another case": set("aud", "Portal"),
		"an audience of two in one": set("aud", "portal other"), "no audience in a list": set("aud", []string{}), "azp nothing": set("azp", json.RawMessage("null")),
		"azp empty": set("azp", ""), "issuers": func(p *idp) { p.claims = func(c map[string]any) { c["iss"] = []string{p.issuer()} } },
		"an issuer with a slash": func(p *idp) { p.claims = func(c map[string]any) { c["iss"] = p.issuer() + "/" } },
		"an issuer with a space": func(p *idp) { p.claims = func(c map[string]any) { c["iss"] = p.issuer() + " " } },
		"subjects":               set("sub", []string{"alice-1"}), "a subject that is an object": set("sub", map[string]any{"a": 1}),
		"nonces": func(p *idp) { p.claims = func(c map[string]any) { c["nonce"] = []any{c["nonce"]} } },
		"half a nonce": func(p *idp) {
			p.claims = func(c map[string]any) { c["nonce"] = c["nonce"].(string)[:10] }
		},
		"a nonce with more": func(p *idp) { p.claims = func(c map[string]any) { c["nonce"] = c["nonce"].(string) + "x" } },
		"an empty at_hash":  set("at_hash", ""), "an empty c_hash": set("c_hash", ""), "c_hash a number": set("c_hash", 1),
	} {
		t.Run(name, func(t *testing.T) {
			p := newIDP(t)
			g := newGate(t, nil, p)
			lie(p)
			answer := newBrowser(t).signIn(g, "/.portcullis/sign-in")
			g.refused(t, answer, http.StatusBadRequest, "")
			if len(g.people.seen) != 0 {
				t.Errorf("the directory was asked: %+v", g.people.seen)
			}
		})
	}
}

// der writes the signature as X.509 does.
func der(head, middle, value string) string {
	raw, _ := base64.RawURLEncoding.DecodeString(value)
	text, _ := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])})
	return head + "." + middle + "." + base64.RawURLEncoding.EncodeToString(text)
}

// Every algorithm that is taken works, with the hash that goes with it.
func TestEachAlgorithmIsTaken(t *testing.T) {
	curve := func(c elliptic.Curve) crypto.Signer {
		key, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for alg, key := range map[jose.SignatureAlgorithm]crypto.Signer{
		jose.RS256: rsaKey(), jose.RS384: rsaKey(), jose.RS512: rsaKey(), jose.PS256: rsaKey(), jose.PS384: rsaKey(), jose.PS512: rsaKey(),
		jose.ES256: curve(elliptic.P256()), jose.ES384: curve(elliptic.P384()), jose.ES512: curve(elliptic.P521()), jose.EdDSA: edwards,
	} {
		t.Run(string(alg), func(t *testing.T) {
			p := newIDP(t)
			g := newGate(t, nil, p)
			p.key, p.alg, p.keyID = key, alg, "k"
			p.header = map[jose.HeaderKey]any{"typ": "application/jwt", "x5t": "AAAA", "jku": p.issuer() + "/evil"}
			p.metadata = func(m map[string]any) { delete(m, "id_token_signing_alg_values_supported") }
			p.claims = func(c map[string]any) {
				delete(c, "at_hash")
				c["aud"], c["azp"], c["amr"], c["auth_time"] = []string{"api://x", "portal"}, "portal", []string{"pwd", "mfa"}, p.now().Unix()
			}
			if answer := newBrowser(t).signIn(g, "/.portcullis/sign-in"); answer.StatusCode != http.StatusSeeOther {
				t.Fatalf("status %d:\n%s\n%s", answer.StatusCode, answer.body, g.log.String())
			}
		})
	}
}
