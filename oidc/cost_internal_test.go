package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"portcullis/internal/cpu"
)

// TestNoTokenCostsMuch holds what a provider, or whoever can post a logout
// token, can make the gate compute: each costs at most 50 ms of CPU.
func TestNoTokenCostsMuch(t *testing.T) {
	p, m := known(jose.JSONWebKey{Key: testKey().Public()})
	base := string(text(t, idClaims(p.c.Now())))
	with := func(members string) string { return "{" + members + "," + base[1:] }
	many := func(n int, each func(int) string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = each(i)
		}
		return strings.Join(parts, ",")
	}
	signed := func(payload string) string { return sign(t, jose.ES256, testKey(), "", []byte(payload)) }
	honest := signed(base)
	for name, token := range map[string]string{
		"deep nesting":            signed(with(`"x":` + strings.Repeat("[", 90_000) + strings.Repeat("]", 90_000))),
		"members":                 signed(with(many(10_000, func(i int) string { return fmt.Sprintf(`"m%d":%d`, i, i) }))),
		"the same member":         signed(with(many(30_000, func(int) string { return `"m":1` }))),
		"groups":                  signed(with(`"groups":[` + many(4_000, func(i int) string { return fmt.Sprintf(`"%036d"`, i) }) + `]`)),
		"a number":                signed(with(`"x":` + strings.Repeat("9", 180_000))),
		"escapes":                 signed(with(`"x":"` + strings.Repeat(`\u0041`, 30_000) + `"`)),
		"long names":              signed(with(many(200, func(i int) string { return fmt.Sprintf(`"%0900d":1`, i) }))),
		"empty objects":           signed(with(`"x":[` + many(60_000, func(int) string { return "{}" }) + `]`)),
		"a claim of half a token": signed(with(`"groups":[` + many(60_000, func(int) string { return `""` }) + `]`)),
		"a long header":           strings.Repeat("A", 1<<20) + honest[strings.Index(honest, "."):],
		"a long signature":        honest + strings.Repeat("A", 1<<20),
		"dots":                    strings.Repeat(".", 1<<20),
		"more than is looked at":  signed(with(`"x":"` + strings.Repeat("x", 1<<20) + `"`)),
		"white space in a header": strings.Repeat(" ", 1<<20) + honest,
	} {
		id := cpu.Least(5, func() { _, _ = p.verify(t.Context(), m, token, proof{"n", "a", "c"}) })
		logout := cpu.Least(5, func() { _, _ = p.VerifyLogout(t.Context(), token) })
		t.Logf("%s: %v as an ID token, %v as a logout token", name, id, logout)
		if most := max(id, logout); most > cpu.Budget {
			t.Errorf("%s cost %v of CPU, want at most %v", name, most, cpu.Budget)
		}
	}
}

func TestTokenThatIsTooLargeIsRefused(t *testing.T) {
	p, m := known(jose.JSONWebKey{Key: testKey().Public()})
	for size, want := range map[int]bool{100_000: true, maxSigned: false} {
		claims := idClaims(p.c.Now())
		claims["x"] = strings.Repeat("x", size)
		_, err := p.verify(t.Context(), m, sign(t, jose.ES256, testKey(), "", text(t, claims)), proof{"n", "a", "c"})
		if (err == nil) != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestNoSetOfKeysCostsMuch: a token that names no key may be tried with each,
// whoever sends it.
func TestNoSetOfKeysCostsMuch(t *testing.T) {
	var set []jose.JSONWebKey
	for range maxKeys {
		key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		set = append(set, jose.JSONWebKey{Key: key.Public()})
	}
	p, m := known(set...)
	m.algorithms = []string{"ES512"}
	stranger, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	token := sign(t, jose.ES512, stranger, "", text(t, idClaims(p.c.Now())))
	cost := cpu.Least(20, func() {
		if _, err := p.verify(t.Context(), m, token, proof{"n", "a", "c"}); err == nil {
			t.Error("a token of nobody's was taken")
		}
	})
	t.Logf("%d keys: %v", len(set), cost)
	if cost > cpu.Budget {
		t.Errorf("%d keys cost %v of CPU, want at most %v", len(set), cost, cpu.Budget)
	}
}
