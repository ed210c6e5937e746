package oidc

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"portcullis/fault"
	"portcullis/trace"
)

// traceAnswer notes what came through the browser.
func traceAnswer(b *trace.Builder, a Answer, m *metadata, issuer string) {
	switch {
	case a.hasIssuer:
		b.Check("issuer of the answer", a.issuer == issuer, issuer, a.issuer)
	case m.answersIssuer:
		b.Check("issuer of the answer", false, issuer, "none, although the provider announces one (RFC 9207)")
	}
	got := "a code"
	switch {
	case a.problem != "":
		got = "error " + codeOf(a.problem)
	case a.code == "":
		got = "nothing"
	}
	b.Check("answer", a.problem == "" && a.code != "", "a code", got)
}

// traceClaims notes what an ID token says, and each thing that is checked of
// it: all of them, so that one look shows everything that is wrong.
func (p *Provider) traceClaims(b *trace.Builder, claims map[string]any, nonce string) {
	if b == nil {
		return
	}
	now := p.c.Now()
	b.Claims(claims)
	if iat, ok := instant(claims["iat"]); ok {
		b.Clock(now, iat)
	}
	b.Check("issuer", claims["iss"] == p.c.Issuer, p.c.Issuer, shown(claims["iss"]))
	b.Secret("nonce", sameNonce(claims, nonce))
	_, err := Subject(claims["sub"])
	b.Check("subject", err == nil, "a name of at most 255 bytes", shown(claims["sub"]))
	b.Check("audience", checkAudience(claims, p.c.ClientID) == nil, p.c.ClientID, audienceShown(claims))
	b.Check("time", checkTimes(claims, now) == nil, "valid at "+stamp(now)+", give or take "+leeway.String(),
		"issued "+moment(claims["iat"])+", expires "+moment(claims["exp"]))
}

// traceResult notes a step that failed or not.
func traceResult(b *trace.Builder, name, want string, err error) {
	got := "as wanted"
	if err != nil {
		got = fault.Message(err)
	}
	b.Check(name, err == nil, want, got)
}

// traceKey notes the key that signed a token which was verified.
func traceKey(b *trace.Builder, header jose.Header) {
	name := header.KeyID
	if name == "" {
		name = "without a name"
	}
	b.Key("key " + name + ", " + header.Algorithm)
}

func audienceShown(claims map[string]any) string {
	text := shown(claims["aud"])
	if azp, ok := claims["azp"]; ok {
		text += ", issued to " + shown(azp)
	}
	return text
}

// shown is a claim in a line; [trace.Builder] bounds it.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case string:
		return v
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprintf("%T", v)
		}
		return string(text)
	}
}

func moment(v any) string {
	t, ok := instant(v)
	if !ok {
		return "at no time"
	}
	return stamp(t)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
