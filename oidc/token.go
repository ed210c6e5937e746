package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-jose/go-jose/v4"

	"portcullis/fault"
	"portcullis/outbound"
	"portcullis/trace"
)

const (
	leeway      = time.Minute // clocks differ, either way
	maxLifetime = 24 * time.Hour
	maxSigned   = 256 << 10 // bytes of a signed token
	maxSubject  = 255       // bytes; OpenID Connect Core 1.0, section 2
)

// kind is what a signed token is for, in words. The same keys sign all of
// them: their types keep them apart (RFC 8725, section 3.11).
type kind string

const (
	idToken     kind = "ID token"
	logoutToken kind = "logout token"
)

// typ says whether the typ of a header may stand before a token of that kind.
// One that is not typed is judged by its claims.
func (k kind) typ(name string) bool {
	name = strings.TrimPrefix(strings.ToLower(name), "application/")
	return name == "jwt" || k == logoutToken && name == "logout+jwt"
}

// proof is what an ID token is held against.
type proof struct{ nonce, access, code string }

// verify checks an ID token and gives its claims (OpenID Connect Core 1.0,
// section 3.1.3.7).
func (p *Provider) verify(ctx context.Context, m *metadata, raw string, want proof) (map[string]any, error) {
	b := trace.Of(ctx)
	claims, header, err := p.open(ctx, m, raw, idToken)
	traceResult(b, "signature", "by a key of "+p.c.Issuer, err)
	if err != nil {
		return nil, err
	}
	traceKey(b, header)
	p.traceClaims(b, claims, want.nonce)
	if err := p.checkClaims(claims, want.nonce); err != nil {
		return nil, err
	}
	if err := checkHash(claims, "at_hash", header.Algorithm, want.access, "its ID token belongs to another access token"); err != nil {
		return nil, err
	}
	return claims, checkHash(claims, "c_hash", header.Algorithm, want.code, "its ID token belongs to another code")
}

// open checks the signature of a token, and gives its claims and header. It
// is read once: what was signed is what is decoded. What the claims say is
// not looked at, see [Provider.checkIssued].
func (p *Provider) open(ctx context.Context, m *metadata, raw string, k kind) (map[string]any, jose.Header, error) {
	jws, err := parse(raw, m.algorithms, k)
	if err != nil {
		return nil, jose.Header{}, err
	}
	payload, err := p.keys.verify(ctx, jws)
	if err != nil {
		if fault.KindOf(err) != fault.Internal {
			return nil, jose.Header{}, err // the keys are not to be had
		}
		return nil, jose.Header{}, outbound.Refuse(err, "its "+string(k)+" is not valid")
	}
	claims, err := decodeObject(payload)
	if err != nil {
		return nil, jose.Header{}, outbound.Refuse(err, "its "+string(k)+" holds malformed claims")
	}
	return claims, jws.Signatures[0].Header, nil
}

// parse reads a compact JWS and judges its header.
func parse(raw string, allowed []string, k kind) (*jose.JSONWebSignature, error) {
	if len(raw) > maxSigned {
		return nil, outbound.Refuse(nil, "its "+string(k)+" is too large")
	}
	for i := range len(raw) { // go-jose passes over white space
		if raw[i] <= ' ' || raw[i] >= 0x7f {
			return nil, outbound.Refuse(nil, "its "+string(k)+" is malformed")
		}
	}
	algs := make([]jose.SignatureAlgorithm, len(allowed))
	for i, a := range allowed {
		algs[i] = jose.SignatureAlgorithm(a)
	}
	jws, err := jose.ParseSignedCompact(raw, algs)
	if err != nil {
		return nil, outbound.Refuse(err, "its "+string(k)+" is malformed or signed with an algorithm that is not accepted")
	}
	if _, ok := jws.Signatures[0].Header.ExtraHeaders["crit"]; ok { // RFC 7515, section 4.1.11: none that we understand
		return nil, outbound.Refuse(nil, "its "+string(k)+" has an extension that is not known")
	}
	if typ, ok := jws.Signatures[0].Header.ExtraHeaders[jose.HeaderType]; ok {
		name, ok := typ.(string)
		if !ok || !k.typ(name) {
			return nil, outbound.Refuse(fmt.Errorf("typ %.50q", typ), "its "+string(k)+" is a token of another kind")
		}
	}
	return jws, nil
}

