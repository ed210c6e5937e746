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

	"portcullis/internal/cpu"
	"portcullis/trace"
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

// signer is a key with which the benchmark's provider signs.
type signer struct {
	alg    jose.SignatureAlgorithm
	key    any
	public any
}

func signers(tb testing.TB) []signer {
	tb.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	return []signer{{jose.RS256, rsaKey, rsaKey.Public()}, {jose.ES256, testKey(), testKey().Public()}}
}

// usual is a token with that many groups, the verification of its signature
// alone, and all of it.
func (s signer) usual(tb testing.TB, groups int) (bare, all func(context.Context) error) {
	tb.Helper()
	p, m := known(jose.JSONWebKey{Key: s.public})
	claims := idClaims(p.c.Now())
	names := make([]string, groups)
	for i := range names {
		names[i] = fmt.Sprintf("3f0c0000-0000-4000-8000-%012d", i)
	}
	claims["groups"], claims["email"], claims["name"] = names, "alice@example.com", "Alice"
	token := sign(tb, s.alg, s.key, "JWT", text(tb, claims))
	bare = func(context.Context) error {
		jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{s.alg})
		if err == nil {
			_, err = jws.Verify(s.public)
		}
		return err
	}
	all = func(ctx context.Context) error {
		_, err := p.verify(ctx, m, token, proof{"n", "a", "c"})
		return err
	}
	return bare, all
}

func traced() context.Context {
	return trace.With(context.Background(), trace.Begin(trace.Record{}))
}

// TestVerificationCostsLittleBeyondTheSignature prints what every check of a
// sign-in costs next to its signature, in CPU, and holds it loosely.
func TestVerificationCostsLittleBeyondTheSignature(t *testing.T) {
	for _, s := range signers(t) {
		for _, groups := range []int{10, 200} {
			bare, all := s.usual(t, groups)
			cost := func(f func(context.Context) error, ctx func() context.Context) time.Duration {
				return cpu.Least(100, func() {
					if err := f(ctx()); err != nil {
						t.Fatal(err)
					}
				})
			}
			one, two, three := cost(bare, t.Context), cost(all, t.Context), cost(all, traced)
			t.Logf("%s, %d groups: signature %v, all %v (%.2f), with a trace %v (%.2f)", s.alg, groups,
				one, two, float64(two)/float64(one), three, float64(three)/float64(one))
			if three > 10*one {
				t.Errorf("%s, %d groups: verification costs %v, the signature alone %v", s.alg, groups, three, one)
			}
		}
	}
}

// BenchmarkVerify is what a sign-in costs beyond the network, against the
// signature alone.
func BenchmarkVerify(b *testing.B) {
	for _, s := range signers(b) {
		for _, groups := range []int{10, 200} {
			bare, all := s.usual(b, groups)
			for _, bench := range []struct {
				name string
				f    func(context.Context) error
				ctx  func() context.Context
			}{{"bare", bare, b.Context}, {"all", all, b.Context}, {"all-traced", all, traced}} {
				b.Run(fmt.Sprintf("%s/%d/%s", s.alg, groups, bench.name), func(b *testing.B) {
					for b.Loop() {
						if err := bench.f(bench.ctx()); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
