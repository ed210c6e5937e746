package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"portcullis/outbound"
)

const (
	leeway      = time.Minute // clocks differ, either way
	maxLifetime = 24 * time.Hour
	maxSubject  = 255 // bytes; OpenID Connect Core 1.0, section 2
)

// verify checks an ID token and gives its claims (OpenID Connect Core 1.0,
// section 3.1.3.7). go-oidc checks the signature, issuer and audience, over
// our keys; the rest it leaves to its caller. Everything is read a second
// time out of strictly decoded claims, since go-oidc matches names without
// case.
func (p *Provider) verify(ctx context.Context, m *metadata, raw, nonce, accessToken string) (map[string]any, error) {
	alg, err := checkHeader(raw, m.algorithms)
	if err != nil {
		return nil, err
	}
	if _, err := p.keys.current(ctx); err != nil {
		return nil, err // go-oidc would hide that the identity provider is away
	}
	verifier := oidc.NewVerifier(p.c.Issuer, p.keys, &oidc.Config{
		ClientID: p.c.ClientID, SupportedSigningAlgs: m.algorithms,
		SkipExpiryCheck: true, // ours has leeway
	})
	if _, err := verifier.Verify(ctx, raw); err != nil {
		return nil, outbound.Refuse(err, "its ID token is not valid")
	}
	claims, err := decodePayload(raw)
	if err != nil {
		return nil, outbound.Refuse(err, "its ID token holds malformed claims")
	}
	if err := p.checkClaims(claims, nonce); err != nil {
		return nil, err
	}
	if err := checkAccessToken(claims, alg, accessToken); err != nil {
		return nil, err
	}
	return claims, nil
}

// checkHeader judges the header of a compact JWS, and gives its algorithm.
func checkHeader(raw string, allowed []string) (string, error) {
	if strings.ContainsFunc(raw, unicode.IsSpace) {
		return "", outbound.Refuse(nil, "its ID token is malformed")
	}
	algs := make([]jose.SignatureAlgorithm, len(allowed))
	for i, a := range allowed {
		algs[i] = jose.SignatureAlgorithm(a)
	}
	jws, err := jose.ParseSignedCompact(raw, algs)
	if err != nil {
		return "", outbound.Refuse(err, "its ID token is malformed or signed with an algorithm that is not accepted")
	}
	header := jws.Signatures[0].Header
	// An access token, a logout token or a security event is signed with the
	// same keys: the type keeps them apart (RFC 8725, section 3.11).
	if typ, ok := header.ExtraHeaders[jose.HeaderType]; ok {
		name, ok := typ.(string)
		name = strings.ToLower(strings.TrimPrefix(strings.ToLower(name), "application/"))
		if !ok || name != "jwt" {
			return "", outbound.Refuse(fmt.Errorf("typ %.50q", typ), "its ID token is a token of another kind")
		}
	}
	return header.Algorithm, nil
}

func decodePayload(raw string) (map[string]any, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, errors.New("not a compact JWS")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, errors.New("payload is not base64url")
	}
	return decodeObject(payload)
}

func (p *Provider) checkClaims(claims map[string]any, nonce string) error {
	if claims["iss"] != p.c.Issuer {
		return outbound.Refuse(nil, "its ID token comes from another issuer")
	}
	if got, ok := claims["nonce"].(string); !ok || subtle.ConstantTimeCompare([]byte(got), []byte(nonce)) != 1 {
		return outbound.Refuse(nil, "its ID token belongs to another sign-in")
	}
	if _, err := Subject(claims["sub"]); err != nil {
		return err
	}
	if err := checkAudience(claims, p.c.ClientID); err != nil {
		return err
	}
	return checkTimes(claims, p.c.Now())
}

// Subject reads a claim that names a person for good, as sub does: text that
// is not empty, at most 255 bytes, without control characters. It fails with
// fault.Invalid.
func Subject(v any) (string, error) {
	sub, ok := v.(string)
	switch {
	case !ok || sub == "":
		return "", outbound.Refuse(nil, "its ID token names nobody")
	case len(sub) > maxSubject:
		return "", outbound.Refuse(nil, "its ID token names somebody in more than 255 bytes")
	case strings.ContainsFunc(sub, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }):
		return "", outbound.Refuse(nil, "its ID token names somebody with characters that are not allowed")
	}
	return sub, nil
}

// checkAudience wants the token to be for us; one for several must say that
// it was issued to us.
func checkAudience(claims map[string]any, clientID string) error {
	audience, ok := Strings(claims["aud"])
	if !ok || !slices.Contains(audience, clientID) {
		return outbound.Refuse(nil, "its ID token is meant for somebody else")
	}
	azp, present := claims["azp"]
	if present && azp != clientID || !present && len(audience) > 1 {
		return outbound.Refuse(nil, "its ID token was issued to somebody else")
	}
	return nil
}

func checkTimes(claims map[string]any, now time.Time) error {
	exp, ok := instant(claims["exp"])
	if !ok {
		return outbound.Refuse(nil, "its ID token has no expiry")
	}
	iat, ok := instant(claims["iat"])
	if !ok {
		return outbound.Refuse(nil, "its ID token does not say when it was issued")
	}
	switch {
	case now.After(exp.Add(leeway)):
		return outbound.Refuse(fmt.Errorf("by %s", now.Sub(exp)), "its ID token has expired")
	case exp.After(now.Add(maxLifetime + leeway)):
		return outbound.Refuse(nil, "its ID token is valid for more than a day")
	case iat.After(now.Add(leeway)):
		return outbound.Refuse(fmt.Errorf("by %s", iat.Sub(now)), "its ID token was issued in the future; the clocks differ")
	case iat.Before(now.Add(-maxLifetime)), iat.After(exp):
		return outbound.Refuse(nil, "its ID token was not issued for this sign-in")
	}
	if v, present := claims["nbf"]; present {
		if nbf, ok := instant(v); !ok || nbf.After(now.Add(leeway)) {
			return outbound.Refuse(nil, "its ID token is not valid yet")
		}
	}
	return nil
}

// instant reads a NumericDate (RFC 7519, section 2), which may have a
// fraction.
func instant(v any) (time.Time, bool) {
	n, ok := v.(float64)
	if !ok || n < 0 || n > 1<<40 {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(n)
	return time.Unix(int64(whole), int64(fraction*1e9)), true
}

// checkAccessToken compares at_hash, when it is there, with the access token
// that came along (OpenID Connect Core 1.0, section 3.1.3.8).
func checkAccessToken(claims map[string]any, alg, accessToken string) error {
	v, present := claims["at_hash"]
	if !present {
		return nil
	}
	var h hash.Hash
	switch {
	case strings.HasSuffix(alg, "256"):
		h = sha256.New()
	case strings.HasSuffix(alg, "384"):
		h = sha512.New384()
	default: // …512, and EdDSA over Ed25519
		h = sha512.New()
	}
	_, _ = h.Write([]byte(accessToken)) // a hash never fails
	sum := h.Sum(nil)
	want := base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	got, ok := v.(string)
	if !ok || subtle.ConstantTimeCompare([]byte(strings.TrimRight(got, "=")), []byte(want)) != 1 {
		return outbound.Refuse(nil, "its ID token belongs to another access token")
	}
	return nil
}
