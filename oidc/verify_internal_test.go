package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	testIssuer = "https://id.example"
	testClient = "portal"
)

var testKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// known is a provider whose metadata and keys are known, at a fixed time.
func known(keys ...jose.JSONWebKey) (*Provider, *metadata) {
	now := time.Unix(1_800_000_000, 0)
	m := &metadata{algorithms: []string{"ES256", "RS256"}}
	p := New(Config{Issuer: testIssuer, ClientID: testClient, Now: func() time.Time { return now }})
	p.meta = m
	p.keys.keys, p.keys.fetched, p.keys.missed = keys, now, now
	return p, m
}

func sign(tb testing.TB, alg jose.SignatureAlgorithm, key any, typ string, payload []byte) string {
	tb.Helper()
	o := &jose.SignerOptions{}
	if typ != "" {
		o = o.WithType(jose.ContentType(typ))
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o)
	if err != nil {
		tb.Fatal(err)
	}
	jws, err := s.Sign(payload)
	if err != nil {
		tb.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func idClaims(now time.Time) map[string]any {
	return map[string]any{
		"iss": testIssuer, "aud": testClient, "sub": "alice", "nonce": "n", "iat": now.Unix(), "exp": now.Unix() + 300,
	}
}

func logoutClaims(now time.Time) map[string]any {
	return map[string]any{
		"iss": testIssuer, "aud": testClient, "sub": "alice", "sid": "s", "jti": "j", "iat": now.Unix(), "exp": now.Unix() + 120,
		"events": map[string]any{logoutEvent: map[string]any{}},
	}
}

func text(tb testing.TB, claims map[string]any) []byte {
	tb.Helper()
	data, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// FuzzIDToken signs whatever it is given as a provider would, and states what
// is taken: an ID token for us and this sign-in, on which every reader agrees.
func FuzzIDToken(f *testing.F) {
	p, m := known(jose.JSONWebKey{Key: testKey().Public()})
	base := text(f, idClaims(p.c.Now()))
	for _, seed := range []string{
		string(base), strings.Replace(string(base), `"sub"`, `"SUB":"root","sub"`, 1), strings.Replace(string(base), `"sub"`, `"sub":"root","sub"`, 1),
		strings.Replace(string(base), `"portal"`, `["portal","other"]`, 1), strings.Replace(string(base), `"nonce":"n"`, `"nonce":["n"]`, 1), `{}`, `[]`, "",
		string(text(f, logoutClaims(p.c.Now()))),
	} {
		f.Add([]byte(seed), "", "")
		f.Add([]byte(seed), "at+jwt", "")
	}
	f.Add(base, "", "eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, payload []byte, typ, raw string) {
		if _, err := p.verify(t.Context(), m, raw, proof{"n", "a", "c"}); err == nil {
			t.Fatalf("a token that nobody signed was taken: %q", raw)
		}
		token := sign(t, jose.ES256, testKey(), typ, payload)
		got, err := p.verify(t.Context(), m, token, proof{"n", "a", "c"})
		if err != nil {
			return
		}
		var want map[string]any
		if err := json.Unmarshal(payload, &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("claims = %v, another reader: %v, %v", got, want, err)
		}
		if sub, _ := got["sub"].(string); sub == "" || got["iss"] != testIssuer || got["nonce"] != "n" || got["events"] != nil {
			t.Fatalf("taken: %v", got)
		}
		if typ != "" && !strings.EqualFold(strings.TrimPrefix(strings.ToLower(typ), "application/"), "jwt") {
			t.Fatalf("a token of type %q was taken", typ)
		}
		if _, err := p.VerifyLogout(t.Context(), token); err == nil {
			t.Fatalf("it passes for a logout token, too: %v", got)
		}
	})
}

// FuzzLogoutToken states what is taken for a logout token, and that it never
// passes for an ID token.
func FuzzLogoutToken(f *testing.F) {
	p, m := known(jose.JSONWebKey{Key: testKey().Public()})
	base := string(text(f, logoutClaims(p.c.Now())))
	for _, seed := range []string{
		base, strings.Replace(base, `"sid":"s"`, `"nonce":"n"`, 1), strings.Replace(base, `{}`, `null`, 1), strings.Replace(base, `"jti":"j",`, "", 1),
		strings.Replace(base, `"events"`, `"Events"`, 1), string(text(f, idClaims(p.c.Now()))), `{}`, "x",
	} {
		f.Add([]byte(seed), "logout+jwt")
	}
	f.Fuzz(func(t *testing.T, payload []byte, typ string) {
		token := sign(t, jose.ES256, testKey(), typ, payload)
		got, err := p.VerifyLogout(t.Context(), token)
		if err != nil {
			return
		}
		var claims map[string]any
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatal(err)
		}
		events, _ := claims["events"].(map[string]any)
		_, isObject := events[logoutEvent].(map[string]any)
		_, nonce := claims["nonce"]
		switch {
		case !isObject, nonce, got.ID == "", got.Subject == "" && got.Session == "", claims["iss"] != testIssuer:
			t.Fatalf("taken: %+v out of %s", got, payload)
		case got.Subject != "" && got.Subject != claims["sub"], got.Session != "" && got.Session != claims["sid"], got.ID != claims["jti"]:
			t.Fatalf("read: %+v out of %s", got, payload)
		case !got.Expires.After(p.c.Now()):
			t.Fatalf("taken after its end: %+v", got)
		}
		if _, err := p.verify(t.Context(), m, token, proof{"n", "a", "c"}); err == nil {
			t.Fatalf("it passes for an ID token, too: %s", payload)
		}
	})
}

// BenchmarkVerify is what a sign-in costs beyond the network, against the
// signature alone.
func BenchmarkVerify(b *testing.B) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	for _, alg := range []struct {
		name   jose.SignatureAlgorithm
		key    any
		public any
	}{{jose.RS256, rsaKey, rsaKey.Public()}, {jose.ES256, testKey(), testKey().Public()}} {
		for _, groups := range []int{10, 200} {
			p, m := known(jose.JSONWebKey{Key: alg.public})
			claims := idClaims(p.c.Now())
			names := make([]string, groups)
			for i := range names {
				names[i] = fmt.Sprintf("3f0c0000-0000-4000-8000-%012d", i)
			}
			claims["groups"], claims["email"], claims["name"] = names, "alice@example.com", "Alice"
			token := sign(b, alg.name, alg.key, "JWT", text(b, claims))
			b.Run(fmt.Sprintf("%s/%d/bare", alg.name, groups), func(b *testing.B) {
				for b.Loop() {
					jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{alg.name})
					if err != nil {
						b.Fatal(err)
					}
					if _, err := jws.Verify(alg.public); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("%s/%d/all", alg.name, groups), func(b *testing.B) {
				for b.Loop() {
					if _, err := p.verify(context.Background(), m, token, proof{"n", "a", "c"}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
