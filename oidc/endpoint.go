package oidc

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"portcullis/fault"
	"portcullis/outbound"
)

// Signer makes the signatures of private_key_jwt. It is safe for concurrent
// use.
type Signer interface {
	// Sign gives claims as a compact JWS that names its key.
	Sign(claims any) (string, error)
}

// clientAuth is how the gate proves itself at the token endpoint (OpenID
// Connect Core 1.0, section 9). It is never found out by trying, which would
// send the code twice.
type clientAuth int

const (
	authNone  clientAuth = iota // a public client sends its client_id alone
	authBasic                   // client_secret_basic
	authPost                    // client_secret_post
	authKey                     // private_key_jwt
)

const keyMethod = "private_key_jwt"

func (p *Provider) clientAuth(doc map[string]any) (clientAuth, error) {
	methods, ok := Strings(doc["token_endpoint_auth_methods_supported"])
	if !ok {
		return 0, outbound.Refuse(nil, "its metadata lists no client authentication")
	}
	switch {
	case p.c.Signer != nil:
		if methods == nil || slices.Contains(methods, keyMethod) {
			return authKey, nil
		}
	case p.c.ClientSecret == "":
		return authNone, nil
	case methods == nil, slices.Contains(methods, "client_secret_basic"): // the default, Discovery 1.0, section 3
		return authBasic, nil
	case slices.Contains(methods, "client_secret_post"):
		return authPost, nil
	}
	return 0, outbound.Refuse(fmt.Errorf("%.200q", methods), "it takes no client authentication that the gate offers")
}

// tokenError is an error that the token endpoint reports (RFC 6749, section
// 5.2). The rest of what it says is for no log.
type tokenError struct {
	status int
	code   string
}

func (e tokenError) Error() string {
	return fmt.Sprintf("token endpoint: status %d, error %s", e.status, e.code)
}

// credential is what our client proves itself by.
type credential struct {
	secret string
	signer Signer
}

// credentials are what may be taken by now: the usual one and, during a
// rotation, the next.
func (p *Provider) credentials(auth clientAuth) []credential {
	switch {
	case auth == authKey && p.c.NextSigner != nil:
		return []credential{{signer: p.c.Signer}, {signer: p.c.NextSigner}}
	case auth == authKey:
		return []credential{{signer: p.c.Signer}}
	case auth != authNone && p.c.NextSecret != "":
		return []credential{{secret: p.c.ClientSecret}, {secret: p.c.NextSecret}}
	default:
		return []credential{{secret: p.c.ClientSecret}}
	}
}

// ask sends a request to the token endpoint and gives its answer, strictly
// decoded. During the rotation of a client secret or key both are tried, the
// one that worked last first. The second attempt is safe: a server
// authenticates the client before it looks at the grant (RFC 6749, section
// 3.2.1), so whatever answers invalid_client has not used the code up; and one
// that has answers the second with invalid_grant, and the next sign-in begins
// with the right one.
func (p *Provider) ask(ctx context.Context, m *metadata, form url.Values) (map[string]any, error) {
	ways := p.credentials(m.auth)
	if len(ways) == 1 {
		return p.askWith(ctx, m, form, ways[0])
	}
	first := 0
	if p.rotated.Load() {
		first = 1
	}
	answer, err := p.askWith(ctx, m, form, ways[first])
	if e, ok := errors.AsType[tokenError](err); !ok || e.code != "invalid_client" {
		return answer, err
	}
	second := 1 - first
	answer, err = p.askWith(ctx, m, form, ways[second])
	if e, ok := errors.AsType[tokenError](err); err == nil || ok && e.code != "invalid_client" {
		p.rotated.Store(second == 1)
		p.c.Log.InfoContext(ctx, "the other client secret or key is the one that counts now", "next", p.rotated.Load())
	}
	return answer, err
}

func (p *Provider) askWith(ctx context.Context, m *metadata, form url.Values, by credential) (map[string]any, error) {
	form = cloneForm(form)
	header := http.Header{}
	switch m.auth {
	case authBasic: // RFC 6749, section 2.3.1: encoded like a form before they are joined
		r := http.Request{Header: header}
		r.SetBasicAuth(url.QueryEscape(p.c.ClientID), url.QueryEscape(by.secret))
	case authPost:
		form.Set("client_id", p.c.ClientID)
		form.Set("client_secret", by.secret)
	case authKey:
		assertion, err := p.clientAssertion(m, by.signer)
		if err != nil {
			return nil, err
		}
		form.Set("client_id", p.c.ClientID)
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", assertion)
	default:
		form.Set("client_id", p.c.ClientID)
	}
	data, status, err := outbound.Post(ctx, p.client, m.tokenURL, form, header)
	if err != nil {
		return nil, outbound.Classify(err, "token endpoint")
	}
	answer, err := decodeObject(data)
	if status != http.StatusOK {
		code, _ := answer["error"].(string)
		if status >= http.StatusInternalServerError && code == "" {
			return nil, outbound.Refuse(outbound.Status(status), "it is not usable")
		}
		return nil, tokenError{status, codeOf(code)}
	}
	if err != nil {
		return nil, outbound.Refuse(fmt.Errorf("token endpoint: %w", err), "it is not usable")
	}
	return answer, nil
}

func cloneForm(form url.Values) url.Values {
	out := make(url.Values, len(form)+3)
	for name, values := range form {
		out[name] = slices.Clone(values)
	}
	return out
}

// clientAssertion proves who we are (RFC 7523, section 3). The audience is the
// token endpoint, as OpenID Connect Core 1.0, section 9, asks. A provider that
// published another one's endpoint could pass it on there; it would be of no
// use, since every connection has a key of its own.
func (p *Provider) clientAssertion(m *metadata, signer Signer) (string, error) {
	now := p.c.Now()
	assertion, err := signer.Sign(map[string]any{
		"iss": p.c.ClientID, "sub": p.c.ClientID, "aud": m.tokenURL, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("client assertion: %w", err)
	}
	return assertion, nil
}

const assertionLife = 2 * time.Minute

// codeOf gives an error code of RFC 6749 for the log. Anything else that
// stands in its place might be a secret or a forged line.
func codeOf(s string) string {
	if s == "" || len(s) > 64 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "unknown"
	}
	return s
}

// notAccepted is the fault for an error that the token endpoint reports.
func notAccepted(err error) error {
	if e, ok := errors.AsType[tokenError](err); ok {
		return fault.Wrap(fault.Invalid, e, "the identity provider did not accept this sign-in")
	}
	return err
}