func (p *Provider) checkClaims(claims map[string]any, nonce string) error {
	if !sameNonce(claims, nonce) {
		return outbound.Refuse(nil, "its ID token belongs to another sign-in")
	}
	return p.checkCommon(claims)
}

// checkCommon is what holds of an ID token whether it comes with a code or
// with a refresh.
func (p *Provider) checkCommon(claims map[string]any) error {
	if hasMember(claims, "events") {
		return outbound.Refuse(nil, "its ID token is a token of another kind")
	}
	if _, err := Subject(claims["sub"]); err != nil {
		return err
	}
	return p.checkIssued(claims)
}

// checkIssued is what holds of every token: by whom, for whom, and when.
func (p *Provider) checkIssued(claims map[string]any) error {
	if claims["iss"] != p.c.Issuer {
		return outbound.Refuse(nil, "its token comes from another issuer")
	}
	if err := checkAudience(claims, p.c.ClientID); err != nil {
		return err
	}
	return checkTimes(claims, p.c.Now())
}

func sameNonce(claims map[string]any, nonce string) bool {
	got, ok := claims["nonce"].(string)
	return ok && subtle.ConstantTimeCompare([]byte(got), []byte(nonce)) == 1
}

// Subject reads a claim that names a person for good, as sub does: text that
// is not empty, at most 255 bytes, without control characters. It fails with
// fault.Invalid.
func Subject(v any) (string, error) {
	sub, ok := v.(string)
	switch {
	case !ok || sub == "":
		return "", outbound.Refuse(nil, "its token names nobody")
	case len(sub) > maxSubject:
		return "", outbound.Refuse(nil, "its token names somebody in more than 255 bytes")
	case strings.ContainsFunc(sub, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }):
		return "", outbound.Refuse(nil, "its token names somebody with characters that are not allowed")
	}
	return sub, nil
}

// checkAudience wants the token to be for us; one for several must say that
// it was issued to us.
func checkAudience(claims map[string]any, clientID string) error {
	audience, ok := Strings(claims["aud"])
	if !ok || !slices.Contains(audience, clientID) {
		return outbound.Refuse(nil, "its token is meant for somebody else")
	}
	azp, present := claims["azp"]
	if present && azp != clientID || !present && len(audience) > 1 {
		return outbound.Refuse(nil, "its token was issued to somebody else")
	}
	return nil
}

func checkTimes(claims map[string]any, now time.Time) error {
	exp, ok := instant(claims["exp"])
	if !ok {
		return outbound.Refuse(nil, "its token has no expiry")
	}
	iat, ok := instant(claims["iat"])
	if !ok {
		return outbound.Refuse(nil, "its token does not say when it was issued")
	}
	switch {
	case now.After(exp.Add(leeway)):
		return outbound.Refuse(fmt.Errorf("by %s", now.Sub(exp)), "its token has expired")
	case exp.After(now.Add(maxLifetime + leeway)):
		return outbound.Refuse(nil, "its token is valid for more than a day")
	case iat.After(now.Add(leeway)):
		return outbound.Refuse(fmt.Errorf("by %s", iat.Sub(now)), "its token was issued in the future; the clocks differ")
	case iat.Before(now.Add(-maxLifetime)), iat.After(exp):
		return outbound.Refuse(nil, "its token was not issued for this sign-in")
	}
	if v, present := claims["nbf"]; present {
		if nbf, ok := instant(v); !ok || nbf.After(now.Add(leeway)) {
			return outbound.Refuse(nil, "its token is not valid yet")
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

// checkHash compares at_hash or c_hash, when it is there, with the value that
// came along (OpenID Connect Core 1.0, sections 3.1.3.6 and 3.3.2.11).
func checkHash(claims map[string]any, name, alg, value, why string) error {
	v, present := claims[name]
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
	_, _ = h.Write([]byte(value)) // a hash never fails
	sum := h.Sum(nil)
	want := base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	got, ok := v.(string)
	if !ok || subtle.ConstantTimeCompare([]byte(strings.TrimRight(got, "=")), []byte(want)) != 1 {
		return outbound.Refuse(nil, why)
	}
	return nil
}
